"""The other clients from PyPI, as contestants; each imports its package when it connects.

One that is not installed says so with an ImportError, and is a line under the table.
To have them all: ``pip install openai httpx-aiohttp httpx-sse aiohttp-sse-client2 litellm g4f``.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import aiohttp

from .contestants import BODY, PROMPT, Connect, Contestant, Read, Sink

__all__ = ["PEERS"]

MESSAGES: Any = BODY["messages"]


def peer(module: str) -> Any:
    """The peers are not among the development dependencies, so nothing is known of their types."""
    return import_module(module)


async def hand_on(stream: Any, sink: Sink) -> None:
    """Chunks as openai's package models them, and everyone after it."""
    async for chunk in stream:
        if chunk.choices:
            text = chunk.choices[0].delta.content
            if text and (pause := sink(text)) is not None:
                await pause


def openai(backend: str) -> Connect:
    @asynccontextmanager
    async def connect(url: str) -> AsyncIterator[Read]:
        module = peer("openai")
        peer(backend)
        http = module.DefaultAioHttpClient() if backend == "httpx_aiohttp" else None

        async def read(sink: Sink) -> None:
            chats = client.chat.completions
            await hand_on(await chats.create(model="m", messages=MESSAGES, stream=True), sink)

        async with module.AsyncOpenAI(
            base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http
        ) as client:
            yield read

    return connect


@asynccontextmanager
async def litellm(url: str) -> AsyncIterator[Read]:
    # It fetches a price list while it is imported, unless told not to.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    module = peer("litellm")
    module.telemetry = False

    async def read(sink: Sink) -> None:
        stream = await module.acompletion(
            model="openai/m", messages=MESSAGES, stream=True, api_base=f"{url}/v1", api_key="none"
        )
        await hand_on(stream, sink)

    yield read


@asynccontextmanager
async def httpx_sse(url: str) -> AsyncIterator[Read]:
    httpx, sse = peer("httpx"), peer("httpx_sse")

    async def read(sink: Sink) -> None:
        where = f"{url}/v1/chat/completions"
        async with sse.aconnect_sse(client, "POST", where, json=BODY) as source:
            async for event in source.aiter_sse():
                if event.data == "[DONE]":
                    continue
                choices = json.loads(event.data)["choices"]
                text = choices[0]["delta"].get("content") if choices else None
                if text and (pause := sink(text)) is not None:
                    await pause

    async with httpx.AsyncClient(timeout=None) as client:
        yield read


@asynccontextmanager
async def aiohttp_sse(url: str) -> AsyncIterator[Read]:
    source = peer("aiohttp_sse_client2.client").EventSource

    async def read(sink: Sink) -> None:
        where = f"{url}/v1/chat/completions"
        async with source(where, option={"method": "POST"}, session=session, json=BODY) as events:
            async for event in events:
                if event.data == "[DONE]":
                    break  # going on would make it connect again, as an EventSource does
                choices = json.loads(event.data)["choices"]
                text = choices[0]["delta"].get("content") if choices else None
                if text and (pause := sink(text)) is not None:
                    await pause

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        yield read


@asynccontextmanager
async def g4f(url: str) -> AsyncIterator[Read]:
    module = peer("g4f.client")
    template = peer("g4f.Provider.template").OpenaiTemplate
    known = {"base_url": f"{url}/v1", "default_model": "m", "models": ["m"], "working": True}
    provider = type("Replay", (template,), known)
    client = module.AsyncClient(provider=provider)

    async def read(sink: Sink) -> None:
        chats = client.chat.completions
        await hand_on(chats.create(model="m", messages=PROMPT, stream=True), sink)

    yield read


PEERS = (
    Contestant("aiohttp-sse-client2 + json", "peer", aiohttp_sse, slow=2),
    Contestant("httpx-sse + json", "peer", httpx_sse, slow=4),
    Contestant("g4f AsyncClient", "peer", g4f, slow=4, exact=False),
    Contestant("openai (aiohttp)", "peer", openai("httpx_aiohttp"), slow=10),
    Contestant("openai (httpx)", "peer", openai("httpx"), slow=10),
    Contestant("litellm", "peer", litellm, slow=20),
)
