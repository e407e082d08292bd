"""A body in, cut in any way; what DeltaDecoder and Answer make of it out. No I/O."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from async_copilot.errors import CopilotError
from async_copilot.wire.answer import Answer, End
from async_copilot.wire.chat import ChatChunk
from async_copilot.wire.choice import Choice
from async_copilot.wire.deltas import DeltaDecoder
from async_copilot.wire.sse import MAX_EVENT_BYTES

__all__ = ["Decoded", "by_event", "bytewise", "cut_at_random", "decode", "decode_chunks"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """All that can be told of a body, in a form that compares."""

    texts: list[str]
    choices: list[Choice]
    usage: dict[str, Any] | None
    conversation: dict[str, Any] | None
    model: str | None
    provider: str | None
    id: str | None
    completion: dict[str, Any]
    end: End
    error: tuple[type[CopilotError], str, str | None, str | None, str | None] | None
    events: int
    skipped: int


class _EagerDecoder(DeltaDecoder):
    """Takes the short cuts from the first delta on."""

    worth_learning = worth_trying = 0


class _ExactDecoder(DeltaDecoder):
    """Takes none, neither that for the event stream nor that for the commonest event."""

    def texts(self, block: bytes) -> list[str]:
        self.progress = False
        return self._texts(self._events(self._lines(block)), [])

    def _common(self, _event: dict[str, Any]) -> None:
        return None


def decode(
    blocks: Sequence[bytes],
    *,
    strict: bool = True,
    media_type: str = "text/event-stream",
    max_event_bytes: int = MAX_EVENT_BYTES,
    n: int = 1,
    exact: Literal["", "events", "deltas"] = "",
    eager: bool = True,
) -> Decoded:
    """Read blocks as texts, with every short cut, as a Reading does.

    eager: take the short cuts from the first delta on, not when they pay.
    exact: leave out the short cut for text deltas ("deltas"), or for events too ("events").
    """
    answer = Answer()
    kind = _EagerDecoder if eager else DeltaDecoder
    if exact == "events":
        kind = _ExactDecoder
    decoder = kind(strict=strict, media_type=media_type, max_event_bytes=max_event_bytes, n=n)
    if exact:
        decoder._lessons = 0
    texts: list[str] = []
    for block in blocks:
        text = decoder.text_of(block)
        texts += decoder.texts(block) if text is None else [text]
        if decoder.ended:
            break
    texts += decoder.rest_of_texts(at_end=True)
    for chunk in decoder.told:
        answer.absorb(chunk)
    return _decoded(texts, answer, decoder)


def decode_chunks(
    blocks: Sequence[bytes],
    *,
    strict: bool = True,
    media_type: str = "text/event-stream",
    max_event_bytes: int = MAX_EVENT_BYTES,
    n: int = 1,
    exact: bool = False,
) -> tuple[Decoded, list[ChatChunk]]:
    """Read blocks as chunks, as Reply.chunks() does."""
    answer = Answer()
    decoder = _EagerDecoder(
        strict=strict, media_type=media_type, max_event_bytes=max_event_bytes, n=n
    )
    if exact:
        decoder._lessons = 0
    chunks: list[ChatChunk] = []
    for block in blocks:
        chunks += decoder.chunks(block)
        if decoder.ended:
            break
    chunks += decoder.rest_of_chunks(at_end=True)
    for chunk in chunks:
        answer.absorb(chunk)
    texts = [chunk.content for chunk in chunks if chunk.content and chunk.index == 0]
    return _decoded(texts, answer, decoder), chunks


def _decoded(texts: list[str], answer: Answer, decoder: DeltaDecoder) -> Decoded:
    failure, error = decoder.failure, None
    if failure is not None:
        end = End.ERROR
        error = (type(failure), str(failure), failure.code, failure.type, failure.body)
    elif decoder.complete:
        end = End.COMPLETE
    else:
        end = End.DONE if decoder.done else End.TRUNCATED
    choices = answer.choices
    answer.pieces[:] = ["".join(texts)]
    return Decoded(
        texts,
        choices,
        answer.usage,
        answer.conversation,
        answer.model,
        answer.provider,
        answer.id,
        answer.completion,
        end,
        error,
        decoder.events,
        decoder.skipped,
    )


def by_event(body: bytes) -> list[bytes]:
    """Cut body behind each blank line, as servers write it and most reads bring it."""
    return [block for block in re.split(rb"(?<=\n\n)", body) if block]


def bytewise(body: bytes) -> list[bytes]:
    return [body[at : at + 1] for at in range(len(body))]


def cut_at_random(body: bytes, *, seed: object, ways: int) -> Iterator[list[bytes]]:
    """Cut body in several seeded ways, into two blocks and up to fifty."""
    source = random.Random(repr(seed))  # noqa: S311  # no secret
    for _ in range(ways):
        cuts = sorted(source.randrange(len(body) + 1) for _ in range(source.choice((1, 3, 10, 50))))
        yield [body[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True)]
