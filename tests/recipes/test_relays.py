"""The relays in aiohttp.web and FastAPI, and the hub between an answer and its readers."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest

from async_copilot import CopilotClient
from async_copilot.fake_server import ErrorFrame, FakeAnswer, FakeServer, Repeat, Script

from .readme import code
from .serving import aiohttp_relay, fastapi_relay, hub_importable
from .tab import PACED, STALLED, TEXT, WORDS, asked, text_of

RELAYS = [
    pytest.param(aiohttp_relay, id="aiohttp"),
    pytest.param(fastapi_relay, id="fastapi", marks=pytest.mark.recipes),
]
each_relay = pytest.mark.parametrize("relay", RELAYS)


@each_relay
async def test_text_is_passed_on_as_it_comes(relay: Any) -> None:
    async with FakeServer(PACED) as upstream, relay(upstream) as url, asked(url) as tab:
        events: list[dict[str, str]] = []
        async for event in tab.events():
            if not events:
                assert upstream.requests[0].ended is None
            events.append(event)
    assert text_of(events) == TEXT
    assert len(events) > len(WORDS) / 2, "piece by piece"
    assert events[-1] == {"end": "stop"}
    assert upstream.requests[0].text == "Hello"


@each_relay
async def test_a_reader_that_comes_back_gets_what_it_missed(relay: Any) -> None:
    async with FakeServer(PACED) as upstream, relay(upstream) as url, asked(url) as tab:
        events = []
        async with aclosing(tab.events()) as first:
            async for event in first:
                events.append(event)
                if len(events) == 4:
                    break
        assert tab.last_event_id.endswith("-3")
        events += [event async for event in tab.events(tab.last_event_id)]
        assert text_of(events) == TEXT
        assert events[-1] == {"end": "stop"}
        async with tab.opened(tab.last_event_id) as response:
            assert response.status == 204, "so that a browser does not come back"
        for known in ("", "other-3"):
            again = [event async for event in tab.events(known)]
            assert again == events, "whole, and after its end too"
        assert len(upstream.requests) == 1


@each_relay
@pytest.mark.parametrize(
    "script",
    [FakeAnswer(WORDS, pace=40, fault=Repeat()), STALLED],
    ids=["while text flows", "while the server says nothing"],
)
async def test_an_answer_without_readers_is_left(relay: Any, script: FakeAnswer) -> None:
    async with (
        FakeServer(script) as upstream,
        relay(upstream, GRACE=1.0) as url,
        asked(url) as tab,
    ):
        text = ""
        async with aclosing(tab.events()) as events:
            async for event in events:
                text += event["text"]
                if text == "".join(WORDS[:3]):
                    break
        await asyncio.sleep(0)
        assert upstream.disconnects == 0
        await upstream.until(lambda: upstream.disconnects == 1, within=10)
        assert [event async for event in tab.events()][-1] == {"end": "cancelled"}


@each_relay
async def test_a_finished_answer_gives_its_connection_to_the_next(relay: Any) -> None:
    async with FakeServer("Hello") as upstream, relay(upstream) as url:
        for _ in range(3):
            async with asked(url) as tab:
                assert [event async for event in tab.events()][-1] == {"end": "stop"}
        assert upstream.connections == 1


@each_relay
async def test_an_answer_cut_off_by_its_limit_is_not_a_whole_one(relay: Any) -> None:
    script = FakeAnswer("Hel", finish_reason="length")
    async with FakeServer(script) as upstream, relay(upstream) as url, asked(url) as tab:
        assert [event async for event in tab.events()] == [{"text": "Hel"}, {"end": "length"}]


@each_relay
@pytest.mark.parametrize("body", ["", "no", "[]", "{}", "7"])
async def test_a_question_without_a_message_is_refused(relay: Any, body: str) -> None:
    async with (
        FakeServer("Hello") as upstream,
        relay(upstream) as url,
        aiohttp.ClientSession(url, headers={"Content-Type": "application/json"}) as session,
        session.post("/chat", data=body) as response,
    ):
        assert response.status in (400, 422)
        assert upstream.requests == []


@each_relay
async def test_an_error_is_told_by_name_and_logged_in_full(
    relay: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    script: Script = [
        FakeAnswer(status=401, error="no such key"),
        FakeAnswer(WORDS[:2], fault=ErrorFrame("out of memory")),
    ]
    async with FakeServer(script) as upstream, relay(upstream) as url:
        async with asked(url) as tab:
            assert [event async for event in tab.events()] == [{"error": "AuthenticationError"}]
        async with asked(url) as tab:
            *texts, last = [event async for event in tab.events()]
    assert text_of(texts) == "".join(WORDS[:2])
    assert last == {"error": "StreamError"}
    assert "no such key" in caplog.text
    assert "out of memory" in caplog.text


@each_relay
async def test_an_answer_that_nobody_asked_for_is_a_404(relay: Any) -> None:
    async with (
        FakeServer("Hello") as upstream,
        relay(upstream) as url,
        aiohttp.ClientSession(url) as session,
        session.get("/chat/x") as response,
    ):
        assert response.status == 404


@each_relay
async def test_stopping_the_relay_ends_every_stream(relay: Any) -> None:
    """At once, not when a timeout of the server has run out."""
    started = asyncio.get_running_loop().time()
    async with FakeServer(STALLED) as upstream:
        async with relay(upstream) as url, asked(url) as tab:
            reading = asyncio.create_task(anext(tab.events()))
            await reading
        await upstream.until(lambda: upstream.disconnects == 1, within=5)
    assert asyncio.get_running_loop().time() - started < 30


# ------------------------------------------------------------------ the hub alone


async def test_readers_do_not_wait_for_each_other() -> None:
    """One that stops after its first frame holds up neither the answer nor the others."""
    async with FakeServer(PACED) as upstream, CopilotClient(base_url=upstream.url) as client:
        with hub_importable() as module:
            hub = module.Hub(client.stream("Hello"))
            slow = hub.read()
            await anext(slow)
            fast = [b"".join([frame async for frame in hub.read()]) for _ in range(2)]
            assert fast[0].removeprefix(b":\n\n") == fast[1], "in time, or late: the same"
            rest = b"".join([frame async for frame in slow])
            assert rest == fast[1]
        assert len(upstream.requests) == 1


async def test_one_that_never_reads_does_not_keep_an_answer_going() -> None:
    """And it gets what came all the same, should it read later."""
    script = FakeAnswer(WORDS, pace=40, fault=Repeat())
    async with FakeServer(script) as upstream, CopilotClient(base_url=upstream.url) as client:
        with hub_importable(GRACE=0.5) as module:
            hub = module.Hub(client.stream("Hello"))
            idle = hub.read()
            await anext(idle)
            await upstream.until(lambda: upstream.disconnects == 1, within=10)
            frames = b"".join([frame async for frame in idle])
            assert frames.endswith(b'data: {"end":"cancelled"}\n\n')
            assert hub.frames


async def test_one_that_waits_for_a_silent_server_keeps_its_answer() -> None:
    async with FakeServer(STALLED) as upstream, CopilotClient(base_url=upstream.url) as client:
        with hub_importable(GRACE=2.0, PING=0.05) as module:
            hub = module.Hub(client.stream("Hello"))
            async with aclosing(hub.read()) as reading:
                started = asyncio.get_running_loop().time()
                async for _ in reading:
                    if asyncio.get_running_loop().time() - started > 3.0:
                        break
            assert not hub.task.done()
            hub.task.cancel()


async def test_an_unknown_last_event_id_gets_the_whole_answer() -> None:
    async with FakeServer("Hello") as upstream, CopilotClient(base_url=upstream.url) as client:
        with hub_importable() as module:
            hub = module.Hub(client.stream("Hello"))
            whole = b"".join([frame async for frame in hub.read()]).removeprefix(b":\n\n")
            for given in (
                "",
                "0",
                "-1",
                "²",
                "9" * 5000,
                f"{hub.key}-99",
                f"{hub.key}-",
                "other-0",
            ):
                assert b"".join([frame async for frame in hub.read(given)]) == whole
                assert not hub.is_over(given)
            last = f"{hub.key}-{len(hub.frames) - 1}"
            assert hub.is_over(last)
            assert [frame async for frame in hub.read(last)] == []


async def test_a_silent_stream_is_kept_open_by_comments() -> None:
    async with FakeServer(STALLED) as upstream, CopilotClient(base_url=upstream.url) as client:
        with hub_importable(PING=0.05) as module:
            hub = module.Hub(client.stream("Hello"))
            frames = b""
            async with aclosing(hub.read()) as reading:
                async for frame in reading:
                    frames += frame
                    if frames.endswith(b":\n\n" * 3):
                        break
        hub.task.cancel()


async def test_an_answer_is_forgotten_some_time_after_its_end() -> None:
    async with FakeServer("Hello") as upstream, CopilotClient(base_url=upstream.url) as client:
        with hub_importable(KEEP=0.2) as module:
            hubs: dict[str, Any] = {}
            name = module.open_hub(hubs, client.stream("Hello"))
            assert [frame async for frame in hubs[name].read()]
            assert name in hubs
            async with asyncio.timeout(10):
                while hubs:  # noqa: ASYNC110  # a timer of the hub empties it
                    await asyncio.sleep(0.01)


def test_the_hub_stays_small() -> None:
    assert len([line for line in code("hub").splitlines() if line.strip()]) <= 60
