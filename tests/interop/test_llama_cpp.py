"""The client end to end against a real llama-cpp-python server, on a tiny random model.

Opt-in (``ASYNC_COPILOT_INTEROP=llama_cpp``): the installation compiles for minutes.
Enters: the server, running. Leaves: a row of the "Works with" table. I/O: loopback only.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from async_copilot import (
    AuthenticationError,
    CopilotClient,
    End,
    TruncatedError,
    content_deltas,
)

from .conftest import Found
from .servers import LLAMA_CPP, Running, launched

pytestmark = pytest.mark.interop
SERVERS = (LLAMA_CPP,)
# The same letters each time.
SHORT: dict[str, Any] = {"max_tokens": 24, "temperature": 0, "provider": None}
LONG: dict[str, Any] = {**SHORT, "max_tokens": 900}


def client_of(server: Running) -> CopilotClient:
    """A client without retries: each failure is looked at."""
    return CopilotClient(base_url=server.url, max_retries=0)


async def test_the_doors_give_the_same_answer(server: Running) -> None:
    """Doors 1 and 2: `content_deltas()`, `stream()`, `complete()`."""
    messages = [{"role": "user", "content": "Hello"}]
    body = {"messages": messages, "stream": True, "max_tokens": 24, "temperature": 0}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/chat/completions", json=body) as response,
    ):
        raw = "".join([text async for text in content_deltas(response)])
    async with client_of(server) as client:
        async with client.stream("Hello", **SHORT) as reply:
            text = "".join([text async for text in reply])
        whole = await client.complete("Hello", **SHORT)
        at_once = await client.complete("Hello", stream=False, **SHORT)
    assert raw == text == whole.text == at_once.text
    assert len(text) == 24
    assert (whole.end, whole.finish_reason) == (End.COMPLETE, "length")


async def test_a_conversation_sends_its_history(server: Running) -> None:
    """Door 3: `client.conversation(memory="client")` sends its history."""
    async with client_of(server) as client:
        chat = client.conversation(memory="client", system="Be brief.", **SHORT)
        first = await chat.ask("Hello")
        second = await chat.ask("Hello")
    assert len(chat.history) == 4
    assert first.text != second.text, "the second answer saw the first turn"


async def test_a_prompt_beyond_the_context(server: Running, found: Found) -> None:
    """A prompt beyond the context is an error, though its status is 200."""
    async with client_of(server) as client:
        with pytest.raises(TruncatedError):
            await client.complete("x" * 5000, **SHORT)
        assert (await client.complete("Hello", **SHORT)).end is End.COMPLETE
    found.differs("answers a prompt beyond its context with 200 and nothing")


async def test_a_second_request_interrupts_the_first(server: Running, found: Found) -> None:
    """A second request while the first is answered."""
    async with client_of(server) as client, client.stream("Hello", **LONG) as first:
        texts = aiter(first)
        await anext(texts)
        second = asyncio.create_task(client.complete("Good day", **SHORT))
        rest = [text async for text in texts]
        assert (await second).end is End.COMPLETE
    assert first.end is End.DONE, (first.end, len(rest))
    assert first.finish_reason is None
    found.figure = "ends the first (End.DONE)"
    found.differs("ends an answer when the next request comes")


async def test_a_server_with_a_key(server: Running, tmp_path: Path) -> None:
    """A server key: missing, wrong and right."""
    with launched(server.server, tmp_path / "keyed", INTEROP_SERVER_KEY="right-key") as keyed:
        async with CopilotClient(base_url=keyed.url, api_key="right-key") as client:
            assert (await client.complete("Hello", **SHORT)).end is End.COMPLETE
        for key in (None, "wrong-key"):
            async with CopilotClient(base_url=keyed.url, api_key=key) as client:
                with pytest.raises(AuthenticationError) as caught:
                    await client.complete("Hello", **SHORT)
            assert caught.value.status == 401
