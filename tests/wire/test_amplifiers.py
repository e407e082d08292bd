"""One event costs what its bytes cost: in memory, and in work that grows with its size.

The bound for a byte is what the default of max_event_bytes leaves of 256 MiB. Work is
counted in calls, not in seconds, which a busy machine stretches; only what no machine does
by chance (a hundred times as long) is judged by the clock.
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from async_copilot.wire.answer import Answer
from async_copilot.wire.deltas import DeltaDecoder
from async_copilot.wire.objects import is_heavy
from async_copilot.wire.sse import MAX_EVENT_BYTES

MIB = 2**20
BYTES_A_BYTE = 256 * MIB / MAX_EVENT_BYTES
LARGE = 600 * 1024  # bytes; from 512 KiB on what an event holds is counted
SMALL = 2 * MIB  # below it an event may take what one of this size may


def read(payload: bytes) -> Answer:
    """Read one event as a reply would, in the blocks of a socket."""
    decoder, answer = DeltaDecoder(strict=False), Answer()
    body = b"data: " + payload + b"\n\n"
    for at in range(0, len(body), 65536):
        answer.pieces.extend(decoder.texts(body[at : at + 65536]))
        for chunk in decoder.told:
            answer.absorb(chunk)
        decoder.told.clear()
    for _ in (decoder.rest_of_texts(at_end=True), answer.completion, answer.tool_calls):
        pass
    return answer


def repeated(start: bytes, unit: bytes, end: bytes, size: int) -> bytes:
    return start + unit * (size // len(unit)) + end


AROUND: dict[str, tuple[bytes, bytes]] = {
    "an unknown field": (b'{"choices":[],"x":', b"}"),
    "usage": (b'{"choices":[],"usage":', b"}"),
    "a handle": (b'{"choices":[],"conversation":', b"}"),
    "an error": (b'{"error":', b"}"),
    "an error's message": (b'{"error":{"message":', b"}}"),
    "a detail": (b'{"detail":', b"}"),
    "choices": (b'{"choices":', b"}"),
    "a choice": (b'{"choices":[', b"]}"),
    "a delta": (b'{"choices":[{"delta":', b"}]}"),
    "a field of a delta": (b'{"choices":[{"delta":{"x":', b"}}]}"),
    "content": (b'{"choices":[{"delta":{"content":', b"}}]}"),
    "a message": (b'{"choices":[{"message":{"content":', b"}}]}"),
    "reasoning": (b'{"choices":[{"delta":{"reasoning_details":', b"}}]}"),
    "tool calls": (b'{"choices":[{"delta":{"tool_calls":', b"}}]}"),
    "arguments": (b'{"choices":[{"delta":{"tool_calls":[{"name":"f","arguments":', b"}]}}]}"),
    "a name": (b'{"choices":[{"delta":{"tool_calls":[{"name":', b"}]}}]}"),
    "log probabilities": (b'{"choices":[{"delta":{},"logprobs":{"content":', b"}}]}"),
    "a finish reason": (b'{"choices":[{"delta":{},"finish_reason":', b"}]}"),
    "nothing": (b"", b""),
}

VALUES: dict[str, tuple[bytes, bytes, bytes]] = {
    "objects": (b"[{}", b",{}", b"]"),
    "lists": (b"[[]", b",[]", b"]"),
    "objects of one field": (b'[{"":0}', b',{"":0}', b"]"),
    "parts": (b'[{"type":"text","text":"a"}', b',{"type":"text","text":"a"}', b"]"),
    "many fields": (b'{"a":0', b',"a":[]', b"}"),
    "named": (b'[{"name":"f"}', b',{"name":"f"}', b"]"),
    "texts": (b'["a"', b',"a"', b"]"),
    "numbers": (b"[1.5", b",1.5", b"]"),
    "a text": (b'"', b"a", b'"'),
    "a text of emoji and letters": (b'"\xf0\x9f\x98\x80', b"a", b'"'),
    "control characters": (b'"', b"\x01", b'"'),
    "escaped control characters": (b'"', b"\\u0001", b'"'),
    "half characters": (b'"', b"\\ud83d", b'"'),
    "invalid UTF-8": (b'"', b"\xff", b'"'),
    "quotes": (b'"{', b'\\"', b'"'),
    "backslashes and quotes": (b'"{\\"', b'\\\\\\"', b'"'),
    "braces": (b'"', b"{", b'"'),
    "nesting": (b"", b"[", b""),
    "markup": (b'"', b"<", b'"'),
    "what is not JSON": (b"", b"x", b""),
}


def payload(around: str, value: str, size: int) -> bytes:
    (before, after), (start, unit, end) = AROUND[around], VALUES[value]
    return before + repeated(start, unit, end, size) + after


def check_memory(data: bytes) -> None:
    tracemalloc.start()
    started = time.process_time()
    try:
        read(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < BYTES_A_BYTE * max(len(data), SMALL)
    assert time.process_time() - started < 20


# Those that took the most: of memory, of time, or both.
WORST = [
    *(("choices", "objects"), ("an unknown field", "lists"), ("usage", "objects of one field")),
    *(("tool calls", "named"), ("content", "parts"), ("content", "texts")),
    *(("an error's message", "control characters"), ("an error", "markup")),
    *(("content", "a text of emoji and letters"), ("content", "half characters")),
    *(("arguments", "quotes"), ("arguments", "backslashes and quotes"), ("a name", "a text")),
    *(("reasoning", "parts"), ("a field of a delta", "objects of one field")),
    *(("log probabilities", "objects of one field"), ("nothing", "nesting")),
]


@pytest.mark.parametrize(("around", "value"), WORST, ids=lambda name: name)
def test_an_event_takes_no_more_memory_than_its_bytes_allow(around: str, value: str) -> None:
    check_memory(payload(around, value, LARGE))


@pytest.mark.parametrize(
    ("around", "value"),
    [("content", "a text of emoji and letters")],
)
def test_the_largest_event_there_may_be_takes_less_than_256_mib(around: str, value: str) -> None:
    check_memory(payload(around, value, MAX_EVENT_BYTES - 1000))


@given(st.sampled_from(sorted(AROUND)), st.sampled_from(sorted(VALUES)))
@examples(12)
def test_no_combination_takes_more(around: str, value: str) -> None:
    check_memory(payload(around, value, LARGE // 4))


def calls_made(data: bytes) -> int:
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        read(data)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(("around", "value"), WORST, ids=lambda name: name)
def test_the_work_grows_with_the_bytes_and_no_faster(around: str, value: str) -> None:
    small, large = (calls_made(payload(around, value, size)) for size in (4_000, 16_000))
    assert large < 5 * small + 2000


def called(*arguments: str) -> list[bytes]:
    """Events, each with a piece of the arguments of one call."""
    events = []
    for piece in arguments:
        call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": piece}}
        delta = {"choices": [{"delta": {"tool_calls": [call]}}]}
        events.append(b"data: " + json.dumps(delta).encode() + b"\n\n")
    return events


LARGE_TEXT = json.dumps({"a": "x" * MIB})
PIECES: dict[str, list[str]] = {
    "small ones behind large ones": [LARGE_TEXT, *(f'{{"a":{n}}}' for n in range(1500))],
    "empty ones behind large ones": [LARGE_TEXT, *["{}"] * 1500],
    "lists without end": ["[", *["[]," * 60_000] * 30, "[]]", "[]"],
    "objects without end, in one piece": ["{}" * 100_000],
    "growing ones": [json.dumps({"a": "x" * n}) for n in range(1500)],
    "growing pieces": [json.dumps({"a": "x" * n})[:-2] for n in range(1500)],
}


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
def test_arguments_in_many_pieces_take_no_more_than_their_bytes(pieces: list[str]) -> None:
    """Quadratic work would take a hundred times as long."""
    decoder, answer = DeltaDecoder(), Answer()
    started = time.process_time()
    for event in called(*pieces):
        decoder.texts(event)
        for chunk in decoder.told:
            answer.absorb(chunk)
        decoder.told.clear()
    assert answer.tool_calls
    assert time.process_time() - started < 5


def test_an_object_of_very_many_fields_is_kept_as_it_comes() -> None:
    many = {f"k{number}": [number] for number in range(5000)}
    delta = json.dumps({"choices": [{"delta": {"content": "Hi", **many}}], "usage": many})
    answer = read(delta.encode())
    assert answer.text == "Hi"
    assert answer.message == {"role": "assistant", "content": "Hi", **many}
    assert answer.usage == many


def test_what_would_take_far_more_than_its_bytes_is_refused_at_once() -> None:
    assert is_heavy(payload("choices", "objects", MIB))
    assert is_heavy(payload("an unknown field", "numbers", 4 * MIB).decode())
    assert not is_heavy(payload("choices", "objects", MIB // 4))
    assert not is_heavy(payload("content", "a text", 4 * MIB))


@pytest.mark.parametrize(
    ("around", "unit", "most"),
    [
        ("choices", b'{"delta":{"content":"a"}}', 128),
        ("tool calls", b'{"name":"f"}', 256),
        ("content", b'"a"', 4096),
        ("reasoning", b'{"text":"a"}', 4096),
    ],
)
def test_choices_calls_and_parts_of_one_event_have_a_bound(
    around: str, unit: bytes, most: int
) -> None:
    before, after = AROUND[around]
    for count, readable in ((most, True), (most + 1, False)):
        data = before + b"[" + b",".join([unit] * count) + b"]" + after
        decoder = DeltaDecoder()
        decoder.texts(b"data: " + data + b"\n\n")
        if around == "reasoning":  # it is kept in the message, and not read as text
            assert bool(decoder.told[0].reasoning) is readable
        else:
            assert (decoder.failure is None) is readable


def test_choices_and_calls_of_one_answer_have_a_bound() -> None:
    decoder = DeltaDecoder(n=2)
    for index in range(130):
        decoder.texts(b'data: {"choices":[{"index":%d,"delta":{"content":"a"}}]}\n\n' % index)
    assert "more than 128 choices" in str(decoder.failure)
    decoder = DeltaDecoder()
    event = b'data: {"choices":[{"delta":{"tool_calls":[{"name":"f","arguments":"{}"}]}}]}\n\n'
    for _ in range(1025):
        decoder.texts(event)
    assert "more than 1,024 tool calls" in str(decoder.failure)
