"""Between the request and the body: heads that are late, cut, oversized or no heads at all."""

from __future__ import annotations

from typing import Any

import pytest
from fault_client import FAST, ask
from fault_script import (
    DONE,
    FIN,
    HELLO,
    HOLD,
    LAST_CHUNK,
    RST,
    STOP,
    Answer,
    Close,
    Repeat,
    Slowly,
    chunk,
    head,
    json_answer,
    said,
    stream,
)
from fault_server import FaultServer

from async_copilot import (
    DisconnectedError,
    End,
    InvalidHTTPError,
    ServerStatusError,
    SilenceTimeoutError,
    StallTimeoutError,
    Timeouts,
    UnexpectedStatusError,
)

BODY = said("Hel", "lo") + chunk(STOP) + chunk(DONE) + LAST_CHUNK


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HELLO WORLD\r\n\r\n", id="no-status-line"),
        pytest.param(b"<html>hello</html>", id="http-0.9"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="tls"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="http-2"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="status-of-letters"),
        pytest.param(b"HTTP/1.1 20 OK\r\n\r\n", id="status-of-two-digits"),
        pytest.param(b"HTTP/1.1 200 OK\r\nNo colon here\r\n\r\n", id="header-without-colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", id="nul-in-a-header"),
        pytest.param(head(length=-5), id="negative-length"),
        pytest.param(head(length=5, Transfer_Encoding="chunked"), id="length-and-chunked"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", id="length-of-letters"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            id="two-lengths",
        ),
        pytest.param(b"\x00" * 4096, id="nuls"),
        pytest.param(bytes(range(256)) * 8, id="every-byte"),
    ],
)
async def test_what_is_not_http_is_a_protocol_error_and_not_retried(answer: bytes) -> None:
    """Not a status 400 the server never sent, either (aiohttp makes one of a parser error)."""
    async with FaultServer((answer, FIN)) as server:
        outcome = await ask(server, max_retries=2)
    outcome.failed(InvalidHTTPError, ValueError, status=None)
    assert len(server.requests) == 1


async def test_one_enormous_header_is_refused() -> None:
    async with FaultServer((head(X_Big="x" * 1_000_000), FIN)) as server:
        outcome = await ask(server)
    outcome.failed(InvalidHTTPError, ValueError)


async def test_ten_thousand_headers_are_refused() -> None:
    many: dict[str, Any] = {f"X-{number}": "x" for number in range(10_000)}
    async with FaultServer((head(**many), FIN)) as server:
        outcome = await ask(server)
    outcome.failed(InvalidHTTPError, ValueError)


async def test_headers_without_end_are_refused_and_left() -> None:
    bomb = (b"HTTP/1.1 200 OK\r\n", Repeat(b"X-Bomb: " + b"x" * 4000 + b"\r\n"))
    async with FaultServer(bomb) as server:
        outcome = await ask(server)
        await server.left()
    outcome.failed(InvalidHTTPError, ValueError, within=FAST.stall or 0)
    assert server.connections[0].sent < 32 * 2**20


async def test_a_header_line_without_end_is_refused_and_left() -> None:
    bomb = (b"HTTP/1.1 200 OK\r\nX-Bomb: ", Repeat(b"x" * 4000))
    async with FaultServer(bomb) as server:
        outcome = await ask(server)
        await server.left()
    outcome.failed(InvalidHTTPError, ValueError, within=FAST.stall or 0)
    assert server.connections[0].sent < 32 * 2**20


@pytest.mark.parametrize("fault", [FIN, RST], ids=["fin", "rst"])
async def test_a_head_cut_in_the_middle_is_tried_again(fault: Close) -> None:
    cut = (b"HTTP/1.1 200 OK\r\nContent-Ty", 0.02, fault)
    async with FaultServer(cut, HELLO) as server:
        outcome = await ask(server, max_retries=1)
    outcome.ended(End.COMPLETE, "Hello", within=2.0)
    assert len(server.requests) == 2


async def test_a_head_cut_in_the_middle_is_a_disconnect_without_retries() -> None:
    async with FaultServer((b"HTTP/1.1 200 OK\r\nContent-Ty", 0.02, FIN)) as server:
        outcome = await ask(server)
    outcome.failed(DisconnectedError, ConnectionError, status=None)


async def test_a_head_that_stops_in_the_middle_ends_at_the_silence_clock() -> None:
    async with FaultServer((b"HTTP/1.1 200 OK\r\nContent-Ty", HOLD)) as server:
        outcome = await ask(server)
        await server.left()
    outcome.failed(SilenceTimeoutError, TimeoutError, after=0.3, within=0.3)


async def test_a_head_in_drops_without_end_is_bounded_by_a_clock() -> None:
    drops = (Slowly(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000, every=0.05), HOLD)
    async with FaultServer(drops) as server:
        outcome = await ask(server)
        await server.left()
    outcome.failed((SilenceTimeoutError, StallTimeoutError), TimeoutError, after=0.3, within=0.6)


async def test_a_head_byte_by_byte_is_read() -> None:
    answer = stream("Hel", "lo")
    async with FaultServer((Slowly(answer[:90], every=0.0005), answer[90:])) as server:
        outcome = await ask(server, timeouts=Timeouts())  # however slow this machine is
    outcome.ended(End.COMPLETE, "Hello")


@pytest.mark.parametrize(
    "interim",
    [
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="100"),
        pytest.param(b"HTTP/1.1 102 Processing\r\n\r\n" * 3, id="102"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n", id="103"),
    ],
)
async def test_an_interim_response_is_passed_over(interim: bytes) -> None:
    async with FaultServer((interim, 0.01, stream("Hel", "lo"))) as server:
        outcome = await ask(server)
    outcome.ended(End.COMPLETE, "Hello")


async def test_interim_responses_without_end_are_bounded_by_a_clock() -> None:
    async with FaultServer((Repeat(b"HTTP/1.1 100 Continue\r\n\r\n", every=0.02),)) as server:
        outcome = await ask(server)
        await server.left()
    outcome.failed((SilenceTimeoutError, StallTimeoutError), TimeoutError, within=0.6)


async def test_a_flood_of_interim_responses_is_bounded_by_a_clock() -> None:
    async with FaultServer((Repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 500),)) as server:
        outcome = await ask(server)
        await server.left()
    outcome.failed(
        (SilenceTimeoutError, StallTimeoutError, InvalidHTTPError),
        within=0.6,
    )


async def test_switching_protocols_is_not_an_answer() -> None:
    switch = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    )
    async with FaultServer((switch, HOLD)) as server:
        outcome = await ask(server)
        await server.left()
    outcome.failed(UnexpectedStatusError, status=101)


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_a_status_without_a_body_is_not_an_empty_answer(status: int) -> None:
    answer = (head(status, "X", content_type=None, chunked=False, length=0), HOLD)
    async with FaultServer(answer) as server:
        outcome = await ask(server, max_retries=2)
        await server.left()
    outcome.failed(UnexpectedStatusError, status=status)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((stream("Hel", "lo").replace(b"HTTP/1.1", b"HTTP/1.0"),), id="http-1.0"),
        pytest.param((stream("Hel", "lo").replace(b"200 OK", b"200 "),), id="no-reason"),
        pytest.param(
            (stream("Hel", "lo").replace(b"200 OK", "200 Schön ✓".encode()),), id="reason-in-utf-8"
        ),
        pytest.param((stream("Hel", "lo").replace(b"200 OK", b"200 \xff\xfe"),), id="reason-bytes"),
        pytest.param((head(X_Name="caf\xe9") + BODY,), id="latin-1-header"),
        pytest.param((b"\r\n" + stream("Hel", "lo"),), id="empty-line-before"),
        pytest.param((stream("Hel", "lo").replace(b"Content-Type", b"CONTENT-TYPE"),), id="upper"),
        pytest.param((head(Set_Cookie="=;;;=\t,,") + BODY,), id="broken-cookie"),
    ],
)
async def test_odd_but_legible_heads_are_read(answer: Answer) -> None:
    async with FaultServer(answer) as server:
        outcome = await ask(server)
    outcome.ended(End.COMPLETE, "Hello")


async def test_an_error_with_a_reason_that_is_not_text_can_be_printed() -> None:
    answer = json_answer(500, {"error": {"message": "no"}})
    raw = answer[0]
    assert isinstance(raw, bytes)
    odd = raw.replace(b"500 X", b"500 \xff\xfe\x1b[31m").replace(
        b"\r\n\r\n", b"\r\nX-Request-Id: \xff\xfe\r\n\r\n", 1
    )
    async with FaultServer((odd,)) as server:
        outcome = await ask(server)
    outcome.failed(ServerStatusError, status=500)
