"""The relay in aiohttp.web."""

from __future__ import annotations

import logging

import pytest

from async_copilot.fake_server import ErrorFrame, FakeAnswer, FakeServer, Repeat, Script

from .serving import aiohttp_relay
from .tab import PACED, STALLED, WORDS, assert_closing_it_ends_the_turn, opened


async def test_text_is_passed_on_as_it_comes() -> None:
    async with FakeServer(PACED) as upstream, aiohttp_relay(upstream) as url, opened(url) as tab:
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
    async with FakeServer(script) as upstream, aiohttp_relay(upstream) as url:
        await assert_closing_it_ends_the_turn(url, upstream)


async def test_an_error_reaches_the_page_by_name_and_the_log_in_full(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    script: Script = [
        FakeAnswer(status=401, error="no such key"),
        FakeAnswer(WORDS[:2], fault=ErrorFrame("out of memory")),
    ]
    async with FakeServer(script) as upstream, aiohttp_relay(upstream) as url:
        async with opened(url) as tab:
            assert [frame async for frame in tab.frames()] == [{"error": "AuthenticationError"}]
        async with opened(url) as tab:
            *texts, last = [frame async for frame in tab.frames()]
    assert "".join(frame["text"] for frame in texts) == "".join(WORDS[:2])
    assert last == {"error": "StreamError"}
    assert "no such key" in caplog.text
    assert "out of memory" in caplog.text
