"""One answer on one connection: steps in, bytes on the socket out. I/O through aiohttp.web.

What an HTTP library cannot say (a reset, a torn chunk, bytes that are not a chunk) goes
straight to the transport.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator

from aiohttp import HttpVersion11, web
from multidict import CIMultiDict

from .request import Request
from .steps import Head, Pause, Send, Step, Until

__all__ = ["Playback"]

# on, 0 seconds: closing sends RST and forgets what was not yet sent
_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)

# Behind its pace by more than this an answer was held back; by less, the machine was busy.
_LATE = 1.0


class Playback:
    """Runs the steps of an answer and notes in ``request`` how far it came.

    A client that leaves ends it with CancelledError (aiohttp cancels the handler) or
    ConnectionError (a write fails), whatever step it is in.
    """

    def __init__(self, http: web.BaseRequest, request: Request, news: Callable[[], None]) -> None:
        self._http = http
        self._request = request
        self._news = news
        self._response: web.StreamResponse | None = None
        self._start: float | None = None

    async def run(self, steps: Iterator[Step]) -> None:
        """All the steps; the response is not yet ended."""
        for step in steps:
            match step:
                case Head():
                    await self._head(step)
                case Send():
                    await self._send(step)
                case Pause():
                    await self._pause(step)
                case Until():
                    await self._until(step)
                case _:
                    await self._drop(reset=step.reset)

    async def finish(self, *, close: bool) -> web.StreamResponse:
        """The body's end, and the connection's, which the headers did not announce."""
        response = self._begun()
        await response.write_eof()
        if close:
            self._transport().close()
        return response

    def _begun(self) -> web.StreamResponse:
        if self._response is None:  # pragma: no cover  # plan() does not; one changed may
            raise RuntimeError("a plan sends its Head before anything else")
        return self._response

    def _transport(self) -> asyncio.Transport:
        transport = self._http.transport
        if transport is None:  # pragma: no cover  # aiohttp cancels us when it lets go of it
            raise ConnectionResetError("the client has left")
        return transport

    async def _head(self, step: Head) -> None:
        response = web.StreamResponse(status=step.status, headers=CIMultiDict(step.headers))
        if step.length is not None and "Content-Length" not in response.headers:
            response.content_length = step.length
        self._request.status = step.status
        self._response = response
        await response.prepare(self._http)
        self._news()

    async def _send(self, step: Send) -> None:
        response = self._begun()
        # Each write stands alone: readers in this loop get their turn, and none is taken after
        # the last one, or a client that leaves at [DONE] would seem to leave early.
        await asyncio.sleep(0)
        if step.torn or step.naked:
            self._transport().write(self._torn(step.data) if step.torn else step.data)
        else:
            await response.write(step.data)
        if step.piece:
            self._request.pieces += step.piece
            self._news()

    def _torn(self, data: bytes) -> bytes:
        if self._http.version < HttpVersion11:
            return data
        return b"%x\r\n%b" % (2 * len(data), data)

    async def _pause(self, step: Pause) -> None:
        before = time.monotonic()
        await self._quiet(None if step.seconds is None else before + step.seconds, step)
        if self._start is not None:
            self._start += time.monotonic() - before

    async def _until(self, step: Until) -> None:
        now = time.monotonic()
        if self._start is None:
            self._start = now - step.at
        # A reader that held the answer back gets the rest at its pace, not all at once.
        if (late := now - self._start - step.at) > _LATE:
            self._start += late
        await self._quiet(self._start + step.at, step)

    async def _quiet(self, deadline: float | None, step: Pause | Until) -> None:
        """Nothing until the deadline (None: for ever) but the step's comments."""
        while (left := _left(deadline)) > 0:
            wait = left if step.every is None else min(left, step.every)
            # A bounded sleep even where there is no end, so that no future is left waiting.
            await asyncio.sleep(min(wait, 3600.0))
            if self._response is not None and step.every is not None and wait == step.every:
                await self._response.write(step.comment)

    async def _drop(self, *, reset: bool) -> None:
        transport = self._transport()
        self._request.dropped = True
        # A reset would throw away what was sent before it; no event tells of an empty buffer.
        while transport.get_write_buffer_size():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        if reset:
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _LINGER
            )
            transport.abort()
        else:
            transport.close()
        await asyncio.sleep(3600)  # the connection's end cancels this


def _left(deadline: float | None) -> float:
    return float("inf") if deadline is None else deadline - time.monotonic()
