"""The one rule: a server that may not know the history is told it, and every loss is told.

A model of g4f stands against it: releases and kinds of provider in a few lines each, which
know what their conversations hold. Whatever happens, an answer either knew every message
of the history or ``remembered`` is not True; and no release that tells is asked for nothing.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from async_copilot import (
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    CopilotError,
    DisconnectedError,
    NotFoundError,
    RateLimitError,
    ServerStatusError,
    SilenceTimeoutError,
    StreamError,
)
from async_copilot.wire.server_memory import Asked, ServerMemory, refuses

Handle = dict[str, Any]


@dataclass
class Said:
    """An answer, as far as its memory goes."""

    conversation: Handle | None = None
    provider: str | None = None


def ask(memory: ServerMemory, turns: int, place: str = "Copilot", **more: Any) -> Asked:
    history = [
        {"role": role, "content": f"m{number}"}
        for number, role in enumerate(["user", "assistant"] * turns)
    ]
    options: dict[str, Any] = {"system": None, "limit": 10_000, **more}
    return memory.ask({"role": "user", "content": "new"}, history, place=place, **options)


HANDLE = {"conversation_id": "a"}
COPILOT = Said(HANDLE, "Copilot")
OLD = Said()  # 0.4.9.0 tells nothing
TRANSCRIPT = "User: m0\nAssistant: m1\nUser: new"


@pytest.mark.parametrize(
    ("first", "handle", "content"),
    [
        (COPILOT, HANDLE, "new"),
        (OLD, None, "new"),
        (Said(None, "Copilot"), None, TRANSCRIPT),
        (Said({"A": {"conversation_id": "a"}}, "A"), None, TRANSCRIPT),
    ],
    ids=["an object", "by id", "no object", "a pool"],
)
def test_the_second_turn_is_the_message_or_the_transcript(
    first: Said, handle: Handle | None, content: str
) -> None:
    memory = ServerMemory()
    assert memory.learn(ask(memory, 0), first, known=2) is None
    asked = ask(memory, 1)
    assert (asked.handle, asked.message["content"]) == (handle, content)


@pytest.mark.parametrize(
    ("place", "system"),
    [("Other", None), ("model=m", None), ("Copilot model=m", None), ("Copilot", "Be kind.")],
)
@pytest.mark.parametrize("first", [COPILOT, OLD])
def test_another_provider_or_system_prompt_is_told_the_history(
    first: Said, place: str, system: str | None
) -> None:
    memory = ServerMemory()
    memory.learn(ask(memory, 0), first, known=2)
    asked = ask(memory, 1, place, system=system)
    assert asked.handle is None
    assert asked.message["content"] == (f"{system}\n\n" if system else "") + TRANSCRIPT
    assert memory.learn(asked, first, known=4) is True


def test_by_id_alone_only_those_are_believed_that_keep_it() -> None:
    for place, content in [("Llama", TRANSCRIPT), ("Copilot model=m", "new"), ("", TRANSCRIPT)]:
        memory = ServerMemory()
        memory.learn(ask(memory, 0, place), OLD, known=2)
        assert ask(memory, 1, place).message["content"] == content


def test_what_came_after_the_servers_conversation_is_told_with_its_handle() -> None:
    memory = ServerMemory()
    memory.learn(ask(memory, 0), COPILOT, known=2)
    asked = ask(memory, 2)  # a turn that was left, and kept
    assert asked.handle == HANDLE
    assert asked.message["content"] == "User: m2\nAssistant: m3\nUser: new"


@pytest.mark.parametrize(
    ("first", "second", "remembered"),
    [
        (COPILOT, COPILOT, True),
        (COPILOT, Said({"conversation_id": "b"}, "Copilot"), False),
        (COPILOT, Said(None, "Copilot"), True),  # it began no other one
        (COPILOT, Said(None, "Other"), False),
        (COPILOT, Said(HANDLE, "Other"), False),
        (COPILOT, OLD, None),
        (OLD, OLD, None),
        (OLD, Said(None, "Copilot"), False),
        (OLD, Said(HANDLE, "Copilot"), False),
        (OLD, Said(HANDLE, None), None),
        (Said({"cursor": 1}, "X"), Said({"cursor": 2}, "X"), None),
    ],
)
def test_what_is_remembered_is_told(first: Said, second: Said, remembered: bool | None) -> None:
    memory = ServerMemory()
    memory.learn(ask(memory, 0), first, known=2)
    assert memory.learn(ask(memory, 1), second, known=4) is remembered
    if remembered is False:
        assert ask(memory, 2).told
        assert memory.handle == (second.conversation or first.conversation)


def test_a_pool_that_changed_is_told_the_history_each_time() -> None:
    memory = ServerMemory()
    memory.learn(ask(memory, 0), Said({"conversation_id": "a"}, "A"), known=2)
    assert memory.learn(ask(memory, 1), Said({"conversation_id": "b"}, "B"), known=4) is False
    for turns, provider in ((2, "A"), (3, "B"), (4, "B")):
        asked = ask(memory, turns)
        assert asked.told
        assert memory.learn(asked, Said({"conversation_id": "c"}, provider), known=6) is True
    other = ask(memory, 5, "Other")
    memory.learn(other, Said({"conversation_id": "d"}, "Other"), known=6)
    assert ask(memory, 3, "Other").handle == {"conversation_id": "d"}


def test_a_conversation_by_id_that_is_given_up_is_not_met_again() -> None:
    memory, id_ = ServerMemory(), "0f9f6d7e-5d3c-4b6e-9a5a-0d1b2c3d4e5f"
    memory.give_up()
    assert memory.wire_id(id_) == id_
    memory.learn(ask(memory, 0), OLD, known=2)
    assert memory.wire_id(id_) == id_
    memory.give_up()
    other = memory.wire_id(id_)
    assert other not in (id_, "")
    assert memory.wire_id(id_) == other
    assert ask(memory, 1).told


def test_the_state_is_saved_and_read() -> None:
    memory = ServerMemory()
    memory.learn(ask(memory, 0, system="s"), COPILOT, known=2)
    read = ServerMemory.from_dict(memory.to_dict(), HANDLE)
    assert read.to_dict() == memory.to_dict()
    assert ask(read, 1, system="s").handle == HANDLE
    for name in memory.to_dict():
        with pytest.raises(TypeError):
            ServerMemory.from_dict(memory.to_dict() | {name: [1]}, HANDLE)


def test_by_id_a_resumed_conversation_is_told_once() -> None:
    """Meanwhile the server may have been restarted, and its memory with it."""
    memory = ServerMemory()
    memory.learn(ask(memory, 0), OLD, known=2)
    read = ServerMemory.from_dict(memory.to_dict(), None)
    asked = ask(read, 1)
    assert asked.message["content"] == TRANSCRIPT
    read.learn(asked, OLD, known=4)
    assert ask(read, 2).message["content"] == "new"


@pytest.mark.parametrize(
    ("error", "given_up"),
    [
        (ServerStatusError("Request execution failed", status=500), True),
        (BadRequestError("no such conversation", status=400), True),
        (NotFoundError("no such conversation", status=404), True),
        (BadRequestError("no such conversation", status=422), True),
        (NotFoundError("no such model", status=404, type="ModelNotFoundError"), False),
        (ServerStatusError("slowly", status=500, type="RateLimitError"), False),
        (ServerStatusError("bad gateway", status=502), False),
        (RateLimitError("slowly", status=429), False),
        (AuthenticationError("log in", status=401), False),
        (StreamError("RuntimeError: no such conversation", type="RuntimeError"), True),
        (StreamError("slowly", type="RateLimitError"), False),
        (StreamError("log in", type="MissingAuthError"), False),
        (StreamError("log in", type="NoValidHarFileError"), False),
        (SilenceTimeoutError("no byte"), False),
        (ConnectionFailedError("refused"), False),
    ],
    ids=str,
)
def test_a_refused_conversation_is_given_up(error: CopilotError, given_up: bool) -> None:
    assert refuses(error, said=False) is given_up
    assert not refuses(error, said=True)


@pytest.mark.parametrize("said", [False, True])
def test_a_limit_of_turns_is_a_refusal_at_any_time(said: bool) -> None:
    named = StreamError("too long", type="ConversationLimitError")
    told = ServerStatusError("ConversationLimitError: too long", status=500)
    assert refuses(named, said=said)
    assert refuses(told, said=said)


@pytest.mark.parametrize("kind", [ConnectionFailedError, DisconnectedError])
@pytest.mark.parametrize(("first", "content"), [(OLD, TRANSCRIPT), (COPILOT, "new")])
def test_a_lost_connection_may_be_a_restart_which_ids_do_not_survive(
    kind: type[CopilotError], first: Said, content: str
) -> None:
    memory = ServerMemory()
    memory.learn(ask(memory, 0), first, known=2)
    state = memory.to_dict()
    memory.fail(ask(memory, 1), kind("lost"), said=True)
    assert memory.to_dict() == state
    assert ask(memory, 1).message["content"] == content


# ------------------------------------------------------------------ a model of the server


@dataclass
class Server:
    """One provider of one release: how it remembers, and what each conversation holds.

    way: "object", "none", "pool" or "id".
    """

    way: str
    tells: bool = True
    held: dict[str, set[str]] = field(default_factory=dict)
    ids: itertools.count[int] = field(default_factory=itertools.count)
    answers: itertools.count[int] = field(default_factory=itertools.count)

    def answer(self, asked: Asked, wire_id: str) -> tuple[Said, set[str]]:
        """Return the answer, and the messages that were known when it was made."""
        name = "AB"[next(self.answers) % 2] if self.way == "pool" else "P"
        given = asked.handle or {}
        given = given.get(name, {}) if self.way == "pool" else given
        key = wire_id if self.way == "id" else given.get("conversation_id")
        if self.way == "none" or key is None or (self.way != "id" and key not in self.held):
            key = f"c{next(self.ids)}"
        known = self.held.setdefault(key, set())
        known |= {line.partition(": ")[2] for line in asked.message["content"].split("\n")}
        handle = {"conversation_id": key}
        if self.way == "pool":
            handle = {**(asked.handle or {}), name: handle}
        if self.way in ("none", "id"):
            return Said(None, name if self.tells else None), known
        return Said(handle, name), known


STEPS = st.lists(st.sampled_from(["turn", "left", "forget", "refuse", "other", "undo"]), max_size=8)


@examples(300)
@given(STEPS, st.sampled_from(["object", "none", "pool", "id"]))
def test_nothing_is_forgotten_in_silence_whatever_happens(steps: list[str], way: str) -> None:
    servers = {
        "Copilot": Server(way, tells=way != "id"),
        "Qwen": Server("none" if way == "object" else "object"),
    }
    memory, history, place = ServerMemory(), list[dict[str, Any]](), "Copilot"
    numbers = itertools.count()
    for step in [*steps, "turn"]:
        server = servers[place]
        if step == "forget" and server.way != "id":  # that cannot be told
            server.held.clear()
        elif step == "refuse":
            memory.give_up()
        elif step == "undo":
            history = history[:-2]
            memory.give_up()
        elif step == "other":
            place = "Qwen" if place == "Copilot" else "Copilot"
        else:
            number = next(numbers)
            message = {"role": "user", "content": f"q{number}"}
            asked = memory.ask(message, history, place=place, system=None, limit=10_000)
            before = {str(m["content"]) for m in history}
            if step == "left":  # the last chunk, and the handle in it, never came
                history = [*history, message, {"role": "assistant", "content": f"a{number}"}]
                continue
            said, known = server.answer(
                asked, memory.wire_id("c0000000-0000-4000-8000-000000000000")
            )
            known |= {f"q{number}", f"a{number}"}
            history = [*history, message, {"role": "assistant", "content": f"a{number}"}]
            remembered = memory.learn(asked, said, known=len(history))
            if not before <= known:
                assert remembered is False
            elif before and said.provider is not None:
                assert remembered is True
