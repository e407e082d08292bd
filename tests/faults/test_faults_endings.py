"""How a reply ends: promise 3, in every order in which servers send the pieces of an end."""

from __future__ import annotations

from typing import Any

import pytest
from fault_client import ask, together
from fault_script import (
    DONE,
    FIN,
    HELLO,
    HOLD,
    LAST_CHUNK,
    RST,
    SSE,
    STOP,
    Repeat,
    Step,
    chunk,
    delta,
    event,
    json_answer,
    said,
    sized,
)
from fault_server import FaultServer

from async_copilot import (
    CopilotClient,
    DisconnectedError,
    End,
    MalformedDataError,
    StreamError,
    TruncatedError,
    UnexpectedContentError,
)

HEL, LO = delta("Hel"), delta("lo")
USAGE = event({"choices": [], "usage": {"total_tokens": 7}})
ERROR = event({"error": {"message": "out of luck", "type": "luck", "code": 500}})


def late(finish: str) -> bytes:
    """A delta that brings text and the finish reason together."""
    return delta("lo", finish=finish)


@pytest.mark.parametrize(
    ("body", "end"),
    [
        pytest.param(HEL + LO + STOP + DONE, End.COMPLETE, id="finish-and-done"),
        pytest.param(HEL + LO + STOP, End.COMPLETE, id="finish-without-done"),
        pytest.param(HEL + late("stop") + DONE, End.COMPLETE, id="finish-with-text"),
        pytest.param(HEL + LO + STOP + USAGE + DONE, End.COMPLETE, id="usage-after-finish"),
        pytest.param(HEL + late("length") + DONE, End.COMPLETE, id="length"),
        pytest.param(HEL + late("no-such-reason") + DONE, End.COMPLETE, id="unknown-reason"),
        pytest.param(HEL + LO + DONE, End.DONE, id="done-without-finish"),
        pytest.param(HEL + LO + b"data: [DONE]", End.DONE, id="done-without-line-end"),
        pytest.param(HEL + LO + b"data: [DONE]\n", End.DONE, id="done-without-blank-line"),
        pytest.param(HEL + LO + b"data:[DONE]\n\n", End.DONE, id="done-without-space"),
        pytest.param(HEL + LO + STOP + DONE + b"data: {no", End.COMPLETE, id="junk-after-done"),
        pytest.param(HEL + LO + STOP + DONE + ERROR, End.COMPLETE, id="error-after-done"),
        pytest.param(HEL + LO + STOP + DONE + HEL, End.COMPLETE, id="text-after-done"),
        pytest.param(HEL + LO + STOP + DONE + DONE, End.COMPLETE, id="done-twice"),
        pytest.param((HEL + LO + STOP).rstrip(b"\n"), End.COMPLETE, id="finish-without-line-end"),
    ],
)
async def test_a_whole_reply_says_which_whole_it_is(body: bytes, end: End) -> None:
    async with FaultServer((sized(body),)) as server:
        outcome = await ask(server)
    outcome.ended(end, "Hello")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(delta(None, role="assistant"), "", id="role-only"),
        pytest.param(HEL + LO, "Hello", id="text"),
        pytest.param(HEL + LO + USAGE, "Hello", id="text-and-usage"),
        pytest.param(HEL + LO + b"data: [DON", "Hello", id="half-a-done"),
        pytest.param(HEL + LO + b'data: {"choices":[{"delta":{"con', "Hello", id="half-an-event"),
    ],
)
async def test_a_reply_with_no_end_is_truncated(body: bytes, text: str) -> None:
    """In good HTTP order: this is how a cancelled g4f provider looks."""
    async with FaultServer((sized(body),)) as server:
        strict = await ask(server, max_retries=2)
        lax = await ask(server, strict=False)
    strict.failed(TruncatedError, EOFError, text=text, end=End.TRUNCATED, status=200)
    assert lax.ended(End.TRUNCATED, text).finish_reason is None
    assert len(server.requests) == 2, "a truncated answer is not asked for again"


@pytest.mark.parametrize(
    "body", [b"", b":\n\n", b"\n: ping\n\n: ping\n\n", b"\xef\xbb\xbf", b"data:\n\nid: 1\n\n"]
)
async def test_a_body_that_holds_nothing_at_all_is_asked_for_again(body: bytes) -> None:
    """llama-cpp-python answers so to a prompt beyond its context, and servers that restart."""
    whole = sized(HEL + LO + STOP + DONE)
    async with FaultServer((sized(body),), (sized(body),), (whole,)) as server:
        outcome = await ask(server, max_retries=2)
    assert outcome.ended(End.COMPLETE, "Hello").timing.retries == 2
    async with FaultServer((sized(body),)) as server:
        strict = await ask(server, max_retries=1)
        lax = await ask(server, max_retries=1, strict=False)
        once = await ask(server)
    strict.failed(TruncatedError, text="", end=End.TRUNCATED, status=200, retries=1)
    assert lax.ended(End.TRUNCATED, "").timing.retries == 1
    once.failed(TruncatedError, text="", end=End.TRUNCATED)
    assert len(server.requests) == 5


OVERLOADS = [
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    {"error": {"message": "slow down", "code": 429}},
    {"error": {"message": "no capacity", "code": "503", "type": "server_error"}},
    {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded"},
    {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit exceeded"}},
    {"error": {"code": 8, "status": "RESOURCE_EXHAUSTED", "message": "no"}},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "overloaded"}]},
    {"choices": [{"index": 0, "delta": {}, "error": {"code": 503, "message": "no"}}]},
]


@pytest.mark.parametrize("error", OVERLOADS)
async def test_an_overload_told_in_the_first_event_is_asked_again(error: dict[str, Any]) -> None:
    first = event(error)
    whole = sized(HEL + LO + STOP + DONE)
    role = delta(None, role="assistant")
    async with FaultServer((sized(first + DONE),), (sized(role + first),), (whole,)) as server:
        outcome = await ask(server, max_retries=2)
    assert outcome.ended(End.COMPLETE, "Hello").timing.retries == 2
    async with FaultServer((sized(HEL + first),), (whole,)) as server:
        after_text = await ask(server, max_retries=2)
    after_text.failed(StreamError, text="Hel", end=End.ERROR, retries=0)
    async with FaultServer((sized(first),)) as server:
        given_up = await ask(server, max_retries=1)
    given_up.failed(StreamError, text="", end=End.ERROR, retries=1, status=200)


async def test_an_overload_told_in_a_document_is_asked_again() -> None:
    """Of status 200, in place of a stream or with ``stream=False``."""
    busy = json_answer(200, {"error": {"code": 503, "message": "overloaded"}})
    async with FaultServer(busy, busy, (sized(HEL + LO + STOP + DONE),)) as server:
        outcome = await ask(server, max_retries=2)
    assert outcome.ended(End.COMPLETE, "Hello").timing.retries == 2
    async with FaultServer(busy) as server:
        given_up = await ask(server, max_retries=1)
    given_up.failed(StreamError, says=["overloaded"], text="", retries=1, status=200)
    bad = json_answer(200, {"error": {"code": 400, "message": "bad"}})
    for document in (bad, (sized(b"{half a document"),)):
        async with FaultServer(document) as server:
            outcome = await ask(server, max_retries=1)
        outcome.failed((StreamError, UnexpectedContentError), text="", retries=0)


async def test_done_before_anything_was_said_is_told_as_such() -> None:
    async with FaultServer((sized(delta(None, role="assistant") + DONE),)) as server:
        outcome = await ask(server)
    outcome.failed(TruncatedError, says=["[DONE] came after 1 event", "before the first choice"])


async def test_an_overload_as_chunks_is_asked_again_too() -> None:
    first = sized(delta(None, role="assistant") + event(OVERLOADS[0]))
    async with (
        FaultServer((first,), (sized(HEL + STOP + DONE),)) as server,
        CopilotClient(base_url=server.url) as client,
        client.stream("Hi") as reply,
    ):
        chunks = [chunk async for chunk in reply.chunks()]
    assert "".join(chunk.content for chunk in chunks) == reply.text == "Hel"
    assert (reply.end, reply.timing.retries) == (End.COMPLETE, 1)


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "no credit", "code": "insufficient_quota"}},
        {"error": {"message": "bad", "code": 400}},
        {"detail": "Not Found"},
    ],
)
async def test_another_error_in_the_first_event_is_not_asked_again(error: dict[str, Any]) -> None:
    async with FaultServer((sized(event(error)),)) as server:
        outcome = await ask(server, max_retries=2)
    outcome.failed(StreamError, text="", retries=0)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "error",
    [
        {"code": 429, "details": [{"@type": "t/google.rpc.RetryInfo", "retryDelay": "0.2s"}]},
        {"code": 429, "retry_after": 0.2},
        {"code": 429, "metadata": {"retry_after_ms": 200}},
    ],
)
async def test_how_long_to_wait_is_read_from_the_body(error: dict[str, Any]) -> None:
    whole = sized(HEL + LO + STOP + DONE)
    for first in ((sized(event({"error": error})),), json_answer(429, {"error": error})):
        async with FaultServer(first, (whole,)) as server:
            outcome = await ask(server, max_retries=1)
        reply = outcome.ended(End.COMPLETE, "Hello")
        assert 0.2 <= reply.timing.waits[0] <= 0.3


async def test_a_last_delta_without_its_blank_line_is_not_lost_in_silence() -> None:
    async with FaultServer((sized(HEL + LO.rstrip(b"\n")),)) as server:
        outcome = await ask(server)
    assert isinstance(outcome.error, TruncatedError)
    assert outcome.text in ("Hel", "Hello")


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param((FIN,), id="fin"),
        pytest.param((0.03, RST), id="rst"),
        pytest.param((chunk(DONE), FIN), id="done-fin"),
        pytest.param((chunk(DONE), 0.03, RST), id="done-rst"),
        pytest.param((0.03, b"zz\r\n"), id="broken-framing"),
        pytest.param((chunk(DONE), 0.03, b"zz\r\n"), id="done-broken-framing"),
        pytest.param((chunk(USAGE) + LAST_CHUNK,), id="usage"),
    ],
)
async def test_a_connection_lost_after_the_finish_reason_is_not_an_error(
    tail: tuple[Step, ...],
) -> None:
    async with FaultServer((SSE, said("Hel", "lo"), chunk(STOP), *tail)) as server:
        outcome = await ask(server, max_retries=2)
    reply = outcome.ended(End.COMPLETE, "Hello", within=2.0)
    assert reply.finish_reason == "stop"
    assert len(server.requests) == 1


async def test_a_malformed_line_after_the_finish_reason_is_an_error() -> None:
    """The connection may do what it likes now; the answer's own bytes are still looked at."""
    async with FaultServer((sized(HEL + LO + STOP + b"data: {no json\n\n" + DONE),)) as server:
        outcome = await ask(server)
    outcome.failed(MalformedDataError, text="Hello", end=End.ERROR)


async def test_done_and_then_a_cut_is_done() -> None:
    """llama-cpp-python does this to a stream that another request interrupts."""
    async with FaultServer((SSE, said("Hel", "lo"), chunk(DONE), FIN)) as server:
        outcome = await ask(server)
    outcome.ended(End.DONE, "Hello", within=0.3)


async def test_bytes_without_end_after_done_are_not_read_for_ever() -> None:
    flood = Repeat(chunk(b": more\n\n" * 500))
    async with FaultServer((SSE, said("Hello"), chunk(STOP), chunk(DONE), flood)) as server:
        outcome = await ask(server)
        await server.left()
    outcome.ended(End.COMPLETE, "Hello", within=0.25)
    assert server.connections[0].sent < 32 * 2**20


async def test_usage_that_comes_late_is_still_part_of_the_reply() -> None:
    answer = (SSE, said("Hello"), chunk(STOP), 0.1, chunk(USAGE), 0.05, chunk(DONE) + LAST_CHUNK)
    async with FaultServer(answer) as server:
        outcome = await ask(server)
    assert outcome.ended(End.COMPLETE, "Hello", within=0.3).usage == {"total_tokens": 7}


# Errors inside the stream.


@pytest.mark.parametrize(
    ("frame", "says", "attributes"),
    [
        pytest.param(ERROR, "out of luck", {"type": "luck", "code": "500"}, id="openai"),
        pytest.param(
            event({"error": {"message": "gone"}, "model": "", "provider": "Copilot"}),
            "gone",
            {"type": None, "code": None},
            id="g4f",
        ),
        pytest.param(event({"error": "just words"}), "just words", {}, id="string"),
        pytest.param(event({"error": {"code": None, "type": [1]}}), "error", {}, id="odd"),
        pytest.param(
            event({"object": "error", "message": "old vllm", "code": 400}),
            "old vllm",
            {},
            id="vllm",
        ),
        pytest.param(
            b'event: error\ndata: {"message": "by name"}\n\n', "by name", {}, id="event-error"
        ),
        pytest.param(b"event: error\ndata: no json here\n\n", "no json here", {}, id="event-text"),
        pytest.param(
            b'error: {"code":500,"message":"by field"}\n\n', "by field", {}, id="llama-field"
        ),
        pytest.param(
            event({"choices": [{"index": 0, "delta": {}}], "error": {"message": "both"}}),
            "both",
            {},
            id="beside-choices",
        ),
    ],
)
async def test_an_error_in_the_stream_is_an_error_whatever_follows(
    frame: bytes, says: str, attributes: dict[str, Any]
) -> None:
    """`[DONE]` after an error is not success, and its absence is normal."""

    async def fail(tail: bytes) -> None:
        async with FaultServer((sized(HEL + frame + tail),)) as server:
            outcome = await ask(server, max_retries=2)
        outcome.failed(
            StreamError, text="Hel", end=End.ERROR, status=200, says=[says], **attributes
        )
        assert len(server.requests) == 1

    tails = {"end": b"", "done": DONE, "finish-and-done": STOP + DONE}
    await together({name: fail(tail) for name, tail in tails.items()})


async def test_an_error_after_the_finish_reason_is_still_an_error() -> None:
    """COMPLETE is a finish reason and no error."""
    async with FaultServer((sized(HEL + LO + STOP + ERROR + DONE),)) as server:
        outcome = await ask(server)
    outcome.failed(StreamError, text="Hello", end=End.ERROR, says=["out of luck"])


async def test_an_error_as_the_first_frame_is_the_streams_error() -> None:
    async with FaultServer((sized(ERROR + DONE), HOLD), HELLO) as server:
        outcome = await ask(server, max_retries=0)
    outcome.failed(StreamError, end=End.ERROR, says=["out of luck"], code="500")
    assert len(server.requests) == 1


async def test_a_null_error_beside_the_choices_is_none() -> None:
    body = event({"error": None, "choices": [{"index": 0, "delta": {"content": "Hello"}}]})
    async with FaultServer((sized(body + STOP + DONE),)) as server:
        outcome = await ask(server)
    outcome.ended(End.COMPLETE, "Hello")


async def test_an_error_frame_then_a_hang_is_reported_at_once() -> None:
    async with FaultServer((SSE, said("Hel"), chunk(ERROR), HOLD)) as server:
        outcome = await ask(server)
        await server.left()
    outcome.failed(StreamError, text="Hel", end=End.ERROR, within=0.3)


# Data that is not a JSON object.

MALFORMED = [
    pytest.param(b"hello", id="text"),
    pytest.param(b"{", id="cut"),
    pytest.param(b"[1]", id="list"),
    pytest.param(b"5", id="number"),
    pytest.param(b"null", id="null"),
    pytest.param(b'"text"', id="string"),
    pytest.param(b"[" * 100_000, id="deep"),
    pytest.param(b'{"a":' * 100_000, id="deep-objects"),
    pytest.param(b"<html>", id="html"),
    pytest.param(b"[done]", id="lower-case-done"),
]


@pytest.mark.parametrize("data", MALFORMED)
async def test_a_malformed_line_is_an_error_that_shows_it(data: bytes) -> None:
    body = HEL + b"data: " + data + b"\n\n" + LO + STOP + DONE
    async with FaultServer((sized(body),)) as server:
        outcome = await ask(server, max_retries=2)
    error = outcome.failed(MalformedDataError, ValueError, text="Hel", status=200)
    assert error.body is not None
    assert error.body[:6] == data[:6].decode()
    assert len(error.body) < 20_000
    assert error.reply is not None
    assert error.reply.end is not End.COMPLETE
    assert len(server.requests) == 1


@pytest.mark.parametrize("data", MALFORMED)
async def test_a_malformed_line_is_counted_where_that_is_asked_for(data: bytes) -> None:
    body = HEL + b"data: " + data + b"\n\n" + LO + STOP + DONE
    async with FaultServer((sized(body),)) as server:
        outcome = await ask(server, strict=False)
    assert outcome.ended(End.COMPLETE, "Hello").skipped == 1


async def test_strict_off_does_not_hide_a_disconnect() -> None:
    async with FaultServer((SSE, said("Hel"), 0.02, RST)) as server:
        outcome = await ask(server, strict=False)
    outcome.failed(DisconnectedError, text="Hel", end=End.DISCONNECTED)


async def test_strict_off_does_not_hide_an_error() -> None:
    async with FaultServer((sized(HEL + ERROR),)) as server:
        outcome = await ask(server, strict=False)
    outcome.failed(StreamError, text="Hel", end=End.ERROR)
