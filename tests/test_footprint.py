"""What a reply takes besides its deltas: timers, buffers, memory, and nothing once it is over."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest
from bench.contestants import find
from bench.counts import counts
from fault_script import HELLO, HOLD, SSE, said
from fault_server import FaultServer

from async_copilot import CopilotClient, content_deltas
from async_copilot.fake_server import FakeAnswer, FakeServer
from async_copilot.transport.alarm import Alarm
from async_copilot.transport.connections import RECEIVE_BYTES, used_connections
from async_copilot.wire.answer import Answer
from async_copilot.wire.chat import ChatChunk
from async_copilot.wire.request import request_body

Way = Callable[[FaultServer, CopilotClient, aiohttp.ClientSession], Awaitable[None]]

HERE = "async_copilot."
# A client's own, the gate's tickets among it, which are remembered up to a bound.
ELSEWHERE = ("async_copilot.fake_server", "async_copilot.client", "async_copilot.transport.gate")


async def whole(_: FaultServer, client: CopilotClient, __: aiohttp.ClientSession) -> None:
    assert (await client.complete("Hi")).text == "Hello"


async def in_chunks(_: FaultServer, client: CopilotClient, __: aiohttp.ClientSession) -> None:
    async with client.stream("Hi") as reply:
        assert [chunk.content async for chunk in reply.chunks()]


async def in_batches(_: FaultServer, client: CopilotClient, __: aiohttp.ClientSession) -> None:
    async with client.stream("Hi") as reply:
        assert [text async for text in reply.batches(interval=0)]


async def left(_: FaultServer, client: CopilotClient, __: aiohttp.ClientSession) -> None:
    async with client.stream("Hi") as reply:
        async for _text in reply:
            break


async def never_read(_: FaultServer, client: CopilotClient, __: aiohttp.ClientSession) -> None:
    async with client.stream("Hi"):
        pass


async def a_turn(_: FaultServer, client: CopilotClient, __: aiohttp.ClientSession) -> None:
    await client.conversation().ask("Hi")


async def borrowed(server: FaultServer, _: CopilotClient, session: aiohttp.ClientSession) -> None:
    async with session.post(server.url, json={}) as response:
        assert [text async for text in content_deltas(response)]


def ours() -> Counter[str]:
    """The objects of a reply, by their class, that the collector knows of."""
    modules = (type(one).__module__ for one in gc.get_objects())
    return Counter(
        name for name in modules if name.startswith(HERE) and not name.startswith(ELSEWHERE)
    )


@contextmanager
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "way",
    [whole, in_chunks, in_batches, left, never_read, a_turn, borrowed],
    ids=lambda way: way.__name__,
)
async def test_a_reply_that_is_over_leaves_nothing_to_collect(way: Way) -> None:
    async with (
        FaultServer(HELLO) as server,
        CopilotClient(base_url=server.url) as client,
        aiohttp.ClientSession() as session,
    ):
        await way(server, client, session)
        with uncollected():
            before = ours()
            for _ in range(3):
                await way(server, client, session)
            await asyncio.sleep(0)
            assert ours() == before


async def test_a_reply_takes_one_timer_and_a_second_one_after_its_finish_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    armed: list[float] = []

    def call_at(when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        if isinstance(getattr(callback, "__self__", None), Alarm):
            armed.append(when)
        return plainly(when, callback, *args, context=context)

    plainly = loop.call_at
    async with (
        FakeServer(FakeAnswer(["word "] * 50, pace=500)) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        monkeypatch.setattr(loop, "call_at", call_at)
        assert (await client.complete("Hi")).text == "word " * 50
    assert 1 <= len(armed) <= 2


async def test_receive_buffers_are_below_the_size_that_malloc_maps() -> None:
    """From its first answer on, even one that comes whole with its headers."""
    async with (
        FaultServer(HELLO) as server,
        aiohttp.ClientSession() as session,
        CopilotClient(base_url=server.url, session=session) as client,
    ):
        await client.complete("Hi")
        (protocol,) = used_connections(session)
        assert protocol.transport.max_size == RECEIVE_BYTES


async def test_so_does_one_that_the_caller_has_opened() -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    async with (
        FakeServer(FakeAnswer(["Hel", "lo"], pace=50)) as server,
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/chat/completions", json=body) as response,
    ):
        assert await anext(content_deltas(response)) == "Hel"
        assert response.connection is not None
        assert getattr(response.connection.transport, "max_size", None) == RECEIVE_BYTES


@pytest.mark.parametrize("name", ["content_deltas", "client.stream", "Conversation"])
async def test_a_delta_that_comes_alone_takes_a_dozen_calls_of_ours(name: str) -> None:
    """Counted, so that a loaded machine changes nothing; what they cost, the benchmark says."""
    ours = await counts(find(name), deltas=20, streams=1)
    assert 8 < ours["own"] < 13


async def test_a_stream_that_waits_is_22_objects_of_ours() -> None:
    async with (
        FaultServer((SSE, said("Hel"), HOLD)) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        before = ours()
        async with client.stream("Hi") as reply:
            assert await anext(reply) == "Hel"
            more = ours() - before
        assert 8 < sum(more.values()) <= 22, more


@pytest.mark.parametrize(("name", "most"), [("content_deltas", 4608), ("client.stream", 5632)])
async def test_a_stream_that_waits_takes_a_few_kib_more_than_a_bare_loop(
    name: str, most: int
) -> None:
    """More than a bare loop over the same response; Python's own memory alone.

    Some 500 bytes of room: what ran before in the process changes the figures a little.
    """
    floor, ours = [await counts(find(one), deltas=1, streams=20) for one in ("floor", name)]
    assert 1024 < ours["bytes"] - floor["bytes"] < most


@contextmanager
def traced() -> Iterator[list[int]]:
    """Bytes that are held more at the block's end than at its beginning."""
    held: list[int] = []
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield held
        held.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()


async def test_a_request_is_not_kept_once_text_of_its_answer_was_handed_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone: list[bool] = []

    class Written(bytes):
        def __del__(self) -> None:
            gone.append(True)

    monkeypatch.setattr(
        "async_copilot.client.request_body", lambda *_, **__: Written(b'{"messages":[]}')
    )
    async with (
        FaultServer((SSE, said("Hel"), HOLD)) as server,
        CopilotClient(base_url=server.url) as client,
        client.stream("Hi") as reply,
    ):
        assert gone == []
        assert await anext(reply) == "Hel"
        assert gone == [True]


def test_a_request_holds_its_body_and_no_room_besides() -> None:
    with traced() as held:
        body = request_body([{"role": "user", "content": "x" * 100_000}], stream=True)
    assert held[0] < 1.1 * len(body)


@pytest.mark.parametrize("kind", ["content", "reasoning", "refusal"])
def test_small_pieces_of_text_do_not_stay_objects_of_their_own(kind: str) -> None:
    answer = Answer()
    with traced() as held:
        for number in range(10_000):
            answer.absorb(ChatChunk(index=1, **{kind: f"{number:05} "}))  # type: ignore[arg-type]  # text
    assert held[0] < 3 * 60_000
    texts = (answer.choices[1].text, answer.choices[1].reasoning, answer.choices[1].refusal)
    assert "".join(texts).split() == [f"{number:05}" for number in range(10_000)]
