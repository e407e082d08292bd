"""Recorded bytes, served again: a server in the test's own loop that knows no HTTP but this.

In: complete HTTP answers as bytes, the recordings in ``wire/`` among them, or a function
that makes one of each request. Out: those bytes, and what each request said. I/O: one
listening socket on the loopback; nothing is left when the block ends.

::

    async with WireServer([recording("g4f-8.8.6", "greeting")]) as server:
        ...                                  # server.url is a base URL, ".../v1"
    assert server.requests[0]["stream"] is True
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["WireServer", "body_of", "head_of", "http", "recorded_body", "recording"]

WIRE = Path(__file__).parent / "recordings"


def recording(server: str, scenario: str) -> bytes:
    """Every byte that a real server sent, from the status line on."""
    path = WIRE / server / f"{scenario}.http"
    if path.exists():
        return path.read_bytes()
    return gzip.decompress(path.with_suffix(".http.gz").read_bytes())


def recorded_body(server: str, scenario: str) -> bytes:
    return body_of(recording(server, scenario))


def head_of(raw: bytes) -> tuple[int, str, dict[str, str]]:
    """Status, reason and headers (names in lower case) of an answer."""
    line, *lines = raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    _, status, reason = line.split(" ", 2)
    fields = (text.partition(":") for text in lines)
    return int(status), reason, {name.lower(): value.strip() for name, _, value in fields}


def body_of(raw: bytes) -> bytes:
    """The body of an answer, taken out of its chunks, as far as it came."""
    rest = raw.partition(b"\r\n\r\n")[2]
    if "transfer-encoding" not in head_of(raw)[2]:
        return rest
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return body


def http(body: bytes, *, status: str = "200 OK", media_type: str = "text/event-stream") -> bytes:
    """A whole answer around a body; an empty media_type sends no such header."""
    label = f"Content-Type: {media_type}\r\n" if media_type else ""
    return f"HTTP/1.1 {status}\r\n{label}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _is_whole(raw: bytes) -> bool:
    return "content-length" in head_of(raw)[2] or raw.endswith(b"\r\n0\r\n\r\n")


class WireServer:
    """A server that answers each request with the next of answers, or with answers(request).

    The connection stays open after an answer that is whole by HTTP, and is closed after
    one that is not. The last answer goes on for ever. cut: bytes a write, 0 for all.

    requests: the bodies, parsed.  bodies, heads: the same and request lines with headers, raw.
    """

    def __init__(
        self, answers: Iterable[bytes] | Callable[[dict[str, Any]], bytes], *, cut: int = 0
    ) -> None:
        self._answer = answers if callable(answers) else self._in_turn(list(answers))
        self._cut = cut
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.heads: list[bytes] = []
        self.url = ""

    @staticmethod
    def _in_turn(answers: list[bytes]) -> Callable[[dict[str, Any]], bytes]:
        def each() -> Iterator[bytes]:
            yield from answers
            while True:
                yield answers[-1]

        turns = each()
        return lambda _: next(turns)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head_of(b"HTTP/1.1 0 " + head)[2]["content-length"])
                body = await reader.readexactly(length)
                request = json.loads(body or b"{}")
                self.bodies.append(body)
                self.heads.append(head)
                self.requests.append(request)
                raw = self._answer(request)
                for start in range(0, len(raw), self._cut or len(raw)):
                    writer.write(raw[start : start + (self._cut or len(raw))])
                    await writer.drain()
                if not _is_whole(raw):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has left
        finally:
            writer.close()
