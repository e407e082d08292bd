"""How long a reply may keep its caller waiting: settings in, at most one error out. No I/O.

Clocks run only while somebody waits for the server, never while the caller works on
what has come.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, fields

from ..errors import (
    ClockError,
    CopilotError,
    FirstTextTimeoutError,
    Hint,
    InvalidRequestError,
    SilenceTimeoutError,
    StallTimeoutError,
    TotalTimeoutError,
)
from .alarm import Appointment, alarm_here

__all__ = ["Timeouts", "Watchdog"]

# A long wait is looked at in parts, so that a process that was stopped (Ctrl-Z, a debugger, a
# container that is paused) notices within one of them, and a stop is taken for waiting for no
# longer than that. Eight parts: of 300 s of silence one is 37.5 s, so the timer fires rarely.
PARTS = 8
SHORTEST_PART = 0.05  # seconds
LATE = 0.1  # seconds; a timer this late, with no work done meanwhile, tells of such a stop
GRACE = 1.0  # seconds at most that a server gets after such a timer
LOOKS = 8  # turns of the loop; bytes take two to their reader, a new connection a few more


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Six clocks, in seconds; None turns one off.

    connect: TCP and TLS to one address. 10: a host that answers at all answers within a
        second, and three lost SYNs (1 + 2 + 4 s) still fit. The wait for a free pooled
        connection is not in it: that is the caller's own queue, not the server.
    silence: no byte at all, from the moment the request goes out. 300: g4f sends its
        headers only with the first piece of text, and a local model can take minutes
        over a long prompt; no server measured keeps silent longer and then answers.
    stall: bytes, but nothing of the answer: comments, pings, empty deltas. 600: some
        servers queue a request for minutes and send comments meanwhile. Reasoning and
        tool calls are progress.
    total: all the waiting for one reply, connecting and pauses between retries
        included. None: a long answer that flows is not a fault.
    first_text: all the waiting, from the start, for the first text, reasoning or tool
        call. Until that has come this clock stands in for ``silence`` and ``stall``, so
        that a model may think for longer than the gaps in its answer may last, or the
        reverse. None: ``silence`` and ``stall`` hold from the start.
    after_finish: no byte, once every choice asked for has its ``finish_reason`` and something
        was said. Then the reply ends, COMPLETE: no error. 15: usage, an error or the next step of a
        gateway that runs tools came up to 5 s after it; most servers send ``[DONE]`` at once, and
        then nothing is waited for. A heartbeat starts it anew, more of the answer turns it
        off; never longer than ``silence``, which holds alone with None.

    Time in which this process does not run (stopped, starved, blocked) is not counted
    against the server, and a clock that runs out first takes in what has arrived.

    A clock that runs out is not a reason to send the request again: the server may be
    at work on it.
    """

    connect: float | None = 10.0
    silence: float | None = 300.0
    stall: float | None = 600.0
    total: float | None = None
    first_text: float | None = None
    after_finish: float | None = 15.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise InvalidRequestError(
                    f"Timeouts({field.name}={value!r})",
                    hint=Hint("give seconds above 0, or None for no limit"),
                )


class Watchdog:
    """One appointment with the alarm for one reply, made anew only when it is due.

    A deadline around each read would cost a timer a delta. Here a wait notes when it begins
    and ends, and no more: what has run out is worked out when the timer fires. That is sound
    since time alone never brings a deadline nearer; where a setting does, the timer is
    looked at again (_settled).
    It also ends the wait that aiohttp's ``sock_read`` misses: a body with broken chunk
    framing leaves the C parser waiting for good.

    expire: called with the error when a clock has run out during a wait, or by end().
    spent: seconds of ``total`` used up, those before this one included.
    """

    __slots__ = (
        "_connect",
        "_due",
        "_first_text",
        "_looked",
        "_loop",
        "_no_connection",
        "_patience",
        "_settled",
        "_silence",
        "_silent",
        "_stalled",
        "_started",
        "_timeouts",
        "_timer",
        "_total",
        "_worked",
        "expire",
        "spent",
    )

    def __init__(self, timeouts: Timeouts, *, spent: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeouts = timeouts
        self._connect = math.inf
        self._no_connection: Callable[[], ClockError] | None = None  # set while there is none
        # A setting is above 0, or None for no limit.
        self._silence = timeouts.silence or math.inf
        self._patience = timeouts.stall or math.inf
        self._total = timeouts.total or math.inf
        self._first_text: float | None = timeouts.first_text  # None when it has come
        self._silent = 0.0  # seconds waited since the last byte, the current wait aside
        self._stalled = 0.0  # seconds waited since the last progress, the current wait aside
        self._started: float | None = None
        self._timer: Appointment | asyncio.Handle | None = None
        self._due = math.inf  # when it fires; uvloop's own do not tell
        self._settled = False  # no clock runs out before the timer fires
        self._worked = 0.0  # CPU seconds of this thread when the timer was set
        self._looked = 0  # turns of the loop since the clock ran out
        self.expire: Callable[[CopilotError], object] = _nobody
        self.spent = spent

    def connect(self, now: float, seconds: float | None, error: Callable[[], ClockError]) -> None:
        """The wait for a connection begins, which error() is for when it takes longer."""
        self._connect = seconds or math.inf
        self._no_connection = error
        self._patience = math.inf  # until there is a body
        self._settled = False
        self.start(now)

    def send(self, now: float) -> None:
        """The request goes out: the wait for its answer begins, unless it is here already."""
        self._no_connection = None
        self._settled = False
        if self._started is not None:
            self.start(now)

    def answer(self) -> None:
        """There is a body, whatever became of the request: from now on stall counts too."""
        self._no_connection = None
        self._stalled = 0.0
        self._patience = self._timeouts.stall or math.inf
        self._settled = False

    def start(self, now: float) -> None:
        """A wait begins, or after bytes that brought nothing, goes on."""
        if self._started is not None:
            self.stop(now)
        self._started = now
        if not self._settled:
            left = self._left()
            if self._timer is None or 0 < left < self._due - now:
                self._arm(now, left, whole=left)
            self._settled = True

    def stop(self, now: float, *, silent: bool = False) -> None:
        """The wait is over: the caller works on what has come; silent: on what came before."""
        if self._started is not None:
            waited = now - self._started
            self._started = None
            self._silent = self._silent + waited if silent else 0.0
            self._stalled += waited
            self.spent += waited

    def progress(self, now: float) -> None:
        """Something of the answer came: the wait is over, the stall clock starts anew."""
        if self._started is not None:
            self.spent += now - self._started
            self._started = None
        self._silent = self._stalled = 0.0
        if self._first_text is not None:
            self._first_text = None
            self._settled = False

    def finish(self, *, finished: bool) -> None:
        """The answer has finished, or goes on after all: after_finish holds, or no more."""
        longest = (finished and self._timeouts.after_finish) or math.inf
        self._silence = min(longest, self._timeouts.silence or math.inf)
        self._settled = False

    def limit(self, seconds: float) -> None:
        """Wait no longer than this from now on, bytes or not."""
        self._stalled = 0.0
        self._patience = min(seconds, self._timeouts.stall or math.inf)
        self._first_text = None
        self._settled = False

    def end(self, error: CopilotError) -> None:
        """End the wait with error, as if a clock had run out."""
        self.expire(error)

    def cancel(self) -> None:
        """Stop for good; what was waited counts in ``spent``."""
        if self._started is not None:
            self.stop(self._loop.time())
        self.expire = _nobody
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._settled = False

    def _left(self) -> float:
        """Return how long a wait that begins now may last."""
        left = self._total - self.spent
        if self._first_text is not None:
            left = min(left, self._first_text - self.spent)
        if self._no_connection is not None:
            return min(left, self._connect - self._silent)
        if self._first_text is not None:
            return left
        return min(left, self._silence - self._silent, self._patience - self._stalled)

    def _arm(self, now: float, left: float, *, whole: float) -> None:
        """Look again when the time left is over, or at the end of a part of the whole wait."""
        part = max(whole / PARTS, SHORTEST_PART)
        self._look_at(now + min(left, part), now)

    def _look_at(self, due: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # At least a millisecond: timers may come early by the clock's resolution.
        self._due = max(due, now + 0.001)
        self._worked = time.thread_time()
        if due != math.inf:
            self._timer = alarm_here().call_at(self._due, self._fire)

    def _fire(self) -> None:
        now = self._loop.time()
        self._timer = None
        if self._started is None:  # the caller works
            left = self._left()
            self._arm(now, left, whole=left)
            return
        # Neither the process's absence is the server's, nor a call that blocked the loop. Work
        # is counted: else a server could stop the clock by keeping the loop at work.
        absent = now - max(self._due, self._started) - (time.thread_time() - self._worked)
        if absent > LATE:
            self._started += absent
        waited = now - self._started
        whole = self._left()
        left = whole - waited
        if left > 0:
            self._looked = 0
            self._arm(now, left, whole=whole)
        elif absent > LATE and not self._looked:
            self._looked = 1
            self._look_at(now + min(absent, GRACE), now)
        elif self._looked < LOOKS:
            # What arrived in this turn of the loop is with its reader in the next ones.
            self._looked += 1
            self._due = now
            self._worked = time.thread_time()
            self._timer = self._loop.call_soon(self._fire)
        else:
            self.expire(self.error(waited))

    def error(self, waited: float = 0.0) -> ClockError:
        """Return the error of the clock that has run out, waited seconds into a wait."""
        timeouts = self._timeouts
        if self.spent + waited >= self._total:
            return TotalTimeoutError(
                f"the reply was not complete after {_seconds(timeouts.total)} of waiting",
                hint=Hint("if it may take longer, raise {option}", "Timeouts(total=...)"),
                seconds=timeouts.total,
            )
        first_text = timeouts.first_text
        if self._first_text is not None and self.spent + waited >= self._first_text:
            return FirstTextTimeoutError(
                f"the server has sent no text of its answer within {_seconds(first_text)}",
                hint=Hint("if it may take longer, raise {option}", "Timeouts(first_text=...)"),
                seconds=first_text,
            )
        if self._no_connection is not None:
            return self._no_connection()
        if self._stalled + waited >= max(self._patience, timeouts.stall or math.inf):
            return StallTimeoutError(
                f"the server has sent nothing of its answer for {_seconds(timeouts.stall)}, only "
                f"comments or empty deltas",
                hint=Hint(
                    "if it queues requests for longer, raise {option}", "Timeouts(stall=...)"
                ),
                seconds=timeouts.stall,
            )
        return SilenceTimeoutError(
            f"the server has sent no byte for {_seconds(timeouts.silence)}",
            hint=Hint("if it needs longer to answer, raise {option}", "Timeouts(silence=...)"),
            seconds=timeouts.silence,
        )


def _nobody(_: CopilotError) -> None:
    """For a clock that has no reader yet, or no more."""


def _seconds(setting: float | None) -> str:
    # None where a limit() ran out, which is tighter than the settings and is never shown.
    return "its time" if setting is None else f"{setting:g} s"
