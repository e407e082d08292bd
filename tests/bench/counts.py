"""A contestant in; what a delta and a waiting stream take, counted, out.

Counts come out the same on every machine and under every load, so a test can hold them. The
server runs in the same loop and sends the next delta when the last one was handed out: each
is read alone, as servers send them. Its own calls are not counted; its objects are, for every
contestant alike.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType

import async_copilot

from . import shapes
from .contestants import Contestant
from .replay import HEAD, LAST_CHUNK, chunk

__all__ = ["counts"]

HERE = str(Path(__file__).parent)
OURS = str(Path(async_copilot.__file__).parent) + os.sep
WARM_UP = 20  # deltas, after which every short cut has been learned


class OnDemand(asyncio.Protocol):
    """Answers a request with its headers; deltas are written by whoever has ``write``."""

    def __init__(self, opened: asyncio.Queue[Callable[[bytes], None]]) -> None:
        self._opened = opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"POST "):  # its body may come in another read
            self._transport.write(HEAD)
            self._opened.put_nowait(self._transport.write)


@contextmanager
def held() -> Iterator[dict[str, int]]:
    """Bytes of Python's own memory, and objects that its collector knows of, that stay."""
    more: dict[str, int] = {}
    gc.collect()
    tracemalloc.start()
    objects, size = len(gc.get_objects()), tracemalloc.get_traced_memory()[0]
    yield more
    gc.collect()
    more["bytes"] = tracemalloc.get_traced_memory()[0] - size
    more["objects"] = len(gc.get_objects()) - objects
    tracemalloc.stop()


@asynccontextmanager
async def on_demand() -> AsyncIterator[tuple[str, asyncio.Queue[Callable[[bytes], None]]]]:
    opened: asyncio.Queue[Callable[[bytes], None]] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: OnDemand(opened), "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", opened
    server.close()


@contextmanager
def calls() -> Iterator[Counter[str]]:
    """Count calls of Python functions, and resumptions of coroutines, outside of this folder."""
    count: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        file = frame.f_code.co_filename
        if not file.startswith(HERE):
            count[event] += 1
            if event == "call" and file.startswith(OURS):
                count["own"] += 1

    sys.setprofile(note)
    try:
        yield count
    finally:
        sys.setprofile(None)


async def counts(contestant: Contestant, *, deltas: int, streams: int) -> dict[str, float]:
    """Calls a delta and a request; bytes and objects a stream that waits for its next delta."""
    deltas_of, ends = shapes.events("openai", 1)
    event, end = chunk(deltas_of[0]), b"".join(map(chunk, ends)) + LAST_CHUNK
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def beat(write: Callable[[bytes], None], times: int) -> None:
        for _ in range(times):
            write(event)
            await heard.get()

    async with on_demand() as (url, opened), contestant.connect(url) as read:

        async def begin() -> Callable[[bytes], None]:
            readers.append(asyncio.ensure_future(read(heard.put_nowait)))
            write = await opened.get()
            await beat(write, WARM_UP)
            return write

        async def whole() -> None:
            reader = asyncio.ensure_future(read(heard.put_nowait))
            (await opened.get())(event + end)
            await reader

        readers: list[asyncio.Future[None]] = []
        await begin()
        with held() as kept:
            for _ in range(streams):
                write = await begin()
        with calls() as paced:
            await beat(write, deltas)
        for _ in range(3):
            await whole()
        with calls() as asked:
            for _ in range(10):
                await whole()
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    return {
        "calls": paced["call"] / deltas,
        "own": paced["own"] / deltas,
        "c_calls": paced["c_call"] / deltas,
        "request": asked["call"] / 10,
        "bytes": kept["bytes"] / streams,
        "objects": kept["objects"] / streams,
    }
