"""The runner greets, then asks about the name, and writes what comes when it comes."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import sys
from typing import Any

import pytest
from wire_server import WireServer, http, recording

from async_copilot import CopilotClient, CopilotError, StreamError, post_request
from async_copilot.runner import GREETING, NAME, run_turns, writing

HELLO = "Hello Heiner! I am fine, thank you. How can I help you today?"
HEINER = "Your name is Heiner. It is our turn number 2."


class Stdout(io.StringIO):
    """What is written, piece by piece, as far as it was flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[str] = []
        self._seen = 0

    def flush(self) -> None:
        new = self.getvalue()[self._seen :]
        self._seen += len(new)
        self.flushed += [new] if new else []


def watch_stdout(monkeypatch: pytest.MonkeyPatch) -> Stdout:
    """Take stdout's place; here and not in a fixture, since pytest takes it for each phase."""
    monkeypatch.delenv("ASYNC_COPILOT_API_KEY", raising=False)
    written = Stdout()
    monkeypatch.setattr(sys, "stdout", written)
    return written


def said(*texts: str) -> bytes:
    events = [{"choices": [{"delta": {"content": text}}]} for text in texts]
    end = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    return http(b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in [*events, end]))


def test_it_is_a_coroutine_function_without_arguments() -> None:
    assert inspect.iscoroutinefunction(post_request)
    assert not inspect.signature(post_request).parameters


@pytest.mark.parametrize(
    ("version", "second"),
    [("g4f-0.4.9.0", "name"), ("g4f-8.1.7", "name_echo"), ("g4f-8.8.6", "name_echo")],
)
async def test_both_answers_are_written_with_a_blank_line_between(
    version: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdout = watch_stdout(monkeypatch)
    answers = [recording(version, "greeting"), recording(version, second)]
    async with WireServer(answers, cut=50) as server:
        monkeypatch.setenv("ASYNC_COPILOT_URL", server.url)
        assert await post_request() is None  # type: ignore[func-returns-value]  # it is shown here
    assert stdout.getvalue() == f"{HELLO}\n\n{HEINER}\n"
    assert stdout.flushed[:3] == ["Hello", " Heiner!", " I"]
    first, name = server.requests
    assert first["messages"] == [{"role": "user", "content": GREETING}]
    assert name["messages"] == [{"role": "user", "content": NAME}]
    assert first["conversation_id"] == name["conversation_id"]
    assert (first["model"], first["provider"], first["stream"]) == ("", "Copilot", True)
    assert "Authorization" not in server.heads[0].decode()


async def test_the_second_turn_waits_for_the_end_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stdout = watch_stdout(monkeypatch)
    written: list[str] = []

    def answer(_: dict[str, Any]) -> bytes:
        written.append(stdout.getvalue())
        return said("a", "b")

    async with WireServer(answer) as server:
        monkeypatch.setenv("ASYNC_COPILOT_URL", server.url)
        await post_request()
    assert written == ["", "ab\n\n"]


async def test_a_key_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = watch_stdout(monkeypatch)
    async with WireServer([said("a")]) as server:
        monkeypatch.setenv("ASYNC_COPILOT_URL", server.url)
        monkeypatch.setenv("ASYNC_COPILOT_API_KEY", "sk-1")
        await post_request()
    assert b"Authorization: Bearer sk-1\r\n" in server.heads[1]
    assert stdout.getvalue() == "a\n\na\n"


async def test_an_empty_environment_means_g4f_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[dict[str, Any]] = []

    class Client:
        def __init__(self, **options: Any) -> None:
            made.append(options)
            raise CopilotError("that is enough")

    monkeypatch.setenv("ASYNC_COPILOT_URL", "")
    monkeypatch.setenv("ASYNC_COPILOT_API_KEY", "")
    monkeypatch.setattr("async_copilot.runner.CopilotClient", Client)
    with pytest.raises(CopilotError):
        await post_request()
    assert made[0]["base_url"] == "http://localhost:1337/v1"
    assert made[0]["api_key"] is None


async def test_an_error_ends_it_after_the_text_that_came(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = watch_stdout(monkeypatch)
    async with WireServer([recording("g4f-8.8.6", "raise_mid_RuntimeError")]) as server:
        monkeypatch.setenv("ASYNC_COPILOT_URL", server.url)
        with pytest.raises(StreamError, match="Request execution failed"):
            await post_request()
    assert stdout.getvalue() == "One two three "
    assert len(server.requests) == 1


async def test_what_would_act_on_the_terminal_is_made_visible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stdout = watch_stdout(monkeypatch)
    async with WireServer([said("\x1b[2J", "a\tb\n")]) as server:
        monkeypatch.setenv("ASYNC_COPILOT_URL", server.url)
        await post_request()
    assert stdout.getvalue() == "\\x1b[2Ja\tb\n\n\n\\x1b[2Ja\tb\n\n"


async def test_cancelling_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = watch_stdout(monkeypatch)
    unfinished = said("a").replace(b"Content-Length: ", b"Content-Length: 9")
    async with WireServer([unfinished]) as server:
        monkeypatch.setenv("ASYNC_COPILOT_URL", server.url)
        task = asyncio.create_task(post_request())
        async with asyncio.timeout(5):
            while not stdout.getvalue():  # noqa: ASYNC110  # stdout has no event to wait for
                await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert stdout.getvalue() == "a"


async def test_any_turns_may_be_run_on_a_conversation_of_ones_own() -> None:
    written: list[str] = []
    async with (
        WireServer([said("a"), said("b"), said()]) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        chat = client.conversation()
        replies = await run_turns(chat, iter(["one", "two", "three"]), writing(written.append))
    assert written == ["a", "\n", "\n", "b", "\n", "\n", "\n"]
    assert [reply.text for reply in replies] == ["a", "b", ""]
    assert [message["content"] for message in chat.history] == ["one", "a", "two", "b"]
    assert replies[2].left_out == ("the turn: no answer",)


async def test_a_turn_that_fails_is_the_last_one() -> None:
    written: list[str] = []
    answers = [said("a"), recording("g4f-8.8.6", "raise_mid_RuntimeError"), said("c")]
    async with WireServer(answers) as server, CopilotClient(base_url=server.url) as client:
        with pytest.raises(StreamError):
            await run_turns(client.conversation(), ["1", "2", "3"], writing(written.append))
    assert "".join(written) == "a\n\nOne two three "
    assert len(server.requests) == 2


async def test_a_run_of_no_turns_returns_no_replies() -> None:
    written: list[str] = []
    async with CopilotClient() as client:
        assert await run_turns(client.conversation(), [], writing(written.append)) == []
    assert written == []
