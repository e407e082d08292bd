"""Reasoning that a text opens with is taken out of it, however the bytes are cut and read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st
from think_reference import split_thinking

from async_copilot.wire.answer import Answer
from async_copilot.wire.think_deltas import ThinkDecoder


def body_of(pieces: list[str], index: int = 0) -> bytes:
    choices: list[dict[str, Any]] = [{"index": index, "delta": {"content": p}} for p in pieces]
    choices.append({"index": index, "delta": {}, "finish_reason": "stop"})
    return b"".join(
        b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode() for choice in choices
    )


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def by_texts(blocks: list[bytes], n: int = 1) -> tuple[str, Answer]:
    """What is handed out as text, and the answer that is kept."""
    decoder, answer, texts = ThinkDecoder(n=n), Answer(), []
    for block in blocks:
        text = decoder.text_of(block)
        texts += decoder.texts(block) if text is None else [text]
    texts += decoder.rest_of_texts(at_end=True)
    assert all(texts)
    for chunk in decoder.told:
        answer.absorb(chunk)
    return "".join(texts), answer


def by_chunks(blocks: list[bytes], n: int = 1) -> tuple[str, str, Answer]:
    """What is handed out as text and as reasoning of choice 0, and the answer."""
    decoder, answer = ThinkDecoder(n=n), Answer()
    chunks = [chunk for block in blocks for chunk in decoder.chunks(block)]
    chunks += decoder.rest_of_chunks(at_end=True)
    for chunk in [*decoder.told, *chunks]:
        answer.absorb(chunk)
    first = [chunk for chunk in chunks if chunk.index == 0]
    texts = "".join(chunk.content for chunk in first)
    return texts, "".join(chunk.reasoning for chunk in first), answer


ANSWERS = {
    "<think>I see.</think>\n\nHello": ("I see.", "Hello"),
    "\n<think>\nI see.\n</think>Hello <think>x</think>": ("I see.\n", "Hello <think>x</think>"),
    "<think></think>Hello": ("", "Hello"),
    "<think>only": ("", "<think>only"),
    "Hello <think>a</think>": ("", "Hello <think>a</think>"),
    "Hello": ("", "Hello"),
    "  <thi": ("", "  <thi"),
    "<think>a</think>": ("a", ""),
    "": ("", ""),
}


@pytest.mark.parametrize("said", ANSWERS)
@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("pieces", [list, lambda said: [said]], ids=["letters", "whole"])
def test_texts_chunks_and_the_answer_agree(said: str, size: int, pieces: Any) -> None:
    thought, text = ANSWERS[said]
    blocks = cut(body_of(pieces(said)), size)
    shown, answer = by_texts(blocks)
    assert (shown, answer.reasoning) == (text, thought)
    shown, live, answer = by_chunks(blocks)
    assert (shown, answer.reasoning) == (text, thought)
    assert live == thought or not thought  # what no tag closed was thought to be reasoning


SAID = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "think>", "</", "\n", " ", "Hello "]), max_size=8
)


@examples(100)
@given(SAID, st.integers(1, 200))
@example(["<think>", "\n", "\n", "</think>"], 1)
def test_any_cut_gives_what_the_whole_text_gives(pieces: list[str], size: int) -> None:
    thought, text = split_thinking("".join(pieces))
    blocks = cut(body_of(pieces), size)
    shown, answer = by_texts(blocks)
    assert (shown, answer.reasoning) == (text, thought)
    shown, _, answer = by_chunks(blocks)
    assert (shown, answer.reasoning) == (text, thought)


def test_reasoning_comes_as_it_is_thought() -> None:
    decoder = ThinkDecoder()
    events = body_of(["<think>", "I ", "see.", "</think>", "Hi"]).split(b"\n\n")
    live = [
        "".join(chunk.reasoning + chunk.content for chunk in decoder.chunks(event + b"\n\n"))
        for event in events[:5]
    ]
    assert live == ["", "I ", "see.", "", "Hi"]


def test_each_choice_has_reasoning_of_its_own() -> None:
    one, two = body_of(["<think>a</think>b"]), body_of(["<think>c</think>", "d"], index=1)
    both = [one + two]
    shown, answer = by_texts(both, n=2)
    assert (shown, answer.reasoning) == ("b", "a")
    assert [(choice.text, choice.reasoning) for choice in answer.choices][1] == ("d", "c")
    _, _, answer = by_chunks(both, n=2)
    assert [(choice.text, choice.reasoning) for choice in answer.choices][1] == ("d", "c")
    _, answer = by_texts([one + body_of(["<think>c"], index=1)], n=2)
    assert answer.choices[1].text == "<think>c"
