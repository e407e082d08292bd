"""The bridge to OpenTelemetry, with its real SDK."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from async_copilot import CopilotClient, CopilotError
from async_copilot.fake_server import FakeAnswer, FakeServer, Script, Truncate

from .readme import code, recipe

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

pytestmark = pytest.mark.recipes


def recording() -> tuple[TracerProvider, InMemorySpanExporter]:
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  # of the extra "recipes"
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: PLC0415
        InMemorySpanExporter,
    )

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


async def test_every_reply_is_a_span_with_its_retries_and_its_end() -> None:
    provider, exporter = recording()
    tracer = provider.get_tracer("chat")
    spans = recipe("opentelemetry").Spans(tracer)
    script: Script = [
        FakeAnswer(status=503, retry_after=0),
        "Hello",
        FakeAnswer("Hello", fault=Truncate()),
    ]
    async with (
        FakeServer(script) as server,
        CopilotClient(base_url=server.url, observer=spans) as client,
    ):
        with tracer.start_as_current_span("request") as parent:
            await client.complete("Hi")
        with pytest.raises(CopilotError):
            await client.complete("Hi")
    whole, request, cut = exporter.get_finished_spans()
    assert (whole.name, request.name, cut.name) == ("chat", "request", "chat")
    assert whole.parent is not None
    assert whole.parent.span_id == parent.get_span_context().span_id
    assert cut.parent is None
    assert whole.attributes == {"end": "COMPLETE", "retries": 1}
    assert cut.attributes == {"end": "TRUNCATED", "retries": 0}
    assert whole.status.is_ok
    assert not cut.status.is_ok
    assert "cut off" in str(cut.status.description)
    assert not spans.spans, "every span was ended"


async def test_replies_side_by_side_have_their_own_parents() -> None:
    provider, exporter = recording()
    tracer = provider.get_tracer("chat")

    async def ask(name: str) -> None:
        with tracer.start_as_current_span(name):
            await client.complete("Hi")

    async with (
        FakeServer(FakeAnswer("Hello", pace=100)) as server,
        CopilotClient(
            base_url=server.url, observer=recipe("opentelemetry").Spans(tracer)
        ) as client,
        asyncio.TaskGroup() as group,
    ):
        for number in range(5):
            group.create_task(ask(f"request {number}"))
    finished = exporter.get_finished_spans()
    requests = {span.context.span_id for span in finished if span.name.startswith("request")}
    parents = {span.parent.span_id for span in finished if span.name == "chat" and span.parent}
    assert len(parents) == 5
    assert parents == requests


def test_the_bridge_has_ten_lines() -> None:
    _, head, body = code("opentelemetry").partition("class Spans")
    assert len([line for line in (head + body).splitlines() if line.strip()]) == 10
