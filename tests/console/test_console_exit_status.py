"""Each exit status from a real fault, seen from outside the process."""

from __future__ import annotations

import pytest
from console_runs import Finished, console, free_url, inside, served

from async_copilot import errors
from async_copilot.console.exit_status import ExitStatus, status_of
from async_copilot.errors import CopilotError, StreamError
from async_copilot.fake_server import (
    BrokenFraming,
    Close,
    ErrorFrame,
    FakeAnswer,
    HugeEvent,
    Raw,
    Reset,
    Script,
    Stall,
    Truncate,
)

QUICK = ("--retries", "0", "--timeout-silence", "1")

# What a person must not meet: arguments and attributes of the library, and traces of it.
LIBRARY_WORDS = (
    "Traceback", "Timeouts(", "error.reply", "base_url", "api_key", "strict=", "max_event_bytes",
)  # fmt: skip


def checked(done: Finished, status: int, words: str) -> None:
    """Each failure is one line on stderr that holds the words and speaks of options."""
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert done.stderr.startswith("async-copilot: ")
    assert done.stderr.count("\n") == 1
    assert not [word for word in LIBRARY_WORDS if word in done.stderr]


# The process itself, one fault for each status.
REAL: dict[int, tuple[Script, str, str]] = {
    0: (FakeAnswer("Hello"), "Hello\n", ""),
    74: (FakeAnswer("Hello there", fault=Truncate(after=2)), "Hello\n", "cut off"),
    75: (FakeAnswer(status=429, retry_after=120), "", "HTTP 429"),
    76: (FakeAnswer("Hello", fault=ErrorFrame("no luck", after=1)), "Hel\n", "no luck"),
    77: (FakeAnswer(status=401, error="who are you"), "", "check the key (ASYNC_COPILOT_API_KEY)"),
}


@pytest.mark.parametrize("status", REAL)
def test_the_process_ends_with_it(status: int) -> None:
    script, output, words = REAL[status]
    # A g4f server's 401 may be a provider's, which wants a login and no key.
    with served(script, dialect="openai" if status == 77 else "g4f") as server:
        done = console("Hi", "--url", server.url, *QUICK)
    assert done.stdout == output
    if status:
        checked(done, status, words)
    else:
        assert (done.returncode, done.stderr) == (0, "")


def test_when_nothing_listens_one_sentence_says_what_to_do() -> None:
    url = free_url()
    done = console("--url", url, "--retries", "0")
    checked(done, 69, f"nothing answers at {url};")
    port = url.split(":")[2].removesuffix("/v1")
    assert f"pip install 'g4f[api]', then g4f api --bind 127.0.0.1:{port})" in done.stderr
    assert "--demo" in done.stderr
    assert done.stdout == ""


# Every kind of failure, in this process.
FAULTS: dict[str, tuple[int, Script, str]] = {
    "disconnected": (
        74,
        FakeAnswer("Hello there", fault=Close(after=2, torn=True)),
        "closed the connection",
    ),
    "reset": (74, FakeAnswer("Hello there", fault=Reset(after=2)), "reset the"),
    "silent after text": (74, FakeAnswer("Hello", fault=Stall(after=1)), "raise --timeout-silence"),
    "truncated before text": (74, FakeAnswer("", fault=Truncate(after=0)), "--no-strict"),
    "silent before text": (75, FakeAnswer("", fault=Stall(after="headers")), "--timeout-silence"),
    "silent before headers": (
        75,
        FakeAnswer("", fault=Stall(after="request")),
        "--timeout-silence",
    ),
    "503": (75, FakeAnswer(status=503, error="overloaded"), "overloaded"),
    "504": (75, FakeAnswer(status=504, body="<html><p>gateway"), "gateway"),
    "500 that says when": (75, FakeAnswer(status=500, retry_after=120), "asks to wait 120 s"),
    "429 in the stream": (
        75,
        FakeAnswer("", fault=ErrorFrame({"message": "slow down", "code": 429}, after=0)),
        "slow down",
    ),
    "closed without an answer": (69, FakeAnswer("", fault=Close(after="request")), "broke"),
    "500": (76, FakeAnswer(status=500, error="broken"), "broken"),
    "400": (76, FakeAnswer(status=400, error="no such field"), "no such field"),
    "404": (76, FakeAnswer(status=404, error="not here"), "check --url"),
    "HTML": (76, FakeAnswer(body="<html>Welcome", headers={"Content-Type": "text/html"}), "--url"),
    "malformed data": (76, FakeAnswer("Hi", fault=Raw(after=1)), "--no-strict skips"),
    "an event too large": (76, FakeAnswer("", fault=HugeEvent(33 * 2**20)), "larger than"),
    "a redirect": (76, FakeAnswer(status=302, headers={"Location": "/x"}), "URL as --url"),
    "403": (77, FakeAnswer(status=403, error="not you"), "not you"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_status_and_one_line(name: str) -> None:
    status, script, words = FAULTS[name]
    clock = ("--timeout-silence", "0.2") if "silent" in name else ()
    with served(script) as server:
        checked(inside("Hi", "--url", server.url, *QUICK, *clock), status, words)


def test_broken_framing_is_told_or_looks_like_silence() -> None:
    """That depends on which bytes aiohttp's parser gets together."""
    with served(FakeAnswer("Hello", fault=BrokenFraming(after=1))) as server:
        done = inside("Hi", "--url", server.url, *QUICK)
    told = done.returncode == 76
    checked(done, 76 if told else 74, "broken HTTP" if told else "--timeout-silence")


def test_a_server_that_only_sends_comments_is_try_later() -> None:
    with served(FakeAnswer("", fault=Stall(after="headers", heartbeat=0.05))) as server:
        done = inside("Hi", "--url", server.url, "--timeout-stall", "0.3")
    checked(done, 75, "raise --timeout-stall")


def test_the_total_clock_counts_too() -> None:
    with served(FakeAnswer("Hello", fault=Stall(after=1, heartbeat=0.05))) as server:
        done = inside("Hi", "--url", server.url, "--timeout", "0.3")
    checked(done, 74, "raise --timeout-total")


def test_an_unknown_host_is_unreachable_without_advice_to_start_a_server() -> None:
    done = inside("Hi", "--url", "http://nowhere.invalid/v1")
    checked(done, 69, "http://nowhere.invalid/v1")
    assert "g4f" not in done.stderr


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:99999/v1", "ftp://x/v1"])
def test_an_address_that_is_none_is_a_usage_problem(url: str) -> None:
    checked(inside("Hi", "--url", url), 2, f"this is not a server URL: '{url}'; give --url")


def test_a_key_that_cannot_be_sent_is_a_usage_problem() -> None:
    done = inside("Hi", "--url", free_url(), env={"ASYNC_COPILOT_API_KEY": "sk-1\nsk-2"})
    checked(done, 2, "control characters; check the key (ASYNC_COPILOT_API_KEY)")
    assert "sk-" not in done.stderr


def test_a_turn_that_fails_is_the_last_one() -> None:
    with served(["Hello", FakeAnswer(status=400), "never"]) as server:
        done = inside("Hi", "and", "then", "--url", server.url)
        assert len(server.requests) == 2
    assert (done.returncode, done.stdout) == (76, "Hello\n\n")


def test_no_strict_takes_what_was_cut_off() -> None:
    with served(FakeAnswer("Hello there", fault=Truncate(after=2))) as server:
        done = inside("Hi", "--url", server.url, "--no-strict")
    assert (done.returncode, done.stdout) == (0, "Hello\n")
    assert done.stderr == "async-copilot: the answer was cut off, which --no-strict accepts\n"


def test_no_strict_counts_malformed_lines() -> None:
    with served(FakeAnswer("Hello", fault=Raw(after=1))) as server:
        done = inside("Hi", "--url", server.url, "--no-strict")
    assert (done.returncode, done.stdout) == (0, "Hello\n")
    assert done.stderr == "async-copilot: malformed lines skipped: 1\n"


def test_no_failure_of_the_library_is_without_a_status() -> None:
    for name in errors.__all__:
        kind = getattr(errors, name)
        if issubclass(kind, CopilotError):
            status = status_of(kind("text"))
            assert status in set(ExitStatus) - {0, 130, 141}, name


def test_an_error_in_the_stream_is_try_later_only_when_it_says_so() -> None:
    assert status_of(StreamError("x", code="503")) == 75
    assert status_of(StreamError("x", code="400")) == 76
