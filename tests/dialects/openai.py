"""OpenAI: shapes of the API reference, "The chat completion chunk object", and of its clients."""

from __future__ import annotations

import json
from typing import Any

from async_copilot.errors import StreamError
from async_copilot.wire.answer import End
from async_copilot.wire.choice import Choice

from .row import DONE, Row, call, frames, usage

__all__ = ["ROWS"]

REFERENCE = "OpenAI API reference, chat completion chunk object"
ID, MODEL = "chatcmpl-BxA1", "gpt-4o-mini-2024-07-18"
USAGE = usage(
    19,
    10,
    prompt_tokens_details={"cached_tokens": 0, "audio_tokens": 0},
    completion_tokens_details={"reasoning_tokens": 0, "accepted_prediction_tokens": 0},
)
WEATHER = '{"location":"Köln, DE"}'


def event(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "object": "chat.completion.chunk",
        "created": 1753357673,
        "model": MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_51e1070cf2",
        "choices": list(choices),
        **more,
    }


def choice(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def said(text: str, index: int = 0, **more: Any) -> dict[str, Any]:
    return event(choice({"content": text}, index=index), **more)


def ends(finish: str = "stop", index: int = 0, **more: Any) -> dict[str, Any]:
    return event(choice({}, finish, index), **more)


def calls(*deltas: dict[str, Any]) -> dict[str, Any]:
    return event(choice({"tool_calls": list(deltas)}))


FIRST = event(choice({"role": "assistant", "content": "", "refusal": None}))
KNOWN: dict[str, Any] = {"id": ID, "model": MODEL}

COMPLETION = {
    "id": ID,
    "object": "chat.completion",
    "created": 1741569952,
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello! How can I assist you today?",
                "refusal": None,
                "annotations": [],
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
    "service_tier": "default",
}

TEXT = [
    Row(
        claim="a role comes first, then text, then an empty delta with the finish reason",
        source=REFERENCE,
        body=frames(FIRST, said("Hello"), said("!"), ends(), DONE),
        texts=("Hello", "!"),
        chunks=4,
        **KNOWN,
    ),
    Row(
        claim="usage that was asked for comes alone, with no choices, before [DONE]",
        source="OpenAI API reference, stream_options.include_usage",
        body=frames(
            event(choice({"role": "assistant", "content": ""}), usage=None),
            said("Hel", usage=None),
            said("lo", usage=None),
            ends(usage=None),
            event(usage=USAGE),
            DONE,
        ),
        texts=("Hel", "lo"),
        chunks=5,
        usage=USAGE,
        **KNOWN,
    ),
    Row(
        claim="padding that hides the length of the text changes with each event",
        source="OpenAI API reference, stream_options.include_obfuscation",
        body=frames(
            *(said(str(n), obfuscation="x" * (n * 7 % 11)) for n in range(10)), ends(), DONE
        ),
        texts=tuple("0123456789"),
        chunks=11,
        **KNOWN,
    ),
    Row(
        claim="max_tokens ends the text with length",
        source=REFERENCE,
        body=frames(FIRST, said("Once upon"), ends("length"), DONE),
        texts=("Once upon",),
        chunks=3,
        finish="length",
        **KNOWN,
    ),
    Row(
        claim="log probabilities with raw tokens beside the text change nothing",
        source="OpenAI API reference, choices[].logprobs.content[]",
        body=frames(
            event(
                {
                    "index": 0,
                    "delta": {"content": " café"},
                    "logprobs": {
                        "content": [
                            {"token": '"content":"x"', "logprob": -0.5, "bytes": [32, 99]},
                        ]
                    },
                    "finish_reason": None,
                }
            ),
            said("\u2028\n"),
            ends(),
            DONE,
        ),
        texts=(" café", "\u2028\n"),
        chunks=3,
        **KNOWN,
    ),
    Row(
        claim="a refusal is neither text nor reasoning",
        source="OpenAI API reference, delta.refusal",
        body=frames(
            FIRST,
            event(choice({"refusal": "I'm sorry, "})),
            event(choice({"refusal": "I cannot help with that."})),
            ends(),
            DONE,
        ),
        refusal="I'm sorry, I cannot help with that.",
        chunks=4,
        **KNOWN,
    ),
    Row(
        claim="an answer in one piece is one delta",
        source="OpenAI API reference, the chat completion object",
        body=json.dumps(COMPLETION, indent=2).encode(),
        media_type="application/json",
        texts=("Hello! How can I assist you today?",),
        chunks=1,
        usage=USAGE,
        **KNOWN,
    ),
    Row(
        claim="an error in the stream ends it, text before it is kept",
        source="openai-python, Stream.__stream__: a data line with an error key is raised",
        body=frames(
            FIRST,
            said("The"),
            '{"a field": "the SSE text knows nothing of"}',
            {"error": {"message": "The server had an error", "type": "server_error"}},
            said(" never seen"),
        ),
        texts=("The",),
        chunks=2,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="The server had an error",
        type="server_error",
        **KNOWN,
    ),
]

TOOLS = [
    Row(
        claim="a tool call is named first, its arguments follow in pieces",
        source="OpenAI guide, function calling, streaming",
        body=frames(
            event(
                choice(
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "index": 0,
                                "id": "call_DdmO9pD3xa9XTPNJ32zg2hcA",
                                "type": "function",
                                "function": {"name": "get_weather", "arguments": ""},
                            }
                        ],
                        "refusal": None,
                    }
                )
            ),
            *(
                calls({"index": 0, "function": {"arguments": piece}})
                for piece in ('{"', "location", '":"', "Köln", ", DE", '"}')
            ),
            ends("tool_calls"),
            DONE,
        ),
        calls=(call("get_weather", WEATHER, id="call_DdmO9pD3xa9XTPNJ32zg2hcA"),),
        chunks=8,
        finish="tool_calls",
        **KNOWN,
    ),
    Row(
        claim="pieces of two calls that alternate are told apart by their index",
        source=REFERENCE + ", delta.tool_calls[].index",
        body=frames(
            calls({"index": 0, "id": "call_a", "type": "function", "function": {"name": "f"}}),
            calls({"index": 1, "id": "call_b", "type": "function", "function": {"name": "g"}}),
            calls({"index": 0, "function": {"arguments": "[1"}}),
            calls(
                {"index": 1, "function": {"arguments": "[2"}},
                {"index": 0, "function": {"arguments": ",1]"}},
            ),
            calls({"index": 1, "function": {"arguments": ",2]"}}),
            ends("tool_calls"),
            DONE,
        ),
        calls=(call("f", "[1,1]", id="call_a"), call("g", "[2,2]", id="call_b", index=1)),
        chunks=6,
        finish="tool_calls",
        **KNOWN,
    ),
    Row(
        claim="the older function_call is a tool call without an id",
        source="OpenAI API reference, delta.function_call (deprecated)",
        body=frames(
            event(choice({"role": "assistant", "function_call": {"name": "f", "arguments": ""}})),
            event(choice({"function_call": {"arguments": '{"a":'}})),
            event(choice({"function_call": {"arguments": "1}"}})),
            ends("function_call"),
            DONE,
        ),
        calls=(call("f", '{"a":1}'),),
        chunks=4,
        finish="function_call",
        **KNOWN,
    ),
    Row(
        claim="tool calls of an answer in one piece have no index, and their own order",
        source="OpenAI API reference, the chat completion object",
        body=json.dumps(
            COMPLETION
            | {
                "choices": [
                    {
                        "index": 0,
                        "message": {
                            "role": "assistant",
                            "content": None,
                            "tool_calls": [
                                {
                                    "id": name,
                                    "type": "function",
                                    "function": {"name": "f", "arguments": WEATHER},
                                }
                                for name in ("call_1", "call_2")
                            ],
                        },
                        "finish_reason": "tool_calls",
                    }
                ]
            }
        ).encode(),
        media_type="application/json",
        calls=(call("f", WEATHER, id="call_1"), call("f", WEATHER, id="call_2", index=1)),
        chunks=1,
        usage=USAGE,
        finish="tool_calls",
        **KNOWN,
    ),
]

CHOICES = [
    Row(
        claim="two choices alternate; the text is choice 0's alone",
        source="OpenAI API reference, n",
        body=frames(
            event(choice({"role": "assistant", "content": ""}, index=0)),
            event(choice({"role": "assistant", "content": ""}, index=1)),
            said("Red"),
            said("Blue", 1),
            said(" wine", 1),
            said(" rose"),
            ends(),
            ends("length", 1),
            DONE,
        ),
        texts=("Red", " rose"),
        n=2,
        others=(Choice(1, "Blue wine", "", "", [], "length"),),
        chunks=8,
        **KNOWN,
    ),
    Row(
        claim="choice 1 may begin, and end, before choice 0 has said a word",
        source="OpenAI API reference, n: the order of choices is not promised",
        body=frames(said("Blue", 1), ends("stop", 1), said("Red", 0), ends("length", 0), DONE),
        texts=("Red",),
        n=2,
        others=(Choice(1, "Blue", "", "", [], "stop"),),
        chunks=4,
        finish="length",
        **KNOWN,
    ),
    Row(
        claim="a choice that never finishes leaves the answer cut off",
        source=REFERENCE + ": each choice has a finish_reason",
        body=frames(said("Red"), said("Blue", 1), ends()),
        texts=("Red",),
        n=2,
        others=(Choice(1, "Blue", "", "", [], None),),
        chunks=3,
        end=End.TRUNCATED,
        **KNOWN,
    ),
    Row(
        claim="tool calls of two choices do not mix",
        source="OpenAI API reference, n with tools",
        body=frames(
            event(
                *(
                    choice(
                        {
                            "tool_calls": [
                                {
                                    "index": 0,
                                    "id": f"call_{index}",
                                    "function": {"name": "f", "arguments": f"[{index}]"},
                                }
                            ]
                        },
                        index=index,
                    )
                    for index in (0, 1)
                )
            ),
            ends("tool_calls"),
            ends("tool_calls", 1),
            DONE,
        ),
        calls=(call("f", "[0]", id="call_0"),),
        n=2,
        others=(Choice(1, "", "", "", [call("f", "[1]", id="call_1")], "tool_calls"),),
        chunks=4,
        finish="tool_calls",
        **KNOWN,
    ),
]

ROWS = TEXT + TOOLS + CHOICES
