"""The public API as a type checker sees it from an embedder's program. Checked, never run.

``mypy --strict tests/typing_api.py`` and pyright in strict mode accept every line; a
line with an ignore is one that they must refuse.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, assert_never, assert_type

import aiohttp

from async_copilot import (
    AnswerFormatError,
    AuthenticationError,
    ChatChunk,
    Choice,
    ClockError,
    ConnectionFailedError,
    Conversation,
    CopilotClient,
    CopilotError,
    End,
    HTTPStatusError,
    Model,
    ProtocolError,
    RateLimitError,
    Reply,
    RequestInfo,
    ServerSentEvent,
    SSEDecoder,
    Timeouts,
    Timing,
    ToolCall,
    ToolCallDelta,
    TruncatedError,
    content_deltas,
    image_part,
    post_request,
    text_part,
    tool_result,
)
from async_copilot.fake_server import FakeAnswer, FakeServer, Reset
from async_copilot.observer import Observer


async def door_1(session: aiohttp.ClientSession) -> None:
    reply = Reply()
    async with session.post("http://localhost:1337/v1/chat/completions") as response:
        deltas = content_deltas(response, timeouts=Timeouts(total=60), strict=False, reply=reply)
        assert_type(deltas, AsyncGenerator[str, None])
        async for text in deltas:
            assert_type(text, str)
        await deltas.aclose()


async def door_2() -> None:
    async with CopilotClient(base_url="http://localhost:1337/v1", api_key="key") as client:
        assert_type(client, CopilotClient)
        streaming = client.stream("Hello", model="large", temperature=0.2, provider=None)
        managed: AbstractAsyncContextManager[Reply] = streaming
        async with managed as reply:
            assert_type(reply, Reply)
            async for text in reply:
                assert_type(text, str)
            assert_type(await anext(reply), str)
        assert_type(await client.complete([{"role": "user", "content": "Hello"}]), Reply)
        await client.complete({"role": "user", "content": [{"type": "text", "text": "Hello"}]})
        assert_type(await client.models(provider="Copilot"), list[Model])
        assert_type((await client.providers())[0].label, str)
        assert_type(await client.aclose(), None)


async def a_borrowed_session(session: aiohttp.ClientSession) -> CopilotClient:
    return CopilotClient(
        session=session,
        timeouts=Timeouts(connect=5, silence=None),
        max_retries=0,
        max_event_bytes=2**20,
        strict=False,
        headers={"X-Team": "us"},
        max_connections=10,
        observer=None,
    )


def another_server() -> CopilotClient:
    CopilotClient(memory="both")  # type: ignore[arg-type]
    CopilotClient(model=5)  # type: ignore[arg-type]
    CopilotClient(timeouts=30)  # type: ignore[arg-type]
    CopilotClient(timeout=30)  # type: ignore[arg-type]
    return CopilotClient(
        base_url="http://localhost:11434/v1", model="llama3", provider=None, memory="client"
    )


async def options_of_one_call(client: CopilotClient) -> None:
    client.stream(
        "Hello",
        model=None,
        provider="You",
        headers={"X-Team": "us"},
        timeouts=Timeouts(total=30),
        max_retries=0,
        strict=False,
        observer=Counter(),
        extra={"timeout": 60},
        temperature=0.2,
        stop=["\n"],
    )
    client.stream("Hello", max_retries="2")  # type: ignore[arg-type]
    await client.complete("Hello", max_retries=0, extra={"timeout": 60}, stream=False)


class Person:
    """As a class of pydantic's is seen: what matters is that it is a class."""

    name: str

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return {}


async def structured_output(client: CopilotClient) -> str:
    reply = await client.complete("Who was first?", response_format=Person)
    try:
        person: Person = reply.parsed
    except AnswerFormatError as error:
        assert_type(error.body, str | None)
        assert_type(error.reply, Reply | None)
        raise
    except TruncatedError:
        raise
    reply = await client.complete("Who?", response_format={"type": "object"})
    value: dict[str, Any] = reply.parsed
    return person.name + str(value["name"])


async def tools(client: CopilotClient) -> None:
    chat = client.conversation(memory="client", tools=[{"type": "function"}])
    reply = await chat.ask("What is the weather in Ulm?")
    results = [tool_result(call, {"celsius": 12}) for call in reply.tool_calls]
    assert_type(results, list[dict[str, Any]])
    await chat.ask(results)
    tool_result("call_1", "rain")
    tool_result(None, "rain")  # type: ignore[arg-type]
    for call in reply.tool_calls:
        assert_type(call.name, str)
        assert_type(call.arguments, str)
    image = {"role": "user", "content": [text_part("What is this?"), image_part(path="a.png")]}
    await chat.ask(image)


async def what_a_reply_tells(reply: Reply) -> None:
    assert_type(reply.text, str)
    assert_type(reply.reasoning, str)
    assert_type(reply.refusal, str)
    assert_type(reply.finish_reason, str | None)
    assert_type(reply.tool_calls, list[ToolCall])
    assert_type(reply.choices, list[Choice])
    assert_type(reply.usage, dict[str, Any] | None)
    assert_type(reply.message, dict[str, Any])
    assert_type(reply.conversation, dict[str, Any] | None)
    assert_type(reply.model, str | None)
    assert_type(reply.provider, str | None)
    assert_type(reply.id, str | None)
    assert_type(reply.status, int | None)
    assert_type(reply.request_id, str | None)
    assert_type(reply.headers, Mapping[str, str])
    assert_type(reply.skipped, int)
    assert_type(reply.remembered, bool | None)
    assert_type(reply.timing, Timing)
    assert_type(reply.timing.first_text, float | None)
    assert_type(reply.timing.waits, list[float])
    assert_type(reply.timing.first_chunk, float | None)
    assert_type(reply.timing.last_chunk, float | None)
    assert_type(reply.timing.ended, float | None)
    assert_type(reply.logprobs, dict[str, Any] | None)
    assert_type(reply.completion, dict[str, Any])
    assert_type(reply.request, RequestInfo)
    assert_type(reply.request.number, int)
    assert_type(reply.request.server, str)
    assert_type(reply.request.model, str | None)
    assert_type(reply.request.options, Mapping[str, Any])
    assert_type(reply.request.size, int)
    assert_type(reply.end, End | None)
    reply.text = "mine"  # type: ignore[misc]


def every_end(end: End) -> bool:
    match end:
        case End.COMPLETE | End.DONE:
            return True
        case End.TRUNCATED | End.ERROR | End.STALLED | End.DISCONNECTED | End.CANCELLED:
            return False
        case _:
            assert_never(end)


async def other_readings(reply: Reply) -> None:
    async for chunk in reply.chunks():
        assert_type(chunk, ChatChunk)
        assert_type(chunk.content, str)
        assert_type(chunk.tool_calls, tuple[ToolCallDelta, ...])
        assert_type(chunk.raw, dict[str, Any])
        chunk.content = ""  # type: ignore[misc]
    async for batch in reply.batches(interval=0.5, min_chars=20):
        assert_type(batch, str)
    reply.batches(0.5)  # type: ignore[call-arg]
    reading: AsyncIterator[str] = reply.batches()
    await anext(reading)


async def door_3(client: CopilotClient, saved: Mapping[str, Any]) -> dict[str, Any]:
    chat = client.conversation(memory="client", system="Be brief.", temperature=0.2)
    assert_type(chat, Conversation)
    async with chat.stream("Hello, I am Heiner.", max_tokens=100) as reply:
        assert_type(reply, Reply)
    assert_type(await chat.ask("What is my name?"), Reply)
    assert_type(chat.id, str)
    assert_type(chat.history, list[dict[str, Any]])
    assert_type(Conversation.from_dict(client, saved), Conversation)
    assert_type(chat.undo(), list[dict[str, Any]])
    assert_type(chat.trim(keep=20), None)
    chat.trim(lambda history: history[-4:])
    client.conversation(memory="both")  # type: ignore[arg-type]
    return chat.to_dict()


async def errors(client: CopilotClient) -> None:
    try:
        await client.complete("Hello")
    except RateLimitError as error:
        assert_type(error.retry_after, float | None)
    except AuthenticationError as error:
        denied: PermissionError = error
        assert_type(error.status, int | None)
        raise denied from None
    except HTTPStatusError as error:
        assert_type(error.body, str | None)
    except ClockError as error:
        late: TimeoutError = error
        assert_type(error.seconds, float | None)
        raise late from None
    except ConnectionFailedError as error:
        assert_type(error.passing, bool)
    except ProtocolError as error:
        wrong: ValueError = error
        raise wrong from None
    except CopilotError as error:
        assert_type(error.reply, Reply | None)
        assert_type(error.message, str)
        assert_type(error.retries, int)


class Counter(Observer):
    """An observer overrides what it wants, with the arguments it is given."""

    def on_start(self, reply: Reply) -> None:
        assert_type(reply.request.provider, str | None)

    def on_retry(self, reply: Reply, error: CopilotError, pause: float) -> None:
        assert_type(reply.timing.retries, int)

    def on_end(self, reply: Reply, error: CopilotError | None) -> None:
        assert_type(reply.end, End | None)


class Wrong(Observer):
    def on_end(self, reply: Reply) -> None:  # type: ignore[override]
        """A checker sees an observer that could not be called."""


def without_io(block: bytes) -> list[str]:
    decoder = SSEDecoder(max_event_bytes=2**20)
    events = decoder.feed(block)
    assert_type(events, list[ServerSentEvent])
    assert_type(events[0].retry, int | None)
    return [event.data for event in events]


async def runner() -> None:
    assert_type(await post_request(), None)


async def in_tests() -> None:
    async with FakeServer(["Hello", FakeAnswer("Hi", fault=Reset(after=1))]) as server:
        assert_type(server, FakeServer)
        assert_type(server.url, str)
        assert_type(server.disconnects, int)
