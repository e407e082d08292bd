"""Every leaf of the error tree, provoked: none is there for show, each keeps promise 7."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fault_client import FAST, KEY, Outcome, ask, assert_presentable, leaves
from fault_script import (
    FIN,
    HELLO,
    HOLD,
    SSE,
    Answer,
    Repeat,
    chunk,
    delta,
    event,
    head,
    json_answer,
    said,
    sized,
    text_answer,
)
from fault_server import FaultServer
from test_faults_connect import deaf_port, taken_port

from async_copilot import (
    AnswerFormatError,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConnectionFailedError,
    ConnectTimeoutError,
    CopilotClient,
    CopilotError,
    DisconnectedError,
    End,
    EventTooLargeError,
    FirstTextTimeoutError,
    InvalidHTTPError,
    InvalidRequestError,
    MalformedDataError,
    NotFoundError,
    RateLimitError,
    RedirectError,
    ReplyInUseError,
    ServerStatusError,
    SilenceTimeoutError,
    StallTimeoutError,
    StreamError,
    Timeouts,
    TotalTimeoutError,
    TruncatedError,
    TurnInProgressError,
    UnexpectedContentError,
    UnexpectedStatusError,
    WrongLoopError,
)

Provoke = Callable[[], Awaitable[BaseException | None]]
NO = {"error": {"message": "no", "type": "t", "code": "c"}}


def served(*answers: Answer, **options: Any) -> Provoke:
    """The error of one request to a server with these answers."""

    async def provoke() -> BaseException | None:
        async with FaultServer(*answers) as server:
            return (await ask(server, **options)).error

    return provoke


async def refused() -> BaseException | None:
    with taken_port() as port:
        return (await ask(f"http://127.0.0.1:{port}/v1")).error


async def deaf() -> BaseException | None:
    with deaf_port() as port:
        return (await ask(f"http://127.0.0.1:{port}/v1", timeouts=Timeouts(connect=0.1))).error


async def closed() -> BaseException | None:
    async with FaultServer(HELLO) as server:
        client = CopilotClient(base_url=server.url, api_key=KEY)
        await client.aclose()
        return (await ask(server, client=client)).error


async def other_loop() -> BaseException | None:
    """Uses a client in a loop of another thread's first, then here."""
    async with FaultServer(HELLO) as server:
        client = CopilotClient(base_url=server.url, api_key=KEY, timeouts=FAST)
        (await ask(server, client=client)).ended(End.COMPLETE, "Hello")

        def elsewhere() -> Outcome:
            return asyncio.run(ask(server, client=client))

        outcome = await asyncio.to_thread(elsewhere)
        await client.aclose()
        return outcome.error


async def two_readers() -> BaseException | None:
    async with (
        FaultServer(HELLO) as server,
        CopilotClient(base_url=server.url, api_key=KEY) as client,
        client.stream("Hello") as reply,
    ):
        await anext(aiter(reply))
        try:
            await anext(aiter(reply.chunks()))
        except CopilotError as error:
            return error
    return None


async def two_turns() -> BaseException | None:
    async with (
        FaultServer((SSE, said("Hel"), HOLD)) as server,
        CopilotClient(base_url=server.url, api_key=KEY) as client,
    ):
        chat = client.conversation()
        async with chat.stream("Hello") as reply:
            await anext(aiter(reply))
            try:
                await chat.ask("Hello?")
            except CopilotError as error:
                return error
    return None


async def no_json() -> BaseException | None:
    async with (
        FaultServer(HELLO) as server,
        CopilotClient(base_url=server.url, api_key=KEY) as client,
    ):
        reply = await client.complete("Hi", response_format={"type": "json_object"})
        try:
            _ = reply.parsed
        except CopilotError as error:
            return error
    return None


TABLE: dict[type[CopilotError], tuple[type[BaseException], Provoke]] = {
    InvalidRequestError: (ValueError, served(HELLO, api_key="a\nb")),
    ClientClosedError: (RuntimeError, closed),
    WrongLoopError: (RuntimeError, other_loop),
    ReplyInUseError: (RuntimeError, two_readers),
    TurnInProgressError: (RuntimeError, two_turns),
    ConnectionFailedError: (ConnectionError, refused),
    ConnectTimeoutError: (TimeoutError, deaf),
    SilenceTimeoutError: (TimeoutError, served((HOLD,), timeouts=Timeouts(silence=0.1))),
    StallTimeoutError: (
        TimeoutError,
        served((SSE, Repeat(chunk(b":\n\n"), every=0.02)), timeouts=Timeouts(stall=0.1)),
    ),
    FirstTextTimeoutError: (TimeoutError, served((HOLD,), timeouts=Timeouts(first_text=0.1))),
    TotalTimeoutError: (TimeoutError, served((HOLD,), timeouts=Timeouts(total=0.1))),
    BadRequestError: (ValueError, served(json_answer(400, NO))),
    AuthenticationError: (PermissionError, served(json_answer(401, NO))),
    NotFoundError: (LookupError, served(json_answer(404, NO))),
    RateLimitError: (CopilotError, served(json_answer(429, NO, Retry_After=7))),
    ServerStatusError: (CopilotError, served(json_answer(500, NO))),
    UnexpectedStatusError: (CopilotError, served((head(204, "X", length=0),))),
    InvalidHTTPError: (ValueError, served((b"junk\r\n\r\n", FIN))),
    RedirectError: (
        ValueError,
        served((head(307, "X", length=0, Location="/v1/chat/completions"),)),
    ),
    UnexpectedContentError: (
        ValueError,
        served(text_answer(200, "<html>hello</html>", content_type="text/html")),
    ),
    MalformedDataError: (ValueError, served((sized(delta("Hel") + b"data: {no\n\n"),))),
    EventTooLargeError: (
        ValueError,
        served((sized(delta("Hel") + delta("x" * 5000)),), max_event_bytes=1000),
    ),
    DisconnectedError: (ConnectionError, served((SSE, said("Hel"), 0.02, FIN))),
    TruncatedError: (EOFError, served((sized(delta("Hel")),))),
    AnswerFormatError: (ValueError, no_json),
    StreamError: (CopilotError, served((sized(delta("Hel") + event(NO)),))),
}


def test_the_table_has_every_leaf_of_the_tree() -> None:
    assert set(TABLE) == set(leaves())


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
async def test_each_leaf_is_provoked_and_keeps_the_promises(kind: type[CopilotError]) -> None:
    """Its class, its standard kind, its words, its pickle, its chain: see assert_presentable."""
    standard, provoke = TABLE[kind]
    error = await provoke()
    assert type(error) is kind, repr(error)
    assert isinstance(error, standard)
    assert_presentable(error)
    message = str(error)
    assert message[0].islower() or message.startswith(("HTTP", "Timeouts", "{"))
    assert not message.endswith("."), "one sentence, or clauses, to be put behind a colon"
    assert kind.__doc__


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
def test_each_leaf_survives_pickling_with_every_attribute(kind: type[CopilotError]) -> None:
    attributes = {
        "status": 418,
        "code": "c",
        "type": "t",
        "body": "b",
        "request_id": "r",
        "retry_after": 1.5,
        "retries": 2,
        "seconds": 0.5,
        "limit": 7,
    }
    error = kind("what happened", **attributes)
    error.add_note("a note")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert type(copy) is kind
    assert str(copy) == copy.message == "what happened"
    assert {name: getattr(copy, name) for name in attributes} == attributes
    assert copy.__notes__ == ["a note"]


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
def test_each_leaf_has_every_attribute_without_being_given_any(kind: type[CopilotError]) -> None:
    error = kind("what happened")
    for name in ("status", "code", "type", "body", "request_id", "retry_after", "reply"):
        assert getattr(error, name) is None
    assert error.retries == 0
