"""A copy of JSON shares nothing with it, however deep."""

from __future__ import annotations

import json
from typing import Any

import pytest

from async_copilot import InvalidRequestError
from async_copilot.wire.copies import copied


def test_a_copy_shares_nothing() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "a"}], "more": ({"x": [1]},)}
    copy = copied(message)
    assert json.dumps(copy) == json.dumps(message)
    message["content"][0]["text"] = "b"  # type: ignore[index]  # it is a list
    assert copy["content"][0]["text"] == "a"


def test_a_message_nested_too_deeply_is_refused() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(InvalidRequestError, match="nested too deeply"):
        copied({"content": deep})
