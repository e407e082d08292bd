"""Secrets: the API key and the conversation object stay where they belong."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from typing import Any

import pytest
from fault_client import FAST, KEY, ask, causes
from fault_script import (
    DONE,
    HELLO,
    SSE,
    Answer,
    delta,
    event,
    json_answer,
    said,
    sized,
    text_answer,
)
from fault_server import FaultServer

from async_copilot import (
    AuthenticationError,
    BadRequestError,
    CopilotClient,
    CopilotError,
    End,
    InvalidRequestError,
    MalformedDataError,
    StreamError,
    Timeouts,
    UnexpectedContentError,
)

HANDLE = "the-handle-of-the-conversation"
WITH_HANDLE = event(
    {
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}],
        "conversation": {"conversation_id": HANDLE, "cookies": {"_U": HANDLE}},
    }
)


async def test_the_key_goes_to_the_server_as_a_bearer_token() -> None:
    async with FaultServer(HELLO) as server:
        await ask(server)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY.encode() not in server.requests[0].body


async def test_without_a_key_none_is_sent() -> None:
    async with FaultServer(HELLO) as server:
        await ask(server, api_key=None)
    assert "authorization" not in server.requests[0].headers


def test_a_client_shows_no_key() -> None:
    client = CopilotClient(api_key=KEY, headers={"X-Api-Key": KEY})
    for text in (repr(client), str(client), f"{client!r:>10}"):
        assert KEY not in text


def test_what_a_client_holds_shows_no_key_either() -> None:
    """Error reports show the attributes of what a frame holds; a URL may have a key in it."""
    client = CopilotClient(
        base_url=f"http://me:{KEY}@h/v1?api-key={KEY}", headers={"X-Api-Key": KEY}
    )
    assert KEY not in repr(vars(client))
    assert "http://h/v1/chat/completions" in repr(vars(client))


def test_a_client_cannot_be_pickled_with_its_key() -> None:
    client = CopilotClient(api_key=KEY)
    with pytest.raises(TypeError) as caught:
        pickle.dumps(client)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        "line\nfeed",
        "carriage\rreturn",
        "header\r\nX-Injected: 1",
        "nul\x00",
        "trailing\n",
        "vertical\x0btab",
        "del\x7f",
        "escape\x1b[0m",
    ],
)
async def test_a_key_that_cannot_be_a_header_is_refused_without_showing_it(key: str) -> None:
    """And before anything is sent."""
    async with FaultServer(HELLO) as server:
        problem = (await ask(server, api_key=key)).failed(InvalidRequestError, ValueError)
    printed = "".join(traceback.format_exception(problem))
    assert key.strip() not in printed
    assert ascii(key)[1:-1] not in printed
    assert "api_key" in str(problem)
    assert not server.connections


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "b\r\nX-Injected: 1"),
        ("X-A", "b\nc"),
        ("X-A", "b\0"),
        ("X-A\r\nX-Injected", "1"),
        ("X A", "1"),
        ("", "1"),
        ("X-\u00e4", "1"),
        ("X:A", "1"),
    ],
)
@pytest.mark.parametrize("where", ["client", "call"])
async def test_a_header_that_cannot_be_one_is_refused(name: str, value: str, where: str) -> None:
    headers = {name: value}
    async with FaultServer(HELLO) as server:
        if where == "client":
            outcome = await ask(server, headers=headers)
        else:
            outcome = await ask(server, fields={"headers": headers})
    outcome.failed(InvalidRequestError, ValueError)
    assert not server.connections


# A server that echoes the key, everywhere it can.

ECHO_SAYS = f"Incorrect API key provided: {KEY}. Authorization: Bearer {KEY}"
ECHOES: dict[str, tuple[Answer, type[CopilotError]]] = {
    "json-error": (json_answer(401, {"error": {"message": ECHO_SAYS}}), AuthenticationError),
    "code-and-type": (
        json_answer(401, {"error": {"message": "no", "code": KEY, "type": KEY}}),
        AuthenticationError,
    ),
    "text-error": (text_answer(401, ECHO_SAYS), AuthenticationError),
    "html-error": (
        text_answer(400, f"<html><title>{KEY}</title></html>", content_type="text/html"),
        BadRequestError,
    ),
    "detail": (json_answer(401, {"detail": ECHO_SAYS}), AuthenticationError),
    "headers": (json_answer(401, {}, X_Request_Id=KEY, WWW_Authenticate=KEY), AuthenticationError),
    "reason": (
        (f"HTTP/1.1 401 {KEY}\r\nContent-Length: 0\r\n\r\n".encode(),),
        AuthenticationError,
    ),
    "stream-error": (
        (sized(event({"error": {"message": ECHO_SAYS, "code": KEY, "type": KEY}})),),
        StreamError,
    ),
    "error-event": ((sized(f"event: error\ndata: {ECHO_SAYS}\n\n".encode()),), StreamError),
    "malformed-data": ((sized(b"data: " + ECHO_SAYS.encode() + b"\n\n"),), MalformedDataError),
    "html-page": (
        text_answer(200, f"<html>{ECHO_SAYS}</html>", content_type="text/html"),
        UnexpectedContentError,
    ),
    "json-escaped": (
        (
            sized(
                b'{"error": {"message": "%s"}}'
                % "".join(f"\\u{ord(letter):04x}" for letter in KEY).encode(),
                status=401,
                content_type="application/json",
            ),
        ),
        AuthenticationError,
    ),
}


@pytest.mark.parametrize("name", ECHOES)
async def test_a_key_that_the_server_echoes_is_masked(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """`failed` looks for it in message, repr, attributes, causes, traceback and pickle."""
    answer, kind = ECHOES[name]
    with caplog.at_level(logging.DEBUG):
        async with FaultServer(answer) as server:
            outcome = await ask(server)
    error = outcome.failed(kind)
    for value in (error.code, error.type, error.request_id, error.body):
        assert KEY not in (value or "")
    assert not any(
        KEY in record.getMessage()
        for record in caplog.records
        if record.name.startswith("async_copilot")
    )


@pytest.mark.parametrize(
    "headers", [{"X-Api-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"g4f-api-key": KEY}]
)
async def test_a_key_sent_in_a_header_of_the_callers_is_masked_too(headers: dict[str, str]) -> None:
    async with FaultServer(json_answer(401, {"error": {"message": ECHO_SAYS}})) as server:
        outcome = await ask(server, api_key=None, headers=headers)
        per_call = await ask(server, api_key=None, fields={"headers": headers})
    outcome.failed(AuthenticationError)
    per_call.failed(AuthenticationError)


async def test_a_password_in_the_base_url_is_in_no_message() -> None:
    url = f"http://user:{KEY}@127.0.0.1:9/v1"
    problem = (await ask(url, api_key=None)).error
    assert isinstance(problem, CopilotError)
    for one in causes(problem):
        assert KEY not in repr(one) + str(one)


async def test_a_short_key_does_not_blacken_every_message() -> None:
    """Some local servers take any key, such as "x"; masking that would eat the message."""
    wrong = json_answer(400, {"error": {"message": "exactly six extra boxes"}})
    async with FaultServer(wrong) as server:
        outcome = await ask(server, api_key="x")
    assert isinstance(outcome.error, BadRequestError)
    assert "extra boxes" in str(outcome.error)


# The conversation object is the server's own: a cookie jar, for all we know.


async def test_the_conversation_object_is_on_the_reply_and_in_no_text_about_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = delta("Hello") + WITH_HANDLE + DONE
    with caplog.at_level(logging.DEBUG, logger="async_copilot"):
        async with FaultServer((sized(body),)) as server:
            outcome = await ask(server)
    reply = outcome.ended(End.COMPLETE, "Hello")
    assert reply.conversation == {"conversation_id": HANDLE, "cookies": {"_U": HANDLE}}
    for text in (repr(reply), str(reply), repr(reply.timing), repr(reply.choices), caplog.text):
        assert HANDLE not in text
    assert HANDLE.encode() not in pickle.dumps(copy.copy(reply))


@pytest.mark.parametrize(
    "failure",
    [
        {"error": {"message": "no"}},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": "no"}]},
    ],
    ids=["beside-an-error", "beside-a-choice-that-failed"],
)
async def test_the_conversation_object_is_in_no_error(failure: dict[str, Any]) -> None:
    early = event({"choices": [], "conversation": {"conversation_id": HANDLE}})
    frame = event({**failure, "conversation": {"conversation_id": HANDLE}, "model": ""})
    async with FaultServer((sized(early + delta("Hel") + frame),)) as server:
        outcome = await ask(server)
    error = outcome.failed(StreamError, text="Hel", end=End.ERROR)
    printed = "".join(traceback.format_exception(error))
    for text in (repr(error), str(error), printed, error.body or "", repr(error.__dict__)):
        assert HANDLE not in text
    assert HANDLE.encode() not in pickle.dumps(error)


async def test_the_conversation_object_is_in_no_log_and_no_repr(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = delta("Hello") + WITH_HANDLE + DONE
    with caplog.at_level(logging.DEBUG, logger="async_copilot"):
        async with (
            FaultServer((sized(body),)) as server,
            CopilotClient(base_url=server.url, api_key=KEY, timeouts=FAST) as client,
        ):
            chat = client.conversation()
            await chat.ask("Hello")
            await chat.ask("And again?")
            shown = repr(chat) + str(chat) + repr(client)
    assert server.requests[1].json["conversation"]["conversation_id"] == HANDLE
    assert HANDLE not in shown + caplog.text
    assert KEY not in shown + caplog.text


async def test_a_retry_logs_neither_key_nor_question(caplog: pytest.LogCaptureFixture) -> None:
    busy = json_answer(503, {"error": {"message": ECHO_SAYS}}, retry_after_ms=1)
    with caplog.at_level(logging.DEBUG, logger="async_copilot"):
        async with FaultServer(busy, HELLO) as server:
            outcome = await ask(server, max_retries=1)
    outcome.ended(End.COMPLETE, "Hello")
    ours = [record for record in caplog.records if record.name.startswith("async_copilot")]
    assert ours
    for record in ours:
        assert KEY not in record.getMessage()
        assert KEY not in repr(record.args)
        assert "Hello" not in record.getMessage()


async def test_a_clock_that_rings_shows_no_key_in_its_chain() -> None:
    """aiohttp's exceptions carry the request's headers in their repr."""
    async with FaultServer((SSE, said("Hel"), 1.0)) as server:
        outcome = await ask(server, timeouts=Timeouts(silence=0.1))
    assert isinstance(outcome.error, CopilotError)
    for one in causes(outcome.error):
        assert KEY not in repr(one) + str(one) + repr(getattr(one, "args", ""))
