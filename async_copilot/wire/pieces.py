"""Text in pieces in, the whole out: linear in time and space however many pieces come. No I/O."""

from __future__ import annotations

__all__ = ["Pieces"]

_LOOSE = 12  # pieces of a text; some 60 bytes each besides their characters


class Pieces(list[str]):
    """The pieces of a text, joined now and then."""

    __slots__ = ("_joined",)

    def __init__(self, text: str = "") -> None:
        self._joined = 0  # of the pieces, those that were joined already
        if text:
            self.append(text)
            self._joined = 1

    def add(self, piece: str) -> None:
        self.append(piece)
        self.compact()

    def compact(self) -> None:
        """Join what came since the last time: a str object takes more than a word of text."""
        if len(self) - self._joined >= _LOOSE:
            self[self._joined :] = ["".join(self[self._joined :])]
            self._joined = len(self)

    def replace(self, text: str) -> None:
        self[:] = [text]
        self._joined = 1

    def __str__(self) -> str:
        if len(self) > 1:
            self.replace("".join(self))
        return self[0] if self else ""
