"""How OpenAI says what it refuses: message, parameter, code. No I/O.

The functions that look for errors are generators of them. Each is read up to its first error
(see ``strict``), so what follows a ``yield`` may rely on what was checked before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

__all__ = ["Found", "combination", "empty", "missing", "too_long", "unsupported", "wrong_type"]

Found: TypeAlias = tuple[str, str | None, str | None]
"""The message, the parameter and the code of an error."""

_KINDS: dict[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def wrong_type(where: str, value: Any, *wanted: str, optional: bool = False) -> Iterator[Found]:
    """The error where the value is of no wanted kind; with ``optional`` it may be null."""
    kind = _KINDS[type(value)]
    fits = kind in wanted or (kind == "an integer" and "a decimal" in wanted)
    if fits or (optional and value is None):
        return
    expected = wanted[0] if len(wanted) == 1 else "one of a string or array of objects"
    told = f"expected {expected}, but got {kind} instead."
    yield f"Invalid type for '{where}': {told}", where, "invalid_type"


def missing(where: str) -> Found:
    """The error for a parameter that must be there."""
    return f"Missing required parameter: '{where}'.", where, "missing_required_parameter"


def unsupported(where: str, value: object, known: Sequence[str]) -> Found:
    """The error for a value that is not one of those that are known."""
    *first, last = (f"'{name}'" for name in known)
    told = f"Supported values are: {', '.join(first)}{',' * (len(first) > 1)} and {last}."
    return f"Invalid value: '{value}'. {told}", where, "invalid_value"


def empty(where: str) -> Found:
    """The error for an array that must have something in it."""
    told = "Expected an array with minimum length 1, but got an empty array instead."
    return f"Invalid '{where}': empty array. {told}", where, "empty_array"


def too_long(where: str, value: Sequence[Any], most: int) -> Iterator[Found]:
    """The error where an array, or a text, is longer than ``most``."""
    if len(value) <= most:
        return
    kind = "a string" if isinstance(value, str) else "an array"
    told = f"Expected {kind} with maximum length {most}, but got {kind} with length {len(value)}"
    short = kind.split()[1]
    yield (
        f"Invalid '{where}': {short} too long. {told} instead.",
        where,
        f"{short}_above_max_length",
    )


def combination(name: str, needs: str, kind: str = "") -> Found:
    """The error for a parameter that another one must allow."""
    the = "The " if kind else ""
    return f"{the}'{name}' {kind}is only allowed when {needs}.", name, None
