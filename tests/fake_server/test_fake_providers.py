"""The providers behind a fake g4f server: what each remembers, and how each fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from fake_client import chat_body, content_of, events_of, get, post

from async_copilot.fake_server import FakeAnswer, FakeProvider, FakeServer, Request
from async_copilot.fake_server.demo import demo


def quick(request: Request) -> FakeAnswer:
    """The demo without its pace."""
    return replace(demo(request), pace=None)


HELLO, WHO = "Hello, I am Heiner.", "What is my name?"


def history_of(*texts: str) -> list[Any]:
    roles = ["user", "assistant"] * len(texts)
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]


async def say(server: FakeServer, text: str, **fields: Any) -> tuple[int, Any, str]:
    """The status, the last chunk (or the body of an error) and the text of one turn."""
    status, _, body = await post(server, chat_body(text, **fields))
    if status != 200:
        return status, json.loads(body), ""
    chunks = [event for event in events_of(body) if isinstance(event, dict)]
    return status, chunks[-1], "" if "error" in chunks[-1] else content_of(body)


async def test_a_provider_without_a_conversation_object_forgets() -> None:
    async with FakeServer(quick, providers=[FakeProvider("Chatty", memory="none")]) as server:
        _, last, _ = await say(server, HELLO, provider="Chatty")
        _, _, text = await say(server, WHO, provider="Chatty")
    assert last["provider"] == "Chatty"
    assert last["choices"][0]["finish_reason"] == "stop"
    assert "conversation" not in last
    assert text.startswith("I do not know your name")


async def test_it_does_not_read_the_history_of_a_request() -> None:
    messages = history_of(HELLO, "Hello Heiner!", WHO)
    async with FakeServer(quick, providers=[FakeProvider("Chatty", memory="none")]) as server:
        _, _, text = await say(server, "", messages=messages)
    assert text.startswith("I do not know your name")


async def test_a_reader_of_histories_knows_what_a_request_tells() -> None:
    messages = history_of(HELLO, "Hello Heiner!", WHO)
    async with FakeServer(quick, providers=[FakeProvider("Reader", memory="history")]) as server:
        _, last, text = await say(server, "", messages=messages)
    assert text.startswith("Your name is Heiner.")
    assert "conversation" not in last


@pytest.mark.parametrize("ending", ["", "\nAssistant:"])
async def test_a_transcript_in_one_message_is_understood(ending: str) -> None:
    text = f"System: Be brief.\nUser: {HELLO}\nAssistant: Hello!\nUser: {WHO}{ending}"
    async with FakeServer(quick, providers=[FakeProvider("Chatty", memory="none")]) as server:
        assert (await say(server, text))[2].startswith("Your name is Heiner.")


@pytest.mark.parametrize("text", ["System: Be brief.", "Assistant: and?"])
async def test_a_transcript_without_a_user_is_a_text(text: str) -> None:
    async with FakeServer(quick) as server:
        assert (await say(server, text))[2].startswith(f'You said: "{text}"')


@pytest.mark.parametrize("dialect", ["g4f", "g4f-8.1.7", "g4f-0.4.9.0"])
async def test_a_provider_with_handles_remembers(dialect: Any) -> None:
    script = FakeServer(quick, dialect=dialect, providers=[FakeProvider("Copilot", strict=True)])
    async with script as server:
        _, last, _ = await say(server, HELLO, conversation_id="c")
        echo = last.get("conversation")
        _, _, text = await say(server, WHO, conversation_id="c", conversation=echo)
    assert text.startswith("Your name is Heiner.")
    assert (echo is None) is (dialect == "g4f-0.4.9.0")


FOREIGN: list[Any] = [{"conversation_id": "of another"}, {"message_id": 3}]


@pytest.mark.parametrize("handle", FOREIGN)
async def test_a_strict_provider_refuses_a_handle_it_did_not_give(handle: Any) -> None:
    async with FakeServer(quick, providers=[FakeProvider("Copilot", strict=True)]) as server:
        for _ in range(2):
            status, body, _ = await say(server, WHO, conversation=handle)
            assert (status, body["error"]["message"]) == (500, "Request execution failed")
        assert (await say(server, WHO))[0] == 200, "without the handle it answers"


@pytest.mark.parametrize("handle", FOREIGN)
async def test_any_other_provider_begins_anew(handle: Any) -> None:
    async with FakeServer(quick, providers=[FakeProvider("Copilot")]) as server:
        status, last, _ = await say(server, HELLO, conversation=handle)
        assert status == 200
        assert last["conversation"] != handle


async def test_a_server_that_was_restarted_knows_no_handle() -> None:
    providers = [FakeProvider("Strict", strict=True), FakeProvider("Copilot")]
    async with FakeServer(quick, providers=providers) as server:
        handles = {}
        for name in ("Strict", "Copilot"):
            handles[name] = (await say(server, HELLO, provider=name))[1]["conversation"]
        server.forget()
        seen = [
            (await say(server, WHO, provider=name, conversation=handle))[::2]
            for name, handle in handles.items()
        ]
    assert seen[0] == (500, "")
    assert seen[1][1].startswith("I do not know your name")


async def test_a_handle_of_one_provider_says_nothing_to_another() -> None:
    providers = [FakeProvider("A"), FakeProvider("B")]
    async with FakeServer(quick, providers=providers) as server:
        _, last, _ = await say(server, HELLO, provider="A")
        _, _, text = await say(server, WHO, provider="B", conversation=last["conversation"])
    assert text.startswith("I do not know your name")


@pytest.mark.parametrize(
    ("dialect", "told"),
    [
        ("g4f", "Request execution failed"),
        ("g4f-8.1.7", "ConversationLimitError: 2 turns at most"),
    ],
)
async def test_a_limit_of_turns_fails_every_later_turn(dialect: Any, told: str) -> None:
    script = FakeServer("Hi", dialect=dialect, providers=[FakeProvider("Copilot", turns=2)])
    async with script as server:
        echo: Any = None
        for _ in range(2):
            status, last, _ = await say(server, "Hi", conversation=echo)
            assert status == 200
            echo = last["conversation"]
        for _ in range(2):
            status, body, _ = await say(server, "Hi", conversation=echo)
            assert (status, body["error"]["message"]) == (500, told)
        assert (await say(server, "Hi"))[0] == 200, "another conversation goes on"


# ---- a pool

POOL = [FakeProvider("A"), FakeProvider("B"), FakeProvider("Any", pool=["A", "B"])]


async def test_a_pool_changes_the_provider_and_keys_the_handle_by_its_name() -> None:
    async with FakeServer(quick, providers=POOL) as server:
        echo: Any = None
        seen: list[Any] = []
        for text in (HELLO, WHO, WHO):
            _, last, said = await say(server, text, provider="Any", conversation=echo)
            echo = last["conversation"]
            seen.append((last["provider"], sorted(echo), said.split(".")[0]))
    assert seen == [
        ("A", ["A"], "Hello Heiner! I am fine, thank you"),
        ("B", ["A", "B"], "I do not know your name: you have not told me yet"),
        ("A", ["A", "B"], "Your name is Heiner"),
    ]


async def test_a_pool_passes_over_providers_that_fail() -> None:
    down = FakeProvider("Down", raises="MissingAuthError")
    pool = FakeProvider("Any", pool=["Down", "A"])
    async with FakeServer("Hi", providers=[down, FakeProvider("A"), pool]) as server:
        names = {(await say(server, "Hi", provider="Any"))[1]["provider"] for _ in range(3)}
    assert names == {"A"}


async def test_a_pool_goes_on_where_a_provider_has_reached_its_limit() -> None:
    one, two = FakeProvider("A", turns=1), FakeProvider("B", strict=True, turns=2)
    pool = FakeProvider("Any", pool=["A", "B"])
    async with FakeServer(quick, providers=[one, two, pool], dialect="g4f-8.1.7") as server:
        echo: Any = None
        seen: list[Any] = []
        for _ in range(4):
            status, last, _ = await say(server, "Hi", provider="Any", conversation=echo)
            echo = last.get("conversation")
            seen.append(last["provider"])
    assert seen == ["A", "B", "B", "Any"]
    assert status == 500
    assert last["error"]["message"].splitlines()[1:] == [
        "A: ConversationLimitError: 1 turns at most",
        "B: ConversationLimitError: 2 turns at most",
    ]


@pytest.mark.parametrize(
    ("members", "seen"),
    [
        (["A"], (429, "RateLimitError: slow")),
        (
            ["A", "B"],
            (500, "RetryProviderError: RetryProvider failed:\nA: RateLimitError: slow\nB: OSError"),
        ),
    ],
)
async def test_a_pool_of_failures_fails(members: Sequence[str], seen: tuple[int, str]) -> None:
    raising = [
        FakeProvider("A", raises="RateLimitError: slow"),
        FakeProvider("B", raises="OSError"),
    ]
    pool = FakeProvider("Any", pool=members)
    async with FakeServer(quick, providers=[*raising, pool], dialect="g4f-8.1.7") as server:
        status, body, _ = await say(server, "Hi", provider="Any")
    assert (status, body["error"]["message"]) == seen


# ---- failures

FAILURES = [
    ("g4f", "MissingAuthError: x", 401, "MissingAuthError: Authentication required"),
    ("g4f", "NoValidHarFileError", 401, "Request execution failed"),
    ("g4f", "RateLimitError: slow", 429, "Request execution failed"),
    ("g4f", "ModelNotFoundError", 404, "ModelNotFoundError: Model not found"),
    ("g4f", "RuntimeError: boom", 500, "Request execution failed"),
    ("g4f-8.1.7", "MissingAuthError: Log in", 401, "MissingAuthError: Log in"),
    ("g4f-8.1.7", "NoValidHarFileError", 401, "NoValidHarFileError: the provider failed"),
    ("g4f-8.1.7", "RuntimeError: boom", 500, "RuntimeError: boom"),
    ("g4f-0.4.9.0", "MissingAuthError: Log in", 401, "MissingAuthError: Log in"),
]


@pytest.mark.parametrize(("dialect", "raised", "status", "told"), FAILURES)
async def test_a_provider_that_fails_says_what_its_release_says(
    dialect: Any, raised: str, status: int, told: str
) -> None:
    script = FakeServer(quick, dialect=dialect, providers=[FakeProvider("Copilot", raises=raised)])
    async with script as server:
        seen, body, _ = await say(server, "Hi", stream=False)
    assert (seen, body["error"]) == (status, {"message": told})
    assert (body["model"], body["provider"]) == ("", "Copilot")


async def test_in_a_stream_0_4_9_0_tells_it_after_a_200() -> None:
    providers = [FakeProvider("Copilot", raises="MissingAuthError: Log in")]
    async with FakeServer(quick, dialect="g4f-0.4.9.0", providers=providers) as server:
        status, _, body = await post(server)
    frame, done = events_of(body)
    assert (status, done) == (200, "[DONE]")
    assert frame["error"]["message"] == "MissingAuthError: Log in"


@pytest.mark.parametrize(
    ("dialect", "told"),
    [
        ("g4f", {"error": {"message": "Provider not found: Copliot"}}),
        ("g4f-8.1.7", {"error": {"message": "Provider with label 'Copliot' not found"}}),
        (
            "g4f-0.4.9.0",
            {
                "error": {"message": "ProviderNotFoundError: Provider not found: Copliot"},
                "model": "",
                "provider": "Copliot",
            },
        ),
    ],
)
async def test_a_mistyped_provider_is_not_found(dialect: Any, told: Any) -> None:
    async with FakeServer(quick, dialect=dialect, providers=[FakeProvider("Copilot")]) as server:
        assert (await say(server, "Hi", provider="Copliot"))[:2] == (404, told)
        assert (await say(server, "Hi"))[0] == 200, "no name is the first provider"


async def test_without_a_list_any_name_is_a_provider() -> None:
    async with FakeServer("Hi") as server:
        assert (await say(server, "Hi", provider="Copliot"))[1]["provider"] == "Copliot"


async def test_the_path_names_the_provider_before_the_body_does() -> None:
    async with FakeServer("Hi", providers=POOL) as server:
        server.url = server.url.removesuffix("/v1")
        await post(server, chat_body(provider="A"), path="/api/B/chat/completions")
    assert server.requests[0].provider == "B"


# ---- lists


async def test_the_providers_and_their_models_are_listed() -> None:
    labelled = FakeProvider("Copilot", label="Microsoft Copilot", models=["Copilot", "Think"])
    async with FakeServer(quick, providers=[labelled], check=False) as server:
        status, body = await get(server, "/providers")
        assert status == 200
        (entry,) = json.loads(body)
        assert (entry["id"], entry["label"]) == ("Copilot", "Microsoft Copilot")
        server.url = server.url.removesuffix("/v1")
        _, body = await get(server, "/api/Copilot/models")
        models = json.loads(body)["data"]
        assert [model["id"] for model in models] == ["Copilot", "Think"]
        assert (await get(server, "/api/Nobody/models"))[0] == 404


# ---- what cannot be meant


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FakeProvider(""), "name=''"),
        (lambda: FakeProvider("A", memory="all"), "memory='all'"),  # type: ignore[arg-type]
        (lambda: FakeProvider("A", turns=0), "turns=0"),
        (lambda: FakeProvider("A", turns=True), "turns=True"),
        (lambda: FakeServer(providers=[FakeProvider("A")] * 2), "the same name"),
        (
            lambda: FakeServer(providers=[FakeProvider("A", pool=["B"])]),
            "the pool A has 'B'",
        ),
        (lambda: FakeServer(dialect="openai", providers=[]), "dialect='openai'"),
    ],
)
def test_providers_that_cannot_be_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


async def test_a_failure_is_not_a_turn_of_the_script() -> None:
    script = FakeServer(["one"], providers=[FakeProvider("A", raises="OSError"), FakeProvider("B")])
    async with script as server:
        assert (await say(server, "Hi", provider="A"))[0] == 500
        assert (await say(server, "Hi", provider="B"))[2] == "one"


async def test_the_script_may_still_give_any_handle() -> None:
    answer = FakeAnswer("Hi", conversation={"mine": 1})
    async with FakeServer(answer, providers=[FakeProvider("A", memory="none")]) as server:
        assert (await say(server, "Hi"))[1]["conversation"] == {"mine": 1}
