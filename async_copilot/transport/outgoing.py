"""The bytes of a request in, a body that says when it goes out. No time, no retries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

__all__ = ["Outgoing"]

WRITE_BYTES = 256 * 1024  # of a request body at a time, so that a large one gives way


class Outgoing(Payload):
    """A JSON body that says when it goes out.

    aiohttp calls write_with_length() once the request has a
    connection and its headers are on the way: public API, and the one moment that
    separates waiting for a connection from waiting for the server.
    """

    _value: bytes

    def __init__(self, body: bytes, sending: Callable[[AbstractStreamWriter], None]) -> None:
        super().__init__(body, content_type="application/json")
        self._size = len(body)
        self._sending = sending

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    @property
    def autoclose(self) -> bool:
        """True: bytes need no closing, so a middleware may put another body in their place."""
        return True

    async def write(self, writer: AbstractStreamWriter) -> None:  # pragma: no cover
        # An abstract method of Payload's; aiohttp itself calls the one below.
        await self.write_with_length(writer, None)

    def __deepcopy__(self, _: object) -> Self:
        """Return a copy for libraries that record requests (VCR.py); it reports nothing."""
        return type(self)(self._value, lambda _: None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self._sending(writer)
        for start in range(0, len(self._value), WRITE_BYTES):
            await writer.write(self._value[start : start + WRITE_BYTES])
