"""The bot, on a platform that throttles, limits messages and refuses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from async_copilot import CopilotClient
from async_copilot.fake_server import ErrorFrame, FakeAnswer, FakeServer, Request, Script, Stall

from .readme import recipe
from .tab import TEXT, WORDS

PACED = FakeAnswer(WORDS, pace=60, times=None)
INTERVAL = 0.05


class RefusedError(Exception):
    """What a platform's library raises."""


class TooManyRequestsError(RefusedError):
    """A platform's 429. retry_after: seconds."""

    retry_after = 0.02


class Platform:
    """A chat platform, as far as the recipe knows one.

    It refuses blank texts, texts above its limit, everything to a chat in ``blocked``, and
    one call after another as often as ``floods`` says.
    """

    def __init__(self, *updates: tuple[int, str], limit: int = 4096) -> None:
        self.blocked: set[int] = set()
        self.chats: dict[int, list[Message]] = {}
        self.limit = limit
        self.floods = 0
        self.news = asyncio.Event()
        self._updates = updates

    async def updates(self) -> AsyncIterator[tuple[int, str]]:
        for update in self._updates:
            yield update
            await asyncio.sleep(0.01)

    async def send(self, chat_id: int, text: str) -> Message:
        self.check(chat_id, text)
        message = Message(self, chat_id, text)
        self.chats.setdefault(chat_id, []).append(message)
        return message

    def check(self, chat_id: int, text: str) -> None:
        if self.floods:
            self.floods -= 1
            raise TooManyRequestsError
        if chat_id in self.blocked:
            raise RefusedError("the bot was blocked by the user")
        if not text.strip():
            raise RefusedError("the message is empty")
        if len(text) > self.limit:
            raise RefusedError("the message is too long")
        self.news.set()

    def texts(self, chat_id: int) -> list[str]:
        return [message.texts[-1] for message in self.chats.get(chat_id, [])]


class Message:
    def __init__(self, platform: Platform, chat_id: int, text: str) -> None:
        self.texts = [text]
        self.times = [asyncio.get_running_loop().time()]
        self._platform = platform
        self._chat_id = chat_id

    async def edit(self, text: str) -> None:
        self._platform.check(self._chat_id, text)
        self.texts.append(text)
        self.times.append(asyncio.get_running_loop().time())


async def serve(bot: Platform, script: Script, **constants: float) -> FakeServer:
    """Run the recipe until all updates are answered; return the server that answered."""
    async with FakeServer(script) as server, CopilotClient(base_url=server.url) as client:
        await recipe("bot", **{"INTERVAL": INTERVAL} | constants).run(bot, client)
    return server


async def test_a_bot_edits_at_its_pace_and_shows_everything() -> None:
    bot = Platform((1, "Hello"), (2, "Hello"), (1, "Again"))
    server = await serve(bot, PACED)
    assert [request.text for request in server.requests] == ["Hello", "Hello", "Again"]
    assert bot.texts(1) == [TEXT, TEXT]
    assert bot.texts(2) == [TEXT]
    for message in [*bot.chats[1], *bot.chats[2]]:
        assert len(message.texts) >= 3
        assert all(later.startswith(earlier) for earlier, later in pairwise(message.texts))
        # Read where the pace is kept the gaps are exact; here the clock is read a bit later.
        assert all(b - a > INTERVAL * 0.8 for a, b in pairwise(message.times))


async def test_a_long_answer_goes_on_in_another_message() -> None:
    """At the ends of words, each message as full as its words let it be."""
    bot = Platform((1, "Hello"), limit=20)
    await serve(bot, FakeAnswer(WORDS, pace=100), LIMIT=20, INTERVAL=0.01)
    texts = bot.texts(1)
    assert "".join(texts) == TEXT
    assert all(text.endswith(" ") for text in texts)
    assert len(texts) < len(WORDS)


async def test_one_huge_piece_is_split_too() -> None:
    bot = Platform((1, "Hello"), limit=100)
    await serve(bot, FakeAnswer(["\n\n", "x" * 1000]), LIMIT=100, INTERVAL=0.01)
    assert "".join(bot.texts(1)).strip() == "x" * 1000


async def test_a_chat_the_platform_refuses_leaves_the_others_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    bot = Platform((1, "Hello"), (2, "Hello"), (1, "Again"), (2, "Again"))
    bot.blocked = {1}
    server = await serve(bot, PACED)
    assert bot.texts(1) == []
    assert bot.texts(2) == [TEXT, TEXT]
    assert len(server.requests) == 4, "the refused chat is asked for again, too"
    assert len(caplog.records) == 2
    assert "blocked by the user" in caplog.text


async def test_a_platform_that_asks_for_time_gets_it_and_nothing_is_lost() -> None:
    bot = Platform((1, "Hello"))
    bot.floods = 3
    await serve(bot, PACED)
    assert bot.texts(1) == [TEXT]


async def test_a_platform_that_asks_for_time_for_ever_loses_one_turn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    bot = Platform((1, "Hello"), (1, "Again"))
    bot.floods = 5
    await serve(bot, FakeAnswer("Hi", times=None))
    assert bot.texts(1) == ["Hi"]
    assert "TooManyRequestsError" in caplog.text


async def test_a_flood_of_questions_is_cut_short() -> None:
    bot = Platform(*[(1, str(number)) for number in range(20)])
    server = await serve(bot, FakeAnswer("Hi", delay=0.5, times=None), WAITING=2)
    assert 3 <= len(server.requests) < 20


@pytest.mark.parametrize(
    ("script", "texts"),
    [
        (FakeAnswer(refusal="I may not."), ["I may not."]),
        (FakeAnswer(" "), ["There was no answer."]),
        (
            FakeAnswer("Hel", finish_reason="length"),
            ["Hel", "(The answer was cut off: it was too long.)"],
        ),
    ],
    ids=["refusal", "blank", "length"],
)
async def test_an_answer_without_a_whole_text_says_so(script: FakeAnswer, texts: list[str]) -> None:
    bot = Platform((1, "Hello"))
    await serve(bot, script)
    assert bot.texts(1) == texts


async def test_a_chat_of_months_keeps_a_short_history() -> None:
    bot = Platform(*[(1, str(number)) for number in range(60)])
    server = await serve(bot, FakeAnswer("Hi", times=None), INTERVAL=0.001, WAITING=100)
    assert len(server.requests) == 60
    assert all(len(request.text) < 2500 for request in server.requests)


async def test_a_user_who_blocks_in_mid_answer_ends_the_turn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The request is left, and the chat goes on with the next message."""
    caplog.set_level(logging.ERROR)

    async def script(request: Request) -> FakeAnswer:
        if request.text == "Again":
            bot.blocked.clear()
            return FakeAnswer("Back")
        return FakeAnswer(WORDS, pace=10)

    bot = Platform((1, "Hello"), (1, "Again"))
    async with FakeServer(script) as server, CopilotClient(base_url=server.url) as client:
        running = asyncio.create_task(recipe("bot", INTERVAL=INTERVAL).run(bot, client))
        await bot.news.wait()
        bot.blocked.add(1)
        await running
        await server.until(lambda: server.disconnects == 1, within=5)
    assert bot.texts(1)[-1] == "Back"
    assert "blocked by the user" in caplog.text


async def test_a_bots_chats_do_not_wait_for_each_other() -> None:
    def script(request: Request) -> FakeAnswer:
        return FakeAnswer("Hi", fault=Stall()) if request.text == "slow" else FakeAnswer("Hi")

    bot = Platform((1, "slow"), (2, "fast"))
    async with FakeServer(script) as server, CopilotClient(base_url=server.url) as client:
        running = asyncio.create_task(recipe("bot", INTERVAL=0.01).run(bot, client))
        await server.until(lambda: len(server.requests) == 2)
        async with asyncio.timeout(10):
            while bot.texts(2) != ["Hi"]:
                await bot.news.wait()
                bot.news.clear()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_bot_shows_what_came_before_the_error_and_goes_on() -> None:
    bot = Platform((1, "Hello"), (1, "Again"))
    await serve(bot, [FakeAnswer(WORDS[:3], fault=ErrorFrame("no")), "Fine"])
    assert bot.texts(1) == [
        "".join(WORDS[:3]),
        "Sorry, that did not work (StreamError).",
        "Fine",
    ]
