"""abort() ends whatever an exchange waits for, and what it is about to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from fault_script import HOLD
from fault_server import FaultServer
from yarl import URL

from async_copilot.errors import ClientClosedError, RateLimitError
from async_copilot.transport.clocks import Timeouts
from async_copilot.transport.exchange import Exchange
from async_copilot.transport.gate import Gate

CLOSED = ClientClosedError("closed")
LONG = 60.0  # seconds; no test waits for it


@asynccontextmanager
async def exchange_with(gate: Gate | None = None) -> AsyncIterator[Exchange]:
    """An exchange with a server that never answers."""
    async with FaultServer((HOLD,)) as server, aiohttp.ClientSession() as session:
        url = URL(f"{server.url}/chat/completions")
        yield Exchange(
            session, url, b"{}", headers={}, timeouts=Timeouts(), max_retries=2, gate=gate
        )


async def aborted(exchange: Exchange, wait: Awaitable[object]) -> None:
    """Wait; abort in the middle, and expect the end."""
    waiting = asyncio.ensure_future(wait)
    await asyncio.sleep(0.05)
    assert not waiting.done()
    exchange.abort(CLOSED)
    with pytest.raises(ClientClosedError):
        await asyncio.wait_for(waiting, LONG / 2)


async def test_it_ends_a_request() -> None:
    async with exchange_with() as exchange:
        await aborted(exchange, exchange.open())


async def test_it_ends_a_pause() -> None:
    async with exchange_with() as exchange:
        await aborted(exchange, exchange.wait(LONG))


async def test_it_ends_a_request_after_a_pause_that_was_cancelled() -> None:
    async with exchange_with() as exchange:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(exchange.wait(LONG), 0.01)
        await aborted(exchange, exchange.open())


async def test_it_ends_the_pause_and_the_request_that_come_next() -> None:
    async with exchange_with() as exchange:
        exchange.abort(CLOSED)
        for wait in (exchange.wait, lambda _: exchange.open()):
            with pytest.raises(ClientClosedError):
                await asyncio.wait_for(wait(LONG), LONG / 2)


def shut_gate() -> Gate:
    gate = Gate()
    gate.failed(gate.sent(), RateLimitError("no", status=429, retry_after=LONG))
    return gate


async def test_it_ends_the_wait_at_a_shut_gate() -> None:
    async with exchange_with(shut_gate()) as exchange:
        await aborted(exchange, exchange.open())


async def test_it_ends_a_request_that_the_gate_has_just_let_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, places = shut_gate(), list[asyncio.Future[None]]()
    queue = gate.queue

    def noted(_: Gate) -> asyncio.Future[None]:
        places.append(queue())
        return places[-1]

    monkeypatch.setattr(Gate, "queue", noted)
    async with exchange_with(gate) as exchange:
        waiting = asyncio.ensure_future(exchange.open())
        await asyncio.sleep(0.05)
        places[0].set_result(None)
        exchange.abort(CLOSED)
        with pytest.raises(ClientClosedError):
            await asyncio.wait_for(waiting, LONG / 2)
