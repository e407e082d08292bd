"""Text deltas in, larger pieces out, no more often than the sink can take. No I/O.

``Reply.batches()`` reads; this says when what has been read is to be handed out. There
is not a task behind it: text is read only while the caller waits for a batch. Meanwhile
a busy caller's text stays where it is, in aiohttp's buffer and then with the server.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..errors import Hint, InvalidRequestError

__all__ = ["Batch"]


class Batch:
    """The text that waits to be handed out, and the time from which on that may be done.

    interval: the least seconds between two batches, the last one included: a sink
        that throttles does not ask whether the text is complete.
    min_chars: a batch waits for this many characters, unless it is the last.
    limit: a batch has at most this many characters; None for no limit.

    The first batch need not wait for the interval. Raises InvalidRequestError.
    """

    __slots__ = (
        "_begin",
        "_free",
        "_interval",
        "_joined",
        "_limit",
        "_min_chars",
        "_size",
        "_texts",
    )

    def __init__(self, interval: float, min_chars: int, limit: int | None = None) -> None:
        is_number = isinstance(interval, int | float) and not isinstance(interval, bool)
        if not is_number or not 0 <= interval < math.inf:
            raise InvalidRequestError(
                f"batches(interval={interval!r})",
                hint=Hint("give seconds, 0 for no pause between batches"),
            )
        if not _is_count(min_chars):
            raise InvalidRequestError(
                f"batches(min_chars={min_chars!r})",
                hint=Hint("give the characters of a batch, 1 or more"),
            )
        if limit is not None and not (_is_count(limit) and limit >= min_chars):
            raise InvalidRequestError(
                f"batches(limit={limit!r}, min_chars={min_chars})",
                hint=Hint("give the most characters of a batch, min_chars or more, or None"),
            )
        self._interval = interval
        self._min_chars = min_chars
        self._limit = math.inf if limit is None else limit
        self._free = -math.inf  # loop time at which the interval is over
        self._size = 0
        self._texts: list[str] = []
        self._joined = ""  # where the text that a batch left over begins
        self._begin = 0

    def __len__(self) -> int:
        """Characters waiting."""
        return self._size

    @property
    def full(self) -> bool:
        """The next batch can take no more text."""
        return self._size >= self._limit

    def add(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._texts.append(text)
            self._size += len(text)

    def due(self, *, last: bool) -> float:
        """Return the loop time from which on to take it; infinity: when more has come."""
        enough = self._size >= (1 if last else self._min_chars)
        return self._free if enough else math.inf

    def take(self, now: float) -> str:
        """Return the text, or as much of it as the limit allows; the interval begins."""
        if self._texts:
            self._joined = self._joined[self._begin :] + "".join(self._texts)
            self._begin = 0
            self._texts.clear()
        begin, end = self._begin, len(self._joined)
        if self._size > self._limit:
            end = self._cut()
        text = self._joined[begin:end]
        self._begin = end
        self._size -= len(text)
        if not self._size:
            self._joined, self._begin = "", 0
        self._free = now + self._interval
        return text

    def _cut(self) -> int:
        """Return where a long batch is cut: after its last line or word, if that comes late."""
        limit = int(self._limit)
        end = self._begin + limit
        earliest = self._begin + max(self._min_chars, limit // 2)
        for mark in ("\n", " "):
            found = self._joined.rfind(mark, earliest - 1, end)
            if found >= 0:
                return found + 1
        return end


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
