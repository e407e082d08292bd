"""What ``<think>`` in a whole text means, in one expression: the slow reference."""

from __future__ import annotations

import re

__all__ = ["split_thinking"]

_WHOLE = re.compile(r"\s*<think>\n*(.*?)</think>[\r\n]*(.*)", re.DOTALL)


def split_thinking(text: str) -> tuple[str, str]:
    """The reasoning and the text of a whole answer."""
    found = _WHOLE.fullmatch(text)
    return (found[1], found[2]) if found else ("", text)
