"""What a row of the table is, and the small words its bytes are written with. No I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from async_copilot.errors import CopilotError
from async_copilot.wire.answer import End
from async_copilot.wire.choice import Choice, ToolCall

__all__ = ["ANY_ID", "DONE", "Row", "call", "frames", "usage"]

DONE = "data: [DONE]"

ANY_ID = "made here"
"""The id of a call that came without one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A body as one server sends it, and everything that must come of it.

    claim: what the row shows.  source: where the shape was seen or is documented.
    n: choices that the request asked for.
    texts: the text deltas of choice 0.  chunks: how many ChatChunks the body makes.
    others: the choices beside choice 0.
    end: by strict rules.  error: the class raised then, of which code and type are the
        server's own words and says is part of the message.
    media_type: what the response calls itself.
    """

    claim: str
    source: str
    body: bytes = field(repr=False)
    n: int = 1
    texts: tuple[str, ...] = ()
    chunks: int
    reasoning: str = ""
    refusal: str = ""
    finish: str | None = "stop"
    calls: tuple[ToolCall, ...] = ()
    others: tuple[Choice, ...] = ()
    usage: dict[str, Any] | None = None
    conversation: dict[str, Any] | None = None
    model: str | None = None
    provider: str | None = None
    id: str | None = None
    end: End = End.COMPLETE
    error: type[CopilotError] | None = None
    says: str = ""
    code: str | None = None
    type: str | None = None
    media_type: str = "text/event-stream"


def frames(*events: dict[str, Any] | str, spaced: bool = False, ends: str = "\n") -> bytes:
    """An event stream: a dict is a data line, a str stands for itself; then a blank line.

    spaced: JSON with blanks after colons and commas, and non-ASCII escaped, as Python's
        json module writes it.  ends: the line end.
    """

    def line(event: dict[str, Any] | str) -> str:
        if isinstance(event, str):
            return event
        if spaced:
            return f"data: {json.dumps(event)}"
        return "data: " + json.dumps(event, separators=(",", ":"), ensure_ascii=False)

    text = "".join(f"{line(event)}\n\n" for event in events)
    return text.replace("\n", ends).encode()


def call(name: str, arguments: str, *, id: str = ANY_ID, index: int = 0) -> ToolCall:  # noqa: A002  # the wire's own name
    return ToolCall(index, id, name, arguments)


def usage(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    """Token counts, which every server gives alike."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        **more,
    }
