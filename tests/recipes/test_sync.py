"""Synchronous code, where no loop runs and where one does."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from async_copilot import AuthenticationError, End
from async_copilot.fake_server import FakeAnswer, FakeServer, Script, Stall

from .readme import recipe
from .tab import TEXT, WORDS

PACED = FakeAnswer(WORDS, pace=100, times=None)


def wait_until_left(server: FakeServer) -> None:
    deadline = time.monotonic() + 10
    while not server.disconnects and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.disconnects == 1


def test_synchronous_code_gets_a_reply() -> None:
    with FakeServer("Hello") as server:
        reply = recipe("sync", BASE_URL=server.url).ask("Hi")
    assert (reply.text, reply.end) == ("Hello", End.COMPLETE)


def test_synchronous_code_gets_the_text_as_it_comes() -> None:
    with FakeServer(PACED) as server:
        texts = recipe("sync", BASE_URL=server.url).ask_streaming("Hi")
        first = next(texts)
        assert server.requests[0].ended is None
        assert first + "".join(texts) == TEXT


def test_synchronous_code_may_leave_early_or_get_an_error() -> None:
    script: Script = [FakeAnswer(WORDS, fault=Stall(after=1)), FakeAnswer(status=401)]
    with FakeServer(script) as server:
        ask_streaming = recipe("sync", BASE_URL=server.url).ask_streaming
        texts = ask_streaming("Hi")
        assert next(texts) == WORDS[0]
        texts.close()
        wait_until_left(server)
        with pytest.raises(AuthenticationError):
            next(ask_streaming("Hi"))


# ------------------------------------------------------------------ where a loop runs


async def test_a_loop_in_a_thread_answers_where_a_loop_runs() -> None:
    """As in a notebook's callback: the caller is synchronous, and inside a running loop."""
    async with FakeServer([FakeAnswer("Hello"), PACED]) as server:
        copilot = recipe("notebook").Copilot(base_url=server.url)

        def cell() -> None:
            reply = copilot.ask("Hi")
            assert (reply.text, reply.end) == ("Hello", End.COMPLETE)
            texts = copilot.stream("Hi")
            first = next(texts)
            assert server.requests[1].ended is None
            assert first + "".join(texts) == TEXT

        async def cell_in_a_loop() -> None:
            cell()

        await asyncio.to_thread(asyncio.run, cell_in_a_loop())
        copilot.close()
        assert not copilot.thread.is_alive()


def test_a_loop_in_a_thread_is_left_early_and_hands_errors_on() -> None:
    script: Script = [FakeAnswer(WORDS, fault=Stall(after=1)), FakeAnswer(status=401)]
    with FakeServer(script) as server:
        copilot = recipe("notebook").Copilot(base_url=server.url)
        texts = copilot.stream("Hi")
        assert next(texts) == WORDS[0]
        texts.close()
        wait_until_left(server)
        with pytest.raises(AuthenticationError):
            next(copilot.stream("Hi"))
        copilot.close()


def test_ctrl_c_leaves_the_request_and_keeps_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import Future  # noqa: PLC0415  # beside its use

    result = Future.result

    def interrupted(future: Future[object], timeout: float | None = None) -> object:
        monkeypatch.setattr(Future, "result", result)
        threading.Event().wait(0.2)
        raise KeyboardInterrupt

    with FakeServer([FakeAnswer(WORDS, fault=Stall(after=1)), "Hello"]) as server:
        copilot = recipe("notebook").Copilot(base_url=server.url)
        monkeypatch.setattr(Future, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            copilot.ask("Hi")
        wait_until_left(server)
        assert copilot.ask("Hi").text == "Hello"
        copilot.close()
