"""JSON as the servers write it: compact, and of anything a script may hold. No I/O."""

from __future__ import annotations

import json

import orjson

__all__ = ["is_json", "to_json"]


def to_json(value: object) -> bytes:
    """Compact JSON; a lone surrogate, which orjson refuses, goes out as its escape.

    Raises TypeError, ValueError or RecursionError for what is not JSON.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), default=dict).encode()


def is_json(value: object) -> bool:
    """Whether ``to_json`` can write it."""
    try:
        to_json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
