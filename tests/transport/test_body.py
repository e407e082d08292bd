"""A body is read over a connection of any kind, and says what became of it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from unittest import mock

import aiohttp
import pytest
from aiohttp.streams import StreamReader

from async_copilot.errors import ClientClosedError, CopilotError
from async_copilot.transport.body import Body
from async_copilot.transport.clocks import Timeouts, Watchdog
from async_copilot.transport.connections import receive_less


def body_of(connection: object) -> tuple[Body, StreamReader]:
    """A body of nothing yet, over a connection that may be anything."""
    loop = asyncio.get_running_loop()
    reader = StreamReader(mock.Mock(_reading_paused=False), 2**16, loop=loop)
    response = mock.Mock(content=reader, connection=connection, closed=False)
    return Body(response, Watchdog(Timeouts())), reader


async def test_a_connection_of_any_kind_will_do() -> None:
    """uvloop's and TLS' transports have no max_size; a connection may be gone already."""
    for transport in (None, object()):
        receive_less(transport)
        body, reader = body_of(mock.Mock(protocol=object()))
        reader.feed_data(b"data")
        reader.feed_eof()
        assert [await body.read(), await body.read(), body.failure] == [b"data", b"", None]
        body.close()


async def test_the_first_failure_is_the_news() -> None:
    body, _ = body_of(None)
    first = ClientClosedError("first")
    body.fail(first)
    body.fail(ClientClosedError("second"))
    assert await body.read() == b""
    assert body.failure is first


async def test_an_end_of_the_connection_that_is_not_reported_is_no_failure() -> None:
    """As when the loop is closing: the future is cancelled."""
    closed = asyncio.get_running_loop().create_future()
    body, _ = body_of(mock.Mock(protocol=mock.Mock(closed=closed)))
    closed.cancel()
    await asyncio.sleep(0)
    assert await body.read() == b""
    assert isinstance(body.failure, ClientClosedError)
    body.close()


async def test_a_body_that_is_only_dropped_is_kept_by_nobody() -> None:
    closed = asyncio.get_running_loop().create_future()
    connection = mock.Mock(protocol=mock.Mock(closed=closed))
    body, _ = body_of(connection)
    body.response.closes = closed  # as aiohttp's response leads to its connection's future
    dropped = weakref.ref(body)
    del body, _, connection
    gc.collect()
    assert dropped() is None
    closed.cancel()
    await asyncio.sleep(0)


def test_a_session_of_another_loop_says_so() -> None:
    """As aiohttp itself tells it, in the words of the day."""
    from async_copilot import CopilotClient  # noqa: PLC0415  # only this test needs the network

    async def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    async def misuse(session: aiohttp.ClientSession) -> None:
        client = CopilotClient(base_url="http://127.0.0.1:9/v1", session=session, max_retries=0)
        with pytest.raises(CopilotError):
            await client.complete("Hi")

    with asyncio.Runner() as first:
        session = first.run(make())
        with asyncio.Runner() as second:
            second.run(misuse(session))
        asyncio.set_event_loop(first.get_loop())
        first.run(session.close())
