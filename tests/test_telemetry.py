"""What metrics, traces and the log are told: what was asked, when things happened, no text."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import re
from typing import Any

import aiohttp
import pytest
from wire_server import WireServer

from async_copilot import (
    ConnectionFailedError,
    CopilotClient,
    CopilotError,
    DisconnectedError,
    End,
    Observer,
    RateLimitError,
    Reply,
    RequestInfo,
    Timeouts,
    TruncatedError,
    content_deltas,
)
from async_copilot.fake_server import (
    Close,
    FakeAnswer,
    FakeServer,
    FakeToolCall,
    Reset,
    Stall,
    Truncate,
)

SECRETS = ["the prompt", "the answer", "sk-0123456789", "the-handle", "the system"]

# ------------------------------------------------------------------ what was asked


async def test_what_was_asked_is_known_from_the_start_and_holds_no_prompt() -> None:
    started: list[RequestInfo] = []

    class Start(Observer):
        def on_start(self, reply: Reply) -> None:
            started.append(reply.request)

    async with (
        FakeServer("the answer") as server,
        CopilotClient(
            base_url=server.url, api_key="sk-0123456789", observer=Start(), model="llama3"
        ) as client,
    ):
        reply = await client.complete(
            [
                {"role": "system", "content": "the system"},
                {"role": "user", "content": "the prompt"},
            ],
            temperature=0.2,
            stop=["\n"],
            tools=[{"type": "function"}],
            top_p=None,
            extra={"prompt": "the prompt", "api_key": "sk-0123456789", "seed": 7},
        )
        asked = reply.request
    assert started == [asked]
    assert asked.server == f"{server.url}/chat/completions"
    assert (asked.model, asked.provider) == ("llama3", "Copilot")
    assert asked.options == {
        "stream": True,
        "temperature": 0.2,
        "stop": ["\n"],
        "tools": [{"type": "function"}],
        "seed": 7,
    }
    assert asked.size == len(server.requests[0].raw)
    assert not [secret for secret in SECRETS if secret in repr(asked)]
    assert pickle.loads(pickle.dumps(reply)).request == asked  # noqa: S301  # ours


async def test_the_url_of_what_was_asked_has_no_user_and_no_query() -> None:
    async with FakeServer("Hello") as server:
        url = server.url.replace("http://", "http://me:secret@") + "?api-version=1&key=secret"
        async with CopilotClient(base_url=url, provider=None) as client:
            asked = (await client.complete("Hi")).request
    assert asked.server == f"{server.url}/chat/completions"
    assert (asked.model, asked.provider) == ("", None)


async def test_a_conversations_handle_is_not_part_of_what_was_asked() -> None:
    async with FakeServer("Hello") as server, CopilotClient(base_url=server.url) as client:
        chat = client.conversation()
        await chat.ask("Hi")
        reply = await chat.ask("the prompt")
        assert server.requests[1].body["conversation"]
    assert reply.request.options == {"stream": True, "conversation_id": chat.id}


async def test_requests_are_numbered() -> None:
    async with FakeServer("Hello") as server, CopilotClient(base_url=server.url) as client:
        first, second = [(await client.complete("Hi")).request.number for _ in range(2)]
    assert 0 < first < second
    assert Reply().request == RequestInfo()


# ------------------------------------------------------------------ when things happened


async def test_reasoning_is_a_first_chunk_and_the_rate_counts_it() -> None:
    """Ten tokens a second, half of them reasoning: ten, not twenty."""
    answer = FakeAnswer(["a"] * 10, reasoning=["b"] * 10, pace=100, usage={"completion_tokens": 20})
    async with FakeServer(answer) as server, CopilotClient(base_url=server.url) as client:
        reply = await client.complete("Hi", stream_options={"include_usage": True})
    timing, usage = reply.timing, reply.usage
    assert usage is not None
    assert timing.headers is not None
    assert timing.first_chunk is not None
    assert timing.first_text is not None
    assert timing.last_chunk is not None
    assert timing.last_text is not None
    assert timing.ended is not None
    assert timing.headers <= timing.first_chunk < timing.first_text
    assert timing.last_text <= timing.last_chunk <= timing.ended
    rate = usage["completion_tokens"] / (timing.last_chunk - timing.first_chunk)
    assert rate < 120


@pytest.mark.parametrize("way", ["text", "chunks", "batches"])
async def test_a_tool_call_is_a_first_chunk_without_a_text(way: str) -> None:
    answer = FakeAnswer("", tool_calls=[FakeToolCall("now", "{}")])
    async with (
        FakeServer(answer) as server,
        CopilotClient(base_url=server.url) as client,
        client.stream("Hi") as reply,
    ):
        async for _ in reply if way == "text" else getattr(reply, way)():
            pass
    assert reply.timing.first_chunk is not None
    assert reply.timing.first_text is None


@pytest.mark.parametrize("way", ["text", "chunks", "batches"])
@pytest.mark.parametrize("fault", [Stall, Close, Truncate])
async def test_the_end_of_a_broken_answer_is_not_its_last_chunk(fault: Any, way: str) -> None:
    answer = FakeAnswer(["a " * 40] * 6, pace=200, fault=fault(after=5))
    clocks = Timeouts(silence=0.2)
    async with FakeServer(answer) as server, CopilotClient(base_url=server.url) as client:
        async with client.stream("Hi", timeouts=clocks) as reply:
            with pytest.raises(CopilotError):
                async for _ in reply if way == "text" else getattr(reply, way)():
                    pass
        async with client.stream("Hi") as left:
            async for _ in left:
                if left.text.count("a") > 100:
                    break
    for timing in (reply.timing, left.timing):
        assert timing.last_text is not None
        assert timing.last_chunk == timing.last_text
    assert reply.timing.ended is not None
    assert fault is not Stall or reply.timing.ended - (reply.timing.last_chunk or 0) > 0.19


async def test_a_reply_under_way_has_not_ended_and_one_that_is_over_has() -> None:
    async with (
        FakeServer([FakeAnswer(["a", "b"]), FakeAnswer(status=400)]) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        async with client.stream("Hi") as reply:
            assert await anext(reply) == "a"
            assert reply.timing.ended is None
        left = reply.timing.ended
        assert left is not None
        await asyncio.sleep(0.02)
        assert reply.timing.ended == left
        with pytest.raises(CopilotError) as caught:
            await client.complete("Hi")
    assert caught.value.reply is not None
    assert caught.value.reply.timing.ended is not None


async def test_a_chunk_of_an_answer_that_was_asked_for_again_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("async_copilot.transport.exchange.retry_pause", lambda *_: 0.05)
    broken = FakeAnswer("Hello", reasoning=["Hm", "m"], fault=Reset(after=1))
    async with (
        FakeServer([broken, "Hello"]) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        timing = (await client.complete("Hi")).timing
    assert timing.retries == 1
    assert timing.headers is not None
    assert timing.first_chunk is not None
    assert timing.first_chunk >= timing.headers > 0.05


# ------------------------------------------------------------------ an error after retries


@pytest.mark.parametrize(
    ("retries", "said"),
    [(0, None), (1, r"after 1 retry, \d+\.\d s in all"), (2, r"after 2 retries, \d+\.\d s in all")],
)
async def test_an_error_after_retries_says_how_many_and_how_long(
    retries: int, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("async_copilot.transport.exchange.retry_pause", lambda *_: 0.01)
    async with (
        FakeServer(FakeAnswer(status=429, error="busy", times=9)) as server,
        CopilotClient(base_url=server.url, max_retries=retries) as client,
    ):
        with pytest.raises(RateLimitError, match=said or "busy") as caught:
            await client.complete("Hi")
        assert ("in all" in caught.value.message) is (said is not None)
        assert caught.value.message.count("busy") == 1
    async with FakeServer() as gone:
        pass
    async with CopilotClient(base_url=gone.url, max_retries=retries) as client:
        with pytest.raises(ConnectionFailedError, match=said or "cannot connect"):
            await client.complete("Hi")


# ------------------------------------------------------------------ nothing came


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Truncate(after=0), TruncatedError), (Reset(after=0), DisconnectedError)],
    ids=["empty", "reset"],
)
async def test_a_long_prompt_and_no_answer_names_the_likely_cause(
    fault: Any, kind: type[CopilotError]
) -> None:
    async with (
        FakeServer(FakeAnswer("Hello", fault=fault, times=9)) as server,
        CopilotClient(base_url=server.url, max_retries=0) as client,
    ):
        with pytest.raises(kind, match=r"longer than the model takes: the request has 20,\d\d\d"):
            await client.complete("word " * 4_000)
        with pytest.raises(kind) as caught:
            await client.complete("word")
        assert "longer" not in str(caught.value)


async def test_a_long_prompt_whose_answer_broke_later_has_no_such_hint() -> None:
    async with (
        FakeServer(FakeAnswer(["Hel", "lo"], fault=Truncate(after=1))) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        with pytest.raises(TruncatedError, match="strict=False"):
            await client.complete("word " * 4_000)


# ------------------------------------------------------------------ the log


def story(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The client's part of the log; the fake server has a logger of its own."""
    records = [record for record in caplog.records if record.name == "async_copilot"]
    return [f"{record.levelname} {record.getMessage()}" for record in records]


async def test_the_log_tells_a_request_from_its_start_to_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "async_copilot")
    busy = FakeAnswer(status=503, retry_after=0, error="the answer")
    async with (
        FakeServer([busy, "the answer"]) as server,
        CopilotClient(base_url=server.url, api_key="sk-0123456789", model="llama3") as client,
    ):
        reply = await client.complete("the prompt")
    number, lines = reply.request.number, story(caplog)
    place = f"{server.url}/chat/completions"
    assert lines[0] == f"DEBUG request {number}: POST {place}, model 'llama3', attempt 1"
    assert f"DEBUG request {number}: POST {place}, model 'llama3', attempt 2" in lines
    assert [line for line in lines if line.startswith(f"INFO request {number}: retry 1 of 2")]
    headers = [line for line in lines if "connection" in line]
    assert headers[0].startswith(f"DEBUG request {number}: status 503 after 0.")
    assert headers[0].endswith(" s, on a new connection")
    assert headers[1].startswith(f"DEBUG request {number}: status 200 after 0.")
    assert headers[1].endswith(" s, on a used connection")
    assert lines[-1].startswith(f"DEBUG request {number}: COMPLETE after ")
    assert f", {reply.timing.chunks} events, {reply.timing.bytes} bytes" in lines[-1]
    assert not [secret for secret in SECRETS if secret in "\n".join(lines)]


@pytest.mark.parametrize("end", [End.DISCONNECTED, End.CANCELLED, End.ERROR])
async def test_the_log_has_an_end_for_every_request(
    end: End, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "async_copilot")
    answers = {
        End.DISCONNECTED: FakeAnswer(["the answer"], fault=Close(after=1, torn=True)),
        End.CANCELLED: FakeAnswer(["the answer"], fault=Stall(after=1)),
        End.ERROR: FakeAnswer(status=400, error="the prompt: the answer"),
    }
    async with (
        FakeServer(answers[end]) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        with contextlib.suppress(CopilotError):
            async with client.stream("the prompt") as reply:
                async for _ in reply:
                    if end is End.CANCELLED:
                        break
    assert [line for line in story(caplog) if f": {end.name} after " in line]
    assert not [secret for secret in SECRETS if secret in "\n".join(story(caplog))]


async def test_a_response_of_yours_has_an_end_in_the_log_and_no_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "async_copilot")
    body = {"stream": True, "messages": [{"role": "user", "content": "the prompt"}]}
    async with (
        FakeServer("the answer") as server,
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/chat/completions", json=body) as response,
    ):
        reply = Reply()
        async for _ in content_deltas(response, reply=reply):
            pass
    (line,) = story(caplog)
    assert line.startswith(f"DEBUG request {reply.request.number}: COMPLETE after ")


async def test_a_list_of_models_is_a_request_in_the_log_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "async_copilot")
    async with FakeServer("Hello") as server, CopilotClient(base_url=server.url) as client:
        await client.models()
    out, headers, end = story(caplog)
    assert re.fullmatch(rf"DEBUG request \d+: GET {server.url}/models, .*, attempt 1", out)
    assert ": status 200 after 0." in headers
    assert re.fullmatch(r"DEBUG request \d+: COMPLETE after [\d.]+ s, \d entries", end)


async def test_a_list_that_failed_is_in_the_log_with_each_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "async_copilot")
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
    async with (
        WireServer([busy]) as server,
        CopilotClient(base_url=server.url, max_retries=1) as client,
    ):
        with pytest.raises(CopilotError, match=r"\(after 1 retry, \d\.\d s in all\)"):
            await client.models()
    lines = story(caplog)
    assert [line[-9:] for line in lines if "GET" in line] == ["attempt 1", "attempt 2"]
    assert lines[-1].endswith(", 0 entries")
    assert ": ERROR after " in lines[-1]
