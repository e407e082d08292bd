"""What every frame of one reply repeats, and what its tokens cost. No I/O."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from .answer import FakeAnswer, pieces_of
from .memory import Turn
from .request import Request

__all__ = ["Envelope", "Logprobs", "envelope_of"]

# What is made up where a request asks for log probabilities and the script has none.
MADE_UP_LOGPROB = -0.25


@dataclass(frozen=True, slots=True)
class Logprobs:
    """The log probabilities of an answer's pieces: one for each, or one for all."""

    given: float | Sequence[float]
    top: int = 0

    def of_piece(self, kind: str, piece: str, number: int) -> dict[str, Any]:
        """The ``logprobs`` of the chunk with the piece of this number, from 0 on."""
        other = "refusal" if kind == "content" else "content"
        return {kind: [self._token(piece, number)], other: None}

    def of_opening(self, kind: str) -> dict[str, Any]:
        """The ``logprobs`` of the chunk with the role alone."""
        return {kind: [], "refusal" if kind == "content" else "content": None}

    def of_texts(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """The ``logprobs`` of a whole choice."""
        found: dict[str, Any] = {"content": None, "refusal": None}
        for kind in found:
            if texts.get(kind):
                pieces = enumerate(pieces_of(texts[kind]))
                found[kind] = [self._token(piece, number) for number, piece in pieces]
        return found

    def _token(self, piece: str, number: int) -> dict[str, Any]:
        given = self.given
        listed = [given] if isinstance(given, int | float) else given
        value = listed[min(number, len(listed) - 1)]
        token = {"token": piece, "logprob": value, "bytes": [*piece.encode("utf-8", "replace")]}
        return token | {"top_logprobs": [token] * min(self.top, 1)}


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every frame of one reply repeats.

    conversation_id: the request's own. choices: how many there are. first_call: the number of
    the first tool call whose id is made up. extra: more top-level fields. request_id: of the
    response's headers, never the script's.
    """

    id: str
    created: int
    model: str
    provider: str | None
    conversation: Mapping[str, Any] | None
    include_usage: bool
    prompt_tokens: int
    conversation_id: str | None = None
    choices: int = 1
    first_call: int = 1
    extra: dict[str, Any] = field(default_factory=dict)
    logprobs: Logprobs | None = None
    request_id: str = field(default_factory=lambda: uuid4().hex)


def envelope_of(
    request: Request, turn: Turn, answer: FakeAnswer | None = None, first_call: int = 1
) -> Envelope:
    """The envelope of this answer (None: one without a say in it) to this request."""
    body, said = request.body, answer or _SILENT
    options, number = body.get("stream_options"), body.get("n")
    asked = number if type(number) is int and 1 <= number <= 128 else 1
    kind = "chatcmpl" if request.is_chat else "cmpl"
    made_up = f"{kind}-{uuid4().hex[:28]}"
    return Envelope(
        id=made_up if said.id is None else said.id,
        created=int(time.time()) if said.created is None else said.created,
        model=(request.model or "") if said.model is None else said.model,
        provider=turn.provider,
        conversation=turn.handle if said.conversation is None else said.conversation,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        prompt_tokens=_prompt_tokens(body),
        conversation_id=request.conversation_id,
        choices=len(said.choices) or asked * _prompts(request),
        first_call=first_call,
        extra=dict(said.extra),
        logprobs=_logprobs(body, said),
    )


_SILENT = FakeAnswer()


def _prompts(request: Request) -> int:
    """How many prompts an older text completion has: each is answered for itself."""
    prompt = request.body.get("prompt")
    if request.is_chat or not isinstance(prompt, list):
        return 1
    return max(1, sum(isinstance(one, str | list) for one in prompt))


def _logprobs(body: Mapping[str, Any], answer: FakeAnswer) -> Logprobs | None:
    if answer.logprobs is None and body.get("logprobs") is not True:
        return None
    top = body.get("top_logprobs")
    given = MADE_UP_LOGPROB if answer.logprobs is None else answer.logprobs
    return Logprobs(given, top if type(top) is int and top > 0 else 0)


def _prompt_tokens(body: Mapping[str, Any]) -> int:
    """An estimate: a token for four bytes of text, and four for each message."""
    messages = body.get("messages")
    listed = messages if isinstance(messages, list) else []
    size = sum(len(text.encode("utf-8", "replace")) for text in _texts(listed))
    tools = [body[key] for key in ("tools", "functions", "response_format") if body.get(key)]
    size += sum(len(json.dumps(tool)) for tool in tools)
    return size // 4 + 4 * len(listed) + 1


def _texts(value: Any) -> Iterator[str]:
    """Every text of the messages but the data of images and sounds, which costs by its size."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            media = ("image_url", "input_audio", "file")
            waiting += [inner for key, inner in one.items() if key not in media]
