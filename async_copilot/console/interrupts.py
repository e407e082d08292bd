"""Signals in, the end of what is under way out: Ctrl-C in every state of the console.

While a turn runs, a signal cancels it, so that its connection is closed in good order;
even while it writes to a reader that does not read, where the event loop stands still.
At any other moment, and at the second signal, KeyboardInterrupt is raised on the spot.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

__all__ = ["Interrupts"]

Result = TypeVar("Result")

# SIGTERM and SIGHUP end the program by default without a word to the server.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


class Interrupts:
    """Handles signals inside ``with``.

    signal: the last one that came; None: none yet.
    count:  how many came since it was last set to 0.
    writing: a write is under way, which may block; kept by the streams.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.count = 0
        self.writing = False
        self._task: asyncio.Task[Any] | None = None
        self._replaced: dict[int, Any] = {}

    @property
    def status(self) -> int:
        """The exit status of a program that the last signal ended."""
        return 128 + (self.signal or signal.SIGINT)

    @property
    def must_leave(self) -> bool:
        """True when the program is to end, not only what it was doing."""
        return self.count > 1 or self.signal not in (None, signal.SIGINT)

    def run(self, runner: asyncio.Runner, work: Coroutine[Any, Any, Result]) -> Result:
        """Run work in the runner's loop; raise KeyboardInterrupt if a signal ended it."""

        async def interruptible() -> Result:
            with self._waking_loop():
                self._task = asyncio.current_task()
                try:
                    return await work
                finally:
                    self._task = None

        try:
            return runner.run(interruptible())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in _NAMES:
                number = getattr(signal, name, None)  # Windows has no SIGHUP
                # One that is ignored (nohup, a background job) stays ignored.
                if number is not None and signal.getsignal(number) in _DEFAULTS:
                    self._replaced[number] = signal.signal(number, self._caught)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._replaced.items():
            signal.signal(number, handler)
        self._replaced.clear()

    @contextmanager
    def _waking_loop(self) -> Iterator[None]:
        """Let a signal wake the loop, even one that comes just before the loop falls asleep.

        A handler in Python runs when the main thread next runs Python, not before.
        """
        if not self._replaced or sys.platform == "win32":  # where asyncio does this itself
            yield
            return
        loop = asyncio.get_running_loop()
        awake, bell = socket.socketpair()
        with awake, bell:
            for end in (awake, bell):
                end.setblocking(False)  # noqa: FBT003  # the standard library's
            loop.add_reader(awake, awake.recv, 64)
            previous = signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
            try:
                yield
            finally:
                signal.set_wakeup_fd(previous)
                loop.remove_reader(awake)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self.count += 1
        task, self._task = self._task, None
        if task is None:
            raise KeyboardInterrupt
        if self.writing and asyncio.current_task(task.get_loop()) is task:
            raise asyncio.CancelledError  # as if the write had been waited for
        task.get_loop().call_soon_threadsafe(task.cancel)  # wakes the loop, too
