"""Compressed bodies: decoded as they come, cut ones told apart, bombs bounded."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Protocol

import aiohttp
import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
from fault_client import FAST, KEY, ask
from fault_script import (
    DONE,
    FIN,
    HOLD,
    LAST_CHUNK,
    STOP,
    Answer,
    Repeat,
    Slowly,
    Until,
    chunk,
    delta,
    head,
    sized,
)
from fault_server import FaultServer

from async_copilot import (
    BadRequestError,
    CopilotClient,
    CopilotError,
    DisconnectedError,
    End,
    EventTooLargeError,
    InvalidHTTPError,
    SilenceTimeoutError,
    StallTimeoutError,
    Timeouts,
    TruncatedError,
    UnexpectedContentError,
)


class Packer(Protocol):
    """Compress piece by piece, each piece readable as soon as it is here."""

    def piece(self, data: bytes) -> bytes: ...
    def end(self) -> bytes: ...


class Zlib:
    """gzip (wbits 31), deflate as RFC 9110 has it (15) and as some servers do (-15)."""

    def __init__(self, wbits: int) -> None:
        self._packer = zlib.compressobj(9, zlib.DEFLATED, wbits)

    def piece(self, data: bytes) -> bytes:
        return self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._packer.flush()


class Br:
    """Brotli."""

    def __init__(self) -> None:
        self._packer = brotli.Compressor()

    def piece(self, data: bytes) -> bytes:
        return bytes(self._packer.process(data) + self._packer.flush())

    def end(self) -> bytes:
        return bytes(self._packer.finish())


PACKERS: dict[str, tuple[str, Callable[[], Packer]]] = {
    "gzip": ("gzip", lambda: Zlib(31)),
    "deflate": ("deflate", lambda: Zlib(15)),
    "raw-deflate": ("deflate", lambda: Zlib(-15)),
    "br": ("br", Br),
}
EVENTS = [delta("Hel"), delta("lo"), STOP, DONE]


@pytest.mark.parametrize("name", PACKERS)
async def test_a_compressed_stream_is_decoded_as_it_comes(name: str) -> None:
    """The first text is here before the server has written the second."""
    label, make = PACKERS[name]
    packer, seen = make(), asyncio.Event()
    answer = (
        head(Content_Encoding=label) + chunk(packer.piece(EVENTS[0])),
        Until(seen),
        chunk(b"".join(map(packer.piece, EVENTS[1:])) + packer.end()) + LAST_CHUNK,
    )
    async with (
        FaultServer(answer) as server,
        CopilotClient(base_url=server.url, timeouts=FAST) as client,
        client.stream("Hello") as reply,
    ):
        texts = aiter(reply)
        assert await anext(texts) == "Hel"
        seen.set()
        assert [text async for text in texts] == ["lo"]
        assert reply.end is End.COMPLETE


@pytest.mark.parametrize("name", PACKERS)
async def test_a_compressed_stream_in_single_bytes_is_decoded(name: str) -> None:
    label, make = PACKERS[name]
    packer = make()
    body = b"".join(map(packer.piece, EVENTS)) + packer.end()
    answer = (head(Content_Encoding=label, length=len(body)), Slowly(body))
    async with FaultServer(answer) as server:
        outcome = await ask(server, timeouts=Timeouts())  # many small reads, however slow
    outcome.ended(End.COMPLETE, "Hello")


@pytest.mark.parametrize("name", PACKERS)
async def test_a_compressed_stream_cut_by_the_server_is_not_finished(name: str) -> None:
    """aiohttp takes a truncated gzip body for a clean end."""
    label, make = PACKERS[name]
    packer = make()
    cut = (head(Content_Encoding=label) + chunk(packer.piece(EVENTS[0])), 0.03, LAST_CHUNK)
    async with FaultServer(cut) as server:
        outcome = await ask(server, max_retries=2)
    outcome.failed(
        (TruncatedError, DisconnectedError, InvalidHTTPError, SilenceTimeoutError),
        text="Hel",
        within=0.4,
    )
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["gzip", "deflate", "br"])
async def test_a_compressed_stream_that_breaks_keeps_the_text_before(name: str) -> None:
    label, make = PACKERS[name]
    good = chunk(make().piece(EVENTS[0]))
    bad = chunk(b"\xff" * 100)
    async with FaultServer((head(Content_Encoding=label) + good, 0.03, bad, HOLD)) as server:
        outcome = await ask(server, max_retries=2)
        await server.left()
    outcome.failed(InvalidHTTPError, ValueError, text="Hel", status=200, within=0.4)
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["gzip", "deflate", "br"])
async def test_a_label_without_compression_is_an_error_not_a_hang(name: str) -> None:
    label, _ = PACKERS[name]
    plain = sized(b"".join(EVENTS), Content_Encoding=label)
    async with FaultServer((plain, HOLD)) as server:
        outcome = await ask(server, max_retries=2)
        await server.left()
    outcome.failed((InvalidHTTPError, UnexpectedContentError), ValueError, within=0.4)
    assert len(server.requests) == 1


@pytest.mark.parametrize("label", ["identity", "IDENTITY", ""])
async def test_identity_or_an_empty_encoding_is_none(label: str) -> None:
    async with FaultServer((sized(b"".join(EVENTS), Content_Encoding=label),)) as server:
        outcome = await ask(server)
    outcome.ended(End.COMPLETE, "Hello")


@pytest.mark.parametrize("label", ["x-no-such", "gzip, gzip", "zstd", "compress"])
async def test_an_encoding_nobody_asked_for_is_never_an_empty_answer(label: str) -> None:
    body = gzip.compress(gzip.compress(b"".join(EVENTS)))
    async with FaultServer((sized(body, Content_Encoding=label),)) as server:
        outcome = await ask(server)
    outcome.failed((InvalidHTTPError, UnexpectedContentError, TruncatedError), within=0.4)


async def test_gzip_in_several_members_loses_no_text() -> None:
    """RFC 1952, 2.2: a file of several members is their contents one after another."""
    body = b"".join(gzip.compress(event) for event in EVENTS)
    async with FaultServer((sized(body, Content_Encoding="gzip"),)) as server:
        outcome = await ask(server)
    if outcome.error is None:
        outcome.ended(End.COMPLETE, "Hello")
    else:
        assert isinstance(outcome.error, CopilotError), "or says that it could not"


def bomb(block: bytes) -> tuple[bytes, bytes]:
    """The start of a gzip body and a piece of it, repeatable without end: 1 to 1,000."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = packer.compress(b"\n") + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return start, piece


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        pytest.param(b"data: " + b"x" * 2**20, EventTooLargeError, id="one-line"),
        pytest.param(
            (b"data: " + b"x" * 500 + b"\n") * 2**11, EventTooLargeError, id="one-event-of-lines"
        ),
        pytest.param(b":\n" * 2**19, StallTimeoutError, id="comments"),
    ],
)
async def test_a_decompression_bomb_ends_in_a_typed_error_with_memory_bounded(
    block: bytes, kind: type[CopilotError]
) -> None:
    start, piece = bomb(block)
    answer = (head(Content_Encoding="gzip") + chunk(start), Repeat(chunk(piece * 64)))
    timeouts = Timeouts(connect=1, silence=1, stall=0.3)
    tracemalloc.start()
    try:
        async with FaultServer(answer) as server:
            outcome = await ask(server, timeouts=timeouts, max_event_bytes=2**20)
            await server.left()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    outcome.failed(kind, within=2.0)
    assert peak < 24 * 2**20, f"{peak / 2**20:.0f} MiB"


async def test_a_bomb_as_an_error_body_is_bounded_too() -> None:
    start, piece = bomb(b"x" * 2**20)
    answer = (head(400, "X", Content_Encoding="gzip") + chunk(start), Repeat(chunk(piece * 64)))
    tracemalloc.start()
    try:
        async with FaultServer(answer) as server:
            outcome = await ask(server)
            await server.left()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    error = outcome.failed(BadRequestError, status=400, within=1.0)
    assert len(error.body or "") < 2**20
    assert peak < 24 * 2**20, f"{peak / 2**20:.0f} MiB"


async def test_a_session_that_does_not_decompress_reads_compressed_answers_too() -> None:
    """`auto_decompress=False` of a borrowed session is about its other users, not about us."""
    body = gzip.compress(b"".join(EVENTS))
    answer: Answer = (sized(body, Content_Encoding="gzip"), FIN)
    async with (
        FaultServer(answer) as server,
        aiohttp.ClientSession(auto_decompress=False) as session,
    ):
        outcome = await ask(server, session=session, api_key=KEY)
    outcome.ended(End.COMPLETE, "Hello")
