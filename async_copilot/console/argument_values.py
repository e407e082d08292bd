"""One option's text in, its value out. No I/O."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["count", "field", "header", "path_of", "seconds"]

_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")

# Fields that an option of their own sets, or that hold the conversation together.
_ELSEWHERE = {
    "model": "--model NAME",
    "provider": "--provider NAME",
    "messages": "the messages on the command line",
    "conversation": "--resume FILE",
    "conversation_id": "--resume FILE",
}


def seconds(text: str) -> float | None:
    if text.lower() == "off":
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text!r} is not seconds above 0; off: no limit")
    return value


def count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a count: 0, 1, 2, ...")
    return int(text)


def header(text: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(text)
    if found is None:
        # Not the text itself: it may hold a secret.
        raise argparse.ArgumentTypeError("it looks like 'Name: value', on one line")
    return found[1], found[2].strip()


def field(text: str) -> tuple[str, Any]:
    """Return a request's field: its name, and its value as JSON, or as text if it is not JSON."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as temperature=0.2")
    name = name.strip()
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


def path_of(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")
