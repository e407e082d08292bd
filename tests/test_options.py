"""Options are checked where they are given, and none is taken for a field of the request."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from wire_server import WireServer, http

from async_copilot import (
    Conversation,
    CopilotClient,
    InvalidRequestError,
    Observer,
    RateLimitError,
    Timeouts,
    TruncatedError,
    content_deltas,
)
from async_copilot.fake_server import FakeAnswer, FakeServer, Truncate
from async_copilot.options import UNSET

# ------------------------------------------------------------------ the client's defaults

G4F = {"model": "", "provider": "Copilot"}


@pytest.mark.parametrize(
    ("defaults", "call", "sent"),
    [
        ({}, {}, G4F),
        ({"model": "llama3", "provider": None}, {}, {"model": "llama3"}),
        ({"model": "llama3", "memory": "client"}, {}, {"model": "llama3"}),
        ({"provider": "You", "memory": "client"}, {}, {"model": "", "provider": "You"}),
        ({"model": None, "provider": None}, {}, {}),
        ({"model": "llama3"}, {"model": "qwen"}, {"model": "qwen", "provider": "Copilot"}),
        ({"model": "llama3"}, {"model": None, "provider": None}, {}),
        ({"provider": None}, {"provider": "You"}, {"model": "", "provider": "You"}),
        ({}, {"model": UNSET, "provider": UNSET}, G4F),
    ],
)
async def test_a_call_says_what_the_client_says_unless_it_says_otherwise(
    defaults: dict[str, Any], call: dict[str, Any], sent: dict[str, Any]
) -> None:
    async with (
        FakeServer("Hello") as server,
        CopilotClient(base_url=server.url, **defaults) as client,
    ):
        await client.complete("Hi", **call)
        body = server.requests[0].body
    assert {name: body[name] for name in ("model", "provider") if name in body} == sent


@pytest.mark.parametrize(
    ("defaults", "options", "memory", "sent"),
    [
        ({}, {}, "server", G4F),
        ({}, {"memory": "client"}, "client", {"model": ""}),
        ({"memory": "client"}, {}, "client", {"model": ""}),
        (
            {"memory": "client"},
            {"memory": "server"},
            "server",
            {"model": "", "provider": "Copilot"},
        ),
        ({"model": "llama3", "provider": None}, {}, "server", {"model": "llama3"}),
        ({"provider": "You"}, {"memory": "client"}, "client", {"model": "", "provider": "You"}),
        ({"provider": "You"}, {"provider": None, "model": "x"}, "server", {"model": "x"}),
    ],
)
async def test_a_conversation_has_the_clients_settings_unless_it_has_its_own(
    defaults: dict[str, Any], options: dict[str, Any], memory: str, sent: dict[str, Any]
) -> None:
    async with (
        FakeServer("Hello") as server,
        CopilotClient(base_url=server.url, **defaults) as client,
    ):
        for chat in (client.conversation(**options), Conversation(client, **options)):
            await chat.ask("Hi")
            assert chat.memory == memory
            assert (chat.model, chat.provider) == (sent["model"], sent.get("provider"))
            body = server.requests[-1].body
            assert {n: body[n] for n in ("model", "provider") if n in body} == sent
            assert ("conversation_id" in body) == (memory == "server")


async def test_another_server_needs_one_line() -> None:
    async with (
        FakeServer("Hello", dialect="openai", memory="messages") as server,
        CopilotClient(base_url=server.url, model="llama3", memory="client") as client,
    ):
        chat = client.conversation()
        await chat.ask("Hi")
        await chat.ask("And you?")
        await client.complete("Hi")
    for request in server.requests:
        assert set(request.body) == {"messages", "model", "stream"}
        assert request.body["model"] == "llama3"
    assert [len(request.messages) for request in server.requests] == [1, 3, 1]


# ------------------------------------------------------------------ options of one call


async def test_a_calls_own_options_count_for_this_call_alone() -> None:
    cut = FakeAnswer("Hello", fault=Truncate())
    busy = FakeAnswer(status=429)
    async with (
        FakeServer([cut, busy, cut]) as server,
        CopilotClient(base_url=server.url, headers={"X-Team": "us"}) as client,
    ):
        assert (await client.complete("Hi", strict=False, headers={"X-Job": "1"})).text == "Hello"
        with pytest.raises(RateLimitError):
            await client.complete("Hi", max_retries=0, timeouts=Timeouts(total=30))
        with pytest.raises(TruncatedError):
            await client.complete("Hi", strict=None, max_retries=None, timeouts=None)
        assert len(server.requests) == 3
    assert server.requests[0].headers["X-Job"] == "1"
    assert "X-Job" not in server.requests[1].headers
    assert all(request.headers["X-Team"] == "us" for request in server.requests)
    assert all(set(r.body) == {"messages", "stream", "model", "provider"} for r in server.requests)


async def test_a_clock_of_a_call_is_a_clock() -> None:
    async with (
        FakeServer(FakeAnswer("Hello", delay=30)) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        with pytest.raises(TimeoutError):
            await client.complete("Hi", timeouts=Timeouts(total=0.05))


async def test_extra_sends_a_field_of_any_name_and_has_the_last_word() -> None:
    async with FakeServer("Hello") as server, CopilotClient(base_url=server.url) as client:
        extra = {"timeout": 60, "system": "x", "temperature": 0.5, "api_key": None}
        await client.complete("Hi", temperature=0.1, extra=extra)
        await client.conversation(extra={"timeout": 60}).ask("Hi")
    assert server.requests[0].body["timeout"] == 60
    assert server.requests[0].body["system"] == "x"
    assert server.requests[0].body["temperature"] == 0.5
    assert "api_key" not in server.requests[0].body
    assert server.requests[1].body["timeout"] == 60
    assert all("extra" not in request.body for request in server.requests)


async def test_a_provider_that_is_an_object_goes_out_by_extra() -> None:
    routing = {"order": ["a", "b"]}
    async with (
        FakeServer("Hello", dialect="openai") as server,
        CopilotClient(base_url=server.url, model="m", memory="client") as client,
    ):
        two = [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Ho"}]
        reply = await client.complete(two, extra={"provider": routing})
        with pytest.raises(InvalidRequestError, match=r'extra=\{"provider"'):
            client.stream("Hi", provider=routing)  # type: ignore[arg-type]  # that is the test
    assert server.requests[0].body["provider"] == routing
    assert server.requests[0].messages == two
    assert reply.request.provider is None


MISPLACED: dict[str, tuple[Any, str]] = {
    "timeout": (5, r"timeouts=Timeouts\("),
    "request_timeout": (5, r"timeouts=Timeouts\("),
    "extra_headers": ({"X-Team": "us"}, "use headers="),
    "extra_body": ({"top_k": 5}, r"extra=\{"),
    "extra_query": ({"a": "b"}, "base_url"),
    "retries": (3, "use max_retries="),
    "system": ("Be brief.", r"client.conversation\(system=...\)"),
    "keep_partial": (True, r"client.conversation\(keep_partial=...\)"),
    "memory": ("client", r"client.conversation\(memory=...\)"),
    "history": ([], r"from_dict\(\)"),
    "message": ("Hi", "first argument"),
    "api_key": ("key", r"CopilotClient\(api_key=...\)"),
    "proxy": ("http://127.0.0.1:9", "ClientSession"),
    "follow_redirects": (True, "ClientSession"),
    "verify": (False, r"CopilotClient\(ssl=...\)"),
    "api_base": ("http://127.0.0.1:9", r"CopilotClient\(base_url=...\)"),
    "response_model": (dict, "use response_format="),
    "callbacks": ([], "use observer="),
    "stream_timeout": (5, r"timeouts=Timeouts\("),
    "silence": (5, r"timeouts=Timeouts\("),
    "sock_read": (5, r"timeouts=Timeouts\("),
    "organization": ("us", r"headers=\{\"OpenAI-Organization"),
    "system_prompt": ("Be brief.", r"client.conversation\(system=...\)"),
    "api_version": ("2024-10-21", "base_url"),
    "azure_ad_token": ("key", r"CopilotClient\(api_key=...\)"),
    "ssl_verify": (False, r"CopilotClient\(ssl=...\)"),
    "limits": (5, r"CopilotClient\(max_connections=...\)"),
    "http2": (True, "ClientSession"),
    "logger": (None, "logger async_copilot"),
}


@pytest.mark.parametrize("name", MISPLACED)
async def test_an_option_that_belongs_elsewhere_is_refused_with_its_place(name: str) -> None:
    value, fix = MISPLACED[name]
    unset: dict[str, Any] = {name: None}
    async with FakeServer() as server, CopilotClient(base_url=server.url) as client:
        calls: list[Callable[[], Any]] = [
            lambda: client.stream("Hi", **{name: value}),
            lambda: client.stream("Hi", **unset),
        ]
        if name != "message":
            calls.append(lambda: client.conversation().ask("Hi", **{name: value}))
        if name not in ("system", "keep_partial", "memory"):
            calls.append(lambda: client.conversation(**{name: value}))
        for call in calls:
            with pytest.raises(InvalidRequestError, match=fix) as caught:
                await call()
            assert f'extra={{"{name}": ...}}' in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("timeout", r"use timeouts=, such as timeouts=Timeouts\(total=30\)"),
        ("default_headers", "use headers="),
        ("organization", r"use headers=\{"),
        ("verify", "use ssl="),
        ("http_client", "give it to an aiohttp.ClientSession, and use session="),
        ("limits", "use max_connections="),
        ("api_base", "use base_url="),
        ("default_query", "put a query into base_url"),
        ("system", r"client.conversation\(system=...\)"),
        ("keep_partial", r"client.conversation\(keep_partial=...\)"),
        ("messages", "first argument of a call"),
        ("temperature", r"to each call, or to client.conversation\(\)"),
        ("modle", r"did you mean model=\?"),
        ("base_ulr", r"did you mean base_url=\?"),
    ],
)
def test_what_is_not_an_option_of_the_client_is_told_with_its_place(name: str, fix: str) -> None:
    with pytest.raises(
        InvalidRequestError, match=rf"^CopilotClient\(\) has no option {name}; .*{fix}"
    ):
        CopilotClient(**{name: None})  # type: ignore[arg-type]  # that is the test


def test_every_option_of_the_client_that_no_call_takes_is_refused_on_one() -> None:
    def names(function: Any) -> set[str]:
        return {
            name
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        }

    client = CopilotClient()
    ours = names(CopilotClient.__init__) | names(Conversation.__init__)
    for name in ours - names(CopilotClient.stream):
        unset: dict[str, Any] = {name: None}
        with pytest.raises(InvalidRequestError, match=f"{name} is not an option of a request"):
            client.stream("Hi", **unset)


# ------------------------------------------------------------------ options that cannot work

WRONG: dict[str, list[Any]] = {
    "base_url": [None, 5, "", "localhost", "ftp://localhost/v1"],
    "api_key": [5, b"key", "", "a\nb"],
    "model": [5, ["llama3"], b"llama3"],
    "provider": [5, False],
    "memory": ["both", None, 1],
    "session": [5, "session", aiohttp.ClientSession],
    "timeouts": [30, 1.5, None, {"total": 5}, Timeouts, aiohttp.ClientTimeout(total=5)],
    "max_retries": [-1, "2", 2.5, None, True],
    "max_event_bytes": [0, -1, "1", 2.0**20, None, True],
    "strict": [None, "no", 1],
    "headers": [["X-Team: us"], "X-Team: us", 5, {"X-Team": 5}, {5: "us"}, {"X Team": "us"}],
    "max_connections": [-1, "a", 1.5, None, True],
    "observer": [5, Observer, print],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_an_option_of_the_client_is_checked_when_it_is_given(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        CopilotClient(**{name: value})
    assert isinstance(caught.value, ValueError)
    assert caught.value.hint is not None


ON_A_CALL = {
    **{n: [v for v in WRONG[n] if v is not None] for n in WRONG if n != "base_url"},
    "unshared": [1, "no"],
    "stream": ["yes", 0],
    "extra": [5, [("a", 1)], {5: 1}, {"messages": []}],
}
for _elsewhere in ("api_key", "memory", "session", "max_event_bytes", "max_connections"):
    del ON_A_CALL[_elsewhere]


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in ON_A_CALL.items() for value in values]
)
async def test_an_option_of_a_call_is_checked_when_it_is_given(name: str, value: Any) -> None:
    async with CopilotClient() as client:
        with pytest.raises(InvalidRequestError):
            client.stream("Hi", **{name: value})
        if name != "headers" or not isinstance(value, dict):
            with pytest.raises(InvalidRequestError):
                client.conversation(**{name: value})


@pytest.mark.parametrize(
    "options",
    [
        {"memory": "both"},
        {"memory": None},
        {"system": 5},
        {"system": ["Be brief."]},
        {"keep_partial": "no"},
        {"keep_partial": None},
        {"model": 5},
        {"provider": ["Copilot"]},
    ],
    ids=str,
)
def test_an_option_of_a_conversation_is_checked_when_it_is_given(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        CopilotClient().conversation(**options)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "messages is empty"),
        ((), "messages is empty"),
        ({}, "message 0 has no role"),
        ({"content": "Hi"}, "message 0 has no role"),
        ([{"role": "user", "content": "Hi"}, {"text": "Hi"}], "message 1 has no role"),
        ([{"role": None, "content": "Hi"}], "message 0 has the role None"),
        ([{"role": "", "content": "Hi"}], "message 0 has the role ''"),
        ([{"role": 5, "content": "Hi"}], "message 0 has the role 5"),
        (None, "messages is of type NoneType"),
        (5, "messages is of type int"),
        (b"Hi", "messages is of type bytes"),
        (["Hi"], "a message is of type str"),
    ],
)
async def test_messages_are_checked_when_they_are_given(messages: Any, said: str) -> None:
    async with FakeServer() as server, CopilotClient(base_url=server.url) as client:
        with pytest.raises(InvalidRequestError, match=said):
            client.stream(messages)
        chat = client.conversation(memory="client")
        chat.trim(lambda _: [{"role": "user", "content": "Hi"}])
        with pytest.raises(InvalidRequestError, match=said):
            await chat.ask(messages)
        assert len(chat.history) == 1
        with pytest.raises(InvalidRequestError):
            await client.conversation().ask(messages)
        assert server.requests == []


@pytest.mark.parametrize("seconds", [0, -1, "5", True, float("nan"), [5]])
@pytest.mark.parametrize("clock", ["connect", "silence", "stall", "total"])
def test_a_clock_is_a_number_of_seconds_or_off(clock: str, seconds: Any) -> None:
    with pytest.raises(InvalidRequestError, match=clock):
        Timeouts(**{clock: seconds})


def test_a_clock_has_a_name() -> None:
    with pytest.raises(TypeError):
        Timeouts(30)  # type: ignore[call-arg]  # that is the test


@pytest.mark.parametrize(
    "options",
    [
        {"timeouts": 30},
        {"timeouts": None},
        {"strict": None},
        {"max_event_bytes": 0},
        {"reply": 5},
        {"reply": "text"},
    ],
    ids=str,
)
async def test_an_option_of_content_deltas_is_checked_before_anything_is_read(
    options: dict[str, Any],
) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    async with (
        FakeServer("Hello") as server,
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/chat/completions", json=body) as response,
    ):
        with pytest.raises(InvalidRequestError):
            await anext(content_deltas(response, **options))
        assert "".join([text async for text in content_deltas(response)]) == "Hello"


async def test_a_request_that_was_not_entered_is_not_a_response() -> None:
    async with FakeServer("Hello") as server, aiohttp.ClientSession() as session:
        request: Any = session.post(f"{server.url}/chat/completions", json={})
        others: list[Any] = [request, None, "Hello", session]
        for wrong in others:
            with pytest.raises(InvalidRequestError, match=r"async with session\.post"):
                await anext(content_deltas(wrong))
        request.close()


def test_a_secret_in_a_wrong_option_does_not_show() -> None:
    secret = b"sk-0123456789"
    for name, value in (("api_key", secret), ("headers", [("Authorization", secret.decode())])):
        with pytest.raises(InvalidRequestError) as caught:
            CopilotClient(**{name: value})  # type: ignore[arg-type]  # that is the test
        assert "0123456789" not in str(caught.value)


async def test_what_does_what_a_session_does_is_a_session() -> None:
    class Wrapper:
        """As retrying wrappers of a session are."""

        def __init__(self, session: aiohttp.ClientSession) -> None:
            self.session = session

        def __getattr__(self, name: str) -> Any:
            return getattr(self.session, name)

    async with FakeServer("Hello") as server, aiohttp.ClientSession() as session:
        wrapped: Any = Wrapper(session)
        async with CopilotClient(base_url=server.url, session=wrapped) as client:
            assert (await client.complete("Hi")).text == "Hello"


async def test_stream_false_is_a_field_like_any_other() -> None:
    whole = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}

    def answer(request: dict[str, Any]) -> bytes:
        assert request["stream"] is False
        return http(json.dumps(whole).encode(), media_type="application/json")

    async with WireServer(answer) as server, CopilotClient(base_url=server.url) as client:
        assert (await client.complete("Hi", stream=False)).text == "Hello"
        async with client.stream("Hi", stream=False) as reply:
            assert [text async for text in reply] == ["Hello"]
        assert (await client.conversation().ask("Hi", stream=False)).text == "Hello"
