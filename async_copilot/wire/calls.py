"""Pieces of tool calls in, whole calls out: which piece belongs to which call. No I/O.

In the API reference it is simple: a call is known by its index, its id and name come first,
its arguments in pieces. Servers leave out each of these, repeat them, or number them
anew. So these rules are tried in order:

1. Once the arguments are a complete JSON object or list, nothing more belongs to them. A
   piece that comes after is a repeat, which is dropped; or it replaces ``{}``, with which
   some servers begin; or, where it names a function, it begins another call.
2. An id is looked up before an index: one id under two indexes is one call.
3. Under one index, another id with a name is another call (an id alone changes with each
   piece of some servers), and so is another name where no ids are given.
4. Arguments so far, sent anew with each piece, replace those before. They are taken for
   pieces as long as these add up to JSON.
5. Without index and id a piece goes on with the last call, unless it names a function and
   that one has its arguments; calls in one list are told by their places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from .chat import ToolCallDelta
from .fields import Fields
from .pieces import Pieces

__all__ = ["Call", "Calls"]

_KNOWN = frozenset(
    {
        *("index", "id", "type", "function", "custom", "function_call", "name"),
        *("arguments", "input", "extra_content"),
    }
)

_PLACEHOLDERS = ("{}", "[]", "null", "{ }")


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


class _Arguments:
    """The arguments of one call."""

    __slots__ = ("_end", "_pieces", "_so_far", "repeated", "size")

    def __init__(self, text: str = "") -> None:
        self._pieces = Pieces(text)
        self.size = len(text)
        self._end = _End()
        self._end.add(text)
        self._so_far: _Arguments | None = (
            None  # what they are if each piece repeats the ones before
        )
        self.repeated = 0

    @property
    def opened(self) -> bool:
        """True for a JSON object or list that has begun."""
        return self._end.opened

    @property
    def complete(self) -> bool:
        return self._end.complete or (self._so_far is not None and self._so_far.complete)

    def add(self, piece: str) -> None:
        if self._end.complete or self.size <= 4:
            if str(self._pieces).strip() in _PLACEHOLDERS and piece.lstrip()[:1] in ("{", "["):
                self.replace(piece)
                return
            if self._end.complete:
                return
        if self._so_far is not None:
            self._so_far.go_on(piece)
        elif self.opened and len(piece) > self.size and piece.startswith(str(self._pieces)):
            self._so_far = _Arguments(piece)
        self.append(piece)

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

    def replace(self, text: str) -> None:
        self._pieces.replace(text)
        self.size = len(text)
        self._end = _End()
        self._end.add(text)
        self._so_far = None

    def is_repeated_by(self, text: str) -> bool:
        """True for the same arguments again, apart from blanks."""
        return len(text) <= 2 * self.size + 2 and _same_json(str(self), text)

    def __str__(self) -> str:
        if self._so_far is None or _is_json(joined := str(self._pieces)):
            return str(self._pieces)
        so_far = str(self._so_far)
        return so_far if self._so_far.repeated or _is_json(so_far) else joined


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _same_json(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return bool(orjson.loads(one) == orjson.loads(other))
    except (ValueError, RecursionError):
        return False


class Call:
    """A tool call in the making.

    key: the index or place under which it began.
    rest, function_rest: the unknown fields, beside and in its ``function``.
    form: "function", "custom", or "function_call" for the older kind.
    """

    __slots__ = (
        "_name",
        "_name_size",
        "arguments",
        "extra_content",
        "form",
        "function_rest",
        "id",
        "key",
        "rest",
        "type",
    )

    def __init__(self) -> None:
        self.id: str | None = None
        self.key: int | None = None
        self._name = Pieces()
        self._name_size = 0
        self.type: str | None = None
        self.arguments = _Arguments()
        self.extra_content: dict[str, Any] | None = None
        self.form = "function"
        self.rest = Fields(pieces=True)
        self.function_rest = Fields(pieces=True)

    @property
    def name(self) -> str:
        return str(self._name)

    def is_named(self, name: str) -> bool:
        return len(name) == self._name_size and name == self.name

    def add(self, delta: ToolCallDelta) -> None:
        self.id = self.id or delta.id
        self.type = self.type or delta.type
        self.extra_content = delta.extra_content or self.extra_content
        if delta.name:
            self._add_name(delta.name)
        if delta.arguments:
            if self.type == "custom":
                self.arguments.append(delta.arguments)  # free text: no JSON in it ends
            else:
                self.arguments.add(delta.arguments)
        self._add_rest(delta.raw)

    def _add_rest(self, raw: dict[str, Any]) -> None:
        for form in ("custom", "function_call"):
            if form in raw:
                self.form = form
        function = raw.get("function") or raw.get("custom")
        if isinstance(function, dict):
            self.function_rest.add(function, skip=_KNOWN)
        if len(raw) > 2:
            self.rest.add(raw, skip=_KNOWN)

    def message(self, id_: str, *, cut: bool) -> dict[str, Any]:
        """Return the call in the wire's form, to be sent back.

        cut: by a limit; then missing arguments are not those of a call without any.
        """
        name = "input" if self.form == "custom" else "arguments"
        arguments = str(self.arguments) or ("" if cut or self.form == "custom" else "{}")
        function = {"name": self.name, name: arguments, **self.function_rest.plain()}
        rest = self.rest.plain()
        if self.extra_content:
            rest["extra_content"] = self.extra_content
        return {"id": id_, "type": self.type or "function", self.form: function, **rest}

    def _add_name(self, name: str) -> None:
        """Add a name: some servers repeat it, cut it in two, or send it again as far as it goes."""
        if self.is_named(name) or (self._name_size and self.arguments.size):
            return
        if len(name) > self._name_size and name.startswith(self.name):
            self._name.replace(name)
            self._name_size = len(name)
        else:
            self._name.add(name)
            self._name_size += len(name)

    def is_another(self, delta: ToolCallDelta, key: int | None) -> bool:
        """True for a delta that begins another call, though it has this one's id or place."""
        if not delta.name:
            return False
        if delta.id and self.id and delta.id != self.id:
            return not self._is_gone_on_with(delta)
        same_id = delta.id is not None and delta.id == self.id
        if self.arguments.complete:
            return not (same_id and key == self.key) and not self._is_repeated_by(delta)
        if same_id:
            return key != self.key and self._has_another_name(delta.name)
        if not self._has_another_name(delta.name):
            # Without a place to tell them apart, what is not a JSON object ends with its piece.
            return key is None and self.arguments.size > 0 and not self.arguments.opened
        if self.arguments.size:
            return True
        if len(delta.name) > self._name_size and delta.name.startswith(self.name):
            return False  # the name so far
        return self.id is None or delta.type is not None

    def _has_another_name(self, name: str) -> bool:
        return self._name_size > 0 and not self.is_named(name)

    def _is_gone_on_with(self, delta: ToolCallDelta) -> bool:
        """True for the next piece of arguments, the name repeated: they are not complete."""
        arguments = self.arguments
        return (
            arguments.opened
            and not arguments.complete
            and self.is_named(delta.name or "")
            and delta.arguments.lstrip()[:1] not in ("", "{")
        )

    def _is_repeated_by(self, delta: ToolCallDelta) -> bool:
        if not self.is_named(delta.name or ""):
            return False
        if not delta.arguments or self.arguments.is_repeated_by(delta.arguments):
            return True
        return self.arguments.size <= 4 and str(self.arguments).strip() in _PLACEHOLDERS


class Calls:
    """The tool calls of one choice, in the order in which they began."""

    __slots__ = ("_all", "_by_id", "_by_key")

    def __init__(self) -> None:
        self._all: list[Call] = []
        self._by_id: dict[str, Call] = {}
        self._by_key: dict[int, Call] = {}

    def __iter__(self) -> Iterator[Call]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def add(self, deltas: Sequence[ToolCallDelta]) -> None:
        """Take in the tool calls of one event."""
        placed = self._are_placed(deltas)
        for place, delta in enumerate(deltas):
            key = place if placed else delta.index
            call = self._find(delta, key)
            if call is None:
                call = Call()
                call.key = key
                self._all.append(call)
            if key is not None:
                self._by_key[key] = call
            if delta.id:
                self._by_id[delta.id] = call
            call.add(delta)

    def _are_placed(self, deltas: Sequence[ToolCallDelta]) -> bool:
        """True for a list of calls that only their places in it tell apart."""
        return len(deltas) > 1 and all(
            delta.index is None and delta.id is None and (delta.name or place in self._by_key)
            for place, delta in enumerate(deltas)
        )

    def repeat(self, deltas: Sequence[ToolCallDelta]) -> None:
        """Add the calls of a whole message; some or all of them are known."""
        for place, delta in enumerate(deltas):
            call = self._by_id.get(delta.id or "")
            if call is None and place < len(self._all):
                there = self._all[place]
                if there.is_named(delta.name or "") and not (there.id and delta.id):
                    call = there
            if call is None:
                self.add((delta,))
            elif not call.arguments.complete and delta.arguments:
                call.arguments.replace(delta.arguments)

    def _find(self, delta: ToolCallDelta, key: int | None) -> Call | None:
        call = self._by_id.get(delta.id) if delta.id else None
        if call is None and key is not None:
            call = self._by_key.get(key)
        elif call is None and self._all:
            last = self._all[-1]
            call = last if not delta.id or (last.id is None and not delta.name) else None
        return None if call is None or call.is_another(delta, key) else call
