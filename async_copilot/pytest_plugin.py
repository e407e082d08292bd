"""The pytest fixture ``fake_chat_server``, by the entry point ``async_copilot``.

Only pytest imports this module. The server, and aiohttp.web with it, is imported when a
test asks for the fixture::

    async def test_my_code(fake_chat_server):
        async with fake_chat_server("Hello") as server:
            assert await my_code(server.url) == "Hello"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .fake_server import FakeServer

__all__ = ["fake_chat_server"]


@pytest.fixture
def fake_chat_server() -> type[FakeServer]:
    """``FakeServer``, to be called with a script and used with ``async with``."""
    # aiohttp.web costs time, which a test run that needs no server should not pay.
    from .fake_server import FakeServer  # noqa: PLC0415

    return FakeServer
