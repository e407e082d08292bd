"""The faults of an answer as steps, whether the answer is made up or recorded. No I/O."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import count
from typing import Any, TypeAlias

from .envelope import Envelope
from .faults import (
    BrokenFraming,
    Close,
    ErrorFrame,
    Fault,
    HugeEvent,
    Raw,
    Repeat,
    Reset,
    Stall,
    Truncate,
)
from .json_text import to_json
from .openai import ChoiceDelta, OpenAI
from .steps import Drop, Pause, Send, Step

__all__ = ["Mark", "Striking", "as_bytes"]

Mark: TypeAlias = int | str
"""A place in a stream: how many pieces came before it, or "request", "content", "finish",
"done"."""


def as_bytes(given: Any) -> bytes:
    """The bytes of a body: text, bytes, or a JSON value."""
    if isinstance(given, str):
        return given.encode("utf-8", "surrogatepass")
    return given if isinstance(given, bytes) else to_json(given)


class Striking:
    """What faults do to an answer in this dialect. Its subclasses have the answer's own steps."""

    def __init__(
        self,
        faults: Sequence[Fault],
        dialect: OpenAI,
        envelope: Envelope,
        *,
        cut: int | None = None,
    ) -> None:
        self.faults = faults
        self.dialect = dialect
        self.envelope = envelope
        self.cut = cut

    def pieces_again(self) -> Iterator[bytes]:
        """The frames of the pieces once more, for ``Repeat``."""
        raise NotImplementedError  # pragma: no cover  # both subclasses have pieces

    def breath(self) -> Iterator[Step]:
        """The pause before a piece that is sent again."""
        return iter(())

    def strike(self, mark: Mark, torn: bytes, sent: int) -> Generator[Step, None, bool]:
        """The steps of the faults at this mark; returns whether the answer is over.

        torn: the next event; a fault may send half of it. sent: how many pieces there were.
        """
        for fault in self.faults:
            if self.strikes(fault, mark, sent):
                yield from self.fault_steps(fault, torn)
                if isinstance(fault, Truncate | Close | Reset | BrokenFraming | ErrorFrame):
                    return True
        return False

    def strikes(self, fault: Fault, mark: Mark, sent: int) -> bool:
        """Whether the fault's place is here; one beyond the last piece is after that piece."""
        after: Mark = 0 if fault.after == "headers" else fault.after
        return after == mark or (mark == "content" and isinstance(after, int) and after > sent)

    def fault_steps(self, fault: Fault, torn: bytes) -> Iterator[Step]:
        match fault:
            case Close() | Reset():
                if fault.torn and torn:
                    yield Send(torn[: len(torn) // 2], torn=True)
                yield Drop(isinstance(fault, Reset))
            case BrokenFraming():
                yield Send(b"this is not a chunk size\r\n", naked=True)
                yield Pause(None)
            case ErrorFrame():
                yield from self.send(self.error_frames(fault))
            case Stall():
                yield self.pause(fault.seconds, fault.heartbeat)
            case _:
                yield from self.extra_steps(fault)

    def extra_steps(self, fault: Fault) -> Iterator[Step]:
        """What a fault puts into the stream beside the answer's own events."""
        match fault:
            case Raw():
                yield from self.send(as_bytes(fault.data))
            case HugeEvent():
                delta = self.dialect.delta(("content", "x" * fault.size))
                frames = self.dialect.chunk(self.envelope, [ChoiceDelta(0, delta)])
                yield from self.send(frames, piece=1)
            case Repeat():
                yield from self.repeated(fault)

    def repeated(self, fault: Repeat) -> Iterator[Step]:
        """All pieces again; an answer without pieces has nothing to repeat and stalls."""
        for _ in count() if fault.times is None else range(fault.times):
            silent = True
            for data in self.pieces_again():
                silent = False
                yield from self.breath()
                yield from self.send(data, piece=1)
            if silent:
                if fault.times is None:
                    yield self.pause(None)
                return

    def error_frames(self, fault: ErrorFrame) -> bytes:
        data = self.dialect.error_frame(fault.message, self.envelope)
        done = self.dialect.error_done if fault.done is None else fault.done
        named = b"event: error\n" if fault.event else b""
        return b"%bdata: %b\n\n%b" % (named, data, b"data: [DONE]\n\n" if done else b"")

    def send(self, data: bytes, *, piece: int = 0) -> Iterator[Step]:
        """These bytes, in blocks of the size the answer asks for."""
        if self.cut is None:
            if data:
                yield Send(data, piece=piece)
            return
        for start in range(0, len(data), self.cut):
            block = data[start : start + self.cut]
            yield Send(block, piece=piece if start + self.cut >= len(data) else 0)

    def pause(self, seconds: float | None, every: float | None = None) -> Pause:
        return Pause(seconds, every or self.dialect.heartbeat, self.dialect.comment)

    def in_one_body(self, body: bytes) -> Iterator[Step]:
        """A body that is not a stream; a fault after the headers strikes in its middle."""
        late = [fault for fault in self.faults if fault.after != "request"]
        middle = len(body) // 2 if late else len(body)
        yield from self.send(body[:middle])
        for fault in late:
            match fault:
                case Stall():
                    yield Pause(fault.seconds)
                case Close() | Reset():
                    yield Drop(isinstance(fault, Reset))
                    return
                case BrokenFraming():
                    yield Pause(None)
                    return
                case Truncate():
                    yield Drop(reset=False)
                    return
        yield from self.send(body[middle:])
