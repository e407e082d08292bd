"""Nothing that a server says is lost: the completion that is merged from a stream.

Three ways to see it: a table of vendors' messages, each streamed as its vendor streams it,
which must come out as ``stream=False`` gives them; all dialects, whose completion read once
more is the same; and marks put into every object of every event, which must all be there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from dialects import TABLE, Row
from dialects.decoding import Decoded, decode

Message = dict[str, Any]
Event = dict[str, Any]

ROWS = [
    pytest.param(row, id=f"{family}: {row.claim}")
    for family, rows in TABLE.items()
    for row in rows
    if row.error is None and b"data: " in row.body
]


def whole(document: Event, **options: Any) -> Decoded:
    """An answer that came in one piece."""
    return decode([json.dumps(document).encode()], media_type="application/json", **options)


def streamed(*deltas: Message, **more: Any) -> Decoded:
    """An answer of these deltas; more is in the last choice."""
    choices: list[Event] = [{"index": 0, "delta": delta} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop", **more})
    return decode([b"data: " + json.dumps({"choices": [c]}).encode() + b"\n\n" for c in choices])


# ------------------------------------------------------------------ every dialect


@pytest.mark.parametrize("row", ROWS)
def test_the_completion_of_a_stream_is_that_of_a_whole_answer(row: Row) -> None:
    first = decode([row.body], n=row.n)
    if first.completion["choices"] and first.events:
        again = whole(first.completion, n=len(first.choices))
        assert again.completion == first.completion
        assert "".join(again.texts) == "".join(first.texts)
        assert without_nothing(again) == without_nothing(first)
        assert again.usage == first.usage


def without_nothing(found: Decoded) -> str:
    """The choices; a call without arguments has "{}" in a message."""
    return repr(found.choices).replace("arguments='{}'", "arguments=''")


# Fields that are looked at elsewhere; and paths where an object is data, or stands for a text.
ELSEWHERE = ("conversation", "usage", "x_groq", "error", "base_resp", "arguments", "parameters")
DATA = r"\.(content|logprobs|refusal|reasoning|finish_reason)(\.|$)"


def marked(value: Any, marks: Iterator[int], path: str = "") -> None:
    """Put a field of its own into each object of an event, but those that are data."""
    if isinstance(value, list):
        for item in value:
            marked(item, marks, path)
    elif isinstance(value, dict):
        for name, inner in list(value.items()):
            if name not in ELSEWHERE:
                marked(inner, marks, f"{path}.{name}")
        if path != ".choices" and not re.search(
            r"\.(content|logprobs|refusal|reasoning|finish_reason)(\.|$)", path
        ):
            value[f"mark{next(marks)}"] = "mark"


@pytest.mark.parametrize("row", ROWS)
def test_every_field_that_a_server_sent_is_in_the_completion(row: Row) -> None:
    marks = count()
    body = b""
    for event in re.split(rb"(?:\n|\r\n?){2}", row.body.partition(b"data: [DONE]")[0]):
        data = re.fullmatch(rb"data: ?(\{.*\})", event)
        try:
            value = json.loads(data[1]) if data else None
        except ValueError:
            value = None
        if isinstance(value, dict) and value.get("choices"):
            marked(value, marks)
            event = b"data: " + json.dumps(value).encode()  # noqa: PLW2901  # the same, marked
        body += event + b"\n\n"
    text = json.dumps(decode([body], n=row.n).completion)
    assert [n for n in range(next(marks)) if f'"mark{n}"' not in text] == []


# ------------------------------------------------------------------ every kind of value

URL = {"type": "url_citation", "url_citation": {"url": "u1"}}
OTHER_URL = {"type": "url_citation", "url_citation": {"url": "u2"}}
IMAGE, OTHER_IMAGE = (
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{n}"}, "index": 0}
    for n in "AB"
)


def details(*items: Message) -> Message:
    return {"reasoning_details": list(items)}


def block(text: str | None = None, kind: str = "text", **more: Any) -> Message:
    """A piece of an OpenRouter detail; all have index 0."""
    said = {} if text is None else {"summary" if kind == "summary" else "text": text}
    return {"type": f"reasoning.{kind}", **said, "index": 0, **more}


def thinking(text: str, **more: Any) -> Message:
    return {"thinking_blocks": [{"type": "thinking", "thinking": text, **more}]}


# What is streamed, and what comes of it in the message.
MERGED: list[tuple[str, list[Message], Message]] = [
    ("thoughts of one block, its signature without a text",
     [details(block("Let")), details(block(" me")), details(block(signature="s"))],
     details(block("Let me", signature="s"))),
    ("blocks of different types under one index",
     [details(block("a", "summary")), details(block("b", "summary")),
      details(block(kind="encrypted", data="X"))],
     details(block("ab", "summary"), block(kind="encrypted", data="X"))),
    ("encrypted blocks under one index, one of them twice",
     [details(block(kind="encrypted", data=data)) for data in "XYY"],
     details(block(kind="encrypted", data="X"), block(kind="encrypted", data="Y"))),
    ("thinking blocks, which a signature closes",
     [thinking("a"), thinking("", signature="s"), thinking("b"), thinking("", signature="t")],
     {"thinking_blocks": [{"type": "thinking", "thinking": "a", "signature": "s"},
                          {"type": "thinking", "thinking": "b", "signature": "t"}]}),
    ("citations so far in each delta",
     [{"annotations": [URL]}, {"annotations": [URL, OTHER_URL]}],
     {"annotations": [URL, OTHER_URL]}),
    ("one citation twice in one delta", [{"annotations": [URL, URL]}], {"annotations": [URL, URL]}),
    ("citations of one type, each with a text",
     [{"annotations": [{"type": "file_citation", "text": text}]} for text in ("[1]", "[2]")],
     {"annotations": [{"type": "file_citation", "text": text} for text in ("[1]", "[2]")]}),
    ("sources without a type, in one delta and in two",
     [{"sources": [{"text": "a"}, {"text": "b"}]}, {"sources": [{"text": "c"}]}],
     {"sources": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}),
    ("citations with places in the text",
     [{"citations": [{"start": n, "text": text}]} for n, text in ((0, "abc"), (4, "def"))],
     {"citations": [{"start": 0, "text": "abc"}, {"start": 4, "text": "def"}]}),
    ("images under one index, one of them twice",
     [{"images": [IMAGE]}, {"images": [OTHER_IMAGE]}, {"images": [OTHER_IMAGE]}],
     {"images": [IMAGE, OTHER_IMAGE]}),
    ("audio in pieces", [{"audio": {"id": "a", "type": "audio"}}, {"audio": {"data": "AA"}},
                         {"audio": {"data": "BB", "transcript": "Hi"}}],
     {"audio": {"id": "a", "type": "audio", "data": "AABB", "transcript": "Hi"}}),
    ("tools that the server ran, merged by their index",
     [{"executed_tools": [{"index": 0, "type": "search", "arguments": "{}", "output": None}]},
      {"executed_tools": [{"index": 0, "output": "res"}, {"index": 1, "output": "x"}]}],
     {"executed_tools": [{"index": 0, "type": "search", "arguments": "{}", "output": "res"},
                         {"index": 1, "output": "x"}]}),
    ("what a text is of is told once, a text in pieces",
     [{"channel": "final", "message_id": "m", "note": "ha"}] * 2,
     {"channel": "final", "message_id": "m", "note": "haha"}),
    ("values in lists", [{"ids": [1], "x": ["a"]}, {"ids": [1, 2], "x": ["a"]}],
     {"ids": [1, 1, 2], "x": ["a", "a"]}),
    ("truths and numbers", [{"flag": False, "n": 1}, {"flag": True, "n": 0}],
     {"flag": True, "n": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("deltas", "message"), [case[1:] for case in MERGED],
                         ids=[case[0] for case in MERGED])  # fmt: skip
def test_a_message_is_merged_from_its_deltas(deltas: list[Message], message: Message) -> None:
    (choice,) = streamed(*deltas).completion["choices"]
    assert choice["message"] == {"role": "assistant", "content": None} | message


@pytest.mark.parametrize(("_claim", "_deltas", "message"), MERGED, ids=[c[0] for c in MERGED])
def test_a_message_that_comes_whole_is_kept_as_it_is(
    _claim: str, _deltas: list[Message], message: Message
) -> None:
    given = {"role": "assistant", "content": None} | message
    document = {"choices": [{"index": 0, "message": given, "finish_reason": "stop"}]}
    assert whole(document).completion["choices"][0]["message"] == given


def test_text_and_parts_stand_in_their_order() -> None:
    image: Message = {"type": "image_url", "image_url": {"url": "u"}}
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    contents = ["a", [thought], [thought], "b", [image], ["c", {"type": "text", "text": "d"}], "e"]
    found = streamed(*({"content": content} for content in contents))
    assert found.completion["choices"][0]["message"]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "thinking", "thinking": [{"type": "text", "text": "hmhm"}]},
        {"type": "text", "text": "b"},
        image,
        {"type": "text", "text": "c"},
        {"type": "text", "text": "de"},
    ]


def test_a_text_in_a_delta_is_content_and_nothing_else() -> None:
    (choice,) = streamed({"text": "a"}, {"text": "b"}).completion["choices"]
    assert choice["message"] == {"role": "assistant", "content": "ab"}


def test_fields_beside_the_deltas_are_merged_too() -> None:
    events: list[Event] = [
        {"citations": ["u"], "search_results": [{"url": "u"}], "prompt_token_ids": [1, 1]},
        {"citations": ["u", "v"], "search_results": [{"url": "u"}, {"url": "v"}]},
        {"citations": ["u", "v"], "service_tier": "default"},
    ]
    for token, event in enumerate(events):
        event["choices"] = [{"index": 0, "delta": {"content": "a"}, "token_ids": [7]}]
        event["created"] = token
    found = decode([b"data: " + json.dumps(event).encode() + b"\n\n" for event in events])
    about = found.completion
    assert about["citations"] == ["u", "v"]
    assert about["search_results"] == [{"url": "u"}, {"url": "v"}]
    assert about["prompt_token_ids"] == [1, 1]
    assert (about["created"], about["service_tier"]) == (0, "default")
    assert about["choices"][0]["token_ids"] == [7, 7, 7]


def test_extra_content_of_a_call_is_merged_from_its_pieces() -> None:
    pieces = [
        {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a":'}},
        {"index": 0, "extra_content": {"google": {"thought_signature": "s"}}},
        {"index": 0, "function": {"arguments": "1}"}, "extra_content": {"google": {"n": 1}}},
    ]
    found = streamed(*({"tool_calls": [piece]} for piece in pieces))
    extra = {"google": {"thought_signature": "s", "n": 1}}
    (call,) = found.choices[0].tool_calls
    assert (call.arguments, call.extra_content) == ('{"a":1}', extra)
    assert found.completion["choices"][0]["message"]["tool_calls"][0]["extra_content"] == extra


def test_reasoning_that_came_empty_is_in_a_message_with_calls_alone() -> None:
    call = {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]}
    empty, null = {"reasoning_content": ""}, {"reasoning_content": None}
    message = streamed(empty, call).completion["choices"][0]["message"]
    assert message["reasoning_content"] == ""
    for deltas in ([null, call], [empty, {"content": "Hi"}]):
        message = streamed(*deltas).completion["choices"][0]["message"]
        assert "reasoning_content" not in message


def test_a_whole_message_goes_on_with_what_it_repeats() -> None:
    first: Message = {"note": "He", "list": [{"a": "x"}, 1], "other": "old"}
    again: Message = {"note": "Hello", "list": [{"a": "xy"}, 1, 2, {"b": 1}], "other": "new"}
    events: list[Event] = [
        {"choices": [{"delta": {"content": "Hi", **first}}]},
        {"object": "chat.completion", "choices": [{"message": {"content": "Hi", **again}}]},
    ]
    found = decode([b"data: " + json.dumps(event).encode() + b"\n\n" for event in events])
    message = found.completion["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "Hi", **again, "other": "old"}


@pytest.mark.parametrize("around", ['{"a":%s}', "[%s]"])
def test_what_is_nested_deeper_than_pieces_are_is_kept_as_it_comes(around: str) -> None:
    value = '{"text":"a"}'
    for _ in range(20):
        value = around % value
    found = streamed({"x": json.loads(value)}, {"content": "Hi"})
    assert found.completion["choices"][0]["message"]["x"] == json.loads(value)
