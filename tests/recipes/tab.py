"""A browser tab, as far as a relay knows one: a question out, frames in, closed at any time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from async_copilot.fake_server import FakeAnswer, FakeServer, Stall

__all__ = ["PACED", "STALLED", "WORDS", "Tab", "assert_closing_it_ends_the_turn", "opened"]

WORDS = [f"word{number} " for number in range(12)]
PACED = FakeAnswer(WORDS, pace=40)
STALLED = FakeAnswer(WORDS, fault=Stall(after=3))


class Tab:
    """One open answer of a relay."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def frames(self) -> AsyncIterator[dict[str, Any]]:
        waiting = b""
        async for data in self.response.content.iter_any():
            *frames, waiting = (waiting + data).split(b"\n\n")
            for frame in frames:
                yield orjson.loads(frame.removeprefix(b"data: "))
        assert waiting == b"", "a relay ends with a whole frame"


@asynccontextmanager
async def opened(url: str, message: str = "Hello") -> AsyncIterator[Tab]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/chat", json={"message": message}) as response,
    ):
        yield Tab(response)


async def assert_closing_it_ends_the_turn(url: str, upstream: FakeServer) -> None:
    """Close a tab after three pieces; the chat server must see that within a second."""
    before = upstream.disconnects
    async with opened(url) as tab:
        text = ""
        async for frame in tab.frames():
            text += frame["text"]
            if text == "".join(WORDS[:3]):
                break
        await asyncio.sleep(0)
        assert upstream.disconnects == before
    await upstream.until(lambda: upstream.disconnects == before + 1, within=1.0)
