"""The clocks: each rings alone, at its time, and never while the caller works."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import Any

import pytest
from fault_client import KEY, ask, together
from fault_script import (
    DONE,
    FIN,
    HELLO,
    HOLD,
    LAST_CHUNK,
    SSE,
    STOP,
    Answer,
    Repeat,
    Until,
    chunk,
    delta,
    event,
    json_answer,
    said,
    stream,
)
from fault_server import FaultServer

from async_copilot import (
    ConnectTimeoutError,
    CopilotClient,
    End,
    FirstTextTimeoutError,
    InvalidRequestError,
    RateLimitError,
    SilenceTimeoutError,
    StallTimeoutError,
    StreamError,
    Timeouts,
    TotalTimeoutError,
)

QUIET = Timeouts(connect=1.0, silence=0.15, stall=None)
LONG = Timeouts(connect=1.0, silence=0.3, stall=0.25)
TOTAL = Timeouts(connect=1.0, silence=None, stall=None, total=0.2)


async def test_silence_in_mid_body_rings_and_keeps_the_text() -> None:
    async with FaultServer((SSE, said("Hel"), HOLD)) as server:
        outcome = await ask(server, timeouts=QUIET, max_retries=2)
        await server.left()
    outcome.failed(
        SilenceTimeoutError,
        TimeoutError,
        text="Hel",
        end=End.STALLED,
        after=0.15,
        within=0.15,
        seconds=0.15,
        says=["0.15", "silence"],
        status=200,
    )
    assert len(server.requests) == 1


async def test_silence_after_the_headers_rings() -> None:
    async with FaultServer((SSE, HOLD)) as server:
        outcome = await ask(server, timeouts=QUIET, max_retries=2)
        await server.left()
    outcome.failed(SilenceTimeoutError, TimeoutError, end=End.STALLED, after=0.15, within=0.15)
    assert len(server.requests) == 1


async def test_silence_starts_anew_with_every_byte() -> None:
    slow = (
        SSE,
        *(step for letter in "Hello" for step in (0.08, said(letter))),
        stream()[len(SSE) :],
    )
    async with FaultServer(slow) as server:
        outcome = await ask(server, timeouts=QUIET)
    reply = outcome.ended(End.COMPLETE, "Hello", within=0.6)
    assert reply.timing.longest_gap is not None
    assert 0.05 < reply.timing.longest_gap < 0.5


async def test_half_an_event_is_bytes_but_no_progress() -> None:
    """A line that never ends, a byte at a time: only the stall clock can tell."""
    async with FaultServer((SSE, said("Hel"), Repeat(chunk(b"x"), every=0.02))) as server:
        outcome = await ask(server, timeouts=LONG)
        await server.left()
    outcome.failed(StallTimeoutError, TimeoutError, text="Hel", end=End.STALLED, within=0.25)


NOISES = {
    "comments": b":\n\n",
    "pings": b": ping - 2026-11-22\r\n\r\n",
    "ping-events": b"event: ping\ndata: {}\n\n",
    "empty-data": b"data:\n\n",
    "ids": b"id: 1\nretry: 5\n\n",
    "empty-deltas": delta(""),
    "role-only": delta(None, role="assistant"),
    "no-choices": event({"choices": []}),
    "no-usage": event({"choices": [], "usage": None}),
}


async def test_bytes_without_progress_ring_the_stall_clock_only() -> None:
    """They come faster than `silence`, so that one stays quiet."""

    async def ring(noise: bytes) -> None:
        async with FaultServer((SSE, said("Hel"), Repeat(chunk(noise), every=0.03))) as server:
            outcome = await ask(server, timeouts=LONG, max_retries=2)
            await server.left()
        outcome.failed(
            StallTimeoutError,
            TimeoutError,
            text="Hel",
            end=End.STALLED,
            after=0.25,
            within=0.25,
            seconds=0.25,
            says=["0.25", "stall"],
        )
        assert len(server.requests) == 1

    await together({name: ring(noise) for name, noise in NOISES.items()})


async def test_a_stall_before_the_first_text_rings_too() -> None:
    async with FaultServer((SSE, Repeat(chunk(b":\n\n"), every=0.03))) as server:
        outcome = await ask(server, timeouts=LONG, max_retries=2)
        await server.left()
    outcome.failed(StallTimeoutError, TimeoutError, end=End.STALLED, after=0.25, within=0.25)
    assert len(server.requests) == 1


async def test_without_a_stall_clock_comments_keep_a_stream_alive() -> None:
    """Some servers queue with comments for minutes."""
    waiting = Repeat(chunk(b":\n\n"), times=12, every=0.03)
    async with FaultServer((SSE, waiting, stream("Hello")[len(SSE) :])) as server:
        outcome = await ask(server, timeouts=QUIET)
    outcome.ended(End.COMPLETE, "Hello", within=0.4)


CALL = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}
PROGRESS = {
    "reasoning": delta("", reasoning="hm"),
    "reasoning-content": delta(None, reasoning_content="hm"),
    "tool-calls": delta(None, tool_calls=[CALL]),
    "refusal": delta(None, refusal="no"),
}


async def test_reasoning_and_tool_calls_are_progress() -> None:
    async def flow(progress: bytes) -> None:
        working = Repeat(chunk(progress), times=6, every=0.08)
        async with FaultServer((SSE, working, stream("Hello")[len(SSE) :])) as server:
            outcome = await ask(server, timeouts=LONG)
        outcome.ended(End.COMPLETE, "Hello", within=0.5)

    await together({name: flow(progress) for name, progress in PROGRESS.items()})


WAITS: dict[str, Answer] = {
    "no-headers": (HOLD,),
    "no-body": (SSE, HOLD),
    "comments": (SSE, Repeat(chunk(b":\n\n"), every=0.02)),
}


async def test_total_rings_wherever_the_time_goes() -> None:
    async def ring(answer: Answer) -> None:
        async with FaultServer(answer) as server:
            outcome = await ask(server, timeouts=TOTAL, max_retries=2)
            await server.left()
        outcome.failed(
            TotalTimeoutError, TimeoutError, after=0.2, within=0.2, seconds=0.2, says=["total"]
        )
        assert len(server.requests) == 1

    await together({name: ring(answer) for name, answer in WAITS.items()})


async def test_total_rings_in_a_stream_that_goes_on_well() -> None:
    async with FaultServer((SSE, Repeat(said("x"), every=0.02))) as server:
        outcome = await ask(server, timeouts=TOTAL)
        await server.left()
    assert outcome.text
    outcome.failed(TotalTimeoutError, text=outcome.text, end=End.STALLED, after=0.2, within=0.2)


async def test_total_covers_all_tries_together() -> None:
    async with FaultServer((0.12, FIN)) as server:
        outcome = await ask(server, timeouts=TOTAL, max_retries=50)
    assert outcome.error is not None
    assert outcome.seconds < 0.2 + 0.6, "not one total per try"
    assert isinstance(outcome.error, TimeoutError | ConnectionError)


async def test_total_covers_the_bodies_of_tries_that_came_to_nothing() -> None:
    waits_and_breaks = (SSE, chunk(b":\n\n"), 0.3, FIN)
    timeouts = Timeouts(connect=30, silence=30, total=0.5)
    async with FaultServer(waits_and_breaks) as server:
        outcome = await ask(server, timeouts=timeouts, max_retries=50)
    assert isinstance(outcome.error, TimeoutError | ConnectionError)
    assert len(server.requests) <= 2


async def test_a_retry_after_beyond_total_raises_the_servers_error_at_once() -> None:
    busy = json_answer(429, {"error": {"message": "busy"}}, Retry_After=30)
    async with FaultServer(busy) as server:
        outcome = await ask(server, timeouts=Timeouts(connect=1, silence=1, total=5), max_retries=5)
    outcome.failed(RateLimitError, retry_after=30.0, says=["busy"], within=0.2)
    assert len(server.requests) == 1


async def test_no_clock_runs_while_the_caller_works() -> None:
    """All the bytes are here; the caller takes three times every clock over each delta."""
    every = Timeouts(connect=0.1, silence=0.1, stall=0.1, total=0.15)
    async with FaultServer((stream("a", "b", "c", "d"),)) as server:
        outcome = await ask(server, timeouts=every, pace=0.12)
    outcome.ended(End.COMPLETE, "abcd", within=0.5)


async def test_no_clock_runs_between_opening_and_reading() -> None:
    async with (
        FaultServer((SSE, said("Hel"), 0.02, stream("lo")[len(SSE) :])) as server,
        CopilotClient(
            base_url=server.url, timeouts=Timeouts(silence=0.1, stall=0.1, total=0.3)
        ) as client,
        client.stream("Hello") as reply,
    ):
        await asyncio.sleep(0.4)
        assert [text async for text in reply] == ["Hel", "lo"]
        assert reply.end is End.COMPLETE


async def test_waiting_for_a_free_connection_is_not_the_servers_timeout() -> None:
    slow = (
        SSE,
        *(step for letter in "abcd" for step in (said(letter), 0.06)),
        stream()[len(SSE) :],
    )
    timeouts = Timeouts(connect=0.4, silence=0.4, stall=0.4)
    async with (
        FaultServer(slow) as server,
        CopilotClient(
            base_url=server.url, timeouts=timeouts, max_connections=1, max_retries=0
        ) as client,
    ):
        outcomes = await asyncio.gather(*(ask(server, client=client) for _ in range(3)))
    for outcome in outcomes:
        outcome.ended(End.COMPLETE, "abcd", within=1.4)
    assert len(server.connections) == 1


THINKING: dict[str, Answer] = {
    "no-headers": (0.5, stream("Hel", "lo")),
    "no-body": (SSE, 0.5, stream("Hel", "lo")[len(SSE) :]),
    "comments": (SSE, Repeat(chunk(b":\n\n"), 15, 0.03), stream("Hel", "lo")[len(SSE) :]),
}


async def test_a_first_text_may_take_longer_than_a_gap() -> None:
    timeouts = Timeouts(silence=0.2, stall=0.4, first_text=5)

    async def wait(answer: Answer) -> None:
        async with FaultServer(answer) as server:
            (await ask(server, timeouts=timeouts)).ended(End.COMPLETE, "Hello", within=0.5)

    await together({name: wait(answer) for name, answer in THINKING.items()})
    async with FaultServer((SSE, said("Hel"), HOLD)) as server:
        outcome = await ask(server, timeouts=timeouts)
    outcome.failed(SilenceTimeoutError, text="Hel", seconds=0.2, after=0.2, within=0.2)


async def test_a_first_text_may_have_to_come_sooner_than_the_rest() -> None:
    timeouts = Timeouts(silence=5, stall=5, first_text=0.2)

    async def ring(answer: Answer) -> None:
        async with FaultServer(answer) as server:
            outcome = await ask(server, timeouts=timeouts, max_retries=2)
        outcome.failed(FirstTextTimeoutError, TimeoutError, seconds=0.2, after=0.2, within=0.2)
        assert len(server.requests) == 1

    await together({name: ring(answer) for name, answer in WAITS.items()})


BUSY_AT: dict[str, tuple[Timeouts, Answer]] = {
    "headers": (Timeouts(silence=0.2), (0.1, stream("Hel", "lo"))),
    "text": (Timeouts(silence=0.2), (SSE, 0.1, stream("Hel", "lo")[len(SSE) :])),
    "stall": (Timeouts(stall=0.2), (SSE, 0.1, stream("Hel", "lo")[len(SSE) :])),
    "total": (Timeouts(total=0.4), (0.1, stream("Hel", "lo"))),
}


@pytest.mark.parametrize("name", BUSY_AT)
async def test_a_loop_that_is_kept_busy_blames_no_server(name: str) -> None:
    """The bytes come while the loop is held for far longer than the clock; so they were in time."""
    timeouts, answer = BUSY_AT[name]
    async with FaultServer(answer) as server:
        asking = asyncio.create_task(ask(server, timeouts=timeouts))
        await server.received()
        await asyncio.sleep(0.02)
        time.sleep(1)  # noqa: ASYNC251  # what must not happen happens
        outcome = await asking
    outcome.ended(End.COMPLETE, "Hello", within=2)


async def test_connecting_while_the_loop_is_kept_busy_is_in_time() -> None:
    async with FaultServer(HELLO) as server:
        asking = asyncio.create_task(ask(server, timeouts=Timeouts(connect=0.1)))
        await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251  # what must not happen happens
        outcome = await asking
    outcome.ended(End.COMPLETE, "Hello", within=2)


STOPPED = """
import asyncio, sys
from async_copilot import CopilotClient, Timeouts

async def main():
    async with CopilotClient(base_url=sys.argv[1], timeouts=Timeouts(silence=0.5)) as client:
        print((await client.complete("Hello")).text)

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped here")
async def test_a_process_that_was_stopped_blames_no_server() -> None:
    """Ctrl-Z, a debugger, a laptop's lid: the answer comes meanwhile, and lies in the socket."""
    ready = asyncio.Event()
    async with FaultServer((Until(ready), stream("Hel", "lo"))) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", STOPPED, server.url), stdout=asyncio.subprocess.PIPE
        )
        await server.received(within=30)
        process.send_signal(signal.SIGSTOP)
        ready.set()
        await asyncio.sleep(1.5)
        process.send_signal(signal.SIGCONT)
        out, _ = await process.communicate()
    assert out.decode().strip() == "Hello"


async def test_clocks_of_one_call_go_before_those_of_the_client() -> None:
    async with FaultServer((SSE, said("Hel"), HOLD)) as server:
        outcome = await ask(
            server,
            timeouts=Timeouts(),
            fields={"timeouts": Timeouts(silence=0.1)},
        )
    outcome.failed(SilenceTimeoutError, text="Hel", seconds=0.1, after=0.1, within=0.1)


async def test_the_defaults_do_not_include_aiohttps_five_minutes() -> None:
    defaults = Timeouts(connect=10.0, silence=300.0, stall=600.0, total=None, first_text=None)
    assert Timeouts() == defaults


async def test_a_silence_shorter_than_connect_does_not_ring_while_connecting() -> None:
    """Each clock has its own time: a slow handshake is not a silent server."""
    async with FaultServer(HELLO) as server:
        outcome = await ask(server, timeouts=Timeouts(connect=5, silence=0.1))
    outcome.ended(End.COMPLETE, "Hello")
    assert not isinstance(outcome.error, ConnectTimeoutError)


@pytest.mark.parametrize("clock", ["connect", "silence", "stall", "total", "first_text"])
@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
async def test_a_clock_that_cannot_be_is_refused(clock: str, seconds: float) -> None:
    with pytest.raises(InvalidRequestError, match=clock):
        Timeouts(**{clock: seconds})


async def test_comments_at_full_speed_leave_the_loop_to_others_and_end() -> None:
    """Reading a full buffer never yields to the loop: a million comments would hold it."""
    gaps: list[float] = []

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(0.01)
            last, gap = loop.time(), loop.time() - last
            gaps.append(gap)

    ticking = asyncio.create_task(tick())
    async with FaultServer((SSE, Repeat(chunk(b":\n" * 20_000)))) as server:
        outcome = await ask(server, timeouts=LONG)
        await server.left()
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
    outcome.failed(StallTimeoutError, after=0.25, within=0.4)
    assert len(gaps) > 2  # others had their turns
    assert max(gaps) < 5  # a busy machine; not the whole of the flood


@pytest.mark.parametrize(
    "timeouts", [QUIET, Timeouts(after_finish=0.1), Timeouts(silence=0.1, after_finish=None)]
)
async def test_silence_after_the_finish_reason_is_not_an_error(timeouts: Timeouts) -> None:
    """The answer is whole; what may follow it is waited for, by a clock of its own."""
    async with FaultServer((SSE, said("Hello"), chunk(STOP), HOLD)) as server:
        outcome = await ask(server, timeouts=timeouts)
        await server.left()
    outcome.ended(End.COMPLETE, "Hello", within=0.5)


async def test_comments_after_the_finish_reason_are_awaited_until_stall() -> None:
    noise = Repeat(chunk(b":\n\n"), every=0.03)
    timeouts = Timeouts(silence=5, stall=0.4, after_finish=0.2)
    async with FaultServer((SSE, said("Hello"), chunk(STOP), noise)) as server:
        outcome = await ask(server, timeouts=timeouts)
        await server.left(within=1.5)
    assert outcome.seconds > 0.35
    outcome.ended(End.COMPLETE, "Hello", within=1.0)


SHORT = Timeouts(silence=5, stall=5, after_finish=0.15)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ((chunk(STOP), 0.3, said("Hel"), said("lo"), chunk(STOP), chunk(DONE)), "Hello"),
        ((said("Hel"), chunk(STOP), said("lo"), 0.3, said("!"), chunk(STOP), FIN), "Hello!"),
        ((said("Hel"), chunk(STOP), 0.1, chunk(b":\n\n"), 0.1, said("lo"), chunk(DONE)), "Hello"),
    ],
    ids=["before anything is said", "taken back", "kept awake by a heartbeat"],
)
async def test_a_finish_reason_alone_does_not_end_an_answer(steps: Any, text: str) -> None:
    async with FaultServer((SSE, *steps)) as server:
        outcome = await ask(server, timeouts=SHORT)
    outcome.ended(End.COMPLETE, text)


async def test_every_choice_asked_for_has_to_finish_before_the_clock_runs() -> None:
    one = event({"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]})
    async with FaultServer((SSE, said("a"), chunk(STOP), 0.4, chunk(one), FIN)) as server:
        outcome = await ask(server, timeouts=SHORT, fields={"n": 2})
    reply = outcome.ended(End.COMPLETE, "a")
    assert [choice.text for choice in reply.choices] == ["a", "b"]


async def test_an_answer_that_goes_on_after_its_finish_must_finish_again() -> None:
    async with FaultServer((SSE, said("Hel"), chunk(STOP), said("lo"), HOLD)) as server:
        outcome = await ask(server, timeouts=Timeouts(silence=0.2, after_finish=0.1))
        await server.left()
    outcome.failed(SilenceTimeoutError, text="Hello", within=0.5)


async def test_an_error_that_comes_after_the_finish_reason_is_raised() -> None:
    late = (said("Hello"), chunk(STOP), 0.2, chunk(event({"error": {"message": "moderated"}})))
    async with FaultServer((SSE, *late, FIN)) as server:
        outcome = await ask(server, timeouts=Timeouts(after_finish=1))
    outcome.failed(StreamError, text="Hello", says=["moderated"], within=1.0)


async def test_a_body_that_stays_open_after_done_does_not_keep_the_answer() -> None:
    async with FaultServer((SSE, said("Hello"), chunk(STOP), chunk(DONE), HOLD)) as server:
        outcome = await ask(server, api_key=KEY, timeouts=Timeouts(silence=5, stall=5))
        await server.left()
    outcome.ended(End.COMPLETE, "Hello", within=0.25)


async def test_a_late_last_chunk_after_done_is_waited_for() -> None:
    late = (SSE, said("Hello"), chunk(STOP), chunk(DONE), 0.1, LAST_CHUNK)
    async with FaultServer(late) as server, CopilotClient(base_url=server.url) as client:
        for _ in range(3):
            outcome = await ask(server, client=client)
            outcome.ended(End.COMPLETE, "Hello", within=0.25)
    assert len(server.connections) == 1
