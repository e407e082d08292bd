"""An event loop in a thread of its own, for programs that have none. I/O: that thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Generator
from concurrent.futures import wait
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
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
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
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def stop(self, last: Coroutine[Any, Any, None]) -> None:
        """Runs a last coroutine, then ends the loop and the thread.

        Raises RuntimeError where that takes more than ten seconds: something blocks the loop.
        The thread then ends when it does not any more.
        """
        ended = asyncio.run_coroutine_threadsafe(last, self._loop)
        ended.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._stop.set))
        wait([ended], _STOP_SECONDS)
        self._thread.join(_STOP_SECONDS if ended.done() else 0.0)
        if self._thread.is_alive():  # what a function began in another thread holds it too
            blocked = f"the fake server did not end within {_STOP_SECONDS:g} s"
            raise RuntimeError(f"{blocked}: a function of its script blocks it")
        ended.result()
