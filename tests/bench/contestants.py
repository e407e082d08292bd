"""A base URL in; a coroutine function that reads one whole reply, handing each text on, out.

Every contestant is written as its own documentation would have it written, keeps one client
or session for all its replies, reads the body to its end so that the connection is used
again, and hands each non-empty text to the same ``sink``. What a sink returns, if anything,
is awaited: that is how a consumer sleeps.

Here are the floors and the loops that people write; ours.py has ours, peers.py the other
clients from PyPI. The floors receive into buffers as small as ours, since that takes one line
of code and saves a third of a paced delta: ours has to win by what it does besides.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import aiohttp
import orjson

__all__ = ["BODY", "PROMPT", "Connect", "Contestant", "Read", "Sink", "everyone", "find", "session"]

Sink = Callable[[str], Awaitable[None] | None]
Read = Callable[[Sink], Awaitable[None]]
Connect = Callable[[str], AbstractAsyncContextManager[Read]]
Post = Callable[[], AbstractAsyncContextManager[aiohttp.ClientResponse]]

RECEIVE_BYTES = 120 * 1024
PROMPT = "Hello"
BODY = {"model": "m", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}


@dataclass(frozen=True, slots=True)
class Contestant:
    """``slow``: how many times fewer deltas it is given, to keep a round short."""

    name: str
    group: str
    connect: Connect
    slow: int = 1
    exact: bool = True  # False: its text is known to differ, and it is shown all the same


class SmallReceives(aiohttp.TCPConnector):
    """Receives up to 120 KiB at a time: asyncio's 256 KiB are a mmap and a munmap a read."""

    async def connect(self, *args: Any, **options: Any) -> aiohttp.connector.Connection:
        connection = await super().connect(*args, **options)
        if connection.transport and hasattr(
            connection.transport, "max_size"
        ):  # uvloop's has none, and needs none
            connection.transport.max_size = RECEIVE_BYTES
        return connection


@asynccontextmanager
async def session(
    url: str, connect: type[aiohttp.TCPConnector] = aiohttp.TCPConnector, **options: Any
) -> AsyncIterator[Post]:
    # limit=0: the pool's default of 100 would starve the crowd, whoever reads.
    connector = connect(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
        yield lambda: client.post(f"{url}/v1/chat/completions", json=BODY, **options)


@asynccontextmanager
async def bytes_only(url: str) -> AsyncIterator[Read]:
    async def read(sink: Sink) -> None:
        async with post() as response:
            content = response.content
            while await content.readany():
                pass

    async with session(url, SmallReceives) as post:
        yield read


def naive(connector: type[aiohttp.TCPConnector]) -> Connect:
    """The least that gives the text: read, split, decode; no error, clock or odd event."""

    @asynccontextmanager
    async def connect(url: str) -> AsyncIterator[Read]:
        async with session(url, connector) as post:
            yield partial(read_naively, post)

    return connect


async def read_naively(post: Post, sink: Sink) -> None:
    loads, rest = orjson.loads, b""
    async with post() as response:
        content = response.content
        while block := await content.readany():
            *events, rest = (rest + block).split(b"\n\n")
            for event in events:
                if event == b"data: [DONE]":
                    continue
                try:
                    text = loads(event[6:])["choices"][0]["delta"]["content"]
                except (KeyError, IndexError):
                    continue
                if text and (pause := sink(text)) is not None:
                    await pause


def lines(loads: Callable[[bytes], object]) -> Connect:
    """What most people write: ``async for line in response.content``."""

    @asynccontextmanager
    async def connect(url: str) -> AsyncIterator[Read]:
        async def read(sink: Sink) -> None:
            async with post() as response:
                async for line in response.content:
                    field = line.strip()
                    if not field.startswith(b"data: "):
                        continue
                    payload = field[6:]
                    if payload == b"[DONE]":
                        continue
                    chunk: dict[str, list[dict[str, dict[str, str]]]] = loads(payload)  # type: ignore[assignment]  # JSON
                    choices = chunk["choices"]
                    text = choices[0]["delta"].get("content") if choices else None
                    if text and (pause := sink(text)) is not None:
                        await pause

        async with session(url) as post:
            yield read

    return connect


FLOORS = (
    Contestant("aiohttp bytes only", "floor", bytes_only, exact=False),
    Contestant("floor", "floor", naive(SmallReceives)),
)
LINES = (
    Contestant("aiohttp split + orjson", "peer", naive(aiohttp.TCPConnector)),
    Contestant("aiohttp lines + orjson", "peer", lines(orjson.loads)),
    Contestant("aiohttp lines + json", "peer", lines(json.loads)),
)


def everyone() -> Iterator[Contestant]:
    """All contestants. A module is loaded only when its turn comes, so that whoever looks
    for a floor has not imported ours."""
    yield from FLOORS
    for module, names in ((".ours", "OURS"), ("", "LINES"), (".peers", "PEERS")):
        yield from getattr(import_module(module or __name__, __package__), names)


def find(name: str) -> Contestant:
    return next(one for one in everyone() if one.name == name)
