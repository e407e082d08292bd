"""An open aiohttp response in, blocks of its body out. All reading from the network.

Each rule here answers a behaviour of aiohttp 3.14 that a stream can meet:

- Blocks are read as they come, not lines: ``async for line in response.content`` raises
  beyond 128 to 512 KiB.
- An exception on the stream comes before bytes that arrived earlier. They are taken
  out first, and the exception is raised by the next read.
- Reading a full buffer never yields to the event loop; read() does, now and then.
- Broken chunk framing leaves the reader waiting for ever, even with ``sock_read``. The
  end of the connection ends the wait, or else the watchdog does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from weakref import WeakKeyDictionary, ref

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from ..errors import ClientClosedError, CopilotError, Hint, InvalidHTTPError
from .clocks import Watchdog
from .doubles import headers_of, reader_of
from .failures import broken_body, translate
from .urls import place

__all__ = ["Body"]

BLOCK_BYTES = 64 * 1024  # a block and its copies stay in the processor's cache
DRAIN_BYTES = 64 * 1024  # after [DONE]; an honest body ends within a few bytes
DRAIN_SECONDS = 0.25  # the last chunk of a body travels with [DONE] or right behind it
GIVE_WAY_SECONDS = 0.01  # other tasks wait no longer than this for a full buffer


# The bodies under way, by the future of aiohttp's that tells of their connection's end. Weak
# on both sides: a body that is only dropped must take its connection along.
_UNDER_WAY: WeakKeyDictionary[asyncio.Future[None], ref[Body] | None] = WeakKeyDictionary()


class Body:
    """The body of one response, with its clocks.

    Leaving it is close(): synchronous, at once, idempotent; the server sees the
    connection go. A body read to its end gives the connection back to the pool.

    clock: which has waited for the headers, or is new.
    headers: of the response, by names in any case.
    bytes: that came so far.  arrived: loop time of the last block.
    failure: what broke the body; the bytes that came before it are handed out first.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_gave_way",
        "_loop",
        "_reader",
        "_waits",
        "arrived",
        "bytes",
        "clock",
        "failure",
        "headers",
        "response",
    )

    def __init__(self, response: aiohttp.ClientResponse, clock: Watchdog) -> None:
        self.response = response
        self.headers = headers_of(response)
        self.clock = clock
        clock.expire = self.fail
        clock.answer()
        self.bytes = 0
        self._loop = asyncio.get_running_loop()
        self.arrived = self._gave_way = self._loop.time()
        self._reader = reader_of(response)
        self._waits = False
        self.failure: CopilotError | None = None
        self._closed: asyncio.Future[None] | None = None
        self._watch()

    def block(self) -> Awaitable[bytes]:
        """Begin to wait for the next block; return what to await, aiohttp's own coroutine.

        No coroutine of ours is around it, since each one in the chain lives through every
        wait of every stream, and is passed at every delta. So whoever awaits it calls
        broken() for an exception, and came() with what came.

        The clock runs on until clock.stop(): parsing counts as waiting, or a server could
        keep the client busy with comments for ever.
        """
        if self.failure is not None:
            return _nothing()
        reader, now = self._reader, self._loop.time()
        if reader.total_bytes == self.bytes:
            self.clock.start(now)
            self._waits = True
            return reader.readany()
        if now - self._gave_way > GIVE_WAY_SECONDS:
            return self._block_in_turn()
        return reader.read(BLOCK_BYTES)

    async def _block_in_turn(self) -> bytes:
        """Return the next block, which is here already, after other tasks have run."""
        await asyncio.sleep(0)
        self._gave_way = self._loop.time()
        self.clock.start(self._gave_way)
        block: bytes = await self._reader.read(BLOCK_BYTES)
        return block

    def came(self, block: bytes) -> None:
        """Take note of a block, empty or not."""
        self.arrived = self._loop.time()
        self.bytes += len(block)
        if self._waits:
            self._waits = False
            self._gave_way = self.arrived

    async def read(self) -> bytes:
        """Return the next block; came() does not know of it yet.

        b"" at the end of the body, or where it broke: see failure. Cancelling loses no
        bytes: the next read() goes on.
        """
        try:
            return await self.block()
        except Exception as error:  # noqa: BLE001  # the pure-Python parser raises any kind
            return self.broken(error)

    async def drain(self) -> None:
        """Read on to the end, so that the connection can be used again; within bounds.

        What the connection does now is not an error of the answer.
        """
        if self._reader.at_eof():
            return
        limit = self.bytes + DRAIN_BYTES
        self.clock.stop(self.arrived)
        self.clock.limit(DRAIN_SECONDS)
        deadline = self._loop.time() + DRAIN_SECONDS
        while self.bytes < limit and self.arrived < deadline and (block := await self.read()):
            self.came(block)

    def fail(self, error: CopilotError) -> None:
        """End the body with error, for whoever is reading it, now or next."""
        if self.failure is None:
            self.failure = error
        self._reader.set_exception(error)
        self.close()

    def close(self) -> None:
        self.clock.cancel()
        if self._closed is not None:
            _UNDER_WAY[self._closed] = None
            self._closed = None
        close = getattr(self.response, "close", None)
        # At its end it is closed already, and its connection in the pool.
        if close is not None and not getattr(self.response, "closed", False):
            close()

    def _watch(self) -> None:
        """Be told of the connection's end."""
        connection = getattr(self.response, "connection", None)
        if connection is None:  # the whole body is here already
            return
        closed = getattr(connection.protocol, "closed", None)
        if isinstance(closed, asyncio.Future):
            self._closed = closed
            if closed not in _UNDER_WAY:
                closed.add_done_callback(_connection_closed)
            _UNDER_WAY[closed] = ref(self)

    def lost(self) -> None:
        """The connection is gone, and aiohttp has told the reader neither an end nor an exception.

        It does so where the parser meets broken framing, which leaves an exception with the
        protocol; else the session was closed on this side.
        """
        if self._reader.is_eof() or self._reader.exception() is not None:
            return
        connection = getattr(self.response, "connection", None)
        protocol = None if connection is None else connection.protocol
        told = None if protocol is None else protocol.exception()
        error: CopilotError
        if isinstance(told, HttpProcessingError):
            error = InvalidHTTPError(
                f"{self._where()} answered with broken HTTP (the framing of the body)"
            )
        else:
            error = ClientClosedError(
                "the session was closed while its response was read",
                hint=Hint("read it to its end before closing the session"),
            )
        self._reader.set_exception(error)

    def _where(self) -> str:
        url = getattr(self.response, "url", None)
        return place(url) if isinstance(url, URL) else "the server"

    def broken(self, error: Exception) -> bytes:
        """Take note of the failure; return the bytes that had arrived before it."""
        if isinstance(error, RecursionError):
            raise error  # of the caller's deep stack; the connection has nothing to do with it
        # aiohttp's reader holds bytes behind its exception; without one it hands them out.
        self._reader.set_exception(None)  # type: ignore[arg-type]
        try:
            block = self._reader.read_nowait()
        except Exception:  # noqa: BLE001  # whatever it is, the first failure is the one to report
            block = b""
        if isinstance(error, CopilotError):
            self.failure = error
        else:
            url = getattr(self.response, "url", None)
            if isinstance(error, aiohttp.ClientPayloadError):
                count, length = self.bytes + len(block), self.headers.get("Content-Length")
                self.failure = broken_body(error, self._where(), count=count, length=length)
            else:
                self.failure = translate(error, url if isinstance(url, URL) else None)
            self.failure.__cause__ = error
        return block


async def _nothing() -> bytes:
    return b""


def _connection_closed(closed: asyncio.Future[None]) -> None:
    if not closed.cancelled():
        closed.exception()  # asyncio reports an exception that was never retrieved
    under_way = _UNDER_WAY.pop(closed, None)
    body = None if under_way is None else under_way()
    if body is not None:
        body.lost()
