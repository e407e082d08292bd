"""What the values of a script must be. No I/O.

A script is often a file written by hand: a wrong value is told by its name, with what it
must be, before the first request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .json_text import is_json

__all__ = [
    "Rule",
    "Rules",
    "check",
    "check_seconds",
    "check_values",
    "is_count",
    "is_flag",
    "is_text",
    "is_texts",
]

Rule: TypeAlias = tuple[Callable[[Any], bool], str]
"""What a value must fit, and how a message says that."""
Rules: TypeAlias = Mapping[str, Rule]

# RFC 9110 section 5.1: a field name is a token.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Control characters but the tab, which aiohttp does not write, and surrogates, which have no bytes.
_NOT_IN_A_LINE = re.compile("[\0-\x08\x0a-\x1f\x7f\ud800-\udfff]")


def check(owner: object, rules: Rules) -> None:
    """Raises ValueError for the first attribute of ``owner`` that does not fit its rule."""
    check_values({name: getattr(owner, name) for name in rules}, rules)


def check_values(values: Mapping[str, Any], rules: Rules) -> None:
    """Raises ValueError for the first of these values that does not fit the rule of its name."""
    for name, value in values.items():
        fits, wanted = rules[name]
        if not fits(value):
            raise ValueError(f"{name}={value!r}: must be {wanted}")


def check_seconds(name: str, value: Any, *, zero: bool = True) -> None:
    """A time that sleeps for ever or not at all by mistake is found here, not in a hung test."""
    if not is_number(value) or value < 0 or (value == 0 and not zero):
        least = "from 0 on" if zero else "above 0"
        raise ValueError(f"{name}={value!r}: must be a number {least}")


def is_number(value: Any) -> bool:
    """A finite int or float; True and False are not numbers here."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


def is_text(value: object) -> bool:
    """A str."""
    return isinstance(value, str)


def is_texts(value: object) -> bool:
    """A str, or a list of them."""
    if isinstance(value, str):
        return True
    return isinstance(value, list | tuple) and all(map(is_text, value))


def is_flag(value: object) -> bool:
    """True or False."""
    return isinstance(value, bool)


def is_count(value: object) -> bool:
    """A whole number from 1 on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_object(value: object) -> bool:
    """A mapping with texts as its keys, and JSON as its values."""
    return isinstance(value, Mapping) and all(map(is_text, value)) and is_json(dict(value))


def is_headers(value: object) -> bool:
    """A mapping of header names to texts that fit on one line."""
    return isinstance(value, Mapping) and all(
        isinstance(name, str)
        and _TOKEN.fullmatch(name)
        and isinstance(text, str)
        and not _NOT_IN_A_LINE.search(text)
        for name, text in value.items()
    )


def optional(rule: Rule) -> Rule:
    """The same, or None."""
    fits, wanted = rule
    return (lambda value: value is None or fits(value), f"None or {wanted}")


TEXT: Rule = (is_text, "a text")
TEXTS: Rule = (is_texts, "a text or a list of texts")
FLAG: Rule = (is_flag, "True or False")
COUNT: Rule = (is_count, "a whole number from 1 on")
WHOLE: Rule = (lambda value: type(value) is int, "a whole number")
OBJECT: Rule = (is_object, "an object of JSON")
NAMES: Rule = (
    lambda value: isinstance(value, list | tuple) and is_texts(value),
    "a list of texts",
)
HEADERS: Rule = (is_headers, "an object of header names and texts of one line each")
