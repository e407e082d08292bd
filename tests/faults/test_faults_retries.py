"""Trying again: when, after how long, how often, and never what the user has seen."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from fault_client import FAST, KEY, SLACK, Outcome, ask, together
from fault_script import (
    FIN,
    HELLO,
    HOLD,
    RST,
    SSE,
    Answer,
    Close,
    chunk,
    head,
    json_answer,
    said,
)
from fault_server import FaultServer, Request

from async_copilot import (
    ClientClosedError,
    CopilotClient,
    CopilotError,
    DisconnectedError,
    End,
    Observer,
    RateLimitError,
    Reply,
    ServerStatusError,
    Timeouts,
    TotalTimeoutError,
)

BUSY = {"error": {"message": "The server is busy", "type": "overloaded", "code": "busy"}}
AT_ONCE = {"retry_after_ms": 1}

# Retry-After (RFC 9110, 10.2.3) and its abuse.


def http_date(seconds: float) -> str:
    """Now and so many seconds, as HTTP writes dates."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


async def test_retry_after_in_seconds_or_as_a_date_is_waited_for() -> None:
    async def wait(value: str, until: float | None = None) -> None:
        async with FaultServer(json_answer(503, BUSY, Retry_After=value), HELLO) as server:
            outcome = await ask(server, max_retries=1)
        reply = outcome.ended(End.COMPLETE, "Hello", within=20)
        refused, asked_again = (request.at for request in server.requests)
        assert asked_again > (refused + 1 if until is None else until) - 0.02
        assert reply.timing.waits[0] <= 2 * 1.25, "a quarter is scatter"

    # A date has whole seconds: "in two" may be one second and a bit.
    soon = asyncio.get_running_loop().time() - time.time() + int(time.time() + 2)
    await together({"seconds": wait("1"), "date": wait(http_date(2), soon)})


async def test_retry_after_in_milliseconds_goes_before_seconds() -> None:
    busy = json_answer(429, BUSY, Retry_After=30, retry_after_ms="50")
    async with FaultServer(busy, HELLO) as server:
        outcome = await ask(server, max_retries=1)
    reply = outcome.ended(End.COMPLETE, "Hello")
    assert 0.04 < reply.timing.waits[0] < 0.5


UNUSABLE = [
    "0",
    "-5",
    "",
    "soon",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "0x10",
    "9" * 400,
    "1,5",
    "5;6",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Mon, 99 Foo 2026 99:99:99 GMT",
    "\xc2\xb2",
]


async def test_a_retry_after_that_says_nothing_usable_neither_hangs_nor_breaks() -> None:
    """Tried again after a pause of our own, or given up at once where it is far beyond reason."""

    async def bear(value: str) -> None:
        busy = json_answer(429, BUSY, Retry_After=value)
        async with FaultServer(busy, HELLO) as server:
            outcome = await ask(server, max_retries=1)
        if outcome.error is None:
            outcome.ended(End.COMPLETE, "Hello", within=1.5)
        else:
            outcome.failed(RateLimitError, within=0.2, says=["The server is busy"])

    await together({value[:20]: bear(value) for value in UNUSABLE})


async def test_an_absurd_retry_after_does_not_hold_the_caller() -> None:
    async with FaultServer(json_answer(429, BUSY, Retry_After=10**9), HELLO) as server:
        outcome = await ask(server, max_retries=1)
    if outcome.error is None:
        outcome.ended(End.COMPLETE, "Hello", within=1.5)
    else:
        outcome.failed(RateLimitError, within=0.2, says=["The server is busy"])


async def test_the_last_error_carries_what_the_server_asked_for() -> None:
    async with FaultServer(json_answer(429, BUSY, Retry_After=7)) as server:
        outcome = await ask(server, max_retries=0)
    outcome.failed(RateLimitError, retry_after=7.0, within=0.2)


async def test_a_pause_between_two_tries_can_be_cancelled() -> None:
    async with (
        FaultServer(json_answer(429, BUSY, Retry_After=20)) as server,
        CopilotClient(base_url=server.url, timeouts=FAST) as client,
    ):
        asking = asyncio.create_task(ask(server, client=client))
        await server.received()
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert len(server.requests) == 1


async def test_each_retry_is_one_log_line_without_the_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, logger="async_copilot"):
        async with FaultServer(json_answer(503, BUSY, **AT_ONCE)) as server:
            outcome = await ask(server, max_retries=2)
    outcome.failed(ServerStatusError, retries=2)
    lines = [
        record.getMessage()
        for record in caplog.records
        if record.name == "async_copilot" and ": retry " in record.getMessage()
    ]
    assert len(lines) == 2
    assert not any(KEY in line for line in caplog.text.splitlines())


# One gate a client: see tests/transport/test_gate.py for its pace.


def limited(rate: int) -> tuple[FaultServer, list[float]]:
    """A server that answers so many requests in half a second, and when it answered them."""
    answered: list[float] = []

    def route(request: Request) -> Answer:
        if sum(at > request.at - 0.5 for at in answered) >= rate:
            return json_answer(429, BUSY, retry_after_ms=500)
        answered.append(request.at)
        return HELLO

    return FaultServer(route=route), answered


async def test_many_streams_are_all_answered_by_a_server_that_bears_few_at_once() -> None:
    server, answered = limited(25)
    async with server, CopilotClient(base_url=server.url, timeouts=Timeouts(silence=60)) as client:
        outcomes = await asyncio.gather(*(ask(server, client=client) for _ in range(50)))
    for outcome in outcomes:
        outcome.ended(End.COMPLETE, "Hello", within=30)
    assert len(answered) == 50
    assert len(server.requests) - len(answered) <= 25 + 5, "the first burst and a tenth"


async def test_no_request_goes_out_before_the_time_the_server_said() -> None:
    busy = json_answer(503, BUSY, Retry_After="0.5")
    async with FaultServer(busy, HELLO) as server, CopilotClient(base_url=server.url) as client:
        first = asyncio.create_task(ask(server, client=client))
        await server.received()
        await asyncio.sleep(0.1)
        others = await asyncio.gather(*(ask(server, client=client) for _ in range(3)))
        for outcome in [await first, *others]:
            outcome.ended(End.COMPLETE, "Hello", within=10)
        refused, *later = [request.at for request in server.requests]
        assert min(later) - refused >= 0.5
        await asyncio.sleep(1.1)  # nothing was refused for as long as was asked
        outcome = await ask(server, client=client)
    outcome.ended(End.COMPLETE, "Hello")


async def test_whoever_retries_for_themselves_waits_at_no_gate() -> None:
    busy = json_answer(429, BUSY, Retry_After=20)
    async with (
        FaultServer(busy, HELLO) as server,
        CopilotClient(base_url=server.url, max_retries=0) as client,
    ):
        (await ask(server, client=client)).failed(RateLimitError)
        (await ask(server, client=client)).ended(End.COMPLETE, "Hello")


async def shut_gate(server: FaultServer, client: CopilotClient) -> asyncio.Task[Outcome]:
    """The client's gate is shut, by a request that waits for its next attempt."""
    waiting = asyncio.create_task(ask(server, client=client))
    await server.received()
    await asyncio.sleep(0.1)
    return waiting


async def test_total_holds_at_the_gate() -> None:
    busy = json_answer(429, BUSY, Retry_After=20)
    async with FaultServer(busy) as server, CopilotClient(base_url=server.url) as client:
        waiting = await shut_gate(server, client)
        timeouts = Timeouts(total=0.2)
        outcome = await ask(server, client=client, fields={"timeouts": timeouts})
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    outcome.failed(TotalTimeoutError, after=0.2, within=0.2)
    assert len(server.requests) == 1


async def test_closing_the_client_ends_the_wait_at_the_gate() -> None:
    busy = json_answer(429, BUSY, Retry_After=20)
    async with FaultServer(busy) as server:
        client = CopilotClient(base_url=server.url)
        tasks = [await shut_gate(server, client), asyncio.create_task(ask(server, client=client))]
        await asyncio.sleep(0.05)
        await client.aclose()
        for task in tasks:
            (await task).failed(ClientClosedError, within=1)
    assert len(server.requests) == 1


async def test_error_bodies_count_for_total() -> None:
    """Six bodies that never end, of a second each at the least, and one second in all."""
    endless = head(500, content_type="text/plain") + chunk(b"no")
    async with FaultServer((endless, HOLD)) as server:
        outcome = await ask(server, max_retries=6, timeouts=Timeouts(connect=1, silence=1, total=1))
    assert isinstance(outcome.error, CopilotError)
    assert outcome.seconds < 1 + SLACK


async def test_leaving_in_a_pause_stops_it() -> None:
    """Nothing is sent again, and nothing of the reply changes."""
    cut = (SSE, chunk(b":\n\n"), 0.02, FIN)
    async with FaultServer(cut, HELLO) as server, CopilotClient(base_url=server.url) as client:
        paused = asyncio.Event()

        class Pause(Observer):
            def on_retry(self, reply: Reply, error: CopilotError, pause: float) -> None:
                paused.set()

        async with client.stream("Hello", observer=Pause()) as reply:

            async def read() -> list[str]:
                return [text async for text in reply]

            reading = asyncio.create_task(read())
            await paused.wait()
        with pytest.raises(ClientClosedError):
            await reading
        end = reply.end
        await asyncio.sleep(0.7)  # the longest first pause is half a second
        assert reply.end is end is End.CANCELLED
    assert len(server.requests) == 1


# What the user has seen is never sent again.


@pytest.mark.parametrize("fault", [FIN, RST], ids=["fin", "rst"])
async def test_after_the_first_text_nothing_is_sent_again(fault: Close) -> None:
    broken = (SSE, said("H"), 0.02, fault)
    async with FaultServer(broken, HELLO) as server:
        outcome = await ask(server, max_retries=5)
    outcome.failed(DisconnectedError, text="H", retries=0)
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", [FIN, RST], ids=["fin", "rst"])
async def test_headers_and_comments_are_not_yet_seen_so_a_cut_is_tried_again(
    fault: Close,
) -> None:
    broken = (SSE, chunk(b":\n\n"), 0.02, fault)
    async with FaultServer(broken, HELLO) as server:
        outcome = await ask(server, max_retries=1)
    reply = outcome.ended(End.COMPLETE, "Hello", within=2.0)
    assert reply.timing.retries == 1
    assert len(server.requests) == 2


async def test_a_retry_sends_the_same_bytes() -> None:
    async with FaultServer(json_answer(500, BUSY, **AT_ONCE)) as server:
        await ask(server, max_retries=2)
    assert len({request.body for request in server.requests}) == 1
    assert {request.json["messages"][0]["content"] for request in server.requests} == {"Hello"}


async def test_max_retries_can_be_large_and_total_still_holds() -> None:
    async with FaultServer(json_answer(500, BUSY)) as server:
        outcome = await ask(
            server, max_retries=10**6, timeouts=Timeouts(connect=1, silence=1, total=0.3)
        )
    assert outcome.error is not None
    assert outcome.seconds < 0.3 + 1.0
