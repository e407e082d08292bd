"""The client end to end against a real LiteLLM proxy with a real g4f API behind it.

Opt-in (``ASYNC_COPILOT_INTEROP=litellm``): the installation is large. Enters: the proxy,
running. Leaves: a row of the "Works with" table. I/O: loopback only.
"""

from __future__ import annotations

import time

import aiohttp
import pytest

from async_copilot import (
    BadRequestError,
    CopilotClient,
    End,
    RateLimitError,
    ServerStatusError,
    StreamError,
    content_deltas,
)

from .conftest import Found
from .habits import journalled
from .servers import LITELLM, Running

pytestmark = pytest.mark.interop
SERVERS = (LITELLM,)


def client_of(server: Running) -> CopilotClient:
    """A client without retries: each failure is looked at."""
    return CopilotClient(base_url=server.url, max_retries=0)


async def test_content_deltas_reads_a_response_of_your_own(server: Running) -> None:
    """Door 1: `content_deltas(response)`."""
    message = {"role": "user", "content": "!count 100"}
    body = {"model": "copilot", "stream": True, "messages": [message]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/chat/completions", json=body) as response,
    ):
        pieces = [text async for text in content_deltas(response)]
    assert "".join(pieces) == "".join(f"{n} " for n in range(100))


async def test_stream_and_complete_give_the_same_answer(server: Running) -> None:
    """Door 2: `client.stream()` and `client.complete()`."""
    async with client_of(server) as client:
        async with client.stream("Anybody there?", model="copilot") as reply:
            text = "".join([text async for text in reply])
        whole = await client.complete(
            "Anybody there?", model="copilot", stream_options={"include_usage": True}
        )
    assert text == reply.text == whole.text == "I am here."
    assert reply.end is whole.end is End.COMPLETE
    assert whole.usage is not None


async def test_a_conversation_with_its_history_remembers(server: Running, found: Found) -> None:
    """Door 3: `client.conversation(memory="client")` remembers."""
    async with client_of(server) as client:
        chat = client.conversation(memory="client", system="Be brief.", model="copilot")
        await chat.ask("Hello, i am Ada.")
        assert (await chat.ask("!recall my name")).text == "Your name is Ada."
        chat = client.conversation(model="copilot")
        await chat.ask("Hello, i am Ada.")
        reply = await chat.ask("What is my name?")
    assert reply.text == "You have not told me your name."
    assert reply.conversation is None
    found.differs('drops g4f\'s `conversation`: use `memory="client"`')


async def test_reasoning_stays_apart(server: Running) -> None:
    """Reasoning stays apart from the text."""
    async with client_of(server) as client:
        reply = await client.complete("!reasoning", model="copilot")
    assert (reply.reasoning, reply.text) == ("The user greets. I greet back.", "Hello!")


async def test_failures_before_and_in_the_stream(server: Running) -> None:
    """The provider fails before and in the stream: type, status, code."""
    async with client_of(server) as client:
        with pytest.raises(RateLimitError) as limited:
            await client.complete("!raise-first RateLimitError", model="copilot")
        with pytest.raises(ServerStatusError):
            await client.complete("!raise-first RuntimeError", model="copilot")
        with pytest.raises(BadRequestError):
            await client.complete("Hello", model="nobody's")
        with pytest.raises(StreamError) as broken:
            await client.complete("!raise-mid RuntimeError", model="copilot")
    assert (limited.value.status, limited.value.code) == (429, "429")
    assert broken.value.code == "500"
    assert broken.value.reply is not None
    assert broken.value.reply.text.startswith("One ")


async def test_a_cut_answer_is_handed_on_as_a_whole_one(server: Running, found: Found) -> None:
    """An answer cut behind the proxy."""
    async with client_of(server) as client:
        reply = await client.complete("!abort", model="copilot")
    assert (reply.text, reply.end) == ("One two three ", End.COMPLETE)
    found.figure = "looks whole"
    found.differs("passes an answer cut behind it off as a whole one")


async def test_leaving_is_seen_by_the_provider_behind(server: Running, found: Found) -> None:
    """Leaving early is seen by the provider."""
    assert server.behind is not None
    async with client_of(server) as client, client.stream("!endless e", model="copilot") as reply:
        async for _text in reply:
            break
    left_at = time.time()
    entry = await journalled(server.behind, "left", tag="e")
    found.figure = f"{max(0.0, entry['time'] - left_at) * 1000:.0f} ms"
