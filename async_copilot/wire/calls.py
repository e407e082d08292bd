"""Pieces of tool calls in, whole calls out: which piece belongs to which call. No I/O.

In the API reference it is simple: a call is known by its index, its id and name come first,
its arguments in pieces. Servers leave out each of these, repeat them, or number them
anew. So these rules are tried in order:

1. Once the arguments are a complete JSON object or list, nothing more belongs to them. A
   piece that comes after is a repeat, which is dropped; or it replaces ``{}``, with which
   some servers begin; or it says all of them and more; or it is another call, of the same
   function where it names none.
2. An id is looked up before an index: one id under two indexes is one call.
3. Under one index, another id with a name is another call (an id alone changes with each
   piece of some servers), and so is another name where no ids are given.
4. Arguments so far, sent anew with each piece, replace those before. They are taken for
   pieces as long as these add up to JSON.
5. Without index and id, or under an index that is new and nothing else, a piece goes on
   with the last call, unless it names a function and that one has its arguments. Calls in
   one list that nothing else tells apart are told by their places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .arguments import Arguments
from .chat import ToolCallDelta
from .fields import Fields
from .pieces import Pieces

__all__ = ["Call", "Calls"]

_KNOWN = frozenset(
    {
        *("index", "id", "type", "function", "custom", "function_call", "name"),
        *("arguments", "input", "parameters"),
    }
)


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
        self.arguments = Arguments()
        self.form = "function"
        self.rest = Fields(pieces=True)
        self.function_rest = Fields(pieces=True)

    @property
    def name(self) -> str:
        return str(self._name)

    @property
    def extra_content(self) -> dict[str, Any] | None:
        """What else the server wants back with the call."""
        found = self.rest.get("extra_content")
        return found.plain() if isinstance(found, Fields) else None

    def is_named(self, name: str) -> bool:
        return len(name) == self._name_size and name == self.name

    def add(self, delta: ToolCallDelta) -> None:
        self.id = self.id or delta.id
        self.type = self.type or delta.type
        if delta.name:
            self._add_name(delta.name)
        if delta.arguments:
            if self.type == "custom":
                self.arguments.append(delta.arguments)  # free text: no JSON in it ends
            else:
                self.arguments.add(delta.arguments)
        self.add_rest(delta.raw)

    def add_rest(self, raw: dict[str, Any]) -> None:
        """Keep what a piece has besides, and the form of the call."""
        for form in ("custom", "function_call"):
            if form in raw:
                self.form = form
        function = raw.get("function") or raw.get("custom")
        if isinstance(function, dict):
            self.function_rest.add(function, skip=_KNOWN)
        if not _KNOWN.issuperset(raw):
            self.rest.add(raw, skip=_KNOWN)

    def message(self, id_: str, *, cut: bool) -> dict[str, Any]:
        """Return the call in the wire's form, to be sent back.

        cut: by a limit; then missing arguments are not those of a call without any.
        """
        name = "input" if self.form == "custom" else "arguments"
        arguments = str(self.arguments) or ("" if cut or self.form == "custom" else "{}")
        function = {"name": self.name, name: arguments, **self.function_rest.plain()}
        type_ = self.type or "function"
        return {"id": id_, "type": type_, self.form: function, **self.rest.plain()}

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
            return not (same_id and key == self.key) and not self._says_so_again(delta)
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

    def is_repeated_by(self, delta: ToolCallDelta) -> bool:
        """True for a call of a whole message that pieces have told before, at the same place."""
        if not self.is_named(delta.name or ""):
            return False
        return not (self.id and delta.id) or self.arguments.is_repeated_by(delta.arguments)

    def _says_so_again(self, delta: ToolCallDelta) -> bool:
        if not self.is_named(delta.name or ""):
            return False
        if not delta.arguments or self.arguments.is_repeated_by(delta.arguments):
            return True
        return self.arguments.is_placeholder


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
                call = self._begin(key)
            if key is not None:
                self._by_key[key] = call
            if delta.id:
                self._by_id[delta.id] = call
            call.add(delta)
            for arguments in call.arguments.take_others():
                other = ToolCallDelta(name=call.name, type=call.type, arguments=arguments)
                self._begin(None).add(other)

    def _begin(self, key: int | None) -> Call:
        call = Call()
        call.key = key
        self._all.append(call)
        return call

    def _are_placed(self, deltas: Sequence[ToolCallDelta]) -> bool:
        """True for a list of calls that only their places in it tell apart."""
        if len(deltas) < 2 or any(delta.id for delta in deltas):
            return False
        if len({delta.index for delta in deltas}) > 1:
            return False
        unplaced = deltas[0].index is None
        return all(
            delta.name or (unplaced and place in self._by_key) for place, delta in enumerate(deltas)
        )

    def repeat(self, deltas: Sequence[ToolCallDelta]) -> None:
        """Add the calls of a whole message; some or all of them are known."""
        for place, delta in enumerate(deltas):
            call = self._by_id.get(delta.id or "")
            if call is None and place < len(self._all):
                there = self._all[place]
                if there.is_repeated_by(delta):
                    call = there
            if call is None:
                self.add((delta,))
                continue
            call.add_rest(delta.raw)
            if not call.arguments.complete and delta.arguments:
                call.arguments.replace(delta.arguments)

    def _find(self, delta: ToolCallDelta, key: int | None) -> Call | None:
        call = self._by_id.get(delta.id) if delta.id else None
        if call is None and key is not None:
            call = self._by_key.get(key)
        if call is None and self._all:
            last = self._all[-1]
            if key is None:
                call = last if not delta.id or (last.id is None and not delta.name) else None
            elif not (delta.id or delta.name or last.arguments.complete):
                call = last
        return None if call is None or call.is_another(delta, key) else call
