"""What is typed stays: lines, messages of several lines, commands, the file of what was typed."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pexpect  # type: ignore[import-untyped]  # it has no types
import pytest
from console_runs import (
    ROOT,
    clean_env,
    command,
    ending,
    inside,
    served,
    spawned,
    terminal,
    wait_for,
)

from async_copilot.console import editor
from async_copilot.console.editor import EditorError, edited
from async_copilot.console.history_file import HistoryFile
from async_copilot.fake_server import FakeAnswer, FakeServer, Script, Stall

XTERM, DUMB = {"TERM": "xterm"}, {"TERM": "dumb"}
UP = "\x1b[A"


@contextmanager
def chat(
    script: Script = "Hello", *args: str, env: dict[str, str] = XTERM
) -> Iterator[tuple[pexpect.spawn, FakeServer]]:
    with (
        served(script) as server,
        terminal("-i", *args, "--url", server.url, env=env) as child,
    ):
        child.expect_exact("> ")
        yield child, server


def say(child: pexpect.spawn, keys: str) -> str:
    """What is shown between the keys of a message and the prompt after its answer."""
    child.send(keys + "\r")
    child.expect_exact("Hello")
    shown: str = child.before
    child.expect_exact("> ")
    return shown


def sent(server: FakeServer) -> list[str]:
    return [request.text for request in server.requests]


# ---- commands


def test_text_behind_new_is_the_first_message_of_the_new_conversation() -> None:
    with served("Hello") as server:
        done = inside("-i", "--url", server.url, typed="a\n/new and  now\n/NEW\nb\n")
        ids = [request.conversation_id for request in server.requests]
        assert sent(server) == ["a", "and  now", "b"]
    assert len(set(ids)) == 3
    assert done.returncode == 0


LEAVING = ["exit", "quit", ":q", "/quit", "/exit", "/EXIT", " Exit ", "/Quit"]


@pytest.mark.parametrize("word", LEAVING)
def test_every_usual_word_leaves(word: str) -> None:
    with served("Hello") as server:
        done = inside("-i", "--url", server.url, typed=f"a\n{word}\nb\n")
        assert sent(server) == ["a"]
    assert done.returncode == 0


def test_a_word_in_a_message_does_not_leave() -> None:
    with served("Hello") as server:
        done = inside("-i", "--url", server.url, typed="exit the loop\n/exit now\n//exit\n")
        assert sent(server) == ["exit the loop", "/exit"]
    assert "/exit leaves when it stands alone" in done.stderr


def test_help_says_what_can_be_typed() -> None:
    done = inside("-i", "--url", "http://127.0.0.1:9/v1", typed="/?\n")
    again = inside("-i", "--url", "http://127.0.0.1:9/v1", typed="/HELP\n")
    assert done.stderr == again.stderr
    for words in ("/new [TEXT]", "/model NAME", "/provider NAME", "/edit", "Alt-Enter", "quit"):
        assert words in done.stderr


def test_model_and_provider_change_in_mid_conversation() -> None:
    lines = "/model\n/provider\na\n/model large\n/provider 'Other'\nb\n/new c\n/provider ''\nd\n"
    with served("Hello") as server:
        done = inside("-i", "--url", server.url, typed=lines)
        asked = [(request.body["model"], request.provider) for request in server.requests]
        second = server.requests[1]
    assert asked == [("", "Copilot"), ("large", "Other"), ("large", "Other"), ("large", None)]
    assert second.conversation is None
    assert second.text.startswith("User: a\nAssistant: Hello\n"), "another provider is told"
    for words in ("the server chooses the model", "the provider is Copilot", "no provider is sent"):
        assert words in done.stderr


# ---- several lines


def test_a_message_goes_on_after_alt_enter_and_after_a_backslash() -> None:
    with chat() as (child, server):
        say(child, "one\x1b\rtwo")
        child.send("three\\\r")
        child.expect_exact(". ")
        say(child, "four")
        child.send("C:\\\r")
        child.expect_exact(". ")
        say(child, "")
        say(child, "a\\\\")
        assert sent(server) == ["one\ntwo", "three\nfour", "C:\\", "a\\\\"]


def test_up_brings_back_a_whole_message() -> None:
    """One that was pasted, with brackets or only fast, or typed in several lines."""
    with chat() as (child, server):
        say(child, "\x1b[200~one\ntwo\x1b[201~")
        say(child, f"{UP}!")
    assert sent(server)[1] == "one\ntwo!"
    with chat(env=DUMB) as (child, server):
        child.send("one\rtwo\rthree\r")
        child.expect_exact("Hello")
        child.expect_exact("> ")
        say(child, f"{UP}!")
        assert sent(server) == ["one\ntwo\nthree", "one\ntwo\nthree!"]


@pytest.mark.parametrize("env", [XTERM, DUMB], ids=["xterm", "dumb"])
def test_a_long_line_is_whole_where_the_answers_go_into_a_pipe(
    env: dict[str, str], tmp_path: Path
) -> None:
    """A terminal itself drops what goes beyond 4,095 characters."""
    file = tmp_path / "answers"
    with served("Hello") as server:
        line = f"{shlex.join(command('-i', '--url', server.url))} | tee {file}"
        child = spawned("/bin/sh", ["-c", line], cwd=str(ROOT), env=clean_env(env))
        child.expect_exact("> ")
        child.send("x" * 9000 + "\r")
        wait_for(lambda: file.read_text() == "Hello\n", within=20)
        child.send("exit\r")
        assert ending(child)[1] == 0
        assert sent(server) == ["x" * 9000]
    assert file.read_text() == "Hello\n"


# ---- while an answer streams, and after Ctrl-Z


def test_lines_typed_while_an_answer_streams_are_sent_one_by_one_in_order() -> None:
    answers: list[str | FakeAnswer] = [FakeAnswer("Wait. Hello", pace=8), "Hello"]
    script = [*answers, "Hello", "Hello"]
    with chat(script, env=DUMB) as (child, server):
        child.send("first\r")
        child.expect_exact("Wait")
        child.send("second\rthird\rfour")
        for _ in range(3):
            child.expect_exact("Hello")
        child.expect_exact("> ")
        say(child, "th")
        assert sent(server) == ["first", "second", "third", "fourth"]


def test_after_ctrl_z_and_fg_the_prompt_and_the_line_are_back() -> None:
    with served("Hello") as server:
        env = clean_env(XTERM)
        child = spawned("/bin/bash", ["--norc", "-i"], cwd=str(ROOT), env=env)
        child.sendline("PS1='shell'$; bind 'set enable-bracketed-paste off'")
        child.expect_exact("shell$")
        child.sendline(shlex.join(command("-i", "--url", server.url)))
        child.expect_exact("> ")
        child.send("half a l")
        child.expect_exact("half a l")
        child.send("\x1a")
        child.expect_exact("shell$")
        child.sendline("fg")
        child.expect_exact("> half a l")
        say(child, "ine")
        assert sent(server) == ["half a line"]
        child.send("\x04")
        child.expect_exact("shell$")
        child.sendline("stty -a; exit")
        assert " icanon" in ending(child)[0]


# ---- the editor

# A key sends its signal to whoever is at the terminal: the editor, and who started it.
INTERRUPTED = """
import os, pathlib, signal, sys
signal.signal(signal.SIGINT, lambda *_: pathlib.Path(sys.argv[1]).write_text("done\\n"))
os.kill(os.getppid(), signal.SIGINT)
os.kill(os.getpid(), signal.SIGINT)
"""


def test_edit_opens_the_editor_for_a_message(tmp_path: Path) -> None:
    program = tmp_path / "my editor"
    program.write_text("#!/bin/sh\nprintf ' and\\nmore\\n' >> \"$2\"\n")
    program.chmod(0o755)
    env = XTERM | {"EDITOR": f"'{program}' --wait"}
    with chat(env=env) as (child, server):
        say(child, "/edit begun")
        say(child, f"{UP}!")
        assert sent(server) == ["begun and\nmore", "begun and\nmore!"]


def test_the_editor_gets_the_terminal_where_the_answers_go_into_a_pipe(tmp_path: Path) -> None:
    program = tmp_path / "editor"
    program.write_text("#!/bin/sh\n[ -t 1 ] && echo 'on a terminal' > \"$1\"\n")
    program.chmod(0o755)
    env = clean_env(DUMB | {"EDITOR": str(program)})
    with served("Hello") as server:
        # stderr is not a terminal either, so the prompt goes to the terminal itself.
        line = f"{shlex.join(command('-i', '--url', server.url))} 2>{tmp_path / 'log'} | cat"
        child = spawned("/bin/sh", ["-c", line], cwd=str(ROOT), env=env)
        child.expect_exact("> ")
        child.send("/edit\r")
        wait_for(lambda: server.requests, within=20)
        child.send("exit\r")
        assert ending(child)[1] == 0
        assert sent(server) == ["on a terminal"]


def test_an_editor_that_fails_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EditorError, match="cannot start no-such-editor"):
        edited("", {"EDITOR": "no-such-editor"}, print)
    with pytest.raises(EditorError, match="false ended with status 1"):
        edited("", {"VISUAL": "false", "EDITOR": "true"}, print)
    with pytest.raises(EditorError, match="cannot start 'open"):
        edited("", {"EDITOR": "'open"}, print)
    assert edited("kept\n", {"EDITOR": "true"}, print) == "kept"
    called: list[str] = []

    def call(line: list[str], **_: object) -> int:
        called.append(line[0])
        return 1

    monkeypatch.setattr(editor.subprocess, "call", call)
    with pytest.raises(EditorError, match="vi ended"):
        edited("", {}, print)
    assert called == ["vi"]


def test_keys_that_send_signals_are_the_editors_own(tmp_path: Path) -> None:
    program = tmp_path / "editor"
    program.write_text(f"#!{sys.executable}\n" + INTERRUPTED)
    program.chmod(0o755)
    handler = signal.getsignal(signal.SIGINT)
    assert edited("", {"EDITOR": str(program)}, print) == "done"
    assert signal.getsignal(signal.SIGINT) is handler
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(edited, "a", {"EDITOR": "true"}, print).result() == "a"


def test_what_an_editor_leaves_must_be_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for script, problem in {"printf '\\0' >": "is not text", "rm": "cannot be edited"}.items():
        program = tmp_path / "editor"
        program.write_text(f'#!/bin/sh\n{script} "$1"\n')
        program.chmod(0o755)
        with pytest.raises(EditorError, match=problem):
            edited("", {"EDITOR": str(program)}, print)
    monkeypatch.setattr(editor.tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(EditorError, match="cannot be edited"):
        edited("", {"EDITOR": "true"}, print)


def test_an_editor_that_leaves_nothing_is_told() -> None:
    with served("Hello") as server:
        env = {"EDITOR": "true"}
        done = inside("-i", "--url", server.url, env=env, typed="/edit\n/edit kept\n")
        failed = inside("-i", "--url", server.url, env={"EDITOR": "false"}, typed="/edit\n")
        assert sent(server) == ["kept"]
    assert "the editor left no text; nothing is sent" in done.stderr
    assert "false ended with status 1" in failed.stderr


# ---- the file of what was typed


def test_two_chats_at_once_lose_nothing(tmp_path: Path) -> None:
    env = DUMB | {"ASYNC_COPILOT_HISTORY": str(tmp_path / "typed")}
    with chat(env=env) as (one, _), chat(env=env) as (other, _):
        say(one, "from one")
        say(other, "from the other")
        say(one, "again")
        one.sendeof()
        ending(one)
        other.sendeof()
        ending(other)
    file = HistoryFile(tmp_path / "typed")
    assert file.entries() == ["from one", "from the other", "again"]


def test_a_message_of_several_lines_is_one_entry_in_the_next_chat(tmp_path: Path) -> None:
    env = XTERM | {"ASYNC_COPILOT_HISTORY": str(tmp_path / "typed")}
    with chat(env=env) as (child, _):
        say(child, "\x1b[200~one\ntwo\x1b[201~")
    with chat(env=env) as (child, server):
        say(child, f"{UP}!")
        assert sent(server) == ["one\ntwo!"]
    assert (tmp_path / "typed").stat().st_mode & 0o777 == 0o600


def test_the_newest_entries_are_taken_and_odd_bytes_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "typed").write_bytes(b"gr\xfcn\n\n" + b"".join(b"%d\n" % n for n in range(2000)))
    entries = HistoryFile(tmp_path / "typed").entries()
    assert (len(entries), entries[-1]) == (1000, "1999")
    assert HistoryFile(tmp_path / "missing").entries() == []
    file = HistoryFile(tmp_path / "no" / "typed")
    file.add("forgotten")
    assert file.entries() == []
    file = HistoryFile(tmp_path / "later")
    (tmp_path / "later").mkdir()
    file.add("forgotten too")


# ---- as on Windows

BLOCKED = """
import asyncio, select, signal, sys
for name in ("termios", "readline", "fcntl", "tty", "pwd", "grp"):
    sys.modules[name] = None
for name in ("SIGHUP", "SIGCONT", "SIGTSTP"):
    delattr(signal, name)
def missing(*_, **__):
    raise NotImplementedError
asyncio.AbstractEventLoop.add_signal_handler = missing
from asyncio import unix_events
unix_events._UnixSelectorEventLoop.add_signal_handler = missing
from async_copilot.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_it_starts_answers_and_chats_where_the_machine_offers_less(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    env = {"ASYNC_COPILOT_HISTORY": str(tmp_path / "typed")}
    with served("Hello") as server:
        line = [sys.executable, "-c", BLOCKED, "--url", server.url, "--save", str(file)]
        piped = spawned(
            "/bin/sh",
            ["-c", f"echo q | {shlex.join(line[:5])}"],
            cwd=str(ROOT),
            env=clean_env(env),
        )
        assert ending(piped) == ("Hello\r\n", 0)
        child = spawned(line[0], [*line[1:], "-i"], cwd=str(ROOT), env=clean_env(DUMB | env))
        child.expect_exact("> ")
        say(child, "a")
        child.sendintr()
        child.expect_exact("(Ctrl-C again leaves)")
        child.expect_exact("> ")
        say(child, "/new b")
        child.sendeof()
        assert ending(child)[1] == 0
        assert sent(server) == ["q", "a", "b"]
    assert file.exists()
    assert (tmp_path / "chat-2.json").exists()


def test_a_long_answer_can_be_stopped_there_too() -> None:
    answer = FakeAnswer("Wait. Hello", fault=Stall(after=2))
    with served([answer, "Hello"]) as server:
        line = [sys.executable, "-c", BLOCKED, "--url", server.url, "-i"]
        child = spawned(line[0], line[1:], cwd=str(ROOT), env=clean_env(DUMB))
        child.expect_exact("> ")
        child.send("a\r")
        child.expect_exact("Wait")
        child.sendintr()
        child.expect_exact("> ")
        say(child, "b")
        child.sendeof()
        assert ending(child)[1] == 0


def test_what_goes_beside_the_text_of_messages_is_nothing_for_a_plain_run() -> None:
    with served("Hello") as server:
        done = inside("exit", "--url", server.url)
        assert sent(server) == ["exit"], "a message on the command line is not a command"
    assert done.returncode == 0
