"""The interactive chat on a terminal: turns, commands, pasted lines, and Ctrl-C."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect  # type: ignore[import-untyped]  # it has no types
import pytest
from console_runs import (
    ROOT,
    clean_env,
    command,
    ending,
    free_url,
    known,
    served,
    sleeps,
    spawned,
    terminal,
    wait_for,
)

from async_copilot.fake_server import FakeAnswer, FakeServer, Script, Stall

PROMPT = "\n> "
DUMB = {"TERM": "dumb"}  # plain lines, without the escape sequences of a line editor


@contextmanager
def chat(
    script: Script | None, *args: str, env: dict[str, str] | None = None
) -> Iterator[tuple[pexpect.spawn, FakeServer]]:
    with (
        served(script) as server,
        terminal("-i", *args, "--url", server.url, env=env or DUMB) as child,
    ):
        child.expect_exact("> ")
        yield child, server


def say(child: pexpect.spawn, line: str) -> str:
    """What is on the screen between a line that is typed and the next prompt."""
    child.sendline(line)
    child.expect_exact(PROMPT)
    shown: str = child.before
    return shown


def interrupt(child: pexpect.spawn) -> None:
    """Ctrl-C at the prompt, once Python waits there: it misses one that comes just before."""
    wait_for(lambda: sleeps(child.pid))
    child.sendintr()


def test_it_goes_on_from_the_given_turns_and_leaves_with_ctrl_d() -> None:
    with chat(known, "I am Ann") as (child, server):
        assert child.before == "I know nothing.\r\n\r\n"
        assert say(child, "Who am I?") == "Who am I?\r\nI know I am Ann.\r\n\r"
        assert say(child, "") == "\r"
        child.sendeof()
        assert ending(child) == ("\r\n", 0)
        assert [request.text for request in server.requests] == ["I am Ann", "Who am I?"]


def test_commands_are_not_sent() -> None:
    with chat("Hello") as (child, server):
        assert child.before == "/help lists the commands; Ctrl-D leaves\r\n"
        assert "/system TEXT" in say(child, "/help")
        assert "there is no command /foo; /help lists them" in say(child, "/foo")
        assert "no system prompt" in say(child, "/system")
        assert "this is a new conversation" in say(child, "/system  Be brief. ")
        assert "the system prompt is: Be brief." in say(child, "/system")
        say(child, "Hi")
        assert "a new conversation" in say(child, "/new")
        say(child, "/usr/bin is a folder")
        say(child, "//exit")
        child.sendline("/exit")
        assert ending(child) == ("/exit\r\n", 0)
        texts = [request.text for request in server.requests]
        ids = [request.conversation_id for request in server.requests]
    assert texts == ["Be brief.\n\nHi", "Be brief.\n\n/usr/bin is a folder", "/exit"]
    assert ids[0] != ids[1] == ids[2]


def test_a_new_system_prompt_holds_at_once_where_this_program_remembers() -> None:
    with chat(["One", "Two"], "--memory", "client") as (child, server):
        say(child, "Hi")
        assert "applies from the next message on" in say(child, "/system Be brief.")
        say(child, "And")
        roles = [message["role"] for message in server.requests[1].messages]
        child.sendeof()
        assert ending(child)[1] == 0
    assert roles == ["system", "user", "assistant", "user"]


def test_pasted_lines_are_one_message() -> None:
    """Bracketed by the terminal, or only fast."""
    with chat("Hello", env={"TERM": "xterm"}) as (child, server):
        assert child.before.endswith("\x1b[?2004h"), "brackets are asked for"
        child.send("\x1b[200~one\rtwo\n\nthree\x1b[201~")
        child.expect_exact("three")
        child.send("!\r")
        child.expect_exact("Hello")
        child.expect_exact("> ")
        assert server.requests[0].text == "one\ntwo\n\nthree!"
        child.sendeof()
        assert ending(child)[1] == 0
    with chat("Hello") as (child, server):
        child.send("one\rtwo\r\rthree\r")
        child.expect_exact("Hello")
        child.expect_exact(PROMPT)
        assert server.requests[0].text == "one\ntwo\n\nthree"
        child.sendeof()
        assert ending(child)[1] == 0


def test_ctrl_d_behind_pasted_lines_ends_the_message() -> None:
    with chat("Hello") as (child, server):
        child.send("one\rtwo\r\x04")
        child.expect_exact("Hello")
        child.expect_exact(PROMPT)
        assert [request.text for request in server.requests] == ["one\ntwo"]
        child.sendeof()
        assert ending(child)[1] == 0


def test_lines_can_be_edited_and_come_back(tmp_path: Path) -> None:
    """The up key, in this chat and, with a history file, in the next one."""
    env = DUMB | {"ASYNC_COPILOT_HISTORY": str(tmp_path / "typed")}
    with chat("Hello", env=env) as (child, server):
        say(child, "Hx\x7fi")
        say(child, "\x1b[A there")
        child.sendeof()
        ending(child)
        assert [request.text for request in server.requests] == ["Hi", "Hi there"]
    assert (tmp_path / "typed").stat().st_mode & 0o777 == 0o600
    with chat("Hello", env=env) as (child, server):
        say(child, "\x1b[A!")
        assert server.requests[0].text == "Hi there!"


# A script, and the status that the server has answered with when Ctrl-C is pressed.
STOPPED: dict[str, tuple[FakeAnswer, int | None]] = {
    "before the headers": (FakeAnswer("", fault=Stall(after="request")), None),
    "in the text": (FakeAnswer("Hello there", fault=Stall(after=2)), 200),
    # The next message waits for the time that the server asked for, too.
    "before a retry": (FakeAnswer(status=429, retry_after=4), 429),
}


@pytest.mark.parametrize("state", STOPPED)
def test_ctrl_c_stops_the_answer_and_keeps_the_chat(state: str) -> None:
    answer, status = STOPPED[state]
    with chat([answer, "Fine"]) as (child, server):
        child.sendline("Hi")
        if status == 200:
            child.expect_exact("Hello")
        wait_for(lambda: server.requests and server.requests[0].status == status)
        child.sendintr()
        child.expect_exact("(Ctrl-C again leaves)")
        child.expect_exact(PROMPT)
        wait_for(lambda: server.disconnects or status == 429)
        assert "Fine" in say(child, "Go on")
        child.sendeof()
        assert ending(child)[1] == 0


def test_the_text_shown_so_far_stays_in_the_conversation() -> None:
    answers: list[str | FakeAnswer] = [FakeAnswer("Hello there", fault=Stall(after=2)), "Fine"]
    with chat(answers, "--memory", "client") as (child, server):
        child.sendline("Hi")
        child.expect_exact("Hello")
        child.sendintr()
        child.expect_exact(PROMPT)
        say(child, "Go on")
        contents = [message["content"] for message in server.requests[1].messages]
    assert contents == ["Hi", "Hello", "Go on"]


def test_ctrl_c_twice_in_an_answer_leaves() -> None:
    with chat(FakeAnswer("Hello there", fault=Stall(after=2))) as (child, _):
        child.sendline("Hi")
        child.expect_exact("Hello")
        child.sendintr()
        child.expect_exact("> ")
        interrupt(child)
        out, status = ending(child)
    assert status == 130
    assert "Traceback" not in out


def test_ctrl_c_at_the_prompt_drops_the_line_and_twice_leaves() -> None:
    with chat("Hello") as (child, server):
        child.send("never se")
        child.expect_exact("never se")
        interrupt(child)
        child.expect_exact("(Ctrl-C again leaves)")
        child.expect_exact(PROMPT)
        say(child, "Hi")
        interrupt(child)
        child.expect_exact("(Ctrl-C again leaves)\r\n> ")
        interrupt(child)
        assert ending(child)[1] == 130
        assert [request.text for request in server.requests] == ["Hi"]


def test_a_failed_turn_is_told_and_can_be_tried_again() -> None:
    with terminal("-i", "--url", free_url(), "--retries", "0", env=DUMB) as child:
        child.expect_exact("> ")
        assert "nothing answers at" in say(child, "Hi")
        assert "nothing answers at" in say(child, "Hi")
        child.sendeof()
        assert ending(child)[1] == 69


def test_with_the_answers_in_a_pipe_the_prompt_is_on_stderr(tmp_path: Path) -> None:
    file = tmp_path / "answers"
    with served("Hello") as server:
        line = f"{shlex.join(command('-i', '--url', server.url))} > {file}"
        child = spawned("/bin/sh", ["-c", line], cwd=str(ROOT), env=clean_env())
        child.expect_exact("> ")
        child.sendline("Hi")
        child.expect_exact("> ")
        child.sendeof()
        assert ending(child)[1] == 0
    assert file.read_text() == "Hello\n"


def test_being_terminated_at_the_prompt_leaves_a_line_of_its_own() -> None:
    with chat("Hello") as (child, _):
        wait_for(lambda: sleeps(child.pid))
        child.kill(15)
        assert ending(child) == ("\r\n", 143)
