"""Bodies that break, are cut, or are something else: no text lost, no end invented."""

from __future__ import annotations

import asyncio
import json

import pytest
from fault_client import FAST, KEY, ask, together
from fault_script import (
    DONE,
    FIN,
    HALF_CLOSE,
    HELLO,
    HOLD,
    RST,
    SSE,
    STOP,
    Answer,
    Close,
    Slowly,
    Until,
    chunk,
    completion,
    delta,
    head,
    said,
    sized,
    stream,
)
from fault_server import FaultServer, Request

from async_copilot import (
    CopilotClient,
    CopilotError,
    DisconnectedError,
    End,
    InvalidHTTPError,
    SilenceTimeoutError,
    StreamError,
    Timeouts,
    TruncatedError,
    UnexpectedContentError,
)

CLOSING = head(chunked=False, Connection="close")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param((SSE, said("Hel", "lo"), 0.02, FIN), id="chunked-fin-between-chunks"),
        pytest.param((SSE, said("Hel", "lo"), b"ff\r\ndata: ", 0.02, FIN), id="fin-in-a-chunk"),
        pytest.param((SSE, said("Hel", "lo"), b"f", 0.02, FIN), id="fin-in-a-chunk-size"),
        pytest.param((SSE, said("Hel", "lo"), 0.05, RST), id="chunked-rst"),
        pytest.param((SSE, said("Hel", "lo"), HALF_CLOSE, HOLD), id="half-close"),
        pytest.param(
            (head(length=9999), delta("Hel"), delta("lo"), 0.02, FIN), id="length-not-reached-fin"
        ),
        pytest.param(
            (head(length=9999), delta("Hel"), delta("lo"), 0.05, RST), id="length-not-reached-rst"
        ),
    ],
)
async def test_a_cut_body_is_a_disconnect_with_all_text_before_it(body: Answer) -> None:
    """Never a finished answer, and never sent again: the user has seen its first words."""
    async with FaultServer(body) as server:
        outcome = await ask(server, max_retries=2)
    outcome.failed(
        DisconnectedError, ConnectionError, text="Hello", end=End.DISCONNECTED, status=200
    )
    assert len(server.requests) == 1


async def test_a_close_delimited_body_cut_by_fin_is_truncated() -> None:
    """HTTP cannot tell this FIN from the end; the missing end of the reply can."""
    async with FaultServer((CLOSING, delta("Hel"), delta("lo"), FIN)) as server:
        outcome = await ask(server, max_retries=2)
    outcome.failed(TruncatedError, EOFError, text="Hello", end=End.TRUNCATED, status=200)
    assert len(server.requests) == 1


async def test_a_close_delimited_body_cut_by_rst_is_not_finished() -> None:
    async with FaultServer((CLOSING, delta("Hel"), delta("lo"), 0.05, RST)) as server:
        outcome = await ask(server)
    outcome.failed((TruncatedError, DisconnectedError), text="Hello")


BROKEN = {
    "size-of-letters": b"zz\r\n",
    "no-size": b"\r\n\r\n",
    "negative-size": b"-5\r\nhello\r\n",
    "size-beyond-64-bits": b"fffffffffffffffff\r\n",
    "longer-than-its-size": b"5\r\nhelloXX\r\n",
    "an-error-page-in-the-body": b"HTTP/1.1 500 Oops\r\n\r\n",
    "endless-size-line": b"5" + b" " * 100_000,
    "trailer-bomb": b"0\r\nX: " + b"y" * 1_000_000,
}


async def test_broken_chunk_framing_never_hangs_and_keeps_the_text() -> None:
    """aiohttp's C parser leaves the reader waiting here, with no exception and no clock."""

    async def end(broken: bytes) -> None:
        async with FaultServer((SSE, said("Hel", "lo"), 0.03, broken, HOLD)) as server:
            outcome = await ask(server, max_retries=2)
            await server.left()
        outcome.failed(
            (InvalidHTTPError, DisconnectedError, SilenceTimeoutError), text="Hello", within=0.35
        )
        assert len(server.requests) == 1

    await together({name: end(broken) for name, broken in BROKEN.items()})


async def test_broken_framing_in_the_same_packet_keeps_the_text_before_it() -> None:
    async with FaultServer((SSE, 0.03, said("Hel", "lo") + b"zz\r\n", HOLD)) as server:
        outcome = await ask(server)
    outcome.failed(
        (InvalidHTTPError, DisconnectedError, SilenceTimeoutError), text="Hello", within=0.35
    )


async def test_broken_framing_read_with_the_head_is_not_a_status() -> None:
    """aiohttp raises a status 400 here, which the server never sent."""
    async with FaultServer((SSE + b"zz\r\n", HOLD)) as server:
        outcome = await ask(server)
        await server.left()
    error = outcome.failed((InvalidHTTPError, SilenceTimeoutError), within=0.3)
    assert error.status in (None, 200)


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(b"0;ext=1\r\nX-Trailer: a\r\n\r\n", id="extension-and-trailer"),
        pytest.param(b"000000\r\n\r\n", id="zeros"),
    ],
)
async def test_legal_ends_of_a_chunked_body_are_ends(tail: bytes) -> None:
    answer = SSE + said("Hel", "lo") + chunk(STOP) + chunk(DONE) + tail
    async with FaultServer((answer,)) as server:
        outcome = await ask(server)
    outcome.ended(End.COMPLETE, "Hello")


@pytest.mark.parametrize("size", [1, 7])
async def test_reads_that_cut_anywhere_change_nothing(size: int) -> None:
    """A character of four bytes, a CRLF, a chunk size: all cut in two."""
    crlf = stream("Hel\U0001f600", "lo\u2028")
    async with FaultServer((Slowly(crlf, size=size),)) as server:
        outcome = await ask(server, timeouts=Timeouts())  # many small reads, however slow
    outcome.ended(End.COMPLETE, "Hel\U0001f600lo\u2028", within=1.0)


async def test_every_place_to_cut_a_body_is_told_apart() -> None:
    """Complete from the byte that ends the finish reason on, never before; no text is lost."""
    texts = ["One", " two", " three"]
    events = [delta(text) for text in texts] + [STOP, DONE]
    body = b"".join(events)
    ends = [sum(map(len, events[: n + 1])) for n in range(len(events))]

    def route(request: Request) -> Answer:
        return (head(length=len(body)) + body[: int(request.headers["x-cut"])], FIN)

    async with (
        FaultServer(route=route) as server,
        CopilotClient(base_url=server.url, timeouts=Timeouts(silence=5), max_retries=0) as client,
    ):
        cuts = sorted({*range(0, len(body), 9), *ends, *(end - 1 for end in ends)})
        outcomes = await asyncio.gather(
            *(ask(server, client=client, fields={"headers": {"x-cut": str(cut)}}) for cut in cuts)
        )
    for cut, outcome in zip(cuts, outcomes, strict=True):
        expected = "".join(text for text, end in zip(texts, ends, strict=False) if end <= cut)
        if cut >= ends[3]:
            outcome.ended(End.COMPLETE, expected, within=2.0)
        elif outcome.error is None:
            # The finish reason was there, only its blank line was not.
            outcome.ended(End.COMPLETE, "".join(texts), within=2.0)
            assert cut >= ends[3] - 2
        else:
            assert type(outcome.error) is DisconnectedError, f"cut at {cut}: {outcome.error!r}"
            # An event that lacks its blank line only may be taken or left.
            assert "".join(texts).startswith(outcome.text)
            assert len(outcome.text) >= len(expected)


@pytest.mark.parametrize("cut", [FIN, RST], ids=["fin", "rst"])
async def test_a_slow_consumer_gets_all_text_that_came_before_the_cut(cut: Close) -> None:
    """aiohttp puts the exception first: with its line reader 14 of 20 deltas are lost.

    The bytes and the cut both arrive while the caller works on the first delta.
    """
    busy = asyncio.Event()
    texts = [f"{number} " for number in range(20)]
    rest = [step for text in texts[1:] for step in (said(text), 0.001)]
    async with (
        FaultServer((SSE + said(texts[0]), Until(busy), *rest, 0.02, cut)) as server,
        CopilotClient(base_url=server.url, timeouts=FAST, max_retries=0) as client,
        client.stream("Hello") as reply,
    ):
        seen = []
        with pytest.raises(DisconnectedError) as caught:  # noqa: PT012  # the block is the scene
            async for text in reply:
                seen.append(text)
                if not busy.is_set():
                    busy.set()
                    await asyncio.sleep(0.2)
    assert seen == texts
    assert caught.value.reply is reply
    assert reply.text == "".join(texts)
    assert reply.end is End.DISCONNECTED


async def test_a_slow_consumer_of_an_answer_without_end_gets_the_text_too() -> None:
    texts = [f"{number} " for number in range(20)]
    answer: Answer = (CLOSING, *(delta(text) for text in texts), FIN)
    async with FaultServer(answer) as server:
        outcome = await ask(server, pace=0.005)
    outcome.failed(TruncatedError, text="".join(texts), within=0.2)


# What a body is, whatever its label says.

HELLO_EVENTS = delta("Hel") + delta("lo") + STOP + DONE


@pytest.mark.parametrize(
    "label",
    [
        "text/event-stream",
        "TEXT/Event-Stream; Charset=UTF-8",
        "text/plain",
        "application/json",
        "application/octet-stream",
        "text/event-stream;charset=no-such",
        ";;;",
        "",
        None,
    ],
)
async def test_an_event_stream_is_read_whatever_its_label(label: str | None) -> None:
    async with FaultServer((sized(HELLO_EVENTS, content_type=label),)) as server:
        outcome = await ask(server)
    outcome.ended(End.COMPLETE, "Hello")


@pytest.mark.parametrize("label", ["application/json", "text/plain", None])
@pytest.mark.parametrize("indent", [None, 2])
async def test_a_plain_completion_is_one_delta(label: str | None, indent: int | None) -> None:
    body = json.dumps(completion("Hello"), indent=indent).encode()
    async with FaultServer((sized(body, content_type=label),)) as server:
        outcome = await ask(server)
    outcome.ended(End.COMPLETE, "Hello")
    assert outcome.pieces == ["Hello"]


@pytest.mark.parametrize("label", ["application/json", "text/event-stream"])
async def test_a_json_error_with_status_200_is_an_error(label: str) -> None:
    body = json.dumps({"error": {"message": "no model", "code": 7, "type": "t"}}).encode()
    async with FaultServer((sized(body, content_type=label),)) as server:
        outcome = await ask(server, max_retries=2)
    if label == "application/json":
        outcome.failed(StreamError, says=["no model"], status=200, code="7", type="t")
    else:
        outcome.failed((StreamError, TruncatedError, UnexpectedContentError), status=200)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("label", "body"),
    [
        ("text/html", b"<!DOCTYPE html><html><title>Login</title></html>"),
        ("text/html", b"<html>" + b"x" * 300_000),
        ("text/plain", b"It works!"),
        ("application/json", b"[]"),
        ("application/json", b'"hello"'),
        ("application/json", b"null"),
        ("application/json", b'{"conversation_id":"1"}'),
        ("application/json", b'{"choices": 5}'),
        ("application/json", b'{"choices":[{"message":{"content":"Hel'),
        ("application/json", b"\xff\xfe\x00"),
        ("application/json", b"[" * 100_000),
        ("application/json", b'{"a":' * 100_000),
        ("application/json", b"1" * 5000),
        ("image/png", b"\x89PNG\r\n\x1a\n" + bytes(1000)),
    ],
)
async def test_what_is_not_a_completion_says_what_came(label: str, body: bytes) -> None:
    async with FaultServer((sized(body, content_type=label),)) as server:
        outcome = await ask(server, max_retries=2)
    error = outcome.failed(UnexpectedContentError, ValueError, status=200)
    assert "base_url" in str(error)
    assert error.body is not None
    assert len(error.body) < 100_000
    assert len(server.requests) == 1


async def test_html_under_the_label_of_a_stream_is_an_error() -> None:
    async with FaultServer((sized(b"<!DOCTYPE html><html>Login</html>"),)) as server:
        outcome = await ask(server)
    outcome.failed((UnexpectedContentError, TruncatedError), status=200)


@pytest.mark.parametrize("label", ["text/event-stream", "application/json", None])
async def test_an_empty_body_is_not_an_empty_answer(label: str | None) -> None:
    async with FaultServer((sized(b"", content_type=label),)) as server:
        outcome = await ask(server)
    outcome.failed((TruncatedError, UnexpectedContentError), status=200)


async def test_the_reset_after_a_failure_leaves_the_client_usable() -> None:
    async with (
        FaultServer((SSE, said("Hel"), 0.02, RST), HELLO) as server,
        CopilotClient(base_url=server.url, api_key=KEY, timeouts=FAST) as client,
    ):
        first = await ask(server, client=client)
        second = await ask(server, client=client)
    assert isinstance(first.error, CopilotError)
    second.ended(End.COMPLETE, "Hello")
