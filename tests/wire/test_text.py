"""A server's text cannot act on the terminal; what people write stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_copilot.wire.text import EXCERPT, as_json, json_start, visible


@pytest.mark.parametrize(
    "text",
    ["", "plain", "Köln 日本語 🎉 👩‍👧", "two\nlines\tand a tab", "שלום", "e\u0301", "\u2028"],
)
def test_text_is_left_alone(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb", r"a\x0db"),
        ("\x00\x08\x7f", r"\x00\x08\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202eevil", r"\u202eevil"),
        ("\u2066a\u2069", r"\u2066a\u2069"),
    ],
)
def test_controls_are_shown_in_place_of_obeyed(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_but_tab_and_line_end_acts(text: str) -> None:
    for character in visible(text):
        code = ord(character)
        assert character in "\t\n" or 0x20 <= code < 0x7F or code > 0x9F


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_the_start_of_json_is_its_start(value: object) -> None:
    assert json_start(value) == as_json(value)[:EXCERPT]


def test_the_start_of_json_costs_no_more_than_its_characters() -> None:
    assert json_start([1] * 10**6) == str([1] * 200)[:EXCERPT]
    assert json_start({"a": {"b" * 10**6: 0}, "c": ["x" * 10**6] * 9}) == '{"a": {"' + "b" * 292
    nested: object = 0
    for _ in range(10**5):
        nested = [nested]
    assert json_start(nested) == "(nested too deeply to show)"
