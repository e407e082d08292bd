"""The relay and its page in Chromium: typed, read while it grows, reloaded, closed."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from recipes.readme import code
from recipes.serving import aiohttp_relay

from async_copilot.fake_server import ErrorFrame, FakeAnswer, FakeServer, Repeat, Stall

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.browser

WORDS = ["Grüße ", "an ", "<b>Heiner</b>, ", "schön, ", "dass ", "du\n\n", "da ", "bist. "]
TEXT = "".join(WORDS)


@asynccontextmanager
async def tab(upstream: FakeServer, **options: Any) -> AsyncIterator[Page]:
    """A tab of Chromium with the relay's page in it.  options: as aiohttp_relay() takes them."""
    from playwright.async_api import async_playwright  # noqa: PLC0415  # of the extra "recipes"

    chromium = shutil.which("chromium")
    assert chromium, "no chromium here; on Debian: apt-get install chromium"
    async with (
        aiohttp_relay(upstream, page=code("relay-page"), **options) as url,
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=chromium) as browser,
        await browser.new_page() as page,
    ):
        await page.goto(url)
        yield page


async def ask(page: Page, question: str) -> None:
    """Type a question, a key at a time, and send it off."""
    await page.locator("#message").fill("")
    await page.locator("#message").press_sequentially(question)
    await page.get_by_role("button", name="Send").click()


async def growing(page: Page, *, until: str) -> list[str]:
    """Return what #answer shows, each time it has changed, until it begins with this."""
    seen = [""]
    while not seen[-1].startswith(until):
        change = "seen => document.querySelector('#answer').textContent !== seen"
        await page.wait_for_function(change, arg=seen[-1], timeout=15000)
        seen.append(await page.locator("#answer").text_content() or "")
    return seen


async def test_typed_text_is_answered_piece_by_piece() -> None:
    async with FakeServer(FakeAnswer(WORDS, pace=4, times=None)) as upstream, tab(upstream) as page:
        await ask(page, "Hello, wörld")
        seen = await growing(page, until=TEXT)
        assert seen[-1] == TEXT
        assert len(seen) > 3, "it grew while the eye was on it"
        assert all(later.startswith(earlier) for earlier, later in pairwise(seen))
        assert upstream.requests[0].text == "Hello, wörld"
        await ask(page, "And again")
        assert (await growing(page, until=TEXT))[-1] == TEXT
        await page.wait_for_timeout(200)
        assert await page.locator("#answer").text_content() == TEXT, "its end closed the stream"


async def test_a_page_reloaded_in_mid_answer_shows_the_whole_text() -> None:
    script = FakeAnswer(WORDS, pace=4)
    async with FakeServer(script) as upstream, tab(upstream) as page:
        await ask(page, "Hello")
        await growing(page, until="".join(WORDS[:3]))
        assert upstream.requests[0].ended is None
        await page.reload()
        seen = await growing(page, until=TEXT)
        assert seen[-1] == TEXT
        assert len(seen) > 3, "it still grew"
        await page.reload()
        assert (await growing(page, until=TEXT))[-1] == TEXT, "after its end, too"
        assert len(upstream.requests) == 1
        assert upstream.disconnects == 0


@pytest.mark.parametrize("known", [True, False], ids=["known id", "id of another answer"])
async def test_a_lost_connection_is_taken_up_where_it_was_lost(
    known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the browser itself, which says in Last-Event-ID what it has seen."""
    monkeypatch.setattr("secrets.token_hex", lambda _: "key")
    last = "key-0" if known else "other-0"
    first = f'retry: 10\nid: {last}\ndata: {{"text": "Grüße "}}\n\n'  # and then it is lost
    seen: list[str | None] = []
    async with (
        FakeServer(FakeAnswer(WORDS, pace=4)) as upstream,
        tab(upstream, last_event_ids=seen) as page,
    ):

        async def lose(route: Any) -> None:
            await route.fulfill(content_type="text/event-stream", body=first)

        await page.route("**/chat/*", lose, times=1)
        await ask(page, "Hello")
        assert (await growing(page, until=TEXT))[-1] == TEXT
    assert seen == [last]


async def test_an_answer_that_is_gone_says_so() -> None:
    async with FakeServer("Hello") as upstream, tab(upstream) as page:
        await page.goto(page.url + "#gone")
        await page.reload()
        seen = await growing(page, until=" [not available]")
        assert seen[-1] == " [not available]"


@pytest.mark.parametrize(
    "script",
    [FakeAnswer(WORDS, pace=20, fault=Repeat()), FakeAnswer(WORDS, fault=Stall(after=3))],
    ids=["while text flows", "while the server says nothing"],
)
async def test_the_chat_server_sees_a_closed_tab(script: FakeAnswer) -> None:
    """When nobody has come back for GRACE seconds."""
    async with FakeServer(script) as upstream, tab(upstream, GRACE=3.0, PING=1.0) as page:
        await ask(page, "Hello")
        await growing(page, until="".join(WORDS[:3]))
        assert upstream.disconnects == 0
        await page.close()
        await upstream.until(lambda: upstream.disconnects == 1, within=20)


async def test_a_second_click_does_not_ask_twice() -> None:
    async with FakeServer(FakeAnswer(WORDS, pace=20)) as upstream, tab(upstream) as page:
        await page.locator("#message").fill("Hello")
        await page.evaluate("() => { send.click(); send.click(); }")
        assert (await growing(page, until=TEXT))[-1] == TEXT
        assert len(upstream.requests) == 1


async def test_a_question_that_is_refused_says_so() -> None:
    async with FakeServer("Hello") as upstream, tab(upstream) as page:

        async def refuse(route: Any) -> None:
            await route.fulfill(status=502, body="Bad gateway")

        await page.route("**/chat", refuse)
        await ask(page, "Hello")
        assert (await growing(page, until="["))[-1] == "[not available]"
        assert await page.locator("#send").is_enabled()


async def test_an_answer_cut_off_by_its_limit_is_marked() -> None:
    script = FakeAnswer(WORDS[:2], finish_reason="length")
    async with FakeServer(script) as upstream, tab(upstream) as page:
        await ask(page, "Hello")
        seen = await growing(page, until="".join(WORDS[:2]) + " [")
        assert seen[-1] == "".join(WORDS[:2]) + " [length]"


async def test_an_error_is_shown_after_the_text_that_came() -> None:
    script = FakeAnswer(WORDS[:2], fault=ErrorFrame("out of memory"))
    async with FakeServer(script) as upstream, tab(upstream) as page:
        await ask(page, "Hello")
        seen = await growing(page, until="".join(WORDS[:2]) + " [")
        assert seen[-1] == "".join(WORDS[:2]) + " [StreamError]"
