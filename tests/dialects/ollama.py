"""Ollama's compatible endpoint, and its own, which a wrong base_url leads to."""

from __future__ import annotations

from typing import Any

from async_copilot.errors import StreamError, UnexpectedContentError
from async_copilot.wire.answer import End

from .row import DONE, Row, call, frames, usage

__all__ = ["ROWS"]

COMPATIBLE = "Ollama documentation, OpenAI compatibility, and streams quoted by its users"
ID, MODEL = "chatcmpl-774", "qwen3:32b"
KNOWN: dict[str, Any] = {"id": ID, "model": MODEL}


def event(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "object": "chat.completion.chunk",
        "created": 1768062791,
        "model": MODEL,
        "system_fingerprint": "fp_ollama",
        "choices": list(choices),
        **more,
    }


def said(text: str, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    delta = {"role": "assistant", "content": text, **delta}
    return event({"index": 0, "delta": delta, "finish_reason": finish})


def tool(name: str, arguments: str, id: str, index: int = 0) -> dict[str, Any]:  # noqa: A002  # the wire's own name
    function = {"name": name, "arguments": arguments}
    return {"id": id, "index": index, "type": "function", "function": function}


ROWS = [
    Row(
        claim="each delta repeats the role, the last one has an empty content",
        source=COMPATIBLE,
        body=frames(said("H"), said("ig"), said("", "stop"), DONE),
        texts=("H", "ig"),
        chunks=3,
        **KNOWN,
    ),
    Row(
        claim="reasoning stands beside an empty content",
        source=COMPATIBLE,
        body=frames(
            said("", reasoning="Okay"),
            said("", reasoning=", so"),
            said("Yes"),
            said("", "length"),
            DONE,
        ),
        texts=("Yes",),
        reasoning="Okay, so",
        chunks=4,
        finish="length",
        **KNOWN,
    ),
    Row(
        claim="usage that was asked for comes with no choices",
        source=COMPATIBLE + ", stream_options",
        body=frames(said("Hi"), said("", "stop"), event(usage=usage(22, 73)), DONE),
        texts=("Hi",),
        chunks=3,
        usage=usage(22, 73),
        **KNOWN,
    ),
    Row(
        claim="a whole tool call comes in one delta",
        source=COMPATIBLE + ", tools",
        body=frames(
            said("", tool_calls=[tool("run_command", '{"command":"ls -a"}', "call_lbcjwr0u")]),
            said("", "tool_calls"),
            DONE,
        ),
        calls=(call("run_command", '{"command":"ls -a"}', id="call_lbcjwr0u"),),
        chunks=2,
        finish="tool_calls",
        **KNOWN,
    ),
    Row(
        claim="two whole calls under index 0 in two deltas are two calls",
        source="hand-made after reports of Ollama: each call of an answer has index 0",
        body=frames(
            said("", tool_calls=[tool("add", "{}", "call_a")]),
            said("", tool_calls=[tool("remove", "{}", "call_b")]),
            said("", "stop"),
            DONE,
        ),
        calls=(call("add", "{}", id="call_a"), call("remove", "{}", id="call_b", index=1)),
        chunks=3,
        **KNOWN,
    ),
    Row(
        claim="an error in the stream may be one text",
        source="hand-made after the errors of Ollama's own API",
        body=frames(said("Hi"), {"error": "an error was encountered while running the model"}),
        texts=("Hi",),
        chunks=1,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="an error was encountered while running the model",
        **KNOWN,
    ),
    Row(
        claim="Ollama's own API answers in lines of JSON: no chat completion, and said so",
        source="Ollama API, /api/chat, streaming",
        body=b'{"model":"qwen3","message":{"role":"assistant","content":"Hi"},"done":false}\n'
        b'{"model":"qwen3","message":{"role":"assistant","content":""},"done":true}\n',
        media_type="application/x-ndjson",
        chunks=0,
        finish=None,
        end=End.ERROR,
        error=UnexpectedContentError,
        says="base_url",
    ),
]
