"""Azure OpenAI: OpenAI's chunks with the content filter's remarks between and around them."""

from __future__ import annotations

from typing import Any

from async_copilot.errors import StreamError
from async_copilot.wire.answer import End

from .row import DONE, Row, frames

__all__ = ["ROWS"]

FILTERING = "Microsoft Learn, Azure OpenAI content streaming"
ID, MODEL = "chatcmpl-7rAJvsS1QQCDuZYDDdQuMJVMV3x3N", "gpt-4o-2024-11-20"
KNOWN: dict[str, Any] = {"id": ID, "model": MODEL}
SAFE = {"hate": {"filtered": False, "severity": "safe"}}


def event(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "object": "chat.completion.chunk",
        "created": 1692813033,
        "model": MODEL,
        "choices": list(choices),
        "usage": None,
        **more,
    }


def choice(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": finish, "delta": delta, **more}


PROMPT = {
    "id": "",
    "object": "",
    "created": 0,
    "model": "",
    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}],
    "choices": [],
}
ANNOTATION = {
    "id": "",
    "object": "",
    "created": 0,
    "model": "",
    "choices": [
        {
            "index": 0,
            "finish_reason": None,
            "content_filter_results": SAFE,
            "content_filter_offsets": {"check_offset": 44, "start_offset": 44, "end_offset": 198},
        }
    ],
    "usage": None,
}

ROWS = [
    Row(
        claim="the verdict on the prompt comes first, with no choices and no id",
        source=FILTERING + ", annotations for the prompt",
        body=frames(
            PROMPT,
            event(choice({"role": "assistant", "content": ""})),
            event(choice({"content": "Color"}, content_filter_results=SAFE)),
            event(choice({"content": " is"}, content_filter_results=SAFE)),
            event(choice({}, "stop", content_filter_results=SAFE)),
            DONE,
        ),
        texts=("Color", " is"),
        chunks=5,
        **KNOWN,
    ),
    Row(
        claim="the asynchronous filter's remarks have no delta, and one follows the finish",
        source=FILTERING + ", asynchronous filter, sample response stream",
        body=frames(
            PROMPT,
            event(choice({"content": "Color"})),
            ANNOTATION,
            event(choice({"content": " is"})),
            event(choice({}, "stop")),
            ANNOTATION,
            DONE,
        ),
        texts=("Color", " is"),
        chunks=6,
        **KNOWN,
    ),
    Row(
        claim="the filter ends an answer with content_filter",
        source=FILTERING + ", content is blocked",
        body=frames(
            PROMPT,
            event(choice({"content": "First you"})),
            event(
                choice(
                    {},
                    "content_filter",
                    content_filter_results={"hate": {"filtered": True, "severity": "high"}},
                )
            ),
            DONE,
        ),
        texts=("First you",),
        chunks=3,
        finish="content_filter",
        **KNOWN,
    ),
    Row(
        claim="a filter that fails is told inside the choice, and is not an error of the answer",
        source="Microsoft Learn, content filtering, content_filter_error",
        body=frames(
            event(
                choice(
                    {"content": "Fine."},
                    content_filter_results={
                        "error": {"code": "content_filter_error", "message": "not checked"}
                    },
                )
            ),
            event(choice({}, "stop")),
            DONE,
        ),
        texts=("Fine.",),
        chunks=2,
        **KNOWN,
    ),
    Row(
        claim="an answer about your own data begins with its citations",
        source="Microsoft Learn, Azure OpenAI on your data, streaming example",
        body=frames(
            event(
                choice(
                    {
                        "role": "assistant",
                        "context": {"citations": [{"content": "a page", "url": None}]},
                    },
                    end_turn=False,
                )
            ),
            event(choice({"content": "As [doc1] says"}, end_turn=False)),
            event(choice({}, "stop", end_turn=True)),
            DONE,
        ),
        texts=("As [doc1] says",),
        chunks=3,
        **KNOWN,
    ),
    Row(
        claim="an error of the filter in the stream has no type and a code in words",
        source="Microsoft Learn, content filtering, error example",
        body=frames(
            event(choice({"content": "Well"})),
            {
                "error": {
                    "message": "The response was filtered",
                    "type": None,
                    "param": "prompt",
                    "code": "content_filter",
                    "status": 400,
                }
            },
        ),
        texts=("Well",),
        chunks=1,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="(code content_filter): The response was filtered",
        code="content_filter",
        **KNOWN,
    ),
]
