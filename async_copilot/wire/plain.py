"""The short cuts for text deltas that say nothing new but their text. No I/O.

Nearly all of a stream is made of them. No short cut skips a rule: each proves that the
exact way (events) would have given the same, and otherwise hands over to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson

from .answer import Answer
from .chat import ChatChunk, read_chunks
from .fields import FIRST
from .sse import Bytes, SSEDecoder

__all__ = ["ERRORS", "PlainDelta", "plain_payloads"]

ERRORS = frozenset({"error", "x_groq", "base_resp"})
"""Fields of an event with choices that may hold an error; see failures.read_error()."""

# Of an event with choices, what no short cut needs to look at, and no answer keeps.
_UNSEEN = frozenset({"object", "obfuscation", "p"})
_APART = _UNSEEN | FIRST | {"choices"}  # of an event, what agrees_with() compares otherwise

_TEXT = rb'"(?:[^"\\\x00-\x1f]++|\\.)*+"'  # a JSON string; what is escaped is for orjson
_STRING = rb'"[^"\\\x00-\x1f]{0,1000}+"'
_GAP = rb'"[^"]{0,1000}+"'  # the same, in a pattern; see PlainDelta._found()
_NUMBER = rb"(?:0|[1-9][0-9]{0,17})"
_CONTENT = re.compile(rb'"content": ?(%b)' % _TEXT)
# A field of _UNSEEN or FIRST, and its value.
_OPEN = re.compile(
    rb'"(id|created|model|provider|system_fingerprint|obfuscation|p)": ?(%b|%b)(?=[,}])'
    % (_STRING, _NUMBER)
)
_LONGEST = 16 * 1024  # bytes; a larger event is not an example of many small ones
_LONGEST_PATTERN = 2 * 1024  # bytes; it takes a microsecond or two a byte to compile
_CONTENT_ALONE = frozenset({"content"})
_ROLE_AND_TEXT = frozenset({"content", "role"})
_CHOICES = frozenset({"choices", "usage"})
_DELTA = frozenset({"delta"})
_DELTA_AND_INDEX = frozenset({"delta", "index"})
_NUMBERS = frozenset({int, float, bool})
_SCALARS = _NUMBERS | {str, type(None)}
_NOTHING: tuple[Any, ...] = (None, "", [], {})


def plain_payloads(decoder: SSEDecoder, lines: Bytes) -> Sequence[Bytes] | None:
    """Split lines made only of ``data: X`` and a blank line, over and over, into Xs.

    lines: what decoder.take_lines() has returned.
    None where anything else is in lines, or an event is already under way: then
    decoder.interpret() must read them. Each LF is accounted for: two an event, none in an
    X, so that an X is exactly what interpret() would have given, as bytes.
    """
    if not (lines.startswith(b"data: ") and lines.endswith(b"\n\n")):
        return None
    if not decoder.between_events or len(lines) > decoder.max_event_bytes:
        return None
    if isinstance(lines, bytearray):
        return _after_large(decoder, lines)
    payloads = lines.split(b"\n\ndata: ")
    payloads[-1] = payloads[-1][:-2]
    payloads[0] = payloads[0][6:]
    return payloads if lines.count(b"\n") == 2 * len(payloads) else None


def _after_large(decoder: SSEDecoder, lines: bytearray) -> Sequence[Bytes] | None:
    """The same where the first event is large: what is around it is cut off in place."""
    end = lines.find(b"\n")
    if not lines.startswith(b"\n\n", end):
        return None
    rest = bytes(lines[end + 2 :])
    payloads = plain_payloads(decoder, rest) if rest else []
    if payloads is None:
        return None
    del lines[end:], lines[:6]
    return [lines, *payloads]


class PlainDelta:
    """What the plain deltas of one stream look like: all alike except for their text.

    Of one such event, read the exact way, these forms are kept:

    - as bytes, what stands before and after the JSON string of its content. An event
      with the same bytes around one JSON string, any string, is the same event with
      another text.
    - as a pattern in place of these bytes, once a second example has come that differs in
      nothing but fields which say nothing new: padding, and what counts the first time (a
      time, an id). Their values are left open. So the pattern is that of a server, not of
      a stream, and is compiled once.
    - as objects, for chunks: the names of its fields, and the values that matter.

    size: characters of the texts returned last.
    """

    __slots__ = ("_after", "_before", "_fields", "_pattern", "_usage", "size")

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before = b'data: %b"' % before
        self._after = b'"%b\n\n' % after
        self._pattern: re.Pattern[bytes] | None = None
        self._usage: dict[str, Any] | None = None  # the same in each of them
        self._fields: tuple[list[str], Callable[[dict[str, Any]], Any], Any] | None = None
        self.size = 0

    @classmethod
    def learn(
        cls,
        payload: Bytes,
        event: dict[str, Any],
        chunk: ChatChunk,
        *,
        known: PlainDelta | None = None,
        thorough: bool = True,
    ) -> PlainDelta | None:
        """Return the form of an event that says nothing but its text, or None.

        payload, event, chunk: bytes that orjson read, what it read, and what was read of that
        the exact way, which was not an error. What the event told besides (a model, a
        handle) is known, and says nothing new in another like it.
        known: the form of an earlier one, which this one does not have.
        thorough: try out what lists and objects add up to, which takes longer than reading
            an event; without it such an event teaches nothing.

        The string behind the one ``"content"`` in the payload is the text: no other name can be
        read so, unless it is written with ``\\u``.
        """
        if len(payload) >= _LONGEST or not _only_text(event, chunk, thorough):
            return None
        found = _CONTENT.search(payload)
        if found is None or payload.count(b'"content"') != 1:
            return None
        before, after = bytes(payload[: found.start(1)]), bytes(payload[found.end(1) :])
        if b"\\u" in before or b"\\u" in after:
            return None
        form = cls(before, after)
        form._leave_open(known)
        return form

    @property
    def _event(self) -> dict[str, Any]:
        """The event, its content null; asked for seldom, and large to keep."""
        event: dict[str, Any] = orjson.loads(self._before[6:-1] + b"null" + self._after[1:])
        return event

    def _leave_open(self, known: PlainDelta | None) -> None:
        """Take the pattern in place of the bytes, where the known form has the same one."""
        if known is not None and len(self._before) + len(self._after) < _LONGEST_PATTERN:
            source = self.open_source()
            if source == known.open_source():
                self._pattern = _compiled(source)

    def open_source(self) -> bytes:
        """Return the source of the pattern: the bytes, with a gap for each open value."""
        parts = [b"^"]
        event = self._event
        for text in (self._before[:-1], self._after[1:]):
            at = 0
            for found in _OPEN.finditer(text):
                if self._is_open(found[1].decode(), event):
                    gap = _GAP if found[2].startswith(b'"') else _NUMBER
                    parts += re.escape(text[at : found.start(2)]), gap
                    at = found.end(2)
            parts += re.escape(text[at:]), b"(%b)" % _TEXT
        return b"".join(parts[:-1])

    def _is_open(self, name: str, event: dict[str, Any]) -> bool:
        """True for a field whose value says nothing new, and which stands where it is found."""
        around = self._before + self._after
        if b"\\" in around or around.count(b'"%b"' % name.encode()) != 1:
            return False  # a name that is written in two ways, or twice, may be another's
        return name in event and (name in _UNSEEN or _is_known(name, event))

    def text_of(self, event: bytes) -> str | None:
        """Return the text of an event, a line of data and a blank one, or None.

        What is between the quotes of before and after has quotes around it, and so is JSON
        only if it is one string, which cannot hold an LF or a CR.
        """
        if self._pattern is not None:
            found = self._found(self._pattern, event)
            if len(found) != 1:
                return None
            (literal,) = found
        elif event.startswith(self._before) and event.endswith(self._after):
            literal = event[len(self._before) - 1 : 1 - len(self._after)]
        else:
            return None
        try:
            text = orjson.loads(literal)
        except ValueError:
            return None
        return text if type(text) is str and text else None

    def texts_of(self, lines: bytes) -> list[str] | None:
        """Return the texts of a block of such events alone, or None.

        lines: whole ones, the first of which begins an event.

        All strings are decoded in one go. What makes that exact: none of them holds an LF;
        they are joined by a comma and an LF, and as a JSON string cannot hold a raw LF,
        none can swallow its neighbour; so as many values as events, each a str, means that
        each event held one JSON string there.
        """
        literals = self._literals(lines)
        if not literals:
            return None
        try:
            texts: list[str] = orjson.loads(b"[%b]" % b",\n".join(literals))
            self.size = len("".join(texts))  # raises TypeError unless all are str
        except (ValueError, TypeError):
            return None
        return texts if len(texts) == len(literals) else None

    def _literals(self, lines: bytes) -> list[bytes] | None:
        """Return what stands for the strings in a block, each without an LF, or None."""
        if self._pattern is not None:
            return self._found(self._pattern, lines)
        before, after = self._before, self._after
        if not (lines.startswith(before) and lines.endswith(after)):
            return None
        *split, _ = lines.split(b"\n")
        # Each blank line stands between what is after one string and before the next.
        if any(split[1::2]) or lines.count(after + before) != len(split) // 2 - 1:
            return None
        start, stop = len(before) - 1, 3 - len(after)
        return [line[start:stop] for line in split[::2]]

    def _found(self, pattern: re.Pattern[bytes], lines: bytes) -> list[bytes]:
        """Return what stands for the strings; nothing where lines hold anything else.

        Each LF of the lines is at the end of a match, and each match begins a line: nothing
        is left between them. And each backslash is in what was found: a string in a gap has
        none, so that the quote behind it ends it. What else JSON forbids there, control
        characters, the exact way reads all the same.
        """
        found: list[bytes] = pattern.findall(lines)
        if lines.count(b"\n") != 2 * len(found):
            return []
        escapes = lines.count(b"\\")
        return found if escapes == (escapes and b"".join(found).count(b"\\")) else []

    def chunk_of(self, event: Any) -> ChatChunk | None:
        """Return the chunk of such an event, or None."""
        names, told, values = self._fields = self._fields or self._as_objects()
        try:
            choice = event["choices"][0]
            delta = choice["delta"]
            text = delta["content"]
            if type(text) is not str or not text or list(event) != names:
                return None
            delta["content"] = None
            same = told(event) == values
            delta["content"] = text
        except (LookupError, TypeError, RecursionError):
            return None
        if not same:
            return None
        return ChatChunk(
            text,
            usage=self._usage,
            model=_name(event.get("model")),
            provider=_name(event.get("provider")),
            id=_name(event.get("id")),
            raw=event,
            choice=choice,
            plain=True,
        )

    def agrees_with(self, event: dict[str, Any]) -> bool:
        """False for an event with another value than this form has for the same field.

        The last value of a field counts. One that was told outside of this form would be
        hidden by the short cut when the form comes again.
        """
        mine, its = self._event, event
        if not _agree(mine, its, _APART):
            return False
        choices = its.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                continue
            (own,) = mine["choices"]
            if not _agree(own, choice, _DELTA_AND_INDEX):
                return False
            for said in (choice.get("delta"), choice.get("message")):
                if isinstance(said, dict) and not _agree(own["delta"], said, _CONTENT_ALONE):
                    return False
        return True

    def _as_objects(self) -> tuple[list[str], Callable[[dict[str, Any]], Any], Any]:
        event = self._event
        self._usage = read_chunks(event)[0].usage
        aside = {"choices", *_UNSEEN, *(name for name in FIRST if _is_known(name, event))}
        told = itemgetter("choices", *(name for name in event if name not in aside))
        return list(event), told, told(event)


@lru_cache(maxsize=64)
def _compiled(source: bytes) -> re.Pattern[bytes]:
    """Compile a pattern once, however many streams of a server it fits."""
    return re.compile(source, re.MULTILINE)


def _agree(mine: dict[str, Any], its: dict[str, Any], aside: frozenset[str]) -> bool:
    try:
        return all(
            name in aside or mine[name] in _NOTHING or value in _NOTHING or mine[name] == value
            for name, value in its.items()
            if name in mine
        )
    except RecursionError:  # pragma: no cover  # how deep that is depends on the Python
        return False


def _only_text(event: dict[str, Any], chunk: ChatChunk, thorough: bool) -> bool:  # noqa: FBT001  # private
    """True for an event that says its text and nothing else that counts when it comes again."""
    choice, choices = chunk.choice, event["choices"]
    delta = choice.get("delta")
    if type(delta) is not dict or "message" in choice or not ERRORS.isdisjoint(event):
        return False
    if choice.get("text") or delta.get("text"):
        return False
    if delta.get("content") != chunk.content or type(choices) is not list or len(choices) > 1:
        return False
    other = chunk.reasoning or chunk.refusal or chunk.tool_calls or chunk.finish_reason
    if other or chunk.index:
        return False
    plainly = (
        _is_told_once(event, _CHOICES)
        and _is_told_once(choice, _DELTA)
        and all(
            name in _ROLE_AND_TEXT or type(value) in _NUMBERS or value in _NOTHING
            for name, value in delta.items()
        )
    )
    return plainly or (thorough and not _adds_up(chunk))


def _is_told_once(fields: dict[str, Any], aside: frozenset[str]) -> bool:
    """True for values of which the last one counts, so that hearing them again changes nothing."""
    return all(
        type(value) in _SCALARS or name in aside or value in _NOTHING
        for name, value in fields.items()
    )


def _adds_up(chunk: ChatChunk) -> bool:
    """True if a chunk that is repeated adds something again (lists, text in pieces)."""
    once, twice = Answer(), Answer()
    once.absorb(chunk)
    twice.absorb(chunk)
    twice.absorb(chunk)
    try:
        return once.completion != twice.completion
    except RecursionError:
        return True


def _is_known(name: str, event: dict[str, Any]) -> bool:
    """True for a name of the stream that counts the first time, and has a value here."""
    if name == "created":
        return event.get(name) not in _NOTHING
    return _name(event.get(name)) is not None


def _name(value: Any) -> str | None:
    return value if value and type(value) is str else None
