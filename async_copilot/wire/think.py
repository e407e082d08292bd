"""Text with ``<think>`` in it in, reasoning and text apart out. No I/O.

Models that reason (DeepSeek R1, Qwen 3, QwQ) write ``<think>…</think>`` before the
answer. Servers that know the model send the inside as a field of its own; others, and
most of g4f's providers, leave it in the text.
"""

from __future__ import annotations

__all__ = ["ThinkSplitter"]

_OPEN, _CLOSE = "<think>", "</think>"


class ThinkSplitter:
    """Splits a text that comes in pieces.

    It is reasoning where the text shows it to be: the tag opens the answer, and is closed
    in it. Both tags, and the empty lines around them, belong to neither part. A text that
    does not open so is passed on as it comes, to the last character.
    """

    def __init__(self) -> None:
        self._held = ""  # may be the beginning of a tag
        self._state = "start"
        self._begun = False  # something but empty lines came behind the tag
        self._inside: list[str] = []

    @property
    def over(self) -> bool:
        """True where everything that comes is text."""
        return self._state == "text"

    def feed(self, text: str) -> list[tuple[bool, str]]:
        """Return the pieces of the text, each with True where it is reasoning."""
        if self._state == "text":
            return [(False, text)] if text else []
        text, self._held = self._held + text, ""
        if self._state == "start":
            bare = text.lstrip()
            if _OPEN.startswith(bare):  # nothing yet, or a part of the tag
                self._held = text
                return []
            if not bare.startswith(_OPEN):
                self._state = "text"
                return [(False, text)]
            self._state = "inside"
            self._inside.append(text)
            text = bare[len(_OPEN) :]
        else:
            self._inside.append(text)
        return self._closed(text) if self._state == "inside" else self._after(text)

    def finish(self) -> str:
        """The text is over: return what is text after all, since no tag closed it."""
        self._state = "text"
        return "".join(self._inside) + self._held

    def _closed(self, text: str) -> list[tuple[bool, str]]:
        if not self._begun:
            text = text.lstrip("\n")
            self._begun = bool(text)
        thought, close, rest = text.partition(_CLOSE)
        if close:
            self._state = "after"
            self._inside.clear()
            return [*_piece(thought, reasoning=True), *self._after(rest)]
        kept = next(n for n in range(len(_CLOSE) - 1, -1, -1) if text.endswith(_CLOSE[:n]))
        if kept:
            self._held = text[-kept:]
            self._inside[-1] = self._inside[-1][:-kept]
        return _piece(text.removesuffix(self._held), reasoning=True)

    def _after(self, text: str) -> list[tuple[bool, str]]:
        self._inside.clear()
        if text := text.lstrip("\r\n"):
            self._state = "text"
        return _piece(text, reasoning=False)


def _piece(text: str, *, reasoning: bool) -> list[tuple[bool, str]]:
    return [(reasoning, text)] if text else []
