"""Another server, the log, and figures without a library."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from async_copilot import CopilotClient, RateLimitError
from async_copilot.fake_server import FakeAnswer, FakeServer, Request

from .readme import recipe


async def test_another_server_gets_the_history_and_nothing_of_g4fs() -> None:
    def answer(request: Request) -> str:
        return "Heiner." if "I am Heiner" in str(request.messages[:-1]) else "Hello."

    async with FakeServer(answer, dialect="openai") as server:
        reply = await recipe("another-server", BASE_URL=server.url).main()
    assert reply.text == "Heiner."
    first, second = (request.body for request in server.requests)
    assert set(first) == {"messages", "model", "stream"}
    assert set(second) == {"messages", "model", "stream", "temperature"}
    assert second["model"] == "llama3"
    assert [message["role"] for message in second["messages"]] == [
        "system",
        "user",
        "assistant",
        "user",
    ]


@contextmanager
def fresh_logging() -> Iterator[None]:
    """A program's logging, in which nobody has set up anything yet."""
    root, ours = logging.getLogger(), logging.getLogger("async_copilot")
    handlers, level = root.handlers[:], ours.level
    root.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        ours.setLevel(level)


async def test_the_log_has_three_lines_of_a_request(capsys: pytest.CaptureFixture[str]) -> None:
    with fresh_logging():
        recipe("log")
        async with FakeServer("Hello") as server, CopilotClient(base_url=server.url) as client:
            number = (await client.complete("the prompt")).request.number
    lines = [line for line in capsys.readouterr().err.splitlines() if " async_copilot: " in line]
    told = [line.partition(" DEBUG async_copilot: ")[2] for line in lines]
    assert [line.partition(" after ")[0] for line in told] == [
        f"request {number}: POST {server.url}/chat/completions, model '', attempt 1",
        f"request {number}: status 200",
        f"request {number}: COMPLETE",
    ]


async def test_rates_are_over_the_time_in_which_tokens_came() -> None:
    figures = recipe("metrics").Figures()
    paced = FakeAnswer(["a"] * 5, reasoning=["b"] * 5, pace=100, usage={"completion_tokens": 10})
    busy = FakeAnswer(status=429, retry_after=0)
    async with (
        FakeServer([busy, paced, FakeAnswer(status=429)]) as server,
        CopilotClient(base_url=server.url, model="m", observer=figures) as client,
    ):
        await client.complete("Hi", stream_options={"include_usage": True})
        with pytest.raises(RateLimitError):
            await client.complete("Hi", max_retries=0)
    assert figures.ends == {("m", "COMPLETE"): 1, ("m", "ERROR"): 1}
    assert figures.retries == {"RateLimitError": 1}
    assert len(figures.first_chunks) == 1
    assert len(figures.rates) == 1
    assert 0 < figures.rates[0] < 120
