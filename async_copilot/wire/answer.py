"""What an answer adds up to: chunks in; text, tool calls, usage, verdict, timing out. No I/O."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass, field
from typing import Any

from .asked import NOTHING_ASKED
from .chat import ChatChunk, ToolCallDelta

__all__ = ["Answer", "Choice", "End", "Timing", "ToolCall"]

_NOWHERE: deque[str] = deque(maxlen=0)  # for text that is not kept
_LOOSE = 16  # pieces of a text; some 60 bytes each besides their characters


class End(enum.Enum):
    """How a reply ended."""

    COMPLETE = "complete"
    """A finish reason and no error, whatever the connection did after it."""
    DONE = "done"
    """``[DONE]`` without a finish reason: accepted, told apart."""
    TRUNCATED = "truncated"
    """The body ended in good order, with neither."""
    ERROR = "error"
    """An error in the stream, or bytes that are no answer; ``[DONE]`` after it is no success."""
    STALLED = "stalled"
    """A clock of Timeouts ran out."""
    DISCONNECTED = "disconnected"
    """The connection broke."""
    CANCELLED = "cancelled"
    """The caller left early: ``break``, an exception, cancellation, a closed client."""

    @property
    def ok(self) -> bool:
        """True for a whole answer: COMPLETE or DONE."""
        return self in (End.COMPLETE, End.DONE)


@dataclass(slots=True)
class Timing:
    """When things happened, in seconds since the request was made; None: not yet.

    first_chunk, last_chunk: the first and the last that brought something of the answer:
        text, reasoning, a tool call. So tokens came, reasoning included, at a rate of
        ``reply.usage["completion_tokens"] / (timing.last_chunk - timing.first_chunk)``,
        unless the whole answer came at once.
    ended: the reply was over. Later than the last chunk, where a server does not say at
        once that it has finished.
    longest_gap: between two arrivals of text, while waiting and while working alike.
    chunks: data events read.  bytes: of the body, decompressed.
    retries: requests sent again.  waits: the pauses before them, in seconds.
    replaced: pooled connections that the server had closed, or that held bytes which nobody
        had asked for; the request went out on another one at once.
    """

    headers: float | None = None
    first_text: float | None = None
    last_text: float | None = None
    first_chunk: float | None = None
    last_chunk: float | None = None
    ended: float | None = None
    longest_gap: float = 0.0
    chunks: int = 0
    bytes: int = 0
    retries: int = 0
    waits: list[float] = field(default_factory=list)
    replaced: int = 0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A whole tool call; ``arguments`` is JSON text as the model wrote it, valid or not."""

    index: int
    id: str | None
    name: str
    arguments: str
    type: str = "function"
    extra_content: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers of a request with ``n`` above 1."""

    index: int
    text: str
    reasoning: str
    refusal: str
    tool_calls: list[ToolCall]
    finish_reason: str | None


class _Text(list[str]):
    """Text in pieces, joined now and then: linear in time and space however many come."""

    __slots__ = ("_joined",)

    def __init__(self) -> None:
        super().__init__()
        self._joined = 0  # of the pieces, those that were joined already

    def add(self, piece: str) -> None:
        self.append(piece)
        self.compact()

    def compact(self) -> None:
        """Join what came since the last time: a str object takes more than a word of text."""
        if len(self) - self._joined > _LOOSE:
            self[self._joined :] = ["".join(self[self._joined :])]
            self._joined = len(self)

    def __str__(self) -> str:
        if len(self) > 1:
            self[:] = ["".join(self)]
            self._joined = 1
        return self[0] if self else ""


class _Call:
    """A tool call in the making."""

    __slots__ = ("arguments", "extra_content", "id", "name", "type")

    def __init__(self) -> None:
        self.id: str | None = None
        self.name = ""
        self.arguments = _Text()
        self.type: str | None = None
        self.extra_content: dict[str, Any] | None = None

    def add(self, delta: ToolCallDelta) -> None:
        self.id = self.id or delta.id
        self.type = self.type or delta.type
        self.extra_content = delta.extra_content or self.extra_content
        if delta.name and delta.name != self.name and not self.arguments:
            self.name += delta.name  # repeated by some servers, cut in two by others
        if delta.arguments:
            self.arguments.add(delta.arguments)


class _Choice:
    """A choice in the making."""

    __slots__ = ("calls", "finish_reason", "keys", "reasoning", "refusal", "text")

    def __init__(self) -> None:
        self.text = _Text()
        self.reasoning = _Text()
        self.refusal = _Text()
        self.finish_reason: str | None = None
        self.calls: list[_Call] = []
        self.keys: dict[int, _Call] = {}

    def add(self, chunk: ChatChunk) -> None:
        if chunk.content and chunk.index:
            self.text.add(chunk.content)
        if chunk.reasoning:
            self.reasoning.add(chunk.reasoning)
        if chunk.refusal:
            self.refusal.add(chunk.refusal)
        for delta in chunk.tool_calls:
            self.add_call(delta)
        if chunk.finish_reason:
            self.finish_reason = chunk.finish_reason

    def add_call(self, delta: ToolCallDelta) -> None:
        call = self._call(delta)
        if call is None:
            call = _Call()
            self.calls.append(call)
        if delta.index is not None:
            self.keys[delta.index] = call
        call.add(delta)

    def _call(self, delta: ToolCallDelta) -> _Call | None:
        """Find the call a delta goes on with.

        By index, as the API reference has it, unless another id comes with another name
        (two calls under one index; an id alone changes with each delta of some servers);
        by id where there is no index; else the last call, unless the delta names a
        function and the last call has its arguments already.
        """
        if delta.index is not None:
            call = self.keys.get(delta.index)
            other = call and delta.name and call.id and delta.id and call.id != delta.id
            return None if other else call
        if delta.id:
            return next((call for call in self.calls if call.id == delta.id), None)
        last = self.calls[-1] if self.calls else None
        fresh = last and delta.name and last.name and last.arguments
        return None if fresh else last

    def tool_calls(self) -> list[ToolCall]:
        return [
            ToolCall(
                place,
                call.id,
                call.name,
                str(call.arguments),
                call.type or "function",
                call.extra_content,
            )
            for place, call in enumerate(self.calls)
        ]

    def freeze(self, index: int) -> Choice:
        return Choice(
            index,
            str(self.text),
            str(self.reasoning),
            str(self.refusal),
            self.tool_calls(),
            self.finish_reason,
        )


class Answer:
    """Everything an answer has said so far, and how it ended.

    model, provider, id: as the first chunk that names them does.
    usage: the server's own object (token counts), the last one it sent.
    conversation: g4f's handle of the conversation, opaque; in no repr and no pickle.
    end: None while the answer is under way.  skipped: malformed lines passed over.
    remembered: of a conversation's turn, whether the answer was made by one who was told
        the turns before: by its own conversation or by a transcript. False when it went on
        in another conversation; None for the first turn, and where the server does not tell.
    left_out: of a conversation's turn, in words, what of the turn does not enter the
        history, and what of the history did not go to the server.
    status, headers, request_id: of the response.
    request: what was asked for, without the prompt.

    Picklable as a snapshot of the results.
    """

    def __init__(self, *, keep_text: bool = True) -> None:
        self._keep_text = keep_text
        self.model: str | None = None
        self.provider: str | None = None
        self.id: str | None = None
        self.usage: dict[str, Any] | None = None
        self.conversation: dict[str, Any] | None = None
        self.end: End | None = None
        self.skipped = 0
        self.remembered: bool | None = None
        self.left_out: tuple[str, ...] = ()
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.request_id: str | None = None
        self.request = NOTHING_ASKED
        self.timing = Timing()
        self._choices: dict[int, _Choice] = {0: _Choice()}

    @property
    def text(self) -> str:
        """The text of choice 0, as far as it was handed out."""
        return str(self._choices[0].text)

    @property
    def reasoning(self) -> str:
        """The reasoning of choice 0, which is never part of the text."""
        return str(self._choices[0].reasoning)

    @property
    def refusal(self) -> str:
        return str(self._choices[0].refusal)

    @property
    def tool_calls(self) -> list[ToolCall]:
        return self._choices[0].tool_calls()

    @property
    def finish_reason(self) -> str | None:
        """As the server gave it, never invented."""
        return self._choices[0].finish_reason

    @property
    def choices(self) -> list[Choice]:
        """Every choice, by index."""
        return [choice.freeze(index) for index, choice in sorted(self._choices.items())]

    @property
    def message(self) -> dict[str, Any]:
        """Choice 0 in the wire's form, to append to a message list."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        calls = self.tool_calls
        if calls:
            message["content"] = self.text or None
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": call.type,
                    "function": {"name": call.name, "arguments": call.arguments},
                    **({"extra_content": call.extra_content} if call.extra_content else {}),
                }
                for call in calls
            ]
        return message

    def absorb(self, chunk: ChatChunk) -> None:
        """Take in a chunk, but for the text of choice 0, which counts when handed out."""
        if (
            chunk.index
            or chunk.reasoning
            or chunk.tool_calls
            or chunk.finish_reason
            or chunk.refusal
        ):
            if chunk.index not in self._choices:
                self._choices[chunk.index] = _Choice()
            self._choices[chunk.index].add(chunk)
        if self.model is None:
            self.model = chunk.model
        if self.provider is None:
            self.provider = chunk.provider
        if self.id is None:
            self.id = chunk.id
        if chunk.usage:
            self.usage = chunk.usage
        if "conversation" in chunk.raw:
            handle = chunk.raw["conversation"]
            if isinstance(handle, dict) and handle:
                self.conversation = handle

    @property
    def pieces(self) -> MutableSequence[str]:
        """Where the text of choice 0 goes, piece by piece, when it is handed out."""
        return self._choices[0].text if self._keep_text else _NOWHERE

    def compact(self) -> None:
        """Join the pieces that have come, now and then: many small ones take more room."""
        self._choices[0].text.compact()

    def begin_again(self) -> None:
        """Forget what was said, for a request that is sent again; what it took so far stays."""
        fresh = Answer(keep_text=self._keep_text)
        fresh.request, fresh.timing = self.request, self.timing
        fresh.timing.headers = fresh.timing.first_chunk = fresh.timing.last_chunk = None
        self.__dict__.update(fresh.__dict__)

    def __reduce__(self) -> tuple[Any, ...]:
        kept = {name: self.__dict__[name] for name in Answer().__dict__}
        return Answer, (), kept | {"conversation": None, "headers": {}}

    def __repr__(self) -> str:
        text = self.text
        shown = text if len(text) <= 60 else text[:59] + "…"
        return (
            f"<{type(self).__name__} end={self.end and self.end.name} text={shown!r} "
            f"finish_reason={self.finish_reason!r}>"
        )
