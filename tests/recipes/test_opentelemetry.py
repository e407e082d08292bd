"""The bridge to OpenTelemetry, with its real SDK: the conventions, and spans that always end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from async_copilot import (
    BadRequestError,
    CopilotClient,
    CopilotError,
    End,
    ProtocolError,
    Timeouts,
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

from .readme import recipe

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

pytestmark = pytest.mark.recipes

WHOLE = FakeAnswer(["Hel", "lo"], usage={"prompt_tokens": 3, "completion_tokens": 2})


class Recorder:
    """A tracer and a meter, and what came out of them."""

    def __init__(self) -> None:
        # Of the extra "recipes".
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: PLC0415
            InMemorySpanExporter,
        )

        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("chat")
        self._reader = InMemoryMetricReader()
        self.meter = MeterProvider([self._reader]).get_meter("chat")

    def client(self, server: FakeServer, **options: Any) -> CopilotClient:
        client: CopilotClient = recipe("opentelemetry").make_client(
            self.tracer, self.meter, base_url=server.url, **options
        )
        return client

    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def points(self) -> dict[str, list[Any]]:
        """Return the data points of each metric by its name."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


async def test_a_reply_is_a_span_and_metrics_by_the_conventions() -> None:
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes  # noqa: PLC0415
    from opentelemetry.semconv._incubating.metrics import gen_ai_metrics  # noqa: PLC0415
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    recorder = Recorder()
    async with FakeServer(WHOLE) as server, recorder.client(server, max_retries=0) as client:
        reply = await client.complete("Hi", model="gpt", temperature=0.5, seed=7, stop=["x"])
    (span,) = recorder.spans()
    assert (span.name, span.kind) == ("chat gpt", SpanKind.CLIENT)
    assert span.status.is_unset
    attributes = dict(span.attributes or {})
    assert attributes.pop("gen_ai.response.time_to_first_chunk") == reply.timing.first_chunk
    assert attributes.pop("gen_ai.response.id") == reply.id
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "copilot",
        "gen_ai.request.model": "gpt",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ("x",),
        "gen_ai.response.model": "gpt",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
        "server.address": "127.0.0.1",
        "server.port": int(server.url.split(":")[2].split("/")[0]),
        "async_copilot.end": "complete",
    }
    constants = {value for value in vars(gen_ai_attributes).values() if isinstance(value, str)}
    assert {name for name in span.attributes or {} if name.startswith("gen_ai.")} <= constants
    points = recorder.points()
    names = vars(gen_ai_metrics)
    assert set(points) == {
        names["GEN_AI_CLIENT_OPERATION_DURATION"],
        names["GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK"],
        names["GEN_AI_CLIENT_TOKEN_USAGE"],
    }
    assert points["gen_ai.client.operation.duration"][0].sum == reply.timing.ended
    tokens = {
        point.attributes["gen_ai.token.type"]: point.sum
        for point in points["gen_ai.client.token.usage"]
    }
    assert tokens == {"input": 3, "output": 2}


async def test_no_prompt_and_no_answer_is_written() -> None:
    """Nor in what an error quotes, of the server's words or of the answer."""
    recorder = Recorder()
    script: Script = [
        "An answer",
        FakeAnswer(status=400, error="I do not like 'A prompt'"),
        FakeAnswer(body=b"data: {'An answer\n\n"),
    ]
    async with FakeServer(script) as server, recorder.client(server) as client:
        await client.complete("A prompt", api_field="x")
        with pytest.raises(BadRequestError, match="A prompt"):
            await client.complete("A prompt")
        with pytest.raises(ProtocolError, match="An answer"):
            await client.complete("A prompt")
    assert len(recorder.spans()) == 3
    written = str([span.to_json() for span in recorder.spans()]) + str(recorder.points())
    assert "A prompt" not in written
    assert "An answer" not in written


async def test_an_answer_in_one_piece_is_not_told_as_a_stream() -> None:
    recorder = Recorder()
    async with FakeServer(WHOLE) as server, recorder.client(server) as client:
        await client.complete("Hi", stream=False)
    attributes = recorder.spans()[0].attributes or {}
    assert not {"gen_ai.request.stream", "gen_ai.response.time_to_first_chunk"} & set(attributes)
    assert set(recorder.points()) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
    }


async def test_choices_have_a_finish_reason_each() -> None:
    recorder = Recorder()
    form = {"type": "json_object"}
    script = FakeAnswer(choices=["A", "B"])
    async with FakeServer(script, dialect="openai") as server, recorder.client(server) as client:
        await client.complete("Hi", n=2, top_k=3, response_format=form)
    attributes = recorder.spans()[0].attributes or {}
    assert attributes["gen_ai.response.finish_reasons"] == ("stop", "stop")
    assert attributes["gen_ai.request.choice.count"] == 2
    assert attributes["gen_ai.request.top_k"] == 3
    assert attributes["gen_ai.output.type"] == "json"


async def test_a_retry_is_an_event_and_the_parent_is_kept() -> None:
    recorder = Recorder()
    script: Script = [FakeAnswer(status=503, retry_after=0), "Hello"]
    async with FakeServer(script) as server, recorder.client(server) as client:
        with recorder.tracer.start_as_current_span("request") as parent:
            await client.complete("Hi")
    chat, _ = recorder.spans()
    assert chat.parent is not None
    assert chat.parent.span_id == parent.get_span_context().span_id
    assert [event.name for event in chat.events] == ["retry"]
    assert dict(chat.events[0].attributes or {})["error.type"] == "ServerStatusError"


async def whole(client: CopilotClient) -> None:
    await client.complete("Hi")


async def left(client: CopilotClient) -> None:
    async with client.stream("Hi") as reply:
        async for _ in reply:
            break


ENDINGS: list[tuple[End, str | None, FakeAnswer, Callable[[CopilotClient], Any]]] = [
    (End.COMPLETE, None, WHOLE, whole),
    (End.DONE, None, FakeAnswer("Hello", finish_reason=None), whole),
    (End.TRUNCATED, "TruncatedError", FakeAnswer("Hello", fault=Truncate(after=1)), whole),
    (End.ERROR, "StreamError", FakeAnswer("Hello", fault=ErrorFrame("no", after=1)), whole),
    (End.STALLED, "SilenceTimeoutError", FakeAnswer("Hello", fault=Stall(after=1)), whole),
    (End.DISCONNECTED, "DisconnectedError", FakeAnswer("Hello", fault=Reset(after=1)), whole),
    (End.CANCELLED, None, FakeAnswer("Hello", fault=Stall(after=1)), left),
]


def test_every_ending_is_in_the_table() -> None:
    assert [row[0] for row in ENDINGS] == list(End)


@pytest.mark.parametrize(
    ("end", "error", "script", "ask"), ENDINGS, ids=[e[0].name for e in ENDINGS]
)
async def test_every_ending_ends_its_span(
    end: End, error: str | None, script: FakeAnswer, ask: Callable[[CopilotClient], Any]
) -> None:
    recorder = Recorder()
    async with (
        FakeServer(script) as server,
        recorder.client(server, timeouts=Timeouts(silence=0.3)) as client,
    ):
        try:
            await ask(client)
        except CopilotError:
            assert error is not None
    (span,) = recorder.spans()
    attributes = span.attributes or {}
    assert attributes["async_copilot.end"] == end.value
    assert attributes.get("error.type") == error
    assert span.status.is_unset is (error is None)
    points = recorder.points()
    (duration,) = points.pop("gen_ai.client.operation.duration")
    assert duration.count == 1
    assert duration.attributes.get("error.type") == error
    others = [point for each in points.values() for point in each]
    assert not any("error.type" in point.attributes for point in others), "it is that one's alone"


# ------------------------------------------------------------------ ways to leave


async def texts(client: CopilotClient) -> AsyncIterator[str]:
    async with client.stream("Hi") as reply:
        async for text in reply:
            yield text


async def by_an_exception(client: CopilotClient) -> None:
    with pytest.raises(KeyError):
        async with client.stream("Hi"):
            raise KeyError


async def by_cancelling(client: CopilotClient) -> None:
    asking = asyncio.create_task(client.complete("Hi"))
    await asyncio.sleep(0.1)
    asking.cancel()
    await asyncio.wait([asking])


async def by_closing_a_generator(client: CopilotClient) -> None:
    async with aclosing(texts(client)) as reading:  # type: ignore[type-var]  # it is a generator
        await anext(reading)


async def by_dropping_a_generator(client: CopilotClient) -> None:
    reading = texts(client)
    await anext(reading)
    del reading
    gc.collect()
    await asyncio.sleep(0.05)


async def by_closing_the_client(client: CopilotClient) -> None:
    asking = asyncio.create_task(client.complete("Hi"))
    await asyncio.sleep(0.1)
    await client.aclose()
    await asyncio.wait([asking])
    assert isinstance(asking.exception(), CopilotError)


@pytest.mark.parametrize(
    "leave",
    [
        by_an_exception,
        by_cancelling,
        by_closing_a_generator,
        by_dropping_a_generator,
        by_closing_the_client,
    ],
)
async def test_no_span_is_lost_when_a_stream_is_left(
    leave: Callable[[CopilotClient], Any],
) -> None:
    recorder = Recorder()
    script = FakeAnswer("Hello", fault=Stall(after=1))
    async with FakeServer(script) as server, recorder.client(server) as client:
        await leave(client)
        (span,) = recorder.spans()
    assert (span.attributes or {})["async_copilot.end"] == "cancelled"


async def test_replies_side_by_side_have_their_own_parents() -> None:
    recorder = Recorder()

    async def ask(name: str) -> None:
        with recorder.tracer.start_as_current_span(name):
            await client.complete("Hi")

    async with (
        FakeServer(FakeAnswer("Hello", pace=100)) as server,
        recorder.client(server) as client,
        asyncio.TaskGroup() as group,
    ):
        for number in range(5):
            group.create_task(ask(f"request {number}"))
    finished = recorder.spans()
    requests = {span.context.span_id for span in finished if span.name.startswith("request")}
    parents = {span.parent.span_id for span in finished if span.name == "chat" and span.parent}
    assert len(parents) == 5
    assert parents == requests
