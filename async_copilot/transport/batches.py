"""Text deltas in, larger pieces out, no more often than the sink can take. No I/O.

``Reply.batches()`` reads; this says when what has been read is to be handed out. There
is no task behind it: text is read only while the caller waits for a batch. Meanwhile
a busy caller's text stays where it is, in aiohttp's buffer and then with the server.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..errors import Hint, InvalidRequestError

__all__ = ["Batch"]


class Batch:
    """The text that waits to be handed out, and the time from which on that may be done.

    interval: seconds between two batches at the least, the last one not excepted: what
        throttles a sink does not ask whether the text is complete.
    min_chars: a batch waits for this many characters, unless it is the last.

    The first batch need not wait for the interval. Raises InvalidRequestError.
    """

    __slots__ = ("_free", "_interval", "_min_chars", "_size", "_texts")

    def __init__(self, interval: float, min_chars: int) -> None:
        if isinstance(interval, bool) or not 0 <= interval < math.inf:
            raise InvalidRequestError(
                f"batches(interval={interval!r})",
                hint=Hint("give seconds, 0 for no pause between batches"),
            )
        if isinstance(min_chars, bool) or not isinstance(min_chars, int) or min_chars < 1:
            raise InvalidRequestError(
                f"batches(min_chars={min_chars!r})",
                hint=Hint("give the characters of a batch, 1 or more"),
            )
        self._interval = interval
        self._min_chars = min_chars
        self._free = -math.inf  # loop time at which the interval is over
        self._size = 0
        self._texts: list[str] = []

    def __len__(self) -> int:
        """Characters waiting."""
        return self._size

    def add(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._texts.append(text)
            self._size += len(text)

    def due(self, *, last: bool) -> float:
        """Return the loop time from which on to take it; infinity: when more has come."""
        enough = self._size >= (1 if last else self._min_chars)
        return self._free if enough else math.inf

    def take(self, now: float) -> str:
        """Return the text; the interval begins."""
        text = "".join(self._texts)
        self._texts.clear()
        self._size = 0
        self._free = now + self._interval
        return text
