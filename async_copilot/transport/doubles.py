"""A fake response or session of a test library in, one that can be used out.

VCR.py, Home Assistant's ``aioclient_mock`` and hand-made ones have a status, headers and a
content with ``read(n)``, or one to iterate; the rest of what aiohttp's own responses have
may be missing. Of a session only ``post`` is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

__all__ = ["headers_of", "own_headers", "reader_of"]

_MULTIDICTS = (CIMultiDictProxy, CIMultiDict)  # a union would be made anew at each call
BLOCK_BYTES = 64 * 1024  # of a content that may hold any number


def own_headers(session: aiohttp.ClientSession) -> dict[str, str]:
    """Return the headers that a session adds to every request by itself."""
    headers, auth = getattr(session, "headers", None), getattr(session, "auth", None)
    own = dict(headers) if isinstance(headers, Mapping) else {}
    return {**own, "Authorization": auth.encode()} if isinstance(auth, aiohttp.BasicAuth) else own


def headers_of(response: aiohttp.ClientResponse) -> Mapping[str, str]:
    """Return the headers, by names in any case."""
    headers: Mapping[str, str] = response.headers
    if isinstance(headers, _MULTIDICTS):
        return headers
    return CIMultiDict(headers) if isinstance(headers, Mapping) else CIMultiDict()


def reader_of(response: aiohttp.ClientResponse) -> aiohttp.StreamReader:
    """Return the reader of the body, or an object that can be used as one."""
    content: Any = response.content
    return content if isinstance(content, aiohttp.StreamReader) else _Reader(content)  # type: ignore[return-value]  # it has what Body asks for


class _Reader:
    """As much of aiohttp.StreamReader as Body uses, over a content to read or to iterate."""

    def __init__(self, content: Any) -> None:
        self._read = content.read if hasattr(content, "read") else _reads(content)
        self._exception: BaseException | None = None
        self._failed = asyncio.get_running_loop().create_future()
        self._eof = False
        self.total_bytes = 0  # never more than was read: each read is a wait

    def is_eof(self) -> bool:
        return self._eof

    at_eof = is_eof

    def set_exception(self, error: BaseException | None) -> None:
        self._exception = error
        if error is not None and not self._failed.done():
            self._failed.set_result(None)

    async def read(self, size: int) -> bytes:
        reading = asyncio.ensure_future(self._read(size))
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


def _reads(content: Any) -> Callable[[int], Awaitable[bytes]]:
    """Return ``read(n)`` over what can only be iterated: by blocks of any size, or by lines."""
    blocks = aiter(content.iter_any() if hasattr(content, "iter_any") else content)

    async def read(_: int) -> bytes:
        return await anext(blocks, b"")

    return read
