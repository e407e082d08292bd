"""What is piped in: nothing of it is lost, and nobody waits for it in silence."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect  # type: ignore[import-untyped]  # it has no types
import pytest
from console_runs import (
    ROOT,
    clean_env,
    command,
    console,
    ending,
    events_of,
    free_url,
    inside,
    served,
    spawned,
)

from async_copilot.console import piped_input
from async_copilot.console.plain_text import decoded

READING = b"async-copilot: reading stdin until its end; "
LEFT_ALONE = b"async-copilot: nothing came on stdin, so it is not read; "


@contextmanager
def with_open_pipe(*args: str) -> Iterator[subprocess.Popen[bytes]]:
    """The console with a pipe on stdin that nobody has closed yet."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(  # noqa: S603  # our own module
        command(*args), stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT, env=clean_env()
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line_of_stderr(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stderr is not None
    return process.stderr.readline()


# ---- a pipe that stays open


def test_a_silent_pipe_is_told_and_its_text_is_still_taken() -> None:
    with served("Hello") as server, with_open_pipe("Review", "--url", server.url) as process:
        told = line_of_stderr(process)
        assert told.startswith(READING)
        assert b"< /dev/null" in told
        assert b"--no-stdin" in told
        assert server.requests == []
        out, err = process.communicate(b"late", timeout=30)
        assert [request.text for request in server.requests] == ["Review\n\nlate"]
    assert (out, err, process.returncode) == (b"Hello\n", b"", 0)


def test_a_pipe_that_goes_silent_in_the_middle_is_told_once() -> None:
    with served("Hello") as server, with_open_pipe("Hi", "--url", server.url) as process:
        assert process.stdin is not None
        process.stdin.write(b"one ")
        process.stdin.flush()
        assert line_of_stderr(process).startswith(READING)
        out, err = process.communicate(b"two", timeout=30)
        assert [request.text for request in server.requests] == ["Hi\n\none two"]
    assert (out, err) == (b"Hello\n", b"")


def test_a_silent_pipe_may_be_left_unread() -> None:
    args = ("Hi", "--no-stdin", "--url")
    with served("Hello") as server, with_open_pipe(*args, server.url) as process:
        assert process.wait(timeout=30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert [request.text for request in server.requests] == ["Hi"]


def test_without_a_message_a_silent_pipe_does_not_hold_the_greeting_up() -> None:
    with served("Hello") as server, with_open_pipe("--url", server.url) as process:
        assert line_of_stderr(process).startswith(LEFT_ALONE)
        assert process.wait(timeout=30) == 0
        assert process.stdout is not None
        assert process.stdout.read() == b"Hello\n\nHello\n"
        assert len(server.requests) == 2


def test_where_a_pipe_cannot_be_asked_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def windows(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(piped_input.select, "select", windows)
    assert piped_input._has_more(0)


def test_a_pipe_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piped_input, "MAX_BYTES", 10)
    done = inside("Hi", "--url", free_url(), typed="more than that")
    assert (done.returncode, "stdin holds more than" in done.stderr) == (2, True)


# ---- what it holds


def test_a_stdin_that_is_not_for_reading_is_told(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        done = console("-", "--url", free_url(), stdin=out)
        chat = console("-i", "--url", free_url(), stdin=out)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "async-copilot: stdin cannot be read: Bad file descriptor\n"
    assert (chat.returncode, chat.stderr) == (0, "")


def test_a_pipe_with_something_in_it_is_the_message() -> None:
    with served("Hello") as server:
        done = inside("--url", server.url, typed="question\n")
        assert inside("--url", server.url, typed=" \n").stdout == "Hello\n\nHello\n"
        texts = [request.text for request in server.requests]
    assert (done.stdout, done.stderr) == ("Hello\n", "")
    assert texts[0] == "question"
    assert texts[1].startswith("Hello, I am Heiner.")


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_text_is_read_by_its_byte_order_mark(encoding: str) -> None:
    text = "\ufeffgrün 🎉\n" if encoding.endswith(("-le", "-be")) else "grün 🎉\n"
    with served("Hello") as server:
        done = inside("-", "--url", server.url, typed=text.encode(encoding))
        assert done.returncode == 0
        assert [request.text for request in server.requests] == ["grün 🎉"]


BINARY = {
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(20),
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "gzip": b"\x1f\x8b\x08\x08\x12\x34\x56\x67\x02\xffgr",
    "NULs": b"a\0b\0",
    "half of UTF-16": b"\xff\xfea",
    "UTF-16 with half of a pair": b"\xff\xfe\x00\xd8a\x00",
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("given", [["-"], ["What is this?"], []])
def test_binary_data_is_refused(name: str, given: list[str]) -> None:
    done = inside(*given, "--url", free_url(), typed=BINARY[name])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("async-copilot: stdin holds binary data")


def test_text_of_another_encoding_is_not_binary_data() -> None:
    told: list[str] = []
    assert decoded(b"gr\xfcn", "stdin", told.append, fallback="latin-1") == "grün"
    assert decoded(b"\x1b[1mbold\x1b[0m\n", "stdin", told.append) == "\x1b[1mbold\x1b[0m\n"
    assert decoded(b"", "stdin", told.append) == ""
    assert told == []
    assert decoded(b"gr\xfcn\tund\x0cblau\n", "stdin", told.append) == "gr\ufffdn\tund\x0cblau\n"
    assert told[0].startswith("stdin is not text in UTF-8; characters that cannot be read")


# ---- and a chat


def shell(line: str) -> pexpect.spawn:
    """A line of a shell on a terminal, in which ``$AC`` is the console."""
    env = {"TERM": "dumb", "AC": shlex.join(command())}
    return spawned("/bin/sh", ["-c", line], cwd=str(ROOT), env=clean_env(env))


def test_after_a_piped_first_message_the_chat_goes_on_at_the_terminal() -> None:
    with served("Hello") as server:
        child = shell(f"seq 40 | $AC -i 'Sum up' --url {server.url}")
        child.expect_exact("Hello")
        child.expect_exact("> ")
        child.sendline("And now?")
        child.expect_exact("Hello")
        child.expect_exact("> ")
        child.sendeof()
        assert ending(child)[1] == 0
        texts = [request.text for request in server.requests]
    assert texts == ["Sum up\n\n" + "\n".join(map(str, range(1, 41))), "And now?"]


def test_a_pipe_waits_for_the_first_message_that_is_typed() -> None:
    with served("Hello") as server:
        child = shell(f"printf 'one\\ntwo\\n' | $AC -i --url {server.url}")
        child.expect_exact("what stdin held goes under the first message")
        child.expect_exact("> ")
        child.sendline("Sum up")
        child.expect_exact("Hello")
        child.expect_exact("> ")
        child.sendeof()
        assert ending(child)[1] == 0
        assert [request.text for request in server.requests] == ["Sum up\n\none\ntwo"]


def test_an_empty_pipe_begins_a_chat_at_the_terminal() -> None:
    with served("Hello") as server:
        child = shell(f": | $AC -i --url {server.url}")
        child.expect_exact("> ")
        assert "stdin" not in child.before
        child.sendeof()
        assert ending(child)[1] == 0


def test_a_chat_at_the_terminal_may_leave_a_pipe_unread() -> None:
    with served("Hello") as server:
        child = shell(f"sleep 9 | $AC -i --no-stdin --url {server.url}")
        child.expect_exact("> ")
        child.sendline("Hi")
        child.expect_exact("Hello")
        child.expect_exact("> ")
        child.sendline("exit")
        child.expect_exact("exit")
        child.close(force=True)
        assert [request.text for request in server.requests] == ["Hi"]
    done = console("-i", "--no-stdin", "--url", free_url(), input="a\n")
    assert (done.returncode, "there is no terminal" in done.stderr) == (2, True)


def test_a_program_chats_through_pipes_even_from_a_terminal() -> None:
    with served(["One", "Two"]) as server:
        child = shell(f"printf 'a\\nb\\n' | $AC -i --json --url {server.url}")
        out, status = ending(child)
    assert status == 0
    texts = [event["text"] for event in events_of(out) if event["event"] == "end"]
    assert texts == ["One", "Two"]


# ---- and the last line of stderr


def test_no_line_of_stderr_stands_behind_the_answer() -> None:
    with served("Hello") as server:
        merged = subprocess.STDOUT
        options = {"capture_output": False, "stdout": subprocess.PIPE, "stderr": merged}
        done = console("Hi", "--verbose", "--stats", "--url", server.url, **options)
    lines = done.stdout.splitlines()
    assert "Hello" in lines
    assert all(line.startswith(("[", "stats: ", "Hello")) for line in lines if line)
    assert lines[-1].startswith("stats: ")
