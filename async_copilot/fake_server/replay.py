"""A recorded answer as steps: the same bytes in the same reads at the same times. No I/O.

In: a ``Take``, and the dialect for faults laid over it. Out: an iterator of ``Step``.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Generator, Iterator

from .cassette import Take
from .envelope import Envelope
from .openai import OpenAI
from .steps import Drop, Head, Step, Until
from .striking import Mark, Striking

__all__ = ["replay"]

# The end of one event, whatever line ends the server writes.
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_DATA_LINE = re.compile(rb"^data:(.*)$", re.MULTILINE)
# Of the connection, and made anew by the one that replays.
_OF_THE_CONNECTION = {"content-length", "transfer-encoding", "connection"}


def replay(take: Take, dialect: OpenAI, envelope: Envelope) -> Iterator[Step]:
    """The steps of this recording."""
    return _Replay(take, dialect, envelope).steps()


class _Replay(Striking):
    def __init__(self, take: Take, dialect: OpenAI, envelope: Envelope) -> None:
        super().__init__(take.fault, dialect, envelope)
        self.take = take
        self.body = take.body
        named = {name.lower(): value for name, value in take.headers}
        self.streamed = "event-stream" in named.get("content-type", "")
        self.length = named.get("content-length")
        self.events = [*_events(self.body)] if self.streamed else []
        self.piece_ends = {end for _, end, kind in self.events if kind == "piece"}

    def steps(self) -> Iterator[Step]:
        if (yield from self.strike("request", b"", 0)):
            return
        yield Until(0.0)
        yield from self.until(self.take.at)
        yield self.head()
        if self.faults and not self.streamed:
            yield from self.in_one_body(self.body)
        elif (yield from self.reads()):
            return
        if self.take.end != "complete":
            yield Drop(reset=False)

    def head(self) -> Head:
        """The recorded head; faults may change the length of the body, so they take it out."""
        kept = [pair for pair in self.take.headers if pair[0].lower() not in _OF_THE_CONNECTION]
        as_recorded = self.length is not None and self.length.isdigit() and not self.faults
        return Head(self.take.status, kept, int(self.length or 0) if as_recorded else None)

    def reads(self) -> Generator[Step, None, bool]:
        """The body in its recorded reads, cut where a fault strikes; returns whether it is over."""
        marks = self.marks()
        offset = 0
        if (yield from self.strike_from(0, marks)):
            return True
        for at, data in self.take.reads:
            yield from self.until(at)
            start = offset
            while marks and marks[0][0] <= start + len(data):
                place = marks[0][0]
                yield from self.block(offset, place)
                offset = place
                if (yield from self.strike_from(place, marks)):
                    return True
            yield from self.block(offset, start + len(data))
            offset = start + len(data)
        return False

    def strike_from(
        self, place: int, marks: list[tuple[int, Mark, int]]
    ) -> Generator[Step, None, bool]:
        """The faults of every mark at this place of the body; returns whether it is over."""
        while marks and marks[0][0] == place:
            _, mark, sent = marks.pop(0)
            torn = self.body[place : marks[0][0] if marks else len(self.body)]
            if (yield from self.strike(mark, torn, sent)):
                return True
        return False

    def block(self, start: int, end: int) -> Iterator[Step]:
        """The recorded bytes between two places; a piece where one ends at the second."""
        yield from self.send(self.body[start:end], piece=int(end in self.piece_ends))

    def marks(self) -> list[tuple[int, Mark, int]]:
        """Where in the body faults may strike: place, mark, pieces before it; in order."""
        if not self.faults:
            return []
        pieces = [end for _, end, kind in self.events if kind == "piece"]
        starts = {kind: start for start, _, kind in reversed(self.events)}
        ends = {kind: end for _, end, kind in reversed(self.events)}
        last = pieces[-1] if pieces else len(self.body)
        content = starts.get("finish", last)
        places: list[tuple[int, Mark]] = [(0, 0), *((end, n) for n, end in enumerate(pieces, 1))]
        places += [(content, "content"), (ends.get("finish", content), "finish")]
        places += [(ends.get("done", len(self.body)), "done")]
        counted = [(place, mark, bisect_right(pieces, place)) for place, mark in places]
        return sorted(counted, key=lambda one: one[0])

    def pieces_again(self) -> Iterator[bytes]:
        for start, end, kind in self.events:
            if kind == "piece":
                yield self.body[start:end]

    def until(self, at: float) -> Iterator[Step]:
        """The recorded time, at the speed of the replay."""
        if self.take.speed is not None:
            yield Until(at / self.take.speed)


def _events(body: bytes) -> Iterator[tuple[int, int, str]]:
    """Start, end and kind ("piece", "finish", "done") of each event with data."""
    start = 0
    for found in _EVENT_END.finditer(body):
        kind = _kind(b"\n".join(_DATA_LINE.findall(body[start : found.start()])))
        if kind:
            yield start, found.end(), kind
        start = found.end()


def _kind(data: bytes) -> str:
    data = data.strip()
    if not data or data == b"[DONE]":
        return "done" if data else ""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return "piece"
    choices = value.get("choices") if isinstance(value, dict) else None
    if choices == []:  # a prompt's filter results, or the usage
        return ""
    listed = choices if isinstance(choices, list) else []
    finished = any(isinstance(one, dict) and one.get("finish_reason") for one in listed)
    return "finish" if finished else "piece"
