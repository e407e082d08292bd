"""What the choices of one answer have said so far: who has finished, what is a repeat. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .chat import MAX_CHOICES, ChatChunk, ToolCallDelta, delta_of, says_something
from .objects import malformed

__all__ = ["Heard"]

# Calls of one answer: an agent's answer has a few; what has more is a loop or an attack.
MAX_CALLS = 1024

_TEXT_OR_NONE = (str, type(None))
_HEAD = 64  # characters of a text by which it is known again


class _Text:
    """The length, the beginning and the last piece of a text so far.

    That is enough to recognise the text. The text itself is not kept: content_deltas()
    keeps none.
    """

    __slots__ = ("head", "size", "tail")

    def __init__(self) -> None:
        self.size = 0
        self.head = ""
        self.tail = ""

    def add(self, texts: Sequence[str], size: int) -> None:
        self.size += size
        self.tail = texts[-1]
        if len(self.head) < _HEAD:
            self.head = (self.head + "".join(texts[:_HEAD]))[:_HEAD]

    def beyond(self, whole: str) -> str | None:
        """Return what whole says beyond the text so far; None where it does not go on with it.

        Servers take blanks off the beginning of a whole message.
        """
        blanks = len(self.head) - len(self.head.lstrip())
        for skip in {0, blanks}:
            head, size = self.head[skip:], self.size - skip
            tail = self.tail[-size:] if size else ""
            if len(whole) >= size and whole.startswith(head) and whole[:size].endswith(tail):
                return whole[size:]
        return None


class _Choice:
    """One choice so far.

    finished: its last chunk had a finish reason.  ever_finished: some chunk had one.
    spoke: it has said something.  in_deltas: it did so in deltas, not in messages.
    so_far: a message of it began with everything that was said before.
    """

    __slots__ = (
        "calls",
        "ever_finished",
        "finished",
        "in_deltas",
        "reasoning",
        "refusal",
        "so_far",
        "spoke",
        "text",
    )

    def __init__(self) -> None:
        self.text = _Text()
        self.reasoning: _Text | None = None  # made when there is some, as most answers have none
        self.refusal: _Text | None = None
        self.calls = False
        self.finished = False
        self.ever_finished = False
        self.spoke = False
        self.in_deltas = False
        self.so_far = False


class Heard:
    """The choices of one answer, by index.

    progress: set when something of the answer comes; the caller resets it.
    plain_size, plain_tail: of texts of choice 0 that are told here one by one, where it
        goes_on: their characters in all, and the last of them.
    n: choices asked for.  several: an index tells which choice it is: more than one was
    asked for, or came in one event.
    """

    __slots__ = (
        "_calls",
        "_first",
        "_n",
        "_others",
        "plain_size",
        "plain_tail",
        "progress",
        "several",
    )

    def __init__(self, n: int) -> None:
        self._n = n
        self.several = n > 1
        self.progress = False
        self.plain_size = 0
        self.plain_tail = ""
        self._first: _Choice | None = None
        self._others: dict[int, _Choice] | None = None  # most answers have one choice
        self._calls: set[tuple[int, int | None, str | None]] | None = None

    @property
    def any_choice(self) -> bool:
        return self._first is not None or self._others is not None

    @property
    def finished(self) -> bool:
        """True when every choice asked for has finished, and something was said."""
        if not self.all_finished:
            return False
        choices = self._all()
        return len(choices) >= self._n and any(choice.spoke for choice in choices)

    @property
    def all_finished(self) -> bool:
        """True when every choice that came has finished, and choice 0 is among them."""
        first, others = self._first, self._others
        if first is None or not first.finished:
            return False
        return others is None or all(choice.finished for choice in others.values())

    @property
    def any_finished(self) -> bool:
        return any(choice.ever_finished for choice in self._all())

    @property
    def first_is_mute(self) -> bool:
        """True if choices came, but choice 0 has neither said anything nor finished."""
        first = self._first
        return self.any_choice and (first is None or not (first.spoke or first.ever_finished))

    @property
    def goes_on(self) -> bool:
        """True if more text of choice 0 changes only the amount of text."""
        first = self._first
        return first is not None and not first.finished and len(first.text.head) == _HEAD

    def _all(self) -> list[_Choice]:
        first = [] if self._first is None else [self._first]
        return first if self._others is None else first + list(self._others.values())

    def plain(self, texts: Sequence[str], size: int) -> None:
        """Take note of texts of choice 0, of size characters in all."""
        choice = self._first or self._begun(0)
        self._count_plain(choice.text)
        choice.text.add(texts, size)
        choice.finished = False
        choice.spoke = choice.in_deltas = True

    def note(self, chunk: ChatChunk) -> ChatChunk:
        """Record what a chunk says about its choice; progress says whether that was anything.

        Returns the chunk, without what only repeats what was said before. Raises
        MalformedDataError where an answer has more choices or calls than a bound allows.
        """
        choice = self._first
        if chunk.index:
            choice = None if self._others is None else self._others.get(chunk.index)
        if choice is None:
            choice = self._begun(chunk.index)
        elif self.plain_size and chunk.index == 0:
            self._count_plain(choice.text)
        delta, is_message = delta_of(chunk.choice)
        if choice.text.size and type(delta.get("content")) not in _TEXT_OR_NONE:
            chunk = replace(chunk, at=choice.text.size)
        if is_message and choice.spoke:
            chunk = _without_repeats(chunk, choice)
        said = bool(chunk.content or chunk.reasoning or chunk.refusal or chunk.tool_calls)
        if said:
            self._add(chunk, choice)
        if said or says_something(delta):
            choice.spoke = self.progress = True
            choice.in_deltas = choice.in_deltas or not is_message
        if chunk.finish_reason:
            choice.finished = choice.ever_finished = self.progress = True
        elif said:
            choice.finished = False
        return chunk

    def _begun(self, index: int) -> _Choice:
        """Return a choice that nothing was heard of before."""
        if len(self._all()) >= MAX_CHOICES:
            raise malformed("", f"of an answer with more than {MAX_CHOICES} choices")
        choice = _Choice()
        if index:
            self._others = self._others or {}
            self._others[index] = choice
        else:
            self._first = choice
        return choice

    def _count_plain(self, text: _Text) -> None:
        if self.plain_size:
            text.size += self.plain_size
            text.tail = self.plain_tail
            self.plain_size = 0

    def _add(self, chunk: ChatChunk, choice: _Choice) -> None:
        if chunk.content:
            choice.text.add((chunk.content,), len(chunk.content))
        if chunk.reasoning:
            choice.reasoning = choice.reasoning or _Text()
            choice.reasoning.add((chunk.reasoning,), len(chunk.reasoning))
        if chunk.refusal:
            choice.refusal = choice.refusal or _Text()
            choice.refusal.add((chunk.refusal,), len(chunk.refusal))
        if chunk.tool_calls:
            choice.calls = True
            self._count_calls(chunk)

    def _count_calls(self, chunk: ChatChunk) -> None:
        calls = self._calls = self._calls or set()
        for call in chunk.tool_calls:
            calls.add((chunk.index, *_place(call, len(calls))))
        if len(calls) > MAX_CALLS:
            raise malformed("", f"of an answer with more than {MAX_CALLS:,} tool calls")


def _place(call: ToolCallDelta, number: int) -> tuple[int | None, str | None]:
    """Return the key that tells calls apart; a piece that may begin a call has its own."""
    if call.index is not None:
        return call.index, call.id if call.name else None
    if call.id is None and call.name:
        return None, str(number)
    return None, call.id


def _without_repeats(chunk: ChatChunk, choice: _Choice) -> ChatChunk:
    """Return what a whole message has beyond what was said before it.

    Where everything came as messages, these are pieces, unless one begins with all of
    the others. After deltas a message is a piece only in the middle of the answer, and
    where it does not go on with what was said; at the end it is another version of that.
    """
    rest = choice.text.beyond(chunk.content)
    is_completion = chunk.raw.get("object") == "chat.completion"
    ends = bool(chunk.finish_reason) or choice.finished or is_completion
    if choice.in_deltas:
        whole = ends or rest is not None
    elif rest:
        whole = choice.so_far = True
    else:
        whole = rest == "" and (choice.so_far or is_completion)
    if not whole:
        return chunk
    return replace(
        chunk,
        whole=True,
        content=rest or "",
        reasoning=_beyond(choice.reasoning, chunk.reasoning),
        refusal=_beyond(choice.refusal, chunk.refusal),
        # Answer finds the calls that are new in it.
        tool_calls=() if choice.calls else chunk.tool_calls,
    )


def _beyond(before: _Text | None, whole: str) -> str:
    return whole if before is None else before.beyond(whole) or ""
