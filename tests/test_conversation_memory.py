"""A server that may not know a conversation is told it; what was lost is told the caller."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from wire_server import WireServer, http

from async_copilot import (
    AmnesiaWarning,
    AuthenticationError,
    Conversation,
    CopilotClient,
    CopilotError,
    InvalidRequestError,
    Observer,
    Reply,
    ServerStatusError,
    StreamError,
    TurnInProgressError,
)
from async_copilot.options import UNSET

Answer = Callable[[dict[str, Any]], bytes]


def stream(*texts: str, finish: str | None = "stop", **last: Any) -> bytes:
    """A whole HTTP answer that says texts."""
    events = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **last}
    return http(b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in [*events, end]))


def delta(finish: str | None = "stop", **fields: Any) -> bytes:
    """A whole HTTP answer of one delta."""
    event = {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}
    return http(b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(event).encode())


def refusal(status: str = "500 No", message: str = "Request execution failed") -> bytes:
    body = json.dumps({"error": {"message": message}, "provider": "P"}).encode()
    return http(body, status=status, media_type="application/json")


def client(server: WireServer, max_retries: int = 0) -> CopilotClient:
    return CopilotClient(base_url=server.url, max_retries=max_retries)


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def named(name: str) -> dict[str, Any]:
    return {"conversation_id": name}


# ------------------------------------------------------------------ the rule, turn by turn


async def test_a_provider_without_an_object_is_told_the_history_each_time() -> None:
    async with WireServer([stream("a", provider="P")]) as server, client(server) as copilot:
        chat = copilot.conversation(provider="P", system="Be kind.")
        remembered = [(await chat.ask(text)).remembered for text in ("one", "two", "three")]
    assert remembered == [None, True, True]
    assert [request["messages"] for request in server.requests] == [
        [user("Be kind.\n\none")],
        [user("Be kind.\n\nUser: one\nAssistant: a\nUser: two")],
        [user("Be kind.\n\nUser: one\nAssistant: a\nUser: two\nAssistant: a\nUser: three")],
    ]
    assert all("conversation" not in request for request in server.requests)
    assert {request["conversation_id"] for request in server.requests} == {chat.id}
    assert [message["content"] for message in chat.history][::2] == ["one", "two", "three"]


async def test_a_provider_that_the_caller_changes_is_told_the_history() -> None:
    answers = [stream("a", provider=p, conversation=named(p)) for p in ("P", "Q", "Q", "R", "Q")]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = copilot.conversation(provider="P")
        await chat.ask("one")
        chat.provider = "Q"
        await chat.ask("two")
        await chat.ask("three")
        await chat.ask("four", provider="R")
        assert (await chat.ask("five")).remembered is True
    sent = [request.get("conversation") for request in server.requests]
    assert sent == [None, None, named("Q"), None, None]
    assert server.requests[4]["messages"][0]["content"].startswith("User: one\nAssistant: a\n")


async def test_a_model_that_the_caller_changes_is_told_the_history() -> None:
    """Some providers begin another conversation for another model, and say nothing."""
    answers = [stream("a", provider="P", conversation=named("x"))]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = await talked(copilot, "one", "two", provider="P")
        chat.model = "large"
        assert (await chat.ask("three")).remembered is True
        await chat.ask("four")
    handles = [request.get("conversation") for request in server.requests]
    assert handles == [None, named("x"), None, named("x")]
    assert server.requests[2]["messages"][0]["content"].count("User: ") == 3


async def test_a_first_answer_that_was_left_is_told_with_the_next_turn() -> None:
    whole = stream("Hello", provider="P", conversation=named("x"))
    answers = [stream("Hel", "lo", finish=None, provider="P"), whole]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = copilot.conversation(provider="P", keep_partial=True, system="Be kind.")
        async with chat.stream("one") as reply:
            async for _ in reply:
                break
        await chat.ask("two")
        await chat.ask("three")
    assert [request["messages"][0]["content"] for request in server.requests] == [
        "Be kind.\n\none",
        "Be kind.\n\nUser: one\nAssistant: Hel\nUser: two",
        "three",
    ]
    assert server.requests[2]["conversation"] == named("x")


@pytest.mark.parametrize("keep_partial", [False, True])
async def test_after_a_refused_handle_the_next_turn_tells_the_history(keep_partial: bool) -> None:
    answers = [
        stream("a", provider="P", conversation=named("x")),
        refusal(),
        stream("b", provider="P", conversation=named("y")),
        stream("c", provider="P", conversation=named("y")),
    ]
    async with WireServer(answers) as server, client(server, max_retries=2) as copilot:
        chat = copilot.conversation(provider="P", keep_partial=keep_partial)
        await chat.ask("one")
        with pytest.raises(ServerStatusError) as caught:
            await chat.ask("two")
        assert caught.value.retries == 0  # it may be in the conversation already
        assert (await chat.ask("two")).remembered is True
        assert (await chat.ask("three")).remembered is True
    sent = [(r["messages"][0]["content"], r.get("conversation")) for r in server.requests]
    assert sent == [
        ("one", None),
        ("two", named("x")),
        ("User: one\nAssistant: a\nUser: two", None),
        ("three", named("y")),
    ]


async def test_only_a_plain_500_with_a_handle_is_not_asked_again() -> None:
    answers = [
        refusal(),
        stream("a", conversation=named("x")),
        refusal("503 Busy"),
        stream("b", conversation=named("x")),
        refusal().replace(b"\r\n", b"\r\nRetry-After: 0\r\n", 1),
        stream("c", conversation=named("x")),
    ]
    async with WireServer(answers) as server, client(server, max_retries=1) as copilot:
        chat = copilot.conversation()
        for text in ("one", "two", "three"):
            assert (await chat.ask(text)).timing.retries == 1


async def test_a_login_that_is_missing_leaves_the_conversation_as_it_was() -> None:
    answers = [stream("a", conversation=named("x")), refusal("401 No"), stream("b")]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = copilot.conversation()
        await chat.ask("one")
        with pytest.raises(AuthenticationError):
            await chat.ask("two")
        await chat.ask("two")
    assert server.requests[2]["conversation"] == named("x")


async def test_a_refused_conversation_by_id_is_left_with_a_new_id() -> None:
    error = {"error": {"message": "ConversationLimitError: too long"}, "provider": "Copilot"}
    limit = http(b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(error).encode())
    async with WireServer([stream("a"), limit, stream("b")]) as server, client(server) as copilot:
        chat = copilot.conversation()
        await chat.ask("one")
        with pytest.raises(StreamError):
            await chat.ask("two")
        assert (await chat.ask("two")).remembered is True
        resumed = Conversation.from_dict(copilot, json.loads(json.dumps(chat.to_dict())))
        await resumed.ask("three")
    ids = [request["conversation_id"] for request in server.requests]
    assert ids[0] == ids[1] == chat.id
    assert ids[2] == ids[3] != chat.id


async def test_a_new_system_prompt_is_told_with_the_history() -> None:
    answers = [stream("a", provider="P", conversation=named("x"))]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = copilot.conversation(provider="P", system="Be kind.")
        await chat.ask("one")
        chat.system = "Be brief."
        await chat.ask("two")
    assert server.requests[1]["messages"] == [
        user("Be brief.\n\nUser: one\nAssistant: a\nUser: two")
    ]
    assert "conversation" not in server.requests[1]


async def test_a_handle_of_ones_own_is_gone_on_with() -> None:
    async with WireServer([stream("a")]) as server, client(server) as copilot:
        chat = copilot.conversation(system="Be kind.")
        chat.handle = named("mine")
        await chat.ask("one")
    assert server.requests[0]["conversation"] == named("mine")
    assert server.requests[0]["messages"] == [user("one")]


async def test_an_empty_handle_is_none() -> None:
    """g4f takes it for none, and begins a new conversation; so it does without its id."""
    answers = [stream("a", provider="P", conversation={"conversation_id": None, "n": 1})]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = await talked(copilot, "one", provider="P")
        assert chat.handle is None
        assert (await chat.ask("two")).remembered is True
        chat.handle = {}
        await chat.ask("three")
        for wrong in (5, "x", []):
            with pytest.raises(InvalidRequestError, match="handle is a"):
                chat.handle = wrong
    texts = [request["messages"][0]["content"] for request in server.requests]
    assert [text.count("User: ") for text in texts] == [0, 2, 3]


async def test_the_bound_of_the_transcript_is_an_option_and_its_loss_is_told() -> None:
    async with WireServer([stream("a" * 30, provider="P")]) as server, client(server) as copilot:
        chat = copilot.conversation(provider="P", max_transcript=60)
        left_out = [(await chat.ask(text)).left_out for text in ("one", "two", "three")]
        for wrong in (-1, "5", None, True):
            with pytest.raises(InvalidRequestError, match="max_transcript"):
                copilot.conversation(max_transcript=wrong)
    assert left_out == [(), (), ("the oldest turn",)]
    assert server.requests[2]["messages"][0]["content"].startswith("User: two\n")


async def test_a_transcript_without_room_is_a_loss_that_is_told() -> None:
    async with WireServer([stream("a", provider="P")]) as server, client(server) as copilot:
        chat = copilot.conversation(provider="P", max_transcript=0)
        await chat.ask("one")
        with pytest.warns(AmnesiaWarning, match="max_transcript"):
            reply = await chat.ask("two")
    assert server.requests[1]["messages"] == [user("two")]
    assert (reply.remembered, reply.left_out) == (False, ("the oldest turn",))


async def test_a_turns_own_provider_gets_no_handle_of_another_one() -> None:
    answers = [stream("a", provider="P", conversation=named("x"))]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = await talked(copilot, "one", provider="P")
        await chat.ask("two", extra={"provider": "Q"})
        await chat.ask("three", provider=UNSET)
    assert [request.get("conversation") for request in server.requests] == [None] * 3
    assert server.requests[2]["provider"] == "P"
    assert server.requests[2]["messages"][0]["content"].count("User: ") == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("memory", "Server"), ("system", 5), ("model", b"m"), ("provider", 5), ("max_transcript", -1)],
)
async def test_a_setting_that_is_changed_is_checked_with_the_next_turn(
    name: str, value: Any
) -> None:
    async with WireServer([stream("a")]) as server, client(server) as copilot:
        chat = copilot.conversation()
        good = getattr(chat, name)
        setattr(chat, name, value)
        with pytest.raises(InvalidRequestError, match=name):
            await chat.ask("one")
        setattr(chat, name, good)
        await chat.ask("one")
        for own in ("conversation", "conversation_id"):
            with pytest.raises(InvalidRequestError, match="by itself"):
                await chat.ask("two", **{own: "x"})
            with pytest.raises(InvalidRequestError, match="by itself"):
                copilot.conversation(**{own: "x"})
    assert len(server.requests) == 1


async def test_another_provider_that_fails_leaves_the_conversation_as_it_was() -> None:
    answers = [stream("a", provider="P", conversation=named("x")), refusal(), stream("b")]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = await talked(copilot, "one", provider="P")
        with pytest.raises(ServerStatusError):
            await chat.ask("two", provider="Q")
        await chat.ask("two")
    assert server.requests[2]["conversation"] == named("x")
    assert server.requests[2]["messages"] == [user("two")]


async def test_what_is_remembered_is_known_before_the_observer_hears_of_the_end() -> None:
    told: list[tuple[bool | None, tuple[str, ...]]] = []

    class Ends(Observer):
        def on_end(self, reply: Reply, error: CopilotError | None) -> None:
            told.append((reply.remembered, reply.left_out))

    answers = [stream("a", conversation=named("x")), stream("b", conversation=named("y")), delta()]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = copilot.conversation(observer=Ends())
        await chat.ask("one")
        with pytest.warns(AmnesiaWarning):
            await chat.ask("two")
        await chat.ask("three")
    assert told == [(None, ()), (False, ()), (True, ("the turn: no answer",))]


# ------------------------------------------------------------------ no stranger's history


def g4f_with_its_cache() -> Answer:
    """The cache of g4f 8.x: by model and all messages but the last ones, for everybody."""
    cache: dict[str, str] = {}
    names: dict[str, str] = {}
    made = iter(range(10**6))

    def answer(request: dict[str, Any]) -> bytes:
        messages = request["messages"]
        handle = (request.get("conversation") or {}).get("conversation_id") or str(next(made))
        last = {role: at for at, role in enumerate(m["role"] for m in messages)}
        others = [
            m for at, m in enumerate(messages) if at not in (last["user"], last.get("assistant"))
        ]
        if others:
            handle = cache.setdefault(json.dumps(others), handle)
        said = messages[last["user"]]["content"]
        if found := re.search(r"I am (\w+)", said):
            names[handle] = found[1]
        return stream(f"You are {names.get(handle)}.", conversation=named(handle), provider="P")

    return answer


@pytest.mark.parametrize("memory", ["server", "client"])
async def test_conversations_that_begin_alike_never_meet(memory: Any) -> None:
    async def talk(name: str) -> list[str]:
        chat = copilot.conversation(memory=memory, provider="P", system="Be kind.")
        asked = ("Hi", "Hi again", f"I am {name}", "Who am I?")
        return [(await chat.ask(text)).text for text in asked]

    async with WireServer(g4f_with_its_cache()) as server, client(server) as copilot:
        told = await asyncio.gather(*(talk(f"Name{n}") for n in range(20)))
    for n, answers in enumerate(told):
        assert set(answers) <= {f"You are Name{n}.", "You are None."}


@pytest.mark.parametrize(
    ("options", "messages", "unique"),
    [
        ({}, [user("a"), user("b")], True),
        ({"provider": ""}, [user("a"), user("b")], True),
        ({}, [user("a")], False),
        ({}, "a", False),
        ({"provider": None}, [user("a"), user("b")], False),
        ({"unshared": False}, [user("a"), user("b")], False),
    ],
)
async def test_a_list_for_a_provider_goes_out_with_a_unique_system_message(
    options: dict[str, Any], messages: Any, unique: bool
) -> None:
    async with WireServer([stream("a")]) as server, client(server) as copilot:
        for _ in range(2):
            await copilot.complete(messages, **options)
    heads = [
        request["messages"][: -len([user("a")] if messages == "a" else messages)]
        for request in server.requests
    ]
    assert [len(head) for head in heads] == [unique, unique]
    if unique:
        assert heads[0][0]["role"] == "system"
        assert heads[0] != heads[1]


# ------------------------------------------------------------------ copies, all the way down


async def test_a_conversation_shares_nothing_with_its_caller() -> None:
    part = {"type": "text", "text": "one"}
    async with (
        WireServer([stream("a", conversation={"c": ["x"]})]) as server,
        client(server) as copilot,
    ):
        chat = copilot.conversation()
        reply = await chat.ask(user([part]))
        part["text"] = "changed"
        chat.history[0]["content"][0]["text"] = "changed"
        saved = chat.to_dict()
        saved["history"][0]["content"][0]["text"] = "changed"
        saved["conversation"]["c"].append("changed")
        saved = chat.to_dict()
        resumed = Conversation.from_dict(copilot, saved)
        saved["history"][0]["content"][0]["text"] = "changed"
        saved["conversation"]["c"].append("changed")
        assert reply.conversation is not None
        assert chat.handle is not None
        reply.conversation["c"].append("changed")
        chat.handle["c"].append("changed")
        await chat.ask("two")
    assert server.requests[1]["conversation"] == {"c": ["x"]}
    for each in (chat, resumed):
        assert each.history[0] == user([{"type": "text", "text": "one"}])
    assert resumed.handle == {"c": ["x"]}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
async def test_a_copy_goes_its_own_way_and_knows_the_same(copied: Any) -> None:
    answers = [stream("a", provider="P", conversation=named(str(n))) for n in range(3)]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = copilot.conversation(system="Be kind.", temperature=0)
        await chat.ask("one")
        fork = copied(chat)
        assert (fork.history, fork.system, fork.handle) == (chat.history, chat.system, None)
        assert fork.id != chat.id
        assert (await fork.ask("two")).remembered is True
        assert len(chat.history) == 2
    assert server.requests[1]["messages"] == [
        user("Be kind.\n\nUser: one\nAssistant: a\nUser: two")
    ]
    assert server.requests[1]["conversation_id"] == fork.id
    assert server.requests[1]["temperature"] == 0


def test_a_conversation_cannot_be_pickled_and_says_what_to_do() -> None:
    with pytest.raises(TypeError, match="to_dict"):
        pickle.dumps(CopilotClient().conversation())


@pytest.mark.parametrize(
    "raw",
    [
        '{"n":NaN}',
        '{"n":123456789012345678901234567890}',
        '{"deep":' + "[" * 600 + "]" * 600 + "}",
        '{"x":0.1000000000000000000001}',
    ],
    ids=["nan", "a large integer", "deep", "a float"],
)
async def test_an_odd_handle_travels_as_it_came(raw: str) -> None:
    said = '{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"conversation":%s}'
    first = http(f"data: {said % raw}\n\n".encode())
    async with WireServer([first, stream("b")]) as server, client(server) as copilot:
        chat = copilot.conversation()
        await chat.ask("one")
        saved = json.loads(json.dumps(chat.to_dict(), allow_nan=False))
        await chat.ask("two")
        await Conversation.from_dict(copilot, saved).ask("two")
    assert all(b'"conversation":' + raw.encode() in body for body in server.bodies[1:])


# ------------------------------------------------------------------ a history in order

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "12"}


def calls(finish: str = "tool_calls", **more: Any) -> bytes:
    return delta(finish, tool_calls=[{"index": 0, **CALL}], **more)


async def test_a_tool_turn_that_failed_leaves_no_unanswered_call() -> None:
    answers = [calls(), refusal(), stream("Fine"), stream("Good")]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = copilot.conversation(memory="client")
        await chat.ask("one")
        with pytest.raises(ServerStatusError):
            await chat.ask([RESULT])
        reply = await chat.ask("Never mind")
        await chat.ask("Go on")
    assert server.requests[1]["messages"] == [
        user("one"),
        assistant(None, tool_calls=[CALL]),
        RESULT,
    ]
    assert server.requests[2]["messages"] == [user("one"), user("Never mind")]
    assert reply.left_out == ("1 tool call without a result",)
    assert chat.history == [
        user("one"), user("Never mind"), assistant("Fine"), user("Go on"), assistant("Good"),
    ]  # fmt: skip


async def test_results_may_be_given_again_after_their_turn_failed() -> None:
    async with (
        WireServer([calls(), refusal(), stream("12 °C")]) as server,
        client(server) as copilot,
    ):
        chat = copilot.conversation(memory="client")
        await chat.ask("one")
        with pytest.raises(ServerStatusError):
            await chat.ask([RESULT])
        assert (await chat.ask([RESULT])).left_out == ()
    assert server.requests[2]["messages"] == server.requests[1]["messages"]


@pytest.mark.parametrize(
    ("before", "what"),
    [
        ([calls("length")], "1 tool result without a call"),
        ([stream("a")], "1 tool result without a call"),
    ],
    ids=["a call that was cut off", "no call"],
)
async def test_results_without_their_call_are_not_a_turn(before: list[bytes], what: str) -> None:
    """Without them the request would be the one before, and answered once more."""
    async with WireServer(before) as server, client(server) as copilot:
        chat = copilot.conversation(memory="client")
        await chat.ask("one")
        with pytest.raises(InvalidRequestError, match=f"^nothing of this turn can be sent: {what}"):
            await chat.ask([RESULT])
    assert len(server.requests) == 1


@pytest.mark.parametrize("finish", ["stop", "length", "content_filter"])
async def test_a_turn_of_nothing_leaves_nothing_and_the_next_one_works(finish: str) -> None:
    answers = [stream("a"), delta(finish, reasoning="hm"), stream("b")]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = copilot.conversation(memory="client")
        await chat.ask("one")
        assert (await chat.ask("two")).left_out[0].startswith("the turn: ")
        await chat.ask("three")
    assert server.requests[2]["messages"] == [user("one"), assistant("a"), user("three")]


async def test_a_partial_turn_keeps_no_half_a_tool_call() -> None:
    half = {"choices": [{"delta": {"content": "Let me", "tool_calls": [{"index": 0, **CALL}]}}]}
    cut = http(b"data: %b\n\n" % json.dumps(half).encode())
    async with WireServer([cut]) as server, client(server) as copilot:
        chat = copilot.conversation(memory="client", keep_partial=True)
        with pytest.raises(CopilotError) as caught:
            await chat.ask("one")
    assert chat.history == [user("one"), assistant("Let me")]
    assert caught.value.reply is not None
    assert caught.value.reply.left_out == ("1 unfinished tool call",)


@pytest.mark.parametrize(
    ("echo", "plain", "calling"),
    [("tools", False, True), ("always", True, True), ("never", False, False)],
)
async def test_reasoning_goes_back_under_its_own_name_by_one_option(
    echo: Any, plain: bool, calling: bool
) -> None:
    answers = [
        calls(reasoning_content="hm"),
        delta(content="12", reasoning_content="so"),
        stream("b"),
    ]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = copilot.conversation(memory="client", echo_reasoning=echo)
        await chat.ask("one")
        await chat.ask([RESULT])
        await chat.ask("two")
    sent = server.requests[2]["messages"]
    assert [message.get("reasoning_content") for message in sent] == [
        None, "hm" if calling else None, None, "so" if plain else None, None,
    ]  # fmt: skip


def test_the_echo_is_one_of_three() -> None:
    for wrong in ("sometimes", True, None):
        with pytest.raises(InvalidRequestError, match='"always"'):
            CopilotClient().conversation(echo_reasoning=wrong)


# ------------------------------------------------------------------ undo and trim


async def talked(copilot: CopilotClient, *messages: str, **options: Any) -> Conversation:
    chat = copilot.conversation(**options)
    for message in messages:
        await chat.ask(message)
    return chat


async def test_after_undo_the_server_gets_a_new_conversation() -> None:
    async with (
        WireServer([stream("a", provider="P", conversation=named("x"))]) as server,
        client(server) as copilot,
    ):
        chat = await talked(copilot, "one", "two", system="Be kind.")
        assert chat.undo() == [user("two"), assistant("a")]
        await chat.ask("three")
        assert chat.history[:2] == [user("one"), assistant("a")]
        for removed in (2, 2, 0):
            assert len(chat.undo()) == removed
        await chat.ask("anew")
    assert server.requests[2]["messages"] == [
        user("Be kind.\n\nUser: one\nAssistant: a\nUser: three")
    ]
    assert server.requests[3]["messages"] == [user("Be kind.\n\nanew")]
    assert all("conversation" not in request for request in server.requests[2:])


async def test_one_message_that_the_cache_has_a_key_for_is_unique_too() -> None:
    async with WireServer([stream("a")]) as server, client(server) as copilot:
        for role in ("system", "developer", "user", "assistant"):
            await copilot.complete({"role": role, "content": "Hi"})
    assert [len(request["messages"]) for request in server.requests] == [2, 2, 1, 1]


async def test_undo_takes_a_whole_exchange_with_tools() -> None:
    async with (
        WireServer([stream("a"), calls(), stream("12")]) as server,
        client(server) as copilot,
    ):
        chat = await talked(copilot, "one", "two", memory="client")
        await chat.ask([RESULT])
        assert [message["role"] for message in chat.undo()] == [
            "user",
            "assistant",
            "tool",
            "assistant",
        ]
        assert chat.history == [user("one"), assistant("a")]


async def test_trim_keeps_the_newest_in_whole_turns() -> None:
    async with (
        WireServer([stream("a", provider="P", conversation=named("x"))]) as server,
        client(server) as copilot,
    ):
        chat = await talked(copilot, "one", "two", "three")
        chat.trim(6)
        await chat.ask("four")
        chat.trim(5)
        assert [message["content"] for message in chat.history] == ["three", "a", "four", "a"]
        await chat.ask("five")
        chat.trim(0)
        assert chat.history == []
    assert server.requests[3]["conversation"] == named("x")  # nothing was taken away
    assert server.requests[4]["messages"][0]["content"].startswith("User: three\n")


async def test_trim_by_a_function_leaves_a_history_in_order() -> None:
    async with (
        WireServer([calls(), stream("12"), stream("b")]) as server,
        client(server) as copilot,
    ):
        chat = await talked(copilot, "one", memory="client")
        await chat.ask([RESULT])
        summary = {"role": "system", "content": "It was warm."}
        chat.trim(lambda history: [summary, *history[2:]])  # a result without its call
        assert chat.history == [summary, assistant("12")]
        chat.trim(lambda history: history[1:])  # an answer without its question
        assert chat.history == []
        chat.trim(lambda _: [assistant("What we said: ..."), user("two")])
        assert chat.history == [assistant("What we said: ..."), user("two")]
        for wrong in (-1, "1", None, 1.5, True):
            with pytest.raises(InvalidRequestError, match="trim"):
                chat.trim(wrong)  # type: ignore[arg-type]  # that is what is shown
        with pytest.raises(InvalidRequestError):
            chat.trim(lambda history: ["text"])  # type: ignore[list-item]  # likewise


@pytest.mark.parametrize("wrong", [5, None, [5], [{"content": "x"}], [{"role": ""}], -1, True])
async def test_what_cannot_be_a_history_leaves_it_as_it_was(wrong: Any) -> None:
    async with WireServer([stream("a")]) as server, client(server) as copilot:
        chat = await talked(copilot, "one", memory="client")
        keep = wrong if wrong in (-1, True) else lambda _: wrong
        with pytest.raises(InvalidRequestError):
            chat.trim(keep)
        assert chat.history == [user("one"), assistant("a")]
        chat.trim(lambda _: [])
        assert chat.history == []


async def test_neither_while_a_turn_is_running() -> None:
    async with WireServer([stream("a")]) as server, client(server) as copilot:
        chat = copilot.conversation()
        async with chat.stream("one") as reply:
            for change in (chat.undo, lambda: chat.trim(0)):
                with pytest.raises(TurnInProgressError):
                    change()
            assert [text async for text in reply] == ["a"]


# ------------------------------------------------------------------ saved by earlier releases


def saved(**changes: Any) -> dict[str, Any]:
    """What the first releases saved."""
    return {
        "format": 1,
        "id": "0f9f6d7e-5d3c-4b6e-9a5a-0d1b2c3d4e5f",
        "memory": "server",
        "system": "Be kind.",
        "model": "",
        "provider": "Copilot",
        "keep_partial": False,
        "begun": True,
        "conversation": named("x"),
        "history": [user("one"), assistant("a")],
        **changes,
    }


TRANSCRIPT = "Be kind.\n\nUser: one\nAssistant: a\nUser: two"


@pytest.mark.parametrize(
    ("changes", "content", "handle"),
    [
        ({}, "two", named("x")),
        ({"keep_partial": True}, TRANSCRIPT, None),
        ({"conversation": None}, TRANSCRIPT, None),
        ({"begun": False, "history": []}, "Be kind.\n\ntwo", None),
    ],
    ids=["known", "turns that were left may be in it", "no handle", "not begun"],
)
async def test_a_conversation_of_an_earlier_release_goes_on(
    changes: dict[str, Any], content: str, handle: Any
) -> None:
    async with WireServer([stream("a")]) as server, client(server) as copilot:
        await Conversation.from_dict(copilot, saved(**changes)).ask("two")
    assert server.requests[0]["messages"] == [user(content)]
    assert server.requests[0].get("conversation") == handle


async def test_a_saved_conversation_with_another_provider_is_told_its_history() -> None:
    answers = [stream("a", provider="P", conversation=named("x"))]
    async with WireServer(answers) as server, client(server) as copilot:
        chat = await talked(copilot, "one", provider="P")
        await Conversation.from_dict(copilot, chat.to_dict() | {"provider": "Q"}).ask("two")
        later = Conversation.from_dict(
            copilot, chat.to_dict() | {"memory": "client", "provider": None}
        )
        await later.ask("two")
        back = Conversation.from_dict(
            copilot, later.to_dict() | {"memory": "server", "provider": "P"}
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await back.ask("three")
    assert server.requests[1]["messages"] == [user("User: one\nAssistant: a\nUser: two")]
    assert server.requests[2]["messages"] == [user("one"), assistant("a"), user("two")]
    assert "conversation" not in server.requests[1]


async def test_with_another_memory_the_provider_is_the_clients_for_that_one() -> None:
    async with (
        WireServer([stream("a")]) as server,
        CopilotClient(base_url=server.url, model="m", memory="client") as copilot,
    ):
        kept = Conversation.from_dict(copilot, saved(), memory="client", max_transcript=5)
        assert (kept.provider, kept.model) == (None, "m")
        mine = Conversation.from_dict(copilot, saved(model="x"), memory="client", provider="P")
        assert (mine.provider, mine.model) == ("P", "x")
        assert Conversation.from_dict(copilot, kept.to_dict()).max_transcript == 5
        back = Conversation.from_dict(copilot, kept.to_dict(), memory="server")
        assert (back.provider, back.model) == ("Copilot", "m")


# ------------------------------------------------------------------ <think> in the text


@pytest.mark.parametrize("split", [False, True])
async def test_reasoning_in_the_text_is_taken_out_by_one_option(split: bool) -> None:
    said = stream("<think>Name", "?</think>", "\n\nHello")
    async with WireServer([said]) as server, client(server) as copilot:
        chat = copilot.conversation(memory="client", split_think=split)
        reply = await chat.ask("Hi")
        async with chat.stream("Hi", split_think=not split) as other:
            assert "".join([text async for text in other.batches(interval=0)]) == other.text
        with pytest.raises(InvalidRequestError, match="split_think"):
            await copilot.complete("Hi", split_think="yes")
    whole, parts = ("<think>Name?</think>\n\nHello", ""), ("Hello", "Name?")
    assert (reply.text, reply.reasoning) == (parts if split else whole)
    assert (other.text, other.reasoning) == (whole if split else parts)
    assert chat.history[1] == assistant(reply.text)
    assert "split_think" not in server.requests[0]
