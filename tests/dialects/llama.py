"""llama.cpp's llama-server, and llama-cpp-python 0.3.36, both measured."""

from __future__ import annotations

import json
from typing import Any

from async_copilot.errors import StreamError
from async_copilot.wire.answer import End

from .row import DONE, Row, call, frames, usage

__all__ = ["ROWS"]

SERVER = "llama-server as measured"
PYTHON = "llama-cpp-python 0.3.36 as measured"
ID, MODEL = "chatcmpl-XNV3gQnl", "tiny.gguf"
KNOWN: dict[str, Any] = {"id": ID, "model": MODEL}


def event(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "choices": list(choices),
        "created": 1795388500,
        "id": ID,
        "model": MODEL,
        "system_fingerprint": "b6000-abcdef",
        "object": "chat.completion.chunk",
        **more,
    }


def choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"finish_reason": finish, "index": 0, "delta": delta}


def said(text: str) -> dict[str, Any]:
    return event(choice({"content": text}))


ROLE = event(choice({"role": "assistant", "content": None}))
ENDS = event(choice({}, "stop"), timings={"prompt_n": 4, "predicted_ms": 12.5})
ERROR = {"code": 500, "message": "context shift is disabled", "type": "server_error"}

LLAMA_SERVER = [
    Row(
        claim="the role comes with content null, timings with the finish",
        source=SERVER,
        body=frames(ROLE, said("Hello"), said(" there"), ENDS, DONE),
        texts=("Hello", " there"),
        chunks=4,
        **KNOWN,
    ),
    Row(
        claim="usage that was asked for comes with no choices",
        source=SERVER + ", include_usage",
        body=frames(ROLE, said("Hi"), ENDS, event(usage=usage(4, 1)), DONE),
        texts=("Hi",),
        chunks=4,
        usage=usage(4, 1),
        **KNOWN,
    ),
    Row(
        claim="comments without a word keep the connection alive, before the first event too",
        source=SERVER + ", ping",
        body=frames(":", ":", ROLE, ":", said("Hi"), ":", ENDS, DONE),
        texts=("Hi",),
        chunks=3,
        **KNOWN,
    ),
    Row(
        claim="broken characters are U+FFFD already",
        source=SERVER,
        body=frames(ROLE, said("\ufffd"), said("\ufffd\ufffd ok"), ENDS, DONE),
        texts=("\ufffd", "\ufffd\ufffd ok"),
        chunks=4,
        **KNOWN,
    ),
    Row(
        claim="a comment and the end, after a signal to the server: cut off",
        source=SERVER + ", SIGTERM in mid-stream",
        body=frames(ROLE, said("Once"), ":"),
        texts=("Once",),
        chunks=2,
        finish=None,
        end=End.TRUNCATED,
        **KNOWN,
    ),
    Row(
        claim="an error has its code as a number",
        source="llama.cpp server README, error format",
        body=frames(ROLE, said("Once"), {"error": ERROR}),
        texts=("Once",),
        chunks=2,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="(code 500): context shift is disabled",
        code="500",
        type="server_error",
        **KNOWN,
    ),
    Row(
        claim="older releases told an error in a field of that name, which is not data",
        source="older releases of llama.cpp's server: the line begins with error:",
        body=frames(said("Once"), f"error: {json.dumps(ERROR)}"),
        texts=("Once",),
        chunks=1,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="context shift is disabled",
        code="500",
        type="server_error",
        **KNOWN,
    ),
    Row(
        claim="reasoning comes with content null, and tool calls in pieces",
        source="llama.cpp server README, reasoning_format and --jinja",
        body=frames(
            ROLE,
            event(choice({"reasoning_content": "The user"})),
            event(choice({"reasoning_content": " wants", "content": None})),
            event(
                choice(
                    {
                        "tool_calls": [
                            {
                                "index": 0,
                                "id": "wCMkRpHnBlUVFHSUmwUxxxwoI0oE5lJ3",
                                "type": "function",
                                "function": {"name": "get_weather", "arguments": "{"},
                            }
                        ]
                    }
                )
            ),
            event(choice({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]})),
            event(choice({}, "tool_calls")),
            DONE,
        ),
        reasoning="The user wants",
        calls=(call("get_weather", "{}", id="wCMkRpHnBlUVFHSUmwUxxxwoI0oE5lJ3"),),
        chunks=6,
        finish="tool_calls",
        **KNOWN,
    ),
]


def python(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "id": ID,
        "model": MODEL,
        "created": 1795388600,
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }


PING = ": ping - 2026-11-22 23:12:11.346909+00:00"

LLAMA_CPP_PYTHON = [
    Row(
        claim="the role comes alone, then empty contents while a character is under way",
        source=PYTHON,
        body=frames(
            python({"role": "assistant"}),
            python({"content": ""}),
            python({"content": ""}),
            python({"content": "ö \u2028"}),
            python({"content": "b"}),
            python({}, "length"),
            DONE,
            spaced=True,
        ),
        texts=("ö \u2028", "b"),
        chunks=6,
        finish="length",
        **KNOWN,
    ),
    Row(
        claim="a comment with the time stands before the first event, ended by CRLF",
        source=PYTHON + ", slow: sse-starlette's ping",
        body=frames(PING, ends="\r\n")
        + frames(python({"role": "assistant"}), python({"content": "a"}), spaced=True)
        + frames(PING, ends="\r\n")
        + frames(python({"content": "b"}), python({}, "stop"), DONE, spaced=True),
        texts=("a", "b"),
        chunks=4,
        **KNOWN,
    ),
    Row(
        claim="another request interrupts: [DONE] without a finish reason is told apart",
        source=PYTHON + ", interrupted",
        body=frames(python({"role": "assistant"}), python({"content": "Once"}), DONE, spaced=True),
        texts=("Once",),
        chunks=2,
        finish=None,
        end=End.DONE,
        **KNOWN,
    ),
    Row(
        claim="a prompt beyond the context gives headers and nothing: cut off",
        source=PYTHON + ", too_long",
        body=b"",
        chunks=0,
        finish=None,
        end=End.TRUNCATED,
    ),
]

ROWS = LLAMA_SERVER + LLAMA_CPP_PYTHON
