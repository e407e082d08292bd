"""A wait of the running task, which a clock may end from outside."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from ..errors import CopilotError

__all__ = ["Interruptible"]


class Interruptible:
    """``with`` it around a wait: end() cancels the wait, and TimeoutError is raised in its place.

    That is what ``asyncio.timeout()`` does, without deadlines, for a third of the time.
    A cancellation from elsewhere stays one, even at the same moment.

    error: what the wait was ended with.
    """

    __slots__ = ("_before", "_cancelled", "_handle", "_task", "error")

    def __init__(self) -> None:
        self.error: CopilotError | None = None
        self._cancelled = False
        self._handle: asyncio.Handle | None = None
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> None:
        self._task = task = asyncio.current_task()
        self._before = 0 if task is None else task.cancelling()

    def end(self, error: CopilotError) -> None:
        """End the wait with error, in the next turn of the loop; only the first one counts."""
        if self.error is None and self._task is not None:
            self.error = error
            # Not at once: the task itself may call this, which cannot be cancelled while it runs.
            self._handle = asyncio.get_running_loop().call_soon(self._cancel, self._task)

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        self._cancelled = True
        task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if self._handle is not None:
            self._handle.cancel()
        if self._cancelled and task is not None:
            others = task.uncancel() > self._before
            if kind is asyncio.CancelledError and not others:
                raise TimeoutError from error
