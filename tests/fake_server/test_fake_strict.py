"""``strict=True`` refuses what OpenAI refuses, in its words, and nothing that it takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_client import post
from hypothesis import given
from hypothesis import strategies as st

from async_copilot.fake_server import FakeServer
from async_copilot.fake_server.strict import refusal_of

OK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
CALL: dict[str, Any] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "f", "arguments": "{}"},
}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "1"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
CLOSED = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def called(*calls: Any) -> list[Any]:
    return [*OK["messages"], {"role": "assistant", "content": None, "tool_calls": [*calls]}]


def said(content: Any, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content}]}


def tool(**function: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "f"} | function}]}


def formatted(kind: str, **schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": kind, **({"json_schema": schema} if schema else {})}}


FIELDS: list[tuple[dict[str, Any], str, str | None]] = [
    ({"provider": "Copilot"}, "Unrecognized request argument supplied: provider", None),
    ({"model": ""}, "you must provide a model parameter", None),
    ({"model": 5}, "expected a string, but got an integer", "model"),
    ({"stream": "yes"}, "Invalid type for 'stream': expected a boolean, but got a str", "stream"),
    ({"stream_options": {}}, "'stream_options' parameter is only allowed when", "stream_options"),
    ({"top_logprobs": 1}, "'top_logprobs' parameter is only allowed when", "top_logprobs"),
    ({"tool_choice": "auto"}, "'tool_choice' is only allowed when 'tools' are", "tool_choice"),
    (
        {"parallel_tool_calls": False},
        "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when",
        "parallel_tool_calls",
    ),
    ({"max_tokens": 5, "max_completion_tokens": 5}, "at the same time", "max_tokens"),
    ({"max_tokens": 0}, "integer below minimum value. Expected a value >= 1", "max_tokens"),
    ({"max_tokens": 1.5}, "expected an integer, but got a decimal", "max_tokens"),
    ({"temperature": 3}, "decimal above maximum value. .* <= 2, but got 3", "temperature"),
    ({"n": 0}, "Invalid 'n': integer below minimum value. .* >= 1, but got 0", "n"),
    ({"top_p": "1"}, "Invalid type for 'top_p': expected a decimal, but got a string", "top_p"),
    ({"stop": ["a"] * 5}, "array too long. .* maximum length 4, but got .* length 5", "stop"),
    ({"stop": 5}, "Invalid type for 'stop'", "stop"),
    (formatted("json"), "Invalid value: 'json'. .*, and 'json_schema'", "response_format.type"),
    (formatted("json_object"), "must contain the word 'json'", "messages"),
    (formatted("json_schema"), "Missing required", "response_format.json_schema"),
    (formatted("json_schema", schema={}), "Missing", "response_format.json_schema.name"),
    (
        formatted("json_schema", name="a", strict=True, schema={"type": "object"}),
        r"for response_format 'a': In context=\(\), 'additionalProperties' is required",
        "response_format",
    ),
    (formatted("json_schema", name="a", strict=True), "expected an object", "response_format"),
]
MESSAGES: list[tuple[dict[str, Any], str, str | None]] = [
    ({"messages": []}, "Invalid 'messages': empty array", "messages"),
    ({"messages": ["Hi"]}, r"Invalid type for 'messages\[0\]'", "messages[0]"),
    ({"messages": [{"content": ""}]}, "Missing required parameter", "messages[0].role"),
    (said("", "bot"), "Invalid value: 'bot'", "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "expected a string, got null", "messages[0].content"),
    (said(5), "string or array of objects, but got an integer", "messages[0].content"),
    (said(["Hi"]), "expected an object", "messages[0].content[0]"),
    (said([{"type": "image"}]), "Invalid value: 'image'", "messages[0].content[0].type"),
    (said([{"type": "text"}]), "Missing", "messages[0].content[0].text"),
    ({"messages": [RESULT]}, "must be a response to a preceeding message", "messages[0].role"),
    ({"messages": [{"role": "tool", "content": "1"}]}, "Missing", "messages[0].tool_call_id"),
    ({"messages": [RESULT | {"tool_call_id": []}]}, "a string", "messages[0].tool_call_id"),
    ({"messages": called(CALL)}, "did not have response messages: call_1", "messages"),
    (
        {"messages": [*called(CALL), {"role": "user", "content": "x"}]},
        "did not have response messages: call_1",
        "messages",
    ),
    ({"messages": called()}, "empty array", "messages[1].tool_calls"),
    ({"messages": called(*[CALL] * 129)}, "array too long", "messages[1].tool_calls"),
    ({"messages": called({"type": "function"})}, "Missing", "messages[1].tool_calls[0].id"),
    ({"messages": called(CALL | {"type": "x"})}, "'x'", "messages[1].tool_calls[0].type"),
    (
        {"messages": called(CALL | {"function": {"name": "f", "arguments": {}}})},
        "expected a string, but got an object instead",
        "messages[1].tool_calls[0].function.arguments",
    ),
    (
        {"messages": called({"id": "c", "type": "custom"})},
        "Missing",
        "messages[1].tool_calls[0].custom.name",
    ),
]
TOOLS: list[tuple[dict[str, Any], str, str | None]] = [
    ({"tools": []}, "Invalid 'tools': empty array", "tools"),
    ({"tools": [TOOL] * 129}, "array too long", "tools"),
    ({"tools": [{"name": "f"}]}, "Missing required parameter", "tools[0].type"),
    ({"tools": [{"type": "retrieval"}]}, "'function' and 'custom'", "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "Missing required parameter", "tools[0].function.name"),
    (tool(name="a b"), "string does not match pattern", "tools[0].function.name"),
    (tool(name="a" * 65), "string too long", "tools[0].function.name"),
    (tool(parameters=[]), "expected an object, but got an array", "tools[0].function.parameters"),
    (
        tool(strict=True, parameters=CLOSED | {"properties": {"a": {}}}),
        "Invalid schema for function 'f': .* every key in properties. Missing 'a'",
        "tools[0].function.parameters",
    ),
    (
        tool(strict=True, parameters={"anyOf": [CLOSED, {"items": {"type": "object"}}]}),
        r"In context=\('anyOf', '1', 'items'\), 'additionalProperties'",
        "tools[0].function.parameters",
    ),
    ({"tools": [TOOL], "tool_choice": "f"}, "'none', 'auto', and 'required'", "tool_choice"),
    ({"tools": [TOOL], "tool_choice": 5}, "Invalid type for 'tool_choice'", "tool_choice"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "Tool choice 'g' not found in 'tools'",
        "tool_choice",
    ),
]
REFUSED = FIELDS + MESSAGES + TOOLS


@pytest.mark.parametrize(("fields", "message", "param"), REFUSED)
def test_strict_refuses_what_openai_refuses(
    fields: dict[str, Any], message: str, param: str | None
) -> None:
    error = refusal_of(OK | fields)
    assert error is not None
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(error["message"])


TAKEN: list[dict[str, Any]] = [
    {},
    {"temperature": 0, "n": 2, "top_p": None, "max_tokens": None, "stop": "x"},
    {"stream": True, "stream_options": {"include_usage": True}, "stop": ["a", "b"]},
    {"messages": [*called(CALL), RESULT], "tools": [TOOL], "tool_choice": "auto"},
    {"tools": [{"type": "custom", "custom": {"name": "c"}}], "tool_choice": "none"},
    {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
    tool(strict=True, parameters=CLOSED | {"properties": {"a": CLOSED}, "required": ["a"]}),
    tool(strict=True, parameters=CLOSED | {"$defs": {"a": CLOSED}, "anyOf": 5}),
    {"logprobs": True, "top_logprobs": 5},
    said([{"type": "text", "text": "Hi"}]),
    said("Write JSON") | formatted("json_object"),
    formatted("text"),
    formatted("json_schema", name="a", schema={"type": "object"}),
    formatted("json_schema", name="a", strict=True, schema=CLOSED),
    {"messages": [*OK["messages"], {"role": "assistant", "refusal": "no"}]},
]


@pytest.mark.parametrize("fields", TAKEN)
def test_strict_takes_what_openai_takes(fields: dict[str, Any]) -> None:
    assert refusal_of(OK | fields) is None


async def test_a_strict_server_answers_a_refusal_with_400() -> None:
    async with FakeServer("Hello", dialect="openai", strict=True) as server:
        status, _, body = await post(server, OK | {"n": 0})
        assert status == 400
        assert json.loads(body)["error"]["code"] == "integer_below_min_value"
        assert (await post(server, OK))[0] == 200


async def test_without_strict_all_of_it_is_answered() -> None:
    async with FakeServer("Hello", dialect="openai") as server:
        for fields, _, _ in REFUSED:
            assert (await post(server, OK | fields))[0] == 200


WORDS = ["role", "content", "type", "function", "name", "id", "tool_call_id", "strict", "schema"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner),
    max_leaves=12,
)
NAMES = ["tools", "tool_choice", "response_format", "stop", "n", "temperature", "stream"]


@given(st.lists(JSON, max_size=3), st.dictionaries(st.sampled_from(NAMES), JSON))
def test_no_body_is_too_odd_to_be_judged(messages: Any, fields: Any) -> None:
    refused = refusal_of({"model": "m", "messages": messages, **fields})
    assert refused is None or refused["message"]
