"""The fields of many events in, one object out: how an answer is merged from its chunks. No I/O.

Nothing that a server says is lost, known or not. What becomes of a value is told by its
kind, and by where it stands:

| value | in a delta and below it | in a choice, beside the choices |
|---|---|---|
| null, "", [], {} | says nothing | says nothing |
| text | a piece, joined to those before | the last one counts |
| text named in SCALARS (types, URLs), or ``…_id`` | the last one counts | the last one counts |
| number, true, false | the last one counts | the last one counts |
| object | merged, field by field | merged, field by field |
| objects with an ``index``, in a list | merged by their index | merged by their index |
| parts that are typed text or thought, in a list | go on with the last one | added, each once |
| other objects in a list | added, each once | added, each once |
| texts in a list | added | added, each once |
| other values in a list | added | added |
| lists of ``logprobs`` | | added |

"Each once" is told from event to event: what one event says twice was meant twice. An index
is not trusted where type, id, URL or encrypted data tell of another thing. Beside the
choices, those named in FIRST tell what the stream is: the first one counts. In a whole
message that repeats what deltas said, a text replaces the one that it goes on with, and
lists are merged by place.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from typing import Any

import orjson

from .pieces import Pieces
from .text import without_lone_surrogates

__all__ = ["FIRST", "Fields", "merged_usage"]

SCALARS = frozenset(
    {
        *("id", "type", "object", "role", "name", "format", "status", "model"),
        *("provider", "url", "mime_type", "media_type", "language", "detail", "title"),
        *("file_id", "filename", "call_id", "item_id", "tool_call_id", "signature"),
        *("thought_signature", "finish_reason", "native_finish_reason", "stop_reason"),
        *("service_tier", "system_fingerprint", "reasoning_opaque", "encrypted_content"),
        *("channel", "phase", "recipient"),
    }
)
FIRST = frozenset({"id", "object", "created", "model", "provider", "system_fingerprint"})

_PART_TEXTS = ("text", "thinking", "summary", "reasoning", "content")
# Types of parts that come in pieces without an index: Mistral's and OpenAI's text,
# LiteLLM's thinking blocks, OpenRouter's reasoning. A file_citation does not.
_IN_PIECES = re.compile(r"(?:\w+[._])?(?:text|thinking|reasoning|thought|summary)(?:[._]\w+)?")
_SEALED = re.compile("encrypted|redacted")  # types of data that is whole, and no piece

_DEEP = 12  # objects within one another; what is deeper counts as one value
_MANY = 100_000  # indexes of one list
_LONG = 4096  # items or fields that come at once; more are data, and not pieces of anything


class Fields:
    """An object in the making.

    pieces: text is joined; else the last one counts.
    """

    __slots__ = ("_depth", "_pieces", "_values")

    def __init__(self, *, pieces: bool, depth: int = 0) -> None:
        self._values: dict[str, Any] = {}
        self._pieces = pieces
        self._depth = depth

    def __bool__(self) -> bool:
        return bool(self._values)

    def get(self, name: str) -> Any:
        """Return the type, id or another scalar, as it is so far; None where there is none."""
        return self._values.get(name)

    def add(
        self,
        fields: dict[str, Any],
        *,
        skip: Collection[str] = (),
        first: Collection[str] = (),
        whole: bool = False,
    ) -> None:
        """Take in the fields of one event.

        skip: names that are dealt with elsewhere.  first: names whose first value counts.
        whole: the fields repeat what came before, and may go on with it.
        """
        values, pieces = self._values, self._pieces
        if len(fields) > _LONG:
            values |= {name: value for name, value in fields.items() if name not in skip}
            return
        for name, value in fields.items():
            if name in skip or value is None or (name in first and name in values):
                continue
            kind = type(value)
            if kind is str:
                if value and pieces and name not in SCALARS and not name.endswith("_id"):
                    self._add_piece(name, value, whole=whole)
                elif value:
                    values[name] = value if value.isascii() else without_lone_surrogates(value)
            elif kind is dict or kind is list:
                if value:
                    add = self._add_object if kind is dict else self._add_list
                    add(name, value, whole=whole)
            else:
                values[name] = value

    def _add_piece(self, name: str, text: str, *, whole: bool) -> None:
        present = self._values.get(name)
        if type(present) is not Pieces:
            self._values[name] = Pieces(text)
        elif not whole:
            present.add(text)
        elif text.startswith(str(present)):
            present.replace(text)

    def _add_object(self, name: str, value: dict[str, Any], *, whole: bool) -> None:
        if self._depth >= _DEEP:
            self._values[name] = value
            return
        present = self._values.get(name)
        if type(present) is not Fields:
            present = self._values[name] = Fields(pieces=self._pieces, depth=self._depth + 1)
        present.add(value, whole=whole)

    def _add_list(self, name: str, items: list[Any], *, whole: bool) -> None:
        if self._depth >= _DEEP:
            self._values[name] = items
            return
        present = self._values.get(name)
        if type(present) is not _Items:
            present = self._values[name] = _Items(pieces=self._pieces, depth=self._depth + 1)
        present.add(items, whole=whole)

    def add_logprobs(self, fields: dict[str, Any]) -> None:
        """Add log probabilities: lists of tokens, and each token counts."""
        for name, value in fields.items():
            if isinstance(value, list) and value:
                present = self._values.get(name)
                if type(present) is not list:
                    present = self._values[name] = []
                present += value
            elif value not in (None, "", [], {}):
                self._values[name] = value

    def plain(self) -> dict[str, Any]:
        """Return the object as it is so far, a copy."""
        return {name: _plain(value) for name, value in self._values.items()}


class _Items:
    """A list in the making."""

    __slots__ = ("_by_index", "_depth", "_items", "_pieces", "_seen")

    def __init__(self, *, pieces: bool, depth: int) -> None:
        self._items: list[Any] = []
        self._by_index: dict[int, Fields] = {}
        self._seen: set[bytes] = set()
        self._pieces = pieces
        self._depth = depth

    def add(self, items: list[Any], *, whole: bool) -> None:
        """Take in the list of one event."""
        if len(items) > _LONG:
            self._items += items
            return
        begun = len(self._items)
        new: list[bytes] = []
        for place, item in enumerate(items):
            if isinstance(item, dict):
                part = self._goes_on_with(item, place, begun, whole=whole)
                if part is not None:
                    part.add(item, whole=whole, skip=("data",) if _is_sealed(item) else ())
                elif not self._was_there(item, new):
                    self._append(item)
            elif not (whole and place < begun) and not (
                isinstance(item, str) and not self._pieces and self._was_there(item, new)
            ):
                self._items.append(item)
        self._seen.update(new)

    def _goes_on_with(
        self, item: dict[str, Any], place: int, begun: int, *, whole: bool
    ) -> Fields | None:
        """Return the object that item, at its place in a list, is a piece of, or repeats."""
        index = item.get("index")
        if type(index) is int and index in self._by_index:
            found = self._by_index[index]
            return found if _agree(found, item) else None
        if whole:
            there = self._items[place] if place < begun else None
            return there if isinstance(there, Fields) and _agree(there, item) else None
        last = self._items[-1] if self._items else None
        if place or not self._pieces or type(index) is int or not isinstance(last, Fields):
            return None  # an event does not cut a part of its own in two
        if last.get("signature") or not _agree(last, item):
            return None  # a signature closes its block
        kind = item.get("type")
        if not isinstance(kind, str) or last.get("type") != kind or not _IN_PIECES.fullmatch(kind):
            return None
        texts = [(last.get(name), item[name]) for name in _PART_TEXTS if item.get(name)]
        if texts:
            return (
                last if any(_MADE_OF.get(type(one)) is type(text) for one, text in texts) else None
            )
        return last if item.get("signature") else None

    def _append(self, item: dict[str, Any]) -> None:
        fields = Fields(pieces=self._pieces, depth=self._depth)
        fields.add(item)
        self._items.append(fields)
        index = item.get("index")
        if type(index) is int and len(self._by_index) < _MANY:
            self._by_index[index] = fields

    def _was_there(self, item: Any, new: list[bytes]) -> bool:
        """True for what an earlier event said; else its name is put into new."""
        try:
            written = orjson.dumps(item)
        except TypeError:  # nested too deeply, or half a character: it is not compared
            return False
        name = hashlib.blake2b(written, digest_size=16).digest()
        new.append(name)
        return name in self._seen

    def plain(self) -> list[Any]:
        return [_plain(item) for item in self._items]


_MADE_OF: dict[type, type] = {Pieces: str, Fields: dict, _Items: list}


def _agree(part: Fields, item: dict[str, Any]) -> bool:
    """True where neither type, id, URL nor sealed data says that the two are different things."""
    names = ("type", "id", "url")
    for name in (*names, "data") if _is_sealed(item) else names:
        present, value = part.get(name), item.get(name)
        if present is not None and value not in (None, "", _plain(present)):
            return False
    image, url = part.get("image_url"), item.get("image_url")
    return not (isinstance(image, Fields) and isinstance(url, dict)) or _agree(image, url)


def _is_sealed(item: dict[str, Any]) -> bool:
    kind = item.get("type")
    return isinstance(kind, str) and _SEALED.search(kind) is not None


def _plain(value: Any) -> Any:
    if isinstance(value, Fields | _Items):
        return value.plain()
    return without_lone_surrogates(str(value)) if isinstance(value, Pieces) else value


def merged_usage(before: dict[str, Any] | None, usage: dict[str, Any]) -> dict[str, Any]:
    """Return token counts with later ones in place of earlier ones; a zero replaces none.

    Some servers send the prompt's count first and the answer's last, or zeros at the end.
    """
    return usage if not before or len(usage) > _LONG else _counts(before, usage, 0)


def _counts(before: dict[str, Any], usage: dict[str, Any], depth: int) -> dict[str, Any]:
    counts = dict(before)
    for name, value in usage.items():
        present = counts.get(name)
        if isinstance(value, dict) and isinstance(present, dict) and depth < _DEEP:
            counts[name] = _counts(present, value, depth + 1)
        elif value or not present:
            counts[name] = value
    return counts
