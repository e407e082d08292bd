"""Other people's doubles of a response: a status, headers and a content are enough."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

import aiohttp
import pytest
from fault_script import DONE, STOP, delta

from async_copilot import (
    AuthenticationError,
    CopilotClient,
    DisconnectedError,
    End,
    Reply,
    SilenceTimeoutError,
    Timeouts,
    content_deltas,
)
from async_copilot.transport.outgoing import Outgoing

WHOLE = delta("Hel") + delta("lo") + STOP + DONE


class Content:
    """As much of a stream as mocks have: ``read(n)``."""

    def __init__(self, *blocks: bytes, then: Exception | None = None, hangs: bool = False) -> None:
        self._blocks = list(blocks)
        self._then = then
        self._hangs = hangs

    async def read(self, size: int = -1) -> bytes:
        if self._blocks:
            return self._blocks.pop(0)
        if self._hangs:
            await asyncio.sleep(60)
        if self._then is not None:
            raise self._then
        return b""


class Slotted:
    __slots__ = ("post",)


def response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Any:
    return SimpleNamespace(status=status, headers=headers or {}, content=content)


async def consume(deltas: AsyncGenerator[str, None]) -> None:
    async for _ in deltas:
        pass


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "text/event-stream"}, {"Content-Type": "text/event-stream"}]
)
async def test_a_status_headers_and_a_content_are_enough(headers: dict[str, str]) -> None:
    reply = Reply()
    double = response(Content(WHOLE[:20], WHOLE[20:]), headers=headers)
    assert [text async for text in content_deltas(double, reply=reply)] == ["Hel", "lo"]
    assert reply.end is End.COMPLETE


async def lines(body: bytes) -> AsyncGenerator[bytes, None]:
    for line in body.splitlines(keepends=True):
        yield line


@pytest.mark.parametrize(
    "content", [lines, lambda body: SimpleNamespace(iter_any=partial(lines, body))]
)
async def test_a_content_that_can_only_be_iterated_is_enough(content: Any) -> None:
    """As tests have it whose code read ``async for line in response.content``."""
    double = response(content(WHOLE))
    assert [text async for text in content_deltas(double)] == ["Hel", "lo"]


@pytest.mark.parametrize("session", [SimpleNamespace(), mock.MagicMock(), Slotted()])
async def test_a_session_that_can_only_post_is_enough(session: Any) -> None:
    """One that cannot be referenced weakly, and a mock, all of whose attributes are true."""
    session.post = mock.AsyncMock(
        side_effect=[
            response(Content(b'{"error": "who are you"}'), status=401),
            response(Content(WHOLE)),
        ]
    )
    client = CopilotClient(base_url="http://api.test/v1", session=session)
    with pytest.raises(AuthenticationError, match="who are you"):
        await client.complete("Hi")
    assert (await client.complete("Hi")).text == "Hello"


async def test_a_mock_of_a_response_does_too() -> None:
    double = mock.MagicMock(spec=["status", "headers", "content", "close", "closed", "connection"])
    double.status, double.content = 200, Content(WHOLE)
    assert [text async for text in content_deltas(double)] == ["Hel", "lo"]


async def test_a_doubles_error_status_is_told_in_its_words() -> None:
    double = response(Content(b'{"error": {"message": "who are you"}}'), status=401)
    with pytest.raises(AuthenticationError, match="who are you"):
        _ = [text async for text in content_deltas(double)]


async def test_a_double_that_fails_or_says_nothing_is_told_as_a_server_would_be() -> None:
    failing = response(Content(delta("Hel"), then=ConnectionResetError()))
    silent = response(Content(delta("Hel"), hangs=True))
    for double, kind in ((failing, DisconnectedError), (silent, SilenceTimeoutError)):
        reply = Reply()
        with pytest.raises(kind):
            await consume(content_deltas(double, timeouts=Timeouts(silence=0.1), reply=reply))
        assert reply.text == "Hel"


async def test_a_double_that_is_left_is_closed_where_it_can_be() -> None:
    double = response(Content(delta("Hel"), hangs=True))
    double.close = mock.Mock()
    deltas = content_deltas(double)
    assert await anext(deltas) == "Hel"
    await deltas.aclose()
    double.close.assert_called_once()


async def test_the_body_of_a_request_can_be_copied_by_those_who_record_it() -> None:
    """VCR.py copies deeply what it is given; and the copy is the bytes, and tells nobody."""
    told: list[object] = []
    body = Outgoing(b'{"a": 1}', told.append)
    copied = copy.deepcopy(body)
    assert copied.decode() == body.decode() == '{"a": 1}'
    assert copied.size == body.size
    writer = mock.AsyncMock(spec=aiohttp.abc.AbstractStreamWriter)
    await copied.write_with_length(writer, None)
    writer.write.assert_awaited_once_with(b'{"a": 1}')
    assert told == []


async def test_a_session_whose_requests_are_answered_by_a_double_works() -> None:
    """As aioresponses, VCR.py and Home Assistant's mock do, in place of the session's request."""

    async def answer(*_: object, **options: Any) -> Any:
        copy.deepcopy(options["data"])
        return response(Content(WHOLE), headers={"content-type": "text/event-stream"})

    async with aiohttp.ClientSession() as session:
        with mock.patch.object(aiohttp.ClientSession, "_request", answer):
            async with CopilotClient(base_url="http://api.test/v1", session=session) as client:
                assert (await client.complete("Hi")).text == "Hello"


async def test_a_stack_that_is_too_deep_is_the_callers_error() -> None:
    """It says nothing about the connection, so it is not told as a lost one."""
    with pytest.raises(RecursionError):
        await consume(content_deltas(response(Content(then=RecursionError()))))
    session = SimpleNamespace(post=mock.Mock(side_effect=RecursionError))
    async with CopilotClient(session=session) as client:
        with pytest.raises(RecursionError):
            await client.complete("Hello")
