"""LiteLLM's proxy, measured on release 1.106.2: fields are left out rather than null."""

from __future__ import annotations

from typing import Any

from async_copilot.errors import StreamError
from async_copilot.wire.answer import End
from async_copilot.wire.choice import Choice

from .row import DONE, Row, call, frames, usage

__all__ = ["ROWS"]

MEASURED = "LiteLLM 1.106.2 as measured, mock responses and g4f behind it"
ID, MODEL = "chatcmpl-6b1f2f0e", "mock-model"
KNOWN: dict[str, Any] = {"id": ID, "model": MODEL}
USAGE = usage(8, 4, prompt_tokens_details=None, completion_tokens_details=None)


def event(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "created": 1795388000,
        "model": MODEL,
        "object": "chat.completion.chunk",
        "choices": list(choices),
        **more,
    }


def said(text: str, index: int = 0, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": {**delta, "content": text}}


def ends(finish: str = "stop", index: int = 0) -> dict[str, Any]:
    return {"finish_reason": finish, "index": index, "delta": {}}


def calls(*deltas: dict[str, Any]) -> dict[str, Any]:
    return event({"index": 0, "delta": {"tool_calls": list(deltas)}})


ROWS = [
    Row(
        claim="finish_reason is absent until the last chunk, which has no content",
        source=MEASURED,
        body=frames(event(said("Hel", role="assistant")), event(said("lo ")), event(ends()), DONE),
        texts=("Hel", "lo "),
        chunks=3,
        **KNOWN,
    ),
    Row(
        claim="usage comes after the finish with a choice that says nothing",
        source=MEASURED + ", include_usage",
        body=frames(
            event(said("Hel", role="assistant")),
            event(said("lo")),
            event(ends()),
            event({"index": 0, "delta": {}}, usage=USAGE),
            DONE,
        ),
        texts=("Hel", "lo"),
        chunks=4,
        usage=USAGE,
        **KNOWN,
    ),
    Row(
        claim="n=2 puts two choices into each event",
        source=MEASURED + ", n: 2",
        body=frames(
            event(said("Hel", role="assistant"), said("Hel", 1, role="assistant")),
            event(said("lo"), said("lo", 1)),
            event(ends(), ends(index=1)),
            DONE,
        ),
        texts=("Hel", "lo"),
        n=2,
        others=(Choice(1, "Hello", "", "", [], "stop"),),
        chunks=6,
        **KNOWN,
    ),
    Row(
        claim="g4f's reasoning behind it becomes reasoning_content",
        source=MEASURED + ", reasoning",
        body=frames(
            event({"index": 0, "delta": {"reasoning_content": "I think, ", "role": "assistant"}}),
            event({"index": 0, "delta": {"reasoning_content": "then I speak."}}),
            event(said("The")),
            event(said(" answer")),
            event(ends()),
            DONE,
        ),
        texts=("The", " answer"),
        reasoning="I think, then I speak.",
        chunks=5,
        **KNOWN,
    ),
    Row(
        claim="thinking blocks repeat the reasoning and are not read twice",
        source="LiteLLM documentation, reasoning_content, Anthropic thinking blocks",
        body=frames(
            event(
                {
                    "index": 0,
                    "delta": {
                        "reasoning_content": "Hm.",
                        "thinking_blocks": [
                            {"type": "thinking", "thinking": "Hm.", "signature": None}
                        ],
                        "content": "",
                        "role": "assistant",
                    },
                }
            ),
            event(said("Yes.")),
            event(ends()),
            DONE,
        ),
        texts=("Yes.",),
        reasoning="Hm.",
        chunks=3,
        **KNOWN,
    ),
    Row(
        claim="an error in the stream has its code as text, and no [DONE] follows",
        source=MEASURED + ", an upstream that fails",
        body=frames(
            event(said("One ", role="assistant")),
            {
                "error": {
                    "message": "litellm.APIError: Request execution failed",
                    "type": None,
                    "param": None,
                    "code": "500",
                }
            },
        ),
        texts=("One ",),
        chunks=1,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="litellm.APIError: Request execution failed",
        code="500",
        **KNOWN,
    ),
    Row(
        claim="a stream cut off behind it arrives as a finished one: nobody can tell",
        source=MEASURED + ", g4f's abort behind it",
        body=frames(
            event(said("One ", role="assistant")), event(said("two ")), event(ends()), DONE
        ),
        texts=("One ", "two "),
        chunks=3,
        **KNOWN,
    ),
    Row(
        claim="a call whose every piece has another id is still one call, by its index",
        source="BerriAI/litellm pull request 28223: OCI handlers make an id for each chunk",
        body=frames(
            calls(
                {
                    "index": 0,
                    "id": "call_9f1c",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": ""},
                }
            ),
            *(
                calls(
                    {
                        "index": 0,
                        "id": f"call_{number}",
                        "type": "function",
                        "function": {"arguments": piece},
                    }
                )
                for number, piece in enumerate(('{"city"', ': "Köln"}'))
            ),
            event(ends("tool_calls")),
            DONE,
        ),
        calls=(call("get_weather", '{"city": "Köln"}', id="call_9f1c"),),
        chunks=4,
        finish="tool_calls",
        **KNOWN,
    ),
]
