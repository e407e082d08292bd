"""common_chunk() gives what read_chunks() gives, or nothing."""

from __future__ import annotations

from typing import Any

import pytest
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st

from async_copilot.wire.chat import read_chunks
from async_copilot.wire.common import common_chunk
from async_copilot.wire.failures import choice_error, names_failure, read_error

OPENAI = {
    "id": "c-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "service_tier": "default",
    "system_fingerprint": "fp",
    "choices": [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": "Hi", "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        }
    ],
    "usage": None,
}
G4F = {
    "id": "c-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "provider": "Copilot",
    "choices": [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": "Hi", "reasoning": None, "tool_calls": None},
            "finish_reason": None,
        }
    ],
}
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}

ODD = st.sampled_from(
    [None, "", 0, 1, False, True, 0.5, [], {}, "x", "error", "stop", "null", [1], {"a": 1}]
)
DELTA_NAMES = ("role", "content", "refusal", "reasoning", "reasoning_content", "tool_calls", "text")
CHOICE_NAMES = ("index", "finish_reason", "logprobs", "message", "error", "usage", "text", "x")
EVENT_NAMES = ("id", "model", "provider", "usage", "error", "x_groq", "conversation", "detail", "p")


def some(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """A field or two; of events with many odd ones hardly any is common."""
    few = st.dictionaries(st.sampled_from(names), ODD, max_size=1)
    return few | st.dictionaries(st.sampled_from(names), ODD, max_size=4)


@pytest.mark.parametrize("event", [OPENAI, G4F, END], ids=["OpenAI's", "g4f's", "the last"])
def test_the_commonest_events_are_known(event: dict[str, Any]) -> None:
    assert [common_chunk(event)] == read_chunks(event)


@given(some(*EVENT_NAMES), some(*CHOICE_NAMES), some(*DELTA_NAMES))
@example({}, {}, {"refusal": 0})
@example({}, {}, {"reasoning": "x"})
@example({}, {}, {"content": 1})
@example({}, {"finish_reason": "error"}, {})
@example({}, {"finish_reason": "null"}, {})
@example({}, {"usage": {"a": 1}}, {})
@example({}, {"message": {"content": "x"}}, {})
@example({"x_groq": {"usage": {"a": 1}}}, {}, {})
@example({"error": "x"}, {}, {"content": "x"})
@example({"usage": [1], "id": 1}, {}, {"content": "x"})
@examples(500)
def test_a_common_event_is_read_as_any_other_and_holds_no_failure(
    event: dict[str, Any], choice: dict[str, Any], delta: dict[str, Any]
) -> None:
    event = {**event, "choices": [{**choice, "delta": delta}]}
    chunk = common_chunk(event)
    if chunk is None:
        return
    assert [chunk] == read_chunks(event)
    assert chunk.choice is event["choices"][0]
    assert read_error(event) is None
    assert choice_error(chunk.choice) is None
    assert not (chunk.finish_reason and names_failure(chunk.finish_reason))


@pytest.mark.parametrize("choices", [None, [], {}, "x", [None], [{}], [{"delta": "x"}], [{}, {}]])
def test_an_event_without_one_choice_is_not_common(choices: object) -> None:
    assert common_chunk({"choices": choices}) is None
