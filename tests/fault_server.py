"""A server that misbehaves to order, and remembers what the client did meanwhile.

Raw TCP on a loopback port, so that it can say what no HTTP library would: bytes
that are not HTTP, cut framing, a FIN, an RST, a half-close, silence. In: answers
(`fault_script`), one a request. Out: the bytes, and a record of every connection
and request, with the time at which the client left. I/O: one listening socket;
everything runs in the caller's loop and has ended when the block is left.

::

    async with FaultServer((SSE, said("Hel"), RST)) as server:
        ...                                  # server.url is a base URL, ".../v1"
    assert len(server.requests) == 1
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from fault_script import Answer, Close, Repeat, Slowly, Step, Until

__all__ = ["Connection", "FaultServer", "Request", "by_connection"]


@dataclass(slots=True)
class Request:
    """One request as it came: `head` and `body` raw, `headers` by lower-case name."""

    connection: Connection
    at: float
    head: bytes
    body: bytes
    method: str = ""
    target: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        line, *lines = self.head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = line.split(" ")
        for name, _, value in (text.partition(":") for text in lines if text):
            self.headers[name.strip().lower()] = value.strip()

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(slots=True, eq=False)
class Connection:
    """One connection: `left` is the loop time at which the client closed it, `how` FIN or RST."""

    number: int
    opened: float
    requests: list[Request] = field(default_factory=list)
    sent: int = 0
    left: float | None = None
    how: str | None = None


class _ClientLeft(Exception):  # noqa: N818  # a signal, no error
    """The rest of an answer has no reader."""


Route = Callable[[Request], Answer]


def by_connection(*answers: Sequence[Answer]) -> Route:
    """A route of scripts per connection: its nth request gets the nth answer (the last repeats)."""

    def route(request: Request) -> Answer:
        script = answers[min(request.connection.number, len(answers) - 1)]
        return script[min(len(request.connection.requests), len(script)) - 1]

    return route


class FaultServer:
    """Serve `answers` in the order of the requests, whatever their connection; the last repeats.

    on_connect: steps per connection, in order, performed before a request is awaited.
    route:      instead of `answers`, the answer computed from the request.
    tls:        a context, and the server is one of https.
    """

    def __init__(
        self,
        *answers: Answer,
        on_connect: Sequence[Answer] = (),
        route: Route | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._answers = answers
        self._on_connect = on_connect
        self._route = route
        self._talks: list[_Talk] = []
        self._changed = asyncio.Event()
        self.connections: list[Connection] = []
        self.requests: list[Request] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if self._tls is not None:
            self._let_handshakes_fail(loop)
        self._listener = await loop.create_server(
            lambda: _Talk(self), "127.0.0.1", 0, backlog=4096, ssl=self._tls
        )
        self.port: int = self._listener.sockets[0].getsockname()[1]
        self.origin = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
        await self._listener.wait_closed()
        self.hang_up()
        await asyncio.gather(*(talk.task for talk in self._talks), return_exceptions=True)
        await asyncio.gather(*(talk.closed for talk in self._talks))
        # A fault of a script is the test's fault, and must not pass in silence.
        for talk in self._talks:
            if not talk.task.cancelled() and (broken := talk.task.exception()) is not None:
                raise broken

    @staticmethod
    def _let_handshakes_fail(loop: asyncio.AbstractEventLoop) -> None:
        """A client that trusts no server here is what a test is about, not a fault of its own."""
        report = loop.get_exception_handler()

        def filtered(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            if report is not None and "transport creation" not in context["message"]:
                report(loop, context)

        loop.set_exception_handler(filtered)

    async def left(self, count: int = 1, *, within: float = 10.0) -> None:
        """Wait until `count` clients have closed their connection; fail after `within` seconds."""
        await self._until(lambda: self.leavers() >= count, within)

    async def sent_more(self, connection: Connection, *, within: float = 10.0) -> None:
        """Wait until more bytes went out over a connection; the client may not have read them."""
        before = connection.sent
        await self._until(lambda: connection.sent > before, within)

    async def closed(self, count: int = 1, *, within: float = 10.0) -> None:
        """Wait until `count` connections are over on both sides; fail after `within` seconds."""
        await self._until(lambda: len(self._talks) - self.open() >= count, within)

    async def received(self, count: int = 1, *, within: float = 10.0) -> None:
        """Wait until `count` requests have come; fail after `within` seconds."""
        await self._until(lambda: len(self.requests) >= count, within)

    async def _until(self, true: Callable[[], bool], within: float) -> None:
        async with asyncio.timeout(within):
            while not true():
                self._changed = asyncio.Event()
                await self._changed.wait()

    def changed(self) -> None:
        """A request came, bytes went out, a client left, or a connection is over."""
        self._changed.set()

    def leavers(self) -> int:
        """How many connections the client has closed or reset."""
        return sum(connection.left is not None for connection in self.connections)

    def open(self) -> int:
        """How many connections neither side has closed."""
        return sum(not talk.closed.done() for talk in self._talks)

    def greeting(self, number: int) -> Answer:
        """What connection `number` is told before it asks."""
        return self._on_connect[number] if number < len(self._on_connect) else ()

    def answer(self, request: Request) -> Answer:
        """The steps for a request that has just been recorded."""
        if self._route is not None:
            return self._route(request)
        last = len(self._answers) - 1
        return self._answers[min(len(self.requests) - 1, last)] if self._answers else ()

    def hang_up(self) -> None:
        """Close every connection; the server goes on."""
        for talk in self._talks:
            talk.end()

    def join(self, talk: _Talk) -> Connection:
        """Record a new connection."""
        self._talks.append(talk)
        connection = Connection(len(self.connections), asyncio.get_running_loop().time())
        self.connections.append(connection)
        return connection


class _Talk(asyncio.Protocol):
    """One connection, one task, and one waiter that every event wakes."""

    def __init__(self, server: FaultServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._unread = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._writable = True
        self._hung_up = False  # by us
        self.closed: asyncio.Future[None] = self._loop.create_future()

    # What asyncio tells us.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._secure = transport.get_extra_info("sslcontext") is not None
        self.record = self._server.join(self)
        self.task = self._loop.create_task(self._run())

    def data_received(self, data: bytes) -> None:
        self._unread += data
        self._wake()

    def eof_received(self) -> bool:
        self._leave("FIN")
        return not self._secure  # TLS has no half-closed connections

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None or not self._hung_up:
            self._leave("RST")
        if not self.closed.done():
            self.closed.set_result(None)
            self._server.changed()
        self._wake()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._wake()

    def end(self) -> None:
        """The server hangs up: leave nothing behind."""
        self._hung_up = True
        self.task.cancel()
        self._transport.abort()

    # The task.

    async def _run(self) -> None:
        try:
            for step in self._server.greeting(self.record.number):
                await self._perform(step)
            while True:
                request = await self._next_request()
                self.record.requests.append(request)
                self._server.requests.append(request)
                self._server.changed()
                for step in self._server.answer(request):
                    await self._perform(step)
        except _ClientLeft:
            self._transport.close()

    async def _perform(self, step: Step) -> None:
        match step:
            case bytes():
                await self._send(step)
            case Repeat():
                await self._repeat(step)
            case Slowly(data, size, every):
                for start in range(0, len(data), size):
                    await self._send(data[start : start + size])
                    await self._pause(every)
            case Until(happened):
                while not happened.is_set():
                    await self._pause(0.005)
            case Close():
                await self._close(step)
            case _:
                await self._pause(step)

    async def _repeat(self, step: Repeat) -> None:
        for _ in itertools.count() if step.times is None else range(step.times):
            await self._send(step.data)
            if step.every:
                await self._pause(step.every)

    async def _close(self, how: Close) -> None:
        if how is Close.HALF_CLOSE:
            self._transport.write_eof()
        elif how is Close.HOLD:
            await self._until(lambda: False)
        elif how is Close.FIN:
            self._hung_up = True
            self._transport.close()
            raise _ClientLeft
        else:
            self._hung_up = True
            linger = struct.pack("ii", 1, 0)
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()
            raise _ClientLeft

    async def _send(self, data: bytes) -> None:
        if self._gone:
            raise _ClientLeft
        self._transport.write(data)
        self.record.sent += len(data)
        self._server.changed()
        await self._until(lambda: self._writable)

    async def _pause(self, seconds: float) -> None:
        over = asyncio.Event()

        def ring() -> None:
            over.set()
            self._wake()

        timer = self._loop.call_later(seconds, ring)
        try:
            await self._until(over.is_set)
        finally:
            timer.cancel()

    async def _next_request(self) -> Request:
        await self._until(lambda: b"\r\n\r\n" in self._unread)
        head, _, _ = bytes(self._unread).partition(b"\r\n\r\n")
        request = Request(self.record, self._loop.time(), head, b"")
        del self._unread[: len(head) + 4]
        length = int(request.headers.get("content-length", 0))
        await self._until(lambda: len(self._unread) >= length)
        request.body = bytes(self._unread[:length])
        del self._unread[:length]
        return request

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            if self._gone:
                raise _ClientLeft
            self._waiter = self._loop.create_future()
            await self._waiter

    @property
    def _gone(self) -> bool:
        return self.record.left is not None or self._transport.is_closing()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _leave(self, how: str) -> None:
        if self.record.left is None:
            self.record.left = self._loop.time()
            self.record.how = how
            self._server.changed()
        self._wake()
