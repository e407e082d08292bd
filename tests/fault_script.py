"""What a fault server is told to do: the bytes of an answer and the steps around them. No I/O.

An *answer* is a tuple of steps, performed in order on one connection after a request
has come: ``bytes`` are written as they are, a number is a pause in seconds, and the
rest are named below. When the steps run out the connection stays open, as HTTP
keep-alive has it, and the next request gets the next answer.
"""

from __future__ import annotations

import asyncio
import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "DONE",
    "FIN",
    "HALF_CLOSE",
    "HELLO",
    "HOLD",
    "LAST_CHUNK",
    "RST",
    "SSE",
    "STOP",
    "Answer",
    "Close",
    "Repeat",
    "Slowly",
    "Step",
    "Until",
    "chunk",
    "completion",
    "delta",
    "event",
    "head",
    "json_answer",
    "said",
    "sized",
    "stream",
    "text_answer",
]


class Close(enum.Enum):
    """Ways to end, or not to end, a connection."""

    FIN = "everything written is delivered, then the connection is closed"
    RST = "the connection is reset (SO_LINGER 0)"
    HALF_CLOSE = "FIN in our direction only; we go on reading"
    HOLD = "nothing at all until the client leaves"


FIN, RST, HALF_CLOSE, HOLD = Close.FIN, Close.RST, Close.HALF_CLOSE, Close.HOLD


@dataclass(frozen=True, slots=True)
class Repeat:
    """Write `data` `times` times (None: until the client leaves), a pause of `every` s between."""

    data: bytes
    times: int | None = None
    every: float = 0.0


@dataclass(frozen=True, slots=True)
class Slowly:
    """Write `data` in pieces of `size` bytes, `every` seconds apart, so that reads cut it."""

    data: bytes
    size: int = 1
    every: float = 0.0


@dataclass(frozen=True, slots=True)
class Until:
    """Go on when the test sets `event`."""

    event: asyncio.Event


Step = bytes | float | Close | Repeat | Slowly | Until
Answer = Sequence[Step]


def head(
    status: int = 200,
    reason: str = "OK",
    *,
    content_type: str | None = "text/event-stream",
    length: int | None = None,
    chunked: bool | None = None,
    **headers: Any,
) -> bytes:
    """A response head. Chunked unless a length is given; neither with ``chunked=False``.

    A further header is written as a keyword, ``_`` for ``-``: ``retry_after=1``.
    """
    lines = [f"HTTP/1.1 {status} {reason}"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    if length is not None:
        lines.append(f"Content-Length: {length}")
    elif chunked is not False:
        lines.append("Transfer-Encoding: chunked")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def event(data: object) -> bytes:
    """One event of the stream; what is not text is written as JSON."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def delta(content: str | None = None, *, finish: str | None = None, **fields: Any) -> bytes:
    """The event of one chat completion chunk; `fields` join the content in ``delta``."""
    body = dict(fields) if content is None else {"content": content, **fields}
    return event(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "model": "fault",
            "choices": [{"index": 0, "delta": body, "finish_reason": finish}],
        }
    )


def chunk(data: bytes) -> bytes:
    """One HTTP chunk (RFC 9112, 7.1)."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def said(*texts: str) -> bytes:
    """HTTP chunks, one per delta of text."""
    return b"".join(chunk(delta(text)) for text in texts)


SSE = head()
DONE = event("[DONE]")
STOP = delta("", finish="stop")
LAST_CHUNK = b"0\r\n\r\n"


def stream(*texts: str) -> bytes:
    """A whole good answer: head, deltas, finish reason, [DONE], the last chunk."""
    return SSE + said(*texts) + chunk(STOP) + chunk(DONE) + LAST_CHUNK


HELLO: Answer = (stream("Hel", "lo"),)


def sized(body: bytes, *, status: int = 200, reason: str = "OK", **head_options: Any) -> bytes:
    """Head with the true Content-Length, and the body."""
    return head(status, reason, length=len(body), **head_options) + body


def json_answer(status: int, value: object, **headers: Any) -> Answer:
    """A JSON body with an HTTP status."""
    body = json.dumps(value).encode()
    return (sized(body, status=status, reason="X", content_type="application/json", **headers),)


def text_answer(status: int, text: str = "", *, content_type: str = "text/plain") -> Answer:
    """A text body with an HTTP status."""
    return (sized(text.encode(), status=status, reason="X", content_type=content_type),)


def completion(content: str) -> dict[str, Any]:
    """A completion that is not streamed."""
    message = {"role": "assistant", "content": content}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "fault",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
