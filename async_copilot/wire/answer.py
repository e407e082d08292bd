"""What an answer adds up to: chunks in; text, tool calls, usage, verdict, timing out. No I/O."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass, field
from typing import Any

from .asked import NOTHING_ASKED
from .chat import ChatChunk
from .choice import Choice, Gathering, ToolCall
from .fields import FIRST, Fields, merged_usage

__all__ = ["Answer", "End", "Timing"]

_NOWHERE: deque[str] = deque(maxlen=0)  # for text that is not kept

# Fields of an event with a place of their own, and (obfuscation, p) padding, which hides how
# long a text is. g4f's handle of the conversation is a secret, and no part of a completion.
_ELSEWHERE = frozenset(
    {
        *("choices", "usage", "conversation", "error", "id", "model", "object"),
        *("obfuscation", "p", "base_resp"),
    }
)


class End(enum.Enum):
    """How a reply ended."""

    COMPLETE = "complete"
    """A finish reason and no error, whatever the connection did after it."""
    DONE = "done"
    """``[DONE]`` without a finish reason: accepted, told apart."""
    TRUNCATED = "truncated"
    """The body ended in good order, with neither."""
    ERROR = "error"
    """An error in the stream, or bytes that are not an answer, even before a ``[DONE]``."""
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


class Answer:
    """Everything an answer has said so far, and how it ended.

    model, provider, id: as the first chunk that names them does.
    usage: the server's own object (token counts), the last one it sent; a count that
        a later one leaves out, or gives as zero, stays.
    conversation: g4f's handle of the conversation, opaque; in no repr and no pickle.
    end: None while the answer is under way.  skipped: how many malformed lines.
    remembered: of a conversation's turn, whether the server knew the turns before, from
        its own conversation or from a transcript. False when it went on
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
        self._first = Gathering()
        self._others: dict[int, Gathering] | None = None  # most answers have one choice
        self._about: Fields | None = None

    @property
    def text(self) -> str:
        """The text of choice 0, as far as it was handed out."""
        return str(self._first.text)

    @property
    def reasoning(self) -> str:
        """The reasoning of choice 0, which is never part of the text."""
        return str(self._first.reasoning)

    @property
    def refusal(self) -> str:
        return str(self._first.refusal)

    @property
    def tool_calls(self) -> list[ToolCall]:
        return self._first.tool_calls(self._name)

    @property
    def finish_reason(self) -> str | None:
        """As the server gave it, never invented; the last one, where it gave several."""
        return self._first.finish_reason

    @property
    def logprobs(self) -> dict[str, Any] | None:
        """The log probabilities of choice 0, of all its tokens; None where none were asked for."""
        found = self._first.logprobs
        return None if found is None else found.plain()

    @property
    def choices(self) -> list[Choice]:
        """Every choice, by index."""
        name = self._name
        return [choice.freeze(index, name) for index, choice in self._by_index()]

    @property
    def message(self) -> dict[str, Any]:
        """The message of choice 0, complete, in the wire's form.

        What the server said, under its own names: reasoning in whatever field it came,
        its signatures, annotations, images. Calls have an id, which one that came
        without gets here, and arguments ("{}" for none). What of it goes back in a
        history is Conversation's business: some servers demand fields that others refuse.
        """
        return self._first.message(self._name)

    @property
    def completion(self) -> dict[str, Any]:
        """The whole answer in the shape of a ``chat.completion``: all that was said, merged.

        The same as ``stream=False`` gives. fields.py says how the chunks are merged. Padding
        (``obfuscation``) and g4f's ``conversation``, a secret, are left out.
        """
        name = self._name
        about = {} if self._about is None else self._about.plain()
        groq = about.pop("x_groq", None)
        if isinstance(groq, dict):  # its usage has its place
            about |= (
                {"x_groq": rest} if (rest := {k: groq[k] for k in groq if k != "usage"}) else {}
            )
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": about.pop("created", None),
            "model": self.model,
            **about,
            "choices": [choice.completion(index, name) for index, choice in self._by_index()],
            "usage": self.usage,
        }

    @property
    def _name(self) -> str:
        """What tells this answer from others."""
        created = None if self._about is None else self._about.get("created")
        return f"{self.id} {created}"

    def _by_index(self) -> list[tuple[int, Gathering]]:
        return sorted([(0, self._first), *(self._others or {}).items()])

    def absorb(self, chunk: ChatChunk) -> None:
        """Add a chunk, except the text of choice 0, which counts when it is handed out."""
        if chunk.plain:
            return
        choice = self._choice(chunk.index) if chunk.index else self._first
        choice.add(chunk)
        if self.model is None:
            self.model = chunk.model
        if self.provider is None:
            self.provider = chunk.provider
        if self.id is None:
            self.id = chunk.id
        if chunk.usage:
            self.usage = merged_usage(self.usage, chunk.usage)
        event = chunk.raw
        if _is_first_of(chunk, event.get("choices")):
            self._about = self._about or Fields(pieces=False)
            self._about.add(event, skip=_ELSEWHERE, first=FIRST)
        handle = event.get("conversation")
        if isinstance(handle, dict) and handle:
            self.conversation = handle

    def _choice(self, index: int) -> Gathering:
        """Return a choice other than the first, made when it is first spoken of."""
        others = self._others = self._others or {}
        if index not in others:
            others[index] = Gathering()
        return others[index]

    @property
    def pieces(self) -> MutableSequence[str]:
        """Where the text of choice 0 goes, piece by piece, when it is handed out."""
        return self._first.text if self._keep_text else _NOWHERE

    def compact(self) -> None:
        """Join the pieces that have come; many small ones take more memory."""
        self._first.text.compact()

    def begin_again(self) -> None:
        """Forget what was said, for a request that is sent again; the timing stays."""
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


def _is_first_of(chunk: ChatChunk, choices: Any) -> bool:
    """True for the first chunk of its event, which speaks for what stands beside the choices."""
    if not isinstance(choices, list) or len(choices) < 2:
        return True
    first = next((choice for choice in choices if isinstance(choice, dict)), None)
    return first is chunk.choice or first is None
