"""vLLM: OpenAI's chunks, errors of two generations, reasoning under two names."""

from __future__ import annotations

from typing import Any

from async_copilot.errors import StreamError
from async_copilot.wire.answer import End
from async_copilot.wire.choice import Choice

from .row import DONE, Row, call, frames, usage

__all__ = ["ROWS"]

PROTOCOL = "vLLM, entrypoints/openai protocol"
ID, MODEL = "chatcmpl-f7ff0a1b", "Qwen/Qwen3-8B"
KNOWN: dict[str, Any] = {"id": ID, "model": MODEL}


def event(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "object": "chat.completion.chunk",
        "created": 1747845504,
        "model": MODEL,
        "choices": list(choices),
        **more,
    }


def choice(delta: dict[str, Any], index: int = 0, **more: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None} | more


def said(text: str, index: int = 0, **more: Any) -> dict[str, Any]:
    return event(choice({"content": text}, index), **more)


def calls(*deltas: dict[str, Any]) -> dict[str, Any]:
    return event(choice({"tool_calls": list(deltas)}))


def ends(finish: str = "stop", index: int = 0, **more: Any) -> dict[str, Any]:
    return event(choice({"content": ""}, index, finish_reason=finish, stop_reason=None), **more)


ROLE = event(choice({"role": "assistant", "content": ""}))

ROWS = [
    Row(
        claim="the last chunk has an empty content and a stop_reason of its own",
        source=PROTOCOL + ", stream of a chat completion",
        body=frames(ROLE, said("Hello"), said(" you"), ends(), DONE),
        texts=("Hello", " you"),
        chunks=4,
        **KNOWN,
    ),
    Row(
        claim="continuous usage is on each chunk; the last one counts",
        source="vLLM, stream_options.continuous_usage_stats",
        body=frames(
            ROLE,
            *(said(str(n), usage=usage(5, n)) for n in range(1, 5)),
            ends(usage=usage(5, 5)),
            event(usage=usage(5, 6)),
            DONE,
        ),
        texts=tuple("1234"),
        chunks=7,
        usage=usage(5, 6),
        **KNOWN,
    ),
    Row(
        claim="reasoning_content, the older name",
        source="vLLM documentation, reasoning outputs, streaming",
        body=frames(
            ROLE,
            event(choice({"reasoning_content": "Let me"})),
            event(choice({"reasoning_content": " see."})),
            said("9.11"),
            ends(),
            DONE,
        ),
        texts=("9.11",),
        reasoning="Let me see.",
        chunks=5,
        **KNOWN,
    ),
    Row(
        claim="both names of the reasoning in one delta are one reasoning",
        source="hand-made: vLLM's older and newer name of the reasoning at once",
        body=frames(
            ROLE,
            event(choice({"reasoning": "Let me", "reasoning_content": "Let me"})),
            event(choice({"reasoning": " see.", "reasoning_content": " see."})),
            said("9.11"),
            ends(),
            DONE,
        ),
        texts=("9.11",),
        reasoning="Let me see.",
        chunks=5,
        **KNOWN,
    ),
    Row(
        claim="an older error is an object named error, without an error key",
        source=PROTOCOL + ", the older ErrorResponse",
        body=frames(
            ROLE,
            said("Hel"),
            {
                "object": "error",
                "message": "The model is overloaded",
                "type": "InternalServerError",
                "param": None,
                "code": 503,
            },
            DONE,
        ),
        texts=("Hel",),
        chunks=2,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="(code 503): The model is overloaded",
        code="503",
        type="InternalServerError",
        **KNOWN,
    ),
    Row(
        claim="a later error has an error key, and [DONE] after it is not a success",
        source=PROTOCOL + ", the newer ErrorResponse",
        body=frames(
            ROLE,
            said("Hel"),
            {
                "error": {
                    "message": "EngineCore encountered an issue",
                    "type": "BadRequestError",
                    "param": None,
                    "code": 400,
                }
            },
            DONE,
        ),
        texts=("Hel",),
        chunks=2,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="EngineCore encountered an issue",
        code="400",
        type="BadRequestError",
        **KNOWN,
    ),
    Row(
        claim="two calls under one index are two by their ids, later pieces have an empty id",
        source="InternLM/lmdeploy issue 3412, streams of vLLM",
        body=frames(
            calls({"index": 0, "id": "t-1", "type": "function", "function": {"name": "look"}}),
            calls({"index": 0, "id": "", "type": "function", "function": {"arguments": "{}"}}),
            calls({"index": 0, "id": "t-2", "type": "function", "function": {"name": "look"}}),
            calls({"index": 0, "id": "", "type": "function", "function": {"arguments": "[]"}}),
            ends("tool_calls"),
            DONE,
        ),
        calls=(call("look", "{}", id="t-1"), call("look", "[]", id="t-2", index=1)),
        chunks=5,
        finish="tool_calls",
        **KNOWN,
    ),
    Row(
        claim="the same id on each piece is one call (sglang)",
        source="InternLM/lmdeploy issue 3412, streams of sglang",
        body=frames(
            calls({"index": 0, "id": "0", "function": {"name": "look", "arguments": ""}}),
            calls({"index": 0, "id": "0", "function": {"name": None, "arguments": "{}"}}),
            calls({"index": 0, "id": "1", "function": {"name": "look", "arguments": ""}}),
            calls({"index": 0, "id": "1", "function": {"name": None, "arguments": "[]"}}),
            ends("tool_calls"),
            DONE,
        ),
        calls=(call("look", "{}", id="0"), call("look", "[]", id="1", index=1)),
        chunks=5,
        finish="tool_calls",
        **KNOWN,
    ),
    Row(
        claim="n=2: roles first, then the choices as they are sampled",
        source=PROTOCOL + ", n",
        body=frames(
            ROLE,
            event(choice({"role": "assistant", "content": ""}, 1)),
            said("b", 1),
            said("a", 0),
            ends(index=1),
            ends(),
            DONE,
        ),
        texts=("a",),
        n=2,
        others=(Choice(1, "b", "", "", [], "stop"),),
        chunks=6,
        **KNOWN,
    ),
]
