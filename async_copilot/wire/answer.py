"""What an answer adds up to: chunks in; text, tool calls, usage, verdict, timing out. No I/O."""

from __future__ import annotations

import copy
import enum
from collections import deque
from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .asked import NOTHING_ASKED
from .chat import ChatChunk
from .choice import Choice, ToolCall
from .merged import Merged

__all__ = ["Answer", "End", "Timing"]

_NOWHERE: deque[str] = deque(maxlen=0)  # for text that is not kept
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_FEW = 4  # chunks that are held; an event takes a kilobyte or two


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
        self._held: list[ChatChunk] = []
        self._merged: Merged | None = None
        self.end: End | None = None
        self.skipped = 0
        self.remembered: bool | None = None
        self.left_out: tuple[str, ...] = ()
        self.status: int | None = None
        self.headers: Mapping[str, str] = _NO_HEADERS
        self.request_id: str | None = None
        self.request = NOTHING_ASKED
        self.timing = Timing()

    @property
    def text(self) -> str:
        """The text of choice 0, as far as it was handed out."""
        return "" if self._merged is None else str(self._merged.first.text)

    @property
    def reasoning(self) -> str:
        """The reasoning of choice 0, which is never part of the text."""
        return str(self._said.first.reasoning)

    @property
    def refusal(self) -> str:
        return str(self._said.first.refusal)

    @property
    def tool_calls(self) -> list[ToolCall]:
        said = self._said
        return said.first.tool_calls(said.name)

    @property
    def finish_reason(self) -> str | None:
        """As the server gave it, never invented; the last one, where it gave several."""
        return self._said.first.finish_reason

    @property
    def logprobs(self) -> dict[str, Any] | None:
        """The log probabilities of choice 0, of all its tokens; None where none were asked for."""
        found = self._said.first.logprobs
        return None if found is None else found.plain()

    @property
    def model(self) -> str | None:
        """As the first chunk that names it does; so are provider and id."""
        return self._said.model

    @property
    def provider(self) -> str | None:
        return self._said.provider

    @property
    def id(self) -> str | None:
        return self._said.id

    @property
    def usage(self) -> dict[str, Any] | None:
        """The server's own object (token counts), the last one it sent.

        A count that a later one leaves out, or gives as zero, stays.
        """
        return self._said.usage

    @property
    def conversation(self) -> dict[str, Any] | None:
        """g4f's handle of the conversation, opaque; in no repr and no pickle."""
        return self._said.conversation

    @property
    def choices(self) -> list[Choice]:
        """Every choice, by index."""
        return self._said.choices()

    @property
    def message(self) -> dict[str, Any]:
        """The message of choice 0, complete, in the wire's form.

        What the server said, under its own names: reasoning in whatever field it came,
        its signatures, annotations, images. Calls have an id, which one that came
        without gets here, and arguments ("{}" for none). What of it goes back in a
        history is Conversation's business: some servers demand fields that others refuse.
        """
        said = self._said
        return said.first.message(said.name)

    @property
    def completion(self) -> dict[str, Any]:
        """The whole answer in the shape of a ``chat.completion``: all that was said, merged.

        The same as ``stream=False`` gives. fields.py says how the chunks are merged. Padding
        (``obfuscation``) and g4f's ``conversation``, a secret, are left out.
        """
        return self._said.completion()

    @property
    def _said(self) -> Merged:
        """All chunks so far, merged."""
        if self._merged is None:
            self._merged = Merged()
        if self._held:
            for chunk in self._held:
                self._merged.add(chunk)
            self._held.clear()
        return self._merged

    def absorb(self, chunk: ChatChunk) -> None:
        """Add a chunk, except the text of choice 0, which counts when it is handed out."""
        self._said.add(chunk)

    def hold(self, chunks: list[ChatChunk]) -> None:
        """Add chunks that nobody else has; a few of them are merged when somebody asks."""
        self._held += chunks
        if len(self._held) > _FEW:
            self.compact()

    @property
    def pieces(self) -> MutableSequence[str]:
        """Where the text of choice 0 goes, piece by piece, when it is handed out."""
        if not self._keep_text:
            return _NOWHERE
        if self._merged is None:
            self._merged = Merged()
        return self._merged.first.text

    def compact(self) -> None:
        """Merge what is held, join the pieces that have come: as they are they take more memory."""
        self._said.first.text.compact()

    def begin_again(self) -> None:
        """Forget what was said, for a request that is sent again; the timing stays."""
        fresh = Answer(keep_text=self._keep_text)
        fresh.request, fresh.timing = self.request, self.timing
        fresh.timing.headers = fresh.timing.first_chunk = fresh.timing.last_chunk = None
        self.__dict__.update(fresh.__dict__)

    def __reduce__(self) -> tuple[Any, ...]:
        said = copy.copy(self._said)
        said.conversation = None
        kept = {name: self.__dict__[name] for name in Answer().__dict__}
        return Answer, (), kept | {"_merged": said, "_held": [], "headers": {}}

    def __repr__(self) -> str:
        text = self.text
        shown = text if len(text) <= 60 else text[:59] + "…"
        return (
            f"<{type(self).__name__} end={self.end and self.end.name} text={shown!r} "
            f"finish_reason={self.finish_reason!r}>"
        )
