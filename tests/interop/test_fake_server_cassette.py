"""A recording of a real g4f server, replayed: the same bytes at the same times."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from bisect import bisect_left
from itertools import accumulate, pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from async_copilot.fake_server import Cassette, FakeServer, Recorder

from .conftest import Found
from .servers import Running, g4f

pytestmark = pytest.mark.interop

SERVERS = (g4f("8.8.6"),)
BODY = {
    "model": "",
    "provider": "Copilot",
    "stream": True,
    "messages": [{"role": "user", "content": "Hello, I am Heiner. How are you?"}],
}


async def arrivals(url: str) -> list[tuple[float, bytes]]:
    """The reads of one answer on a plain socket, each with its time."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    data = json.dumps(BODY).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    await reader.readuntil(b"\r\n\r\n")
    seen: list[tuple[float, bytes]] = []
    while block := await reader.read(65536):
        seen.append((time.monotonic(), block))
    writer.close()
    return seen


async def median_lateness() -> float:
    """How late a plain sleep ends meanwhile, in milliseconds."""
    late: list[float] = []
    for _ in range(30):
        start = time.monotonic()
        await asyncio.sleep(0.01)
        late.append((time.monotonic() - start - 0.01) * 1000)
    return statistics.median(late)


def times(reads: list[tuple[float, bytes]], blocks: list[bytes]) -> list[float]:
    """When each of these blocks, an HTTP chunk of its own, had come to its last byte."""
    sizes = [len(f"{len(block):x}") + len(block) + 4 for block in blocks]
    came = [*accumulate(len(data) for _, data in reads)]
    return [reads[bisect_left(came, end)][0] for end in accumulate(sizes)]


async def test_a_recording_is_replayed_byte_for_byte_and_on_time(
    server: Running, found: Found, tmp_path: Path
) -> None:
    """A recording of it is replayed byte for byte, gaps within 5 ms"""
    file = tmp_path / "g4f.cassette"
    async with FakeServer(Recorder(server.url, file)) as recorder:
        passed = await arrivals(recorder.url)
    (take,) = Cassette(file).takes
    async with FakeServer(Cassette(file)) as replay:
        lateness = asyncio.create_task(median_lateness())
        replayed = await arrivals(replay.url)
        late = await lateness
    assert b"".join(data for _, data in passed) == b"".join(data for _, data in replayed)
    recorded = [at for at, _ in take.reads]
    came = times(replayed, [data for _, data in take.reads])
    gaps = zip(pairwise(came), pairwise(recorded), strict=True)
    off = [abs((after - before) - (later - earlier)) for (before, after), (earlier, later) in gaps]
    median = statistics.median(off) * 1000
    found.figure = f"{median:.1f} ms"
    # A busy machine wakes nobody on time; what it does to a plain sleep is not the replay's.
    assert median < 5 + 4 * late
