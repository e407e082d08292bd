"""Bytes that nobody asked for: an answer is its own question's, whatever a peer sends when.

Each server here answers a question with the question. Between two questions, or right
behind an answer, it sends something else over the idle connection.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import aiohttp
import pytest
from fault_client import KEY, ask, together
from fault_script import (
    FIN,
    HELLO,
    RST,
    SSE,
    Answer,
    Close,
    Until,
    head,
    said,
    sized,
    stream,
)
from fault_server import FaultServer, Request, by_connection

from async_copilot import (
    CopilotClient,
    CopilotError,
    DisconnectedError,
    End,
    Observer,
    Reply,
    Timeouts,
)

PATIENT = Timeouts(connect=30, silence=30, stall=30)
NOT_YOURS = stream("not yours")
REFUSAL = json.dumps({"error": {"message": "not yours"}}).encode()


def refusal(status: int, **headers: Any) -> bytes:
    return sized(REFUSAL, status=status, reason="X", content_type="application/json", **headers)


# What comes over the idle connection, and whether right behind the answer or later.
UNASKED: dict[str, tuple[bytes, ...]] = {
    "a stream": (NOT_YOURS,),
    "a whole 200": (sized(b"data: [DONE]\n\n"),),
    "an empty 200": (head(200, length=0),),
    "401": (refusal(401),),
    "401 and close": (refusal(401, Connection="close"),),
    "408": (refusal(408),),
    "408 and close": (refusal(408, Connection="close"),),
    "408 without a body": (head(408, length=0, Connection="close"),),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-Ty",),
    "a head whose body comes later": (SSE,),
    "a body that has begun": (SSE + said("not yours"),),
    "100 Continue": (b"HTTP/1.1 100 Continue\r\n\r\n",),
    "two of them": (NOT_YOURS, NOT_YOURS),
    "noise": (b"\x00noise\r\n\r\n",),
    "a line end": (b"\r\n",),
}


def echo(request: Request) -> bytes:
    return stream(request.json["messages"][-1]["content"])


def client_of(server: FaultServer, **options: Any) -> CopilotClient:
    defaults: dict[str, Any] = {"api_key": KEY, "max_retries": 0, "timeouts": PATIENT}
    return CopilotClient(base_url=server.url, **{**defaults, **options})


async def answers_own_question(client: CopilotClient, question: str) -> Reply:
    reply = await client.complete(question)
    assert reply.text == question
    assert reply.end is End.COMPLETE
    assert reply.timing.retries == 0
    return reply


# Noise in the packet of an answer breaks the answer itself, as far as aiohttp can see.
CASES = [(name, behind) for name in UNASKED for behind in (True, False)]
CASES.remove(("noise", True))


async def own_questions_are_answered(unasked: tuple[bytes, ...], behind: bool) -> None:
    """The first three connections are such ones; those after them are as they should be."""

    def route(request: Request) -> Answer:
        if request.connection.number >= 3:
            return (echo(request),)
        if behind:
            return (echo(request) + b"".join(unasked),)
        return [echo(request), *(step for data in unasked for step in (0.01, data))]

    async with FaultServer(route=route) as server, client_of(server) as client:
        for number in range(6):
            await answers_own_question(client, f"question {number}")
            await asyncio.sleep(0.04)


async def test_an_answer_is_its_own_questions() -> None:
    await together(
        {
            f"{name}, {'right behind' if behind else 'later'}": own_questions_are_answered(
                UNASKED[name], behind
            )
            for name, behind in CASES
        }
    )


@pytest.mark.parametrize("shared", [True, False], ids=["a borrowed session", "its own"])
async def test_one_late_answer_shifts_none_of_a_hundred(shared: bool) -> None:
    sent = asyncio.Event()

    def route(request: Request) -> Answer:
        if sent.is_set():
            return (echo(request),)
        sent.set()
        return (echo(request), 0.005, NOT_YOURS)

    async with (
        FaultServer(route=route) as server,
        aiohttp.ClientSession() as session,
        client_of(server, session=session if shared else None) as client,
    ):
        chats = [client.conversation(), client.conversation()]
        for number in range(50):
            for chat in chats:
                reply = await chat.ask(f"{number}")
                assert reply.text == f"{number}"
                await asyncio.sleep(0.01 if number < 2 else 0)


async def test_bytes_that_the_loop_has_not_read_yet_count_too() -> None:
    """They come in the same turn of the loop in which the next question goes out."""
    ready = asyncio.Event()

    def route(request: Request) -> Answer:
        late: Answer = (echo(request), Until(ready), NOT_YOURS)
        return late if request.connection.number == 0 else (echo(request),)

    async with FaultServer(route=route) as server, client_of(server) as client:
        await answers_own_question(client, "one")
        ready.set()
        await server.sent_more(server.connections[0])  # and nobody has read it
        await answers_own_question(client, "two")
        await answers_own_question(client, "three")


@pytest.mark.parametrize("cut", [1, 20, len(SSE) - 2])
async def test_half_a_head_is_not_the_next_answers_beginning(cut: int) -> None:
    """aiohttp reads it and tells of nothing; the rest of it comes after the next question."""

    def route(request: Request) -> Answer:
        if len(request.connection.requests) > 1:
            return (NOT_YOURS[cut:], echo(request))
        if request.connection.number < 2:
            return (echo(request), 0.01, NOT_YOURS[:cut])
        return HELLO

    async with FaultServer(route=route) as server, client_of(server) as client:
        for question in ("one", "two", "Hello"):
            await answers_own_question(client, question)
            await asyncio.sleep(0.05)
    assert len(server.connections) == 3


async def test_another_user_of_the_session_takes_no_connection_away() -> None:
    """What comes for a request of theirs was asked for."""
    async with (
        FaultServer(route=lambda request: (echo(request),) if request.body else HELLO) as server,
        aiohttp.ClientSession() as session,
        client_of(server, session=session) as client,
    ):
        for number in range(3):
            await answers_own_question(client, f"question {number}")
            async with session.get(server.url) as response:
                assert await response.read()
    assert len(server.connections) == 1


async def test_a_middleware_may_send_a_request_twice() -> None:
    async def twice(
        request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        await (await send(request)).read()
        return await send(request)

    async with (
        FaultServer(route=lambda request: (0.03, echo(request))) as server,
        aiohttp.ClientSession(middlewares=[twice]) as session,
        client_of(server, session=session) as client,
    ):
        for number in range(3):
            await answers_own_question(client, f"question {number}")
    assert (len(server.requests), len(server.connections)) == (6, 1)


async def test_a_long_question_goes_out_over_a_used_connection() -> None:
    """Writing is paused and goes on, whoever listens meanwhile."""
    question = "x" * 2**24
    async with FaultServer(HELLO) as server, client_of(server) as client:
        for _ in range(2):
            assert (await client.complete(question)).text == "Hello"
    assert len(server.connections) == 1


async def test_a_client_per_request_knows_the_shared_sessions_connections() -> None:
    def route(request: Request) -> Answer:
        late: Answer = (echo(request), 0.005, NOT_YOURS)
        return late if len(server.requests) == 1 else (echo(request),)

    async with FaultServer(route=route) as server, aiohttp.ClientSession() as session:
        for number in range(4):
            async with client_of(server, session=session) as client:
                await answers_own_question(client, f"question {number}")
            await asyncio.sleep(0.02)


async def test_an_answer_that_a_middleware_makes_or_asks_for_itself_is_taken() -> None:
    """No request of ours goes out for it, on a connection that was used before."""

    async def other_body(
        request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        await request.update_body(b'{"messages": [{"content": "another"}]}')
        return await send(request)

    async with (
        FaultServer(route=lambda request: (echo(request),)) as server,
        aiohttp.ClientSession(middlewares=[other_body]) as session,
        client_of(server, session=session) as client,
    ):
        for _ in range(3):
            assert (await client.complete("one")).text == "another"
    assert len(server.requests) == 3


# ------------------------------------------------------------------ reused is not stale


@pytest.mark.parametrize("how", [FIN, RST], ids=["fin", "rst"])
@pytest.mark.parametrize("work", [0.05, 0.3])
async def test_a_request_that_was_taken_and_dropped_is_not_sent_again(
    how: Close, work: float
) -> None:
    """Uncounted, that is: max_retries says how often, and says 0 here."""
    taken = by_connection([(stream("Hello"),), (work, how)], [(work, how)])
    async with FaultServer(route=taken) as server, client_of(server) as client:
        (await ask(server, client=client)).ended(End.COMPLETE, "Hello", within=5)
        outcome = await ask(server, client=client)
    outcome.failed(DisconnectedError, within=5)
    assert len(server.requests) == 2


@pytest.mark.parametrize("how", [FIN, RST], ids=["fin", "rst"])
@pytest.mark.parametrize(
    "begun",
    [SSE[:1], SSE[:20], SSE[:-1], b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n"],
    ids=["a byte", "half a head", "nearly a head", "100 Continue", "a line end"],
)
async def test_with_the_first_byte_of_an_answer_a_connection_is_not_stale(
    begun: bytes, how: Close
) -> None:
    script = by_connection([(stream("Hello"),), (begun, how)], [(how,)])
    async with FaultServer(route=script) as server, client_of(server) as client:
        (await ask(server, client=client)).ended(End.COMPLETE, "Hello", within=5)
        outcome = await ask(server, client=client)
    assert isinstance(outcome.error, CopilotError)
    assert len(server.requests) == 2


class Witness(Observer):
    def __init__(self) -> None:
        self.replaced: list[CopilotError] = []

    def on_replace(self, reply: Reply, error: CopilotError) -> None:
        self.replaced.append(error)


@pytest.mark.parametrize("how", [FIN, RST], ids=["fin", "rst"])
async def test_a_connection_that_is_replaced_is_seen(
    how: Close, caplog: pytest.LogCaptureFixture
) -> None:
    witness = Witness()
    script = by_connection([(stream("Hello"),), (how,)], [(stream("Hello"),)])
    with caplog.at_level(logging.INFO, logger="async_copilot"):
        async with (
            FaultServer(route=script) as server,
            client_of(server, observer=witness) as client,
        ):
            for expected in (0, 1):
                reply = await client.complete("Hi")
                assert reply.timing.replaced == expected
                assert reply.timing.retries == 0
    assert len(witness.replaced) == 1
    assert [record.levelname for record in caplog.records if "stale" in record.message] == ["INFO"]
