"""``--json``: one object a line, and the last line always sums up."""

from __future__ import annotations

from pathlib import Path

import pytest
from console_runs import console, events_of, free_url, inside, known, served

from async_copilot.fake_server import Close, FakeAnswer, Stall, Truncate

END = {
    "event", "turn", "exit_status", "end", "text", "reasoning", "refusal", "tool_calls",
    "finish_reason",
    "usage", "model", "provider", "id", "request_id", "http_status", "skipped", "remembered",
    "left_out",
    "timing", "error",
}  # fmt: skip


def test_a_turn_is_start_deltas_and_end() -> None:
    answer = FakeAnswer(["Hel", "lo"], reasoning=["I ", "think"], headers={"x-request-id": "r-1"})
    with served(answer) as server:
        done = inside("Hi", "--json", "--model", "m", "--url", server.url)
    events = events_of(done.stdout)
    assert events[:-1] == [
        {
            "event": "start", "turn": 1, "url": server.url, "memory": "server", "model": "m",
            "provider": "Copilot", "message": "Hi",
        },
        {"event": "reasoning", "turn": 1, "text": "I "},
        {"event": "reasoning", "turn": 1, "text": "think"},
        {"event": "delta", "turn": 1, "text": "Hel"},
        {"event": "delta", "turn": 1, "text": "lo"},
    ]  # fmt: skip
    end = events[-1]
    assert set(end) == END
    assert (end["end"], end["exit_status"], end["error"]) == ("complete", 0, None)
    assert (end["text"], end["reasoning"], end["finish_reason"]) == ("Hello", "I think", "stop")
    assert (end["request_id"], end["http_status"]) == ("r-1", 200)
    assert end["usage"]["completion_tokens"] > 0
    timing = end["timing"]
    assert 0 < timing["headers"] <= timing["first_text"] <= timing["last_text"]
    assert done.stderr == ""


def test_every_turn_has_its_end() -> None:
    with served(known) as server:
        done = inside("I am Ann", "Who am I?", "--json", "--url", server.url)
    ends = [event for event in events_of(done.stdout) if event["event"] == "end"]
    assert [end["turn"] for end in ends] == [1, 2]
    assert ends[1]["text"] == "I know I am Ann."
    assert ends[1]["remembered"] is True


def test_a_retry_is_an_event() -> None:
    with served([FakeAnswer(status=503, error="overloaded", retry_after=0.01), "Hello"]) as server:
        done = inside("Hi", "--json", "--url", server.url)
    start, retry, *_, end = events_of(done.stdout)
    assert (start["event"], retry["event"]) == ("start", "retry")
    assert retry["number"] == 1
    assert retry["pause"] == pytest.approx(0.01, rel=0.5)
    assert retry["error"]["kind"] == "ServerStatusError"
    assert retry["error"]["status"] == 503
    assert end["timing"]["retries"] == 1


def test_the_summary_comes_after_an_error_too() -> None:
    with served(FakeAnswer("Hello there", fault=Truncate(after=2))) as server:
        done = inside("Hi", "and", "--json", "--url", server.url)
    end = events_of(done.stdout)[-1]
    assert (end["turn"], end["end"], end["text"]) == (1, "truncated", "Hello")
    assert (end["exit_status"], done.returncode) == (74, 74)
    assert end["error"]["kind"] == "TruncatedError"
    assert done.stderr.startswith("async-copilot: the answer was cut off")


def test_the_summary_comes_where_nothing_listens() -> None:
    done = inside("Hi", "--json", "--retries", "0", "--url", free_url())
    end = events_of(done.stdout)[-1]
    assert (end["exit_status"], end["error"]["kind"]) == (69, "ConnectionFailedError")
    assert end["timing"]["headers"] is None


def test_the_summary_comes_without_any_turn() -> None:
    done = inside("Hi", "--json", "--url", "nonsense")
    (end,) = events_of(done.stdout)
    assert set(end) == END
    assert (end["event"], end["turn"], end["exit_status"]) == ("end", 0, 2)
    assert "nonsense" in end["error"]["message"]
    done = inside("-i", "--json", "--url", free_url())
    (end,) = events_of(done.stdout)
    assert (end["turn"], end["exit_status"], end["error"]) == (0, 0, None)


def test_the_summary_says_what_could_not_be_saved(tmp_path: Path) -> None:
    place = tmp_path / "here"
    place.mkdir()

    def gone(_: object) -> str:
        place.rmdir()
        return "Hello"

    with served(gone) as server:
        done = inside("Hi", "--json", "--save", str(place / "chat.json"), "--url", server.url)
    end = events_of(done.stdout)[-1]
    assert (end["exit_status"], done.returncode) == (74, 74)
    assert "cannot save the conversation" in end["error"]["message"]


def test_a_program_can_chat_line_by_line() -> None:
    with served(["One", "Two"]) as server:
        done = console("-i", "--json", "--url", server.url, input="a\nb\n")
    texts = [event["text"] for event in events_of(done.stdout) if event["event"] == "end"]
    assert texts == ["One", "Two"]
    assert done.stderr == ""


def test_numbers_that_json_does_not_know_are_null() -> None:
    body = (
        'data: {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}], '
        '"usage": {"completion_tokens": NaN, "all": [Infinity]}}\n\ndata: [DONE]\n\n'
    )
    with served(FakeAnswer(body=body, headers={"Content-Type": "text/event-stream"})) as server:
        done = inside("Hi", "--json", "--url", server.url)
    assert "NaN" not in done.stdout
    assert events_of(done.stdout)[-1]["usage"] == {"completion_tokens": None, "all": [None]}


def test_a_stall_before_any_text_has_its_verdict() -> None:
    with served(FakeAnswer("", fault=Stall(after="headers"))) as server:
        done = inside("Hi", "--json", "--timeout-silence", "0.2", "--url", server.url)
    end = events_of(done.stdout)[-1]
    assert (end["end"], end["exit_status"]) == ("stalled", 75)


def test_a_disconnect_has_its_verdict() -> None:
    with served(FakeAnswer("Hello", fault=Close(after=1))) as server:
        done = inside("Hi", "--json", "--url", server.url)
    end = events_of(done.stdout)[-1]
    assert (end["end"], end["text"], end["exit_status"]) == ("disconnected", "Hel", 74)
