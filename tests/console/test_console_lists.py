"""``--models`` and ``--providers``: names on stdout, for people and scripts."""

from __future__ import annotations

from unittest import mock

from console_runs import events_of, free_url, inside, served

from async_copilot import CopilotClient
from async_copilot.fake_server import FakeProvider

PROVIDERS = [
    FakeProvider("Copilot", label="Microsoft Copilot", models=("a", "b")),
    FakeProvider("Other", models=("c",)),
]


def test_models_are_listed_one_a_line() -> None:
    with served("Hello") as server:
        done = inside("--models", "--url", server.url)
        assert server.requests == []
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["default"]


def test_providers_and_the_models_of_one_are_listed() -> None:
    with served("Hello", providers=PROVIDERS) as server:
        providers = inside("--providers", "--url", server.url)
        models = inside("--models", "--provider", "Copilot", "--url", server.url)
        env = {"ASYNC_COPILOT_PROVIDER": "Other"}
        others = inside("--models", "--url", server.url, env=env)
    assert providers.stdout == "Copilot\tMicrosoft Copilot\nOther\n"
    assert [line.split("\t")[0] for line in models.stdout.splitlines()] == ["a", "b"]
    assert [line.split("\t")[0] for line in others.stdout.splitlines()] == ["c"]


def test_for_programs_they_are_objects_and_the_last_line_sums_up() -> None:
    with served("Hello", providers=PROVIDERS) as server:
        done = inside("--providers", "--models", "--json", "--url", server.url)
    *entries, end = events_of(done.stdout)
    assert entries[0] == {
        "event": "provider", "turn": 0, "id": "Copilot", "label": "Microsoft Copilot",
    }  # fmt: skip
    assert entries[1]["label"] == ""
    assert {entry["event"] for entry in entries} == {"provider", "model"}
    assert (end["event"], end["exit_status"]) == ("end", 0)


def test_what_fails_is_told_as_for_a_turn() -> None:
    with served("Hello", providers=PROVIDERS, check=False) as server:
        unknown = inside("--models", "--provider", "Copliot", "--url", server.url)
    nobody = inside("--models", "--retries", "0", "--url", free_url())
    assert (unknown.returncode, "HTTP 404" in unknown.stderr) == (76, True)
    assert (nobody.returncode, "nothing answers at" in nobody.stderr) == (69, True)
    end = events_of(inside("--models", "--retries", "0", "--json", "--url", free_url()).stdout)[-1]
    assert (end["exit_status"], "nothing answers" in end["error"]["message"]) == (69, True)


def test_an_entry_is_one_line_and_a_list_without_any_is_told() -> None:
    with served("Hello", models=["a\nb"]) as server:
        assert inside("--models", "--url", server.url).stdout.startswith("a b")
        every = inside("--models", "--provider", "", "--url", server.url)
    with (
        served("Hello", models=[]) as server,
        mock.patch.object(CopilotClient, "providers") as listed,
    ):
        listed.return_value = []
        none = inside("--providers", "--url", server.url)
        neither = inside("--models", "--url", server.url)
    assert every.stdout.startswith("a b")
    assert (none.returncode, none.stdout) == (0, "")
    assert none.stderr == "async-copilot: the server lists no providers\n"
    assert neither.stderr == "async-copilot: the server lists no models\n"


def test_the_demo_has_lists_too() -> None:
    done = inside("--demo", "--providers", "--models")
    assert done.returncode == 0
    assert "Copilot" in done.stdout
    done = inside("--demo", "--models", "--provider", "Copliot")
    assert (done.returncode, "HTTP 404" in done.stderr) == (76, True)
