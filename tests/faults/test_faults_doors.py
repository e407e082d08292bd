"""The same faults through every door: text, chunks, complete(), a conversation, a bare response."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from fault_client import KEY, assert_presentable, together
from fault_script import (
    FIN,
    HELLO,
    HOLD,
    RST,
    SSE,
    Answer,
    Repeat,
    chunk,
    delta,
    event,
    json_answer,
    said,
    sized,
    text_answer,
)
from fault_server import FaultServer
from tls import client_context

from async_copilot import (
    BadRequestError,
    CopilotClient,
    CopilotError,
    DisconnectedError,
    End,
    EventTooLargeError,
    MalformedDataError,
    Reply,
    ServerStatusError,
    SilenceTimeoutError,
    StallTimeoutError,
    StreamError,
    Timeouts,
    TruncatedError,
    UnexpectedContentError,
    content_deltas,
)

# A row that is not about a clock has clocks that no busy machine runs into.
PATIENT = Timeouts(connect=30, silence=30, stall=30)
SILENT = Timeouts(connect=30, silence=0.3, stall=30)
STALLING = Timeouts(connect=30, silence=30, stall=0.6)
NO = {"error": {"message": "no"}}

FAULTS: dict[str, tuple[Answer, type[CopilotError], str]] = {
    "fin": ((SSE, said("Hel"), 0.02, FIN), DisconnectedError, "Hel"),
    "fin-before-text": ((SSE, 0.02, FIN), DisconnectedError, ""),
    "rst": ((SSE, said("Hel"), 0.02, RST), DisconnectedError, "Hel"),
    "truncated": ((sized(delta("Hel")),), TruncatedError, "Hel"),
    "silence": ((SSE, said("Hel"), HOLD), SilenceTimeoutError, "Hel"),
    "stall": ((SSE, said("Hel"), Repeat(chunk(b":\n\n"), every=0.05)), StallTimeoutError, "Hel"),
    "error": ((sized(delta("Hel") + event(NO)),), StreamError, "Hel"),
    "malformed": ((sized(delta("Hel") + b"data: {\n\n"),), MalformedDataError, "Hel"),
    "too-large": ((sized(delta("Hel") + delta("x" * 70_000)),), EventTooLargeError, "Hel"),
    "html": (text_answer(200, "<html>", content_type="text/html"), UnexpectedContentError, ""),
    "status-400": (json_answer(400, NO), BadRequestError, ""),
    "status-500": (json_answer(500, NO), ServerStatusError, ""),
}
CLOCKS: dict[type[CopilotError], Timeouts] = {
    SilenceTimeoutError: SILENT,
    StallTimeoutError: STALLING,
}


def client_of(server: FaultServer, timeouts: Timeouts) -> CopilotClient:
    """One with a small bound, which trusts the tests' own servers."""
    return CopilotClient(
        base_url=server.url,
        api_key=KEY,
        timeouts=timeouts,
        max_retries=0,
        max_event_bytes=60_000,
        ssl=client_context(),
    )


async def text(server: FaultServer, timeouts: Timeouts = PATIENT) -> str:
    """Door two."""
    async with client_of(server, timeouts) as client, client.stream("Hello") as reply:
        return "".join([piece async for piece in reply])


async def chunks(server: FaultServer, timeouts: Timeouts = PATIENT) -> str:
    """Door two, in full."""
    async with client_of(server, timeouts) as client, client.stream("Hello") as reply:
        return "".join([piece.content async for piece in reply.chunks()])


async def complete(server: FaultServer, timeouts: Timeouts = PATIENT) -> str:
    """Door two, at once."""
    async with client_of(server, timeouts) as client:
        return (await client.complete("Hello")).text


async def conversation(server: FaultServer, timeouts: Timeouts = PATIENT) -> str:
    """Door three; a turn that failed leaves no trace in the history."""
    async with client_of(server, timeouts) as client:
        chat = client.conversation()
        try:
            return (await chat.ask("Hello")).text
        except CopilotError:
            assert chat.history == []
            raise


async def response(server: FaultServer, timeouts: Timeouts = PATIENT) -> str:
    """Door one."""
    headers = {"Authorization": f"Bearer {KEY}"}
    reply = Reply()
    async with (
        aiohttp.ClientSession() as session,
        session.post(server.url, json={}, headers=headers, ssl=client_context()) as opened,
    ):
        deltas = content_deltas(opened, timeouts=timeouts, reply=reply, max_event_bytes=60_000)
        return "".join([piece async for piece in deltas])


Door = Callable[[FaultServer, Timeouts], Awaitable[str]]
DOORS: list[Door] = [text, chunks, complete, conversation, response]


async def tells(name: str, door: Door, tls: ssl.SSLContext | None = None) -> None:
    """A fault comes through a door as what it is, once, after the text that came before it."""
    answer, kind, came = FAULTS[name]
    async with FaultServer(answer, tls=tls) as server:
        with pytest.raises(CopilotError) as caught:
            await door(server, CLOCKS.get(kind, PATIENT))
        if answer[-1] not in (FIN, RST):
            await server.left()
    error = caught.value
    assert type(error) is kind
    assert_presentable(error)
    assert len(server.requests) == 1
    if came:
        assert error.reply is not None
        assert error.reply.text == came
        assert error.reply.end not in (None, End.COMPLETE, End.DONE)


async def test_every_door_tells_every_fault_alike() -> None:
    await together(
        {f"{name} by {door.__name__}": tells(name, door) for name in FAULTS for door in DOORS}
    )


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
async def test_every_door_opens_on_a_good_answer(door: Door) -> None:
    async with FaultServer(HELLO) as server:
        assert await door(server, PATIENT) == "Hello"


async def test_every_door_can_be_left_by_cancellation() -> None:
    async def leave(door: Door) -> None:
        async with FaultServer((SSE, Repeat(said("x"), every=0.02))) as server:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.2):
                    await door(server, PATIENT)
            await server.left()
        assert type(caught.value) is TimeoutError

    await together({door.__name__: leave(door) for door in DOORS})


async def test_a_response_cut_by_aiohttps_own_total_is_not_finished() -> None:
    """The caller's request has a total after all; it rings in the middle of the body."""
    async with (
        FaultServer((SSE, said("Hel"), HOLD)) as server,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.15)) as session,
        session.post(server.url, json={}) as opened,
    ):
        reply = Reply()
        with pytest.raises(CopilotError) as caught:
            _ = [piece async for piece in content_deltas(opened, reply=reply)]
    assert isinstance(caught.value, TimeoutError | ConnectionError)
    assert reply.text == "Hel"
    assert reply.end in (End.STALLED, End.DISCONNECTED)


async def test_a_borrowed_response_that_was_read_already_says_so() -> None:
    async with (
        FaultServer(HELLO) as server,
        aiohttp.ClientSession() as session,
        session.post(server.url, json={}) as opened,
    ):
        await opened.read()
        with pytest.raises(CopilotError):
            _ = [piece async for piece in content_deltas(opened)]


async def test_a_borrowed_response_that_was_closed_says_so() -> None:
    async with FaultServer((SSE, said("Hel"), HOLD)) as server, aiohttp.ClientSession() as session:
        opened = await session.post(server.url, json={})
        opened.close()
        deltas = content_deltas(opened, timeouts=Timeouts(silence=1))
        with pytest.raises(CopilotError):
            _ = [piece async for piece in deltas]
