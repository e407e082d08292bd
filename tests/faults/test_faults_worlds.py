"""The core of the faults in four worlds: asyncio and uvloop, http and https.

uvloop's transports and those of TLS are other classes than asyncio's own: what may be
asked of a transport, referenced weakly or told by its end differs.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
import uvloop
from fault_client import KEY, ask, together
from fault_script import (
    FIN,
    HELLO,
    HOLD,
    RST,
    SSE,
    Answer,
    Repeat,
    json_answer,
    said,
    stream,
)
from fault_server import FaultServer, by_connection
from test_faults_doors import FAULTS, response, tells, text
from tls import client_context, server_context

from async_copilot import (
    ClientClosedError,
    CopilotClient,
    End,
    SilenceTimeoutError,
    Timeouts,
)

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop] | None] = {
    "asyncio": None,
    "uvloop": uvloop.new_event_loop,
}
WORLDS = [(loop, secure) for loop in LOOPS for secure in (False, True)]


@pytest.fixture(params=WORLDS, ids=[f"{loop}-http{'s' * secure}" for loop, secure in WORLDS])
def world(request: pytest.FixtureRequest) -> tuple[str, bool]:
    found: tuple[str, bool] = request.param
    return found


@pytest.fixture
def loop_factory(world: tuple[str, bool]) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The conftest runs a test in the loop that this makes."""
    return LOOPS[world[0]]


@pytest.fixture
def tls(world: tuple[str, bool]) -> ssl.SSLContext | None:
    """The server's side; the client trusts it, see `options`."""
    return server_context() if world[1] else None


PATIENT = Timeouts(connect=30, silence=30, stall=30)


def client_of(server: FaultServer, **options: Any) -> CopilotClient:
    """One that trusts the servers here and asks once."""
    defaults = {"ssl": client_context(), "api_key": KEY, "max_retries": 0, "timeouts": PATIENT}
    return CopilotClient(base_url=server.url, **{**defaults, **options})


async def hello(server: FaultServer, client: CopilotClient) -> None:
    outcome = await ask(server, client=client)
    outcome.ended(End.COMPLETE, "Hello", within=10)


async def test_every_fault_is_told_as_what_it_is(
    loop_factory: object, tls: ssl.SSLContext | None
) -> None:
    await together(
        {
            f"{name} by {door.__name__}": tells(name, door, tls)
            for name in FAULTS
            for door in (text, response)
        }
    )


async def test_turn_after_turn_uses_one_connection(
    loop_factory: object, tls: ssl.SSLContext | None
) -> None:
    async with FaultServer(HELLO, tls=tls) as server, client_of(server) as client:
        for _ in range(3):
            await hello(server, client)
    assert len(server.connections) == 1


async def test_a_stale_connection_is_replaced(
    loop_factory: object, tls: ssl.SSLContext | None
) -> None:
    """One that was closed while idle, and one that is at the next request."""
    idle: Answer = (stream("Hel", "lo"), 0.01, FIN)
    async with (
        FaultServer(route=by_connection([idle], [HELLO, (FIN,)], [HELLO]), tls=tls) as server,
        client_of(server) as client,
    ):
        await hello(server, client)
        await server.closed(1)
        for _ in range(3):
            await hello(server, client)
    assert len(server.connections) == 3


async def test_bytes_that_nobody_asked_for_answer_nobody(
    loop_factory: object, tls: ssl.SSLContext | None
) -> None:
    late: Answer = (stream("Hel", "lo"), 0.02, stream("not", " yours"))
    async with FaultServer(late, HELLO, tls=tls) as server, client_of(server) as client:
        await hello(server, client)
        await asyncio.sleep(0.1)
        for _ in range(3):
            await hello(server, client)


async def test_leaving_is_seen_at_once(loop_factory: object, tls: ssl.SSLContext | None) -> None:
    endless: Answer = (SSE, Repeat(said("x"), every=0.02))
    async with FaultServer(endless, tls=tls) as server, client_of(server) as client:
        async with client.stream("Hello") as reply:
            async for _ in reply:
                break
        await server.left()


async def test_a_failed_attempt_is_followed_by_another(
    loop_factory: object, tls: ssl.SSLContext | None
) -> None:
    busy = json_answer(503, {"error": {"message": "busy"}}, retry_after_ms=1)
    async with (
        FaultServer((RST,), busy, HELLO, tls=tls) as server,
        client_of(server, max_retries=2) as client,
    ):
        outcome = await ask(server, client=client)
    assert outcome.ended(End.COMPLETE, "Hello", within=10).timing.retries == 2


async def test_closing_the_session_ends_what_is_under_way(
    loop_factory: object, tls: ssl.SSLContext | None
) -> None:
    async with (
        FaultServer((SSE, said("Hel"), HOLD), tls=tls) as server,
        aiohttp.ClientSession() as session,
        client_of(server, session=session) as client,
        client.stream("Hello") as reply,
    ):
        assert await anext(aiter(reply)) == "Hel"
        await session.close()
        with pytest.raises(ClientClosedError):
            await anext(aiter(reply))


async def test_clocks_below_a_millisecond_ring(
    loop_factory: object, tls: ssl.SSLContext | None
) -> None:
    tiny = Timeouts(connect=30, silence=0.0004)
    async with FaultServer((HOLD,), tls=tls) as server, client_of(server, timeouts=tiny) as client:
        outcome = await ask(server, client=client)
    outcome.failed(SilenceTimeoutError, within=1)
