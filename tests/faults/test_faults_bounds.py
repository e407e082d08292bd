"""Everything is bounded: events, bodies, memory, and what one slow reader may pile up."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fault_client import FAST, KEY, ask
from fault_script import (
    DONE,
    FIN,
    LAST_CHUNK,
    SSE,
    STOP,
    Repeat,
    chunk,
    completion,
    delta,
    event,
    head,
    said,
    sized,
)
from fault_server import FaultServer

from async_copilot import (
    CopilotClient,
    End,
    EventTooLargeError,
    Timeouts,
    UnexpectedContentError,
)

MIB = 2**20
PATIENT = Timeouts(connect=5, silence=5, stall=5)


@contextmanager
def peak_below(limit: int) -> Iterator[None]:
    """What Python allocates inside, at its highest, stays below `limit` bytes."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak / MIB:.1f} MiB"


@pytest.mark.parametrize(
    ("piece", "limit"),
    [
        pytest.param(b"x" * 60_000, MIB, id="line"),
        pytest.param((b"data: " + b"x" * 1000 + b"\n") * 10, MIB, id="data-lines"),
        pytest.param(b"data:\n" * 1000, 2**16, id="empty-data-lines"),
    ],
)
async def test_an_event_without_end_is_an_error_that_says_what_to_raise(
    piece: bytes, limit: int
) -> None:
    with peak_below(24 * MIB):
        async with FaultServer(
            (SSE + said("Hel") + chunk(b"data: "), Repeat(chunk(piece)))
        ) as server:
            outcome = await ask(server, timeouts=PATIENT, max_event_bytes=limit, max_retries=2)
            await server.left()
    outcome.failed(
        EventTooLargeError,
        ValueError,
        text="Hel",
        limit=limit,
        status=200,
        says=["max_event_bytes", f"{limit:,}"],
        within=3.0,
    )
    assert len(server.requests) == 1


async def test_a_comment_line_without_end_is_bounded() -> None:
    with peak_below(24 * MIB):
        async with FaultServer((SSE + chunk(b":"), Repeat(chunk(b"x" * 60_000)))) as server:
            outcome = await ask(server, timeouts=PATIENT, max_event_bytes=MIB)
            await server.left()
    outcome.failed(EventTooLargeError, limit=MIB, within=3.0)


async def test_an_event_of_exactly_the_limit_passes() -> None:
    letters = 10_000 - len(delta("")) + 2  # the blank line's LF and the line's are not its bytes
    exact = delta("x" * letters)
    assert len(exact) == 10_002
    async with FaultServer((sized(exact + STOP + DONE),)) as server:
        fits = await ask(server, max_event_bytes=10_000)
        too_large = await ask(server, max_event_bytes=9_000)
    fits.ended(End.COMPLETE, "x" * letters)
    too_large.failed(EventTooLargeError, limit=9_000)


async def test_a_line_of_two_mebibytes_is_read_by_default() -> None:
    long = "x" * (2 * MIB)
    async with FaultServer((sized(delta(long) + STOP + DONE),)) as server:
        outcome = await ask(server, timeouts=PATIENT)
    outcome.ended(End.COMPLETE, long, within=2.0)


async def test_a_completion_that_is_not_streamed_is_bounded_too() -> None:
    with peak_below(24 * MIB):
        answer = (
            head(content_type="application/json"),
            chunk(b'{"x": "'),
            Repeat(chunk(b"x" * 60_000)),
        )
        async with FaultServer(answer) as server:
            outcome = await ask(server, timeouts=PATIENT, max_event_bytes=MIB)
            await server.left()
    outcome.failed((EventTooLargeError, UnexpectedContentError), ValueError, within=3.0)


async def test_html_without_end_is_left_early() -> None:
    answer = (head(content_type="text/html"), Repeat(chunk(b"<p>hello</p>" * 5000)))
    with peak_below(24 * MIB):
        async with FaultServer(answer) as server:
            outcome = await ask(server, timeouts=PATIENT, max_event_bytes=MIB)
            await server.left()
    outcome.failed((UnexpectedContentError, EventTooLargeError), ValueError, within=3.0)
    assert server.connections[0].sent < 64 * MIB


async def test_a_sleeping_reader_holds_the_server_back() -> None:
    """Back-pressure reaches the server: 200 MiB are on offer, a few are taken."""
    flood = Repeat(chunk(delta("x" * 1000) * 50), times=4000)
    with peak_below(16 * MIB):
        async with (
            FaultServer((SSE, flood, chunk(STOP + DONE) + LAST_CHUNK)) as server,
            CopilotClient(base_url=server.url, api_key=KEY, timeouts=FAST) as client,
            client.stream("Hello") as reply,
        ):
            taken = 0
            async for text in reply:
                taken += len(text)
                if taken >= 100_000:
                    break
            await asyncio.sleep(0.3)
            before = server.connections[0].sent
            await asyncio.sleep(0.2)
            assert server.connections[0].sent == before, "the server has stopped"
    # Two socket buffers of the kernel are the most of it.
    assert before < 24 * MIB


async def test_many_deltas_are_read_in_linear_memory() -> None:
    deltas = 20_000
    body = delta("word ") * deltas + STOP + DONE
    async with FaultServer((sized(body),)) as server:
        with peak_below(16 * MIB + 2 * len(body)):
            outcome = await ask(server, timeouts=PATIENT)
    outcome.ended(End.COMPLETE, "word " * deltas, within=4.0)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(
            {"index": 10**9, "delta": {"content": "!"}, "finish_reason": "stop"}, id="choice"
        ),
        pytest.param(
            {"index": -1, "delta": {"content": "!"}, "finish_reason": "stop"}, id="negative"
        ),
        pytest.param(
            {
                "index": 0,
                "delta": {"tool_calls": [{"index": 10**9, "id": "c", "function": {"name": "f"}}]},
            },
            id="tool-call",
        ),
    ],
)
async def test_an_index_is_not_a_size(odd: object) -> None:
    body = delta("Hello") + event({"choices": [odd]}) + STOP + DONE
    with peak_below(8 * MIB):
        async with FaultServer((sized(body),)) as server:
            one = await ask(server)
            two = await ask(server, fields={"n": 2})
    for outcome in (one, two):
        text = "Hello!" if outcome is one and "tool_calls" not in str(odd) else "Hello"
        reply = outcome.ended(End.COMPLETE, text)
        assert len(reply.choices) <= 2
        assert len(reply.tool_calls) <= 1


async def test_enormous_error_frames_are_cut_in_messages() -> None:
    body = event({"error": {"message": "m" * 500_000, "code": "c" * 500_000}})
    async with FaultServer((sized(body),)) as server:
        outcome = await ask(server)
    assert outcome.error is not None
    assert len(str(outcome.error)) < 10_000


async def test_many_failures_leave_nothing_behind() -> None:
    """Sockets, tasks and memory after many faults are as before."""
    async with (
        FaultServer((SSE, said("x"), FIN)) as server,
        CopilotClient(base_url=server.url, max_retries=0) as client,
    ):
        await asyncio.gather(*(ask(server, client=client) for _ in range(10)))
        tasks = len(asyncio.all_tasks())
        tracemalloc.start()
        for _ in range(5):
            await asyncio.gather(*(ask(server, client=client) for _ in range(10)))
            server.connections.clear()
            server.requests.clear()
        grown = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        await server.left(0)
        assert len(asyncio.all_tasks()) <= tasks + 50
    assert grown < 8 * MIB


async def test_a_plain_completion_of_a_mebibyte_is_read() -> None:
    long = "x" * MIB
    body = json.dumps(completion(long)).encode()
    async with FaultServer((sized(body, content_type="application/json"),)) as server:
        outcome = await ask(server, timeouts=PATIENT)
    outcome.ended(End.COMPLETE, long, within=2.0)
