"""The wire form: requests hold what they were given, answers are read tolerantly.

What servers really send is in test_dialects.py; here are the functions by themselves.
"""

from __future__ import annotations

import json
import pickle
from collections import OrderedDict
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_copilot.errors import InvalidRequestError, MalformedDataError
from async_copilot.wire.chat import ChatChunk, ToolCallDelta, read_chunks
from async_copilot.wire.failures import ServerError, read_error
from async_copilot.wire.objects import read_object
from async_copilot.wire.request import request_body, request_messages
from async_copilot.wire.text import without_lone_surrogates

HELLO = {"role": "user", "content": "Hello"}


def sent(messages: Any = "Hello", **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(
        request_body(request_messages(messages), stream=True, **fields)
    )
    return body


# ------------------------------------------------------------------ requests


@pytest.mark.parametrize(
    "messages",
    [
        "Hello",
        HELLO,
        MappingProxyType(HELLO),
        [HELLO],
        (HELLO,),
        iter([HELLO]),
        [OrderedDict(HELLO)],
    ],
    ids=["text", "message", "mapping", "list", "tuple", "iterator", "ordered"],
)
def test_text_a_message_or_messages_are_a_list_of_messages(messages: Any) -> None:
    assert request_messages(messages) == [HELLO]


def test_messages_are_copied() -> None:
    given_message = dict(HELLO)
    (message,) = request_messages([given_message])
    message["content"] = "changed"
    assert given_message == HELLO


@pytest.mark.parametrize("messages", [None, 5, b"Hello", object()])
def test_what_is_not_a_message_list_cannot_be_sent(messages: Any) -> None:
    with pytest.raises(InvalidRequestError, match=f"messages is of type {type(messages).__name__}"):
        request_messages(messages)


@pytest.mark.parametrize("message", ["Hello", None, 5, [HELLO]])
def test_what_is_not_a_message_in_a_list_cannot_be_sent(message: Any) -> None:
    with pytest.raises(InvalidRequestError, match=f"a message is of type {type(message).__name__}"):
        request_messages([HELLO, message])


def test_no_messages_are_sent_as_they_are() -> None:
    """g4f and llama-cpp-python accept an empty list; it is theirs to refuse."""
    assert sent([])["messages"] == []


def test_a_body_holds_messages_stream_and_the_fields_given() -> None:
    assert sent(model="", temperature=0.2, tools=[], n=0, echo=False) == {
        "messages": [HELLO],
        "stream": True,
        "model": "",
        "temperature": 0.2,
        "tools": [],
        "n": 0,
        "echo": False,
    }


def test_a_field_that_is_none_is_not_sent() -> None:
    assert sent(provider=None, model="m") == {"messages": [HELLO], "stream": True, "model": "m"}


def test_a_body_is_utf_8_unescaped() -> None:
    assert "Köln 🎉\u2028".encode() in request_body(request_messages("Köln 🎉\u2028"), stream=False)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_json_does_not_know_cannot_be_sent(number: float) -> None:
    with pytest.raises(InvalidRequestError, match="temperature"):
        sent(temperature=number)


@pytest.mark.parametrize(
    "inside",
    [lambda n: {"1": n}, lambda n: [1, {"a": [n]}], lambda n: (n,)],
    ids=["object", "list", "tuple"],
)
def test_such_a_number_cannot_be_sent_inside_a_field_either(inside: Callable[[float], Any]) -> None:
    """orjson writes it as null, which is another request than the caller made."""
    for number in (float("nan"), float("inf"), float("-inf")):
        with pytest.raises(InvalidRequestError):
            sent(logit_bias=inside(number))


def test_null_inside_a_field_is_sent() -> None:
    assert sent([{"role": "assistant", "content": None}])["messages"][0]["content"] is None


@pytest.mark.parametrize(
    ("text", "arrives"),
    [
        ("a\ud83d", "a\ufffd"),
        ("\ude00b", "\ufffdb"),
        ("\ud83d\ude00", "😀"),
        ("ö\ud83dö", "ö\ufffdö"),
    ],
)
def test_half_a_character_in_a_prompt_becomes_a_replacement(text: str, arrives: str) -> None:
    assert sent(text)["messages"] == [{"role": "user", "content": arrives}]


def test_integers_of_any_size_are_sent() -> None:
    assert sent(seed=2**100)["seed"] == 2**100


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", {"a": object()}, {(1, 2): 3}])
def test_what_json_cannot_carry_cannot_be_sent(value: Any) -> None:
    with pytest.raises(InvalidRequestError, match="cannot be written as JSON"):
        sent(extra=value)


def test_a_list_inside_itself_cannot_be_sent() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidRequestError):
        sent(extra=endless)


def test_nesting_beyond_orjsons_limit_is_sent_and_beyond_pythons_is_not() -> None:
    def nested(depth: int) -> Any:
        value: Any = 0
        for _ in range(depth):
            value = [value]
        return value

    assert sent(extra=nested(300))["extra"] == nested(300)
    with pytest.raises(InvalidRequestError):
        sent(extra=nested(100_000))


SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text()
JSON = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(), JSON.filter(lambda value: value is not None))
def test_any_text_and_any_field_arrive(text: str, value: Any) -> None:
    body = sent(text, extra=value)
    assert body["messages"][0]["content"] == text
    assert body["extra"] == value


# ------------------------------------------------------------------ objects


@pytest.mark.parametrize("kind", [bytes, str])
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a":1}', {"a": 1}),
        ('\ufeff{"a":1}', {"a": 1}),
        ('{"a":"\t\x00"}', {"a": "\t\x00"}),
        ('{"a":Infinity}', {"a": float("inf")}),
        ('{"a":"\\ud83d"}', {"a": "\ud83d"}),
        (' {"a":"ö"} ', {"a": "ö"}),
    ],
)
def test_an_object_is_read_leniently(kind: type, text: str, value: dict[str, Any]) -> None:
    assert read_object(text if kind is str else text.encode()) == value


def test_invalid_utf_8_is_replaced() -> None:
    assert read_object(b'{"a":"\xff"}') == {"a": "\ufffd"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"oops", "not JSON"),
        ("oops", "not JSON"),
        (b'{"a":', "not JSON"),
        (b"[1]", "a JSON list, not an object"),
        (b"null", "a JSON NoneType, not an object"),
        ("NaN", "a JSON float, not an object"),
        (b'{"a":' + b"9" * 5000 + b"," + b"x}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_anything_else_is_malformed(data: bytes | str, why: str) -> None:
    with pytest.raises(MalformedDataError, match=why) as caught:
        read_object(data)
    start = data if isinstance(data, str) else data.decode()
    assert caught.value.body == start[:300]
    assert len(str(caught.value)) < 600


# ------------------------------------------------------------------ chunks


def test_a_chunk_holds_what_its_event_says() -> None:
    event = {
        "id": "c",
        "model": "m",
        "provider": "p",
        "usage": {"total_tokens": 1},
        "choices": [
            {
                "index": 2,
                "delta": {"content": "a", "reasoning": "b", "refusal": "c"},
                "finish_reason": "stop",
            }
        ],
    }
    (chunk,) = read_chunks(event, several=True)
    assert chunk == ChatChunk(
        content="a",
        reasoning="b",
        refusal="c",
        finish_reason="stop",
        index=2,
        usage={"total_tokens": 1},
        model="m",
        provider="p",
        id="c",
        raw=event,
        choice=event["choices"][0],
    )
    assert chunk.raw is event
    assert chunk.logprobs is None
    assert read_chunks(event)[0].index == 0, "one choice is choice 0"


def test_an_event_without_choices_is_one_chunk_of_the_rest() -> None:
    without: list[dict[str, Any]] = [{}, {"choices": []}, {"choices": None}, {"choices": [None]}]
    for choices in without:
        event = {"usage": {"n": 1}, **choices}
        assert read_chunks(event) == [ChatChunk(usage={"n": 1}, raw=event)]


def test_a_chunk_is_slotted_and_shows_no_raw_object() -> None:
    (chunk,) = read_chunks({"conversation": {"conversation_id": "secret"}})
    assert "secret" not in repr(chunk)
    assert not hasattr(chunk, "__dict__")
    assert pickle.loads(pickle.dumps(chunk)) == chunk  # noqa: S301  # our own


@pytest.mark.parametrize(
    ("delta", "reasoning"),
    [
        ({"reasoning": "a"}, "a"),
        ({"reasoning_content": "a"}, "a"),
        ({"reasoning": "a", "reasoning_content": "b"}, "a"),
        ({"reasoning": "", "reasoning_content": "b"}, "b"),
        ({"reasoning": None, "reasoning_content": None}, ""),
        ({"reasoning": {"text": "a"}}, "a"),
        ({"reasoning": {"depth": 1}}, ""),
        ({"reasoning_details": [{"text": "a"}, {"summary": "b"}, {"data": "c"}, "d"]}, "ab"),
        ({"reasoning": "a", "reasoning_details": [{"text": "b"}]}, "a"),
        ({"reasoning_details": "a"}, ""),
        ({"content": [{"type": "thinking", "thinking": "a"}, {"thinking": [{"text": "b"}]}]}, "ab"),
        ({"content": [{"type": "thinking", "thinking": None}]}, ""),
    ],
)
def test_reasoning_is_found_where_servers_put_it(delta: dict[str, Any], reasoning: str) -> None:
    (chunk,) = read_chunks({"choices": [{"delta": delta}]})
    assert (chunk.reasoning, chunk.content) == (reasoning, "")


@pytest.mark.parametrize(
    ("call", "delta"),
    [
        ({}, ToolCallDelta()),
        ({"index": 1}, ToolCallDelta(1)),
        ({"index": "1", "id": 5, "type": None}, ToolCallDelta(1, "5")),
        ({"index": "x", "id": True}, ToolCallDelta()),
        ({"index": True}, ToolCallDelta()),
        ({"id": "c", "type": "function"}, ToolCallDelta(id="c", type="function")),
        ({"function": {"name": "f", "arguments": "{"}}, ToolCallDelta(name="f", arguments="{")),
        ({"function": {"name": "f", "arguments": None}}, ToolCallDelta(name="f")),
        ({"function": {"arguments": {"a": [1]}}}, ToolCallDelta(arguments='{"a": [1]}')),
        ({"function": {"arguments": 0}}, ToolCallDelta(arguments="0")),
        ({"function": None, "name": "f", "arguments": ""}, ToolCallDelta(name="f")),
        ({"function": {"arguments": {"a": "\ud83d"}}}, ToolCallDelta(arguments='{"a": "\ufffd"}')),
    ],
)
def test_a_tool_call_is_read_from_every_shape(call: dict[str, Any], delta: ToolCallDelta) -> None:
    (chunk,) = read_chunks({"choices": [{"delta": {"tool_calls": [call]}}]})
    assert chunk.tool_calls == (delta,)


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"delta": {"content": "a"}}, "a"),
        ({"delta": {"content": "a"}, "message": {"content": "b"}}, "a"),
        ({"delta": None, "message": {"content": "b"}, "text": "c"}, "b"),
        ({"message": "b", "text": "c"}, "b"),
        ({"text": "c"}, "c"),
        ({"text": None}, ""),
        ({"delta": {"content": [{"text": "a"}, "b", {"type": "image"}, 5]}}, "ab5"),
        ({"delta": {"content": {"text": "a"}}}, "a"),
    ],
)
def test_text_is_found_where_servers_put_it(choice: dict[str, Any], text: str) -> None:
    (chunk,) = read_chunks({"choices": [choice]})
    assert chunk.content == text


def test_a_call_that_is_not_in_a_list_and_the_older_kind_are_read() -> None:
    (chunk,) = read_chunks({"choices": [{"delta": {"tool_calls": {"id": "c"}}}]})
    assert chunk.tool_calls == (ToolCallDelta(id="c"),)
    (chunk,) = read_chunks({"choices": [{"delta": {"function_call": {"name": "f"}}}]})
    assert chunk.tool_calls == (ToolCallDelta(0, name="f"),)
    (chunk,) = read_chunks({"choices": [{"delta": {"function_call": "no"}}]})
    assert chunk.tool_calls == ()


@pytest.mark.parametrize("calls", [None, False, "", [], {}, [None], [{}, "f"]])
def test_what_is_not_a_tool_call_gives_none(calls: Any) -> None:
    (chunk,) = read_chunks({"choices": [{"delta": {"tool_calls": calls}}]})
    assert chunk.tool_calls in ((), (ToolCallDelta(),))


@pytest.mark.parametrize(
    ("event", "usage"),
    [
        ({"usage": {"n": 1}}, {"n": 1}),
        ({"x_groq": {"usage": {"n": 1}}}, {"n": 1}),
        ({"usage": {"n": 1}, "x_groq": {"usage": {"n": 2}}}, {"n": 1}),
        ({"usage": {}, "x_groq": {"usage": {"n": 2}}}, {"n": 2}),
        ({"usage": None, "x_groq": {"id": "r"}}, None),
        ({"usage": {}}, None),
        ({"usage": 5}, None),
        ({"x_groq": 5}, None),
    ],
)
def test_usage_is_found_where_servers_put_it(
    event: dict[str, Any], usage: dict[str, Any] | None
) -> None:
    (chunk,) = read_chunks(event)
    assert chunk.usage == usage


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({}, None),
        ({"error": None}, None),
        ({"error": False}, None),
        ({"error": ""}, None),
        ({"choices": [], "detail": "a remark"}, None),
        ({"x_groq": {"id": "r", "error": None}}, None),
        ({"x_groq": {"id": "r", "error": "m"}, "choices": []}, ServerError("m")),
        ({"error": "text"}, ServerError("text")),
        ({"error": {"message": "m", "type": "t", "code": "c"}}, ServerError("m", "t", "c")),
        ({"error": {"message": "m", "type": None, "code": None}}, ServerError("m")),
        ({"error": {"message": "m", "type": 5, "code": 429}}, ServerError("m", None, "429")),
        ({"error": {"message": "m", "code": True}}, ServerError("m")),
        ({"error": {"message": "m", "code": {}}}, ServerError("m")),
        ({"error": {"detail": "m"}}, ServerError("m")),
        ({"error": {"msg": "m"}}, ServerError("m")),
        ({"error": {"message": "", "error": "m"}}, ServerError("m")),
        ({"error": {"message": {"message": "m"}}}, ServerError("m")),
        ({"error": {}}, ServerError('{"error": {}}')),
        ({"error": 5}, ServerError("5")),
        ({"object": "error", "message": "m", "code": 400}, ServerError("m", None, "400")),
        ({"object": "error"}, ServerError('{"object": "error"}')),
        ({"detail": "Not Found"}, ServerError("Not Found")),
        (
            {"detail": [{"loc": ["body", 0], "msg": "m"}, {"loc": "x", "message": "n"}, 5, {}]},
            ServerError("body.0: m; n; 5; {}"),
        ),
        ({"error": {"message": "x" * 500}}, ServerError("x" * 300)),
        ({"error": {"message": "\ud83d"}}, ServerError("\ufffd")),
    ],
)
def test_an_error_is_found_in_every_shape(event: dict[str, Any], error: ServerError | None) -> None:
    assert read_error(event) == error


def test_an_error_nested_without_end_still_has_words() -> None:
    nested: Any = 0
    for _ in range(100_000):
        nested = [nested]
    error = read_error({"error": {"message": nested}})
    assert error is not None
    assert "nested too deeply" in error.message


def test_an_event_named_error_is_one_whatever_it_holds() -> None:
    assert read_error({"message": "m"}, named_error=True) == ServerError("m")
    assert read_error({"choices": []}, named_error=True) == ServerError('{"choices": []}')
    assert read_error({"error": {"message": "m"}}, named_error=True) == ServerError("m")


# ------------------------------------------------------------------ characters


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", ""),
        ("plain", "plain"),
        ("ö😀", "ö😀"),
        ("\ud83d\ude00", "😀"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("a\ud83db", "a\ufffdb"),
        ("\ud83d\ud83d\ude00", "\ufffd😀"),
    ],
)
def test_surrogate_halves_are_joined_or_replaced(text: str, whole: str) -> None:
    assert without_lone_surrogates(text) == whole
    whole.encode()


@given(st.text(st.characters(codec=None, categories=None) | st.sampled_from("\ud83d\ude00")))
def test_what_is_left_is_always_unicode(text: str) -> None:
    without_lone_surrogates(text).encode()


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        ({"retry_after": "12"}, 12.0),
        ({"retryDelay": "0.5s"}, 0.5),
        ({"retry_delay": {"seconds": 1, "nanos": 500_000_000}}, 1.5),
        ({"retry_delay": {"nanos": 250_000_000}}, 0.25),
        ({"retry_after_ms": 250}, 0.25),
        ({"retry_after": "soon", "retryDelay": 3}, 3.0),
        ({"retry_after": True}, None),
        ({"retry_after": -1}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_delay": {}}, None),
    ],
)
def test_how_long_to_wait_is_read_in_every_form(
    wait: dict[str, Any], seconds: float | None
) -> None:
    for fields in (wait, {"details": [7, wait]}, {"metadata": wait}):
        error = read_error({"error": {"message": "busy", **fields}})
        assert error is not None
        assert error.retry_after == seconds


def test_a_text_of_very_many_parts_is_refused() -> None:
    thinking = [{"type": "text", "text": "a"}] * 4097
    event = {"choices": [{"delta": {"content": [{"type": "thinking", "thinking": thinking}]}}]}
    with pytest.raises(MalformedDataError, match="4,097 parts; 4,096 are the most"):
        read_chunks(event)


def test_what_orjson_refuses_is_not_read_slowly_for_long() -> None:
    with pytest.raises(MalformedDataError, match="not JSON"):
        read_object(b'{"x":"' + b"\\ud83d" * 400_000 + b'"}')
