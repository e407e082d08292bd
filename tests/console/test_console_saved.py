"""A conversation over several runs, and a request that is only shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from console_runs import Finished, console, events_of, free_url, inside, known, served

from async_copilot.fake_server import FakeAnswer, Truncate


def test_a_conversation_goes_on_in_the_next_run(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    with served(known) as server:
        first = inside("I am Ann", "--save", str(file), "--url", server.url)
        second = inside(
            "Who am I?", "--resume", str(file), "--save", str(file), "--url", server.url
        )
    assert (first.returncode, second.returncode) == (0, 0)
    assert second.stdout == "I know I am Ann.\n"
    assert len(json.loads(file.read_text())["history"]) == 4


def test_a_saved_conversation_is_its_owners_alone_and_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    with served("Hello") as server:
        inside("Hi", "--save", str(tmp_path / "link"), "--url", server.url)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_a_conversation_that_cannot_be_kept_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"

    def in_the_way(_: object) -> str:
        file.mkdir()
        return "Hello"

    with served(in_the_way) as server:
        done = inside("Hi", "--save", str(file), "--url", server.url)
    assert (done.returncode, done.stdout) == (74, "Hello\n")
    assert done.stderr.startswith(f"async-copilot: cannot save the conversation in {file}: ")
    assert list(tmp_path.iterdir()) == [file]


def test_a_turn_that_failed_is_not_in_what_is_saved(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    with served(["Hello", FakeAnswer("Hello there", fault=Truncate(after=2))]) as server:
        inside("Hi", "again", "--save", str(file), "--url", server.url)
    assert [message["content"] for message in json.loads(file.read_text())["history"]] == [
        "Hi",
        "Hello",
    ]


def test_options_hold_over_what_was_saved(tmp_path: Path) -> None:
    """Even a conversation that a server remembered can go on from its history."""
    file = str(tmp_path / "chat.json")
    with served("Hello") as server:
        inside("Hi", "--save", file, "--model", "a", "--url", server.url)
        inside("And", "--resume", file, "--model", "b", "--provider", "P", "--url", server.url)
        options = ("--memory", "client", "--system", "Be brief.")
        inside("Then", "--resume", file, *options, "--url", server.url)
        _, one, two = (request.body for request in server.requests)
    assert (one["model"], one["provider"]) == ("b", "P")
    assert [message["role"] for message in two["messages"]] == [
        "system", "user", "assistant", "user",
    ]  # fmt: skip
    assert "provider" not in two


def test_another_provider_is_told_what_was_said_and_gets_no_handle(tmp_path: Path) -> None:
    file = str(tmp_path / "chat.json")
    with served("Hello") as server:
        inside("I am Ann", "--save", file, "--url", server.url)
        inside("Who am I?", "--resume", file, "--provider", "Other", "--url", server.url)
        first, second = server.requests
    assert (first.provider, second.provider) == ("Copilot", "Other")
    assert second.conversation is None
    assert second.text == "User: I am Ann\nAssistant: Hello\nUser: Who am I?"


def test_a_conversation_without_any_turn_leaves_no_file(tmp_path: Path) -> None:
    with served(FakeAnswer(status=400)) as server:
        done = inside("Hi", "--save", str(tmp_path / "chat.json"), "--url", server.url)
    assert done.returncode == 76
    assert list(tmp_path.iterdir()) == []


ODD_MESSAGES = (
    {},
    {"content": 5},
    {"content": None},
    {"content": {"text": "a"}},
    {"content": [1, {}, {"text": 5}, {"type": "text", "text": "found"}]},
)


def test_a_file_may_hold_anything_as_a_message(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    with served("Hello") as server:
        inside("Hi", "--save", str(file), "--url", server.url)
        saved = json.loads(file.read_text())
        for odd in ODD_MESSAGES:
            file.write_text(json.dumps(saved | {"history": [{"role": "user", **odd}]}))
            done = inside("And", "--resume", str(file), "--url", server.url)
            assert done.returncode == 0, odd
            assert f"resumed {file}: 1 turn, the last question:" in done.stderr
    assert "found" in done.stderr


UNUSABLE = {
    "missing": None,
    "no JSON": "{",
    "nested too deeply": "[" * 100_000,
    "no object": "[]",
    "no conversation": '{"a": 1}',
    "another format": '{"format": 99, "memory": "server"}',
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_file_that_cannot_be_resumed_is_a_usage_problem(name: str, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    if (text := UNUSABLE[name]) is not None:
        file.write_text(text)
    done = inside("Hi", "--resume", str(file), "--url", free_url())
    assert done.returncode == 2
    assert done.stderr.startswith(f"async-copilot: --resume {file}: ")
    assert done.stderr.count("\n") == 1
    assert "to_dict" not in done.stderr


def test_a_saved_message_that_cannot_be_sent_is_a_usage_problem(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    with served("Hello") as server:
        inside("Hi", "--memory", "client", "--save", str(file), "--url", server.url)
        file.write_text(file.read_text().replace('"role": "user"', '"role": NaN'))
        done = inside("And", "--resume", str(file), "--stats", "--url", server.url)
        told = inside("And", "--resume", str(file), "--json", "--url", server.url)
        assert len(server.requests) == 1
    end = events_of(told.stdout)[-1]
    assert (end["exit_status"], end["text"], end["http_status"]) == (2, "", None)
    assert (done.returncode, done.stdout) == (2, "")
    resumed, problem = done.stderr.splitlines()
    assert resumed.startswith("async-copilot: resumed ")
    assert problem.startswith("async-copilot: message 0 has the role nan; ")


def test_a_place_that_cannot_be_saved_to_is_refused_at_once(tmp_path: Path) -> None:
    with served("Hello") as server:
        for place in (tmp_path / "missing" / "chat.json", tmp_path):
            done = inside("Hi", "--save", str(place), "--url", server.url)
            assert done.returncode == 2
            assert f"--save {place}" in done.stderr
        assert server.requests == []


def test_a_late_system_prompt_is_refused_where_the_server_has_one(tmp_path: Path) -> None:
    file = str(tmp_path / "chat.json")
    with served("Hello") as server:
        inside("Hi", "--save", file, "--url", server.url)
        done = inside("Hi", "--resume", file, "--system", "Be brief.", "--url", server.url)
    assert (done.returncode, len(server.requests)) == (2, 1)


# ---- --dry-run


def dry(*args: str, **options: str) -> Finished:
    return inside("--dry-run", *args, env=options)


def test_the_request_is_shown_and_not_sent() -> None:
    with served("Hello") as server:
        done = dry("Hi", "--model", "m", "--url", server.url)
        sent = inside("Hi", "--model", "m", "--url", server.url)
        (request,) = server.requests
    assert (done.returncode, done.stderr, sent.returncode) == (0, "", 0)
    head, _, body = done.stdout.partition("\n\n")
    first, *headers = head.split("\n")
    assert first == f"POST {server.url}/chat/completions"
    shown = dict(line.split(": ", 1) for line in headers)
    assert shown == dict(request.headers)
    mine, theirs = json.loads(body), request.body
    assert mine.pop("conversation_id") != theirs.pop("conversation_id")
    assert mine == theirs


def test_secrets_are_struck_out_of_it() -> None:
    url = "http://127.0.0.1:1/v1?api-version=7&api_key=q-1"
    headers = ("--header", "X-Api-Key: h-2", "--header", "Cookie: c=3")
    done = dry("Hi", "--url", url, *headers, ASYNC_COPILOT_API_KEY="sk-4")
    assert "POST http://127.0.0.1:1/v1/chat/completions?api-version=7&api_key=***\n" in done.stdout
    assert "\nAuthorization: Bearer ***\n" in done.stdout
    assert "\nX-Api-Key: ***\n" in done.stdout
    for secret in ("q-1", "h-2", "c=3", "sk-4"):
        assert secret not in done.stdout + done.stderr


def test_of_several_turns_the_first_is_shown() -> None:
    done = console("--dry-run", "--url", free_url())
    assert "Hello, I am Heiner. How are you?" in done.stdout
    assert done.stderr == "async-copilot: the requests after this one depend on its answer\n"
