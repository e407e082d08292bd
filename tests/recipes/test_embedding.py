"""The recipes that need nothing but the package: bot, TaskGroup, retries, session, sync code."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from async_copilot import (
    AuthenticationError,
    CopilotClient,
    End,
    InvalidRequestError,
    RateLimitError,
)
from async_copilot.fake_server import ErrorFrame, FakeAnswer, FakeServer, Request, Script, Stall

from .readme import recipe

WORDS = [f"word{number} " for number in range(20)]
PACED = FakeAnswer(WORDS, pace=100, times=None)


# ------------------------------------------------------------------ the bot


class Bot:
    """A chat platform, as far as the recipe knows one."""

    INTERVAL = 0.05

    def __init__(self, *updates: tuple[int, str]) -> None:
        self.chats: dict[int, list[Message]] = {}
        self._updates = updates

        self.news = asyncio.Event()

    async def updates(self) -> AsyncIterator[tuple[int, str]]:
        for update in self._updates:
            yield update
            await asyncio.sleep(0.01)

    async def send(self, chat_id: int, text: str) -> Message:
        message = Message(text, self.news)
        self.chats.setdefault(chat_id, []).append(message)
        return message

    def texts(self, chat_id: int) -> list[str]:
        return [message.texts[-1] for message in self.chats[chat_id]]


class Message:
    def __init__(self, text: str, news: asyncio.Event) -> None:
        self.texts = [text]
        self.times: list[float] = []
        self._news = news

    async def edit(self, text: str) -> None:
        self.texts.append(text)
        self.times.append(asyncio.get_running_loop().time())
        self._news.set()


async def test_a_bot_edits_at_its_pace_and_shows_everything() -> None:
    bot = Bot((1, "Hello"), (2, "Hello"), (1, "Again"))
    async with FakeServer(PACED) as server, CopilotClient(base_url=server.url) as client:
        await recipe("bot", INTERVAL=bot.INTERVAL).run(bot, client)
        assert [request.text for request in server.requests] == ["Hello", "Hello", "Again"]
    whole = "".join(WORDS)
    assert bot.texts(1) == [whole, whole]
    assert bot.texts(2) == [whole]
    for message in [*bot.chats[1], *bot.chats[2]]:
        assert len(message.texts) >= 4
        assert all(later.startswith(earlier) for earlier, later in pairwise(message.texts[1:]))
        # Read where the pace is kept the gaps are exact; here the clock is read a bit later.
        assert all(b - a > bot.INTERVAL * 0.8 for a, b in pairwise(message.times))


async def test_a_bots_chats_do_not_wait_for_each_other() -> None:
    def script(request: Request) -> FakeAnswer:
        return FakeAnswer("Hi", fault=Stall()) if request.text == "slow" else FakeAnswer("Hi")

    bot = Bot((1, "slow"), (2, "fast"))
    async with FakeServer(script) as server, CopilotClient(base_url=server.url) as client:
        running = asyncio.create_task(recipe("bot", INTERVAL=0.01).run(bot, client))
        await server.until(lambda: len(server.requests) == 2)
        async with asyncio.timeout(2):
            while bot.chats.get(2) is None or bot.texts(2) != ["Hi"]:
                await bot.news.wait()
                bot.news.clear()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_bot_shows_what_came_before_the_error_and_goes_on() -> None:
    script: Script = [FakeAnswer(WORDS[:3], fault=ErrorFrame("no")), "Fine"]
    bot = Bot((1, "Hello"), (1, "Again"))
    async with FakeServer(script) as server, CopilotClient(base_url=server.url) as client:
        await recipe("bot", INTERVAL=bot.INTERVAL).run(bot, client)
    assert bot.texts(1) == [
        "".join(WORDS[:3]),
        "Sorry, that did not work (StreamError).",
        "Fine",
    ]


# ------------------------------------------------------------------ a thousand conversations


async def talk_all(conversations: int) -> None:
    """Greet and ask in each; check memory, the semaphore, and that a failure is one."""
    open_now = most = 0

    async def script(request: Request) -> str | FakeAnswer:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0)
        open_now -= 1
        if request.text == "I am number 7":
            return FakeAnswer(status=401, error="not you")
        return f"You are {request.known[0].rpartition(' ')[2]}" if request.known else "Hello"

    questions = [(f"I am number {number}", "Who am I?") for number in range(conversations)]
    async with FakeServer(script) as server, CopilotClient(base_url=server.url) as client:
        results = await recipe("thousand").talk_all(client, questions, at_once=10)
        assert server.connections <= 10
    assert len(results) == conversations
    for number, result in enumerate(results):
        if number == 7:
            assert isinstance(result, AuthenticationError)
        else:
            assert [reply.text for reply in result] == ["Hello", f"You are {number}"]
    assert most <= 10


async def test_conversations_side_by_side_keep_apart() -> None:
    await talk_all(20)


@pytest.mark.recipes
async def test_a_thousand_conversations_keep_apart() -> None:
    await talk_all(1000)


# ------------------------------------------------------------------ synchronous code


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
        assert ready.wait(5)
        yield server
    finally:
        over.set()
        thread.join()


def test_synchronous_code_gets_a_reply() -> None:
    with server_in_a_thread("Hello") as server:
        reply = recipe("sync", BASE_URL=server.url).ask("Hi")
    assert (reply.text, reply.end) == ("Hello", End.COMPLETE)


def test_synchronous_code_gets_the_text_as_it_comes() -> None:
    with server_in_a_thread(PACED) as server:
        texts = recipe("sync", BASE_URL=server.url).ask_streaming("Hi")
        first = next(texts)
        assert server.requests[0].ended is None
        assert first + "".join(texts) == "".join(WORDS)


def test_synchronous_code_may_leave_early_or_get_an_error() -> None:
    script: Script = [FakeAnswer(WORDS, fault=Stall(after=1)), FakeAnswer(status=401)]
    with server_in_a_thread(script) as server:
        ask_streaming = recipe("sync", BASE_URL=server.url).ask_streaming
        texts = ask_streaming("Hi")
        assert next(texts) == WORDS[0]
        texts.close()
        for _ in range(100):
            if server.disconnects:
                break
            threading.Event().wait(0.01)
        assert server.disconnects == 1
        with pytest.raises(AuthenticationError):
            next(ask_streaming("Hi"))


# ------------------------------------------------------------------ retries


async def test_a_policy_of_ones_own_goes_from_server_to_server() -> None:
    own = recipe("own-retries")
    down: Script = [FakeAnswer(status=503, times=None)]
    busy: Script = [FakeAnswer(status=429, retry_after=0.05, times=2), "Hello"]
    async with FakeServer(down) as first, FakeServer(busy) as second:
        clients = own.make_clients(first.url, second.url)
        started = asyncio.get_running_loop().time()
        reply = await own.ask(clients, "Hi")
        waited = asyncio.get_running_loop().time() - started
        assert reply.text == "Hello"
        assert (len(first.requests), len(second.requests)) == (3, 3)
        assert 0.1 <= waited < 1.5, "twice as long as the last one had asked"
        for client in clients:
            await client.aclose()


async def test_a_policy_of_ones_own_gives_up_with_the_last_error() -> None:
    own = recipe("own-retries")
    script: Script = [FakeAnswer(status=429, retry_after=0.01, times=None)]
    async with FakeServer(script) as server:
        (client,) = own.make_clients(server.url)
        async with client:
            with pytest.raises(RateLimitError) as caught:
                await own.ask([client], "Hi", tries=3)
            assert caught.value.retries == 0, "none but its own"
            assert len(server.requests) == 3
            with pytest.raises(InvalidRequestError):
                await own.ask([client], object())
            assert len(server.requests) == 3


# ------------------------------------------------------------------ a borrowed session


async def test_tracing_and_middlewares_of_a_borrowed_session_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    script: Script = [FakeAnswer(status=503, retry_after=0), "Hello"]
    async with FakeServer(script) as server:
        reply = await recipe("borrowed-session", BASE_URL=server.url).ask("Hi")
    assert reply.text == "Hello"
    lines = [record.getMessage() for record in caplog.records if record.name == "root"]
    assert lines == ["POST /v1/chat/completions: 503", "POST /v1/chat/completions: 200"]
    numbers = [request.headers["X-Request-Id"] for request in server.requests]
    assert len(set(numbers)) == 2
