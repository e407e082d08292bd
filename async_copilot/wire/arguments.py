"""The arguments of one tool call, in pieces, in; the whole of them out. No I/O.

Arguments are a JSON object as a rule. What servers make of its pieces: all of it in each
piece, so far; ``{}`` before the first one; the whole of it once more at the end; several
objects, of several calls, one behind the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from typing import Any

import orjson

from .objects import is_heavy
from .pieces import Pieces

__all__ = ["Arguments"]

_PLACEHOLDERS = ("{}", "[]", "null", "{ }")
_BLANKS = re.compile(r"\s*")
_BLANK = 4  # times as long as without blanks, so long is JSON with them
_MANY = 256  # objects one behind the other: as many as an event may have calls
_DEEP = 12  # objects within one another, to compare


class _End:
    """Tells where a JSON object or list that comes in pieces is complete, in linear time."""

    __slots__ = ("_carry", "_depth", "_in_string", "complete", "opened")

    def __init__(self) -> None:
        self._carry = ""  # a backslash at the end of the last piece, its escape to come
        self._depth = 0
        self._in_string = False
        self.opened = False
        self.complete = False

    def add(self, piece: str) -> None:
        if not self.opened:
            start = piece.lstrip()
            if not start or start[0] not in "{[":
                return
            self.opened = True
        piece = self._carry + piece
        self._carry = "\\" if (len(piece) - len(piece.rstrip("\\"))) % 2 else ""
        # Without escapes each quote begins or ends a string.
        bare = piece.removesuffix(self._carry).replace("\\\\", "").replace('\\"', "")
        parts = bare.split('"')
        outside = "".join(parts[self._in_string :: 2])
        self._in_string ^= not len(parts) % 2
        opening = outside.count("{") + outside.count("[")
        self._depth += opening - outside.count("}") - outside.count("]")
        self.complete = self._depth <= 0 and not self._in_string


class Arguments:
    """The arguments of one call.

    size: characters so far.
    """

    __slots__ = (
        "_behind",
        "_end",
        "_normal",
        "_others",
        "_pieces",
        "_so_far",
        "_taken",
        "repeated",
        "size",
    )

    def __init__(self, text: str = "") -> None:
        self._pieces = Pieces(text)
        self.size = len(text)
        self._end = _End()
        self._end.add(text)
        # What they are if each piece repeats the ones before.
        self._so_far: Arguments | None = None
        self.repeated = 0
        self._behind: Arguments | None = None  # what comes behind complete ones
        self._others: list[str] = []
        self._taken: set[bytes] = set()
        self._normal: bytes | None = None  # of the whole, once it was asked for

    @property
    def opened(self) -> bool:
        """True for a JSON object or list that has begun."""
        return self._end.opened

    @property
    def complete(self) -> bool:
        return self._end.complete or (self._so_far is not None and self._so_far.complete)

    @property
    def is_placeholder(self) -> bool:
        """True for what some servers send before the arguments."""
        return self.size <= 4 and str(self._pieces).strip() in _PLACEHOLDERS

    def add(self, piece: str) -> None:
        if self.is_placeholder and piece.lstrip()[:1] in ("{", "["):
            self.replace(piece)
        elif self._end.complete:
            self._add_behind(piece)
            return
        else:
            if self._so_far is not None:
                self._so_far.go_on(piece)
            elif self.opened and len(piece) > self.size and piece.startswith(str(self._pieces)):
                self._so_far = Arguments(piece)
            self.append(piece)
        if self._end.complete:
            self._split()

    def take_others(self) -> list[str]:
        """Return the arguments of other calls that came behind these, each once."""
        others, self._others = self._others, []
        return others

    def _split(self) -> None:
        """Leave the first object alone, where several came without anything between them."""
        text = str(self._pieces)
        if is_heavy(text) or _is_json(text):
            return
        first, *others = _objects(text) or [text]
        if others and first.strip() in _PLACEHOLDERS:
            first, *others = others
        if others or first != text:
            self.replace(first)
            for other in others:
                self._take(other)

    def _add_behind(self, piece: str) -> None:
        """Take a piece that comes behind complete arguments: it is not of them."""
        if self._behind is None:
            if piece.lstrip()[:1] not in ("{", "["):
                return
            self._behind = Arguments()
        self._behind.add(piece)
        if self._behind.complete:
            text, others = str(self._behind), self._behind.take_others()
            self._behind = None
            if len(text) * _BLANK >= self.size and _goes_on(str(self), text):
                self.replace(text)
                text = ""
            for other in (text, *others):
                self._take(other)

    def _take(self, text: str) -> None:
        """Keep the arguments of another call, unless they only repeat what came before."""
        if text.strip() in ("", *_PLACEHOLDERS) or is_heavy(text) or not _is_json(text):
            return
        if self._normal is None:
            self._normal = _normal(str(self))
        self._taken.add(self._normal)
        normal = _normal(text)
        if normal not in self._taken and len(self._taken) < _MANY:
            self._taken.add(normal)
            self._others.append(text)

    def go_on(self, piece: str) -> None:
        """Take a piece that is thought to repeat what came before."""
        if len(piece) >= self.size and piece.startswith(str(self._pieces)):
            self.repeated += 1
            self.replace(piece)
        elif not self._end.complete:
            self.append(piece)

    def append(self, piece: str) -> None:
        self._pieces.add(piece)
        self.size += len(piece)
        self._end.add(piece)
        self._normal = None

    def replace(self, text: str) -> None:
        self._pieces.replace(text)
        self.size = len(text)
        self._end = _End()
        self._end.add(text)
        self._so_far = self._normal = None

    def is_repeated_by(self, text: str) -> bool:
        """True for the same arguments again, apart from blanks."""
        if len(text) > _BLANK * self.size + 2 or self.size > _BLANK * len(text) + 2:
            return False
        return (mine := str(self)) == text or _normal(mine) == _normal(text)

    def __str__(self) -> str:
        joined = str(self._pieces)
        if self._so_far is None or is_heavy(joined) or _is_json(joined):
            return joined
        so_far = str(self._so_far)
        return so_far if self._so_far.repeated or _is_json(so_far) else joined


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _normal(text: str) -> bytes:
    """Return a name of the JSON value, however it is written; of the text, where it is none."""
    written = text.encode(errors="replace")
    if not is_heavy(written):
        with contextlib.suppress(ValueError, TypeError):
            written = orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(written, digest_size=16).digest()


def _objects(text: str) -> list[str]:
    """Return the objects and lists of a text that holds nothing else; none for another text."""
    decoder = json.JSONDecoder(strict=False)
    found: list[str] = []
    at = _blanks_end(text, 0)
    try:
        while at < len(text):
            end = decoder.raw_decode(text, at)[1]
            if text[at] not in "{[" or len(found) >= _MANY:
                return []
            found.append(text[at:end])
            at = _blanks_end(text, end)
    except (ValueError, RecursionError):
        return []
    return found


def _blanks_end(text: str, at: int) -> int:
    return _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # no blanks match too


def _goes_on(before: str, text: str) -> bool:
    """True for arguments so far, each time made whole JSON, that say more than before."""
    if is_heavy(before) or is_heavy(text):
        return False
    try:
        one, other = orjson.loads(before), orjson.loads(text)
    except ValueError:
        return False
    return one != other and _grows(one, other, 0)


def _grows(before: Any, value: Any, depth: int) -> bool:
    if type(before) is not type(value) or depth > _DEEP:
        return False
    if isinstance(before, dict):
        return all(
            name in value and _grows(inner, value[name], depth + 1)
            for name, inner in before.items()
        )
    if isinstance(before, list):
        return len(value) >= len(before) and all(
            _grows(inner, there, depth + 1) for inner, there in zip(before, value, strict=False)
        )
    return value.startswith(before) if isinstance(before, str) else bool(before == value)
