"""OpenRouter, DeepSeek, Groq, Mistral and xAI: hosted services with habits of their own."""

from __future__ import annotations

from typing import Any

from async_copilot.errors import StreamError
from async_copilot.wire.answer import End

from .row import DONE, Row, call, frames, usage

__all__ = ["DEEPSEEK", "GROQ", "MISTRAL", "OPENROUTER", "XAI"]


def event(head: dict[str, Any], *choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return head | {"choices": list(choices)} | more


def choice(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish, **more}


# ------------------------------------------------------------------ OpenRouter

ROUTED: dict[str, Any] = {
    "id": "gen-1750000000-AbC",
    "provider": "DeepInfra",
    "model": "deepseek/deepseek-r1",
    "object": "chat.completion.chunk",
    "created": 1750000000,
}
ROUTED_KNOWN = {name: ROUTED[name] for name in ("id", "provider", "model")}
PROCESSING = ": OPENROUTER PROCESSING"
COST = usage(9, 5, cost=0.00014, is_byok=False)


def routed(text: str, **delta: Any) -> dict[str, Any]:
    return event(
        ROUTED,
        choice(
            {"role": "assistant", "content": text, **delta},
            native_finish_reason=None,
            logprobs=None,
        ),
    )


def routed_end(finish: str = "stop", native: str = "stop") -> dict[str, Any]:
    delta = {"role": "assistant", "content": ""}
    return event(ROUTED, choice(delta, finish, native_finish_reason=native))


def thought(text: str, *details: dict[str, Any]) -> dict[str, Any]:
    return routed("", reasoning=text, reasoning_details=list(details))


OPENROUTER = [
    Row(
        claim="comments while it queues are not events, usage comes last with its cost",
        source="OpenRouter documentation, streaming: comments, and usage accounting",
        body=frames(
            PROCESSING,
            PROCESSING,
            routed("Hel"),
            PROCESSING,
            routed("lo"),
            routed_end(),
            event(ROUTED, choice({"role": "assistant", "content": ""}), usage=COST),
            DONE,
        ),
        texts=("Hel", "lo"),
        chunks=4,
        usage=COST,
        **ROUTED_KNOWN,
    ),
    Row(
        claim="an error in the stream comes with a choice that finished with error",
        source="OpenRouter documentation, streaming: handling errors during streaming",
        body=frames(
            routed("Hel"),
            event(
                ROUTED,
                choice({"content": ""}, "error"),
                error={"code": "server_error", "message": "Provider disconnected unexpectedly"},
            ),
        ),
        texts=("Hel",),
        chunks=1,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="Provider disconnected unexpectedly",
        code="server_error",
        **ROUTED_KNOWN,
    ),
    Row(
        claim="an error's code may be the number of a status",
        source="OpenRouter documentation, errors: ErrorResponse",
        body=frames(
            routed("Hel"),
            {"error": {"code": 502, "message": "Provider returned error", "metadata": {}}},
        ),
        texts=("Hel",),
        chunks=1,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="(code 502): Provider returned error",
        code="502",
        **ROUTED_KNOWN,
    ),
    Row(
        claim="reasoning and its details say the same, and are read once",
        source="OpenRouter documentation, reasoning tokens: reasoning_details",
        body=frames(
            thought("Let", {"type": "reasoning.text", "text": "Let", "index": 0}),
            thought(" me.", {"type": "reasoning.text", "text": " me.", "index": 0}),
            routed("Yes", reasoning=None, reasoning_details=[]),
            routed_end(),
            DONE,
        ),
        texts=("Yes",),
        reasoning="Let me.",
        chunks=4,
        **ROUTED_KNOWN,
    ),
    Row(
        claim="details alone are read: texts and summaries, not what is encrypted",
        source="OpenRouter documentation, reasoning_details types",
        body=frames(
            routed(
                "",
                reasoning_details=[
                    {"type": "reasoning.summary", "summary": "Compared. "},
                    {"type": "reasoning.text", "text": "Then chose.", "signature": None},
                    {"type": "reasoning.encrypted", "data": "b64=="},
                    "no detail at all",
                ],
            ),
            routed("A"),
            routed_end("length", "MAX_TOKENS"),
            DONE,
        ),
        texts=("A",),
        reasoning="Compared. Then chose.",
        chunks=3,
        finish="length",
        **ROUTED_KNOWN,
    ),
]

# ------------------------------------------------------------------ DeepSeek

DEEP: dict[str, Any] = {
    "id": "1f633d8bfc032625086f14113c411638",
    "object": "chat.completion.chunk",
    "created": 1718345013,
    "model": "deepseek-reasoner",
    "system_fingerprint": "fp_a49d71b8a1",
}
DEEP_KNOWN = {name: DEEP[name] for name in ("id", "model")}
CACHED = usage(17, 9, prompt_cache_hit_tokens=0, prompt_cache_miss_tokens=17)


def deep(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return event(DEEP, choice(delta, finish, logprobs=None), **more)


DEEPSEEK = [
    Row(
        claim="reasoning comes with content null, then text with reasoning_content null",
        source="DeepSeek API, thinking mode, streaming",
        body=frames(
            deep({"role": "assistant", "content": None, "reasoning_content": ""}),
            deep({"content": None, "reasoning_content": "Hm"}),
            deep({"content": None, "reasoning_content": ", yes"}),
            deep({"content": "9.8", "reasoning_content": None}),
            deep({"content": "!", "reasoning_content": None}),
            deep({"content": "", "reasoning_content": None}, "stop", usage=CACHED),
            DONE,
        ),
        texts=("9.8", "!"),
        reasoning="Hm, yes",
        chunks=6,
        usage=CACHED,
        **DEEP_KNOWN,
    ),
    Row(
        claim="keep-alive comments while it queues are not events",
        source="DeepSeek API, rate limit: ': keep-alive' comments",
        body=frames(
            *[": keep-alive"] * 3, deep({"content": "Hello", "role": "assistant"}), ": keep-alive"
        )
        + frames(deep({"content": ""}, "stop", usage=CACHED), DONE),
        texts=("Hello",),
        chunks=2,
        usage=CACHED,
        **DEEP_KNOWN,
    ),
    Row(
        claim="a finish reason that names a failure does not end a whole answer",
        source="DeepSeek API reference, finish_reason",
        body=frames(
            deep({"content": "He"}), deep({"content": ""}, "insufficient_system_resource"), DONE
        ),
        texts=("He",),
        chunks=2,
        finish="insufficient_system_resource",
        end=End.ERROR,
        error=StreamError,
        code="insufficient_system_resource",
        says='its finish_reason is "insufficient_system_resource"',
        **DEEP_KNOWN,
    ),
]

# ------------------------------------------------------------------ Groq

FAST: dict[str, Any] = {
    "id": "chatcmpl-e7f8e220",
    "object": "chat.completion.chunk",
    "created": 1729171479,
    "model": "gemma2-9b-it",
    "system_fingerprint": "fp_10c08bf97d",
}
FAST_KNOWN = {name: FAST[name] for name in ("id", "model")}
TIMES = usage(18, 439, queue_time=0.061, prompt_time=0.0002, total_time=0.798)
REQUEST = "req_01jadadp0femyae9kav1gpkhe8"


def fast(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return event(FAST, choice(delta, finish, logprobs=None), **more)


GROQ = [
    Row(
        claim="usage stands in x_groq of the last chunk",
        source="groq-python, types.chat.ChatCompletionChunk: XGroq.usage",
        body=frames(
            fast({"role": "assistant", "content": ""}, x_groq={"id": REQUEST}),
            fast({"content": "Hel"}),
            fast({"content": "lo"}),
            fast({}, "stop", x_groq={"id": REQUEST, "usage": TIMES}),
            DONE,
        ),
        texts=("Hel", "lo"),
        chunks=4,
        usage=TIMES,
        **FAST_KNOWN,
    ),
    Row(
        claim="usage in both places is the one of the API",
        source="Groq API reference: usage beside x_groq.usage with include_usage",
        body=frames(
            fast({"content": "Hi"}),
            fast({}, "stop", x_groq={"id": REQUEST, "usage": TIMES}),
            event(FAST, usage=TIMES, x_groq={"id": REQUEST, "usage": usage(0, 0)}),
            DONE,
        ),
        texts=("Hi",),
        chunks=3,
        usage=TIMES,
        **FAST_KNOWN,
    ),
    Row(
        claim="a tool call ends without a word in between",
        source="streams quoted in vercel/ai, groq provider tests",
        body=frames(
            fast(
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "call_4m5t",
                            "type": "function",
                            "function": {"name": "f", "arguments": '{"v":'},
                            "index": 0,
                        }
                    ],
                }
            ),
            fast({"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]}),
            fast({}, "tool_calls", x_groq={"id": REQUEST, "usage": TIMES}),
            DONE,
        ),
        calls=(call("f", '{"v": 1}', id="call_4m5t"),),
        chunks=3,
        finish="tool_calls",
        usage=TIMES,
        **FAST_KNOWN,
    ),
    Row(
        claim="why a stream was stopped early stands in x_groq.error",
        source="groq-python, XGroq.error: why a stream was stopped early",
        body=frames(
            fast({"content": "Hel"}),
            event(FAST, x_groq={"id": REQUEST, "error": "over capacity"}),
        ),
        texts=("Hel",),
        chunks=1,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="over capacity",
        **FAST_KNOWN,
    ),
]

# ------------------------------------------------------------------ Mistral

WIND: dict[str, Any] = {
    "id": "c3c77283055240cbbaf6f01d384cfccb",
    "object": "chat.completion.chunk",
    "created": 1762355135,
    "model": "magistral-medium-2509",
}
WIND_KNOWN = {name: WIND[name] for name in ("id", "model")}


def wind(content: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return event(WIND, choice({"content": content}, finish), **more)


def thinking(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **more}


MISTRAL = [
    Row(
        claim="text is a str, usage on the last chunk, padding in p",
        source="Mistral API reference, chat completion, stream; mistralai/client-python issue 16",
        body=frames(
            event(WIND, choice({"role": "assistant", "content": ""}), p="abc"),
            wind("Bon", p="abcdefgh"),
            wind("jour", p="ab"),
            wind("", "stop", usage=usage(4, 3), p=""),
            DONE,
        ),
        texts=("Bon", "jour"),
        chunks=4,
        usage=usage(4, 3),
        **WIND_KNOWN,
    ),
    Row(
        claim="reasoning comes as thinking parts of a content that is a list",
        source="BerriAI/litellm issue 16272: a Mistral stream; Mistral documentation, reasoning",
        body=frames(
            wind(""),
            wind([thinking("Okay")]),
            wind([thinking(", hello"), thinking(".", closed=True)]),
            wind([{"type": "text", "text": "Hel"}]),
            wind("lo"),
            wind("", "stop"),
            DONE,
        ),
        texts=("Hel", "lo"),
        reasoning="Okay, hello.",
        chunks=6,
        **WIND_KNOWN,
    ),
    Row(
        claim="parts of a content are joined; references say nothing",
        source="Mistral documentation, citations: reference chunks",
        body=frames(
            wind(
                [
                    {"type": "text", "text": "It was 1911"},
                    {"type": "reference", "reference_ids": [0]},
                    {"type": "text", "text": "."},
                    " Indeed",
                    None,
                ]
            ),
            wind("", "stop"),
            DONE,
        ),
        texts=("It was 1911. Indeed",),
        chunks=2,
        **WIND_KNOWN,
    ),
    Row(
        claim="whole tool calls come with the finish, without an index once",
        source="Mistral documentation, function calling",
        body=frames(
            event(WIND, choice({"role": "assistant", "content": ""})),
            event(
                WIND,
                choice(
                    {
                        "content": "",
                        "tool_calls": [
                            {"id": "D681PevKs", "function": {"name": "f", "arguments": "{}"}},
                            {"id": "E792QfwLt", "function": {"name": "f", "arguments": "[]"}},
                        ],
                    },
                    "tool_calls",
                ),
                usage=usage(94, 23),
            ),
            DONE,
        ),
        calls=(call("f", "{}", id="D681PevKs"), call("f", "[]", id="E792QfwLt", index=1)),
        chunks=2,
        finish="tool_calls",
        usage=usage(94, 23),
        **WIND_KNOWN,
    ),
    Row(
        claim="an error is an object named error",
        source="Mistral API, error responses",
        body=frames(
            wind("Bon"),
            {"object": "error", "message": "Service unavailable", "type": "unreachable_backend"},
        ),
        texts=("Bon",),
        chunks=1,
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says="Service unavailable",
        type="unreachable_backend",
        **WIND_KNOWN,
    ),
]

# ------------------------------------------------------------------ xAI

GROK: dict[str, Any] = {
    "id": "e409f4cc-6be8-4920-8de4-9849e7c66cd9",
    "object": "chat.completion.chunk",
    "created": 1732551988,
    "model": "grok-beta",
}

XAI = [
    Row(
        claim="usage counts up on each chunk, finish_reason is absent until the end",
        source="xAI API reference, streaming response",
        body=frames(
            *(
                event(
                    GROK,
                    {"index": 0, "delta": {"content": text, "role": "assistant"}},
                    usage=usage(38, n),
                    system_fingerprint="fp_6ca29cf396",
                )
                for n, text in enumerate(("Coca", "-Cola", " is"), 1)
            ),
            event(GROK, choice({"content": ""}, "stop"), usage=usage(38, 3)),
            DONE,
        ),
        texts=("Coca", "-Cola", " is"),
        chunks=4,
        usage=usage(38, 3),
        id=GROK["id"],
        model="grok-beta",
    ),
]
