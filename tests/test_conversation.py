"""A conversation remembers, by the server or by itself, and a turn that fails leaves nothing."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from wire_server import WireServer, http, recording

from async_copilot import (
    AmnesiaWarning,
    BadRequestError,
    Conversation,
    CopilotClient,
    End,
    InvalidRequestError,
    ServerStatusError,
    StreamError,
    Timeouts,
    TruncatedError,
    TurnInProgressError,
)

GREETING = "Hello, i am Heiner. How are you?"
NAME = "Tell me somethings about my name"
HELLO = "Hello Heiner! I am fine, thank you. How can I help you today?"
HEINER = "Your name is Heiner. It is our turn number 2."
UNKNOWN = "I do not know your name yet."

Answer = Callable[[dict[str, Any]], bytes]


def stream(*texts: str, finish: str | None = "stop", **last: Any) -> bytes:
    """A whole HTTP answer that says texts."""
    events = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **last}
    return http(b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in [*events, end]))


def talk(answers: list[bytes] | Answer) -> WireServer:
    return WireServer(answers)


def client(server: WireServer) -> CopilotClient:
    return CopilotClient(base_url=server.url, max_retries=0)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


# ------------------------------------------------------------------ g4f, as recorded


def handle_of(raw: bytes) -> dict[str, str]:
    found = re.search(rb'"conversation":(\{[^}]*\})', raw)
    assert found is not None
    handle: dict[str, str] = json.loads(found[1])
    return handle


def g4f(version: str) -> Answer:
    """Answer as the recorded server did to a request like this one.

    0.4.9.0 knows the name by the id; the later ones by the handle that is sent back.
    """
    ids: set[str] = set()

    def answer(request: dict[str, Any]) -> bytes:
        if request["messages"][-1]["content"].endswith(GREETING):
            ids.add(request["conversation_id"])
            return recording(version, "greeting")
        if version == "g4f-0.4.9.0":
            known = request["conversation_id"] in ids
            return recording(version, "name" if known else "name_echo")
        echoed = request.get("conversation") == handle_of(recording(version, "greeting"))
        return recording(version, "name_echo" if echoed else "name")

    return answer


@pytest.mark.parametrize("version", ["g4f-0.4.9.0", "g4f-8.1.7", "g4f-8.8.6"])
async def test_the_second_turn_knows_the_name_on_every_generation_of_g4f(version: str) -> None:
    async with talk(g4f(version)) as server, client(server) as copilot:
        chat = copilot.conversation()
        first = await chat.ask(GREETING)
        second = await chat.ask(NAME)
    assert (first.text, second.text) == (HELLO, HEINER)
    assert chat.history == [user(GREETING), assistant(HELLO), user(NAME), assistant(HEINER)]
    remembered = None if version == "g4f-0.4.9.0" else True
    assert (first.remembered, second.remembered) == (None, remembered)


async def test_the_requests_are_the_original_scripts_with_the_echo() -> None:
    async with talk(g4f("g4f-8.8.6")) as server, client(server) as copilot:
        chat = copilot.conversation()
        await chat.ask(GREETING)
        await chat.ask(NAME)
    assert uuid.UUID(chat.id).version == 4
    common = {"model": "", "provider": "Copilot", "stream": True, "conversation_id": chat.id}
    assert server.requests == [
        {**common, "messages": [user(GREETING)]},
        {
            **common,
            "messages": [user(NAME)],
            "conversation": handle_of(recording("g4f-8.8.6", "greeting")),
        },
    ]


async def test_two_conversations_of_one_client_do_not_mix() -> None:
    async with talk(g4f("g4f-8.8.6")) as server, client(server) as copilot:
        one, other = copilot.conversation(), copilot.conversation()
        await one.ask(GREETING)
        stranger = await other.ask(NAME)
        friend = await one.ask(NAME)
    assert one.id != other.id
    assert (stranger.text, friend.text) == (UNKNOWN, HEINER)


# ------------------------------------------------------------------ g4f's cross-talk


async def test_a_system_prompt_is_the_head_of_the_first_message_alone() -> None:
    """g4f 8.x has a cache keyed on the messages but the last: one message has no key."""
    async with talk([stream("a", conversation={"c": 1})]) as server, client(server) as copilot:
        chat = copilot.conversation(system="Be kind.")
        for text in ("one", "two", "three"):
            await chat.ask(text)
    assert [request["messages"] for request in server.requests] == [
        [user("Be kind.\n\none")],
        [user("two")],
        [user("three")],
    ]
    assert chat.history[0] == user("one")


async def test_a_system_prompt_goes_before_parts_too() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}}
    async with talk([stream("a")]) as server, client(server) as copilot:
        chat = copilot.conversation(system="Be kind.")
        await chat.ask({"role": "user", "content": [part]})
    assert server.requests[0]["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Be kind."}, part]}
    ]
    assert chat.history[0] == {"role": "user", "content": [part]}


async def test_a_system_prompt_is_sent_again_while_no_turn_has_succeeded() -> None:
    answers = [http(b"{}", status="400 Bad", media_type="application/json"), stream("a")]
    async with talk(answers) as server, client(server) as copilot:
        chat = copilot.conversation(system="Be kind.")
        with pytest.raises(BadRequestError):
            await chat.ask("one")
        await chat.ask("two")
    assert server.requests[1]["messages"] == [user("Be kind.\n\ntwo")]


def caching_g4f() -> Answer:
    """The cache of g4f 8.x as described: by model and all messages but the last user's."""
    cache: dict[str, str] = {}
    names: dict[str, str] = {}

    def answer(request: dict[str, Any]) -> bytes:
        messages = request["messages"]
        key = json.dumps(messages[:-1])
        handle = (request.get("conversation") or {}).get("conversation_id") or str(uuid.uuid4())
        if messages[:-1]:
            handle = cache.setdefault(key, handle)
        said = re.search(r"I am (\w+)", messages[-1]["content"])
        if said:
            names[handle] = said[1]
        text = f"You are {names.get(handle, 'a stranger')}."
        return stream(text, conversation={"conversation_id": handle})

    return answer


async def test_two_clients_with_one_system_prompt_never_share_a_conversation() -> None:
    async with talk(caching_g4f()) as server, client(server) as copilot:
        shared = [{"role": "system", "content": "Be kind."}]
        await copilot.complete([*shared, user("I am Anna")], unshared=False)
        leaked = await copilot.complete([*shared, user("Who am I?")], unshared=False)
        assert leaked.text == "You are Anna."  # what happens without care

        anna, heiner = (copilot.conversation(system="Be kind.") for _ in range(2))
        await anna.ask("I am Anna")
        await heiner.ask("I am Heiner")
        assert (await heiner.ask("Who am I?")).text == "You are Heiner."
        assert (await anna.ask("Who am I?")).text == "You are Anna."


@pytest.mark.parametrize(
    "message",
    [
        [user("a"), user("b")],
        [{"role": "system", "content": "Be kind."}, user("a")],
        {"role": "system", "content": "Be kind."},
        assistant("a"),
        {"content": "a"},
        [],
    ],
)
async def test_a_turn_by_the_servers_memory_is_one_user_message(message: Any) -> None:
    async with talk([stream("a")]) as server, client(server) as copilot:
        chat = copilot.conversation()
        with pytest.raises(InvalidRequestError, match='memory="client"'):
            await chat.ask(message)
        await chat.ask("a")
    assert len(server.requests) == 1


# ------------------------------------------------------------------ amnesia


async def test_an_answer_from_a_strangers_conversation_is_told() -> None:
    """Recorded of 8.8.6: Heiner's handle is sent, and the answer is about Anna."""
    answers = [recording("g4f-8.8.6", "greeting"), recording("g4f-8.8.6", "system_echo")]
    async with talk(answers) as server, client(server) as copilot:
        chat = copilot.conversation()
        await chat.ask(GREETING)
        with pytest.warns(AmnesiaWarning, match="another conversation"):
            reply = await chat.ask(NAME)
    assert reply.remembered is False
    assert reply.text.startswith("Your name is Anna.")
    assert chat.handle == handle_of(answers[1])


@pytest.mark.parametrize("door", ["ask", "stream"])
async def test_the_warning_points_at_the_line_that_took_the_turn(door: str) -> None:
    async def take_turn() -> None:
        if door == "ask":
            await chat.ask("two")
        else:
            async with chat.stream("two") as reply:
                assert [text async for text in reply]

    answers = [stream("a", conversation={"conversation_id": str(n)}) for n in range(2)]
    async with talk(answers) as server, client(server) as copilot:
        chat = copilot.conversation()
        await chat.ask("one")
        with pytest.warns(AmnesiaWarning) as caught:
            await take_turn()
    assert caught[0].filename == __file__


async def test_amnesia_as_an_error_loses_no_turn_and_the_next_one_tells_it() -> None:
    answers = [stream("a", conversation={"conversation_id": str(n)}) for n in range(3)]
    async with talk(answers) as server, client(server) as copilot:
        chat = copilot.conversation()
        await chat.ask("one")
        with warnings.catch_warnings():
            warnings.simplefilter("error", AmnesiaWarning)
            with pytest.raises(AmnesiaWarning):
                await chat.ask("two")
            assert len(chat.history) == 4
            assert (await chat.ask("three")).remembered is True
    assert "conversation" not in server.requests[2]
    assert server.requests[2]["messages"] == [
        user("User: one\nAssistant: a\nUser: two\nAssistant: a\nUser: three")
    ]


@pytest.mark.parametrize(
    ("first", "second", "remembered"),
    [
        ({"conversation_id": "a"}, {"conversation_id": "a"}, True),
        ({"conversation_id": "a", "turn": 1}, {"conversation_id": "a", "turn": 2}, True),
        ({"conversation_id": "a"}, {"conversation_id": "b"}, False),
        ({"cursor": "a"}, {"cursor": "a"}, True),
        ({"cursor": "a"}, {"cursor": "b"}, None),
        ({"conversation_id": "a"}, {"cursor": "b"}, None),
        ({"conversation_id": "a"}, None, None),
        (None, {"conversation_id": "a"}, None),
    ],
)
async def test_what_is_remembered_is_told_where_it_can_be(
    first: Any, second: Any, remembered: bool | None
) -> None:
    answers = [stream("a", conversation=first), stream("b", conversation=second)]
    async with talk(answers) as server, client(server) as copilot:
        chat = copilot.conversation()
        assert (await chat.ask("one")).remembered is None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            reply = await chat.ask("two")
    assert reply.remembered is remembered
    assert [warning.category for warning in caught] == [AmnesiaWarning] * (remembered is False)
    assert chat.handle == (second or first)


# ------------------------------------------------------------------ servers without memory


def stateless(request: dict[str, Any]) -> bytes:
    """A server that knows what is in the request and nothing else."""
    texts = [str(message["content"]) for message in request["messages"]]
    names = [found[1] for text in texts if (found := re.search(r"am (\w+)\.", text))]
    if "name" not in texts[-1]:
        return stream("Hello", " you.")
    return stream("Your name is ", names[0] if names else "unknown", ".")


async def test_the_second_turn_knows_the_name_on_a_server_that_keeps_nothing() -> None:
    async with talk(stateless) as server, client(server) as copilot:
        forgetful = copilot.conversation()
        await forgetful.ask(GREETING)
        assert (await forgetful.ask(NAME)).text == "Your name is unknown."

        chat = copilot.conversation(memory="client", model="m", temperature=0)
        await chat.ask(GREETING)
        assert (await chat.ask(NAME)).text == "Your name is Heiner."
    assert server.requests[-1] == {
        "model": "m",
        "stream": True,
        "temperature": 0,
        "messages": [user(GREETING), assistant("Hello you."), user(NAME)],
    }


async def test_with_the_clients_memory_nothing_of_g4fs_own_is_sent() -> None:
    answer = stream("a", conversation={"conversation_id": "x"})
    async with talk([answer]) as server, client(server) as copilot:
        chat = copilot.conversation(memory="client", system="Be kind.")
        for text in ("one", "two"):
            assert (await chat.ask(text)).remembered is None
    for request in server.requests:
        assert not {"provider", "conversation_id", "conversation"} & request.keys()
        assert request["messages"][0] == {"role": "system", "content": "Be kind."}
    assert len(server.requests[1]["messages"]) == 4
    assert chat.handle is None


async def test_tool_calls_and_their_results_are_turns_of_the_clients_memory() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asks = {"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    answers = [http(b"data: %b\n\n" % json.dumps(asks).encode()), stream("12 °C")]
    result = {"role": "tool", "tool_call_id": "c", "content": "12"}
    async with talk(answers) as server, client(server) as copilot:
        chat = copilot.conversation(memory="client")
        reply = await chat.ask("How warm is it?", tools=[{"type": "function"}])
        assert [called.name for called in reply.tool_calls] == ["f"]
        assert (await chat.ask([result])).text == "12 °C"
    del call["index"]
    asked = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert server.requests[1]["messages"] == [user("How warm is it?"), asked, result]
    assert chat.history == [user("How warm is it?"), asked, result, assistant("12 °C")]
    assert "tools" not in server.requests[1]


async def test_options_hold_for_each_turn_and_a_turns_own_for_one() -> None:
    async with talk([stream("a")]) as server, client(server) as copilot:
        chat = copilot.conversation(provider="Other", model="m", temperature=0.5, seed=1)
        await chat.ask("one")
        await chat.ask("two", temperature=0.9, model="n", seed=None)
        await chat.ask("three")
    sent = [(r["provider"], r["model"], r["temperature"], r.get("seed")) for r in server.requests]
    assert sent == [("Other", "m", 0.5, 1), ("Other", "n", 0.9, None), ("Other", "m", 0.5, 1)]


async def test_a_conversation_may_be_without_streams() -> None:
    whole = recording("g4f-8.8.6", "no_stream")
    async with talk([whole]) as server, client(server) as copilot:
        chat = copilot.conversation(stream=False)
        assert (await chat.ask("Hello")).text == "You said: Hello"
    assert server.requests[0]["stream"] is False
    assert chat.handle == handle_of(whole)


async def test_headers_and_timeouts_are_options_too() -> None:
    async with talk([stream("a")]) as server, client(server) as copilot:
        chat = copilot.conversation(headers={"X-Turn": "yes"}, timeouts=Timeouts(total=5))
        await chat.ask("one")
    assert b"X-Turn: yes" in server.heads[0]


@pytest.mark.parametrize("memory", ["", "Server", None, "both"])
def test_memory_is_the_servers_or_the_clients(memory: Any) -> None:
    with pytest.raises(InvalidRequestError, match='"server"'):
        CopilotClient().conversation(memory=memory)


@pytest.mark.parametrize("wrong", [None, 5, "http://localhost:1337/v1", CopilotClient])
def test_a_conversation_is_held_on_a_client(wrong: Any) -> None:
    with pytest.raises(InvalidRequestError, match="give a CopilotClient"):
        Conversation(wrong)


# ------------------------------------------------------------------ turns that fail or are left

BROKEN = stream("Hel", "lo", finish=None)
ERROR = http(
    b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\ndata: {"error":{"message":"gone"}}\n\n'
)
REFUSED = http(b'{"error":{"message":"no"}}', status="500 No", media_type="application/json")


@pytest.mark.parametrize(
    ("failing", "kind", "text"),
    [
        (BROKEN, TruncatedError, "Hello"),
        (ERROR, StreamError, "Hel"),
        (REFUSED, ServerStatusError, ""),
    ],
    ids=["cut off", "error in the stream", "error status"],
)
@pytest.mark.parametrize("keep_partial", [False, True])
@pytest.mark.parametrize("memory", ["server", "client"])
async def test_a_turn_that_fails_leaves_nothing_unless_it_is_to_be_kept(
    failing: bytes, kind: type[Exception], text: str, keep_partial: bool, memory: Any
) -> None:
    answers = [stream("a", conversation={"c": 1}), failing, stream("b")]
    async with talk(answers) as server, client(server) as copilot:
        chat = copilot.conversation(memory=memory, keep_partial=keep_partial)
        await chat.ask("one")
        before = chat.history
        with pytest.raises(kind):
            await chat.ask("two")
        kept = [user("two"), assistant(text)] if keep_partial and text else []
        assert chat.history == before + kept
        await chat.ask("three")
    if memory == "client":
        assert server.requests[2]["messages"] == [*before, *kept, user("three")]
    elif failing is REFUSED:
        assert "conversation" not in server.requests[2]
        assert server.requests[2]["messages"] == [user("User: one\nAssistant: a\nUser: three")]
    else:
        assert server.requests[2]["conversation"] == {"c": 1}
        told = f"User: two\nAssistant: {text}\nUser: " if kept else ""
        assert server.requests[2]["messages"] == [user(f"{told}three")]


@pytest.mark.parametrize("keep_partial", [False, True])
async def test_a_turn_that_is_left_leaves_nothing_unless_it_is_to_be_kept(
    keep_partial: bool,
) -> None:
    async with talk([stream("Hel", "lo"), stream("b")]) as server, client(server) as copilot:
        chat = copilot.conversation(memory="client", keep_partial=keep_partial)
        async with chat.stream("one") as reply:
            async for _ in reply:
                break
        assert reply.end is End.CANCELLED
        assert chat.history == ([user("one"), assistant("Hel")] if keep_partial else [])
        async with chat.stream("two"):
            pass  # not a word was read: there is nothing to keep
        assert len(chat.history) == (2 if keep_partial else 0)
        await chat.ask("three")


async def test_a_turn_ended_by_the_callers_own_error_leaves_nothing() -> None:
    async def take_a_turn_badly(chat: Conversation) -> None:
        async with chat.stream("one") as reply:
            async for text in reply:
                raise LookupError(text)

    async with talk([stream("a", "b")]) as server, client(server) as copilot:
        chat = copilot.conversation()
        with pytest.raises(LookupError):
            await take_a_turn_badly(chat)
        assert chat.history == []
        await chat.ask("two")
        assert len(chat.history) == 2


async def test_a_cancelled_turn_leaves_nothing_and_the_next_may_begin() -> None:
    unfinished = stream("a").replace(b"Content-Length: ", b"Content-Length: 9")
    answers = iter([unfinished, stream("b")])
    asked = asyncio.Event()

    def answer(_: dict[str, Any]) -> bytes:
        asked.set()
        return next(answers)

    async with talk(answer) as server, client(server) as copilot:
        chat = copilot.conversation()
        task = asyncio.create_task(chat.ask("one"))
        await asked.wait()
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert chat.history == []
        assert (await chat.ask("two")).text == "b"


async def test_done_without_a_finish_reason_is_a_turn() -> None:
    done = http(b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n')
    async with talk([done]) as server, client(server) as copilot:
        chat = copilot.conversation()
        assert (await chat.ask("one")).end is End.DONE
    assert chat.history == [user("one"), assistant("Hi")]


async def test_one_turn_at_a_time() -> None:
    async with talk([stream("Hel", "lo")]) as server, client(server) as copilot:
        chat = copilot.conversation()
        async with chat.stream("one") as reply:
            with pytest.raises(TurnInProgressError, match="await its end"):
                await chat.ask("two")
            assert [text async for text in reply] == ["Hel", "lo"]
        assert len(server.requests) == 1
        await chat.ask("three")
    assert [message["content"] for message in chat.history] == ["one", "Hello", "three", "Hello"]


async def test_what_is_not_a_message_is_refused_and_another_turn_may_begin() -> None:
    async with talk([stream("a")]) as server, client(server) as copilot:
        chat = copilot.conversation()
        for wrong in (5, None, [5]):
            with pytest.raises(InvalidRequestError):
                await chat.ask(wrong)  # type: ignore[arg-type]  # that is what is shown
        await chat.ask("one")
    assert len(server.requests) == 1


# ------------------------------------------------------------------ saved and resumed


async def test_a_conversation_survives_a_restart_as_json() -> None:
    async with talk(g4f("g4f-8.8.6")) as server:
        async with client(server) as copilot:
            chat = copilot.conversation(system="Be kind.", model="m", keep_partial=True)
            await chat.ask(GREETING)
            saved = json.loads(json.dumps(chat.to_dict()))
        async with client(server) as later:
            resumed = Conversation.from_dict(later, saved)
            assert resumed.to_dict() == chat.to_dict()
            reply = await resumed.ask(NAME)
    assert (reply.text, reply.remembered) == (HEINER, True)
    assert server.requests[1]["conversation_id"] == chat.id
    assert server.requests[1]["messages"] == [user(NAME)]
    assert (resumed.id, resumed.system, resumed.model) == (chat.id, "Be kind.", "m")


async def test_a_resumed_clients_memory_sends_the_history() -> None:
    async with talk(stateless) as server, client(server) as copilot:
        chat = copilot.conversation(memory="client", system="Be kind.")
        await chat.ask(GREETING)
        saved = json.loads(json.dumps(chat.to_dict()))
        resumed = Conversation.from_dict(copilot, saved, temperature=0)
        assert (await resumed.ask(NAME)).text == "Your name is Heiner."
        assert len(chat.history) == 2
    assert len(server.requests[1]["messages"]) == 4
    assert server.requests[1]["temperature"] == 0
    assert "provider" not in server.requests[1]


def saved(**changes: Any) -> dict[str, Any]:
    return CopilotClient().conversation().to_dict() | changes


WRONG: dict[str, Any] = {
    "nothing": {},
    "a list": [],
    "None": None,
    "a text": "text",
    "a number": 5,
    "a format alone": {"format": 1},
    "no provider": {name: value for name, value in saved().items() if name != "provider"},
    "another format": saved(format=2),
    "no format": saved(format=None),
    "a memory unknown": saved(memory="both"),
    "no id": saved(id=None),
    "an id that is a number": saved(id=5),
    "a handle that is a text": saved(conversation="text"),
    "a handle that is a list": saved(conversation=[1]),
    "no history": saved(history=None),
    "a history that is a text": saved(history="text"),
    "a history of texts": saved(history=["text"]),
    "a history that is a message": saved(history={"role": "user"}),
    "a system prompt that is a number": saved(system=5),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_what_to_dict_never_returned_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidRequestError):
        Conversation.from_dict(CopilotClient(), wrong)


def test_what_is_saved_holds_no_client_and_no_option() -> None:
    chat = CopilotClient(api_key="sk-secret").conversation(headers={"X-Key": "sk-secret"})
    assert "secret" not in json.dumps(chat.to_dict())


# ------------------------------------------------------------------ what it shows


async def test_history_is_a_copy() -> None:
    async with talk([stream("a")]) as server, client(server) as copilot:
        chat = copilot.conversation()
        await chat.ask("one")
        chat.history[0]["content"] = "changed"
        chat.history.clear()
        given = user("two")
        await chat.ask(given)
        given["content"] = "changed"
    assert [message["content"] for message in chat.history] == ["one", "a", "two", "a"]


async def test_the_handle_shows_in_no_repr() -> None:
    answer = stream("a", conversation={"conversation_id": "secret-handle"})
    async with talk([answer]) as server, client(server) as copilot:
        chat = copilot.conversation()
        reply = await chat.ask("one")
    assert chat.handle == {"conversation_id": "secret-handle"}
    assert "secret" not in repr(chat) + repr(reply) + str(vars(copilot))
    assert repr(chat) == f"<Conversation {chat.id} memory=server messages=2>"
