"""A sign that the console waits for a server: ticks of the event loop in, one short line out.

It lives on stderr of a terminal, comes only after a moment, and is erased without trace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["WaitingSign"]

PATIENCE = 0.4  # seconds; an answer that comes sooner needs no sign
INTERVAL = 0.5  # seconds; quiet, yet seen to be alive

_ERASE = "\r\x1b[K"


class WaitingSign:
    """Between start() and stop() says for how long, or when another attempt is made.

    write: takes the text; None: there is nowhere to show a sign.
    columns: tells how wide the terminal is; a sign on two lines could not be erased.
    """

    def __init__(
        self, write: Callable[[str], object] | None, columns: Callable[[], int] = lambda: 80
    ) -> None:
        self._write = write
        self._columns = columns
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._retry_at = 0.0
        self._reason = ""
        self._shown = ""

    def start(self) -> None:
        if self._write is not None:
            loop = asyncio.get_running_loop()
            self._since = loop.time()
            self._retry_at = 0.0
            self._timer = loop.call_later(PATIENCE, self._draw, self._write)

    def retry_in(self, seconds: float, reason: str) -> None:
        """Until then the wait is ours, not the server's."""
        if self._timer is not None:
            self._reason = reason
            self._retry_at = asyncio.get_running_loop().time() + seconds

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.erase()

    def erase(self) -> None:
        """Make way for a line; if the wait goes on, the sign comes back by itself."""
        if self._shown and self._write is not None:
            self._shown = ""
            self._write(_ERASE)

    def _draw(self, write: Callable[[str], object]) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        left = self._retry_at - now
        if left > 0:
            text = f"{self._reason}; trying again in {left:.0f} s"
        else:
            text = f"waiting {now - self._since:.0f} s"
        text = text[: self._columns() - 1]
        if text != self._shown:
            self._shown = text
            write(_ERASE + text)
        self._timer = loop.call_later(INTERVAL, self._draw, write)
