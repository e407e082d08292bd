"""The pytest fixtures of the fake server, by the entry point ``async_copilot``.

Only pytest imports this module. The server, and aiohttp.web with it, is imported when a
test asks for a fixture::

    async def test_my_code(fake_chat_server):
        async with fake_chat_server("Hello") as server:
            assert await my_code(server.url) == "Hello"

    def test_my_blocking_code(fake_chat_server_sync):
        with fake_chat_server_sync("Hello") as server:
            assert my_blocking_code(server.url) == "Hello"

    def test_code_that_uses_openai(fake_openai):
        fake_openai.script("Hello")
        assert my_agent() == "Hello"
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .fake_server import FakeServer

__all__ = ["fake_chat_server", "fake_chat_server_sync", "fake_openai"]


def _fake_server() -> type[FakeServer]:
    # aiohttp.web costs time, which a test run that needs no server should not pay.
    from .fake_server import FakeServer  # noqa: PLC0415

    return FakeServer


@pytest.fixture
def fake_chat_server(request: pytest.FixtureRequest) -> type[FakeServer]:
    """``FakeServer``, to be called with a script and used with ``async with``.

    A test that anyio runs under trio is skipped: the server needs asyncio's event loop.
    """
    if "anyio_backend" in request.fixturenames:  # every test that is anyio's has it
        given = request.getfixturevalue("anyio_backend")
        backend = given if isinstance(given, str) else given[0]  # or with its options
        if backend != "asyncio":
            pytest.skip(f"FakeServer runs in asyncio, not in {backend}: use fake_chat_server_sync")
    return _fake_server()


@pytest.fixture
def fake_chat_server_sync() -> type[FakeServer]:
    """``FakeServer``, to be called with a script and used with ``with``, from any test."""
    return _fake_server()


@pytest.fixture
def fake_openai(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A running server of OpenAI's dialect that every client finds by the environment.

    ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` are set for the test, so that code under test needs
    no change, and ``OPENAI_API_BASE``, which some clients read first. A proxy of the environment
    is not asked for this machine. ``fake_openai.script(...)`` says what it answers, before that
    it is the demo. What was not expected fails the test when it ends, as with any ``FakeServer``.
    """
    with _fake_server()(dialect="openai", api_key="sk-fake") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-fake")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "127.0.0.1", prepend=",")
        yield server
