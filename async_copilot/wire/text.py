"""Text from a peer in, text fit to show or to send on out. No I/O.

The one place for what a server's text can do to a terminal, a log line, an error message
or a JSON encoder. What is shown of a text is cut first and cleaned afterwards, so that the
cost is that of the excerpt and not that of the text.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

__all__ = [
    "BOM",
    "EXCERPT",
    "as_json",
    "excerpt",
    "json_start",
    "one_line",
    "readable",
    "visible",
    "without_lone_surrogates",
]

BOM = b"\xef\xbb\xbf"

EXCERPT = 300
"""Characters of a peer's text that an error quotes: a few lines of a terminal."""

_DEEP = 100  # values within one another that are shown
_TOO_DEEP = "(nested too deeply to show)"

# C0 and C1 controls but tab and newline, and the marks that reorder what is around them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

# Neither pattern looks at a character twice, whatever the page holds.
_HIDDEN = re.compile(r"(?is)<(script|style)\b(?:[^<]++|<(?!/\1))*+(?:</\1\s*+>)?")
_BLANKS = 30  # times as long as its text, so much of a page may be blanks
_TAG = re.compile(r"<[^<>]*+>")


def visible(text: str) -> str:
    """Return text with control characters made visible: ESC becomes ``\\x1b``.

    A server's text must not move the cursor, set the title or hide other text.
    """
    return _CONTROL.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """Return text on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def excerpt(data: bytes | bytearray | str, limit: int = EXCERPT) -> str:
    """Return the first characters of data, decoded, without lone surrogates."""
    if not isinstance(data, str):
        data = data[: 4 * limit].decode(errors="replace")  # a character has four bytes at most
    return without_lone_surrogates(data[:limit])


def readable(text: str, limit: int = EXCERPT) -> str:
    """Return the start of a text, or of what a person would read of HTML, on one line."""
    if "<" in text[:100]:
        import html  # noqa: PLC0415  # for an error page alone

        text = html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text)))
    return one_line(text[: _BLANKS * limit])[:limit]


def as_json(value: Any) -> str:
    """Return a str as it is, anything else as JSON; without lone surrogates."""
    if not isinstance(value, str):
        try:
            value = json.dumps(value, ensure_ascii=False)
        except RecursionError:
            return _TOO_DEEP
    return without_lone_surrogates(value)


def json_start(value: Any) -> str:
    """Return the first EXCERPT characters of as_json(value), at the cost of no more than these."""
    try:
        start = _start(value, [EXCERPT], 0)
    except RecursionError:
        return _TOO_DEEP
    return as_json(start)[:EXCERPT]


def _start(value: Any, left: list[int], depth: int) -> Any:
    """Return a value, cut; left: how many more values there may be, of a character or more."""
    left[0] -= 1
    if isinstance(value, str):
        return value[:EXCERPT]
    if depth > _DEEP:
        raise RecursionError
    if isinstance(value, dict):
        items = islice(value.items(), EXCERPT)
        return {name[:EXCERPT]: _start(one, left, depth + 1) for name, one in items if left[0] > 0}
    if isinstance(value, list):
        return [_start(one, left, depth + 1) for one in value[:EXCERPT] if left[0] > 0]
    return value


def without_lone_surrogates(text: str) -> str:
    """Join surrogate halves that meet; replace those that do not by U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
