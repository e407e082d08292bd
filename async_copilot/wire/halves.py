"""Characters cut in two: surrogate halves that came in two deltas, joined. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .chat import ChatChunk
from .text import without_lone_surrogates

__all__ = ["Halves"]


class Halves(dict[tuple[int, str], str]):
    """The halves that wait for their other one, by choice and field; empty nearly always."""

    __slots__ = ()

    def whole(self, chunk: ChatChunk) -> ChatChunk:
        """Join halves that came in two deltas; a lone one becomes U+FFFD."""
        texts: dict[str, Any] = {
            field: self._whole(chunk.index, field, getattr(chunk, field))
            for field in ("content", "reasoning", "refusal")
        }
        calls = tuple(
            replace(call, arguments=without_lone_surrogates(call.arguments))
            for call in chunk.tool_calls
        )
        names: dict[str, Any] = {
            field: value and without_lone_surrogates(value)
            for field in ("finish_reason", "id", "model", "provider")
            if (value := getattr(chunk, field))
        }
        return replace(chunk, tool_calls=calls, **texts, **names)

    def rest(self) -> Iterator[ChatChunk]:
        """Yield what still waits at the end, as chunks."""
        for index, field in list(self):
            yield replace(ChatChunk(index=index), **{field: "\ufffd"})  # type: ignore[arg-type]  # a text field's name
        self.clear()

    def _whole(self, index: int, field: str, text: str) -> str:
        if not text:
            return text
        text = self.pop((index, field), "") + text
        if "\ud800" <= text[-1] <= "\udbff":
            self[index, field] = text[-1]
            text = text[:-1]
        return without_lone_surrogates(text)
