"""Every fault of a script as a client's socket sees it."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import Any

import aiohttp
import pytest
from fake_client import chat_body, content_of, events_of, post, raw_bytes, send_raw

from async_copilot.fake_server import (
    BrokenFraming,
    Close,
    ErrorFrame,
    FakeAnswer,
    FakeServer,
    HugeEvent,
    Raw,
    Repeat,
    Reset,
    Stall,
    Truncate,
)
from async_copilot.fake_server.plan import DIALECTS

LAST_CHUNK = b"\r\n0\r\n\r\n"


async def seen_of(answer: FakeAnswer, **body: Any) -> tuple[bytes, type[BaseException] | None]:
    """All bytes of an answer on a socket of its own, and how the connection failed, if so."""
    async with FakeServer(answer) as server:
        reader, writer = await send_raw(server, chat_body(**body))
        seen, failed = b"", None
        try:
            async with asyncio.timeout(2):
                while not seen.endswith(LAST_CHUNK) and (data := await reader.read(65536)):
                    seen += data
        except (ConnectionError, TimeoutError) as error:
            failed = type(error)
        writer.close()
        assert server.disconnects == 0
        return seen, failed


def body_of(seen: bytes) -> bytes:
    """The chunks of a chunked answer, joined, however it ended."""
    rest, body = seen.split(b"\r\n\r\n", 1)[1], b""
    while rest[:2] not in (b"", b"0\r"):
        size, rest = rest.split(b"\r\n", 1)
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return body


async def test_truncate_ends_the_body_in_good_order() -> None:
    seen, failed = await seen_of(FakeAnswer(["a", "b", "c"], fault=Truncate(after=2)))
    assert failed is None
    assert seen.endswith(LAST_CHUNK)
    assert content_of(body_of(seen)) == "ab"
    assert b'"stop"' not in seen
    assert b"[DONE]" not in seen


async def test_close_sends_fin_and_no_last_chunk() -> None:
    seen, failed = await seen_of(FakeAnswer(["a", "b", "c"], fault=Close(after=2)))
    assert failed is None
    assert not seen.endswith(LAST_CHUNK)
    assert content_of(body_of(seen)) == "ab"


async def test_reset_sends_rst_after_what_was_sent() -> None:
    for _ in range(10):
        seen, failed = await seen_of(FakeAnswer(["a", "b", "c"], fault=Reset(after=2)))
        assert failed is ConnectionResetError
        assert content_of(body_of(seen)) == "ab"


async def test_a_reset_waits_for_a_slow_reader() -> None:
    loop, seen = asyncio.get_running_loop(), 0
    body = json.dumps(chat_body()).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    answer = FakeAnswer("x", fault=[HugeEvent(50_000, after=0), Reset(after=0)])
    async with FakeServer(answer) as server:
        assert server._listener is not None
        with socket.socket() as client:
            # The kernel's buffers at their smallest: nearly all has to wait in the server.
            server._listener.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", int(server.url[17:-3])))
            await loop.sock_sendall(client, head.encode() + body)
            await server.until(lambda: server.requests and server.requests[0].dropped)
            while seen < 40_000:
                seen += len(data := await loop.sock_recv(client, 65536))
                assert data


@pytest.mark.parametrize(("fault", "error"), [(Close, None), (Reset, ConnectionResetError)])
async def test_a_drop_before_the_headers_sends_nothing(fault: Any, error: Any) -> None:
    assert await seen_of(FakeAnswer("x", fault=fault(after="request"))) == (b"", error)


@pytest.mark.parametrize("fault", [Close, Reset])
async def test_a_torn_drop_cuts_event_and_chunk(fault: Any) -> None:
    seen, _ = await seen_of(FakeAnswer(["a", "b"], fault=fault(after=1, torn=True)))
    head, size, event = seen.rsplit(b"\r\n", 2)
    assert head.endswith(b"\n\n")
    assert event.startswith(b"data: {")
    assert int(size, 16) == 2 * len(event)


async def test_a_torn_drop_of_an_http_1_0_answer_cuts_the_event() -> None:
    async with FakeServer(FakeAnswer(["a", "b"], fault=Close(after=1, torn=True))) as server:
        raw = await raw_bytes(server, version="1.0")
    assert raw.count(b"data: {") == 2
    assert not raw.endswith(b"\n")


@pytest.mark.parametrize("where", [0, 1, "content", "finish", "done"])
@pytest.mark.parametrize("fault", [Close, Reset])
async def test_a_drop_strikes_at_any_point(fault: Any, where: Any) -> None:
    seen, _ = await seen_of(FakeAnswer(["a", "b"], fault=fault(after=where)))
    assert not seen.endswith(LAST_CHUNK)
    expected = {0: 0, 1: 1, "content": 2, "finish": 3, "done": 4}[where]
    assert seen.count(b"data: ") == expected


async def test_broken_framing_leaves_the_connection_open() -> None:
    async with FakeServer(FakeAnswer(["a", "b"], fault=BrokenFraming(after=1))) as server:
        reader, writer = await send_raw(server)
        seen = await reader.readuntil(b"this is not a chunk size\r\n")
        assert seen.count(b"data: ") == 1
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        writer.close()
        await server.until(lambda: server.disconnects == 1)


async def test_a_stall_goes_on_afterwards() -> None:
    start = time.monotonic()
    seen, _ = await seen_of(FakeAnswer(["a", "b"], fault=Stall(after=1, seconds=0.2)))
    assert time.monotonic() - start >= 0.2
    assert content_of(body_of(seen)) == "ab"


async def test_a_heartbeat_is_comments_and_nothing_else() -> None:
    async with FakeServer(FakeAnswer("x", fault=Stall(after=0, heartbeat=0.02))) as server:
        reader, writer = await send_raw(server)
        for _ in range(3):
            await reader.readuntil(b": ping\n\n\r\n")
        writer.close()
        await server.until(lambda: server.disconnects == 1)
        assert server.requests[0].pieces == 0


async def test_a_stall_with_an_end_beats_until_then() -> None:
    seen, _ = await seen_of(FakeAnswer("x", fault=Stall(after=0, seconds=0.2, heartbeat=0.03)))
    assert 1 <= seen.count(b": ping\n\n") <= 6
    assert content_of(body_of(seen).replace(b": ping\n\n", b"")) == "x"


async def test_comments_before_the_headers_are_not_possible() -> None:
    seen, _ = await seen_of(
        FakeAnswer("x", fault=Stall(after="request", seconds=0.1, heartbeat=0.01))
    )
    assert seen.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b": ping" not in seen


@pytest.mark.parametrize(
    ("dialect", "done"),
    [("g4f", 0), ("g4f-8.1.7", 1), ("g4f-0.4.9.0", 1), ("openai", 0), ("litellm", 0)],
)
async def test_done_follows_an_error_where_the_dialect_says_so(dialect: Any, done: int) -> None:
    async with FakeServer(FakeAnswer("ab", fault=ErrorFrame()), dialect=dialect) as server:
        _, _, body = await post(server)
    assert body.count(b"[DONE]") == done
    assert b'"finish_reason":"stop"' not in body


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (ErrorFrame(), {"message": "Request execution failed"}),
        (ErrorFrame("boom é"), {"message": "boom é"}),
        (ErrorFrame({"code": 7}), {"code": 7}),
    ],
)
async def test_an_error_frame_carries_what_it_is_given(fault: ErrorFrame, error: Any) -> None:
    async with FakeServer(FakeAnswer("ab", fault=fault)) as server:
        status, _, body = await post(server)
    assert status == 200
    assert events_of(body)[-1] == {"error": error, "model": "", "provider": "Copilot"}


async def test_an_error_frame_may_be_a_named_event_with_done() -> None:
    async with FakeServer(FakeAnswer(fault=ErrorFrame("x", event=True, done=True))) as server:
        _, _, body = await post(server)
    assert body.startswith(b"event: error\ndata: {")
    assert body.endswith(b"\n\ndata: [DONE]\n\n")


async def test_raw_bytes_go_in_between() -> None:
    answer = FakeAnswer(["a", "b"], fault=[Raw(after=1), Raw(b"\xff\x00\n\n", after=2)])
    async with FakeServer(answer) as server:
        _, _, body = await post(server)
    frames = body.split(b"\n\n")
    assert frames[1] == b'data: {"choices": [{"index": 0, "del'
    assert frames[3] == b"\xff\x00"
    assert frames[-2] == b"data: [DONE]"


async def test_one_huge_event_is_one_line() -> None:
    async with FakeServer(FakeAnswer("ab", fault=HugeEvent(2**20, after=0))) as server:
        _, _, body = await post(server)
    assert max(map(len, body.split(b"\n"))) > 2**20
    assert content_of(body) == "x" * 2**20 + "ab"


async def test_repeat_says_it_all_again() -> None:
    async with FakeServer(FakeAnswer(["a", "b"], fault=Repeat(2))) as server:
        assert content_of((await post(server))[2]) == "ababab"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_no_finish_reason_leaves_only_done(dialect: Any) -> None:
    answers = [FakeAnswer(text, finish_reason=None, usage=False) for text in ("ab", "")]
    async with FakeServer(answers, dialect=dialect) as server:
        _, _, body = await post(server)
        _, _, empty = await post(server)
    assert content_of(body) == "ab"
    assert b'"stop"' not in body
    assert body.endswith(b"data: [DONE]\n\n")
    assert empty == b"data: [DONE]\n\n"


async def test_no_done_leaves_only_the_finish_reason() -> None:
    async with FakeServer(FakeAnswer("ab", done=False)) as server:
        _, _, body = await post(server)
    assert b'"finish_reason":"stop"' in body
    assert b"[DONE]" not in body


# ---- the same faults, where the answer is not streamed


async def whole(answer: FakeAnswer) -> tuple[int, bytes]:
    async with FakeServer(answer) as server:
        status, _, body = await post(server, chat_body(stream=False))
    return status, body


@pytest.mark.parametrize("fault", [Close(), Reset(), Truncate(), Close(after="request")])
async def test_a_drop_cuts_a_json_body(fault: Any) -> None:
    async with FakeServer(FakeAnswer("ab", fault=fault)) as server:
        with pytest.raises(aiohttp.ClientError):
            await post(server, chat_body(stream=False))
        assert server.disconnects == 0


async def test_a_stall_divides_a_json_body() -> None:
    start = time.monotonic()
    _, body = await whole(FakeAnswer("ab", fault=Stall(seconds=0.1)))
    assert time.monotonic() - start >= 0.1
    assert json.loads(body)["choices"][0]["message"]["content"] == "ab"


async def test_an_error_frame_becomes_a_status() -> None:
    status, body = await whole(FakeAnswer("ab", fault=ErrorFrame("boom")))
    assert (status, json.loads(body)["error"]["message"]) == (500, "boom")


async def test_raw_bytes_become_the_body() -> None:
    assert await whole(FakeAnswer("ab", fault=Raw(b"\xff{"))) == (200, b"\xff{")


async def test_a_huge_event_becomes_a_huge_message() -> None:
    _, body = await whole(FakeAnswer("ab", fault=HugeEvent(10_000)))
    assert json.loads(body)["choices"][0]["message"]["content"] == "ab" + "x" * 10_000


async def test_an_error_body_can_be_cut_too() -> None:
    async with FakeServer(FakeAnswer(status=500, fault=Close())) as server:
        with pytest.raises(aiohttp.ClientPayloadError):
            await post(server)


async def test_a_json_body_waits_for_its_delay() -> None:
    start = time.monotonic()
    await whole(FakeAnswer(status=500, delay=0.1))
    assert time.monotonic() - start >= 0.1
