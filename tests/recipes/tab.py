"""A browser tab, as far as a relay knows one: a question out, events in, closed at any time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from async_copilot import SSEDecoder
from async_copilot.fake_server import FakeAnswer, Stall

__all__ = ["PACED", "STALLED", "TEXT", "WORDS", "Tab", "asked", "text_of"]

WORDS = [f"word{number} " for number in range(12)]
TEXT = "".join(WORDS)
PACED = FakeAnswer(WORDS, pace=40)
STALLED = FakeAnswer(WORDS, fault=Stall(after=3))


class Tab:
    """A reader of a relay's answers.

    name: of the answer it asked for.  last_event_id: as a browser keeps it.
    """

    def __init__(self, session: aiohttp.ClientSession, name: str) -> None:
        self.name = name
        self.last_event_id = ""
        self._session = session

    @asynccontextmanager
    async def opened(self, last_event_id: str = "") -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        async with self._session.get(f"/chat/{self.name}", headers=headers) as response:
            yield response

    async def events(self, last_event_id: str = "") -> AsyncIterator[dict[str, Any]]:
        """Yield the data of each event; leaving it closes the connection."""
        decoder = SSEDecoder()
        async with self.opened(last_event_id) as response:
            assert response.content_type == "text/event-stream"
            async for block in response.content.iter_any():
                for event in decoder.feed(block):
                    self.last_event_id = event.id
                    yield orjson.loads(event.data)


@asynccontextmanager
async def asked(url: str, message: str = "Hello") -> AsyncIterator[Tab]:
    """Ask the relay at url."""
    async with aiohttp.ClientSession(url) as session:
        async with session.post("/chat", json={"message": message}) as response:
            name = (await response.json())["name"]
        yield Tab(session, name)


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event.get("text", "") for event in events)
