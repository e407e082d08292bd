"""Connections used again, connections gone stale, and pools that must not fill up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fault_client import FAST, KEY, ask
from fault_script import (
    DONE,
    FIN,
    HELLO,
    HOLD,
    RST,
    SSE,
    STOP,
    Answer,
    Close,
    Repeat,
    Until,
    chunk,
    head,
    json_answer,
    said,
    stream,
)
from fault_server import FaultServer, by_connection

from async_copilot import (
    CopilotClient,
    DisconnectedError,
    End,
    NotFoundError,
    ServerStatusError,
    Timeouts,
)


def client_of(server: FaultServer, **options: Any) -> CopilotClient:
    """A client that does not retry: what is tried again here is the stale socket only."""
    defaults: dict[str, Any] = {"api_key": KEY, "timeouts": FAST, "max_retries": 0}
    return CopilotClient(base_url=server.url, **{**defaults, **options})


async def hello(server: FaultServer, client: CopilotClient) -> None:
    """One turn that must go well, at the first try as far as the user can tell."""
    reply = (await ask(server, client=client)).ended(End.COMPLETE, "Hello")
    assert reply.timing.retries == 0


async def test_turn_after_turn_uses_one_connection() -> None:
    async with FaultServer(HELLO) as server, client_of(server) as client:
        for _ in range(5):
            await hello(server, client)
    assert len(server.connections) == 1
    assert len(server.requests) == 5


async def test_complete_gives_its_connection_back_too() -> None:
    async with FaultServer(HELLO) as server, client_of(server) as client:
        for _ in range(3):
            assert (await client.complete("Hello")).text == "Hello"
    assert len(server.connections) == 1


@pytest.mark.parametrize("status", [404, 500])
async def test_an_error_status_gives_its_connection_back(status: int) -> None:
    wrong = json_answer(status, {"error": {"message": "no"}})
    async with FaultServer(wrong, HELLO) as server, client_of(server) as client:
        outcome = await ask(server, client=client)
        outcome.failed((NotFoundError, ServerStatusError))
        await hello(server, client)
    assert len(server.connections) == 1


@pytest.mark.parametrize("how", [FIN, RST], ids=["fin", "rst"])
async def test_a_server_that_says_keep_alive_and_closes_fails_no_turn(how: Close) -> None:
    """llama-server does; aiohttp alone fails every second request here."""
    rude: Answer = (
        head(Keep_Alive="timeout=5, max=100") + stream("Hel", "lo")[len(SSE) :],
        how,
    )
    async with FaultServer(rude) as server, client_of(server) as client:
        for _ in range(20):
            await hello(server, client)
    assert len(server.requests) == 20


async def test_a_connection_that_went_stale_in_the_pool_fails_no_turn() -> None:
    stale: Answer = (stream("Hel", "lo"), 0.05, FIN)
    async with FaultServer(stale, HELLO) as server, client_of(server) as client:
        await hello(server, client)
        await asyncio.sleep(0.1)
        await hello(server, client)
    assert len(server.connections) == 2
    assert len(server.requests) == 2


@pytest.mark.parametrize("how", [FIN, RST], ids=["fin", "rst"])
async def test_a_pooled_connection_that_dies_at_a_request_is_replaced(
    how: Close,
) -> None:
    """The race no client can avoid: the FIN crosses the request. Uncounted, on a new connection."""
    script = by_connection([HELLO, (how,)])
    async with FaultServer(route=script) as server, client_of(server) as client:
        for _ in range(4):
            await hello(server, client)
    assert len(server.connections) == 4


async def test_a_whole_pool_gone_stale_fails_no_turn() -> None:
    script = by_connection(*[[HELLO, (FIN,)]] * 5, [HELLO])
    async with FaultServer(route=script) as server, client_of(server) as client:
        await asyncio.gather(*(hello(server, client) for _ in range(5)))
        for _ in range(3):
            await hello(server, client)


async def test_a_fresh_connection_that_dies_is_not_taken_for_a_stale_one() -> None:
    async with FaultServer(HELLO, (FIN,)) as server, client_of(server) as client:
        await hello(server, client)
        outcome = await ask(server, client=client)
    outcome.failed(DisconnectedError, retries=0, within=0.3)
    assert len(server.requests) == 3, "once on the pooled connection, once on a fresh one"


async def test_a_pooled_connection_that_dies_in_its_answer_is_not_stale() -> None:
    """Once bytes of an answer are here the question has been heard."""
    cut: Answer = (SSE, said("Hel"), 0.02, FIN)
    async with FaultServer(HELLO, cut) as server, client_of(server) as client:
        await hello(server, client)
        outcome = await ask(server, client=client)
    outcome.failed(DisconnectedError, text="Hel")
    assert len(server.requests) == 2


async def test_headers_and_then_a_reset_are_not_a_stale_connection() -> None:
    """What follows the headers is the answer's own failure, and counts as a retry."""
    async with FaultServer(HELLO, (SSE, 0.02, RST)) as server, client_of(server) as client:
        await hello(server, client)
        (await ask(server, client=client)).failed(DisconnectedError)
    assert len(server.requests) == 2


async def test_a_body_left_open_after_done_costs_a_connection_and_nothing_else() -> None:
    keeps_open: Answer = (SSE, said("Hello"), chunk(STOP), chunk(DONE))
    async with FaultServer(keeps_open) as server, client_of(server) as client:
        for _ in range(2):
            await hello(server, client)
        await server.left(2)
    assert len(server.connections) == 2


async def test_a_server_that_closes_by_announcement_fails_no_turn() -> None:
    polite: Answer = (head(Connection="close") + stream("Hel", "lo")[len(SSE) :], FIN)
    async with FaultServer(polite) as server, client_of(server) as client:
        for _ in range(3):
            await hello(server, client)
    assert len(server.connections) == 3


async def test_a_second_answer_nobody_asked_for_is_not_the_next_ones() -> None:
    """Response splitting: what follows an answer on the wire must not answer the next question."""
    twice: Answer = (stream("Hel", "lo") + stream("Not", " yours"),)
    async with FaultServer(twice, HELLO) as server, client_of(server) as client:
        await hello(server, client)
        await hello(server, client)


async def test_there_is_no_hidden_limit_of_a_hundred_streams() -> None:
    """Streams that wait for each other starve in aiohttp's default pool."""
    gate = asyncio.Event()

    async def wait_for_all() -> None:
        await server.received(150, within=8)
        gate.set()

    answer: Answer = (SSE + said("Hel"), Until(gate), stream("lo")[len(SSE) :])
    async with (
        FaultServer(answer) as server,
        client_of(server, timeouts=Timeouts(silence=10)) as client,
    ):
        waiting = asyncio.create_task(wait_for_all())
        outcomes = await asyncio.gather(*(ask(server, client=client) for _ in range(150)))
        await waiting
    for outcome in outcomes:
        outcome.ended(End.COMPLETE, "Hello", within=8)
    assert len(server.connections) == 150


async def test_a_given_limit_of_connections_holds() -> None:
    slow: Answer = (SSE, said("Hel"), 0.02, stream("lo")[len(SSE) :])
    async with FaultServer(slow) as server, client_of(server, max_connections=3) as client:
        await asyncio.gather(*(hello(server, client) for _ in range(12)))
    assert len(server.connections) == 3


async def test_leaving_a_full_pool_frees_its_place() -> None:
    endless: Answer = (SSE, Repeat(said("x"), every=0.02))
    async with (
        FaultServer(endless, HELLO) as server,
        client_of(server, max_connections=1) as client,
    ):
        async with client.stream("Hello") as reply:
            async for _ in reply:
                break
        await hello(server, client)


async def test_failures_do_not_use_up_a_full_pool() -> None:
    answers = [(FIN,), (SSE, said("x"), RST), (HOLD,), (b"junk\r\n\r\n",), json_answer(404, {})]
    async with (
        FaultServer(*answers, HELLO) as server,
        client_of(server, max_connections=1) as client,
    ):
        for _ in answers:
            assert (await ask(server, client=client)).error is not None
        await hello(server, client)
