"""A JSON object's bytes in, a dict out: as leniently as it can be done without guessing. No I/O.

One event costs what its bytes cost. A JSON text can ask for thirty times its size in
objects (``[{},{},{},…]``), which a bound on bytes alone cannot hold; so the values of a
large event are counted before they are made.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from ..errors import Hint, MalformedDataError
from .sse import Bytes
from .text import excerpt

__all__ = ["is_heavy", "loads", "malformed", "read_object"]

# A string of any length is one value: text, an image. Below this size an event may hold what
# it likes; it takes 20 MiB at most.
_LIGHT = 512 * 1024  # bytes
# Log probabilities of 20 alternatives for a thousand tokens, in one event, make 200,000.
_VALUES = 500_000
_OBJECTS = 250_000  # an object or list takes up to 240 bytes, any other value up to 60


# What orjson refuses is read by the standard library, at a tenth of its speed; and each half
# character costs as much as a line. Such an event is text that was cut or broken on its way.
_SLOW = 2 * 2**20  # bytes


def loads(data: Bytes | str) -> Any:
    """Return what orjson reads, or None where it does not: read_object() may yet."""
    if len(data) == len("[DONE]"):
        return None  # most likely it is [DONE]; raising for it costs more than an event
    if len(data) > _LIGHT and is_heavy(data):
        return None
    try:
        return orjson.loads(data)
    except ValueError:
        return None


def is_heavy(data: Bytes | str) -> bool:
    """True for data of so many values that reading it would cost far more than its bytes.

    Each value stands behind a comma or at the start of a list or object. Those inside
    strings are counted along: text has too few of them to matter.
    """
    if len(data) <= _LIGHT:
        return False
    marks = (",", "[", "{") if isinstance(data, str) else (b",", b"[", b"{")
    commas, lists, objects = (data.count(mark) for mark in marks)  # type: ignore[arg-type]  # of its kind
    return lists + objects > _OBJECTS or commas > _VALUES


def read_object(data: Bytes | str) -> dict[str, Any]:
    """Decode one JSON object; the one object in a list (Gemini's errors) counts too.

    orjson refuses NaN, raw control characters, lone surrogates and invalid UTF-8, all
    seen on the wire; the standard library reads them, at a tenth of the speed. Lone
    surrogates stay in the strings. Raises MalformedDataError.
    """
    if is_heavy(data):
        raise malformed(data, f"of more than {_OBJECTS:,} objects or {_VALUES:,} values")
    try:
        value = orjson.loads(data)
    except ValueError as error:
        if len(data) > _SLOW:
            raise malformed(data, f"not JSON ({error})") from error
        value = _slow_loads(data)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        value = value[0]
    if not isinstance(value, dict):
        raise malformed(data, f"a JSON {type(value).__name__}, not an object")
    return value


def _slow_loads(data: Bytes | str) -> Any:
    text = data if isinstance(data, str) else data.decode(errors="replace")
    try:
        return json.loads(text.removeprefix("\ufeff"), strict=False)
    except (ValueError, RecursionError) as error:
        raise malformed(data, f"not JSON ({error})") from error


def malformed(data: Bytes | str, why: str) -> MalformedDataError:
    """Return the error for a data line, which says why and quotes its start."""
    text = excerpt(data)
    return MalformedDataError(
        f"a data line of the stream is {why}: {text[:80]!r}",
        hint=Hint("{option} skips and counts such lines", "strict=False"),
        body=text,
    )
