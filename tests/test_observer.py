"""An observer is told everything once, in order, and can do no harm."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import pickle
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from async_copilot import (
    ConnectionFailedError,
    CopilotClient,
    CopilotError,
    DisconnectedError,
    End,
    RateLimitError,
    Reply,
    StreamError,
    TruncatedError,
)
from async_copilot.fake_server import (
    ErrorFrame,
    FakeAnswer,
    FakeServer,
    Reset,
    Script,
    Stall,
    Truncate,
)
from async_copilot.observer import Observer


class Notes(Observer):
    """Writes down what it is told, as a line each."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.replies: list[Reply] = []
        self.error: CopilotError | None = None

    def on_start(self, reply: Reply) -> None:
        assert reply.end is None
        self.lines.append("start")
        self.replies.append(reply)

    def on_retry(self, reply: Reply, error: CopilotError, pause: float) -> None:
        assert reply is self.replies[-1]
        assert reply.timing.waits[-1] == pause
        self.lines.append(f"retry {reply.timing.retries} {type(error).__name__}")

    def on_first_text(self, reply: Reply) -> None:
        assert reply is self.replies[-1]
        assert reply.timing.first_text is not None
        self.lines.append("first text")

    def on_end(self, reply: Reply, error: CopilotError | None) -> None:
        assert reply is self.replies[-1]
        assert reply.end is not None
        self.error = error
        self.lines.append(f"end {reply.end.name} {reply.text}")


WHOLE = ["start", "first text", "end COMPLETE Hello"]


@pytest.mark.parametrize("way", ["text", "chunks", "batches", "complete"])
async def test_a_reply_has_a_start_a_first_text_and_an_end(way: str) -> None:
    notes = Notes()
    async with (
        FakeServer("Hello") as server,
        CopilotClient(base_url=server.url, observer=notes) as client,
    ):
        if way == "complete":
            await client.complete("Hi")
        else:
            async with client.stream("Hi") as reply:
                readings: dict[str, Callable[[], AsyncIterator[object]]] = {
                    "text": reply.__aiter__,
                    "chunks": reply.chunks,
                    "batches": partial(reply.batches, interval=0),
                }
                async for _ in readings[way]():
                    assert notes.lines[1:2] == ["first text"]
                assert notes.lines == WHOLE, "told at the reply's end, not at the block's"
    assert notes.lines == WHOLE
    assert notes.error is None


async def test_first_text_is_the_first_text_not_the_first_chunk() -> None:
    notes = Notes()
    script = FakeAnswer(["Hello"], reasoning=["Hm", "m"])
    async with (
        FakeServer(script) as server,
        CopilotClient(base_url=server.url, observer=notes) as client,
        client.stream("Hi") as reply,
    ):
        told = [(chunk.content, "first text" in notes.lines) async for chunk in reply.chunks()]
    assert ("Hello", True) in told
    assert reply.timing.first_text is not None


async def test_an_answer_without_text_has_no_first_text() -> None:
    notes = Notes()
    async with (
        FakeServer(FakeAnswer("")) as server,
        CopilotClient(base_url=server.url, observer=notes) as client,
    ):
        await client.complete("Hi")
    assert notes.lines == ["start", "end COMPLETE "]


async def test_every_retry_is_told_before_its_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("async_copilot.transport.exchange.retry_pause", lambda *_: 0.01)
    notes = Notes()
    script: Script = [
        FakeAnswer(status=429, headers={"Connection": "close"}),
        FakeAnswer("Hello", fault=Reset(after=0)),
        "Hello",
    ]
    async with (
        FakeServer(script) as server,
        CopilotClient(base_url=server.url, observer=notes) as client,
    ):
        await client.complete("Hi")
    assert notes.lines == [
        *WHOLE[:1],
        "retry 1 RateLimitError",
        "retry 2 DisconnectedError",
        *WHOLE[1:],
    ]


@pytest.mark.parametrize(
    ("script", "kind", "last"),
    [
        (FakeAnswer(status=429, error="slow down"), RateLimitError, "end ERROR "),
        (FakeAnswer("Hello", fault=Truncate()), TruncatedError, "end TRUNCATED Hello"),
        (FakeAnswer("Hello", fault=ErrorFrame("out of memory")), StreamError, "end ERROR Hello"),
        (FakeAnswer("Hello", fault=Reset()), DisconnectedError, "end DISCONNECTED Hello"),
    ],
    ids=["status", "truncated", "error", "reset"],
)
async def test_the_end_brings_the_error_that_is_raised(
    script: FakeAnswer, kind: type[CopilotError], last: str
) -> None:
    notes = Notes()
    async with (
        FakeServer(script) as server,
        CopilotClient(base_url=server.url, observer=notes, max_retries=0) as client,
    ):
        with pytest.raises(kind) as caught:
            await client.complete("Hi")
    assert notes.error is caught.value
    assert notes.error.reply is notes.replies[0]
    assert notes.lines[-1] == last


async def test_a_server_that_is_not_there_is_a_start_and_an_end() -> None:
    notes = Notes()
    async with FakeServer() as server:
        url = server.url
    async with CopilotClient(base_url=url, observer=notes, max_retries=0) as client:
        with pytest.raises(ConnectionFailedError):
            await client.complete("Hi")
    assert notes.lines == ["start", "end ERROR "]


async def test_leaving_is_an_end_without_an_error() -> None:
    notes = Notes()
    async with (
        FakeServer(FakeAnswer(["Hel", "lo"], fault=Stall(after=1))) as server,
        CopilotClient(base_url=server.url, observer=notes) as client,
    ):
        async with client.stream("Hi") as reply:
            async for _ in reply:
                break
        assert notes.lines == ["start", "first text", "end CANCELLED Hel"]
        assert notes.error is None

        asking = asyncio.create_task(client.complete("Hi"))
        await server.until(lambda: len(server.requests) == 2)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert notes.lines[3] == "start"
    assert notes.lines[-1].startswith("end CANCELLED")
    assert len([line for line in notes.lines if line.startswith("end")]) == 2


async def test_one_request_may_have_an_observer_of_its_own() -> None:
    usual, other = Notes(), Notes()
    async with (
        FakeServer("Hello") as server,
        CopilotClient(base_url=server.url, observer=usual) as client,
    ):
        await client.complete("Hi", observer=other)
        assert (usual.lines, other.lines) == ([], WHOLE)
        await client.conversation(observer=other).ask("Hi")
        assert (usual.lines, other.lines) == ([], WHOLE * 2)
        assert "observer" not in server.requests[0].body


async def test_what_an_observer_raises_is_logged_and_goes_no_further(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Observer):
        def on_start(self, reply: Reply) -> None:
            raise ValueError("on_start")

        def on_retry(self, reply: Reply, error: CopilotError, pause: float) -> None:
            raise KeyError("on_retry")

        def on_first_text(self, reply: Reply) -> None:
            raise DisconnectedError("on_first_text")

        def on_end(self, reply: Reply, error: CopilotError | None) -> None:
            raise RuntimeError("on_end")

    script: Script = [FakeAnswer(status=503, retry_after=0), "Hello"]
    caplog.set_level(logging.ERROR, "async_copilot")
    async with (
        FakeServer(script) as server,
        CopilotClient(base_url=server.url, observer=Broken()) as client,
    ):
        reply = await client.complete("Hi")
    assert reply.end is End.COMPLETE
    assert reply.text == "Hello"
    names = ["on_start", "on_retry", "on_first_text", "on_end"]
    for record, name in zip(caplog.records, names, strict=True):
        assert record.name == "async_copilot"
        assert f"Broken.{name} of the observer failed" in record.getMessage()
        assert record.exc_info is not None
        assert name in str(record.exc_info[1])


async def test_an_observer_sees_the_context_of_the_task_that_reads() -> None:
    job = contextvars.ContextVar[str]("job")
    seen: list[str] = []

    class Jobs(Observer):
        def on_start(self, reply: Reply) -> None:
            seen.append(f"start {job.get()}")

        def on_end(self, reply: Reply, error: CopilotError | None) -> None:
            seen.append(f"end {job.get()}")

    async def ask(name: str) -> None:
        job.set(name)
        await client.complete("Hi")

    async with (
        FakeServer("Hello") as server,
        CopilotClient(base_url=server.url, observer=Jobs()) as client,
        asyncio.TaskGroup() as group,
    ):
        for name in "abc":
            group.create_task(ask(name))
    assert sorted(seen) == ["end a", "end b", "end c", "start a", "start b", "start c"]


async def test_a_reply_in_a_pickle_takes_no_observer_along() -> None:
    class Unpicklable(Observer):
        def __reduce__(self) -> str:
            raise TypeError("not me")

    async with (
        FakeServer(FakeAnswer("Hello", fault=Truncate())) as server,
        CopilotClient(base_url=server.url, observer=Unpicklable()) as client,
    ):
        with pytest.raises(TruncatedError) as caught:
            await client.complete("Hi")
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # ours
    assert copy.reply.text == "Hello"
