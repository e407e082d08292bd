"""Requests in; the same one by one, once a server has said that there are too many. No I/O.

A server that refuses with a time (429 or 503, ``Retry-After``) gets no request of this client
before it. Those that wait then leave one by one, at a pace learned from what was let
through. Without it all of them come back in the same moment, and most are refused again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from ..errors import CopilotError, HTTPStatusError
from .clocks import Watchdog
from .retries import LONGEST_ASKED_PAUSE

__all__ = ["Gate"]

log = logging.getLogger("async_copilot")

REFUSALS = frozenset({429, 503, 529})
REMEMBERED = 2048  # requests; enough for a window of as many
LATER = 1.02  # times what was asked: the server's clock and ours need not agree to the last bit
MARGIN = 0.97  # of the pace that was let through: a little less is never refused
# Requests let through in a window. Fewer may have been an allowance for bursts, which says
# nothing of the pace that a server bears: then the pace grows fast until it is refused.
FEW = 16
GROWTH, PROBING = 0.01, 3.0  # doublings in the time that was asked for
LAST = 8  # part of that time before a refusal, in which the pace was near what is borne


class Gate:
    """One for a client. Open until the first refusal; until then it notes when requests leave.

    It opens again fully when nothing waits and nothing was refused for as long as was
    asked for the last time.
    """

    __slots__ = (
        "_growth",
        "_pace",
        "_paced",
        "_refused",
        "_sent",
        "_timer",
        "_until",
        "_waiting",
        "_window",
    )

    def __init__(self) -> None:
        # Loop times at which requests left, and of those that were refused.
        self._sent: deque[float] = deque(maxlen=REMEMBERED)
        self._refused: deque[float] = deque(maxlen=REMEMBERED)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._pace: float | None = None  # requests a second; None: open
        self._paced = False  # requests leave at the pace now
        self._growth = GROWTH
        self._window = 1.0  # seconds that the server asked for
        self._until = 0.0  # loop time before which nothing leaves

    def is_open(self) -> bool:
        """True where a request need not queue."""
        if self._pace is not None and not self._waiting:
            now = asyncio.get_running_loop().time()
            if self._paced and now > self._until + self._window:
                self._pace = None
        return self._pace is None

    async def wait(self, clock: Watchdog) -> None:
        """Wait in the queue, as long as the clock allows. Cancelling gives the place up."""
        now = asyncio.get_running_loop().time
        place = self.queue()
        clock.expire = lambda error: None if place.done() else place.set_exception(error)
        clock.start(now())
        try:
            await place
        finally:
            clock.stop(now())
            clock.cancel()
            place.cancel()

    def queue(self) -> asyncio.Future[None]:
        """Return a place in the queue: done when the request may leave. Give it up by cancel()."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._arm()
        return place

    def sent(self) -> float:
        """A request goes out; return its loop time, which is what failed() asks for."""
        now = asyncio.get_running_loop().time()
        self._sent.append(now)
        return now

    def failed(self, sent: float, error: CopilotError) -> None:
        """Take note of a failure, which shuts the gate where it is a refusal with a time."""
        asked = error.retry_after
        if not isinstance(error, HTTPStatusError) or error.status not in REFUSALS or not asked:
            return
        if asked > LONGEST_ASKED_PAUSE:  # the caller decides, who is told at once
            return
        now = asyncio.get_running_loop().time()
        self._refused.append(sent)
        if self._pace is None:
            self._pace = 0.0
            log.info("HTTP %d: requests of this client wait for %.2f s", error.status, asked)
        self._paced = False
        self._window = asked
        self._until = max(self._until, now + asked * LATER)
        self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._waiting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._until, loop.time() + 0.001), self._release)

    def _release(self) -> None:
        """Let the next one leave."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        if now >= self._until and self._waiting:
            if not self._paced:
                self._learn()
            self._waiting.popleft().set_result(None)
            pace = self._pace = (self._pace or 1.0) * 2 ** (
                self._growth / ((self._pace or 1.0) * self._window)
            )
            self._until = now + 1 / pace
        self._arm()

    def _learn(self) -> None:
        """Set the pace by what was let through before the refusal."""
        window, pace = self._window, self._pace or 0.0
        end = self._sent[-1]
        part = window / LAST if self._growth == PROBING and pace else window
        begin, oldest = end - part, self._sent[0]
        passed = sum(at > begin for at in self._sent)
        passed -= sum(at > begin and at >= oldest for at in self._refused)
        self._growth = GROWTH if pace or passed >= FEW else PROBING
        self._pace = max(MARGIN * passed / part, pace / 2, 1 / window)
        self._paced = True
        log.debug("requests of this client leave at %.2f a second", self._pace)
