"""What each dialect puts on the wire, against frames recorded from the real servers."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, get_args

import pytest
from fake_client import chat_body, content_of, events_of, post, raw_bytes, send_raw

from async_copilot.fake_server import ErrorFrame, FakeAnswer, FakeServer, FakeToolCall, Stall
from async_copilot.fake_server.plan import DIALECTS, DialectName

# What differs from reply to reply, and the counts that are estimates anywhere.
VARYING = re.compile(
    rb"chatcmpl-\w+|(?<=\"created\":)\d+|(?<=_tokens\":)\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)

# Recorded from the releases named, with a provider that said "Hello", " Heiner!".
RECORDED: dict[str, list[bytes]] = {
    "g4f": [
        (
            b'data: {"id":"chatcmpl-tzCb","object":"chat.completion.chunk","created":1795389345,'
            b'"model":"","provider":"Copilot","choices":[{"index":0,"delta":{"role":"assistant",'
            b'"content":"Hello","reasoning":null,"tool_calls":null},"finish_reason":null}]}'
        ),
        (
            b'data: {"id":"chatcmpl-tzCb","object":"chat.completion.chunk","created":1795389345,'
            b'"model":"","provider":"Copilot","choices":[{"index":0,"delta":{"role":"assistant",'
            b'"content":" Heiner!","reasoning":null,"tool_calls":null},"finish_reason":null}]}'
        ),
        (
            b'data: {"id":"chatcmpl-tzCb","object":"chat.completion.chunk","created":1795389345,'
            b'"model":"","provider":"Copilot","choices":[{"index":0,"delta":{"role":"assistant",'
            b'"content":"","reasoning":null,"tool_calls":null},"finish_reason":"stop"}],"usage":'
            b'{"prompt_tokens":13,"completion_tokens":12,"total_tokens":25,"prompt_tokens_details":'
            b'{"cached_tokens":0},"completion_tokens_details":{"accepted_prediction_tokens":null,'
            b'"rejected_prediction_tokens":null},"cache":null,"estimated_cost":null},"conversation":'
            b'{"conversation_id":"ad2d0020-1c25-43ca-90ed-cadad3c4eebe"}}'
        ),
        b"data: [DONE]",
    ],
    "g4f-0.4.9.0": [
        (
            b'data: {"id":"chatcmpl-bbjv","object":"chat.completion.cunk","created":1795389352,'
            b'"model":null,"provider":null,"choices":[{"index":0,"delta":{"role":"assistant",'
            b'"content":"Hello"},"finish_reason":null}]}'
        ),
        (
            b'data: {"id":"chatcmpl-bbjv","object":"chat.completion.cunk","created":1795389352,'
            b'"model":null,"provider":null,"choices":[{"index":0,"delta":{"role":"assistant",'
            b'"content":" Heiner!"},"finish_reason":null}]}'
        ),
        (
            b'data: {"id":"chatcmpl-44Pz","object":"chat.completion.cunk","created":1795389352,'
            b'"model":null,"provider":null,"choices":[{"index":0,"delta":{"role":"assistant",'
            b'"content":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":0,'
            b'"completion_tokens":10,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":0},'
            b'"completion_tokens_details":{}}}'
        ),
        b"data: [DONE]",
    ],
}
RECORDED["g4f-8.1.7"] = RECORDED["g4f"]


@pytest.mark.parametrize("dialect", RECORDED)
async def test_a_g4f_stream_is_that_of_the_recording(dialect: Any) -> None:
    async with FakeServer(FakeAnswer(["Hello", " Heiner!"]), dialect=dialect) as server:
        _, _, body = await post(server, chat_body(provider="Copilot"))
    frames = body.split(b"\n\n")
    assert frames.pop() == b""
    assert [VARYING.sub(b"?", frame) for frame in frames] == [
        VARYING.sub(b"?", frame) for frame in RECORDED[dialect]
    ]


@pytest.mark.parametrize(
    ("dialect", "status", "recorded"),
    [
        ("g4f", 429, (b'{"error": {"message": "Request execution failed"}, "model": "", '
         b'"provider": "Copilot"}')),
        ("g4f-8.1.7", 500, (b'{"error": {"message": "RuntimeError: caf\\u00e9"}, "model": "", '
         b'"provider": "Copilot"}')),
    ],
)  # fmt: skip
async def test_a_g4f_error_is_that_of_the_recording(
    dialect: Any, status: int, recorded: bytes
) -> None:
    error = "RuntimeError: café" if dialect == "g4f-8.1.7" else None
    script = [FakeAnswer(status=status, error=error), FakeAnswer(fault=ErrorFrame(error))]
    async with FakeServer(script, dialect=dialect) as server:
        seen, headers, body = await post(server)
        assert (seen, body) == (status, recorded)
        assert headers["Content-Type"] == "application/json"
        _, _, stream = await post(server)
    assert stream.startswith(b"data: " + recorded + b"\n\n")


@pytest.mark.parametrize(
    ("sent", "recorded"),
    [
        (b"", b'{"detail":[{"loc":["body"],"message":"Field required","type":"missing"}]}'),
        (b"{}{", (b'{"detail":[{"loc":["body",0],"message":"JSON decode error",'
         b'"type":"json_invalid"}]}')),
        (b"[" * 100_000, (b'{"detail":[{"loc":["body",0],"message":"JSON decode error",'
         b'"type":"json_invalid"}]}')),
        (b"{}", (b'{"detail":[{"loc":["body","messages"],"message":"Field required",'
         b'"type":"missing"}]}')),
        (b'{"model": ""}', (b'{"detail":[{"loc":["body","messages"],"message":"Field required",'
         b'"type":"missing"}]}')),
        (b'{"messages": "Hi"}', (b'{"detail":[{"loc":["body","messages"],'
         b'"message":"Input should be a valid list","type":"list_type"}]}')),
    ],
)  # fmt: skip
async def test_what_is_not_a_chat_request_is_a_422_of_g4f(sent: bytes, recorded: bytes) -> None:
    async with FakeServer("Hello") as server:
        status, _, body = await post(server, sent)
    assert (status, body) == (422, recorded)


@pytest.mark.parametrize(
    ("dialect", "status"), [("openai", 400), ("litellm", 400), ("llama", 500), ("g4f-8.1.7", 422)]
)
async def test_broken_json_is_refused_in_each_dialect(dialect: Any, status: int) -> None:
    async with FakeServer("Hello", dialect=dialect) as server:
        assert (await post(server, b"{"))[0] == status


@pytest.mark.parametrize(
    ("dialect", "status", "message"),
    [
        ("g4f", 401, "Not authenticated"),
        ("g4f-0.4.9.0", 403, "Invalid G4F API key"),
        ("openai", 401, "Incorrect API key provided."),
        ("llama", 401, "Incorrect API key provided."),
    ],
)
async def test_a_wrong_key_is_refused_in_each_dialect(
    dialect: Any, status: int, message: str
) -> None:
    async with FakeServer("Hello", dialect=dialect, api_key="right") as server:
        seen, headers, body = await post(server, headers={"Authorization": "Bearer wrong"})
    assert (seen, json.loads(body)["error"]["message"]) == (status, message)
    assert ("www-authenticate" in headers) is (dialect == "g4f")


async def stream_of(dialect: Any, answer: FakeAnswer, **fields: Any) -> list[Any]:
    async with FakeServer(answer, dialect=dialect) as server:
        _, _, body = await post(server, chat_body(**fields))
    return events_of(body)


@pytest.mark.parametrize("dialect", get_args(DialectName))
async def test_every_dialect_carries_the_text_and_ends(dialect: Any) -> None:
    async with FakeServer("Grüße, 世界 \u2028!", dialect=dialect) as server:
        _, headers, body = await post(server, chat_body(model="m"))
    assert content_of(body) == "Grüße, 世界 \u2028!"
    assert "世".encode() in body, "raw UTF-8"
    assert headers["Content-Type"].startswith("text/event-stream")
    *_, last, done = [line for line in body.decode().split("\n") if line]
    assert json.loads(last.removeprefix("data: "))["choices"][0]["finish_reason"] == "stop"
    assert done == "data: [DONE]"


def test_every_dialect_has_a_name() -> None:
    assert set(DIALECTS) == set(get_args(DialectName))


# ---- OpenAI


async def test_openai_begins_with_the_role_and_ends_with_an_empty_delta() -> None:
    first, second, third, last, _ = await stream_of("openai", FakeAnswer(["a", "b"]))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert second["choices"][0]["delta"] == {"content": "a"}
    assert third["choices"][0]["delta"] == {"content": "b"}
    assert last["choices"][0]["delta"] == {}


async def test_openai_sends_usage_in_a_chunk_of_its_own_when_asked() -> None:
    asked = {"stream_options": {"include_usage": True}}
    *_, finish, usage, _ = await stream_of("openai", FakeAnswer("a"), **asked)
    assert finish["usage"] is None
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] > 0
    assert all("usage" not in event for event in await stream_of("openai", FakeAnswer("a")))


@pytest.mark.parametrize("dialect", ["openai", "g4f", "litellm", "llama", "g4f-0.4.9.0"])
async def test_the_script_has_the_last_word_on_usage(dialect: Any) -> None:
    given = {"total_tokens": 42}
    events = await stream_of(dialect, FakeAnswer("a", usage=given))
    assert [event["usage"] for event in events if isinstance(event, dict) and event.get("usage")] \
        == [given]  # fmt: skip
    events = await stream_of(dialect, FakeAnswer("a", usage=False))
    assert not any(event.get("usage") for event in events if isinstance(event, dict))
    events = await stream_of(dialect, FakeAnswer("a", usage=True))
    assert any(event.get("usage") for event in events if isinstance(event, dict))


@pytest.mark.parametrize("dialect", ["openai", "litellm", "llama"])
async def test_tool_calls_come_as_a_name_and_fragments(dialect: Any) -> None:
    answer = FakeAnswer(
        tool_calls=[FakeToolCall("get_weather", {"city": "Köln"}), FakeToolCall("now")]
    )
    events = [event for event in await stream_of(dialect, answer) if isinstance(event, dict)]
    deltas = [
        call
        for event in events
        for choice in event["choices"]
        for call in choice["delta"].get("tool_calls", ())
    ]
    first = [call["function"] for call in deltas if call["index"] == 0]
    assert first[0] == {"name": "get_weather", "arguments": ""}
    assert len(first) > 2
    assert json.loads("".join(part["arguments"] for part in first)) == {"city": "Köln"}
    assert {call["index"] for call in deltas} == {0, 1}
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_g4f_sends_whole_tool_calls_and_stop() -> None:
    answer = FakeAnswer(
        "Let me look. ", tool_calls=[FakeToolCall("f", {"a": 1}), FakeToolCall("g", id="x")]
    )
    *_, calls, last, _ = await stream_of("g4f", answer)
    assert calls["choices"][0]["delta"]["tool_calls"] == [
        {"index": 0, "id": "call_1", "type": "function",
         "function": {"name": "f", "arguments": '{"a": 1}'}, "extra_content": None},
        {"index": 1, "id": "x", "type": "function",
         "function": {"name": "g", "arguments": "{}"}, "extra_content": None},
    ]  # fmt: skip
    assert last["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("dialect", "key"),
    [("g4f", "reasoning"), ("litellm", "reasoning_content"), ("llama", "reasoning_content"),
     ("g4f-0.4.9.0", "content")],
)  # fmt: skip
async def test_reasoning_has_the_name_the_dialect_gives_it(dialect: Any, key: str) -> None:
    events = await stream_of(dialect, FakeAnswer(["text"], reasoning=["thought"]))
    deltas = [event["choices"][0]["delta"] for event in events if isinstance(event, dict)]
    (thought,) = [delta for delta in deltas if delta.get(key) == "thought"]
    assert key == "content" or not thought.get("content")


async def test_openai_refuses_in_a_field_of_its_own() -> None:
    answer = FakeAnswer(refusal="I will not.")
    events = await stream_of("openai", answer)
    deltas = [event["choices"][0]["delta"] for event in events[1:-1]]
    assert "".join(delta.get("refusal", "") for delta in deltas) == "I will not."


@pytest.mark.parametrize("dialect", ["openai", "litellm", "llama"])
async def test_a_whole_completion_holds_what_a_stream_would(dialect: Any) -> None:
    answer = FakeAnswer(
        "text", reasoning="thought", tool_calls=[FakeToolCall("f", {"a": 1})], usage=True
    )
    async with FakeServer(answer, dialect=dialect) as server:
        _, _, body = await post(server, chat_body(stream=False))
    whole = json.loads(body)
    message = whole["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("text", "thought")
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a": 1}'}
    assert "index" not in message["tool_calls"][0]
    assert whole["usage"]["total_tokens"] > 0


async def test_a_refused_completion_has_no_content() -> None:
    async with FakeServer([FakeAnswer(refusal="No."), FakeAnswer()], dialect="openai") as server:
        messages = [
            json.loads((await post(server, chat_body(stream=False)))[2])["choices"][0]["message"]
            for _ in range(2)
        ]
    assert [message["content"] for message in messages] == [None, ""]
    assert messages[0]["refusal"] == "No."


@pytest.mark.parametrize(
    ("dialect", "status", "error"),
    [
        ("openai", 429, {"type": "requests", "code": "rate_limit_exceeded"}),
        ("openai", 500, {"type": "server_error", "code": None}),
        ("litellm", 429, {"type": "throttling_error", "code": "429"}),
        ("litellm", 500, {"type": None, "code": "500"}),
        ("llama", 400, {"type": "invalid_request_error", "code": 400}),
        ("llama", 503, {"type": "unavailable_error", "code": 503}),
    ],
)
async def test_errors_have_the_type_and_code_of_their_dialect(
    dialect: Any, status: int, error: dict[str, Any]
) -> None:
    async with FakeServer(FakeAnswer(status=status, error="why"), dialect=dialect) as server:
        seen, _, body = await post(server)
    assert seen == status
    assert json.loads(body)["error"].items() >= (error | {"message": "why"}).items()


@pytest.mark.parametrize("dialect", get_args(DialectName))
async def test_the_script_has_the_last_word_on_reason_and_error(dialect: Any) -> None:
    script = [
        FakeAnswer("a", finish_reason="length"),
        FakeAnswer(status=400, error={"code": "mine"}),
    ]
    async with FakeServer(script, dialect=dialect) as server:
        assert b'"finish_reason":"length"' in (await post(server))[2]
        assert json.loads((await post(server))[2])["error"] == {"code": "mine"}


async def test_an_error_says_its_status_where_the_script_says_nothing() -> None:
    async with FakeServer(FakeAnswer(status=502), dialect="openai") as server:
        _, _, body = await post(server)
    assert json.loads(body)["error"]["message"] == "Bad Gateway"


async def test_a_status_nobody_has_named_is_sent_too() -> None:
    async with FakeServer(FakeAnswer(status=529), dialect="openai") as server:
        assert (await post(server))[0] == 529


# ---- LiteLLM


async def test_litellm_leaves_out_what_it_does_not_know_yet() -> None:
    first, second, last, _ = await stream_of("litellm", FakeAnswer(["a", "b"]))
    assert first["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": "a"}}]
    assert second["choices"] == [{"index": 0, "delta": {"content": "b"}}]
    assert last["choices"] == [{"finish_reason": "stop", "index": 0, "delta": {}}]
    assert "conversation" not in last


async def test_litellm_sends_usage_with_an_empty_delta() -> None:
    asked = {"stream_options": {"include_usage": True}}
    *_, usage, _ = await stream_of("litellm", FakeAnswer("a"), **asked)
    assert usage["choices"] == [{"index": 0, "delta": {}}]


async def test_litellm_headers_copy_those_of_the_upstream() -> None:
    async with FakeServer("a", dialect="litellm") as server:
        _, headers, _ = await post(server)
    assert headers["llm_provider-transfer-encoding"] == "chunked"
    assert headers["x-litellm-call-id"]


# ---- llama-server


async def test_llama_sends_role_and_first_token_in_one_write() -> None:
    async with FakeServer(FakeAnswer(["a", "b"]), dialect="llama") as server:
        raw = await raw_bytes(server)
    first = raw.split(b"\r\n\r\n", 1)[1].split(b"\r\n")[1]
    role, token, rest = first.split(b"\n\n")
    assert b'"delta":{"role":"assistant","content":null}' in role
    assert b'"delta":{"content":"a"}' in token
    assert rest == b""


async def test_llama_closes_the_connection_it_said_it_would_keep() -> None:
    async with FakeServer("a", dialect="llama") as server:
        reader, writer = await send_raw(server)
        raw = await asyncio.wait_for(reader.read(), 2)
        assert b"Keep-Alive: timeout=5, max=100" in raw
        assert raw.endswith(b"\r\n0\r\n\r\n")
        assert server.disconnects == 0
        writer.close()


async def test_llama_sends_its_headers_before_it_has_an_answer() -> None:
    async with FakeServer(FakeAnswer("a", delay=30), dialect="llama") as server:
        reader, writer = await send_raw(server)
        assert await asyncio.wait_for(reader.readline(), 1) == b"HTTP/1.1 200 OK\r\n"
        writer.close()
        await server.until(lambda: server.disconnects == 1)


async def test_llama_comments_are_a_bare_colon() -> None:
    stall = Stall(after=0, seconds=0.1, heartbeat=0.03)
    async with FakeServer(FakeAnswer("a", fault=stall), dialect="llama") as server:
        _, _, body = await post(server)
    assert body.startswith(b":\n\n")


async def test_llama_has_timings_in_its_last_chunk() -> None:
    *_, last, _ = await stream_of("llama", FakeAnswer("a"))
    assert "timings" in last


# ---- g4f 0.4.9.0


async def test_an_old_g4f_answers_a_known_id_without_a_completion() -> None:
    async with FakeServer("a", dialect="g4f-0.4.9.0") as server:
        _, _, body = await post(server, chat_body(stream=False, conversation_id="c"))
        assert json.loads(body) == {"conversation_id": "c"}
        _, _, body = await post(server, chat_body(stream=False))
        assert json.loads(body)["choices"][0]["message"]["content"] == "a"
        assert "conversation" not in json.loads(body)


async def test_an_old_g4f_sends_its_headers_at_once() -> None:
    async with FakeServer(FakeAnswer("a", delay=30), dialect="g4f-0.4.9.0") as server:
        reader, writer = await send_raw(server)
        assert await asyncio.wait_for(reader.readline(), 1) == b"HTTP/1.1 200 OK\r\n"
        writer.close()


async def test_a_script_may_make_up_the_handle() -> None:
    async with FakeServer(FakeAnswer("a", conversation={"my": "own"})) as server:
        _, _, body = await post(server)
        *_, last, _ = events_of(body)
        assert last["conversation"] == {"my": "own"}


async def test_a_whole_g4f_completion_carries_handle_and_usage() -> None:
    async with FakeServer(FakeAnswer("a", tool_calls=[FakeToolCall("f")])) as server:
        _, _, body = await post(server, chat_body(stream=False))
    whole = json.loads(body)
    assert whole["conversation"]["conversation_id"]
    assert whole["usage"]["completion_tokens_details"]["accepted_prediction_tokens"] is None
    assert whole["choices"][0]["message"]["audio"] is None
    assert whole["choices"][0]["message"]["tool_calls"][0]["index"] == 0
