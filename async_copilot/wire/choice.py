"""The chunks of one choice in, its message out: text, calls and all else. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from .calls import Call, Calls
from .chat import ChatChunk, delta_of, tool_call_deltas
from .content import REASONING
from .fields import Fields
from .pieces import Pieces

__all__ = ["Choice", "Gathering", "ToolCall"]

# Fields that are not merged as unknown ones are: they have a place of their own.
_MESSAGE = frozenset({"content", "role", "refusal", "tool_calls", "function_call"})
_NO_NAMES: frozenset[str] = frozenset()
_IN_PARTS = frozenset({list, dict})
_NOTHING: tuple[Any, ...] = (None, "", [], {})
_CHOICE = frozenset(
    {
        *("index", "delta", "message", "text", "content", "finish_reason", "logprobs"),
        *("usage", "error"),
    }
)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A whole tool call; ``arguments`` is JSON text as the model wrote it, valid or not.

    id: the server's; where it gave none, or gave it to another call before, one made here
        for the result to name.
    """

    index: int
    id: str
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


@dataclass(slots=True)
class _Parts:
    """Parts of a content that came without other text between them; where they are in the text."""

    start: int
    end: int
    fields: Fields


class Gathering:
    """A choice in the making: what its chunks have said so far.

    text: of choice 0 what was handed out, added by the reader.
    """

    __slots__ = (
        "calls",
        "fields",
        "finish_reason",
        "logprobs",
        "parts",
        "reasoning",
        "refusal",
        "rest",
        "role",
        "silent",
        "text",
    )

    def __init__(self) -> None:
        self.text = Pieces()
        self.finish_reason: str | None = None
        self.role = "assistant"
        self.silent = _NO_NAMES  # fields of reasoning that came empty
        # Made when there is something to keep: most streams are text and nothing else.
        self.reasoning: Pieces | str = ""
        self.refusal: Pieces | str = ""
        self.calls: Calls | None = None
        self.parts: list[_Parts] | None = None
        self.fields: Fields | None = None  # of the message, the unknown ones
        self.rest: Fields | None = None  # and of the choice
        self.logprobs: Fields | None = None

    def add(self, chunk: ChatChunk) -> None:
        if chunk.content and chunk.index:
            self.text.add(chunk.content)
        if chunk.reasoning:
            self.reasoning = _with_piece(self.reasoning, chunk.reasoning)
        if chunk.refusal:
            self.refusal = _with_piece(self.refusal, chunk.refusal)
        if chunk.tool_calls:
            self.calls = self.calls or Calls()
            self.calls.add(chunk.tool_calls)
        if chunk.finish_reason:
            self.finish_reason = chunk.finish_reason
        if chunk.choice:
            self._add_choice(chunk, chunk.choice)

    def _add_choice(self, chunk: ChatChunk, choice: dict[str, Any]) -> None:
        """Keep what the choice says besides."""
        get = choice.get
        delta, message = get("delta"), get("message")
        if type(delta) is not dict or message is not None or "text" in delta:
            delta, is_message = delta_of(choice)
            if isinstance(message, dict) and not is_message:
                self.fields = _added(self.fields, message, _MESSAGE, whole=True)
        if not delta.keys() <= _MESSAGE:
            self.fields = _added(self.fields, delta, _MESSAGE, whole=chunk.whole)
            if not REASONING.isdisjoint(delta):
                self.silent |= {name for name in REASONING & delta.keys() if delta[name] == ""}
        if not choice.keys() <= _CHOICE:
            self.rest = _added(self.rest, choice, _CHOICE, pieces=False)
        content, role = delta.get("content"), delta.get("role")
        if content and type(content) in _IN_PARTS and not chunk.whole:
            self._add_parts(content, chunk.at, len(chunk.content))
        if role and type(role) is str:
            self.role = role
        if chunk.whole and "tool_calls" in delta:
            self.calls = self.calls or Calls()
            self.calls.repeat(tool_call_deltas(delta))
        logprobs = get("logprobs")
        if logprobs and isinstance(logprobs, dict) and not (chunk.whole and self.logprobs):
            self.logprobs = self.logprobs or Fields(pieces=False)
            self.logprobs.add_logprobs(logprobs)

    def _add_parts(self, content: Any, at: int, length: int) -> None:
        listed = content if isinstance(content, list) else content.get("parts") or [content]
        self.parts = self.parts or []
        if not self.parts or self.parts[-1].end != at:
            self.parts.append(_Parts(at, at, Fields(pieces=True)))
        last = self.parts[-1]
        last.end += length
        last.fields.add(
            {"content": [{"type": "text", "text": p} if isinstance(p, str) else p for p in listed]}
        )

    def tool_calls(self, answer: str) -> list[ToolCall]:
        return [
            ToolCall(
                place,
                id_,
                call.name,
                str(call.arguments),
                call.type or "function",
                call.extra_content,
            )
            for place, (id_, call) in enumerate(self._named_calls(answer))
        ]

    def _named_calls(self, answer: str) -> Iterator[tuple[str, Call]]:
        """Yield each call with an id that no other one has, for its result to name."""
        used: set[str] = set()
        for place, call in enumerate(self.calls or ()):
            id_ = _call_id(answer, place) if not call.id or call.id in used else call.id
            used.add(id_)
            yield id_, call

    @property
    def _is_cut(self) -> bool:
        return self.finish_reason in ("length", "content_filter")

    def message(self, answer: str) -> dict[str, Any]:
        """Return the message, complete, in the wire's form."""
        calls = [call.message(id_, cut=self._is_cut) for id_, call in self._named_calls(answer)]
        fields = _plain(self.fields)
        if self.refusal:
            fields["refusal"] = str(self.refusal)
        if calls and "function_call" in calls[0]:
            fields["function_call"] = calls[0]["function_call"]
        elif calls:
            fields["tool_calls"] = calls
        content: Any = self._in_parts(self.parts) if self.parts else str(self.text)
        if calls:  # with which some servers want the field back, empty as it is
            fields |= dict.fromkeys(sorted(self.silent - fields.keys()), "")
        return {"role": self.role, "content": content or (None if fields else ""), **fields}

    def _in_parts(self, known: list[_Parts]) -> list[Any]:
        """Return the content as parts, the text that came outside of them among them."""
        text, at = str(self.text), 0
        parts = Fields(pieces=True)
        for some in known:
            before = [{"type": "text", "text": text[at : some.start]}] if some.start > at else []
            parts.add({"content": [*before, *some.fields.plain()["content"]]})
            at = some.end
        if at < len(text):
            parts.add({"content": [{"type": "text", "text": text[at:]}]})
        return parts.plain()["content"]  # type: ignore[no-any-return]  # a list went in

    def completion(self, index: int, answer: str) -> dict[str, Any]:
        """Return the choice in the shape of a completion's."""
        logprobs = {"logprobs": _plain(self.logprobs)} if self.logprobs else {}
        return {
            "index": index,
            "message": self.message(answer),
            **logprobs,
            "finish_reason": self.finish_reason,
            **_plain(self.rest),
        }

    def freeze(self, index: int, answer: str) -> Choice:
        return Choice(
            index,
            str(self.text),
            str(self.reasoning),
            str(self.refusal),
            self.tool_calls(answer),
            self.finish_reason,
        )


def _with_piece(text: Pieces | str, piece: str) -> Pieces:
    """Return text with a piece more; it becomes Pieces with its first one."""
    if not isinstance(text, Pieces):
        return Pieces(piece)
    text.add(piece)
    return text


def _added(
    fields: Fields | None,
    more: dict[str, Any],
    skip: frozenset[str],
    *,
    pieces: bool = True,
    whole: bool = False,
) -> Fields | None:
    """Return fields with more in them; still None where there is nothing to keep."""
    if fields is None:
        for name, value in more.items():  # all() with a generator is three times the work
            if name not in skip and value not in _NOTHING:
                break
        else:
            return None
        fields = Fields(pieces=pieces)
    fields.add(more, skip=skip, whole=whole)
    return fields


def _plain(fields: Fields | None) -> dict[str, Any]:
    return {} if fields is None else fields.plain()


def _call_id(answer: str, place: int) -> str:
    """Return an id for a call that came without one, for its result to name.

    The same whenever it is asked for, another in each answer. Nine letters and digits:
    Mistral takes no others.
    """
    return f"c{crc32(f'{answer} {place}'.encode(errors='replace')):08x}"
