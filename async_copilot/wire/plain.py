"""The short cuts for text deltas that say nothing new but their text. No I/O.

Nearly all of a stream is made of them. Neither short cut skips a rule: each proves that
the exact way (deltas) would have given the same, and otherwise hands over to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import orjson

from .chat import ChatChunk, read_chunks
from .sse import Bytes

__all__ = ["PlainDelta"]

# What else an event with choices can tell at any time, and what only the first one that does.
_TOLD = ("conversation", "error", "usage", "x_groq")
_TOLD_ONCE = ("id", "model", "provider")

_CONTENT = re.compile(rb'"content": ?("(?:[^"\\\x00-\x1f]++|\\.)*")')
_LONGEST = 16 * 1024  # bytes; a larger event is no example of many small ones
_PROBE = "\x02probe\x03"


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
    """

    __slots__ = ("_after", "_before", "_between", "_fields", "_foot", "_head")

    def __init__(self, before: Bytes, after: Bytes) -> None:
        self._before = before
        self._after = after
        self._between = after + b"\n\ndata: " + before
        self._head = b"".join((b"data: ", before, b'"'))
        self._foot = b"".join((b'"', after, b"\n\n"))
        self._fields: tuple[list[str], Callable[[dict[str, Any]], Any], Any] | None = None

    @classmethod
    def learn(cls, payload: Bytes) -> PlainDelta | None:
        """Return the form of an event that says nothing but its text, or None.

        payload: of an event that was read the exact way, and was no error. What it told
        besides (a model, a handle) is known, and says nothing new in another like it.
        """
        found = _CONTENT.search(payload) if len(payload) < _LONGEST else None
        if found is None:
            return None
        before, after = payload[: found.start(1)], payload[found.end(1) :]
        try:
            event = orjson.loads(payload)
            probe = orjson.loads(before + orjson.dumps(_PROBE) + after)
            (chunk,) = read_chunks(probe)
            (choice,) = probe["choices"]
            nothing_else = chunk == ChatChunk(
                _PROBE, model=chunk.model, provider=chunk.provider, id=chunk.id, raw=probe
            )
            choice["delta"]["content"] = event["choices"][0]["delta"]["content"]
            same = probe == event
        except (ValueError, LookupError, TypeError, RecursionError):
            return None
        return cls(before, after) if nothing_else and same else None

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
            "".join(texts)  # raises TypeError unless all are str
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

    def _as_objects(self) -> tuple[list[str], Callable[[dict[str, Any]], Any], Any]:
        event: dict[str, Any] = orjson.loads(self._before + b"null" + self._after)
        unknown = [name for name in _TOLD_ONCE if not _is_name(event.get(name))]
        told = itemgetter("choices", *(name for name in (*_TOLD, *unknown) if name in event))
        return list(event), told, told(event)


def _is_name(value: Any) -> bool:
    return type(value) is str and value != ""
