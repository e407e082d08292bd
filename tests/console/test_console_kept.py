"""Chats that are kept without being asked for, and going on with the last one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from console_runs import console, ending, free_url, hurried_demo, inside, known, served, terminal

from async_copilot.console import conversations
from async_copilot.console.kept_chats import chats_folder, newest_chat


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "async_copilot" / "chats").glob("*"))


def env_of(folder: Path, **more: str) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(folder), "ASYNC_COPILOT_KEEP": ""} | more


def questions(file: Path) -> list[str]:
    history = json.loads(file.read_text())["history"]
    return [message["content"] for message in history if message["role"] == "user"]


def test_a_chat_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    env = env_of(tmp_path)
    with served(known) as server:
        inside("-i", "--url", server.url, env=env, typed="I am Ann\n")
        (file,) = kept(tmp_path)
        done = inside("-c", "Who am I?", "--url", server.url, env=env)
        again = inside("--continue", "-i", "--url", server.url, env=env, typed="And?\n")
    assert done.stdout == "I know I am Ann.\n"
    assert f"resumed {file}: 1 turn, the last question: I am Ann" in done.stderr
    assert again.stdout == "I know I am Ann, Who am I?.\n"
    assert kept(tmp_path) == [file]
    assert questions(file) == ["I am Ann", "Who am I?", "And?"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_other_runs_leave_nothing_unless_they_are_asked_to(tmp_path: Path) -> None:
    env = env_of(tmp_path)
    with served("Hello") as server:
        inside("Hi", "--url", server.url, env=env)
        inside("--url", server.url, env=env)
        inside("--url", server.url, env=env, typed="q\n")
        inside("-i", "--no-keep", "--url", server.url, env=env, typed="a\n")
        inside("-i", "--url", server.url, env=env | {"ASYNC_COPILOT_KEEP": "0"}, typed="a\n")
        inside("-i", "--save", str(tmp_path / "own.json"), "--url", server.url, typed="a\n")
        inside("-i", "--url", server.url, env=env, typed="")
        assert kept(tmp_path) == []
        inside("Hi", "--keep", "--url", server.url, env=env)
        (file,) = kept(tmp_path)
        before = file.read_bytes()
        inside("-c", "And", "--no-keep", "--url", server.url, env=env)
        assert file.read_bytes() == before


def test_the_last_one_is_the_one_in_which_something_was_said_last(tmp_path: Path) -> None:
    env = env_of(tmp_path)
    with served("Hello") as server:
        inside("-i", "--url", server.url, env=env, typed="old\n")
        (old,) = kept(tmp_path)
        inside("-i", "--url", server.url, env=env, typed="one\n/new two\n")
        assert sorted(map(questions, kept(tmp_path))) == [["old"], ["one"], ["two"]]
        later = old.stat().st_mtime_ns + 10**10
        os.utime(old, ns=(later, later))
        inside("-c", "more", "--url", server.url, env=env)
    assert questions(old) == ["old", "more"]


def test_the_last_chat_can_be_saved_elsewhere(tmp_path: Path) -> None:
    env, file = env_of(tmp_path), tmp_path / "own.json"
    with served("Hello") as server:
        inside("a", "--keep", "--url", server.url, env=env)
        inside("-c", "b", "--save", str(file), "--url", server.url, env=env)
    assert questions(file) == ["a", "b"]
    assert questions(kept(tmp_path)[0]) == ["a"]


def test_a_resumed_file_stays_and_the_chat_is_kept(tmp_path: Path) -> None:
    env, file = env_of(tmp_path), tmp_path / "own.json"
    with served("Hello") as server:
        inside("a", "--save", str(file), "--url", server.url, env=env)
        inside("-i", "--resume", str(file), "--url", server.url, env=env, typed="b\n")
    assert questions(file) == ["a"]
    assert questions(kept(tmp_path)[0]) == ["a", "b"]


def test_where_none_is_kept_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    env = env_of(tmp_path)
    done = inside("-c", "Hi", "--url", free_url(), env=env)
    assert (done.returncode, "no chat is kept in" in done.stderr) == (2, True)
    done = console("-c", "--url", free_url(), env=env)
    assert (done.returncode, "give a message, or -i" in done.stderr) == (2, True)


def test_a_folder_that_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(conversations, "newest_chat", refused)
    done = inside("-c", "Hi", "--url", free_url())
    assert (done.returncode, "Permission denied" in done.stderr) == (2, True)


def test_alone_on_a_terminal_it_chats(tmp_path: Path) -> None:
    env = env_of(tmp_path, TERM="dumb")
    with served("Hello") as server:
        inside("Hi", "--keep", "--url", server.url, env=env)
        with terminal("-c", "--url", server.url, env=env) as child:
            child.expect_exact("> ")
            child.sendline("And")
            child.expect_exact("Hello")
            child.expect_exact("> ")
            child.sendeof()
            assert ending(child)[1] == 0
    assert questions(kept(tmp_path)[0]) == ["Hi", "And"]


def test_a_folder_that_cannot_be_made_is_told_and_the_chat_goes_on(tmp_path: Path) -> None:
    (tmp_path / "async_copilot").write_text("in the way")
    with served("Hello") as server:
        done = inside("-i", "--url", server.url, env=env_of(tmp_path), typed="a\n")
        lost = inside("-c", "Hi", "--url", server.url, env=env_of(tmp_path))
    assert (done.returncode, done.stdout) == (0, "Hello\n")
    assert "this conversation is not kept: " in done.stderr
    assert lost.returncode == 2


def test_another_server_than_the_last_one_is_told_what_was_said(tmp_path: Path) -> None:
    env = env_of(tmp_path)
    with served(known) as first, served(known) as second:
        inside("a", "--keep", "--url", first.url, env=env)
        inside("-c", "b", "--url", second.url, env=env)
        inside("-c", "c", "--url", second.url, env=env)
    assert [request.text for request in second.requests] == [
        "User: a\nAssistant: I know nothing.\nUser: b",
        "c",
    ]
    assert second.requests[0].conversation is None


def test_the_demo_can_be_gone_on_with_though_it_is_a_new_one_each_time(tmp_path: Path) -> None:
    env = env_of(tmp_path)
    for memory in ("server", "client"):
        with hurried_demo():
            inside("--demo", "--memory", memory, "--keep", "I am Ann", env=env)
            done = inside("--demo", "-c", "Who am I?", env=env)
        assert done.stdout.startswith("Your name is Ann.")


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    env = {"ASYNC_COPILOT_KEEP": "", "XDG_STATE_HOME": "not/absolute"}
    with served("Hello") as server:
        done = inside("-i", "--url", server.url, env=env, typed="a\n")
        lost = inside("-c", "Hi", "--url", server.url, env=env)
    assert (done.returncode, done.stdout) == (0, "Hello\n")
    assert "this conversation is not kept: you have no home folder" in done.stderr
    assert (lost.returncode, "you have no home folder" in lost.stderr) == (2, True)


def test_the_folder_is_the_platforms(tmp_path: Path) -> None:
    home = chats_folder({})
    assert home is not None
    assert home.parts[-2:] == ("async_copilot", "chats")
    assert chats_folder({"XDG_STATE_HOME": "/x"}) == Path("/x/async_copilot/chats")
    assert newest_chat(tmp_path / "missing") is None
