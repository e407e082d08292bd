"""A fake server for callers that have no event loop running."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from async_copilot.fake_server import FakeServer, Script

__all__ = ["server_in_a_thread"]


@contextmanager
def server_in_a_thread(script: Script) -> Iterator[FakeServer]:
    """A server for callers that have no event loop running."""
    server = FakeServer(script)
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with server:
            ready.set()
            while not over.is_set():  # noqa: ASYNC110  # it is set in another thread
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(30)
        yield server
    finally:
        over.set()
        thread.join()
