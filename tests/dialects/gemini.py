"""Gemini's compatible endpoint: tool calls without index, some of them without an id."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from async_copilot.errors import StreamError
from async_copilot.wire.answer import End

from .row import DONE, Row, call, frames, usage

__all__ = ["ROWS"]

MODEL = "gemini-2.5-flash"
KNOWN: dict[str, Any] = {"model": MODEL}


def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice: dict[str, Any] = {"delta": {"role": "assistant", **delta}, "index": 0}
    if finish:
        choice["finish_reason"] = finish
    return {
        "choices": [choice],
        "created": 1758000000,
        "model": MODEL,
        "object": "chat.completion.chunk",
        **more,
    }


def tool(name: str, arguments: str, id: str | None = "", **more: Any) -> dict[str, Any]:  # noqa: A002  # the wire's own name
    function = {"arguments": arguments, "name": name}
    return {"function": function, "id": id, "type": "function", **more}


SIGNATURE = {"google": {"thought_signature": "b64=="}}

ROWS = [
    Row(
        claim="the finish comes with the last text, usage with each chunk, and no id",
        source="Google AI for developers, OpenAI compatibility, streaming",
        body=frames(
            event({"content": "AI"}, usage=usage(6, 1)),
            event({"content": " explained"}, usage=usage(6, 2)),
            event({"content": "."}, "stop", usage=usage(6, 3)),
            DONE,
        ),
        texts=("AI", " explained", "."),
        chunks=3,
        usage=usage(6, 3),
        **KNOWN,
    ),
    Row(
        claim="a call without index is whole, and the answer ends with stop",
        source="THU-MAIC/OpenMAIC issue 1556: a chunk as measured",
        body=frames(
            event(
                {
                    "tool_calls": [
                        {"extra_content": SIGNATURE} | tool("read", '{"offset":1}', "call_297140")
                    ]
                }
            ),
            event({}, "stop"),
            DONE,
        ),
        calls=(replace(call("read", '{"offset":1}', id="call_297140"), extra_content=SIGNATURE),),
        chunks=2,
        **KNOWN,
    ),
    Row(
        claim="two calls at once without index are two by their ids",
        source="open-webui/computer issue 224: omits tool_calls[].index",
        body=frames(
            event({"tool_calls": [tool("a", "{}", "fc-1"), tool("a", "{}", "fc-2")]}),
            event({}, "stop"),
            DONE,
        ),
        calls=(call("a", "{}", id="fc-1"), call("a", "{}", id="fc-2", index=1)),
        chunks=2,
        **KNOWN,
    ),
    Row(
        claim="two whole calls with a null index and an empty id are two by their names",
        source="meilisearch/meilisearch pull request 5712: index null, id empty",
        body=frames(
            event({"tool_calls": [tool("a", '{"q":1}', index=None)]}),
            event({"tool_calls": [tool("b", '{"q":2}', index=None)]}),
            event({"tool_calls": [tool("b", '{"q":3}', index=None)]}),
            event({}, "stop"),
            DONE,
        ),
        calls=(call("a", '{"q":1}'), call("b", '{"q":2}', index=1), call("b", '{"q":3}', index=2)),
        chunks=4,
        **KNOWN,
    ),
    Row(
        claim="arguments may be cut, the later pieces with neither index nor id nor name",
        source="AstrBotDevs/AstrBot issue 6661: later pieces as its log shows them",
        body=frames(
            event({"tool_calls": [tool("save", "", "call_1")]}),
            event({"tool_calls": [{"id": "", "function": {"arguments": '{"a":'}, "type": ""}]}),
            event({"tool_calls": [{"id": "", "function": {"arguments": "1}"}, "type": ""}]}),
            event({}, "tool_calls"),
            DONE,
        ),
        calls=(call("save", '{"a":1}', id="call_1"),),
        chunks=4,
        finish="tool_calls",
        **KNOWN,
    ),
    Row(
        claim="a signature alone is a delta that says nothing",
        source="open-webui/computer issue 224: a standalone metadata-only delta",
        body=frames(
            event({"content": "Hi"}),
            event({"extra_content": SIGNATURE}),
            event({"content": "!"}),
            event({"extra_content": SIGNATURE}, "stop"),
            DONE,
        ),
        texts=("Hi", "!"),
        chunks=4,
        **KNOWN,
    ),
    Row(
        claim="an error in the stream has a number and Google's own status word",
        source="Google API design guide, errors: google.rpc.Status",
        body=frames(
            event({"content": "Hi"}),
            {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}},
        ),
        texts=("Hi",),
        chunks=1,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="(code 503): Overloaded.",
        code="503",
        type="UNAVAILABLE",
        **KNOWN,
    ),
    Row(
        claim="an error that comes as one document is an error of the server all the same",
        source="Google AI for developers, errors of the compatible endpoint",
        body=json.dumps({"error": {"code": 400, "message": "API key expired."}}, indent=2).encode(),
        media_type="application/json",
        chunks=0,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="API key expired.",
        code="400",
    ),
]
