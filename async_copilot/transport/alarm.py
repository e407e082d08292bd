"""Deadlines of an event loop in, one timer of it for all of them.

Each request has clocks that hardly ever run out. A timer of the loop's own for each would
cost as much as all else that a clock does: to make, to put in order, and to throw away.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from contextvars import Context
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any
from weakref import ref

__all__ = ["Alarm", "Appointment", "alarm_here"]

MANY = 256  # appointments, before those that were cancelled are looked for


class Appointment(list[Any]):
    """[due, number, call]; a list, since lists are put in order without a call of Python's.

    waiting: the heap that it stands in.
    """

    __slots__ = ("waiting",)
    waiting: list[Appointment]

    def cancel(self) -> None:
        self[2] = None
        # A heap stays one without its end, where the latest stand: the last ones made, mostly.
        waiting = self.waiting
        while waiting and waiting[-1][2] is None:
            waiting.pop()


class Alarm:
    """Calls back at loop times. Its timer is set anew only for what comes before all else.

    It holds neither its loop nor a timer, which holds the loop: whoever holds an alarm
    must not keep a loop alive. So a timer that was overtaken is not cancelled but ignored.
    """

    __slots__ = ("__weakref__", "_due", "_many", "_numbers", "_waiting", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = ref(loop)
        self._waiting: list[Appointment] = []  # a heap
        self._many = MANY
        self._numbers = count()
        self._due = math.inf  # when the timer fires that counts

    def call_at(self, due: float, call: Callable[[], object]) -> Appointment:
        """Call at this loop time; in the loop itself. What is returned can be cancelled."""
        appointment = Appointment((due, next(self._numbers), call))
        if len(self._waiting) > self._many:
            self._waiting[:] = [kept for kept in self._waiting if kept[2] is not None]
            heapify(self._waiting)
            self._many = max(MANY, 2 * len(self._waiting))
        appointment.waiting = self._waiting
        heappush(self._waiting, appointment)
        if due < self._due:
            self._set(due)
        return appointment

    def _set(self, due: float) -> None:
        self._due = due
        # In a context of its own, or it would keep the variables of whoever came first.
        asyncio.get_running_loop().call_at(due, self._ring, due, context=Context())

    def _ring(self, due: float) -> None:
        if due != self._due:
            return
        now = max(due, asyncio.get_running_loop().time())  # a timer may fire early by a bit
        self._due = -math.inf  # so that what is called sets no timer: it is set below
        waiting = self._waiting
        try:
            while waiting and waiting[0][0] <= now:
                call = heappop(waiting)[2]
                if call is not None:
                    call()
        finally:
            while waiting and waiting[0][2] is None:
                heappop(waiting)
            self._due = math.inf
            if waiting:
                self._set(waiting[0][0])


class _Here(threading.local):
    alarm: Alarm | None = None


_here = _Here()


def alarm_here() -> Alarm:
    """Return the alarm of the running loop."""
    loop, found = asyncio.get_running_loop(), _here.alarm
    if found is None or found.loop() is not loop:
        found = _here.alarm = Alarm(loop)
    return found
