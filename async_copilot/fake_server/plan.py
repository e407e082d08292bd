"""A script's answer as steps, made while it is sent: a long one costs what its bytes cost. No I/O.

In: a ``FakeAnswer``, the dialect and the envelope. Out: an iterator of ``Step``.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Any, Literal, TypeAlias

from .answer import FakeAnswer, Pace
from .azure import Azure
from .envelope import Envelope
from .faults import ErrorFrame, HugeEvent, Raw
from .g4f import G4F, G4F0490, G4F817
from .json_text import to_json
from .litellm import LiteLLM
from .llama import Llama
from .openai import ChoiceDelta, OpenAI, Part
from .steps import Head, Pause, Step, Until
from .striking import Mark, Striking, as_bytes

__all__ = ["DIALECTS", "DialectName", "plan"]

DialectName: TypeAlias = Literal[
    "g4f", "g4f-8.1.7", "g4f-0.4.9.0", "openai", "azure", "litellm", "llama"
]

DIALECTS: dict[str, OpenAI] = {
    "g4f": G4F(),
    "g4f-8.1.7": G4F817(),
    "g4f-0.4.9.0": G4F0490(),
    "openai": OpenAI(),
    "azure": Azure(),
    "litellm": LiteLLM(),
    "llama": Llama(),
}

# So many pieces go out each in a write and an HTTP chunk of its own; the rest of an answer that
# is longer goes out in blocks, since a megabyte of text has half a million pieces.
_ONE_BY_ONE = 2000
_BULK = 64


def plan(
    answer: FakeAnswer, dialect: OpenAI, envelope: Envelope, *, stream: bool
) -> Iterator[Step]:
    """The steps of this answer to a request that asks for a stream, or does not."""
    planned = _Plan(answer, dialect, envelope)
    if answer.body is not None:
        return planned.fixed(answer.body)
    if answer.status != 200:
        return planned.fixed(dialect.error(answer.error, answer.status, envelope))
    streamed = stream if answer.stream is None else answer.stream
    return planned.stream() if streamed else planned.whole()


class _Plan(Striking):
    def __init__(self, answer: FakeAnswer, dialect: OpenAI, envelope: Envelope) -> None:
        faults = tuple(answer.fault)  # type: ignore[arg-type]  # __post_init__ made it one
        super().__init__(faults, dialect, envelope, cut=answer.cut)
        self.answer = answer
        self.due = _due(answer.pace) if isinstance(answer.pace, Pace) else None
        self.text_bytes = 0
        self.sent = 0

    # ---- a stream

    def stream(self) -> Iterator[Step]:
        if (yield from self.strike("request", b"", 0)):
            return
        delay: list[Step] = [self.pause(self.answer.delay)] if self.answer.delay else []
        head: Step = Head(200, self.headers("text/event-stream; charset=utf-8"))
        yield from [head, *delay] if self.dialect.headers_first else [*delay, head]
        marks = _Ahead(self.marks())
        for mark, data in marks:
            piece = isinstance(mark, int) and mark > 0
            if piece:
                self.sent += 1
                yield from self.breath()
            yield from self.send(data, piece=int(piece))
            torn = marks.next_data() if self.faults else b""
            if (yield from self.strike(mark, torn, self.sent)):
                return
            if self.sent == _ONE_BY_ONE and not (self.faults or self.cut or self.answer.pace):
                yield from self.in_bulk(marks)

    def in_bulk(self, marks: _Ahead) -> Iterator[Step]:
        """The rest of a very long answer that nothing slows down or breaks, in larger writes."""
        for rest in iter(lambda: [*islice(marks, _BULK)], []):
            pieces = sum(isinstance(mark, int) for mark, _ in rest)
            yield from self.send(b"".join(data for _, data in rest), piece=pieces)

    def marks(self) -> Iterator[tuple[Mark, bytes]]:
        """The stream's frames, each with the mark at which its faults strike."""
        preface = self.dialect.preface(self.envelope)
        yield 0, b""
        number = 0
        for number, data in enumerate(self.frames(), 1):  # used below
            yield number, (preface + data if number == 1 else data)
        yield "content", b""
        usage = self.dialect.usage(self.envelope, self.answer, self.text_bytes)
        finish = self.dialect.finish(self.envelope, self.dialect.finish_reason(self.answer), usage)
        if finish and not number:
            finish = preface + self.empty_opening() + finish
        yield "finish", finish
        yield "done", b"data: [DONE]\n\n" if self.answer.done else b""

    def frames(self) -> Iterator[bytes]:
        """The frames of each piece: the next part of every choice that has one."""
        indexes = range(self.envelope.choices)
        for number, parts in enumerate(zip_longest(*map(self.parts, indexes))):
            deltas: list[ChoiceDelta] = []
            for index, part in zip(indexes, parts, strict=True):
                if part is not None:
                    self.text_bytes += _size(part)
                    deltas += self.deltas(index, part, number)
            yield self.dialect.chunk(self.envelope, deltas)

    def deltas(self, index: int, part: Part, number: int) -> list[ChoiceDelta]:
        """The deltas of one part: the opening of its choice before the first."""
        found = [self.dialect.delta(part)] if number else self.dialect.opening(part)
        kind, value = part
        logprobs = self.envelope.logprobs
        if logprobs is None or kind not in ("content", "refusal"):
            return [ChoiceDelta(index, delta) for delta in found]
        *opening, last = found
        opened = [ChoiceDelta(index, delta, logprobs.of_opening(kind)) for delta in opening]
        return [*opened, ChoiceDelta(index, last, logprobs.of_piece(kind, value, number))]

    def empty_opening(self) -> bytes:
        """What an answer without parts begins with."""
        openings = self.dialect.opening(None)
        indexes = range(self.envelope.choices)
        deltas = [ChoiceDelta(index, delta) for index in indexes for delta in openings]
        return self.dialect.chunk(self.envelope, deltas) if deltas else b""

    def parts(self, choice: int) -> Iterator[Part]:
        return self.dialect.parts(self.answer, self.envelope, choice)

    def pieces_again(self) -> Iterator[bytes]:
        for part in self.parts(0):
            yield self.dialect.chunk(self.envelope, [ChoiceDelta(0, self.dialect.delta(part))])

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
        texts = [self.texts(choice) for choice in range(self.envelope.choices)]
        size = sum(len(as_bytes(text)) for one in texts for text in one.values())
        calls = self.answer.tool_calls
        size += sum(len(to_json([call.name, call.arguments])) for call in calls)
        usage = self.dialect.usage(self.envelope, self.answer, size, whole=True)
        whole = self.dialect.completion(self.envelope, self.answer, texts, usage)
        yield from self.fixed(to_json(whole), pieces=self.pieces())

    def texts(self, choice: int) -> dict[str, str]:
        """The texts of one choice by their kind, without those that are empty."""
        content = self.dialect.content(self.answer, choice)
        given = {"content": content, "reasoning": self.answer.reasoning}
        given |= {"refusal": self.answer.refusal}
        texts = {kind: "".join(text) for kind, text in given.items() if text}
        for fault in self.faults:
            if isinstance(fault, HugeEvent):
                texts["content"] = texts.get("content", "") + "x" * fault.size
        return texts

    def pieces(self) -> int:
        """How many pieces a stream of this answer would have."""
        if self.due is None:
            return 0
        return max(sum(1 for _ in self.parts(index)) for index in range(self.envelope.choices))

    def fixed(self, given: Any, status: int | None = None, *, pieces: int = 0) -> Iterator[Step]:
        """Exactly this body, after the time its ``pieces`` would have taken."""
        if (yield from self.strike("request", b"", 0)):
            return
        if self.answer.delay:
            yield Pause(self.answer.delay)
        if self.due is not None and pieces > 1:
            yield Pause(next(islice(self.due, pieces - 1, None)))
        status = status or self.answer.status
        kind = "text/plain; charset=utf-8" if isinstance(given, str) else "application/json"
        body = b"" if status in (204, 205, 304) else as_bytes(given)
        yield Head(status, self.headers(kind), len(body))
        yield from self.in_one_body(body)

    # ---- small steps

    def breath(self) -> Iterator[Step]:
        if self.due is not None:
            yield Until(next(self.due), self.dialect.heartbeat, self.dialect.comment)

    def headers(self, content_type: str) -> list[tuple[str, str]]:
        wait = self.answer.retry_after
        given = {} if wait is None else {"Retry-After": _wait(wait)}
        given |= self.answer.headers
        own = {"Content-Type": content_type} | self.dialect.headers(self.envelope)
        if self.answer.status == 429:  # nothing remains of what is limited
            own |= {name: "0" for name in own if "ratelimit-remaining" in name}
        replaced = {name.lower() for name in given}
        kept = {name: own[name] for name in own if name.lower() not in replaced}
        return [*(kept | given).items()]


def _wait(given: float | str) -> str:
    """Without an exponent, which no client reads."""
    return given if isinstance(given, str) else f"{given:f}".rstrip("0").rstrip(".")


class _Ahead:
    """The marks of a stream, with a look at what comes next."""

    def __init__(self, marks: Iterator[tuple[Mark, bytes]]) -> None:
        self._marks = marks
        self._seen: deque[tuple[Mark, bytes]] = deque()

    def __iter__(self) -> Iterator[tuple[Mark, bytes]]:
        return self

    def __next__(self) -> tuple[Mark, bytes]:
        return self._seen.popleft() if self._seen else next(self._marks)

    def next_data(self) -> bytes:
        """The next bytes that will be sent, or none."""
        if (data := next((data for _, data in self._seen if data), None)) is not None:
            return data
        for mark in self._marks:
            self._seen.append(mark)
            if mark[1]:
                return mark[1]
        return b""


def _size(part: Part) -> int:
    value = part[1]
    return len(value.encode("utf-8", "replace")) if isinstance(value, str) else len(to_json(value))


def _due(pace: Pace) -> Iterator[float]:
    """When each piece is due, in seconds after the first."""
    seeded = random.Random(pace.seed)  # noqa: S311  # a pace is not a secret
    at = 0.0
    while True:
        yield at
        at += (1 + pace.jitter * seeded.uniform(-1, 1)) / pace.per_second
