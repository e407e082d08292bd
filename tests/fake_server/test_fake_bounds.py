"""Linear, on time, bounded; and nobody's web page uses up a script."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest
from fake_client import chat_body, content_of, post, raw_bytes

from async_copilot.fake_server import FakeAnswer, FakeServer, HugeEvent, Stall
from async_copilot.fake_server.envelope import Envelope
from async_copilot.fake_server.guard import refusal
from async_copilot.fake_server.memory import Memory
from async_copilot.fake_server.plan import DIALECTS, plan
from async_copilot.fake_server.providers import FakeProvider, Route
from async_copilot.fake_server.request import read_request
from async_copilot.fake_server.steps import Send

ENVELOPE = Envelope("chatcmpl-x", 1, "m", "Copilot", None, include_usage=False, prompt_tokens=1)

# ---- linear


def test_the_first_piece_does_not_wait_for_the_plan_of_the_last() -> None:
    answer = FakeAnswer("word " * 1_000_000)
    start = time.process_time()
    steps = plan(answer, DIALECTS["openai"], ENVELOPE, stream=True)
    assert sum(isinstance(next(steps), Send) for _ in range(10)) == 9
    assert time.process_time() - start < 0.5, "a millionth of it was planned"


def test_a_long_answer_loses_nothing_when_it_goes_out_in_blocks() -> None:
    answer = FakeAnswer([f"{number} " for number in range(5000)])
    steps = plan(answer, DIALECTS["g4f"], ENVELOPE, stream=True)
    sent = [step for step in steps if isinstance(step, Send)]
    assert len(sent) < 2200
    assert sum(step.piece for step in sent) == 5000
    assert content_of(b"".join(step.data for step in sent)) == "".join(answer.content)


async def test_a_long_answer_leaves_the_loop_to_others() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with FakeServer(FakeAnswer(["word "] * 1500)) as server:
        counting = asyncio.create_task(count())
        _, _, body = await post(server)
        counting.cancel()
    assert len(content_of(body)) == 7500
    assert turns > 1000


# ---- on time


async def test_a_pace_is_kept_by_deadlines() -> None:
    """Ten late pieces in a row would be seen: each is due at its own time."""
    answer = FakeAnswer(["a"] * 400, pace=1000)
    async with FakeServer([answer, answer]) as server:
        took = []
        for body in (chat_body(), chat_body(stream=False)):
            start = time.monotonic()
            await post(server, body)
            took.append(time.monotonic() - start)
    assert all(seconds >= 0.39 for seconds in took)
    # Waits added up would take 0.4 s and 400 times what a busy machine is late: more than 1 s.
    assert min(took) < 1.0


# ---- bounded


async def test_a_body_that_is_too_long_is_a_413_in_the_dialects_form() -> None:
    async with FakeServer("Hi", dialect="openai", max_body=1000, check=False) as server:
        status, _, body = await post(server, chat_body("x" * 2000))
        assert status == 413
        assert "longer than 1000 bytes: raise max_body" in json.loads(body)["error"]["message"]
        assert content_of((await post(server))[2]) == "Hi"
        assert len(server.requests) == 1


async def test_alone_the_record_keeps_the_last_requests() -> None:
    async with FakeServer("Hi", keep=3) as server, aiohttp.ClientSession() as session:
        for number in range(5):
            await post(server, chat_body(str(number)), session=session)
        assert [request.text for request in server.requests] == ["2", "3", "4"]


async def test_alone_the_record_keeps_no_more_than_16_megabytes() -> None:
    async with FakeServer("Hi", keep=100, check=False) as server:
        for _ in range(4):
            await raw_bytes(server, chat_body("x" * 5_000_000))
        assert len(server.requests) == 3
        server.record.missed("a")
        server.record.failed(ValueError("b"))
        server.reset()


def test_alone_conversations_are_forgotten_when_they_become_many() -> None:
    def chat(memory: Memory, text: str, handle: Any = None) -> Any:
        fields: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
        raw = json.dumps(fields | {"conversation": handle}).encode()
        request = read_request("POST", "/v1/chat/completions", {}, raw)
        turn = memory.turn(request, Route(FakeProvider("A")))
        memory.keep(turn, request)
        return turn

    bounded = Memory("echo", bounded=True)
    first = chat(bounded, "first")
    assert chat(bounded, "again", first.handle).known == ("first",)
    for _ in range(1000):
        chat(bounded, "x")
    assert chat(bounded, "again", first.handle).known == ()
    large = chat(bounded, "y" * 2**22)
    for _ in range(2):
        chat(bounded, "y" * 2**22)
    assert chat(bounded, "again", large.handle).known == ()


def test_alone_the_shared_cache_is_bounded_too() -> None:
    memory = Memory("crosstalk", bounded=True)

    def known(system: str) -> tuple[str, ...]:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": "Hi"}]
        raw = json.dumps({"messages": messages}).encode()
        request = read_request("POST", "/v1/chat/completions", {}, raw)
        turn = memory.turn(request, Route(FakeProvider("A")))
        memory.keep(turn, request)
        return turn.known

    known("first")
    assert known("first") == ("Hi",)
    for number in range(1000):
        known(str(number))
    assert known("first") == ()


# ---- hostile clients

HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
HALF = f"{HEAD}100\r\n\r\n{{".encode()
BODY = json.dumps(chat_body()).encode()
WHOLE = f"{HEAD}{len(BODY)}\r\n\r\n".encode() + BODY


async def test_a_half_sent_body_holds_nobody_else_up() -> None:
    async with FakeServer("Hello") as server:
        port = int(server.origin.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
        )
        writer.write(head.encode())
        await server.until(lambda: server.connections == 1)
        assert content_of((await post(server))[2]) == "Hello"
        writer.close()
    assert len(server.requests) == 1


async def test_a_body_that_stops_is_waited_for_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("async_copilot.fake_server.service._BODY_SECONDS", 0.05)
    async with FakeServer("Hello", check=False) as server:
        port = int(server.origin.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
        )
        writer.write(head.encode())
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 5)
        writer.close()


async def test_a_reader_that_never_reads_is_cut_at_the_end() -> None:
    async with FakeServer(FakeAnswer("x", fault=[HugeEvent(2**24), Stall()])) as server:
        port = int(server.origin.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a ReadTransport too
        body = json.dumps(chat_body()).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
        )
        writer.write(f"{head}\r\n\r\n".encode() + body)
        await server.until(lambda: server.requests and server.requests[0].status == 200)
    writer.close()


# ---- web pages

JSON = "application/json"
MAY: list[dict[str, str]] = [
    {"Host": "127.0.0.1:1337", "Content-Type": JSON},
    {"Host": "localhost", "Content-Type": "application/json; charset=utf-8"},
    {"Host": "app.localhost:80", "Content-Type": "application/vnd.api+json"},
    {"Host": "[::1]:1337", "Content-Type": JSON},
    {"Content-Type": JSON},
    {"Host": "127.0.0.1"},
    {"Host": "127.0.0.1", "Content-Type": "application/octet-stream", "Content-Length": "0"},
    {"Host": "127.0.0.1", "Content-Type": JSON, "Origin": "http://localhost:3000"},
    {"Host": "[::ffff:127.0.0.1]:1337", "Content-Type": JSON},
]
MAY_NOT: list[tuple[dict[str, str], int]] = [
    ({"Host": "evil.example", "Content-Type": JSON}, 403),
    ({"Host": "127.0.0.1.evil.example", "Content-Type": JSON}, 403),
    ({"Host": "10.0.0.1:1337", "Content-Type": JSON}, 403),
    ({"Host": "127.0.0.1", "Content-Type": JSON, "Origin": "https://evil.example"}, 403),
    ({"Host": "127.0.0.1", "Content-Type": JSON, "Origin": "null"}, 403),
    ({"Host": "127.0.0.1", "Content-Type": JSON, "Origin": "http://[evil"}, 403),
    ({"Host": "127.0.0.1", "Content-Type": JSON, "Origin": "file://"}, 403),
    ({"Host": "[::1", "Content-Type": JSON}, 403),
    ({"Host": "0.0.0.0", "Content-Type": JSON}, 403),  # noqa: S104  # nothing listens
    ({"Host": "127.0.0.1", "Content-Type": "text/plain"}, 415),
    ({"Host": "127.0.0.1", "Content-Type": "application/x-www-form-urlencoded"}, 415),
    ({"Host": "127.0.0.1", "Content-Type": "multipart/form-data; boundary=x"}, 415),
    ({"Host": "127.0.0.1", "Origin": "http://localhost"}, 415),
]


@pytest.mark.parametrize("headers", MAY)
def test_a_program_on_this_machine_may_ask(headers: dict[str, str]) -> None:
    assert refusal("POST", {"Content-Length": "2"} | headers, "127.0.0.1") is None


@pytest.mark.parametrize(("headers", "status"), MAY_NOT)
def test_a_web_page_may_not(headers: dict[str, str], status: int) -> None:
    refused = refusal("POST", {"Content-Length": "2"} | headers, "127.0.0.1")
    assert refused is not None
    assert refused[0] == status


def test_who_listens_on_a_network_is_reached_under_any_name() -> None:
    assert refusal("POST", {"Host": "fake", "Content-Type": JSON}, "0.0.0.0") is None  # noqa: S104
    assert refusal("GET", {"Host": "evil.example"}, "127.0.0.1") is not None
    assert refusal("GET", {"Host": "localhost"}, "::1") is None
    assert refusal("GET", {"Host": "evil.example"}, "::1") is not None


async def test_a_refused_page_uses_up_no_answer_and_is_told() -> None:
    async with FakeServer(["Hello"], check=False) as server:
        for headers in ({"Host": "evil.example"}, {"Content-Type": "text/plain"}):
            assert (await post(server, headers=headers))[0] in (403, 415)
        assert content_of((await post(server))[2]) == "Hello"
        assert len(server.requests) == 1
        assert "use localhost or 127.0.0.1" in server.unexpected[0]
        assert "send the body as application/json" in server.unexpected[1]


async def test_http_1_0_without_a_host_is_answered() -> None:
    async with FakeServer("Hello") as server:
        assert content_of(await raw_bytes(server, version="1.0"))
