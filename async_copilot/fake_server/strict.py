"""What OpenAI refuses in a request that a lenient server takes. No I/O.

In: the body of a chat request. Out: OpenAI's error object for the first thing it would refuse,
or None. The limits are those of its API reference for ``/v1/chat/completions``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["refusal_of"]

_KNOWN = frozenset(
    (
        *("messages", "model", "audio", "frequency_penalty", "function_call", "functions"),
        *(
            "logit_bias",
            "logprobs",
            "max_completion_tokens",
            "max_tokens",
            "metadata",
            "modalities",
        ),
        *("n", "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key"),
        *("prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier"),
        *("seed", "service_tier", "stop", "store", "stream", "stream_options", "temperature"),
        *("tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity"),
        "web_search_options",
    )
)
_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "n": (1, 128),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "top_logprobs": (0, 20),
}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def refusal_of(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """OpenAI's ``error`` object for this body, or None where it would answer."""
    for refuse in (_of_fields, _of_ranges, _of_messages, _of_tool_results, _of_tools):
        if (found := refuse(body)) is not None:
            message, param, code = found
            kind = "invalid_request_error"
            return {"message": message, "type": kind, "param": param, "code": code}
    return None


_Found = tuple[str, str | None, str | None]


def _of_fields(body: Mapping[str, Any]) -> _Found | None:
    if unknown := [key for key in body if key not in _KNOWN]:
        return f"Unrecognized request argument supplied: {unknown[0]}", None, None
    if not isinstance(body.get("model"), str) or not body["model"]:
        return "you must provide a model parameter", None, None
    if body.get("stream_options") is not None and body.get("stream") is not True:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        return message, "stream_options", None
    if body.get("top_logprobs") is not None and body.get("logprobs") is not True:
        message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
        return message, "top_logprobs", None
    if body.get("tool_choice") not in (None, "none") and not body.get("tools"):
        message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are"
        return f"{message} specified.", "tool_choice", None
    return None


def _of_ranges(body: Mapping[str, Any]) -> _Found | None:
    for name, (least, most) in _RANGES.items():
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            kind = type(value).__name__
            message = f"Invalid type for '{name}': expected a number, but got {kind} instead."
            return message, name, "invalid_type"
        if not least <= value <= most:
            below = value < least
            side, sign = ("below minimum", ">=") if below else ("above maximum", "<=")
            limit = least if below else most
            message = f"Invalid '{name}': {side} value. Expected a value {sign} {limit}, but got"
            kind = "integer" if name in ("n", "top_logprobs") else "decimal"
            code = f"{kind}_below_min_value" if below else f"{kind}_above_max_value"
            return f"{message} {value} instead.", name, code
    return None


def _of_messages(body: Mapping[str, Any]) -> _Found | None:
    messages = body.get("messages", [])
    if not messages:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got"
        )
        return f"{message} an empty array instead.", "messages", "empty_array"
    for at, message in enumerate(messages):
        where = f"messages[{at}]"
        if not isinstance(message, dict):
            return f"Invalid type for '{where}': expected an object.", where, "invalid_type"
        if (role := message.get("role")) not in _ROLES:
            known = ", ".join(f"'{name}'" for name in _ROLES)
            said = f"Invalid value: {role!r}. Supported values are: {known}."
            return said, f"{where}.role", "invalid_value"
        silent = role == "assistant" and (message.get("tool_calls") or message.get("refusal"))
        if not isinstance(message.get("content"), str | list) and not silent:
            said = "Invalid value for 'content': expected a string, got null."
            return said, f"{where}.content", None
    return None


def _of_tool_results(body: Mapping[str, Any]) -> _Found | None:
    """Each call has its result, each result its call."""
    open_ids: set[str] = set()
    for at, message in enumerate(body["messages"]):
        if message["role"] == "tool":
            if (given := message.get("tool_call_id")) not in open_ids:
                said = "Invalid parameter: messages with role 'tool' must be a response to a"
                return f"{said} preceeding message with 'tool_calls'.", f"messages[{at}].role", None
            open_ids.discard(given)
            continue
        if open_ids:
            break
        calls = message.get("tool_calls")
        open_ids = {str(call.get("id")) for call in calls or [] if isinstance(call, dict)}
    if open_ids:
        said = "An assistant message with 'tool_calls' must be followed by tool messages responding"
        missing = ", ".join(sorted(map(str, open_ids)))
        message = f"{said} to each 'tool_call_id'. The following tool_call_ids did not have"
        return f"{message} response messages: {missing}", "messages", None
    return None


def _of_tools(body: Mapping[str, Any]) -> _Found | None:
    tools = body.get("tools")
    if tools is None:
        return None
    if not isinstance(tools, list) or not tools:
        message = "Invalid 'tools': empty array. Expected an array with minimum length 1."
        return message, "tools", "empty_array"
    for at, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(tool, dict) and tool.get("type") == "custom":
            continue
        name = function.get("name") if isinstance(function, dict) else None
        where = f"tools[{at}].function.name"
        if not isinstance(name, str):
            return f"Missing required parameter: '{where}'.", where, "missing_required_parameter"
        if not _NAME.fullmatch(name):
            message = f"Invalid '{where}': string does not match pattern. Expected a string that"
            return f"{message} matches the pattern '^[a-zA-Z0-9_-]+$'.", where, "invalid_value"
    return None
