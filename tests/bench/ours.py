"""The three doors of async_copilot, as contestants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from async_copilot import CopilotClient, content_deltas

from .contestants import PROMPT, Contestant, Read, Sink, SmallReceives, session

__all__ = ["OURS"]


@asynccontextmanager
async def deltas(url: str) -> AsyncIterator[Read]:
    async def read(sink: Sink) -> None:
        async with post() as response:
            async for text in content_deltas(response):
                if text and (pause := sink(text)) is not None:
                    await pause

    # The caller's session, so the same one as the floor's.
    async with session(url, SmallReceives, read_bufsize=2**16) as post:
        yield read


@asynccontextmanager
async def client_text(url: str) -> AsyncIterator[Read]:
    async def read(sink: Sink) -> None:
        async with client.stream(PROMPT, model="m") as reply:
            async for text in reply:
                if text and (pause := sink(text)) is not None:
                    await pause

    async with CopilotClient(base_url=f"{url}/v1") as client:
        yield read


@asynccontextmanager
async def client_chunks(url: str) -> AsyncIterator[Read]:
    async def read(sink: Sink) -> None:
        async with client.stream(PROMPT, model="m") as reply:
            async for chunk in reply.chunks():
                text = chunk.content
                if text and (pause := sink(text)) is not None:
                    await pause

    async with CopilotClient(base_url=f"{url}/v1") as client:
        yield read


@asynccontextmanager
async def conversation(url: str) -> AsyncIterator[Read]:
    async def read(sink: Sink) -> None:
        async with client.conversation().stream(PROMPT) as reply:
            async for text in reply:
                if text and (pause := sink(text)) is not None:
                    await pause

    async with CopilotClient(base_url=f"{url}/v1") as client:
        yield read


OURS = (
    Contestant("content_deltas", "ours", deltas),
    Contestant("client.stream", "ours", client_text),
    Contestant("reply.chunks", "ours", client_chunks),
    Contestant("Conversation", "ours", conversation),
)
