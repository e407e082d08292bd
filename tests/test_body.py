"""Whatever aiohttp, asyncio or a socket raises becomes one of ours."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from async_copilot.body import translate
from async_copilot.errors import (
    ClientClosedError,
    ConnectionFailedError,
    CopilotError,
    DisconnectedError,
    InvalidHTTPError,
    InvalidRequestError,
    WrongLoopError,
)

KEY = ConnectionKey("host", 80, False, True, None, None, None)

TABLE: list[tuple[Exception, type[CopilotError]]] = [
    (aiohttp.ClientConnectorError(KEY, OSError(111, "refused")), ConnectionFailedError),
    (aiohttp.ClientConnectorDNSError(KEY, OSError("no such name")), ConnectionFailedError),
    (aiohttp.ServerDisconnectedError(), DisconnectedError),
    (aiohttp.ClientOSError(104, "reset"), DisconnectedError),
    (aiohttp.ClientPayloadError("not completed"), DisconnectedError),
    (aiohttp.ClientPayloadError("Can not decode content-encoding: br"), InvalidHTTPError),
    (aiohttp.InvalidURL("http://"), InvalidRequestError),
    (ConnectionResetError(), DisconnectedError),
    (RuntimeError("Session is closed"), ClientClosedError),
    (RuntimeError("Connection closed."), DisconnectedError),
    (RuntimeError("got Future attached to a different loop"), WrongLoopError),
    (ValueError("no such header"), InvalidRequestError),
    (aiohttp.http.HttpProcessingError(code=400, message="bad chunk"), InvalidHTTPError),
]


@pytest.mark.parametrize(("theirs", "ours"), TABLE, ids=lambda value: str(value)[:40])
def test_each_failure_is_one_of_ours(theirs: Exception, ours: type[CopilotError]) -> None:
    error = translate(theirs, "http://host/v1")
    assert type(error) is ours
    assert str(error)


@pytest.mark.parametrize(("theirs", "passing"), [(TABLE[0][0], True), (TABLE[1][0], False)])
def test_only_what_may_pass_is_worth_another_try(theirs: Exception, passing: bool) -> None:
    error = translate(theirs)
    assert isinstance(error, ConnectionFailedError)
    assert error.passing is passing


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
