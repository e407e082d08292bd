"""Files of conversations: none is destroyed, whatever else happens to them."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from console_runs import (
    ROOT,
    clean_env,
    command,
    ending,
    free_url,
    inside,
    known,
    served,
    terminal,
    wait_for,
)

from async_copilot.console import safe_file
from async_copilot.console.safe_file import NotRegularError, SafeFile, free_neighbor, read_regular
from async_copilot.fake_server import FakeAnswer, Stall

DUMB = {"TERM": "dumb"}


def questions(file: Path) -> list[str]:
    """What was asked in a saved conversation."""
    history = json.loads(file.read_text())["history"]
    return [message["content"] for message in history if message["role"] == "user"]


# ---- a file that is there


@pytest.mark.parametrize("content", ["milk, bread\n", "", '{"format": 1}'])
def test_a_file_that_is_there_is_not_replaced(content: str, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text(content)
    with served("Hello") as server:
        done = inside("Hi", "--save", str(file), "--url", server.url)
        assert server.requests == []
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--resume {file}" in done.stderr
    assert file.read_text() == content


def test_a_file_other_than_the_one_resumed_is_not_replaced(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    with served("Hello") as server:
        for file in (one, other):
            inside("Hi", "--save", str(file), "--url", server.url)
        before = other.read_bytes()
        done = inside("And", "--resume", str(one), "--save", str(other), "--url", server.url)
        assert done.returncode == 2
        assert other.read_bytes() == before
        link = tmp_path / "link.json"
        link.symlink_to(one)
        done = inside("And", "--resume", str(one), "--save", str(link), "--url", server.url)
    assert done.returncode == 0
    assert questions(one) == ["Hi", "And"]


def test_the_resumed_conversation_can_be_saved_as_a_new_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    with served("Hello") as server:
        inside("Hi", "--save", str(one), "--url", server.url)
        done = inside("And", "--resume", str(one), "--save", str(other), "--url", server.url)
    assert done.returncode == 0
    assert (questions(one), questions(other)) == (["Hi"], ["Hi", "And"])


def test_resuming_says_what_is_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    with served("Hello") as server:
        inside("Hi", "Who am\nI?" + "?" * 80, "--save", str(file), "--url", server.url)
        done = inside("And", "--resume", str(file), "--url", server.url)
    assert done.stderr == (
        f"async-copilot: resumed {file}: 2 turns, the last question: Who am I?{'?' * 51}…\n"
    )


# ---- what is not a file


@contextmanager
def odd_places(folder: Path) -> Iterator[list[Path]]:
    """A pipe, a socket, a device, and a link to one."""
    pipe, link = folder / "pipe", folder / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        yield [pipe, folder / "socket", Path("/dev/null"), link]


@pytest.mark.parametrize("option", ["--save", "--resume"])
def test_devices_pipes_and_sockets_are_refused_at_once(option: str, tmp_path: Path) -> None:
    with odd_places(tmp_path) as places, served("Hello") as server:
        for place in places:
            kind = stat.S_IFMT(place.stat().st_mode)
            done = inside("Hi", option, str(place), "--url", server.url)
            assert done.returncode == 2
            assert f"{option} {place}: it is not a regular file" in done.stderr
            assert stat.S_IFMT(place.stat().st_mode) == kind
        assert server.requests == []
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_place_that_the_system_refuses_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "circle").symlink_to("circle")
    for name, words in {"circle": "symbolic links", "x" * 300: "too long"}.items():
        done = inside("Hi", "--save", str(tmp_path / name), "--url", free_url())
        assert done.returncode == 2
        assert words in done.stderr
    file = tmp_path / "read-only"
    file.write_text("{}")
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root
    done = inside("Hi", "--save", str(file), "--resume", str(file), "--url", free_url())
    assert (done.returncode, "it may not be written" in done.stderr) == (2, True)


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    with served("Hello") as server:
        done = inside("Hi", "--save", str(tmp_path / ("x" * 255)), "--url", server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert questions(tmp_path / ("x" * 255)) == ["Hi"]


def test_a_history_that_is_not_a_file_is_refused(tmp_path: Path) -> None:
    with odd_places(tmp_path) as places:
        for place in places:
            env = {"ASYNC_COPILOT_HISTORY": str(place)}
            done = inside("-i", "--url", free_url(), env=env)
            assert done.returncode == 2
            assert "it is not a regular file" in done.stderr
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


# ---- a new conversation


def test_after_new_the_old_chat_stays_and_the_new_one_goes_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    (tmp_path / "chat-2.json").write_text("mine")
    lines = "a\n/new\nb\n/system Be brief.\nc\n"
    with served("Hello") as server:
        done = inside("-i", "--save", str(file), "--url", server.url, typed=lines)
    assert questions(file) == ["a"]
    assert (tmp_path / "chat-2.json").read_text() == "mine"
    assert questions(tmp_path / "chat-3.json") == ["b"]
    assert questions(tmp_path / "chat-4.json") == ["c"]
    assert f"the new one is kept in {tmp_path / 'chat-3.json'}" in done.stderr


def test_new_before_anything_was_said_keeps_the_name(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    with served("Hello") as server:
        inside("-i", "--save", str(file), "--url", server.url, typed="/new\na\n")
    assert questions(file) == ["a"]
    assert list(tmp_path.iterdir()) == [file]


def test_after_new_a_resumed_chat_stays_too(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    both = ("--resume", str(file), "--save", str(file))
    with served("Hello") as server:
        inside("a", "--save", str(file), "--url", server.url)
        inside("-i", *both, "--url", server.url, typed="/new b\n")
    assert questions(file) == ["a"]
    assert questions(tmp_path / "chat-2.json") == ["b"]


# ---- two at once


def test_a_chat_that_another_terminal_went_on_with_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    both = ("--resume", str(file), "--save", str(file), "--url")
    with served(known) as server:
        inside("a", "--save", str(file), "--url", server.url)
        with terminal("-i", *both, server.url, env=DUMB) as child:
            child.expect_exact("> ")
            assert inside("from elsewhere", *both, server.url).returncode == 0
            child.sendline("from here")
            child.expect_exact(f"this conversation is kept in {tmp_path / 'chat-2.json'}")
            child.sendline("and more")
            child.expect_exact("\n> ")
            child.expect_exact("\n> ")
            child.sendeof()
            ending(child)
    assert questions(file) == ["a", "from elsewhere"]
    assert questions(tmp_path / "chat-2.json") == ["a", "from here", "and more"]


def test_a_file_that_came_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"

    def script(_: object) -> str:
        file.write_text("mine")
        return "Hello"

    with served(script) as server:
        done = inside("Hi", "--save", str(file), "--url", server.url)
    assert done.returncode == 0
    assert file.read_text() == "mine"
    assert questions(tmp_path / "chat-2.json") == ["Hi"]
    assert "it stays as it is" in done.stderr


def test_of_many_writers_at_once_none_is_lost(tmp_path: Path) -> None:
    """Each has read the same file, and each one's text is there in the end."""
    file = tmp_path / "chat.json"
    file.write_bytes(b"first")
    pids = []
    mine = SafeFile(file)
    mine.read()
    for number in range(8):
        if (pid := os.fork()) == 0:  # pragma: no cover  # in the child
            for turn in range(5):
                mine.write(f"{number}.{turn}".encode())
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
    texts = sorted(path.read_text() for path in tmp_path.iterdir())
    assert texts == [f"{number}.4" for number in range(8)]


# ---- in the middle of a write


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "chat.json"
    both = ("--resume", str(file), "--save", str(file))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with served("Hello") as server:
        inside("a", "--save", str(file), "--url", server.url)
        before = file.read_bytes()
        monkeypatch.setattr(safe_file.os, "fsync", full)
        done = inside("b", *both, "--url", server.url)
    assert done.returncode == 74
    assert f"cannot save the conversation in {file}: No space left on device" in done.stderr
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


KILLED = """
import os, signal, sys
from async_copilot.console import safe_file
real = os.fsync
def fsync(number):
    real(number)
    os.kill(os.getpid(), signal.SIGKILL)
safe_file.os.fsync = fsync
from async_copilot.__main__ import main
main(sys.argv[1:])
"""


def test_a_kill_in_the_middle_of_a_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    with served("Hello") as server:
        inside("a", "--save", str(file), "--url", server.url)
        before = file.read_bytes()
        arguments = ["b", "--resume", str(file), "--save", str(file), "--url", server.url]
        line = [command()[0], "-c", KILLED, *arguments]
        done = subprocess.run(  # noqa: S603  # our own module
            line, cwd=ROOT, env=clean_env(), stdin=subprocess.DEVNULL, check=False, timeout=30
        )
    assert done.returncode == -signal.SIGKILL
    assert file.read_bytes() == before


def test_an_answer_that_was_stopped_is_saved_in_a_chat(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    answer = FakeAnswer("Hello there", fault=Stall(after=2))
    with (
        served(answer) as server,
        terminal("-i", "--save", str(file), "--url", server.url, env=DUMB) as child,
    ):
        child.expect_exact("> ")
        child.sendline("Hi")
        child.expect_exact("Hello")
        child.sendintr()
        wait_for(file.exists)
    assert questions(file) == ["Hi"]


# ---- the file itself


def test_a_file_is_written_in_place_and_read_back(tmp_path: Path) -> None:
    file = SafeFile(tmp_path / "a.b.txt")
    assert file.write(b"one")
    assert file.write(b"two")
    assert file.read() == b"two"
    (tmp_path / "a.b.txt").unlink()
    assert file.write(b"three"), "a file that was deleted is made anew"
    (tmp_path / "a.b.txt").write_bytes(b"not mine")
    assert not file.write(b"four")
    assert file.path == tmp_path / "a.b-2.txt"
    assert (tmp_path / "a.b.txt").read_bytes() == b"not mine"
    assert free_neighbor(tmp_path / "a.b.txt") == tmp_path / "a.b-3.txt"


def test_a_name_that_is_taken_at_the_last_moment_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "chat.json"
    file = SafeFile(place)

    def late(path: Path) -> bytes:
        path.write_bytes(b"theirs")
        raise FileNotFoundError(path)

    monkeypatch.setattr(safe_file, "read_regular", late)
    monkeypatch.setattr(safe_file, "free_neighbor", lambda _: _stop())
    with pytest.raises(KeyboardInterrupt):
        file.write(b"mine")
    assert place.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [place]


def _stop() -> Path:
    raise KeyboardInterrupt


def test_a_disk_without_links_gets_the_file_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path, place: Path) -> None:
        if place.name == "taken.json":
            place.touch()
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    file = SafeFile(tmp_path / "chat.json")
    assert file.write(b"one")
    assert file.read() == b"one"
    taken = SafeFile(tmp_path / "taken.json")
    assert not taken.write(b"two")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "chat.json",
        "taken-2.json",
        "taken.json",
    ]


def test_without_locks_it_looks_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows."""
    monkeypatch.setattr(safe_file, "fcntl", None)
    file = SafeFile(tmp_path / "chat.json")
    assert file.write(b"one")
    file.path.write_bytes(b"theirs")
    assert not file.write(b"two")


def test_what_becomes_a_pipe_after_it_was_looked_at_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    regular = (tmp_path / "file").stat()
    monkeypatch.setattr(Path, "stat", lambda _: regular)
    with pytest.raises(NotRegularError):
        read_regular(tmp_path / "pipe")
