"""Properties: whatever bytes a server sends, only errors of ours come out, soon, key-free."""

from __future__ import annotations

import asyncio
from typing import Self

from examples import examples
from fault_client import FAST, KEY, Outcome, ask, assert_presentable
from fault_script import FIN, Answer, delta, event, head, sized
from fault_server import FaultServer, Request
from hypothesis import given
from hypothesis import strategies as st

from async_copilot import CopilotClient, CopilotError, End

FRAGMENTS = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"data",
        b"event: error\n",
        b"error: ",
        b"id: 1\n",
        b"retry: 1\n",
        b":\n",
        b"\n",
        b"\n\n",
        b"\r",
        b"\r\n",
        b"\xef\xbb\xbf",
        b"[DONE]",
        b"{}",
        b"{",
        b"}",
        b"[",
        b'"',
        b"null",
        b"<html>",
        b"\xff\xfe",
        b"\x00",
        b"1e999",
        b"NaN",
        b'{"choices":[]}',
        b'{"choices":null}',
        b'{"choices":[null]}',
        b'{"choices":[{"delta":null}]}',
        b'{"choices":[{"delta":[]}]}',
        b'{"choices":[{"delta":{"content":{}}}]}',
        b'{"choices":[{"delta":{"content":"\\ud83d"}}]}',
        b'{"choices":[{"delta":{"content":"x"},"finish_reason":5}]}',
        b'{"choices":[{"index":"a","delta":{"tool_calls":[{"index":{}}]}}]}',
        b'{"choices":[{"message":{"content":"x"}}]}',
        b'{"error":{"message":[],"code":{}}}',
        b'{"error":"\\ud800"}',
        b'{"object":"error"}',
        b'{"detail":[1]}',
        b'{"usage":5,"model":[],"id":{},"conversation":7}',
        delta("Hel"),
        delta("", finish="stop"),
        event("[DONE]"),
    ]
)
BODIES = st.one_of(st.binary(max_size=300), st.lists(FRAGMENTS, max_size=12).map(b"".join))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "content",
                    "index",
                    "finish_reason",
                    "error",
                    "message",
                    "code",
                    "type",
                    "usage",
                    "id",
                    "model",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "reasoning",
                    "conversation",
                    "detail",
                    "object",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
LABELS = st.sampled_from(["text/event-stream", "application/json", "text/html", None, "x/y"])


class Wire:
    """One loop, server and client for all the examples of a property; a connection is reused."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._answer: Answer = ()
        self._server = FaultServer(route=self._route)
        self._runner.run(self._open())

    def _route(self, _: Request) -> Answer:
        return self._answer

    async def _open(self) -> None:
        await self._server.__aenter__()
        self._client = CopilotClient(
            base_url=self._server.url, api_key=KEY, timeouts=FAST, max_retries=0
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        async def close() -> None:
            await self._client.aclose()
            await self._server.__aexit__(None, None, None)

        self._runner.run(close())
        self._runner.close()

    def ask(self, *answer: bytes, fin: bool = False) -> Outcome:
        """One question; this is the answer."""
        self._answer = (*answer, FIN) if fin else answer
        outcome = self._runner.run(ask(self._server, client=self._client))
        assert outcome.error is None or isinstance(outcome.error, CopilotError), repr(outcome.error)
        if isinstance(outcome.error, CopilotError):
            assert_presentable(outcome.error)
        return outcome


def test_any_bytes_as_a_body_raise_only_errors_of_ours() -> None:
    with Wire() as wire:

        @examples(120)
        @given(BODIES, LABELS)
        def check(body: bytes, label: str | None) -> None:
            outcome = wire.ask(sized(body, content_type=label))
            if outcome.reply is not None:
                assert outcome.text == outcome.reply.text
                assert outcome.reply.end is not None
                assert (outcome.error is None) == outcome.reply.end.ok

        check()


def test_any_bytes_as_the_data_of_an_event_raise_only_errors_of_ours() -> None:
    """And neither take away what stood before nor invent an end."""
    with Wire() as wire:

        @examples(100)
        @given(BODIES)
        def check(data: bytes) -> None:
            line = data.replace(b"\r", b" ").replace(b"\n", b" ")
            outcome = wire.ask(sized(delta("Hel") + b"data: " + line + b"\n\n"))
            assert outcome.text.startswith("Hel")
            if outcome.error is None:
                assert outcome.reply is not None
                assert outcome.reply.end in (End.COMPLETE, End.DONE)

        check()


def test_any_json_as_the_data_of_an_event_raises_only_errors_of_ours() -> None:
    with Wire() as wire:

        @examples(100)
        @given(JSON)
        def check(value: object) -> None:
            assert wire.ask(sized(delta("Hel") + event(value))).text.startswith("Hel")

        check()


def test_any_bytes_as_an_error_body_are_the_statuss_error() -> None:
    with Wire() as wire:

        @examples(60)
        @given(BODIES, LABELS, st.sampled_from([400, 401, 404, 429, 500]))
        def check(body: bytes, label: str | None, status: int) -> None:
            outcome = wire.ask(sized(body, status=status, content_type=label))
            assert isinstance(outcome.error, CopilotError)
            assert outcome.error.status == status

        check()


def test_any_bytes_as_a_whole_response_raise_only_errors_of_ours() -> None:
    """No HTTP at all, or nearly."""
    heads = st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", head(), head(length=7), b"HTTP/1.1 "])

    with Wire() as wire:

        @examples(80)
        @given(heads, BODIES)
        def check(start: bytes, rest: bytes) -> None:
            wire.ask(start + rest, fin=True)

        check()
