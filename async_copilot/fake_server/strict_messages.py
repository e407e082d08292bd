"""What OpenAI refuses in the messages of a request. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .strict_words import Found, empty, missing, too_long, unsupported, wrong_type

__all__ = ["refused_messages"]

_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_PARTS = ("text", "image_url", "input_audio", "refusal", "audio", "file")


def refused_messages(body: Mapping[str, Any]) -> Iterator[Found]:
    """The errors of a body's messages."""
    messages = body["messages"]
    if not messages:
        yield empty("messages")
    for at, message in enumerate(messages):
        yield from _message(f"messages[{at}]", message)
    yield from _tool_results(messages)


def _message(where: str, message: Any) -> Iterator[Found]:
    yield from wrong_type(where, message, "an object")
    if "role" not in message:
        yield missing(f"{where}.role")
    if (role := message["role"]) not in _ROLES:
        yield unsupported(f"{where}.role", role, _ROLES)
    if role == "assistant":
        yield from _calls(f"{where}.tool_calls", message.get("tool_calls"))
    if role == "tool":
        if message.get("tool_call_id") is None:
            yield missing(f"{where}.tool_call_id")
        yield from wrong_type(f"{where}.tool_call_id", message["tool_call_id"], "a string")
    yield from _content(f"{where}.content", message)


def _content(where: str, message: Mapping[str, Any]) -> Iterator[Found]:
    content = message.get("content")
    silent = ("tool_calls", "function_call", "refusal", "audio")
    if content is None and message["role"] == "assistant" and any(map(message.get, silent)):
        return
    if content is None:
        yield "Invalid value for 'content': expected a string, got null.", where, None
    yield from wrong_type(where, content, "a string", "an array")
    for at, part in enumerate(content if isinstance(content, list) else ()):
        yield from wrong_type(f"{where}[{at}]", part, "an object")
        if (kind := part.get("type")) not in _PARTS:
            yield unsupported(f"{where}[{at}].type", kind, _PARTS)
        if kind not in part:
            yield missing(f"{where}[{at}].{kind}")


def _calls(where: str, calls: Any) -> Iterator[Found]:
    yield from wrong_type(where, calls, "an array", optional=True)
    if calls == []:
        yield empty(where)
    yield from too_long(where, calls or [], 128)
    for at, call in enumerate(calls or []):
        place = f"{where}[{at}]"
        yield from wrong_type(place, call, "an object")
        for name in ("id", "type"):
            if name not in call:
                yield missing(f"{place}.{name}")
            yield from wrong_type(f"{place}.{name}", call[name], "a string")
        if call["type"] not in ("function", "custom"):
            yield unsupported(f"{place}.type", call["type"], ("function", "custom"))
        texts = ("name", "arguments") if call["type"] == "function" else ("name", "input")
        inner = call.get(call["type"])
        for name in texts:
            if not isinstance(inner, dict) or name not in inner:
                yield missing(f"{place}.{call['type']}.{name}")
            yield from wrong_type(f"{place}.{call['type']}.{name}", inner[name], "a string")


def _tool_results(messages: list[Any]) -> Iterator[Found]:
    """Each call has its result, each result its call."""
    open_ids: set[str] = set()
    for at, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_ids:
                told = "Invalid parameter: messages with role 'tool' must be a response to a"
                where = f"messages[{at}].role"
                yield f"{told} preceeding message with 'tool_calls'.", where, None
            open_ids.discard(message["tool_call_id"])
            continue
        if open_ids:
            break
        open_ids = {call["id"] for call in message.get("tool_calls") or ()}
    if open_ids:
        told = "An assistant message with 'tool_calls' must be followed by tool messages responding"
        ids = ", ".join(sorted(open_ids))
        told = f"{told} to each 'tool_call_id'. The following tool_call_ids did not have response"
        yield f"{told} messages: {ids}", "messages", None
