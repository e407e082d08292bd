"""The short cuts for text deltas that say nothing new but their text. No I/O.

Nearly all of a stream is made of them. No short cut skips a rule: each proves that the
exact way (deltas) would have given the same, and otherwise hands over to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import orjson

from ..errors import MalformedDataError
from .answer import Answer
from .chat import ChatChunk, read_chunks
from .failures import read_error
from .fields import FIRST
from .sse import Bytes, SSEDecoder

__all__ = ["PlainDelta", "plain_payloads"]

# Of an event with choices, what no short cut needs to look at, and no answer keeps.
_UNSEEN = frozenset({"object", "obfuscation", "p"})

_CONTENT = re.compile(rb'"content": ?("(?:[^"\\\x00-\x1f]++|\\.)*")')
_LONGEST = 16 * 1024  # bytes; a larger event is no example of many small ones
_PROBE = "\x02probe\x03"
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
    """What the plain deltas of one stream look like: all alike but for their text.

    Of one such event, read the exact way, two forms are kept:

    - as bytes, what stands before and after the JSON string of its content. An event
      with the same bytes around one JSON string, any string, is the same event with
      another text. (learn() makes the trial with a probe, so that an odd event, with
      "content" twice say, is not taken for plain.)
    - as objects, made when the first does not do: the names of its fields, and the
      values of those that matter, for streams in which others (a time, padding, an id
      that is known already) change all along.

    size: characters of the texts returned last.
    """

    __slots__ = (
        "_after",
        "_before",
        "_between",
        "_event",
        "_fields",
        "_foot",
        "_head",
        "_usage",
        "size",
    )

    def __init__(self, before: Bytes, after: Bytes, event: dict[str, Any]) -> None:
        self._before = before
        self._after = after
        self._between = after + b"\n\ndata: " + before
        self._head = b"".join((b"data: ", before, b'"'))
        self._foot = b"".join((b'"', after, b"\n\n"))
        self._event = event  # its content is null
        self._usage: dict[str, Any] | None = None  # the same in each of them
        self._fields: tuple[list[str], Callable[[dict[str, Any]], Any], Any] | None = None
        self.size = 0

    @classmethod
    def learn(cls, payload: Bytes, *, several: bool = False) -> PlainDelta | None:
        """Return the form of an event that says nothing but its text, or None.

        payload: of an event that was read the exact way, and was no error. What it told
        besides (a model, a handle) is known, and says nothing new in another like it.
        several: as read_chunks() has it.
        """
        found = _CONTENT.search(payload) if len(payload) < _LONGEST else None
        if found is None:
            return None
        before, after = payload[: found.start(1)], payload[found.end(1) :]
        try:
            event = orjson.loads(payload)
            probe = orjson.loads(before + orjson.dumps(_PROBE) + after)
            (chunk,) = read_chunks(probe, several=several)
            (choice,) = probe["choices"]
            known = (chunk.usage, chunk.model, chunk.provider, chunk.id, probe, choice)
            nothing_else = chunk == ChatChunk(_PROBE, "", "", (), None, 0, *known)
            if not nothing_else or "message" in choice or read_error(probe) or _adds_up(chunk):
                return None
            choice["delta"]["content"] = event["choices"][0]["delta"]["content"]
            if probe != event:
                return None
            choice["delta"]["content"] = None
        except (ValueError, LookupError, TypeError, RecursionError, MalformedDataError):
            return None
        return cls(before, after, probe)

    def text_of(self, block: Bytes) -> str | None:
        """Return the text of a block that is one such event and no more, or None.

        What is between the quotes of before and after has quotes around it, and so is JSON
        only if it is one string, which cannot hold an LF or a CR.
        """
        before, after = self._head, self._foot
        if not (block.startswith(before) and block.endswith(after)):
            return None
        try:
            text = orjson.loads(block[len(before) - 1 : 1 - len(after)])
        except ValueError:
            return None
        return text if type(text) is str and text else None

    def texts_of_block(self, lines: Bytes, payloads: Sequence[Bytes]) -> list[str] | None:
        """Return the texts of a block whose payloads are such events alone, or None.

        All strings are decoded in one go. What makes that exact: no payload holds an LF;
        the strings are joined by a comma and an LF, and as a JSON string cannot hold a
        raw LF, none can swallow its neighbour; so as many values as payloads, each a
        str, means that each payload held one JSON string there.
        """
        before, after = self._before, self._after
        if not (payloads[0].startswith(before) and payloads[-1].endswith(after)):
            return None
        if lines.count(self._between) != len(payloads) - 1:
            return None
        start, stop = len(before), -len(after)
        strings = b",\n".join([payload[start:stop] for payload in payloads])
        try:
            texts: list[str] = orjson.loads(b"[%b]" % strings)
            self.size = len("".join(texts))  # raises TypeError unless all are str
        except (ValueError, TypeError):
            return None
        if len(texts) != len(payloads):
            return None
        return [text for text in texts if text] if "" in texts else texts

    def add_texts(self, payloads: Iterator[Bytes], texts: list[str]) -> Bytes | None:
        """Append the texts of such events; return the first payload that is none, or None."""
        loads, add = orjson.loads, texts.append
        names, told, values = self._fields = self._fields or self._as_objects()
        for payload in payloads:
            try:
                event = loads(payload)
                delta = event["choices"][0]["delta"]
                text = delta["content"]
                delta["content"] = None
                if type(text) is str and text and told(event) == values and list(event) == names:
                    add(text)
                    continue
            except (ValueError, LookupError, TypeError, RecursionError):
                pass
            return payload
        return None

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
        """False for an event that tells another value than this form, which says it no more.

        The last value of a field counts. One that was told outside of this form would be
        hidden by the short cut when the form comes again.
        """
        mine, its = self._event, event
        if not _agree(mine, its, _UNSEEN | FIRST | {"choices"}):
            return False
        choices = its.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                continue
            (own,) = mine["choices"]
            delta = choice.get("delta")
            if not _agree(own, choice, frozenset({"delta", "index"})):
                return False
            if isinstance(delta, dict) and not _agree(own["delta"], delta, frozenset({"content"})):
                return False
        return True

    def _as_objects(self) -> tuple[list[str], Callable[[dict[str, Any]], Any], Any]:
        event = self._event
        self._usage = read_chunks(event)[0].usage
        aside = {"choices", *_UNSEEN, *(name for name in FIRST if _is_known(name, event))}
        told = itemgetter("choices", *(name for name in event if name not in aside))
        return list(event), told, told(event)


def _agree(mine: dict[str, Any], its: dict[str, Any], aside: frozenset[str]) -> bool:
    try:
        return all(
            name in aside or mine[name] in _NOTHING or value in _NOTHING or mine[name] == value
            for name, value in its.items()
            if name in mine
        )
    except RecursionError:
        return False


def _adds_up(chunk: ChatChunk) -> bool:
    """True where hearing the same twice is more than hearing it once (lists, text in pieces)."""
    once, twice = Answer(), Answer()
    once.absorb(chunk)
    twice.absorb(chunk)
    twice.absorb(chunk)
    return once.completion != twice.completion


def _is_known(name: str, event: dict[str, Any]) -> bool:
    """True for a name of the stream that counts the first time, and has a value here."""
    if name == "created":
        return event.get(name) is not None
    return _name(event.get(name)) is not None


def _name(value: Any) -> str | None:
    return value if value and type(value) is str else None
