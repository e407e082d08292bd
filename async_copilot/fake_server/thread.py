"""An event loop in a thread of its own, for programs that have none. I/O: that thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

__all__ = ["Done", "LoopThread"]

_T = TypeVar("_T")
# A script function that never comes back must not hang the test that waits for it.
_STOP_SECONDS = 10.0


class Done:
    """Something to await that is over: what a blocking call returns in place of a coroutine."""

    def __await__(self) -> Generator[Any, None, None]:
        return iter(())  # type: ignore[return-value]  # an iterator does for an await


class LoopThread:
    """A running loop. ``call`` runs a coroutine there and waits for it here."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="FakeServer", daemon=True
        )
        self._thread.start()
        self._ready.wait()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """The result of this coroutine, run in the loop; its exception is raised here."""
        if self._loop is None:  # pragma: no cover  # __init__ waits for it
            raise RuntimeError("the loop does not run")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def post(self, function: Any) -> None:
        """Runs the function in the loop, later."""
        if self._loop is not None:  # pragma: no branch  # __init__ waits for it
            self._loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        """Ends the loop and the thread.

        Raises RuntimeError where the loop does not end within ten seconds: something blocks it.
        """
        if self._stop is not None:  # pragma: no branch  # __init__ waits for it
            self.post(self._stop.set)
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            raise RuntimeError(f"the fake server's loop did not end within {_STOP_SECONDS:g} s")
