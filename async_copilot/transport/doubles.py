"""A fake response of a test library in, one that Body can read out.

VCR.py, Home Assistant's ``aioclient_mock`` and hand-made ones have a status, headers and a
content with ``read(n)``; the rest of what aiohttp's own responses have may be missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

__all__ = ["headers_of", "reader_of"]

BLOCK_BYTES = 64 * 1024  # of a content that may hold any number


def headers_of(response: aiohttp.ClientResponse) -> Mapping[str, str]:
    """Return the headers, by names in any case."""
    headers: Mapping[str, str] = response.headers
    if isinstance(headers, CIMultiDict | CIMultiDictProxy):
        return headers
    return CIMultiDict(headers) if isinstance(headers, Mapping) else CIMultiDict()


def reader_of(response: aiohttp.ClientResponse) -> aiohttp.StreamReader:
    """Return the reader of the body, or an object that can be used as one."""
    content: Any = response.content
    return content if isinstance(content, aiohttp.StreamReader) else _Reader(content)  # type: ignore[return-value]  # it has what Body asks for


class _Reader:
    """As much of aiohttp.StreamReader as Body uses, over a content with ``read(n)``."""

    def __init__(self, content: Any) -> None:
        self._content = content
        self._exception: BaseException | None = None
        self._failed = asyncio.get_running_loop().create_future()
        self._eof = False
        self.total_bytes = 0  # never more than was read: each read is a wait

    def is_eof(self) -> bool:
        return self._eof

    at_eof = is_eof

    def exception(self) -> BaseException | None:
        return self._exception

    def set_exception(self, error: BaseException | None) -> None:
        self._exception = error
        if error is not None and not self._failed.done():
            self._failed.set_result(None)

    async def read(self, size: int) -> bytes:
        if self._exception is not None:
            raise self._exception
        reading = asyncio.ensure_future(self._content.read(size))
        try:
            await asyncio.wait({reading, self._failed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not reading.done():
                reading.cancel()
        if self._exception is not None:
            raise self._exception
        block: bytes = reading.result()
        self.total_bytes += len(block)
        self._eof = not block
        return block

    async def readany(self) -> bytes:
        return await self.read(BLOCK_BYTES)

    def read_nowait(self) -> bytes:
        return b""
