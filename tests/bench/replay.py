"""POST requests in; the stream that the request's path describes out, rendered beforehand.

    POST /{shape}/{mode}/{count}/{rate}/v1/chat/completions

Every event stands in an HTTP chunk of its own, as real servers send them. ``mode``:

bulk   the whole stream in as few writes as the socket takes
loop   ``count`` deltas in all, a block of 10,000 again and again: streams beyond memory
each   one write per event
paced  one write per event, ``rate`` a second; the delta is the time of the write, in ns of
       the monotonic clock that all processes of a machine share
big    one event of ``count`` bytes, in HTTP chunks of ``rate`` bytes, a write per 64 KiB

Run in a process of its own (``python -m bench.replay``), it prints its port and serves until
its standard input closes, so that it never outlives who started it.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count as counter

from . import shapes

__all__ = ["Plan", "Replay", "plan"]

HEAD = (
    b"HTTP/1.1 200 OK\r\nserver: replay\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"
BLOCK = 10_000
WRITE = 256 * 1024

# Streams opened together must not beat together: each begins at another part of its beat.
PHASES = (number * 0.618 % 1 for number in counter())


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@dataclass(frozen=True, slots=True)
class Plan:
    """One stream: its writes (``repeat`` times the middle ones), or the frame of a paced event."""

    head: tuple[bytes, ...] = ()
    middle: tuple[bytes, ...] = ()
    repeat: int = 1
    tail: tuple[bytes, ...] = ()
    frame: tuple[bytes, bytes] | None = None
    count: int = 0
    rate: float = 0.0

    def writes(self) -> Iterator[bytes]:
        yield from self.head
        for _ in range(self.repeat):
            yield from self.middle
        yield from self.tail


def paced(shape: str, count: int, rate: float) -> Plan:
    before, after = shapes.stamped(shape)
    frame = b"%x\r\n%b" % (len(before) + 20 + len(after), before), after + b"\r\n"
    _, last = shapes.events(shape, 1)
    tail = b"".join(map(chunk, last)) + LAST_CHUNK
    return Plan(tail=(tail,), frame=frame, count=count, rate=rate)


@cache
def plan(path: str) -> Plan:
    """The stream of one request path; rendered once."""
    shape, mode, number, speed = path.strip("/").split("/")[:4]
    count, rate = int(number), float(speed)
    if mode == "paced":
        return paced(shape, count, rate)
    if mode == "big":
        _, event = shapes.huge(shape, count)
        body, (_, last) = b"".join(map(chunk, cut(event, int(rate)))), shapes.events(shape, 1)
        end = b"".join(map(chunk, last)) + LAST_CHUNK
        return Plan((HEAD,), tuple(cut(body, 65536)), tail=(end,))
    deltas, last = shapes.events(shape, min(count, BLOCK) if mode == "loop" else count)
    chunks = [chunk(event) for event in deltas]
    ends = [*map(chunk, last), LAST_CHUNK]
    if mode == "each":
        return Plan((HEAD,), tuple(chunks), tail=tuple(ends))
    if mode == "loop":
        writes = tuple(cut(b"".join(chunks), WRITE))
        return Plan((HEAD,), writes, max(1, count // BLOCK), (b"".join(ends),))
    return Plan(middle=tuple(cut(b"".join([HEAD, *chunks, *ends]), WRITE)))


class Replay(asyncio.Protocol):
    """One connection: requests answered one after the other, kept open between them."""

    def __init__(self) -> None:
        self._inbox = b""
        self._writable = asyncio.Event()
        self._writable.set()
        self._answer: asyncio.Task[None] | None = None
        self._beat: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # Nothing may wait in the transport or the kernel, or two events would leave in one
        # write. asyncio sets TCP_NODELAY only on sockets that name their protocol: not ours.
        transport.set_write_buffer_limits(high=0)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        for work in (self._answer, self._beat):
            if work is not None:
                work.cancel()

    def data_received(self, data: bytes) -> None:
        self._inbox += data
        head, end, rest = self._inbox.partition(b"\r\n\r\n")
        if not end:
            return
        request, *fields = head.decode("latin-1").split("\r\n")
        lengths = [int(f[15:]) for f in fields if f.lower().startswith("content-length:")]
        size = sum(lengths)
        if len(rest) < size:
            return
        self._inbox = rest[size:]
        stream = plan(request.split(" ")[1].partition("/v1/")[0])
        if stream.frame is None:
            self._answer = asyncio.ensure_future(self._send(stream))
        else:
            self._pace(stream)

    async def _send(self, stream: Plan) -> None:
        write, writable = self._transport.write, self._writable
        for number, data in enumerate(stream.writes()):
            if self._transport.is_closing():
                return
            write(data)
            if not writable.is_set():
                await writable.wait()
            elif not number % 256:
                await asyncio.sleep(0)  # other connections, and this one's end

    def _pace(self, stream: Plan) -> None:
        loop = asyncio.get_running_loop()
        write, waiting = self._transport.write, self._transport.get_write_buffer_size
        assert stream.frame is not None
        before, after = stream.frame
        write(HEAD)
        due, left = loop.time() + next(PHASES) / stream.rate, stream.count

        def beat() -> None:
            nonlocal due, left
            if not waiting():  # a reader that is behind gets fewer deltas, not old ones
                write(b"%b%020d%b" % (before, time.monotonic_ns(), after))
                left -= 1
            due += 1 / stream.rate
            if left:
                self._beat = loop.call_at(due, beat)
            else:
                write(stream.tail[0])

        self._beat = loop.call_at(due, beat)


async def serve() -> None:
    """As a process: a file for every connection there is, until the standard input ends."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    listener = socket.create_server(("127.0.0.1", 0), backlog=8192)
    server = await loop.create_server(Replay, sock=listener)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    loop.add_reader(sys.stdin.fileno(), stop.set)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
