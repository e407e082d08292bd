"""Values from a server in, JSON out, however deep, large or odd they are. No I/O."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["deep_nesting", "line_of"]

# Levels of a value that a line of --json keeps. Python's own reader, and others, give up
# some hundred levels on, and then the whole line is lost to them.
MAX_LEVELS = 100


@contextlib.contextmanager
def deep_nesting() -> Iterator[None]:
    """Let json and copy take the 1,024 levels that the reader of answers lets through."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 10_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def line_of(values: dict[str, Any]) -> str:
    """Return JSON on one line, in ASCII, that any reader takes.

    NaN and infinite numbers become null, since JSON has none; so does what is nested
    deeper than MAX_LEVELS. Half of a surrogate pair becomes U+FFFD.
    """
    try:
        line = json.dumps(values, allow_nan=False)
    except (ValueError, RecursionError):
        line = json.dumps(_mended(values, 0))
    if "\\ud" in line:  # a pair, or half of one
        line = json.dumps(_mended(values, 0))
    return line.replace("\x7f", "\\u007f")


def _mended(value: Any, level: int) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict | list) and level > MAX_LEVELS:
        return None
    if isinstance(value, dict):
        return {_mended(name, level): _mended(item, level + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_mended(item, level + 1) for item in value]
    return value
