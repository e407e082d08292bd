"""An answer adds up: text in pieces, tool calls merged, verdict, and a snapshot that travels."""

from __future__ import annotations

import copy
import json
import pickle
import random
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_copilot.wire.answer import Answer, End, Timing
from async_copilot.wire.chat import ChatChunk, ToolCallDelta
from async_copilot.wire.choice import Choice, ToolCall

Delta = ToolCallDelta


def answer(*chunks: ChatChunk) -> Answer:
    whole = Answer()
    for chunk in chunks:
        whole.absorb(chunk)
    return whole


def merged(*deltas: ToolCallDelta) -> list[tuple[str | None, str, str]]:
    """Id, name and arguments of the calls that deltas, one a chunk, add up to."""
    calls = answer(*(ChatChunk(tool_calls=(delta,)) for delta in deltas)).tool_calls
    at_once = answer(ChatChunk(tool_calls=deltas)).tool_calls
    assert calls == at_once
    assert [call.index for call in calls] == list(range(len(calls)))
    made = re.compile("c[0-9a-f]{8}")  # for a call that came without one
    return [(None if made.fullmatch(c.id) else c.id, c.name, c.arguments) for c in calls]


# ------------------------------------------------------------------ text and the rest


def test_a_fresh_answer_says_nothing() -> None:
    fresh = Answer()
    assert (fresh.text, fresh.reasoning, fresh.refusal, fresh.tool_calls) == ("", "", "", [])
    assert (fresh.model, fresh.provider, fresh.id, fresh.usage) == (None,) * 4
    assert (fresh.finish_reason, fresh.end, fresh.remembered, fresh.conversation) == (None,) * 4
    assert (fresh.status, fresh.request_id, fresh.headers, fresh.skipped) == (None, None, {}, 0)
    assert fresh.timing == Timing()
    assert fresh.choices == [Choice(0, "", "", "", [], None)]
    assert fresh.message == {"role": "assistant", "content": ""}


def test_the_text_of_choice_0_is_not_absorbed_but_handed_out() -> None:
    """Reply adds a delta when its reader gets it, so that text is what was seen."""
    whole = answer(ChatChunk("a", index=0), ChatChunk("b", index=1))
    assert whole.text == ""
    assert [choice.text for choice in whole.choices] == ["", "b"]


def test_pieces_are_joined_in_order_and_asked_for_at_any_time() -> None:
    whole = Answer()
    for number in range(5):
        whole.absorb(ChatChunk(str(number), str(number), str(number), index=1))
        whole.absorb(ChatChunk(reasoning=str(number), refusal=str(number)))
        texts = "01234"[: number + 1]
        assert whole.reasoning == whole.refusal == texts
        assert whole.choices[1] == Choice(1, texts, texts, texts, [], None)


def test_pieces_without_end_take_no_object_each() -> None:
    whole = Answer()
    for number in range(5000):
        whole.absorb(ChatChunk(reasoning=str(number % 10), index=1))
        whole.absorb(ChatChunk(str(number % 10), index=1))
    one = whole._others[1]
    for text in (one.text, one.reasoning):
        assert len(text) < 5000 / 10
    assert whole.choices[1].text == whole.choices[1].reasoning == "0123456789" * 500
    whole.absorb(ChatChunk("!", index=1))
    assert whole.choices[1].text == "0123456789" * 500 + "!"


def test_choices_are_told_in_their_order() -> None:
    whole = answer(*(ChatChunk(str(index), index=index) for index in (3, 1, 2)))
    assert [choice.index for choice in whole.choices] == [0, 1, 2, 3]


def test_the_last_finish_reason_and_usage_count() -> None:
    whole = answer(
        ChatChunk(finish_reason="stop", usage={"n": 1}),
        ChatChunk(),
        ChatChunk(finish_reason="length", usage={"n": 2}),
        ChatChunk(),
    )
    assert whole.finish_reason == "length"
    assert whole.usage == {"n": 2}


def test_the_first_names_count() -> None:
    whole = answer(
        ChatChunk(model="a"), ChatChunk(model="b", provider="p", id="i"), ChatChunk(id="j")
    )
    assert (whole.model, whole.provider, whole.id) == ("a", "p", "i")


@pytest.mark.parametrize("handle", [None, {}, "text", ["list"], 5])
def test_a_conversation_is_a_full_object_the_last_one_seen(handle: Any) -> None:
    whole = answer(
        ChatChunk(raw={"conversation": {"a": 1}}),
        ChatChunk(raw={"conversation": {"a": 2}}),
        ChatChunk(raw={"conversation": handle}),
        ChatChunk(raw={}),
    )
    assert whole.conversation == {"a": 2}


# ------------------------------------------------------------------ tool calls


def test_a_call_is_told_by_its_index() -> None:
    assert merged(
        Delta(0, "a", "f"), Delta(1, "b", "g"), Delta(0, arguments="1"), Delta(1, arguments="2")
    ) == [("a", "f", "1"), ("b", "g", "2")]


def test_two_ids_with_two_names_under_one_index_are_two_calls() -> None:
    assert merged(Delta(0, "a", "f", "1"), Delta(0, "b", "f", "2"), Delta(0, arguments="3")) == [
        ("a", "f", "1"),
        ("b", "f", "23"),
    ]


def test_a_new_id_without_a_name_goes_on_with_the_call_of_its_index() -> None:
    assert merged(
        Delta(0, "a", "f"), Delta(0, "b", arguments="1"), Delta(0, "c", arguments="2")
    ) == [("a", "f", "12")]


def test_a_call_is_told_by_its_id_where_there_is_no_index() -> None:
    assert merged(
        Delta(None, "a", "f", "1"), Delta(None, "b", "g", "2"), Delta(None, "a", arguments="3")
    ) == [("a", "f", "13"), ("b", "g", "2")]


def test_a_call_without_index_and_id_goes_on_with_the_last() -> None:
    assert merged(Delta(None, "a", "f"), Delta(arguments="1"), Delta(arguments="2")) == [
        ("a", "f", "12")
    ]
    assert merged(Delta(arguments="1")) == [(None, "", "1")]


def test_a_name_after_arguments_begins_another_call() -> None:
    assert merged(
        Delta(name="f", arguments="1"), Delta(name="f", arguments="2"), Delta(name="g")
    ) == [(None, "f", "1"), (None, "f", "2"), (None, "g", "")]


def test_an_id_that_comes_late_is_taken() -> None:
    assert merged(Delta(0, None, "f"), Delta(0, "late", arguments="1")) == [("late", "f", "1")]


def test_a_name_may_be_repeated_or_cut_in_two() -> None:
    assert merged(
        Delta(0, "a", "look"), Delta(0, "a", "look", "1"), Delta(0, None, "look", "2")
    ) == [("a", "look", "12")]
    assert merged(Delta(0, "a", "get_"), Delta(0, None, "time"), Delta(0, arguments="1")) == [
        ("a", "get_time", "1")
    ]


def test_a_name_may_be_told_so_far() -> None:
    said = ("get", "get_weather")
    (call,) = answer(*(ChatChunk(tool_calls=(Delta(0, None, name),)) for name in said)).tool_calls
    assert call.name == "get_weather"


def test_the_same_head_with_far_longer_arguments_is_another_call() -> None:
    short, long = '{"a":1}', json.dumps({"a": "x" * 900})
    said = [Delta(None, None, "f", text) for text in (short, long)]
    assert [arguments for _, _, arguments in merged(*said)] == [short, long]


def test_zeros_within_usage_replace_no_count() -> None:
    said = [{"of": {"a": 1, "b": 2}}, {"of": {"a": 0, "b": 3}}]
    assert answer(*(ChatChunk(usage=usage) for usage in said)).usage == {"of": {"a": 1, "b": 3}}


def test_a_call_has_its_own_type_or_function() -> None:
    calls = answer(
        ChatChunk(tool_calls=(Delta(0, "a", "f"), Delta(1, "b", "g", type="custom")))
    ).tool_calls
    assert calls == [ToolCall(0, "a", "f", ""), ToolCall(1, "b", "g", "", "custom")]


def cut_calls(source: random.Random, calls: list[tuple[str, str]]) -> list[ToolCallDelta]:
    """Calls as a well-behaved server streams them: by index, pieces of all mixed."""
    queues = []
    for index, (name, arguments) in enumerate(calls):
        middle = source.randint(0, len(arguments))
        queues.append(
            [
                Delta(index, f"id{index}", name, ""),
                Delta(index, arguments=arguments[:middle]),
                Delta(index, arguments=arguments[middle:]),
            ]
        )
    mixed = []
    while any(queues):
        mixed.append(source.choice([queue for queue in queues if queue]).pop(0))
    return mixed


ARGUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
).map(lambda value: json.dumps({"a": value}))


@given(st.lists(st.tuples(st.text(min_size=1), ARGUMENTS | st.just("")), max_size=5), st.randoms())
@example([("f", '{"a": {"a": {"a": 1}}}')], random.Random(6))  # noqa: S311  # no secret
def test_calls_streamed_by_the_book_are_all_there(
    calls: list[tuple[str, str]], source: random.Random
) -> None:
    found = answer(*(ChatChunk(tool_calls=(d,)) for d in cut_calls(source, calls))).tool_calls
    by_id = {call.id: (call.name, call.arguments) for call in found}
    assert by_id == {f"id{index}": call for index, call in enumerate(calls)}


# ------------------------------------------------------------------ the message


def spoken(text: str, *deltas: ToolCallDelta) -> dict[str, Any]:
    whole = answer(ChatChunk(tool_calls=deltas))
    whole.pieces.append(text)
    return whole.message


def test_the_message_is_fit_for_the_next_request() -> None:
    assert spoken("Hi") == {"role": "assistant", "content": "Hi"}
    assert spoken("", Delta(0, "a", "f", "{}")) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    }
    assert spoken("Look:", Delta(0, "a", "f"))["content"] == "Look:"


# ------------------------------------------------------------------ ends, snapshots, repr


def test_only_complete_and_done_are_whole_answers() -> None:
    assert {end for end in End if end.ok} == {End.COMPLETE, End.DONE}
    assert [end.value for end in End] == [end.name.lower() for end in End]


def filled() -> Answer:
    whole = answer(
        ChatChunk(reasoning="hm", tool_calls=(Delta(0, "a", "f", "{}"),), usage={"n": 1}),
        ChatChunk("b", index=1, model="m", provider="p", id="i"),
        ChatChunk(finish_reason="stop", raw={"conversation": {"conversation_id": "secret-handle"}}),
    )
    whole.pieces.extend(("Hel", "lo"))
    whole.end = End.COMPLETE
    whole.remembered = True
    whole.headers = {"set-cookie": "secret-cookie"}
    whole.status, whole.request_id, whole.skipped = 200, "r", 2
    whole.timing.waits.append(0.5)
    return whole


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_snapshot_holds_the_results_and_no_secret(protocol: int) -> None:
    whole = filled()
    data = pickle.dumps(whole, protocol)
    assert b"secret" not in data
    loaded = pickle.loads(data)  # noqa: S301  # our own
    assert type(loaded) is Answer
    for name in (
        *("text", "reasoning", "refusal", "tool_calls", "finish_reason", "choices", "message"),
        *("model", "provider", "id", "usage", "end", "skipped", "remembered", "status"),
        *("request_id", "timing"),
    ):
        assert getattr(loaded, name) == getattr(whole, name)
    assert (loaded.conversation, loaded.headers) == (None, {})


def test_a_copy_goes_its_own_way() -> None:
    whole = filled()
    other = copy.deepcopy(whole)
    other.absorb(ChatChunk(reasoning=" more"))
    assert (whole.reasoning, other.reasoning) == ("hm", "hm more")


def test_the_repr_is_short_and_holds_no_secret() -> None:
    whole = filled()
    assert repr(whole) == "<Answer end=COMPLETE text='Hello' finish_reason='stop'>"
    whole.pieces.append("x" * 1000)
    assert len(repr(whole)) < 150
    assert repr(Answer()) == "<Answer end=None text='' finish_reason=None>"


def test_starting_over_keeps_the_timing_of_the_retries_and_nothing_else() -> None:
    whole = filled()
    whole.timing.retries, whole.timing.headers = 1, 0.5
    timing = whole.timing
    whole.begin_again()
    assert whole.timing is timing
    assert (timing.retries, timing.waits, timing.headers) == (1, [0.5], None)
    timing_aside = {**whole.__dict__, "timing": None, "_first": None}
    assert timing_aside == {**Answer().__dict__, "timing": None, "_first": None}
    assert whole.choices == Answer().choices
