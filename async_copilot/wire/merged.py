"""The chunks of an answer in, one ``chat.completion`` out: names, usage, choices. No I/O."""

from __future__ import annotations

from typing import Any

from .chat import ChatChunk
from .choice import Choice, Gathering
from .fields import FIRST, Fields, merged_usage

__all__ = ["Merged"]

# Fields of an event with a place of their own, and (obfuscation, p) padding, which hides how
# long a text is. g4f's handle of the conversation is a secret, and no part of a completion.
_ELSEWHERE = frozenset(
    {
        *("choices", "usage", "conversation", "error", "id", "model", "object"),
        *("obfuscation", "p", "base_resp"),
    }
)


class Merged:
    """What the chunks of one answer add up to so far; see Answer for its parts.

    first: choice 0; its text is what was handed out, which the reader adds.
    """

    __slots__ = ("_about", "_others", "conversation", "first", "id", "model", "provider", "usage")

    def __init__(self) -> None:
        self.model: str | None = None
        self.provider: str | None = None
        self.id: str | None = None
        self.usage: dict[str, Any] | None = None
        self.conversation: dict[str, Any] | None = None
        self.first = Gathering()
        self._others: dict[int, Gathering] | None = None  # most answers have one choice
        self._about: Fields | None = None

    def add(self, chunk: ChatChunk) -> None:
        """Take in a chunk, except the text of choice 0."""
        if chunk.plain:
            return
        choice = self._choice(chunk.index) if chunk.index else self.first
        choice.add(chunk)
        if self.model is None:
            self.model = chunk.model
        if self.provider is None:
            self.provider = chunk.provider
        if self.id is None:
            self.id = chunk.id
        if chunk.usage:
            self.usage = merged_usage(self.usage, chunk.usage)
        event, choices = chunk.raw, chunk.raw.get("choices")
        # Of several choices the first one speaks for what stands beside them.
        if not isinstance(choices, list) or len(choices) < 2 or _is_first(chunk, choices):
            if self._about is None:
                self._about = Fields(pieces=False)
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
    def name(self) -> str:
        """What tells this answer from others."""
        created = None if self._about is None else self._about.get("created")
        return f"{self.id} {created}"

    def _by_index(self) -> list[tuple[int, Gathering]]:
        return sorted([(0, self.first), *(self._others or {}).items()])

    def choices(self) -> list[Choice]:
        """Return every choice, by index."""
        name = self.name
        return [choice.freeze(index, name) for index, choice in self._by_index()]

    def completion(self) -> dict[str, Any]:
        """Return all that was said in the shape of a ``chat.completion``."""
        name = self.name
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


def _is_first(chunk: ChatChunk, choices: list[Any]) -> bool:
    """True for the chunk of the first one of its event's choices."""
    first = next((choice for choice in choices if isinstance(choice, dict)), None)
    return first is chunk.choice or first is None
