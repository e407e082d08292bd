"""Remarks, statistics and logs: what is said beside the answer, and what never is."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest
from console_runs import hurried_demo, inside, served

from async_copilot.console.interrupts import Interrupts
from async_copilot.console.screen import OutputLostError, Screen
from async_copilot.fake_server import FakeAnswer

KEY = "sk-abcdefgh12345678"


def test_the_demo_says_that_it_is_one_and_remembers_whoever_is_to() -> None:
    env = {"ASYNC_COPILOT_URL": "http://elsewhere.test/"}
    with hurried_demo():
        done = inside("--demo", "--memory", "client", "I am Ann", "Who am I?", env=env)
    first, _, second = done.stdout.partition("\n\n")
    assert first.startswith("Hello Ann!")
    assert second.startswith("Your name is Ann.")
    assert done.stderr == "async-copilot: this is a built-in demo, not Copilot\n"
    assert done.returncode == 0


def test_stats_are_times_and_a_rate_from_the_first_text_on() -> None:
    answer = FakeAnswer(["a", "b", "c"], pace=20, usage={"completion_tokens": 42})
    with served(answer) as server:
        done = inside("Hi", "--stats", "--url", server.url)
    found = re.fullmatch(
        r"stats: headers 0\.\d\d s, first text 0\.\d\d s, "
        r"(\d+\.\d) tokens/s \(42 in (0\.\d\d) s\), longest gap 0\.\d\d s\n",
        done.stderr,
    )
    assert found, done.stderr
    assert 0.05 < float(found[2]) < 0.5  # two pauses of 0.05 s, and a busy machine
    assert float(found[1]) * float(found[2]) == pytest.approx(42, rel=0.1)
    assert done.stdout == "abc\n"


def test_the_rate_counts_the_time_in_which_tokens_came() -> None:
    answer = FakeAnswer(["a", "b"], reasoning=["x"] * 8, pace=20, usage={"completion_tokens": 10})
    with served(answer) as server:
        done = inside("Hi", "--stats", "--url", server.url)
    found = re.search(r"tokens/s \(10 in (\d\.\d\d) s\)", done.stderr)
    assert found, done.stderr
    assert float(found[1]) > 0.4  # nine pauses of 0.05 s


def test_without_tokens_chunks_are_counted() -> None:
    with served(FakeAnswer(["a", "b", "c"], pace=20, usage=False)) as server:
        assert " chunks/s (" in inside("Hi", "--stats", "--url", server.url).stderr


def test_an_answer_that_comes_at_once_has_no_rate() -> None:
    for count, words in {1: "1 token", 2: "2 tokens"}.items():
        with served(FakeAnswer(["Hello"], usage={"completion_tokens": count})) as server:
            done = inside("Hi", "--stats", "--url", server.url)
        assert f", {words} at once, longest gap " in done.stderr


def test_stats_come_after_a_failure_too() -> None:
    with served([FakeAnswer(status=503, retry_after=0.01), FakeAnswer(status=400)]) as server:
        done = inside("Hi", "--stats", "--url", server.url)
    assert "first text never, 1 retry, 0.01 s of pauses\n" in done.stderr


REMARKS = {
    "the limit of tokens": (FakeAnswer("Hello", finish_reason="length"), "limit of tokens"),
    "a filter": (FakeAnswer("Hello", finish_reason="content_filter"), "content filter"),
    "a refusal": (FakeAnswer("", refusal="I must not"), "the model refuses: I must not"),
    "nothing": (FakeAnswer(""), "the answer is empty"),
}


@pytest.mark.parametrize("name", REMARKS)
def test_what_the_text_does_not_tell_is_remarked(name: str) -> None:
    answer, words = REMARKS[name]
    with served(answer) as server:
        done = inside("Hi", "--url", server.url)
    assert done.returncode == 0
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--reasoning", "--stats"])
def test_of_several_choices_the_first_is_shown(option: str) -> None:
    """Whether the console asks for chunks or for the text alone."""
    choices = [
        {"index": index, "delta": {"content": text}, "finish_reason": "stop"}
        for index, text in enumerate(["First", "Second"])
    ]
    body = f"data: {json.dumps({'choices': choices[::-1]})}\n\n"
    with served(FakeAnswer(body=body, headers={"Content-Type": "text/event-stream"})) as server:
        done = inside("Hi", option, "--url", server.url)
    assert (done.stdout, done.returncode) == ("First\n", 0)


def test_a_server_that_forgot_is_remarked() -> None:
    answers = [FakeAnswer("Hello", conversation={"conversation_id": name}) for name in ("a", "b")]
    with served(answers) as server:
        done = inside("Hi", "Who am I?", "--url", server.url)
    assert "the server began a new conversation" in done.stderr
    assert "Warning" not in done.stderr


def test_verbose_logs_requests_clocks_and_retries() -> None:
    with served([FakeAnswer(status=503, error="overloaded", retry_after=0.01), "Hello"]) as server:
        done = inside("Hi", "--verbose", "--timeout-stall", "off", "--url", server.url)
    assert done.stdout == "Hello\n"
    lines = done.stderr.splitlines()
    assert all(re.match(r"\[\d\d:\d\d:\d\d\.\d{3}\] ", line) for line in lines)
    # The server runs in this process, and logs when its answer is out: now or later.
    lines = [line for line in lines if "] POST /v1/chat/completions " not in line]
    assert server.url in lines[0]
    assert "silence 300 s, stall off, first_text off, after_finish 15 s, total off" in lines[0]
    assert [line for line in lines if "retry 1 of 2 in 0.01 s, after a ServerStatusError" in line]
    assert [line for line in lines if "turn 1: HTTP 503" in line and "overloaded" in line]
    assert [line for line in lines if "HTTP 200, headers after 0." in line]
    assert "complete, finish_reason stop" in lines[-1]
    with served("Hello") as server:
        assert inside("Hi", "--url", server.url).stderr == ""


def test_a_key_is_sent_and_never_shown() -> None:
    answers = [
        FakeAnswer(status=503, error=f"{KEY} overloads me", retry_after=0.01),
        FakeAnswer(status=401, error=f"{KEY} is not known"),
    ]
    env = {"ASYNC_COPILOT_API_KEY": KEY}
    for option in ("--verbose", "--json"):
        with served(answers) as server:
            done = inside(
                "Hi", option, "--header", "X-Token: tok-9876", "--url", server.url, env=env
            )
            assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
            assert server.requests[0].headers["X-Token"] == "tok-9876"
        assert done.returncode == 77
        assert "***" in done.stderr
        assert KEY not in done.stdout + done.stderr
        assert "tok-9876" not in done.stdout + done.stderr


def test_model_provider_and_headers_reach_the_server() -> None:
    with served("Hello") as server:
        inside("Hi", "--model", "m", "--provider", "P", "--url", server.url)
        inside("Hi", "--provider", "", "--url", server.url)
        inside("Hi", "--memory", "client", "--system", "Be brief.", "--url", server.url)
        one, two, three = (request.body for request in server.requests)
    assert (one["model"], one["provider"]) == ("m", "P")
    assert "provider" not in two
    assert {"provider", "conversation_id", "conversation"}.isdisjoint(three)
    assert three["messages"][0] == {"role": "system", "content": "Be brief."}


def test_what_is_lost_stays_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with Interrupts() as interrupts:
        screen = Screen(interrupts, color=False)
        for _ in range(2):
            with pytest.raises(OutputLostError, match="No space left"):
                screen.write("text")
        screen.close()
