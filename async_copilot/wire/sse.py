"""The event stream: bytes in, ``ServerSentEvent`` out. No I/O.

WHATWG HTML, 9.2.5 "Parsing an event stream" and 9.2.6 "Interpreting an event stream"
(https://html.spec.whatwg.org/multipage/server-sent-events.html), rule by rule: line
ends are CR, LF and CRLF and nothing else; one leading BOM is dropped; a field's value
loses one leading space; ``id`` with a NUL is ignored; ``retry`` takes ASCII digits
only; an event without a ``data`` field is not dispatched; an event without its blank
line at the end of the body is discarded. However the bytes are cut into blocks, the
same events come out, in time linear in the bytes.

Lines stay bytes until an event is complete: UTF-8 never has CR or LF inside a
character, so decoding line by line gives what decoding the whole stream gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import EventTooLargeError, Hint
from .text import BOM

__all__ = ["MAX_EVENT_BYTES", "Bytes", "SSEDecoder", "ServerSentEvent"]

Bytes: TypeAlias = bytes | bytearray
"""A bytearray is a large event, which grew in place and is handed on without a copy."""

# Eight times the largest event measured on a real server (an inline image, 1.2 MB); and what
# no event can exceed without holding the loop for half a second, or taking 256 MiB.
MAX_EVENT_BYTES = 10 * 2**20

_LARGE = 64 * 1024  # bytes; below it a copy costs less than care does


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One dispatched event.

    event: its type, "message" where the stream names none.
    data:  the data lines, joined with "\\n".
    id:    the last event id the stream has set so far, "" for none.
    retry: milliseconds, where a ``retry`` field stood among the event's own lines.
    """

    event: str
    data: str
    id: str = ""
    retry: int | None = None


class SSEDecoder:
    """An incremental, bounded decoder of one event stream.

    max_event_bytes: bound of the bytes held for one event, its data lines and the line
        being read. More raises EventTooLargeError.
    error_field: read the line ``error: X``, which llama.cpp's server has been known to
        send and the specification ignores, as ``event: error`` with X for its data.
    is_whole: for gateways that end an event by a single line end. Called with the first
        data line when a second one begins another JSON object or is ``[DONE]``; True makes
        two events of them. The specification, and None, the default, make one.

    last_event_id: what a client that reconnects sends as ``Last-Event-ID``, "" for none.
    retry: milliseconds to wait before reconnecting, as the stream has last set it; None
        for never. Both are set by blocks without data too, which dispatch no event
        (9.2.6: the id at the blank line, the time at once).
    """

    __slots__ = (
        "_after_cr",
        "_data",
        "_error_field",
        "_event",
        "_failed",
        "_held",
        "_id",
        "_id_changed",
        "_is_whole",
        "_may_be_lone",
        "_retry",
        "_start",
        "_tail",
        "last_event_id",
        "max_event_bytes",
        "retry",
    )

    def __init__(
        self,
        *,
        max_event_bytes: int = MAX_EVENT_BYTES,
        error_field: bool = False,
        is_whole: Callable[[Bytes], bool] | None = None,
    ) -> None:
        self.max_event_bytes = max_event_bytes
        self._error_field = error_field
        self._is_whole = is_whole
        self._may_be_lone = is_whole is not None
        self._start = True  # a BOM may still come
        self._after_cr = False  # the last block ended in CR: an LF belongs to it
        self._tail = bytearray()  # the unfinished line; grows in place, in linear time
        self._data = bytearray()  # the data buffer: each value with the LF that ends it
        self._held = 0  # bytes of the lines that the data came in
        self._failed = False
        self._event: Bytes = b""
        self._id: Bytes = b""
        self._id_changed = False
        self._retry: int | None = None
        self.last_event_id = ""
        self.retry: int | None = None

    def feed(self, block: bytes) -> list[ServerSentEvent]:
        """Take the next bytes of the body, return the events they complete.

        Raises EventTooLargeError; the events of this call that were complete before the
        large one are in its ``events``. After that every call raises another.
        """
        return self.interpret(self.take_lines(block))

    def flush(self) -> list[ServerSentEvent]:
        """Return the unfinished event that the specification discards, none or one.

        For callers that would rather look at what a cut body held back. The decoder
        starts a new event after it.
        """
        return self.interpret(self._take_tail(b"\n\n"))

    @property
    def at_rest(self) -> bool:
        """True when nothing of an event, not even of a line, has been read."""
        under_way = self._tail or self._data or self._event or self._after_cr
        return not (under_way or self._start or self._failed)

    @property
    def between_events(self) -> bool:
        """True when no field of an event has been read: the next line begins one."""
        return not (self._data or self._event)

    @property
    def is_idle(self) -> bool:
        """True when nothing is held that the next line could make an event of."""
        return self.between_events and (not self._tail or self._tail.startswith(b":"))

    # The two stages of feed(). The chat layer calls them one by one, to hand orjson bytes
    # that were never made into str.

    def take_lines(self, block: bytes) -> Bytes:
        """Return the whole lines that block completes, each ended by one LF."""
        if self._failed:
            raise self._too_large([])
        if self._start:
            block = self._without_bom(block)
        if self._after_cr and block:
            self._after_cr = False
            block = block.removeprefix(b"\n")
        if b"\r" in block:
            self._after_cr = block.endswith(b"\r")
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        cut = block.rfind(b"\n") + 1
        if not cut:
            self._tail += block
            return b""
        lines = self._take_tail(block[:cut])
        self._tail += block[cut:]
        return lines

    def interpret(self, lines: Bytes) -> list[ServerSentEvent]:
        """Process whole LF-ended lines by 9.2.6, return the events dispatched."""
        events: list[ServerSentEvent] = []
        split = lines.split(b"\n")
        del lines  # one copy of a large event fewer
        split.pop()
        split.reverse()
        while split:
            line = split.pop()
            if not line:
                self._dispatch(events)
                continue
            if self._held + len(line) > self.max_event_bytes:
                raise self._too_large(events)
            if not line.startswith(b":"):
                self._process(line, events)
        tail = 0 if self._start else len(self._tail)
        if tail and self._held + tail > self.max_event_bytes:
            raise self._too_large(events)
        return events

    def _process(self, line: Bytes, events: list[ServerSentEvent]) -> None:
        field, value = line, line[:0]
        colon = line.find(b":")
        if colon >= 0:
            field = line[:colon]
            value = line[colon + 2 if line.startswith(b" ", colon + 1) else colon + 1 :]
        if field == b"error" and self._error_field:
            self._event = field
            field = b"data"
        if field == b"data":
            if self._data and self._may_be_lone:
                self._end_lone_line(value, events)
            self._data += value
            self._data += b"\n"
            self._held += len(line) + 1
        elif field == b"event":
            self._event = value
        elif field == b"id" and b"\0" not in value:
            self._id = value
            self._id_changed = True
        elif field == b"retry" and value.isdigit() and len(value) < 640:
            # bytes.isdigit() knows ASCII digits only; int() refuses absurd lengths.
            self.retry = self._retry = int(value)

    def _end_lone_line(self, value: Bytes, events: list[ServerSentEvent]) -> None:
        """Dispatch a first data line that is an event of its own, as the next line shows."""
        # The first line alone is looked at, or the work would grow faster than the bytes.
        self._may_be_lone = False
        goes_on = value.startswith((b"{", b"[DONE]")) and self._data.startswith(b"{")
        if goes_on and self._is_whole is not None and self._is_whole(self._data):
            self._dispatch(events)

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        if self._id_changed:
            self.last_event_id = self._id.decode(errors="replace")
            self._id_changed = False
        if self._data:
            del self._data[-1:]  # the last value's LF
            events.append(
                ServerSentEvent(
                    self._event.decode(errors="replace") or "message",
                    self._data.decode(errors="replace"),
                    self.last_event_id,
                    self._retry,
                )
            )
            self._data = bytearray()
            self._held = 0
        self._may_be_lone = self._is_whole is not None
        self._event = b""
        self._retry = None

    def _take_tail(self, end: bytes) -> Bytes:
        """Return the unfinished line with its end, and hold nothing."""
        if not self._tail:
            return end
        line, self._tail = self._tail, bytearray()
        if len(line) < _LARGE:
            return b"".join((line, end))
        line += end
        return line

    def _without_bom(self, block: bytes) -> bytes:
        if self._tail:
            block = bytes(self._take_tail(block))
        if len(block) < len(BOM) and BOM.startswith(block):
            self._tail += block
            return b""
        self._start = False
        return block.removeprefix(BOM)

    def _too_large(self, events: list[ServerSentEvent]) -> EventTooLargeError:
        self._failed = True
        self._tail.clear()
        self._data.clear()
        return EventTooLargeError(
            f"an event of the stream is larger than {self.max_event_bytes:,} bytes",
            hint=Hint("if the server means it, raise {option}", "max_event_bytes"),
            limit=self.max_event_bytes,
            events=events,
        )
