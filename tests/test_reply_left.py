"""A reply that was left is over: to read on is the caller's slip, and is told as that."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import aiohttp
import pytest

from async_copilot import (
    ClientClosedError,
    CopilotClient,
    CopilotError,
    End,
    Observer,
    Reply,
    ReplyInUseError,
    Timeouts,
    UsageError,
    content_deltas,
)
from async_copilot.fake_server import FakeAnswer, FakeServer, Reset, Stall
from async_copilot.reading import Reading
from async_copilot.transport.body import Body
from async_copilot.transport.clocks import Watchdog

LEFT = "this reply was left; read it inside its async with"
WORDS = ["a ", "b ", "c ", "d"]

Read: TypeAlias = Callable[[Reply], AsyncIterator[Any]]
WAYS: dict[str, Read] = {
    "text": aiter,
    "chunks": lambda reply: reply.chunks(),
    "batches": lambda reply: reply.batches(interval=0),
}


class Ends(Observer):
    """What was told of the end, and what the reply was then."""

    def __init__(self) -> None:
        self.told: list[tuple[bytes, CopilotError | None]] = []

    def on_end(self, reply: Reply, error: CopilotError | None) -> None:
        self.told.append((pickle.dumps(reply), error))


def snapshot(reply: Reply) -> bytes:
    return pickle.dumps(reply)


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def read(request: pytest.FixtureRequest) -> Read:
    way: Read = request.param
    return way


@pytest.mark.parametrize("door", ["client", "conversation"])
@pytest.mark.parametrize(
    "answer", [FakeAnswer(WORDS), FakeAnswer(WORDS, fault=Stall(after=1))], ids=["whole", "begun"]
)
async def test_a_reply_that_is_read_first_after_its_block(
    door: str, answer: FakeAnswer, read: Read
) -> None:
    ends = Ends()
    async with (
        FakeServer(answer) as server,
        CopilotClient(base_url=server.url, observer=ends) as client,
    ):
        asks = client if door == "client" else client.conversation()
        async with asks.stream("Hi") as reply:
            pass
        with pytest.raises(ReplyInUseError, match=LEFT) as caught:
            async for _ in read(reply):
                pass
    assert isinstance(caught.value, UsageError)
    assert (reply.end, reply.text) == (End.CANCELLED, "")
    assert ends.told == [(snapshot(reply), None)]


async def test_a_reading_that_goes_on_after_the_block(read: Read) -> None:
    ends = Ends()
    async with (
        FakeServer(FakeAnswer(WORDS)) as server,
        CopilotClient(base_url=server.url, observer=ends) as client,
    ):
        async with client.stream("Hi") as reply:
            reading = read(reply)
            await anext(reading)
        with pytest.raises(ReplyInUseError, match=LEFT):
            await anext(reading)
        with pytest.raises(ReplyInUseError, match=LEFT):
            async for _ in reading:
                pass
        with pytest.raises(ReplyInUseError, match=LEFT):
            await anext(read(reply))
    assert reply.end is End.CANCELLED
    assert ends.told == [(snapshot(reply), None)]


async def test_a_reading_obtained_in_the_block_and_begun_after_it(read: Read) -> None:
    async with FakeServer("Hello") as server, CopilotClient(base_url=server.url) as client:
        async with client.stream("Hi") as reply:
            reading = read(reply)
        with pytest.raises(ReplyInUseError, match=LEFT):
            await anext(reading)
        asending: Any = reading
        with pytest.raises(ReplyInUseError, match=LEFT):
            await asending.asend(None)
    assert (reply.end, reply.text) == (End.CANCELLED, "")


async def test_a_reading_that_came_to_its_end_has_just_ended(read: Read) -> None:
    async with FakeServer("Hello") as server, CopilotClient(base_url=server.url) as client:
        async with client.stream("Hi") as reply:
            reading = read(reply)
            assert [one async for one in reading]
        assert [one async for one in reading] == []
        with pytest.raises(ReplyInUseError, match=LEFT):
            read(reply)
    assert (reply.end, reply.text) == (End.COMPLETE, "Hello")


@pytest.mark.parametrize("door", ["client", "conversation"])
async def test_a_reply_that_was_awaited_to_its_end_has_its_text(door: str, read: Read) -> None:
    async with FakeServer(WORDS) as server, CopilotClient(base_url=server.url) as client:
        reply = await (
            client.complete("Hi") if door == "client" else client.conversation().ask("Hi")
        )
        with pytest.raises(ReplyInUseError, match=rf"{LEFT}; .* its text is reply\.text"):
            await anext(read(reply))


async def test_the_classic_slip_a_generator_handed_out_of_the_block() -> None:
    async with (
        FakeServer(FakeAnswer(WORDS)) as server,
        CopilotClient(base_url=server.url) as client,
    ):

        async def relayed() -> AsyncIterator[str]:
            async def texts(reply: Reply) -> AsyncIterator[str]:
                async for text in reply:
                    yield text

            async with client.stream("Hi") as reply:
                return texts(reply)

        with pytest.raises(ReplyInUseError, match=LEFT):
            assert [text async for text in await relayed()] == []


async def test_a_reading_is_a_generator_that_can_be_closed_and_thrown_into(read: Read) -> None:
    async with (
        FakeServer(FakeAnswer(WORDS)) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        async with client.stream("Hi") as reply:
            reading: Any = read(reply)
            async with aclosing(reading):
                await reading.asend(None)
            assert reply.end is End.CANCELLED
        async with client.stream("Hi") as reply:
            reading = read(reply)
            await anext(reading)
            with pytest.raises(KeyError):
                await reading.athrow(KeyError("mine"))
            assert reply.end is End.CANCELLED


async def test_a_task_that_reads_while_the_reply_is_left_and_then_once_more(read: Read) -> None:
    async with (
        FakeServer(FakeAnswer(WORDS, fault=Stall(after=1))) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        async with client.stream("Hi") as reply:
            reading = read(reply)
            while not reply.text:
                await anext(reading)
            going_on = asyncio.ensure_future(anext(reading))
            await asyncio.sleep(0)
        with pytest.raises(ClientClosedError, match="still read it"):
            await going_on
        with pytest.raises((ReplyInUseError, StopAsyncIteration)):
            await anext(reading)
    assert (reply.end, reply.text) == (End.CANCELLED, "a ")


@pytest.mark.parametrize("begun", [False, True], ids=["first", "on"])
async def test_a_response_of_yours_that_is_read_after_its_block(begun: bool) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    reply = Reply()
    async with (
        FakeServer(FakeAnswer(WORDS, pace=100)) as server,
        aiohttp.ClientSession() as session,
    ):
        async with session.post(f"{server.url}/chat/completions", json=body) as response:
            texts = content_deltas(response, reply=reply)
            if begun:
                assert await anext(texts) == "a "
        with pytest.raises(ReplyInUseError, match="the response was left; read it inside"):
            async for _ in texts:
                pass
    assert reply.end is End.CANCELLED


async def read_whole(response: aiohttp.ClientResponse) -> None:
    await response.read()


async def read_as_deltas(response: aiohttp.ClientResponse) -> None:
    assert [text async for text in content_deltas(response)] == WORDS


@pytest.mark.parametrize("read", [read_whole, read_as_deltas])
async def test_a_response_of_yours_that_was_read_before_is_told_as_that(
    read: Callable[[aiohttp.ClientResponse], Any],
) -> None:
    """Not as a server that has cut its answer off."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    async with (
        FakeServer(FakeAnswer(WORDS)) as server,
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/chat/completions", json=body) as response,
    ):
        await read(response)
        with pytest.raises(ReplyInUseError, match="the body of this response was read before"):
            await anext(content_deltas(response))


class Slow:
    """A source whose second body comes when the reply was left already."""

    def __init__(self, *responses: aiohttp.ClientResponse) -> None:
        self.bodies = [Body(response, Watchdog(Timeouts())) for response in responses]
        self.opened = 0
        self.opening = asyncio.Event()
        self.go_on = asyncio.Event()

    async def open(self, replaced: Callable[[CopilotError], None]) -> Body:
        self.opened += 1
        if self.opened == 2:
            self.opening.set()
            await self.go_on.wait()
        return self.bodies[self.opened - 1]

    def pause(self, failure: CopilotError, retries: int) -> float:
        return 0.0

    async def wait(self, seconds: float) -> None:
        """At once."""

    def abort(self, error: CopilotError) -> None:
        """It cannot be aborted."""

    def mask(self, error: CopilotError) -> None:
        """It has no secrets."""


async def test_a_body_that_comes_after_the_reply_was_left_changes_nothing() -> None:
    ends, reply = Ends(), Reply()
    async with (
        FakeServer([FakeAnswer("Hello", fault=Reset(after=0)), "Other"]) as server,
        aiohttp.ClientSession() as session,
    ):
        url, body = f"{server.url}/chat/completions", {"messages": [], "stream": True}
        source = Slow(await session.post(url, json=body), await session.post(url, json=body))
        reading = Reading(source, reply, strict=True, max_event_bytes=1000, observer=ends)
        await reading.open()
        reply.read_from(reading)
        going_on = asyncio.ensure_future(anext(reply))
        await source.opening.wait()
        await reply.aclose()
        source.go_on.set()
        with pytest.raises(ClientClosedError, match="still read it"):
            await going_on
        assert source.bodies[1].response.closed
    assert (reply.end, reply.text) == (End.CANCELLED, "")
    assert ends.told == [(snapshot(reply), None)]


async def test_a_client_that_closes_leaves_an_answer_that_is_here_whole() -> None:
    """Read to its end, or up to its finish reason: what follows is not of the answer."""
    for fault in ((), Stall(after="finish")):
        async with (
            FakeServer(FakeAnswer("Hello", fault=fault)) as server,
            CopilotClient(base_url=server.url) as client,
            client.stream("Hi") as reply,
        ):
            reading = asyncio.create_task(joined(reply))
            while reply.finish_reason is None:  # noqa: ASYNC110  # the reply tells nobody
                await asyncio.sleep(0)
            await client.aclose()
            assert await reading == "Hello"
            assert reply.end is End.COMPLETE


async def joined(reply: Reply) -> str:
    return "".join([text async for text in reply])
