"""Raw clients for the tests of the fake server: none of our own parsing."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDictProxy

from async_copilot.fake_server import FakeServer

__all__ = [
    "chat_body",
    "content_of",
    "events_of",
    "get",
    "joined",
    "post",
    "raw_bytes",
    "send_raw",
]


def chat_body(text: str = "Hi", **fields: Any) -> dict[str, Any]:
    """A streaming request body with one user message; None leaves a field out."""
    body = {"model": "", "stream": True, "messages": [{"role": "user", "content": text}]}
    return {key: value for key, value in (body | fields).items() if value is not None}


async def post(
    server: FakeServer,
    body: object = None,
    *,
    path: str = "/chat/completions",
    headers: dict[str, str] | None = None,
    session: aiohttp.ClientSession | None = None,
) -> tuple[int, CIMultiDictProxy[str], bytes]:
    """Status, headers and body of one POST; ``body`` as JSON, or bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(chat_body() if body is None else body)
    own = None if session else aiohttp.ClientSession()
    client = session or own
    assert client is not None
    try:
        sent = {"Content-Type": "application/json"} | (headers or {})
        async with client.post(server.url + path, data=data, headers=sent) as response:
            return response.status, response.headers, await response.read()
    finally:
        if own is not None:
            await own.close()


async def get(server: FakeServer, path: str) -> tuple[int, bytes]:
    """Status and body of one GET below the base URL."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(server.url + path) as response,
    ):
        return response.status, await response.read()


async def send_raw(
    server: FakeServer, body: object = None, *, version: str = "1.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A chat request on a connection of its own; the answer is still to be read."""
    url = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    data = json.dumps(chat_body() if body is None else body).encode()
    head = f"POST /v1/chat/completions HTTP/{version}\r\nHost: localhost\r\n"
    writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    return reader, writer


async def raw_bytes(server: FakeServer, body: object = None, *, version: str = "1.1") -> bytes:
    """Every byte of an answer, up to the end of the connection or of the chunked body."""
    reader, writer = await send_raw(server, body, version=version)
    seen = b""
    try:
        async with asyncio.timeout(60):
            while not seen.endswith(b"\r\n0\r\n\r\n") and (data := await reader.read(65536)):
                seen += data
    finally:
        writer.close()
    return seen


def joined(chunked: bytes) -> bytes:
    """The bytes of the chunks, whole or torn, and what is not a chunk as it is."""
    found = b""
    while chunked:
        line, _, rest = chunked.partition(b"\r\n")
        try:
            size = int(line, 16)
        except ValueError:
            return found + chunked
        found, chunked = found + rest[:size], rest[size + 2 :]
    return found


def events_of(stream: bytes) -> list[Any]:
    """The data lines of a stream, parsed; [DONE] and comments as they are."""
    lines = [line for line in stream.decode().split("\n") if line]
    return [_value(line) for line in lines]


def _value(line: str) -> Any:
    data = line.removeprefix("data: ")
    return json.loads(data) if data.startswith("{") else data


def content_of(stream: bytes) -> str:
    """The content of all the chunks of a stream."""
    chunks = [event for event in events_of(stream) if isinstance(event, dict)]
    choices = [choice for chunk in chunks for choice in chunk.get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)
