"""reply.batches(): never too often, never too late, nothing lost, nothing left over."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_copilot import (
    ClientClosedError,
    CopilotClient,
    CopilotError,
    DisconnectedError,
    End,
    InvalidRequestError,
    Reply,
    ReplyInUseError,
    SilenceTimeoutError,
    StreamError,
    Timeouts,
    TruncatedError,
)
from async_copilot.fake_server import (
    ErrorFrame,
    FakeAnswer,
    FakeServer,
    Repeat,
    Reset,
    Script,
    Stall,
    Truncate,
)
from async_copilot.transport.batches import Batch

WORDS = [f"word{number} " for number in range(30)]
TEXT = "".join(WORDS)
PACED = FakeAnswer(WORDS, pace=150)  # 0.2 s


@asynccontextmanager
async def asked(
    script: Script, *, timeouts: Timeouts | None = None
) -> AsyncIterator[tuple[FakeServer, CopilotClient, Reply]]:
    async with (
        FakeServer(script) as server,
        CopilotClient(base_url=server.url, timeouts=timeouts or Timeouts()) as client,
        client.stream("Hello") as reply,
    ):
        yield server, client, reply


async def read(reply: Reply, into: list[str], **pace: Any) -> None:
    async for batch in reply.batches(**pace):
        into.append(batch)  # noqa: PERF401  # what came before an error is wanted too


def now() -> float:
    return asyncio.get_running_loop().time()


# ------------------------------------------------------------------ the pace


async def test_batches_are_the_text_and_keep_their_distance() -> None:
    """Even the last one, which has the end of the reply right behind it."""
    async with asked(PACED) as (_, _, reply):
        batches, times = [], []
        async for batch in reply.batches(interval=0.06):
            batches.append(batch)
            times.append(now())
            assert reply.text == "".join(batches)
    assert "".join(batches) == TEXT
    assert 3 <= len(batches) <= (times[-1] - times[0]) / 0.06 + 1.1
    # The clock is read a little later here than where the pace is kept.
    assert all(later - earlier > 0.05 for earlier, later in pairwise(times))
    assert reply.end is End.COMPLETE


async def test_the_first_batch_comes_with_the_first_text() -> None:
    async with asked(FakeAnswer(WORDS, fault=Stall(after=1))) as (_, _, reply):
        asked_at = now()
        assert await anext(reply.batches(interval=30.0)) == WORDS[0]
    assert now() - asked_at < 5


async def test_waiting_text_is_handed_out_while_the_server_says_nothing() -> None:
    script = FakeAnswer(WORDS, pace=100, fault=Stall(after=3))
    async with asked(script) as (server, _, reply):
        batches = reply.batches(interval=0.1)
        first = await anext(batches)
        assert first + await anext(batches) == "".join(WORDS[:3])
        assert server.disconnects == 0


async def test_a_reply_that_never_lets_one_wait_is_handed_out_all_the_same() -> None:
    """And the rest of the program gets its turn: neither reader starves the other."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    async with asked(FakeAnswer("x" * 3000, fault=Repeat(after="content"))) as (_, _, reply):
        ticking = asyncio.create_task(tick())
        times = []
        async for _ in reply.batches(interval=0.05):
            times.append(now())
            if len(times) == 5:
                break
        ticking.cancel()
    assert times[-1] - times[0] < 2
    assert ticks >= 8


async def test_a_slow_sink_gets_at_once_all_that_came_meanwhile() -> None:
    async with asked(PACED) as (server, _, reply):
        batches = reply.batches(interval=0.01)
        first = await anext(batches)
        await server.until(lambda: server.requests[0].ended is not None)
        returned = now()
        assert first + await anext(batches) == TEXT
        assert now() - returned < 0.1
        assert [batch async for batch in batches] == []
    assert reply.end is End.COMPLETE


async def test_nothing_is_read_while_the_sink_works() -> None:
    """The server can write until the buffers between are full, and then no more."""
    async with asked(FakeAnswer(["x" * 60_000], fault=Repeat(after=0))) as (server, _, reply):
        request = server.requests[0]
        await anext(reply.batches(interval=0))
        read = reply.timing.bytes
        sent = -1
        while sent != request.pieces:  # it has come to a stop
            sent = request.pieces
            await asyncio.sleep(0.1)
        assert reply.timing.bytes == read
        assert server.disconnects == 0


async def test_no_interval_hands_on_what_each_read_brings() -> None:
    async with asked(PACED) as (_, _, reply):
        batches = [batch async for batch in reply.batches(interval=0)]
    assert "".join(batches) == TEXT
    assert len(batches) > 15


async def test_a_batch_waits_for_its_characters_unless_it_is_the_last() -> None:
    async with asked(PACED) as (_, _, reply):
        batches = [batch async for batch in reply.batches(interval=0, min_chars=50)]
    assert "".join(batches) == TEXT
    assert all(50 <= len(batch) < 120 for batch in batches[:-1])
    assert len(batches) == math.ceil(len(TEXT) / len(batches[0]))


async def test_batches_with_a_limit_fit_and_end_after_lines_and_words() -> None:
    text = "One line of words\nand another line, then\n\n" + "x" * 45 + " end"
    async with asked(FakeAnswer([text])) as (_, _, reply):
        batches = [batch async for batch in reply.batches(interval=0, limit=20)]
    assert batches == [
        "One line of words\n",
        "and another line, ",
        "then\n\n" + "x" * 14,
        "x" * 20,
        "x" * 11 + " end",
    ]
    assert reply.text == text


async def test_nothing_is_read_while_a_full_batch_waits() -> None:
    """A fast server is held up by a slow sink, however little a batch may hold."""
    async with asked(FakeAnswer(["x" * 1000], fault=Repeat(after=0))) as (_, _, reply):
        batches = reply.batches(interval=0.05, limit=1000)
        waited = 0
        while waited < 5:
            full = reply.timing.chunks * 1000 - len(reply.text) >= 1000
            read = reply.timing.bytes
            assert await anext(batches) == "x" * 1000
            assert not full or reply.timing.bytes == read
            waited += full


async def test_a_long_answer_in_small_batches_costs_what_it_holds() -> None:
    """A million characters in batches of ten; were each to copy the rest, minutes."""
    async with asked(FakeAnswer(["x" * 1_000_000])) as (_, _, reply):
        started, count = now(), 0
        async for _ in reply.batches(interval=0, limit=10):
            count += 1
    assert count == 100_000
    assert now() - started < 30


@given(
    st.integers(1, 9),
    st.integers(0, 9),
    st.lists(st.lists(st.text("ab \n", min_size=1, max_size=30), max_size=3)),
)
def test_no_batch_is_longer_than_the_limit_and_no_text_is_lost(
    min_chars: int, more: int, arrivals: list[list[str]]
) -> None:
    batch, limit = Batch(0, min_chars, min_chars + more), min_chars + more
    taken: list[str] = []
    for texts in arrivals:
        batch.add(texts)
        while batch.full or (batch.due(last=False) < math.inf and len(taken) % 2):
            taken.append(batch.take(0))
    assert all(min_chars <= len(text) <= limit for text in taken)
    while batch:
        taken.append(batch.take(0))
    assert all(0 < len(text) <= limit for text in taken)
    assert "".join(taken) == "".join("".join(texts) for texts in arrivals)


@given(
    st.floats(0, 10),
    st.integers(1, 9),
    st.lists(st.tuples(st.floats(0, 5), st.lists(st.text("abc", min_size=1, max_size=4)))),
)
def test_the_pace_holds_for_any_arrivals(
    interval: float, min_chars: int, arrivals: list[tuple[float, list[str]]]
) -> None:
    """Two batches are the interval apart, none but the last is short, and no text is lost."""
    batch, time = Batch(interval, min_chars), 0.0
    taken: list[tuple[float, str]] = []
    for pause, texts in arrivals:
        batch.add(texts)
        time += pause
        if batch.due(last=False) <= time:
            taken.append((time, batch.take(time)))
    assert all(len(text) >= min_chars for _, text in taken)
    if batch:
        time = max(time, batch.due(last=True))
        taken.append((time, batch.take(time)))
    assert not batch
    assert batch.due(last=True) == math.inf
    assert "".join(text for _, text in taken) == "".join("".join(texts) for _, texts in arrivals)
    assert all(there >= here + interval for (here, _), (there, _) in pairwise(taken))


# ------------------------------------------------------------------ the end


@pytest.mark.parametrize(
    ("fault", "kind", "end"),
    [
        (Truncate(after=20), TruncatedError, End.TRUNCATED),
        (Reset(after=20), DisconnectedError, End.DISCONNECTED),
        (ErrorFrame("no more", after=20), StreamError, End.ERROR),
        (Stall(after=20), SilenceTimeoutError, End.STALLED),
    ],
)
async def test_an_error_comes_after_all_the_text_before_it(
    fault: Truncate | Reset | ErrorFrame | Stall, kind: type[CopilotError], end: End
) -> None:
    script = FakeAnswer(WORDS, pace=400, fault=fault)
    came = "".join(WORDS[:20])
    async with asked(script, timeouts=Timeouts(silence=0.3)) as (_, _, reply):
        batches: list[str] = []
        with pytest.raises(kind) as caught:
            await read(reply, batches, interval=0.05, min_chars=len(came) + 1)
        assert batches == [came]
    assert caught.value.reply is reply
    assert reply.text == came
    assert reply.end is end


async def test_a_request_is_sent_again_while_nothing_was_handed_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("async_copilot.transport.exchange.retry_pause", lambda *_: 0.0)
    script: Script = [FakeAnswer(WORDS, fault=Reset(after=0)), PACED]
    async with asked(script) as (server, _, reply):
        assert "".join([batch async for batch in reply.batches(interval=0)]) == TEXT
        assert len(server.requests) == 2


async def test_text_that_waits_in_a_batch_keeps_a_request_from_being_sent_again() -> None:
    script: Script = [FakeAnswer(["Hel", "lo"], pace=50, fault=Reset(after=2)), "Once more"]
    async with asked(script) as (server, _, reply):
        batches: list[str] = []
        with pytest.raises(DisconnectedError):
            await read(reply, batches, min_chars=1000)
        assert batches == ["Hello"]
        assert len(server.requests) == 1


async def test_a_client_closed_meanwhile_ends_the_batches_with_their_text() -> None:
    async with asked(FakeAnswer(WORDS, fault=Stall(after=4))) as (server, client, reply):
        batches: list[str] = []
        reading = asyncio.create_task(read(reply, batches, min_chars=1000))
        await server.until(lambda: server.requests[0].pieces == 4)
        await asyncio.sleep(0.02)
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await reading
        assert batches == ["".join(WORDS[:4])]


async def test_silence_counts_on_through_the_batches_it_falls_into() -> None:
    """Batches handed out meanwhile are not a sign of life from the server."""
    script = FakeAnswer(WORDS, pace=400, fault=Stall(after=20))
    async with asked(script, timeouts=Timeouts(silence=0.4)) as (_, _, reply):
        batches: list[str] = []
        started = now()
        with pytest.raises(SilenceTimeoutError):
            await read(reply, batches, interval=0.3)
        assert "".join(batches) == "".join(WORDS[:20])
        assert now() - started < 0.65, "0.4 s after the last byte, not after the last batch"


async def test_a_conversation_remembers_a_turn_read_in_batches() -> None:
    async with FakeServer(PACED) as server, CopilotClient(base_url=server.url) as client:
        chat = client.conversation()
        async with chat.stream("Hello") as reply:
            async for _ in reply.batches(interval=0.05):
                pass
    assert [message["content"] for message in chat.history] == ["Hello", TEXT]


# ------------------------------------------------------------------ leaving


async def left(server: FakeServer) -> None:
    """Wait, a second at the most, until the server has seen the client go."""
    await server.until(lambda: server.disconnects == 1, within=1.0)


async def test_break_leaves_nothing_behind_and_the_server_sees_it() -> None:
    script = FakeAnswer(WORDS, pace=100, fault=Stall(after=10))
    async with FakeServer(script) as server, CopilotClient(base_url=server.url) as client:
        async with client.stream("Hello") as reply:
            tasks = asyncio.all_tasks()
            async for _ in reply.batches(interval=0.05):
                break
            assert asyncio.all_tasks() == tasks
        await left(server)
    assert reply.end is End.CANCELLED
    assert reply.text == WORDS[0]


async def test_after_a_break_batches_go_on_where_they_were_left() -> None:
    async with asked(PACED) as (_, _, reply):
        batches = []
        async for batch in reply.batches(interval=0.05):
            batches.append(batch)
            break
        assert batches == [WORDS[0]]
        await read(reply, batches)
    assert "".join(batches) == TEXT
    assert reply.end is End.COMPLETE


async def test_an_exception_of_the_sink_closes_the_connection() -> None:
    async def edit(reply: Reply) -> None:
        async for _ in reply.batches():
            raise KeyError("mine")

    async with asked(FakeAnswer(WORDS, pace=50)) as (server, client, _):
        with pytest.raises(KeyError, match="mine"):
            async with client.stream("Hello") as reply:
                await edit(reply)
        await left(server)
    assert reply.end is End.CANCELLED


@pytest.mark.parametrize("after", [0, 1, 5], ids=["before text", "after the first", "waiting text"])
async def test_cancelling_a_reader_closes_the_connection(after: int) -> None:
    async with asked(FakeAnswer(WORDS, fault=Stall(after=after))) as (server, _, reply):
        reading = asyncio.create_task(read(reply, [], interval=10, min_chars=9))
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await left(server)
    assert reply.end is End.CANCELLED


async def test_the_pause_before_the_last_batch_can_be_cancelled() -> None:
    async with asked(PACED) as (server, _, reply):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await read(reply, [], interval=10)
        assert server.requests[0].ended is not None, "the whole answer had come"
    assert reply.end is End.CANCELLED
    assert reply.text == WORDS[0], "what was handed out"


# ------------------------------------------------------------------ misuse


async def test_a_reply_is_read_in_one_way() -> None:
    async with asked("Hello") as (_, _, reply):
        await anext(reply.batches())
        with pytest.raises(ReplyInUseError, match="batches"):
            aiter(reply)
        with pytest.raises(ReplyInUseError):
            reply.chunks()
    async with asked("Hello") as (_, _, reply):
        await anext(reply)
        with pytest.raises(ReplyInUseError):
            reply.batches()
    async with asked("Hello") as (_, _, reply):
        await anext(reply.chunks())
        with pytest.raises(ReplyInUseError):
            reply.batches()


async def test_a_pace_that_cannot_be_is_refused_before_anything_is_read() -> None:
    async with asked(FakeAnswer(WORDS)) as (_, _, reply):
        for interval in (-1, math.inf, math.nan, True, "1", None):
            with pytest.raises(InvalidRequestError, match="interval"):
                reply.batches(interval=interval)  # type: ignore[arg-type]  # that is the test
        for min_chars in (0, 1.5, True):
            with pytest.raises(InvalidRequestError, match="min_chars"):
                reply.batches(min_chars=min_chars)  # type: ignore[arg-type]  # that is the test
        for limit in (0, 9, 12.5, True, "20"):
            with pytest.raises(InvalidRequestError, match="limit"):
                reply.batches(min_chars=10, limit=limit)  # type: ignore[arg-type]  # likewise
        assert "".join([text async for text in reply]) == TEXT
