"""An open aiohttp response in, blocks of its body out. All reading from the network.

Each rule here answers a behaviour of aiohttp 3.14 that a stream can meet:

- Blocks are read as they come. Lines are none of aiohttp's business: ``async for
  line in response.content`` raises beyond 128 to 512 KiB.
- An exception on the stream comes before bytes that arrived earlier. They are taken
  out first, and the exception is raised by the next read.
- Reading a full buffer never gives way to the event loop; read() does, now and then.
- Broken chunk framing leaves the reader waiting for good, ``sock_read`` or not. That the
  connection was closed ends the wait, or else the watchdog does.
"""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary, ref

import aiohttp

from ..errors import (
    ClientClosedError,
    ConnectionFailedError,
    CopilotError,
    DisconnectedError,
    Hint,
    InvalidHTTPError,
    InvalidRequestError,
    ReplyInUseError,
    WrongLoopError,
)
from .clocks import Watchdog

__all__ = ["Body", "receive_less", "translate"]

BLOCK_BYTES = 64 * 1024  # a block and its copies stay in the processor's cache
RECEIVE_BYTES = 120 * 1024  # at most, from the socket at a time
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
    bytes: read so far.  arrived: loop time of the last block.
    failure: what broke the body; the bytes that came before it are handed out first.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_gave_way",
        "_loop",
        "_reader",
        "arrived",
        "bytes",
        "clock",
        "failure",
        "response",
    )

    def __init__(self, response: aiohttp.ClientResponse, clock: Watchdog) -> None:
        self.response = response
        self.clock = clock
        clock.expire = self.fail
        clock.answer()
        self.bytes = 0
        self._loop = asyncio.get_running_loop()
        self.arrived = self._gave_way = self._loop.time()
        self._reader = response.content
        self.failure: CopilotError | None = None
        self._closed: asyncio.Future[None] | None = None
        if response.connection is not None:  # else the whole body is here already
            self._watch(response.connection)

    async def read(self) -> bytes:
        """Return the next block; b"" at the end of the body, or where it broke: see failure.

        The clock runs on until clock.stop(): making sense of bytes is still waiting for
        the answer, or a server could keep us at work on comments for good.
        Cancelling loses no bytes: the next read() goes on.
        """
        if self.failure is not None:
            return b""
        reader, now = self._reader, self._loop.time()
        waits = reader.total_bytes == self.bytes
        if waits:
            self.clock.start(now)
        elif now - self._gave_way > GIVE_WAY_SECONDS:
            await self._give_way()
        try:
            block = await (reader.readany() if waits else reader.read(BLOCK_BYTES))
        except Exception as error:  # noqa: BLE001  # the pure-Python parser raises any kind
            block = self._broken(error)
        finally:
            self.arrived = self._loop.time()
        if waits:
            self._gave_way = self.arrived
        self.bytes += len(block)
        return block

    async def _give_way(self) -> None:
        """Let other tasks run, though the next block is here already."""
        await asyncio.sleep(0)
        self._gave_way = self._loop.time()
        self.clock.start(self._gave_way)

    async def drain(self) -> None:
        """Read on to the end, so that the connection can be used again; within bounds.

        Whatever the connection does now is no error of the answer.
        """
        if self._reader.at_eof():
            return
        limit = self.bytes + DRAIN_BYTES
        self.clock.stop(self.arrived)
        self.clock.limit(DRAIN_SECONDS)
        deadline = self._loop.time() + DRAIN_SECONDS
        while await self.read() and self.bytes < limit and self.arrived < deadline:
            pass

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
        if not self.response.closed:  # it is, and its connection in the pool, at its end
            self.response.close()

    def _watch(self, connection: aiohttp.connector.Connection) -> None:
        """Be told of the connection's end."""
        self._closed = getattr(connection.protocol, "closed", None)
        if self._closed is not None:
            if self._closed not in _UNDER_WAY:
                self._closed.add_done_callback(_connection_closed)
            _UNDER_WAY[self._closed] = ref(self)

    def lost(self) -> None:
        """The connection is gone.

        Where the parser meets broken framing, aiohttp closes the connection and tells
        the reader nothing: neither an end nor an exception.
        """
        if not self._reader.is_eof() and self._reader.exception() is None:
            self._reader.set_exception(
                InvalidHTTPError("the server answered with broken HTTP (the framing of the body)")
            )

    def _broken(self, error: Exception) -> bytes:
        """Take note of the failure; return the bytes that had arrived before it."""
        if isinstance(error, CopilotError):
            self.failure = error
        else:
            self.failure = translate(error)
            self.failure.__cause__ = error
        # aiohttp's reader holds bytes behind its exception; without one it hands them out.
        self._reader.set_exception(None)  # type: ignore[arg-type]
        try:
            return self._reader.read_nowait()
        except Exception:  # noqa: BLE001  # whatever it is, the first failure is the news
            return b""


def _connection_closed(closed: asyncio.Future[None]) -> None:
    if not closed.cancelled():
        closed.exception()  # one that nobody takes is reported
    under_way = _UNDER_WAY.pop(closed, None)
    body = None if under_way is None else under_way()
    if body is not None:
        body.lost()


def receive_less(transport: object) -> None:
    """Let a connection receive into smaller buffers.

    asyncio's selector transport asks for 256 KiB at each read. That is above malloc's
    threshold for mapping memory, so that a read of one delta costs a mmap, a page fault
    and a munmap; 120 KiB is below it. Public by name, undocumented, and where a
    transport has no such attribute (TLS, uvloop) nothing happens.
    """
    if hasattr(transport, "max_size"):
        transport.max_size = RECEIVE_BYTES


def translate(error: Exception, where: str = "the server") -> CopilotError:
    """Return ours for an exception of aiohttp, asyncio or the socket.

    Raise it ``from`` the original, save for aiohttp.ClientResponseError: that one shows
    the request's headers, and the key in them, in its repr.
    """
    kind = type(error).__name__
    if type(error) is aiohttp.ClientConnectionError and str(error) == "Connection closed":
        # What aiohttp's response says of its content once it was closed on this side.
        return ReplyInUseError("the response was left", hint=Hint("read it inside its async with"))
    if isinstance(error, aiohttp.ClientResponseError):
        words = " ".join(error.message.split())[:160] or kind
        return InvalidHTTPError(f"{where} answered with broken HTTP ({words})")
    if isinstance(error, ValueError | AssertionError):  # aiohttp.InvalidURL is one too
        return InvalidRequestError(f"the request to {where} cannot be sent: {_brief(error)}")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientSSLError):
        return _unreachable(error, where)
    if isinstance(error, RuntimeError):
        return _misused(str(error).lower(), where)
    if isinstance(error, aiohttp.ClientPayloadError) and "content-encoding" in str(error):
        return InvalidHTTPError(f"{where} sent a body that cannot be decompressed ({error})")
    if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | OSError):
        return DisconnectedError(
            f"the connection to {where} broke before the end of its answer ({_brief(error)})"
        )
    return InvalidHTTPError(f"{where} answered with broken HTTP ({kind}: {_brief(error)})")


def _misused(words: str, where: str) -> CopilotError:
    """Return ours for a RuntimeError, of which only the words tell what it is about."""
    if "session is closed" in words:
        return ClientClosedError(
            "the session is closed", hint=Hint("make the request before closing it")
        )
    if "loop" in words:
        return WrongLoopError(
            "the session belongs to another event loop", hint=Hint("make one in this loop")
        )
    return DisconnectedError(f"{where} closed the connection before the end of its answer")


def _unreachable(error: aiohttp.ClientError, where: str) -> ConnectionFailedError:
    passing = not isinstance(
        error, aiohttp.ClientConnectorDNSError | aiohttp.ClientConnectorCertificateError
    )
    return ConnectionFailedError(
        f"cannot connect to {where} ({_brief(error)})",
        hint=Hint("check that the server runs there"),
        passing=passing,
    )


def _brief(error: Exception) -> str:
    """Return an exception's own words on one line, its kind where it has none."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    text = " ".join(str(error).split())
    return text[:160] or type(error).__name__
