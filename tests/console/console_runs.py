"""Drives the console as a process of its own, against a fake server in a thread of this one."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pexpect  # type: ignore[import-untyped]  # it has no types

from async_copilot.__main__ import main
from async_copilot.fake_server import FakeServer, Request, Script

__all__ = [
    "ROOT",
    "Finished",
    "clean_env",
    "command",
    "console",
    "ending",
    "events_of",
    "free_url",
    "hurried_demo",
    "inside",
    "known",
    "served",
    "sleeps",
    "spawned",
    "terminal",
    "wait_for",
]

ROOT = Path(__file__).parents[2]

Finished = subprocess.CompletedProcess[str]


@contextmanager
def served(script: Script | None = None, **options: Any) -> Iterator[FakeServer]:
    """A running FakeServer, in a loop and thread of its own, so that a test may block."""
    server = FakeServer(script, **options)
    started = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with server:
            started.set()
            await over.wait()

    def work() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert started.wait(30)
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)


def known(request: Request) -> str:
    """A script: says what the server remembers of the conversation."""
    return f"I know {', '.join(request.known) or 'nothing'}."


def clean_env(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what would change the console, warnings made errors."""
    ours = ("ASYNC_COPILOT_", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "NO_COLOR", "INPUTRC")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    settings = {"PYTHONWARNINGS": "error", "TERM": "xterm", "PYTHONUTF8": "1"}
    settings["ASYNC_COPILOT_KEEP"] = "0"
    return kept | settings | dict(env or {})


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "async_copilot", *args]


def console(*args: str, env: Mapping[str, str] | None = None, **options: Any) -> Finished:
    """Runs the console to its end, away from any terminal; ``input=`` is piped into it."""
    if "input" not in options and "stdin" not in options:
        options["stdin"] = subprocess.DEVNULL
    defaults: dict[str, Any] = {"capture_output": True, "encoding": "utf-8"}
    defaults["start_new_session"] = True
    done: Finished = subprocess.run(  # noqa: S603, PLW1510  # our own module; tests look at the status
        command(*args), cwd=ROOT, env=clean_env(env), timeout=30, **(defaults | options)
    )
    return done


def inside(
    *args: str, env: Mapping[str, str] | None = None, typed: str | bytes | None = None
) -> Finished:
    """The same in this process: ten times as fast. typed: what a pipe on stdin holds."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        piped(typed) as stdin,
        mock.patch.dict(os.environ, clean_env(env), clear=True),
        mock.patch.multiple(sys, stdout=out, stderr=err, stdin=stdin),
        mock.patch("async_copilot.console.opening.open_terminal", return_value=None),
    ):
        status = main(args)
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return Finished(args, int(status), *texts)


@contextmanager
def hurried_demo() -> Iterator[None]:
    """The demo in this process answers at once, not at the pace of a chat."""
    with mock.patch("async_copilot.fake_server.demo.Pace", return_value=None):
        yield


@contextmanager
def piped(text: str | bytes | None) -> Iterator[io.TextIOWrapper | None]:
    """A pipe that holds a text, and its end; None for none."""
    if text is None:
        yield None
        return
    reading, writing = os.pipe()
    os.write(writing, text.encode() if isinstance(text, str) else text)
    os.close(writing)
    with open(reading, encoding="utf-8") as stream:  # noqa: PTH123  # a number, not a path
        yield stream


def spawned(program: str, args: list[str], **options: Any) -> pexpect.spawn:
    """A process on a pseudo-terminal."""
    child = pexpect.spawn(
        program, args, encoding="utf-8", timeout=20, dimensions=(40, 200), **options
    )
    # pexpect's pauses are for programs that need them.
    child.delaybeforesend = None
    child.delayafterclose = child.ptyproc.delayafterclose = 0.01
    return child


@contextmanager
def terminal(*args: str, env: Mapping[str, str] | None = None) -> Iterator[pexpect.spawn]:
    """The console on a pseudo-terminal, ended at the end of the block."""
    line = command(*args)
    child = spawned(line[0], line[1:], cwd=str(ROOT), env=clean_env(env))
    try:
        yield child
    finally:
        child.close(force=True)


def ending(child: pexpect.spawn) -> tuple[str, int | None]:
    """What a process on a terminal still writes, and its exit status."""
    child.expect(pexpect.EOF)
    child.wait()
    return child.before, child.exitstatus


def events_of(output: str) -> list[dict[str, Any]]:
    """The objects of a --json output."""
    return [json.loads(line) for line in output.splitlines()]


def free_url() -> str:
    """A base URL at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


def wait_for(condition: Callable[[], object], within: float = 20.0) -> None:
    """Waits until the condition holds, as a test sees it from outside."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)


def sleeps(pid: int) -> bool:
    """True for a process that has done nothing for a moment."""
    for _ in range(10):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "S":
            return False
        time.sleep(0.01)
    return True
