"""One option's text in, its value out. No I/O."""

from __future__ import annotations

import argparse
import math
import os
import re
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["count", "field", "header", "not_empty", "path", "path_of", "seconds", "text"]

_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")

# Fields that an option of their own sets, or that hold the conversation together.
_ELSEWHERE = {
    "model": "--model NAME",
    "provider": "--provider NAME",
    "messages": "the messages on the command line",
    "conversation": "--resume FILE",
    "conversation_id": "--resume FILE",
}


def text(given: str) -> str:
    """Return an argument as the text in UTF-8 that it is, in a locale of ASCII too."""
    try:
        given.encode()
    except UnicodeEncodeError:
        try:
            return os.fsencode(given).decode()
        except UnicodeError:
            raise argparse.ArgumentTypeError("it is not text in UTF-8") from None
    return given


def not_empty(given: str) -> str:
    """Return a value that cannot be empty, as that of a variable which is not set is."""
    if not given.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return given


def path(given: str) -> Path:
    return _expanded(not_empty(given))


def path_of(variable: str | None) -> Path | None:
    """Return the path in an environment variable; an empty one counts as not set."""
    return _expanded(variable) if variable else None


def seconds(given: str) -> float | None:
    if given.lower() == "off":
        return None
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{given!r} is not seconds above 0; off: no limit")
    return value


def count(given: str) -> int:
    if not (given.isascii() and given.isdigit()):
        raise argparse.ArgumentTypeError(f"{given!r} is not a count: 0, 1, 2, ...")
    return int(given)


def header(given: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(text(given))
    if found is None:
        # Not the text itself: it may hold a secret.
        raise argparse.ArgumentTypeError("it looks like 'Name: value', on one line")
    return found[1], found[2].strip()


def field(given: str) -> tuple[str, Any]:
    """Return a request's field: its name, and its value as JSON, or as text if it is not JSON."""
    name, equals, value = text(given).partition("=")
    name = name.strip()
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{given!r} is not NAME=VALUE, such as temperature=0.2")
    import json  # noqa: PLC0415  # not for --help and --version

    if name in _ELSEWHERE:
        raise argparse.ArgumentTypeError(f"{name} is given as {_ELSEWHERE[name]}, not here")
    try:
        return name, json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        # What begins like JSON was meant to be JSON; a word is a text.
        if value.lstrip()[:1] in ("{", "[", '"'):
            raise argparse.ArgumentTypeError(f"the value of {name} is not JSON: {value}") from None
        return name, value


def _expanded(given: str) -> Path:
    try:
        return Path(given).expanduser()
    except RuntimeError:  # ~ of a user who has no home
        return Path(given)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")
