"""The console among pipes: at once, quietly, safely, whatever is at the other end."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shlex
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO

import pytest
from console_runs import (
    ROOT,
    Finished,
    clean_env,
    command,
    console,
    events_of,
    inside,
    served,
    sleeps,
    wait_for,
)

from async_copilot.__main__ import _leave_threads, main
from async_copilot.fake_server import FakeAnswer, Repeat, Request, Stall


@contextmanager
def started(
    *args: str, python: str | None = None, stdout: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    """The console under way, its streams pipes; ``python``: code to run in its place."""
    line = command(*args) if python is None else [sys.executable, "-c", python]
    process = subprocess.Popen(  # noqa: S603  # our own module
        line,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=clean_env(),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def shell(line: str) -> Finished:
    """A line of bash in which ``$AC`` is the console."""
    return subprocess.run(  # noqa: S603  # our own line
        ["bash", "-c", f"set -o pipefail; {line}"],  # noqa: S607  # bash of the machine
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env=clean_env({"AC": f"{sys.executable} -m async_copilot"}),
        timeout=30,
        check=False,
    )


def test_text_is_in_the_pipe_while_the_answer_is_still_coming() -> None:
    with (
        served(FakeAnswer("Hello there", fault=Stall(after=1))) as server,
        started("Hi", "--url", server.url) as process,
    ):
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 100) == b"Hel"


def test_nothing_but_the_answers_is_in_the_pipe() -> None:
    with served(["Hello", "Bye\n"]) as server:
        done = console("Hi", "Bye", "--url", server.url)
    assert (done.stdout, done.stderr, done.returncode) == ("Hello\n\nBye\n\n", "", 0)


@pytest.mark.parametrize("option", ["", "--json"])
def test_a_reader_that_leaves_ends_the_program_quietly(option: str) -> None:
    """And the server sees it go."""
    with served(FakeAnswer("Hello there. ", pace=1000, fault=Repeat())) as server:
        done = shell(f"$AC {option} --url {server.url} Hi | head -c 5")
        server_saw = server.disconnects
    assert len(done.stdout) == 5
    assert (done.returncode, done.stderr) == (141, "")
    assert server_saw == 1


def test_a_reader_that_left_does_not_stop_a_retry_but_the_text_after_it() -> None:
    def script(_: Request) -> str | FakeAnswer:
        assert process.stdout is not None
        if process.stdout.closed:
            return "Hello"
        process.stdout.close()
        return FakeAnswer(status=503, retry_after=0.01)

    with served(script) as server, started("Hi", "--json", "--url", server.url) as process:
        assert process.wait(timeout=30) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert len(server.requests) == 2


def test_a_version_that_nobody_reads_gives_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with started("--version", stdout=writer) as process:
        os.close(writer)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (141, b"")


def test_a_full_disk_is_one_line_and_status_74() -> None:
    with served("Hello") as server:
        done = shell(f"$AC --url {server.url} Hi > /dev/full")
    assert done.returncode == 74
    assert done.stderr == "async-copilot: cannot write the answer: No space left on device\n"


def test_pipes_that_another_program_made_unblocking_lose_nothing() -> None:
    """As some parents leave them."""
    reader, writer = os.pipe()
    stdin, typed = os.pipe()
    for number in (writer, stdin):
        os.set_blocking(number, False)
    line = command("Hi", "--url")
    with served(FakeAnswer(["word " * 40_000])) as server:
        process = subprocess.Popen(  # noqa: S603  # our own module
            [*line, server.url], stdin=stdin, stdout=writer, cwd=ROOT, env=clean_env()
        )
        os.close(writer)
        os.close(stdin)
        wait_for(lambda: sleeps(process.pid), within=20)
        os.write(typed, b"late")
        os.close(typed)
        with open(reader, "rb") as pipe:  # noqa: PTH123  # a number, not a path
            wait_for(lambda: _is_full(pipe), within=20)
            assert len(pipe.read()) == 200_001
        assert process.wait(timeout=5) == 0
        assert server.requests[0].text == "Hi\n\nlate"


def test_a_problem_stays_out_of_the_answer_and_keeps_its_status() -> None:
    done = shell("$AC --bogus 2>&-; echo $?; $AC --bogus 2>/dev/full; echo $?")
    assert done.stdout == "2\n2\n"
    done = shell("$AC --save no/where Hi 2>/dev/full")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-"])
def test_it_runs_with_a_stream_closed(closed: str) -> None:
    with served(["Hello", FakeAnswer(status=400)]) as server:
        done = shell(f"$AC --url {server.url} Hi Hi {closed}")
    assert done.returncode == 76
    assert done.stdout == ("" if closed == "1>&-" else "Hello\n\n")
    assert "Error" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_character_the_console_cannot_encode_is_replaced(encoding: str) -> None:
    with served("grün 🎉") as server:
        done = console("Hi", "--url", server.url, env={"PYTHONIOENCODING": encoding}, encoding=None)
    assert done.returncode == 0
    assert done.stdout == "grün ?\n".encode(encoding, errors="replace")  # type: ignore[comparison-overlap]  # bytes, by encoding=None


def test_json_is_ascii_whatever_the_console_can() -> None:
    with served("grün 🎉\x7f\x9b") as server:
        done = console("Hi", "--url", server.url, "--json", env={"PYTHONIOENCODING": "ascii"})
    assert done.stdout.isascii()
    assert "\x7f" not in done.stdout
    assert events_of(done.stdout)[-1]["text"] == "grün 🎉\x7f\x9b"


def test_in_a_pipe_the_answer_is_what_came_and_the_rest_is_made_visible() -> None:
    said = "a\x1b[2Jb\x07\x9bc\u202e\r\n\td\x0ce"
    answers = [
        FakeAnswer(said, reasoning=["\x1b]0;title\x07"]),
        FakeAnswer(status=400, error="\x1b[31mno\x9b"),
    ]
    with served(answers) as server:
        done = inside("Hi", "Hi", "--url", server.url, "--reasoning", "--verbose")
    assert done.stdout == f"{said}\n\n"
    assert "\\x1b]0;title\\x07" in done.stderr
    assert not set("\x1b\x07\x9b") & set(done.stderr)


def test_no_terminal_no_sign_no_color() -> None:
    with served(FakeAnswer("Hello", delay=0.6, reasoning="hm")) as server:
        done = console("Hi", "--url", server.url, "--reasoning")
    assert (done.stdout, done.stderr) == ("Hello\n", "hm\n")


# ---- stdin


def test_a_pipe_is_put_under_the_first_message() -> None:
    with served("Hello") as server:
        console("Review this", "And again", "--url", server.url, input="\ufeffline 1\r\nline 2\n")
        texts = [request.text for request in server.requests]
    assert texts == ["Review this\n\nline 1\nline 2", "And again"]


def test_a_dash_is_the_message_on_stdin() -> None:
    with served("Hello") as server:
        console("Hi", "-", "--url", server.url, input=b"gr\xfcn\n", encoding=None)
        texts = [request.text for request in server.requests]
    assert texts == ["Hi", "gr\ufffdn"]


def test_an_empty_pipe_adds_nothing_and_is_not_a_message() -> None:
    with served("Hello") as server:
        assert console("Hi", "--url", server.url, input="\n").returncode == 0
        assert [request.text for request in server.requests] == ["Hi"]
        done = console("-", "--url", server.url, input=" \n")
    assert (done.returncode, done.stderr) == (
        2,
        "async-copilot: stdin is empty, so there is no message for -\n",
    )


def test_without_messages_a_pipe_is_left_alone() -> None:
    """Whoever starts the main job may have a pipe on stdin that never ends."""
    with served("Hello") as server, started("--url", server.url) as process:
        out, _ = process.communicate(timeout=30)
        texts = [request.text for request in server.requests]
    assert out == b"Hello\n\nHello\n"
    assert texts == ["Hello, I am Heiner. How are you?", "Tell me something about my name."]


def test_a_chat_takes_its_messages_from_a_pipe_line_by_line() -> None:
    with served(["One", "Two", FakeAnswer(status=400), "Four"]) as server:
        done = console("-i", "Hi", "--url", server.url, input="a\n\n/new\nb\nc\n")
        texts = [request.text for request in server.requests]
    assert texts == ["Hi", "a", "b", "c"]
    assert done.stdout == "One\n\nTwo\n\nFour\n"
    assert done.returncode == 0


# ---- signals

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_it_with_its_summary_and_the_server_sees_it(number: signal.Signals) -> None:
    with (
        served(FakeAnswer("Hello there", fault=Stall(after=2))) as server,
        started("Hi", "--json", "--url", server.url) as process,
    ):
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        wait_for(lambda: server.disconnects == 1)
    events = events_of(b"".join([*lines, out]).decode())
    assert [event["event"] for event in events] == ["start", "delta", "delta", "end"]
    assert (events[-1]["end"], events[-1]["text"]) == ("cancelled", "Hello")
    assert (events[-1]["exit_status"], process.returncode) == (128 + number, 128 + number)
    assert err == b""


def test_a_signal_ends_a_write_that_nobody_reads() -> None:
    with (
        served(FakeAnswer(["x" * 10000], fault=Repeat())) as server,
        started("Hi", "--url", server.url) as process,
    ):
        wait_for(lambda: _is_full(process.stdout))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130


def test_a_signal_ends_a_write_of_reasoning_that_nobody_reads() -> None:
    with (
        served(FakeAnswer("Hi", reasoning=["x" * 10000] * 30)) as server,
        started("Hi", "--reasoning", "--url", server.url) as process,
    ):
        wait_for(lambda: _is_full(process.stderr))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143


def test_a_signal_ends_a_last_line_that_nobody_reads() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(65536))
    os.set_blocking(writer, True)
    with started("--json", "--url", "nonsense", stdout=writer) as process:
        os.close(writer)
        assert process.stderr is not None
        assert b"this is not a server URL: 'nonsense'" in process.stderr.readline()
        wait_for(lambda: sleeps(process.pid))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == b""
    os.close(reader)


def test_after_a_signal_a_program_gets_its_summary() -> None:
    class Output(io.StringIO):
        """No file of the system; Ctrl-C is pressed when the first text is written to it."""

        def write(self, text: str) -> int:
            if '"delta"' in text:
                signal.raise_signal(signal.SIGINT)
            return super().write(text)

    with served("Hello") as server, contextlib.redirect_stdout(Output()) as output:
        assert main(["Hi", "--json", "--url", server.url]) == 130
    start, end = events_of(output.getvalue())
    assert (start["event"], end["event"], end["end"]) == ("start", "end", "cancelled")


def test_off_the_main_thread_signals_are_left_alone() -> None:
    """Python lets only the main thread say what they do."""
    handlers = [signal.getsignal(number) for number in SIGNALS]
    seen = []

    def script(_: Request) -> str:
        seen.extend(signal.getsignal(number) for number in SIGNALS)
        return "Hello"

    with served(script) as server, ThreadPoolExecutor(1) as threads:
        done = threads.submit(inside, "Hi", "--url", server.url).result(timeout=30)
    assert (done.stdout, done.stderr, done.returncode) == ("Hello\n", "", 0)
    assert seen == handlers


def test_a_name_lookup_that_comes_to_its_end_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    class Lookup(threading.Thread):
        """Ends when it is waited for, however slow the machine is."""

        def join(self, timeout: float | None = None) -> None:
            answered.set()
            super().join(5)

    lookup = Lookup(target=answered.wait, args=(5,), name="lookup_0")
    lookup.start()
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)
    _leave_threads("lookup", 7)
    assert not lookup.is_alive()
    assert ends == []


def test_a_signal_ends_a_name_lookup_that_hangs() -> None:
    """Python itself would wait at exit for the thread that looks the name up."""
    code = (
        "import socket, sys, time\n"
        "def hang(*_, **__):\n"
        "    sys.stdout.write('looking up'); sys.stdout.flush(); time.sleep(30)\n"
        "socket.getaddrinfo = hang\n"
        "from async_copilot.__main__ import main\n"
        "sys.exit(main(['Hi', '--url', 'http://host.test/v1']))\n"
    )
    with started(python=code) as process:
        assert process.stdout is not None
        os.read(process.stdout.fileno(), 100)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_an_ignored_signal_stays_ignored() -> None:
    """As with nohup."""
    line = shlex.join(command("Hi"))
    with (
        served(FakeAnswer("Hello", fault=Stall(after=1, seconds=0.3))) as server,
        subprocess.Popen(  # noqa: S603  # our own line
            ["bash", "-c", f"trap '' HUP; exec {line} --url {server.url}"],  # noqa: S607
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env=clean_env(),
        ) as process,
    ):
        wait_for(lambda: server.requests)
        process.send_signal(signal.SIGHUP)
        assert process.communicate(timeout=30)[0] == b"Hello\n"
    assert process.returncode == 0


def _is_full(pipe: IO[bytes] | None) -> bool:
    """True when no more goes into the pipe from the process."""
    assert pipe is not None
    waiting = []
    for _ in range(2):
        number = fcntl.ioctl(pipe.fileno(), termios.FIONREAD, bytes(4))
        waiting.append(int.from_bytes(number, sys.byteorder))
        time.sleep(0.1)
    return waiting[0] == waiting[1] > 30_000
