"""An answer as a list of steps: what to send, when to wait, how to end. No I/O.

In: an ``FakeAnswer``, the dialect and the envelope. Out: an iterator of ``Step``; when it
is exhausted the response ends in good HTTP order.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, TypeAlias

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
from .g4f import G4F, G4F0490, G4F817
from .litellm import LiteLLM
from .llama import Llama
from .openai import Envelope, OpenAI, to_json
from .script import FakeAnswer, Pace

__all__ = ["DIALECTS", "DialectName", "Drop", "Head", "Pause", "Send", "Step", "plan"]

DialectName: TypeAlias = Literal["g4f", "g4f-8.1.7", "g4f-0.4.9.0", "openai", "litellm", "llama"]

DIALECTS: dict[str, OpenAI] = {
    "g4f": G4F(),
    "g4f-8.1.7": G4F817(),
    "g4f-0.4.9.0": G4F0490(),
    "openai": OpenAI(),
    "litellm": LiteLLM(),
    "llama": Llama(),
}


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers; ``length`` of the body, or None for a stream."""

    status: int
    headers: Mapping[str, str]
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes of the body. ``piece``: a piece of the answer ends with them.

    torn: they stand for an HTTP chunk of twice their length. naked: no HTTP chunk at all.
    """

    data: bytes
    piece: bool = False
    torn: bool = False
    naked: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for ``seconds`` (None: until the client leaves) but ``comment`` each ``every``."""

    seconds: float | None
    every: float | None = None
    comment: bytes = b""


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection ends here: FIN, or RST."""

    reset: bool


Step: TypeAlias = Head | Send | Pause | Drop
_Mark: TypeAlias = int | str


def plan(
    answer: FakeAnswer, dialect: OpenAI, envelope: Envelope, *, stream: bool
) -> Iterator[Step]:
    """The steps of this answer to a request that asks for a stream, or does not."""
    planned = _Plan(answer, dialect, envelope)
    if answer.body is not None:
        return planned.fixed(answer.body)
    if answer.status != 200:
        return planned.fixed(dialect.error(answer.error, answer.status, envelope))
    return (
        planned.stream()
        if (stream if answer.stream is None else answer.stream)
        else (planned.whole())
    )


class _Plan:
    def __init__(self, answer: FakeAnswer, dialect: OpenAI, envelope: Envelope) -> None:
        self.answer = answer
        self.dialect = dialect
        self.envelope = envelope
        self.faults: tuple[Fault, ...] = tuple(answer.fault)  # type: ignore[arg-type]  # made one in FakeAnswer
        self.parts = dialect.parts(answer)
        self.pauses = _pauses(answer.pace)

    # ---- a stream

    def stream(self) -> Iterator[Step]:
        if (yield from self.strike("request", [])):
            return
        delay: list[Step] = [self.pause(self.answer.delay)] if self.answer.delay else []
        head: Step = Head(200, self.headers("text/event-stream; charset=utf-8"))
        yield from [head, *delay] if self.dialect.headers_first else [*delay, head]
        marks = self.marks()
        for at, (mark, data) in enumerate(marks):
            piece = isinstance(mark, int) and mark > 0
            if piece and mark != 1:
                yield from self.breath()
            yield from self.send(data, piece=piece)
            if (yield from self.strike(mark, [data for _, data in marks[at + 1 :] if data])):
                return

    def marks(self) -> list[tuple[_Mark, bytes]]:
        """The stream's frames, each with the position at which its faults strike."""
        frames = self.frames()
        usage = self.dialect.usage(self.envelope, self.answer, self.text_bytes())
        finish = self.dialect.finish(self.envelope, self.dialect.finish_reason(self.answer), usage)
        done = b"data: [DONE]\n\n" if self.answer.done else b""
        opening = self.dialect.opening(self.envelope)
        if frames:
            frames[0] = opening + frames[0]
        elif finish:
            finish = opening + finish
        pieces: list[tuple[_Mark, bytes]] = [*enumerate(frames, 1)]
        return [(0, b""), *pieces, ("content", b""), ("finish", finish), ("done", done)]

    def frames(self) -> list[bytes]:
        return [
            self.dialect.chunk(self.envelope, self.dialect.delta(part, first=at == 0))
            for at, part in enumerate(self.parts)
        ]

    def strike(self, mark: _Mark, following: list[bytes]) -> Generator[Step, None, bool]:
        """The steps of the faults at this mark; returns whether the answer is over."""
        for fault in self.faults:
            if self.where(fault) == mark:
                yield from self.fault_steps(fault, following)
                if isinstance(fault, Truncate | Close | Reset | BrokenFraming | ErrorFrame):
                    return True
        return False

    def where(self, fault: Fault) -> _Mark:
        after: _Mark = 0 if fault.after == "headers" else fault.after
        return "content" if isinstance(after, int) and after > len(self.parts) else after

    def fault_steps(self, fault: Fault, following: list[bytes]) -> Iterator[Step]:
        match fault:
            case Close() | Reset():
                if fault.torn and following:
                    yield Send(following[0][: len(following[0]) // 2], torn=True)
                yield Drop(isinstance(fault, Reset))
            case BrokenFraming():
                yield Send(b"this is no chunk size\r\n", naked=True)
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
                yield from self.send(_bytes(fault.data))
            case HugeEvent():
                delta = self.dialect.delta(("content", "x" * fault.size), first=False)
                yield from self.send(self.dialect.chunk(self.envelope, delta), piece=True)
            case Repeat():
                frames = self.frames()
                for _ in count() if fault.times is None else range(fault.times):
                    for data in frames:
                        yield from self.breath()
                        yield from self.send(data, piece=True)

    def error_frames(self, fault: ErrorFrame) -> bytes:
        data = self.dialect.error_frame(fault.message, self.envelope)
        done = self.dialect.error_done if fault.done is None else fault.done
        named = b"event: error\n" if fault.event else b""
        return b"%bdata: %b\n\n%b" % (named, data, b"data: [DONE]\n\n" if done else b"")

    # ---- an answer in one body

    def whole(self) -> Iterator[Step]:
        """A completion: faults inside the stream become their likeness in one body."""
        for fault in self.faults:
            if isinstance(fault, ErrorFrame):
                yield from self.fixed(self.dialect.error(fault.message, 500, self.envelope), 500)
                return
            if isinstance(fault, Raw):
                yield from self.fixed(fault.data)
                return
        usage = self.dialect.usage(self.envelope, self.answer, self.text_bytes())
        texts = self.texts()
        yield from self.fixed(self.dialect.completion(self.envelope, self.answer, texts, usage))

    def texts(self) -> dict[str, str]:
        texts: dict[str, str] = {}
        for kind, value in self.parts:
            if kind != "tool_calls":
                texts[kind] = texts.get(kind, "") + value
        for fault in self.faults:
            if isinstance(fault, HugeEvent):
                texts["content"] = texts.get("content", "") + "x" * fault.size
        return texts

    def fixed(self, given: Any, status: int | None = None) -> Iterator[Step]:
        """Exactly this body; a fault after the headers strikes in its middle."""
        if (yield from self.strike("request", [])):
            return
        if self.answer.delay:
            yield Pause(self.answer.delay)
        status = status or self.answer.status
        kind = "application/json"
        if isinstance(given, str):
            kind = "text/plain; charset=utf-8"
        body = b"" if status in (204, 205, 304) else _bytes(given)
        yield Head(status, self.headers(kind), len(body))
        late = [fault for fault in self.faults if fault.after != "request"]
        cut = len(body) // 2 if late else len(body)
        yield from self.send(body[:cut])
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
        yield from self.send(body[cut:])

    # ---- small steps

    def send(self, data: bytes, *, piece: bool = False) -> Iterator[Step]:
        size = self.answer.cut or len(data)
        for start in range(0, len(data), size or 1):
            block = data[start : start + size]
            yield Send(block, piece=piece and start + size >= len(data))

    def breath(self) -> Iterator[Step]:
        if (seconds := next(self.pauses)) > 0:
            yield self.pause(seconds)

    def pause(self, seconds: float | None, every: float | None = None) -> Pause:
        return Pause(seconds, every or self.dialect.heartbeat, self.dialect.comment)

    def headers(self, content_type: str) -> dict[str, str]:
        wait = self.answer.retry_after
        given = {} if wait is None else {"Retry-After": f"{wait:g}" if _number(wait) else str(wait)}
        given |= self.answer.headers
        own = {"Content-Type": content_type} | self.dialect.headers(self.envelope)
        replaced = {name.lower() for name in given}
        return {name: own[name] for name in own if name.lower() not in replaced} | given

    def text_bytes(self) -> int:
        return sum(len(value.encode("utf-8", "replace")) for _, value in self.parts if _text(value))


def _pauses(pace: float | Pace | None) -> Iterator[float]:
    """Seconds before each piece after the first."""
    if not isinstance(pace, Pace):
        while True:
            yield 0.0
    seeded = random.Random(pace.seed)  # noqa: S311  # a pace is no secret
    while True:
        yield (1 + pace.jitter * seeded.uniform(-1, 1)) / pace.per_second


def _bytes(given: Any) -> bytes:
    if isinstance(given, str):
        return given.encode("utf-8", "surrogatepass")
    return given if isinstance(given, bytes) else to_json(given)


def _number(value: object) -> bool:
    return isinstance(value, int | float)


def _text(value: object) -> bool:
    return isinstance(value, str)
