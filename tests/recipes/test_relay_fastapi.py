"""The relay in FastAPI, served by uvicorn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from async_copilot.fake_server import ErrorFrame, FakeAnswer, FakeServer, Repeat, Script

from .readme import recipe
from .tab import PACED, STALLED, WORDS, assert_closing_it_ends_the_turn, opened

pytestmark = pytest.mark.recipes


@asynccontextmanager
async def relay(upstream: FakeServer) -> AsyncIterator[str]:
    """Serve the recipe's app; its address."""
    import uvicorn  # noqa: PLC0415  # of the extra "recipes"

    app = recipe("relay-fastapi", BASE_URL=upstream.url).app
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="on"))
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.01)
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await serving


async def test_text_is_passed_on_as_it_comes() -> None:
    async with FakeServer(PACED) as upstream, relay(upstream) as url, opened(url) as tab:
        assert tab.response.content_type == "text/event-stream"
        frames: list[dict[str, str]] = []
        async for frame in tab.frames():
            if not frames:
                assert upstream.requests[0].ended is None
            frames.append(frame)
    assert [frame["text"] for frame in frames[:-1]] == WORDS
    assert frames[-1] == {"end": "complete"}
    assert upstream.requests[0].text == "Hello"


@pytest.mark.parametrize(
    "script",
    [FakeAnswer(WORDS, pace=40, fault=Repeat()), STALLED],
    ids=["while text flows", "while the server says nothing"],
)
async def test_a_closed_tab_ends_the_turn_within_a_second(script: FakeAnswer) -> None:
    async with FakeServer(script) as upstream, relay(upstream) as url:
        await assert_closing_it_ends_the_turn(url, upstream)


async def test_a_finished_turn_gives_its_connection_to_the_next() -> None:
    async with FakeServer("Hello") as upstream, relay(upstream) as url:
        for _ in range(3):
            async with opened(url) as tab:
                assert [frame async for frame in tab.frames()][-1] == {"end": "complete"}
        assert upstream.connections == 1


async def test_an_error_is_a_status_before_the_text_and_a_frame_after_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    script: Script = [
        FakeAnswer(status=401, error="no such key"),
        FakeAnswer(WORDS[:2], fault=ErrorFrame("out of memory")),
    ]
    async with FakeServer(script) as upstream, relay(upstream) as url:
        async with opened(url) as tab:
            assert tab.response.status == 502
            assert await tab.response.json() == {"error": "AuthenticationError"}
        async with opened(url) as tab:
            *texts, last = [frame async for frame in tab.frames()]
    assert "".join(frame["text"] for frame in texts) == "".join(WORDS[:2])
    assert last == {"error": "StreamError"}
    assert "no such key" in caplog.text
    assert "out of memory" in caplog.text
