"""The fake server over real sockets: what it answers, records, remembers and leaves behind."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from fake_client import chat_body, content_of, events_of, get, post, raw_bytes, send_raw

from async_copilot.fake_server import (
    ErrorFrame,
    FakeAnswer,
    FakeServer,
    FakeToolCall,
    HugeEvent,
    Pace,
    Raw,
    Repeat,
    Request,
    Stall,
    Truncate,
)


def handle_of(stream: bytes) -> Any:
    """The ``conversation`` object of a g4f stream."""
    (handle,) = [
        event["conversation"]
        for event in events_of(stream)
        if isinstance(event, dict) and "conversation" in event
    ]
    return handle


# ---- answers


async def test_a_text_answers_every_request() -> None:
    async with FakeServer("Hello there") as server:
        for _ in range(3):
            status, headers, body = await post(server)
            assert status == 200
            assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
            assert content_of(body) == "Hello there"


async def test_a_list_answers_in_turn_and_then_says_so() -> None:
    script = FakeServer(["one", FakeAnswer(status=503, times=2), "two"], check=False)
    async with script as server:
        answers = [await post(server, chat_body("more")) for _ in range(5)]
    assert [status for status, _, _ in answers] == [200, 503, 503, 200, 410]
    assert json.loads(answers[4][2])["error"]["message"] == (
        "the script of 4 answers is used up: asked for POST /v1/chat/completions 'more', "
        "the script had 1 'one', 2 status 503, 3 'two'"
    )


async def test_a_function_answers_what_the_request_asks() -> None:
    async with FakeServer(lambda request: f"You said {request.text}") as server:
        _, _, body = await post(server, chat_body("boo"))
    assert content_of(body) == "You said boo"


async def test_a_coroutine_function_may_hold_the_answer_back() -> None:
    gate = asyncio.Event()

    async def script(request: Request) -> FakeAnswer:
        await gate.wait()
        return FakeAnswer("now")

    async with FakeServer(script) as server, asyncio.TaskGroup() as tasks:
        posted = tasks.create_task(post(server))
        await server.until(lambda: server.requests)
        assert server.requests[0].status is None
        gate.set()
        assert content_of((await posted)[2]) == "now"


async def test_a_function_that_fails_is_a_410_which_nobody_retries() -> None:
    fails = FakeServer(lambda request: str(1 // len(request.text[:0])), check=False)
    async with fails as server:
        status, _, body = await post(server)
    assert status == 410
    assert "ZeroDivisionError" in json.loads(body)["error"]["message"]


async def test_an_error_status_has_its_length_and_retry_after() -> None:
    limited = FakeAnswer(status=429, retry_after=1, error="slow down")
    async with FakeServer([limited, "fine"]) as server, aiohttp.ClientSession() as session:
        status, headers, body = await post(server, session=session)
        assert (status, headers["Retry-After"]) == (429, "1")
        assert headers["Content-Length"] == str(len(body))
        assert json.loads(body)["error"]["message"] == "slow down"
        await post(server, session=session)
        assert server.connections == 1, "the connection was kept"


@pytest.mark.parametrize(
    ("given", "sent"), [(2, "2"), (0.25, "0.25"), ("Wed, 21 Oct 2026 07:28:00 GMT",) * 2]
)
async def test_retry_after_is_a_number_or_the_very_text(given: Any, sent: str) -> None:
    async with FakeServer(FakeAnswer(status=503, retry_after=given)) as server:
        assert (await post(server))[1]["Retry-After"] == sent


@pytest.mark.parametrize(
    ("body", "kind", "raw"),
    [
        ({"a": 1}, "application/json", b'{"a":1}'),
        ("Internal Server Error", "text/plain; charset=utf-8", b"Internal Server Error"),
        (b"\xff\x00", "application/json", b"\xff\x00"),
    ],
)
async def test_a_body_is_sent_as_it_is(body: Any, kind: str, raw: bytes) -> None:
    async with FakeServer(FakeAnswer(status=500, body=body)) as server:
        status, headers, sent = await post(server)
    assert (status, headers["Content-Type"], sent) == (500, kind, raw)


async def test_headers_of_the_script_replace_those_of_the_server() -> None:
    answer = FakeAnswer(body="<h1>Hi</h1>", headers={"content-type": "text/html", "X-Peer": "me"})
    async with FakeServer(answer) as server:
        _, headers, _ = await post(server)
    assert headers.getall("Content-Type") == ["text/html"]
    assert headers["X-Peer"] == "me"


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_has_none(status: int) -> None:
    script = FakeServer([FakeAnswer(status=status), "next"])
    async with script as server, aiohttp.ClientSession() as session:
        assert (await post(server, session=session))[::2] == (status, b"")
        assert content_of((await post(server, session=session))[2]) == "next"


async def test_without_stream_the_answer_is_one_json_body() -> None:
    async with FakeServer(FakeAnswer("Hello", reasoning="hm")) as server:
        _, headers, body = await post(server, chat_body(stream=None))
    assert headers["Content-Type"] == "application/json"
    (choice,) = json.loads(body)["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == "Hello"
    assert choice["message"]["reasoning"] == "hm"


async def test_a_server_may_ignore_what_the_request_says_about_streaming() -> None:
    script = [FakeAnswer("a", stream=False), FakeAnswer("b", stream=True)]
    async with FakeServer(script) as server:
        assert json.loads((await post(server))[2])["object"] == "chat.completion"
        assert content_of((await post(server, chat_body(stream=False)))[2]) == "b"


async def test_delay_holds_the_headers_back() -> None:
    async with FakeServer(FakeAnswer("late", delay=0.2)) as server:
        reader, writer = await send_raw(server)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        writer.close()


async def test_a_pace_spreads_the_pieces() -> None:
    async with FakeServer(FakeAnswer(["a"] * 6, pace=Pace(50, jitter=0.5, seed=1))) as server:
        start = time.monotonic()
        await post(server)
        assert time.monotonic() - start >= 0.05


async def test_each_piece_is_an_http_chunk_of_its_own() -> None:
    async with FakeServer(["", FakeAnswer(["a", "b"])]) as server:
        await post(server)
        raw = await raw_bytes(server)
    frames = [line for line in raw.split(b"\r\n") if line.startswith(b"data: ")]
    assert len(frames) == 4
    assert all(frame.count(b"data: ") == 1 for frame in frames)


async def test_bytes_are_cut_at_any_size() -> None:
    async with FakeServer([FakeAnswer("Grüße 🎉", cut=1), FakeAnswer("Grüße 🎉", cut=1)]) as server:
        raw = await raw_bytes(server)
        sizes = raw.split(b"\r\n\r\n", 1)[1].split(b"\r\n")[::2]
        assert set(sizes) == {b"1", b"0", b""}, "every HTTP chunk, the last one apart"
        assert content_of((await post(server))[2]) == "Grüße 🎉"


async def test_an_http_1_0_client_gets_a_body_without_chunks() -> None:
    async with FakeServer("Hello") as server:
        raw = await raw_bytes(server, version="1.0")
    head, body = raw.split(b"\r\n\r\n", 1)
    assert b"chunked" not in head
    assert content_of(body) == "Hello"


async def test_expect_100_continue_is_granted() -> None:
    async with (
        FakeServer("Hello") as server,
        aiohttp.ClientSession() as session,
        session.post(
            server.url + "/chat/completions", json=chat_body(), expect100=True
        ) as response,
    ):
        assert content_of(await response.read()) == "Hello"


async def test_a_prompt_of_many_megabytes_is_taken() -> None:
    async with FakeServer("ok") as server:
        await post(server, chat_body("x" * 1_040_000))
        await raw_bytes(server, chat_body("x" * 5_000_000))
        assert [len(seen.text) for seen in server.requests] == [1_040_000, 5_000_000]


@pytest.mark.parametrize("path", ["/chat/completions", "/chat/completions/"])
async def test_other_paths_and_methods_are_told_apart(path: str) -> None:
    async with FakeServer("Hello", check=False) as server:
        assert (await get(server, path)) == (405, b'{"detail":"Method Not Allowed"}')
        assert (await post(server, path="/nothing"))[::2] == (404, b'{"detail":"Not Found"}')
        status, models = await get(server, "/models")
        assert (status, json.loads(models)["object"]) == (200, "list")
        assert not server.requests


async def test_the_provider_path_of_g4f_is_served() -> None:
    async with FakeServer("Hello") as server:
        server.url = server.url.removesuffix("/v1")
        for path in ("/api/Copilot/chat/completions", "/api/Copilot/x/chat/completions"):
            assert content_of((await post(server, path=path))[2]) == "Hello"


async def test_n_choices_come_when_asked_for() -> None:
    async with FakeServer(["a", "a"], dialect="openai") as server:
        _, _, body = await post(server, chat_body(n=2))
        chunks = [event for event in events_of(body) if isinstance(event, dict)]
        assert {choice["index"] for chunk in chunks for choice in chunk["choices"]} == {0, 1}
        _, _, whole = await post(server, chat_body(n=2, stream=False))
        assert [choice["index"] for choice in json.loads(whole)["choices"]] == [0, 1]


# ---- the record


async def test_requests_are_recorded_parsed() -> None:
    async with FakeServer("Hello") as server:
        body = chat_body("Hi", model="m", conversation_id="c", conversation={"x": 1}, tools=[])
        await post(server, body, headers={"X-Test": "1"})
    (request,) = server.requests
    assert request.messages == [{"role": "user", "content": "Hi"}]
    assert (request.text, request.model, request.stream) == ("Hi", "m", True)
    assert (request.conversation_id, request.conversation) == ("c", {"x": 1})
    assert request.body["tools"] == []
    assert json.loads(request.raw) == body
    assert request.headers["x-test"] == "1"
    assert request.path == "/v1/chat/completions"
    assert (request.status, request.pieces, request.left) == (200, 2, None)
    assert request.ended is not None


async def test_the_text_of_a_message_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    async with FakeServer("Hello") as server:
        await post(server, chat_body(messages=[{"role": "user", "content": parts}]))
    assert server.requests[0].text == "ab"


async def test_repr_shows_neither_key_nor_handle() -> None:
    async with FakeServer("Hello", api_key="sk-secret") as server:
        body = chat_body("Hi", conversation={"conversation_id": "hush"}, conversation_id="psst")
        await post(server, body, headers={"Authorization": "Bearer sk-secret"})
        for secret in ("sk-secret", "hush", "psst"):
            assert secret not in repr(server.requests) + repr(server)


async def test_connections_are_counted_and_numbered() -> None:
    async with FakeServer("Hello") as server:
        async with aiohttp.ClientSession() as session:
            await post(server, session=session)
            await post(server, session=session)
        await post(server)
        assert server.connections == 2
        assert [request.connection for request in server.requests] == [1, 1, 2]


async def test_an_idle_connection_is_closed_after_keep_alive() -> None:
    async with FakeServer("Hello", keep_alive=0.1) as server:
        reader, writer = await send_raw(server)
        rest = await asyncio.wait_for(reader.read(), 2)
        assert rest.endswith(b"0\r\n\r\n")
        assert server.disconnects == 0
        writer.close()


async def test_until_believes_its_condition_at_the_end() -> None:
    start = time.monotonic()
    async with FakeServer("Hello") as server:
        await server.until(lambda: time.monotonic() - start > 0.03, within=0.05)


async def test_until_says_what_was_seen_when_it_gives_up() -> None:
    async with FakeServer("Hello") as server:
        await post(server)
        with pytest.raises(TimeoutError, match=r"not within 0.05 s; the server saw 1 request"):
            await server.until(lambda: len(server.requests) == 2, within=0.05)


async def test_until_says_what_was_not_expected() -> None:
    async with FakeServer("Hello", check=False) as server:
        await get(server, "/nothing")
        with pytest.raises(TimeoutError, match=r"0 disconnects; unexpected: GET /v1/nothing"):
            await server.until(lambda: server.requests, within=0.0)


# ---- clients that leave

WAITING = {
    "delay": FakeAnswer("x", delay=60),
    "stall before the headers": FakeAnswer("x", fault=Stall(after="request")),
    "stall after the headers": FakeAnswer("x", fault=Stall(after=0)),
    "stall in mid-stream": FakeAnswer(["a", "b"], fault=Stall(after=1)),
    "stall before [DONE]": FakeAnswer("x", fault=Stall(after="finish")),
    "heartbeat only": FakeAnswer("x", fault=Stall(after=0, heartbeat=0.01)),
    "a slow pace": FakeAnswer(["a", "b"], pace=0.01),
    "endless": FakeAnswer("tick ", pace=200, fault=Repeat()),
    "endless, and nobody reads": FakeAnswer("x" * 3000, fault=Repeat()),
    "one answer larger than every buffer": FakeAnswer("x", fault=HugeEvent(2**25)),
}


@pytest.mark.parametrize("answer", WAITING.values(), ids=WAITING)
@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
async def test_a_leaving_client_is_noticed_at_once(answer: FakeAnswer, reset: bool) -> None:
    async with FakeServer(answer) as server:
        _, writer = await send_raw(server)
        await server.until(lambda: server.requests)
        await asyncio.sleep(0.05)
        start = time.monotonic()
        writer.transport.abort() if reset else writer.close()
        await server.until(lambda: server.disconnects == 1, within=10)
        assert time.monotonic() - start < 1
        (request,) = server.requests
        assert request.left is not None
        assert request.ended is None


async def test_a_client_that_leaves_a_waiting_script_function_is_noticed() -> None:
    async def never(request: Request) -> str:
        await asyncio.sleep(60)
        return ""

    async with FakeServer(never) as server:
        _, writer = await send_raw(server)
        await server.until(lambda: server.requests)
        writer.close()
        await server.until(lambda: server.disconnects == 1, within=10)


async def test_a_client_that_leaves_at_done_has_not_left_early() -> None:
    async with FakeServer("Hello") as server:
        for _ in range(20):
            reader, writer = await send_raw(server)
            await reader.readuntil(b"[DONE]")
            writer.close()
        await server.until(lambda: all(request.ended for request in server.requests))
        assert server.disconnects == 0


async def test_a_slow_reader_holds_the_server_back() -> None:
    """Back-pressure: an endless answer does not pile up in memory."""
    async with FakeServer(FakeAnswer(["x" * 30_000], fault=Repeat())) as server:
        _, writer = await send_raw(server)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a ReadTransport too
        await server.until(lambda: server.requests and server.requests[0].pieces > 10)
        before = -1
        while before != (now := server.requests[0].pieces):
            before = now
            await asyncio.sleep(0.1)
        writer.close()
        await server.until(lambda: server.disconnects == 1)


# ---- memory

GREETING = "Hello, I am Heiner. How are you?"


async def known_after(server: FakeServer, first: dict[str, Any], second: dict[str, Any]) -> Any:
    """What the server remembers in the second request; HANDLE stands for the first's object."""
    handle = handle_of((await post(server, chat_body(GREETING, **first)))[2])
    if "conversation" in second:
        second = second | {"conversation": handle}
    await post(server, chat_body("Who am I?", **second))
    return server.requests[-1].known


async def test_memory_by_echo_is_that_of_g4f_8() -> None:
    async with FakeServer("ok") as server:
        assert await known_after(server, {}, {"conversation": "HANDLE"}) == (GREETING,)
        same = {"conversation_id": "c"}
        assert await known_after(server, same, same) == ()


async def test_memory_by_id_is_that_of_g4f_0_4() -> None:
    async with FakeServer("ok", dialect="g4f-0.4.9.0") as server:
        for name in ("c", "c", "other"):
            _, _, body = await post(server, chat_body(GREETING, conversation_id=name))
            assert b'"conversation"' not in body
        assert [request.known for request in server.requests] == [(), (GREETING,), ()]


async def test_each_conversation_has_its_own_handle_and_keeps_it() -> None:
    async with FakeServer("ok") as server:
        first, second = [handle_of((await post(server))[2]) for _ in range(2)]
        assert first != second
        assert handle_of((await post(server, chat_body(conversation=first)))[2]) == first


async def test_a_handle_the_server_does_not_know_starts_another_conversation() -> None:
    async with FakeServer("ok") as server:
        stale = {"conversation_id": "of a server before"}
        _, _, body = await post(server, chat_body(conversation=stale))
        assert handle_of(body) != stale


async def test_a_request_that_failed_is_not_remembered() -> None:
    async with FakeServer(["ok", FakeAnswer(status=429), "ok"]) as server:
        handle = handle_of((await post(server, chat_body("a")))[2])
        for text in ("b", "c"):
            await post(server, chat_body(text, conversation=handle))
        assert server.requests[-1].known == ("a",)


async def test_the_cross_talk_of_g4f_8_comes_on_request() -> None:
    """Two clients with one system message share a conversation, whatever they echo."""
    system = {"role": "system", "content": "Be kind."}

    def messages(text: str) -> dict[str, Any]:
        return chat_body(messages=[system, {"role": "user", "content": text}])

    async with FakeServer("ok", memory="crosstalk") as server:
        heiner = handle_of((await post(server, chat_body("I am Heiner")))[2])
        await post(server, messages("I am Anna"))
        await post(server, messages("Who am I?") | {"conversation": heiner})
        await post(server, chat_body("Who am I?", conversation=heiner))
        shared, safe = server.requests[-2:]
        assert shared.known == ("I am Anna",)
        assert safe.known == ("I am Heiner",), "one message alone is safe"
    async with FakeServer("ok") as server:
        await post(server, messages("I am Anna"))
        await post(server, messages("Who am I?"))
        assert server.requests[-1].known == ()


async def test_an_openai_server_knows_what_the_messages_say() -> None:
    history = [
        {"role": "user", "content": "I am Ann"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Who am I?"},
    ]
    async with FakeServer("ok", dialect="openai") as server:
        await post(server, chat_body(messages=history))
        assert server.requests[0].known == ("I am Ann",)


async def test_memory_none_knows_nothing() -> None:
    async with FakeServer("ok", memory="none") as server:
        assert await known_after(server, {}, {"conversation": "HANDLE"}) == ()


async def test_memory_outlives_a_restart_of_the_same_server() -> None:
    server = FakeServer("ok")
    async with server:
        handle = handle_of((await post(server, chat_body("a")))[2])
    async with server:
        await post(server, chat_body("b", conversation=handle))
    assert server.requests[-1].known == ("a",)


# ---- start and stop


async def test_a_server_can_be_made_before_it_is_used_and_stopped_twice() -> None:
    server = FakeServer("Hello")
    assert server.url == ""
    async with server:
        with pytest.raises(RuntimeError, match="running already"):
            await server.__aenter__()
    await server.__aexit__(None, None, None)


async def test_a_stopped_server_refuses_connections() -> None:
    async with FakeServer("Hello") as server:
        await post(server)
    with pytest.raises(aiohttp.ClientConnectorError):
        await post(server)


async def test_exit_is_fast_and_cuts_open_streams() -> None:
    async with FakeServer(FakeAnswer("x", fault=Stall(after=1))) as server:
        streams = [await send_raw(server) for _ in range(50)]
        idle = await asyncio.open_connection("127.0.0.1", int(server.url[17:-3]))
        await server.until(lambda: sum(request.pieces for request in server.requests) == 50)
        start = time.monotonic()
    assert time.monotonic() - start < 5, "a busy machine's share of it"
    assert len(asyncio.all_tasks()) == 1
    assert server.disconnects == 0, "nobody left: the server did"
    for reader, writer in (*streams, idle):
        rest = await asyncio.wait_for(reader.read(), 1)
        assert not rest.endswith(b"0\r\n\r\n")
        writer.close()


async def test_exit_waits_for_a_script_function_whose_client_has_left() -> None:
    left, tidied = asyncio.Event(), asyncio.Event()

    async def script(_: Request) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            left.set()
            await asyncio.sleep(0.05)
            tidied.set()
        return "never"

    async with FakeServer(script) as server:
        _, writer = await send_raw(server)
        await server.until(lambda: server.requests)
        writer.close()
        await left.wait()
    assert tidied.is_set()


@pytest.mark.parametrize("rounds", range(6))
async def test_exit_takes_along_a_connection_that_is_just_being_made(rounds: int) -> None:
    """A client that tries again when its connection is cut comes just then."""
    for _ in range(5):
        async with FakeServer("Hello") as server:
            address = urlsplit(server.url)
            coming = asyncio.ensure_future(asyncio.open_connection(address.hostname, address.port))
            for _ in range(rounds):
                await asyncio.sleep(0)
        with suppress(OSError):
            _, writer = await coming
            writer.close()
            await writer.wait_closed()


async def test_exit_is_fast_when_nobody_reads() -> None:
    async with FakeServer(FakeAnswer("x", fault=HugeEvent(2**25))) as server:
        _, writer = await send_raw(server)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a ReadTransport too
        await server.until(lambda: server.requests and server.requests[0].status == 200)
        start = time.monotonic()
    assert time.monotonic() - start < 2, "a busy machine's share of it"
    writer.close()


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_many_connections_leave_no_descriptor_behind() -> None:
    before = descriptors()
    async with FakeServer("Hello") as server:
        await asyncio.gather(*(post(server) for _ in range(50)))
    await asyncio.sleep(0.01)
    assert descriptors() <= before


async def test_a_taken_port_is_an_oserror_and_leaves_nothing() -> None:
    async with FakeServer("Hello") as server:
        taken = FakeServer("x", port=int(server.url[17:-3]))
        with pytest.raises(OSError, match="in use"):
            await taken.__aenter__()


async def test_ipv6_urls_have_their_brackets() -> None:
    async with FakeServer("Hello", host="::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert content_of((await post(server))[2]) == "Hello"


@pytest.mark.parametrize("options", [{"dialect": "g5f"}, {"memory": "elephant"}])
def test_an_unknown_option_is_refused_by_name(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name}='{value}': must be one of "):
        FakeServer("Hello", **options)


# ---- keys and bad requests


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer schlüssel \udcff"}, 401),
        ({"Authorization": "Bearer right"}, 200),
        ({"g4f-api-key": "right"}, 200),
    ],
)
async def test_a_key_is_asked_for_where_one_is_set(headers: dict[str, str], status: int) -> None:
    async with FakeServer("Hello", api_key="right") as server:
        assert (await post(server, headers=headers))[0] == status


async def test_a_refused_request_takes_no_answer_from_the_script() -> None:
    async with FakeServer(["only"], api_key="k") as server:
        key = {"Authorization": "Bearer k"}
        assert (await post(server))[0] == 401
        assert (await post(server, b"", headers=key))[0] == 422
        assert content_of((await post(server, headers=key))[2]) == "only"
        assert [request.status for request in server.requests] == [401, 422, 200]


def test_the_fake_server_uses_none_of_our_parsing() -> None:
    """Two independent implementations meet in the tests."""
    package = Path(__file__).parents[2] / "async_copilot"
    modules = [*(package / "fake_server").glob("*.py")]
    assert modules
    for module in modules:
        lines = map(str.strip, module.read_text(encoding="utf-8").splitlines())
        ours = [line for line in lines if line.startswith(("from ..", "from async_copilot"))]
        assert ours == [], module.name


async def test_a_prompt_with_a_lone_surrogate_is_taken() -> None:
    async with FakeServer(lambda request: request.text) as server:
        _, _, body = await post(server, chat_body("half \ud83d"))
        assert content_of(body) == "half \ud83d"


async def test_scripts_of_the_documentation_do_what_they_say() -> None:
    answers = [
        FakeAnswer("Hello"),
        FakeAnswer(status=429, retry_after=1),
        FakeAnswer("partial", fault=Truncate(after=3)),
        FakeAnswer("x", fault=[Raw(), ErrorFrame("boom", after=1)]),
        FakeAnswer(tool_calls=[FakeToolCall("get_weather", {"city": "Köln"})]),
    ]
    async with FakeServer(answers) as server:
        bodies = [(await post(server))[2] for _ in answers]
    assert content_of(bodies[0]) == "Hello"
    assert content_of(bodies[2]) == "partial"
    assert b'finish_reason":"stop' not in bodies[2]
    assert b'{"message": "boom"}' in bodies[3]
    assert "Köln".encode() in bodies[4]
