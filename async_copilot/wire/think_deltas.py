"""A body's bytes in, deltas out, with ``<think>…</think>`` as reasoning. No I/O.

A DeltaDecoder behind which each choice's text goes through a ThinkSplitter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .chat import ChatChunk
from .deltas import DeltaDecoder
from .think import ThinkSplitter

__all__ = ["ThinkDecoder"]


class ThinkDecoder(DeltaDecoder):
    """Decodes one body, the reasoning taken out of its text.

    chunks() gives reasoning as it comes. What the answer adds up to has it when its tag is
    closed: a tag that no other one closes has opened no reasoning, and all of it is text.
    """

    __slots__ = ("_splitters", "_thoughts")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._splitters: dict[int, ThinkSplitter] = {}
        self._thoughts: dict[int, list[str]] = {}

    def text_of(self, block: bytes) -> str | None:
        """The short cut, where the reasoning is over."""
        return super().text_of(block) if self._splitter(0).over else None

    def texts(self, block: bytes) -> list[str]:
        """Return the text deltas that block completes."""
        return self._shown(super().texts(block))

    def rest_of_texts(self, *, at_end: bool) -> list[str]:
        """Return the last deltas."""
        texts = self._shown(super().rest_of_texts(at_end=at_end))
        for chunk in self._unclosed():
            if chunk.index:
                self.told.append(chunk)
            else:
                texts.append(chunk.content)
        return texts

    def chunks(self, block: bytes) -> list[ChatChunk]:
        """Return the chunks that block completes."""
        return [part for chunk in super().chunks(block) for part in self._split(chunk)]

    def rest_of_chunks(self, *, at_end: bool) -> list[ChatChunk]:
        """Return the last chunks."""
        rest = [
            part for chunk in super().rest_of_chunks(at_end=at_end) for part in self._split(chunk)
        ]
        return [*rest, *self._unclosed()]

    def _splitter(self, index: int) -> ThinkSplitter:
        if index not in self._splitters:
            self._splitters[index] = ThinkSplitter()
        return self._splitters[index]

    def _shown(self, texts: list[str]) -> list[str]:
        """Return the texts of choice 0 without its reasoning; split what is told of others."""
        told, self.told = self.told, []
        for chunk in told:
            self.told += self._split(chunk) if chunk.index else [chunk]
        if self._splitter(0).over:
            return texts
        return [shown for text in texts if (shown := self._fed(0, text)[1])]

    def _fed(self, index: int, text: str) -> tuple[str, str]:
        """Return what is reasoning and what is text in a choice's next piece."""
        thought: list[str] = []
        shown: list[str] = []
        for is_reasoning, piece in self._splitter(index).feed(text):
            (thought if is_reasoning else shown).append(piece)
        self._thoughts.setdefault(index, []).extend(thought)
        if shown:
            self._close(index)
        return "".join(thought), "".join(shown)

    def _split(self, chunk: ChatChunk) -> list[ChatChunk]:
        """Return the chunk, its reasoning as one of its own before it."""
        if not chunk.content or self._splitter(chunk.index).over:
            return [chunk]
        thought, text = self._fed(chunk.index, chunk.content)
        parts = []
        if thought:
            # Plain: the answer takes it in when its tag is closed.
            parts.append(ChatChunk(reasoning=thought, index=chunk.index, plain=True))
        if text or not chunk.plain:
            parts.append(replace(chunk, content=text))
        return parts

    def _close(self, index: int) -> None:
        """Tell the answer the reasoning of a choice, whose tag is closed."""
        if thought := "".join(self._thoughts.pop(index, ())):
            self.told.append(ChatChunk(reasoning=thought, index=index))

    def _unclosed(self) -> Iterable[ChatChunk]:
        """Yield what stood behind tags that nothing closed, as the text that it is."""
        for index, splitter in self._splitters.items():
            rest = splitter.finish()
            if rest:
                self._thoughts.pop(index, None)
                yield ChatChunk(content=rest, index=index)
            else:
                self._close(index)
