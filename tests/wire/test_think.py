"""<think>...</think> is reasoning where the text shows it to be, however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from think_reference import split_thinking

from async_copilot.wire.think import ThinkSplitter

# A whole answer, and its reasoning and text.
ANSWERS = {
    "<think>I see.</think>Hello": ("I see.", "Hello"),
    "\n <think>\nI see.\n</think>\n\nHello\n": ("I see.\n", "Hello\n"),
    "<think></think>Hello": ("", "Hello"),
    "<think>\n\n</think>\n\nHello": ("", "Hello"),
    "<think>a</think>b<think>c</think>d": ("a", "b<think>c</think>d"),
    "<think>a < b </ think> c</thin</think>d": ("a < b </ think> c</thin", "d"),
    "<think>only": ("", "<think>only"),
    "<think>only</thin": ("", "<think>only</thin"),
    "  <thi": ("", "  <thi"),
    "<thinking>a</thinking>b": ("", "<thinking>a</thinking>b"),
    "Hello <think>a</think>": ("", "Hello <think>a</think>"),
    "a</think>b": ("", "a</think>b"),
    " \n\n": ("", " \n\n"),
    "": ("", ""),
    "<think>a</think>": ("a", ""),
    "<think>a</think>\n": ("a", ""),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_it_opens_the_answer_and_is_closed_in_it(answer: str) -> None:
    assert split_thinking(answer) == ANSWERS[answer]


def fed(pieces: list[str]) -> tuple[str, str]:
    splitter = ThinkSplitter()
    found: tuple[list[str], list[str]] = ([], [])
    for piece in pieces:
        for reasoning, text in splitter.feed(piece):
            assert text
            found[not reasoning].append(text)
    if rest := splitter.finish():
        # What no tag closed is text after all, all of it.
        return "", rest
    return "".join(found[0]), "".join(found[1])


SAID = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "think", ">", "</", "\n", " ", "a", "Hello"])
).map("".join)


@given(SAID, st.lists(st.integers(1, 9)))
def test_any_cut_gives_the_same(said: str, sizes: list[int]) -> None:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(said[at : at + size])
        at += size
    pieces.append(said[at:])
    assert fed(pieces) == split_thinking(said)


def test_text_that_does_not_open_so_is_passed_on_at_once() -> None:
    splitter = ThinkSplitter()
    assert splitter.feed("Hel") == [(False, "Hel")]
    assert splitter.feed("<think>") == [(False, "<think>")]
    assert splitter.feed("") == []
    assert splitter.finish() == ""


def test_reasoning_is_passed_on_while_it_comes() -> None:
    splitter = ThinkSplitter()
    assert splitter.feed("<thi") == []
    assert splitter.feed("nk>I ") == [(True, "I ")]
    assert splitter.feed("see</") == [(True, "see")]
    assert splitter.feed("think>\n") == []
    assert splitter.feed("\nSo") == [(False, "So")]
