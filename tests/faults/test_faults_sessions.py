"""Sessions that belong to somebody else: promise 9, and a client in the wrong loop."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from fault_client import KEY, ask
from fault_script import (
    DONE,
    HELLO,
    SSE,
    STOP,
    Answer,
    delta,
    json_answer,
    said,
    sized,
    stream,
)
from fault_server import FaultServer
from test_faults_reuse import client_of, hello

from async_copilot import (
    ClientClosedError,
    CopilotClient,
    End,
    NotFoundError,
    Timeouts,
    WrongLoopError,
)

HOSTILE = aiohttp.ClientTimeout(total=300)


async def test_a_hostile_session_works_and_is_left_as_it_was() -> None:
    async with (
        FaultServer(HELLO) as server,
        aiohttp.ClientSession(
            "http://elsewhere.test/api/",
            headers={"X-Mine": "1", "Accept": "text/html", "Content-Type": "text/plain"},
            raise_for_status=True,
            timeout=HOSTILE,
            read_bufsize=1,
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=1),
            cookies={"mine": "1"},
            trust_env=True,
        ) as session,
    ):
        before = dict(session.headers)
        for _ in range(3):
            async with client_of(server, session=session) as client:
                await hello(server, client)
                await hello(server, client)
            assert not session.closed
        assert dict(session.headers) == before
        assert session.timeout == HOSTILE
        assert session.raise_for_status is True
    assert len(server.connections) == 1
    request = server.requests[0]
    assert request.target == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"].startswith("application/json")
    assert request.headers["x-mine"] == "1"


async def test_a_session_that_raises_for_status_gives_our_error_all_the_same() -> None:
    """With the server's words, which aiohttp's own raising throws away."""
    wrong = json_answer(404, {"error": {"message": "no such model", "code": "m"}})
    async with (
        FaultServer(wrong) as server,
        aiohttp.ClientSession(raise_for_status=True) as session,
    ):
        outcome = await ask(server, session=session)
    outcome.failed(NotFoundError, says=["no such model"], status=404, code="m")


async def test_a_session_whose_check_of_the_status_is_a_function_works() -> None:
    async def refuse(_: aiohttp.ClientResponse) -> None:
        raise KeyError("the session's own rule")

    busy = json_answer(503, {"error": {"message": "busy"}}, retry_after_ms=1)
    async with (
        FaultServer(busy, HELLO) as server,
        aiohttp.ClientSession(raise_for_status=refuse) as session,
    ):
        outcome = await ask(server, session=session, max_retries=1)
    outcome.ended(End.COMPLETE, "Hello")


async def test_a_sessions_short_total_does_not_cut_our_stream() -> None:
    slow: Answer = (SSE, *(step for letter in "Hello" for step in (said(letter), 0.06)))
    answer: Answer = (*slow, stream()[len(SSE) :])
    async with (
        FaultServer(answer) as server,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.1, sock_read=0.01)) as session,
    ):
        outcome = await ask(server, session=session)
    outcome.ended(End.COMPLETE, "Hello", within=0.5)


@pytest.mark.parametrize("size", [1, 64, 2**16])
async def test_any_read_buffer_of_a_session_reads_a_long_line(size: int) -> None:
    """aiohttp's line reader gives up at twice the buffer."""
    long = "x" * 300_000
    body = delta(long) + STOP + DONE
    async with (
        FaultServer((sized(body),)) as server,
        aiohttp.ClientSession(read_bufsize=size) as session,
    ):
        outcome = await ask(server, session=session, timeouts=Timeouts(silence=5, stall=5))
    outcome.ended(End.COMPLETE, long, within=3.0)


async def test_a_session_with_one_connection_is_shared_without_a_deadlock() -> None:
    async with (
        FaultServer(HELLO) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session,
        client_of(server, session=session, timeouts=Timeouts()) as one,
        client_of(server, session=session, timeouts=Timeouts()) as two,
    ):
        await asyncio.gather(*(hello(server, client) for client in (one, two) * 10))
    assert len(server.connections) == 1


async def test_closing_the_client_leaves_the_other_users_of_a_session_alone() -> None:
    slow: Answer = (SSE + said("Hel"), 0.2, stream("lo")[len(SSE) :])
    async with (
        FaultServer(slow) as server,
        aiohttp.ClientSession() as session,
        client_of(server, session=session) as other,
    ):
        running = asyncio.create_task(hello(server, other))
        async with client_of(server, session=session) as client:
            ours = asyncio.create_task(ask(server, client=client))
            await server.received(2)
            await asyncio.sleep(0.05)
        outcome = await ours
        await running
    outcome.failed(ClientClosedError, text="Hel")


async def test_default_headers_of_a_session_may_carry_the_key() -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with FaultServer(HELLO) as server, aiohttp.ClientSession(headers=headers) as session:
        await ask(server, session=session, api_key=None)
        await ask(server, session=session, api_key="another")
    first, second = (request.headers["authorization"] for request in server.requests)
    assert first == f"Bearer {KEY}"
    assert second == "Bearer another"
    assert server.requests[1].head.lower().count(b"authorization:") == 1


def test_a_client_belongs_to_the_loop_it_was_first_used_in() -> None:
    async def serve(client: CopilotClient | None) -> CopilotClient:
        async with FaultServer(HELLO) as server:
            client = client or client_of(server)
            outcome = await ask(server, client=client)
            if outcome.error is not None:
                raise outcome.error
            return client

    async def first() -> CopilotClient:
        client = await serve(None)
        await client.aclose()
        return client

    async def open_and_leave() -> CopilotClient:
        return await serve(None)

    with asyncio.Runner() as one, asyncio.Runner() as two:
        client = one.run(open_and_leave())
        with pytest.raises(WrongLoopError, match="loop"):
            two.run(serve(client))
        one.run(client.aclose())
        with pytest.raises(ClientClosedError):
            one.run(serve(one.run(first())))
