"""A reply has one reader, is filled once, and says so."""

from __future__ import annotations

import asyncio
import inspect

import aiohttp
import pytest
from fault_script import SSE, chunk, event
from fault_server import FaultServer

from async_copilot import (
    ClientClosedError,
    CopilotClient,
    End,
    Reply,
    ReplyInUseError,
    StreamError,
    content_deltas,
)
from async_copilot.fake_server import FakeAnswer, FakeServer, Stall

SLOW = FakeAnswer(["Hel", "lo"], fault=Stall(after=1))


async def test_a_second_loop_goes_on_where_the_first_one_was_left() -> None:
    async with (
        FakeServer(FakeAnswer(["Hel", "lo", " there"])) as server,
        CopilotClient(base_url=server.url) as client,
        client.stream("Hi") as reply,
    ):
        async for text in reply:
            assert text == "Hel"
            break
        assert [text async for text in reply] == ["lo", " there"]
        assert reply.text == "Hello there"


async def test_chunks_too_go_on_where_they_were_left() -> None:
    async with (
        FakeServer(FakeAnswer(["Hel", "lo"])) as server,
        CopilotClient(base_url=server.url) as client,
        client.stream("Hi") as reply,
    ):
        first = await anext(reply.chunks())
        rest = [chunk.content async for chunk in reply.chunks()]
    assert first.content + "".join(rest) == "Hello"


@pytest.mark.parametrize("other", ["chunks", "batches"])
async def test_text_and_another_way_of_reading_do_not_mix(other: str) -> None:
    async with (
        FakeServer("Hello") as server,
        CopilotClient(base_url=server.url) as client,
        client.stream("Hi") as reply,
    ):
        await anext(reply)
        with pytest.raises(ReplyInUseError, match="being read already"):
            getattr(reply, other)()
        assert "".join([text async for text in reply])


async def test_a_second_task_is_refused_and_the_first_goes_on() -> None:
    async with (
        FakeServer(FakeAnswer(["Hel", "lo"], pace=20)) as server,
        CopilotClient(base_url=server.url) as client,
        client.stream("Hi") as reply,
    ):
        assert await anext(reply) == "Hel"
        reading = asyncio.ensure_future(anext(reply))
        await asyncio.sleep(0)
        with pytest.raises(ReplyInUseError):
            aiter(reply)
        assert await reading == "lo"


async def test_leaving_a_reply_that_a_task_still_reads_fails_that_task() -> None:
    async with FakeServer(SLOW) as server, CopilotClient(base_url=server.url) as client:
        async with client.stream("Hi") as reply:
            assert await anext(reply) == "Hel"
            reading = asyncio.ensure_future(anext(reply))
            await asyncio.sleep(0)
        with pytest.raises(ClientClosedError, match="still read it"):
            await reading
    assert (reply.end, reply.text) == (End.CANCELLED, "Hel")


async def test_a_reply_is_filled_once() -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    async with (
        FakeServer("Hello") as server,
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/chat/completions", json=body) as response,
    ):
        reply = Reply()
        texts = [text async for text in content_deltas(response, reply=reply)]
        assert (reply.end, reply.text) == (End.COMPLETE, "".join(texts))
        with pytest.raises(ReplyInUseError, match="filled once"):
            await anext(content_deltas(response, reply=reply))


async def test_an_error_of_content_deltas_brings_all_that_was_told() -> None:
    told = {"choices": [], "model": "m", "usage": {"total_tokens": 3}}
    async with (
        FaultServer((SSE, chunk(event(told) + event({"error": {"message": "no"}})))) as server,
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/chat/completions", json={}) as response,
    ):
        with pytest.raises(StreamError) as caught:
            await anext(content_deltas(response))
    reply = caught.value.reply
    assert reply is not None
    assert (reply.model, reply.usage, reply.end) == ("m", told["usage"], End.ERROR)


def test_content_deltas_is_an_async_generator_function() -> None:
    assert inspect.isasyncgenfunction(content_deltas)


async def test_a_reply_that_nothing_fills_says_so() -> None:
    with pytest.raises(ReplyInUseError, match="content_deltas"):
        await anext(Reply())


async def test_a_stream_is_entered_once() -> None:
    async with FakeServer("Hello") as server, CopilotClient(base_url=server.url) as client:
        stream = client.stream("Hi")
        async with stream as reply:
            assert [text async for text in reply]
        with pytest.raises(ReplyInUseError, match="call stream\\(\\) again"):
            await stream.__aenter__()
        assert reply.end is End.COMPLETE
        assert len(server.requests) == 1


@pytest.mark.parametrize("way", ["text", "chunks"])
async def test_log_probabilities_are_those_of_all_tokens(way: str) -> None:
    answer = FakeAnswer(["Hel", "lo"], logprobs=[-0.5, -0.25])
    async with (
        FakeServer([answer, "Hello"], dialect="openai") as server,
        CopilotClient(base_url=server.url, model="m", memory="client") as client,
    ):
        async with client.stream("Hi", logprobs=True) as reply:
            async for _ in reply if way == "text" else reply.chunks():
                pass
        assert reply.logprobs is not None
        tokens = [(token["token"], token["logprob"]) for token in reply.logprobs["content"]]
        assert tokens == [("Hel", -0.5), ("lo", -0.25)]
        assert (await client.complete("Hi")).logprobs is None
