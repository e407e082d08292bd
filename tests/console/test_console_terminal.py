"""The console on a terminal: the waiting sign, dimmed reasoning, and Ctrl-C in every state."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping

import pytest
from console_runs import ending, free_url, served, sleeps, terminal, wait_for

from async_copilot.console import waiting_sign
from async_copilot.console.interrupts import Interrupts
from async_copilot.console.screen import Screen
from async_copilot.console.waiting_sign import WaitingSign
from async_copilot.fake_server import FakeAnswer, Script, Stall

ERASE = "\r\x1b[K"
DIM, UNDIM = "\x1b[2m", "\x1b[22m"


def test_while_it_waits_it_says_for_how_long_and_erases_that() -> None:
    with (
        served(FakeAnswer("Hello", delay=1.2)) as server,
        terminal("Hi", "--url", server.url) as child,
    ):
        out, status = ending(child)
    assert out == f"{ERASE}waiting 0 s{ERASE}waiting 1 s{ERASE}Hello\r\n"
    assert status == 0


async def test_the_sign_is_written_again_only_where_it_says_something_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting_sign, "PATIENCE", 0.0)
    monkeypatch.setattr(waiting_sign, "INTERVAL", 0.001)
    written: list[str] = []
    sign = WaitingSign(written.append)
    sign.start()
    await asyncio.sleep(0.02)
    sign.stop()
    assert written == [f"{ERASE}waiting 0 s", ERASE]


def test_a_terminal_that_is_gone_has_the_usual_width() -> None:
    assert Screen(Interrupts(), color=False)._columns() == 80


def test_an_answer_that_comes_soon_has_no_sign() -> None:
    with served(["Hello", "Bye"]) as server, terminal("Hi", "Bye", "--url", server.url) as child:
        assert ending(child) == ("Hello\r\n\r\nBye\r\n", 0)


def test_the_sign_waits_for_text_not_for_reasoning_that_is_not_shown() -> None:
    answer = FakeAnswer(["Hello"], reasoning=["I", "think"], pace=3)
    with served(answer) as server, terminal("Hi", "--url", server.url) as child:
        out, _ = ending(child)
    assert out.startswith(f"{ERASE}waiting 0 s")
    assert out.rpartition(ERASE)[2] == "Hello\r\n"


def test_a_pause_before_a_retry_is_told_apart() -> None:
    answers: list[str | FakeAnswer] = [FakeAnswer(status=429, retry_after=0.9), "Hello"]
    with served(answers) as server, terminal("Hi", "--url", server.url) as child:
        out, _ = ending(child)
    assert re.search("HTTP 429; trying again in [01] s", out)
    assert out.endswith(f"{ERASE}Hello\r\n")


def test_log_lines_make_the_sign_step_aside() -> None:
    answers = [FakeAnswer(status=503, retry_after=0.5), FakeAnswer("Hello", delay=0.2)]
    with served(answers) as server, terminal("Hi", "--verbose", "--url", server.url) as child:
        out, _ = ending(child)
    lines = out.replace("\r\n", "\n").split("\n")
    assert not [line for line in lines if "waiting" in line.rpartition(ERASE)[2]]
    assert [line for line in lines if "first text after" in line]


PLAIN = [{"TERM": "dumb"}, {"NO_COLOR": "1"}]


@pytest.mark.parametrize("env", [{}, *PLAIN], ids=["", "dumb", "NO_COLOR"])
def test_reasoning_is_dimmed_where_that_is_wanted(env: Mapping[str, str]) -> None:
    answer = FakeAnswer("Hello", reasoning=["I ", "think"])
    options = ("Hi", "--reasoning", "--url")
    with served(answer) as server, terminal(*options, server.url, env=env) as child:
        out, _ = ending(child)
    parts = ("I ", "think") if env else (f"{DIM}I {UNDIM}", f"{DIM}think{UNDIM}")
    assert out == "".join([*parts, "\r\nHello\r\n"])


def test_a_dumb_terminal_gets_no_sign() -> None:
    answer = FakeAnswer("Hello", delay=0.6)
    with (
        served(answer) as server,
        terminal("Hi", "--url", server.url, env={"TERM": "dumb"}) as child,
    ):
        assert ending(child) == ("Hello\r\n", 0)


# Where the one answer is when Ctrl-C is pressed: a script, and what is on the screen then.
STATES: dict[str, tuple[Script, str]] = {
    "before the headers": (FakeAnswer("", fault=Stall(after="request")), "waiting"),
    "before the text": (FakeAnswer("", fault=Stall(after="headers")), "waiting"),
    "in the text": (FakeAnswer("Hello there", fault=Stall(after=2)), "Hello"),
    "behind the text": (FakeAnswer("Hello", fault=Stall(after="content")), "Hello"),
    "before a retry": (FakeAnswer(status=429, retry_after=50), "trying again in"),
}


@pytest.mark.parametrize("state", STATES)
def test_ctrl_c_ends_it_at_once_in_every_state(state: str) -> None:
    """What came stays; the cursor ends on a line of its own; the server sees it."""
    script, seen = STATES[state]
    with served(script) as server:
        with terminal("Hi", "--url", server.url) as child:
            child.expect(seen)
            child.sendintr()
            out, status = ending(child)
        wait_for(lambda: server.disconnects == 1 or server.requests[0].status == 429)
    assert status == 130
    assert "Traceback" not in out
    assert out.endswith("\r\n" if seen == "Hello" else ERASE)


def test_ctrl_c_while_it_connects() -> None:
    """A queue of connections that is full neither takes another one nor refuses it."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        others = [socket.socket() for _ in range(3)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(address)
        with terminal("Hi", "--url", f"http://127.0.0.1:{address[1]}") as child:
            child.expect("waiting")
            child.sendintr()
            assert ending(child) == (" 0 s^C" + ERASE, 130)
        for other in others:
            other.close()


def test_ctrl_c_while_it_reads_stdin() -> None:
    with terminal("-", "--url", free_url()) as child:
        wait_for(lambda: sleeps(child.pid))
        child.sendintr()
        assert ending(child) == ("^C", 130)
