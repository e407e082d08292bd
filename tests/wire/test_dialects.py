"""Every dialect of chat completions gives what its server meant, however its bytes are cut.

The table is in ``dialects/``. Each row runs whole, byte by byte and at random cuts, as
texts and as chunks, without I/O; then all rows of a family run over a real socket,
through the client.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from dialects import ANY_ID, LARGE, TABLE, Row
from dialects.decoding import Decoded, bytewise, cut_at_random, decode, decode_chunks
from wire_server import WireServer, http

from async_copilot import CopilotClient, CopilotError, Reply, content_deltas
from async_copilot.wire.answer import Answer
from async_copilot.wire.choice import Choice, ToolCall

ROWS = [
    pytest.param(row, id=f"{family}: {row.claim}") for family, rows in TABLE.items() for row in rows
]


def test_the_table_is_as_wide_as_it_claims() -> None:
    assert sum(map(len, TABLE.values())) >= 160
    claims = [(family, row.claim) for family, rows in TABLE.items() for row in rows]
    assert len(set(claims)) == len(claims)


def without_made_ids(calls: Iterable[ToolCall]) -> list[ToolCall]:
    """Calls that came without an id have one for their result to name; any will do."""
    made = re.compile("c[0-9a-f]{8}")
    return [replace(call, id=ANY_ID) if made.fullmatch(call.id) else call for call in calls]


def same_ids(choices: Iterable[Choice]) -> list[Choice]:
    return [replace(choice, tool_calls=without_made_ids(choice.tool_calls)) for choice in choices]


def expected_choices(row: Row) -> list[Choice]:
    first = Choice(0, "", row.reasoning, row.refusal, list(row.calls), row.finish)
    return [first, *row.others]


def check(row: Row, decoded: Decoded) -> None:
    assert decoded.texts == list(row.texts)
    assert same_ids(decoded.choices) == expected_choices(row)
    assert decoded.usage == row.usage
    assert decoded.conversation == row.conversation
    assert (decoded.id, decoded.model, decoded.provider) == (row.id, row.model, row.provider)
    assert decoded.end is row.end
    assert decoded.skipped == 0
    if decoded.error is None:
        assert row.error is None
    else:
        kind, message, code, reported_type, body = decoded.error
        assert kind is row.error
        assert row.says in message
        assert (code, reported_type) == (row.code, row.type)
        assert body is not None


def check_all_ways(row: Row, cuts: Iterable[list[bytes]]) -> None:
    for blocks in cuts:
        check(row, decode(blocks, media_type=row.media_type, n=row.n))
        decoded, chunks = decode_chunks(blocks, media_type=row.media_type, n=row.n)
        check(row, decoded)
        assert len(chunks) == row.chunks
        assert "".join(chunk.content for chunk in chunks if chunk.index == 0) == "".join(row.texts)


@pytest.mark.parametrize("row", ROWS)
def test_a_dialect_is_read_as_it_is_meant_however_it_is_cut(row: Row) -> None:
    ways = cut_at_random(row.body, seed=row.claim, ways=8)
    lines = row.body.splitlines(keepends=True)
    check_all_ways(row, [[row.body], [b"", row.body, b""], bytewise(row.body), lines, *ways])


@pytest.mark.parametrize("row", [pytest.param(row, id=row.claim) for row in LARGE])
def test_a_large_body_is_read_as_it_is_meant_however_it_is_cut(row: Row) -> None:
    ways = cut_at_random(row.body, seed=row.claim, ways=2)
    reads = [row.body[at : at + 65536] for at in range(0, len(row.body), 65536)]
    check_all_ways(row, [[row.body], reads, *ways])


# ------------------------------------------------------------------ over a socket


def check_reply(row: Row, reply: Answer) -> None:
    assert reply.text == "".join(row.texts)
    assert same_ids(reply.choices[1:]) == list(row.others)
    assert reply.reasoning == row.reasoning
    assert reply.refusal == row.refusal
    assert without_made_ids(reply.tool_calls) == list(row.calls)
    assert reply.finish_reason == row.finish
    assert reply.usage == row.usage
    assert reply.conversation == row.conversation
    assert (reply.id, reply.model, reply.provider) == (row.id, row.model, row.provider)
    assert reply.end is row.end


async def readings(client: CopilotClient, url: str, row: Row, way: str) -> AsyncIterator[Any]:
    """Yield the reply, and then what comes of it, in one of the ways to read."""
    if way == "content_deltas":
        reply = Reply()
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/chat/completions", json={}) as response,
        ):
            yield reply
            async for text in content_deltas(response, n=row.n, reply=reply):
                yield text
        return
    async with client.stream("Hi", n=row.n) as reply:
        yield reply
        async for item in {
            "texts": lambda: reply,
            "chunks": reply.chunks,
            "batches": lambda: reply.batches(interval=0),
        }[way]():
            yield item


@pytest.mark.parametrize("way", ["texts", "chunks", "batches", "content_deltas"])
@pytest.mark.parametrize("family", [*TABLE, "large"])
async def test_a_family_reads_the_same_through_every_door(family: str, way: str) -> None:
    rows = TABLE.get(family, LARGE)
    answers = [http(row.body, media_type=row.media_type) for row in rows]
    cut = 0 if family == "large" else 97
    async with (
        WireServer(answers, cut=cut) as server,
        CopilotClient(base_url=server.url, max_retries=0) as client,
    ):
        for row in rows:
            error = None
            async with aclosing(readings(client, server.url, row, way)) as items:
                reply: Reply = await anext(items)
                try:
                    async for _ in items:
                        pass
                except CopilotError as raised:
                    error = raised
            check_reply(row, reply)
            if row.error is not None or error is not None:
                assert row.says in str(error)
                assert isinstance(error, row.error or CopilotError)
                assert error.reply is reply
