"""What OpenAI refuses in a request that a lenient server takes. No I/O.

In: the body of a chat request. Out: OpenAI's error object for the first thing it would refuse,
or None. The limits are those of its API reference for ``/v1/chat/completions``, the words those
of its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .strict_messages import refused_messages
from .strict_tools import refused_schema, refused_tools
from .strict_words import Found, combination, missing, too_long, unsupported, wrong_type

__all__ = ["refusal_of"]

_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("stream", "logprobs", "parallel_tool_calls", "store"), "a boolean"),
    **dict.fromkeys(("n", "seed", "max_tokens", "max_completion_tokens"), "an integer"),
    "top_logprobs": "an integer",
    **dict.fromkeys(("temperature", "top_p", "frequency_penalty", "presence_penalty"), "a decimal"),
    **dict.fromkeys(("model", "user", "prompt_cache_key", "safety_identifier"), "a string"),
    **dict.fromkeys(("reasoning_effort", "service_tier", "verbosity"), "a string"),
    **dict.fromkeys(("stream_options", "response_format", "logit_bias", "metadata"), "an object"),
    **dict.fromkeys(("audio", "prediction", "web_search_options"), "an object"),
    **dict.fromkeys(("messages", "tools", "functions", "modalities"), "an array"),
}
_OTHERS = ("function_call", "prompt_cache_retention", "stop", "tool_choice")
_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "n": (1, 128),
    "max_tokens": (1, None),
    "max_completion_tokens": (1, None),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "top_logprobs": (0, 20),
}
_FORMATS = ("text", "json_object", "json_schema")


def refusal_of(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """OpenAI's ``error`` object for this body, or None where it would answer."""
    for refuse in _REFUSALS:
        for message, param, code in refuse(body):
            kind = "invalid_request_error"
            return {"message": message, "type": kind, "param": param, "code": code}
    return None


def _fields(body: Mapping[str, Any]) -> Iterator[Found]:
    for key in body:
        if key not in _TYPES and key not in _OTHERS:
            yield f"Unrecognized request argument supplied: {key}", None, None
    if body.get("model") in (None, ""):
        yield "you must provide a model parameter", None, None
    for name, wanted in _TYPES.items():
        yield from wrong_type(name, body.get(name), wanted, optional=True)


def _ranges(body: Mapping[str, Any]) -> Iterator[Found]:
    for name, (least, most) in _RANGES.items():
        value = body.get(name)
        if value is None or (value >= least and (most is None or value <= most)):
            continue
        kind = _TYPES[name].split()[1]
        side, sign, limit = ("above maximum", "<=", most)
        if value < least:
            side, sign, limit = ("below minimum", ">=", least)
        told = f"Expected a value {sign} {limit}, but got {value} instead."
        code = f"{kind}_{side.split()[0]}_{side.split()[1][:3]}_value"
        yield f"Invalid '{name}': {kind} {side} value. {told}", name, code


def _combinations(body: Mapping[str, Any]) -> Iterator[Found]:
    if body.get("stream_options") is not None and body.get("stream") is not True:
        yield combination("stream_options", "'stream' is enabled", "parameter ")
    if body.get("top_logprobs") is not None and body.get("logprobs") is not True:
        yield combination("top_logprobs", "'logprobs' is enabled", "parameter ")
    if not body.get("tools"):
        for name in ("tool_choice", "parallel_tool_calls"):
            if body.get(name) not in (None, "none"):
                message, param, code = combination(name, "'tools' are specified")
                yield f"Invalid value for '{name}': {message}", param, code
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        told = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        yield told, "max_tokens", "invalid_parameter_combination"
    stop = body.get("stop")
    if not isinstance(stop, list):
        yield from wrong_type("stop", stop, "a string", optional=True)
    else:
        yield from too_long("stop", stop, 4)


def _format(body: Mapping[str, Any]) -> Iterator[Found]:
    given = body.get("response_format")
    if given is None:
        return
    if (kind := given.get("type")) not in _FORMATS:
        yield unsupported("response_format.type", kind, _FORMATS)
    if kind == "json_object" and "json" not in repr(body.get("messages")).lower():
        told = "'messages' must contain the word 'json' in some form, to use 'response_format' of"
        yield f"{told} type 'json_object'.", "messages", None
    if kind != "json_schema":
        return
    schema = given.get("json_schema")
    if not isinstance(schema, dict):
        yield missing("response_format.json_schema")
    elif not isinstance(schema.get("name"), str):
        yield missing("response_format.json_schema.name")
    elif schema.get("strict") is True:
        where = f"response_format '{schema['name']}'"
        yield from refused_schema(schema.get("schema"), where, "response_format", None)


_REFUSALS: tuple[Callable[[Mapping[str, Any]], Iterator[Found]], ...] = (
    *(_fields, _ranges, _combinations, refused_messages, refused_tools, _format),
)
