"""What OpenAI refuses in the tools of a request and in strict schemas. No I/O."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from .strict_words import Found, empty, missing, too_long, unsupported, wrong_type

__all__ = ["refused_schema", "refused_tools"]

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_CHOICES = ("none", "auto", "required")


def refused_tools(body: Mapping[str, Any]) -> Iterator[Found]:
    """The errors of a body's tools and of the choice among them."""
    tools = body.get("tools")
    if tools is None:
        return
    if not tools:
        yield empty("tools")
    yield from too_long("tools", tools, 128)
    for at, tool in enumerate(tools):
        yield from _tool(f"tools[{at}]", tool)
    names = [tool[tool["type"]]["name"] for tool in tools]
    yield from _choice(body.get("tool_choice"), names)


def _tool(where: str, tool: Any) -> Iterator[Found]:
    yield from wrong_type(where, tool, "an object")
    if (kind := tool.get("type")) is None:
        yield missing(f"{where}.type")
    if kind not in ("function", "custom"):
        yield unsupported(f"{where}.type", kind, ("function", "custom"))
    inner = tool.get(kind)
    place = f"{where}.{kind}.name"
    if not isinstance(inner, dict) or "name" not in inner:
        yield missing(place)
    name = inner["name"]
    yield from wrong_type(place, name, "a string")
    yield from too_long(place, name, 64)
    if not _NAME.fullmatch(name):
        told = "string does not match pattern. Expected a string that matches the pattern"
        yield f"Invalid '{place}': {told} '^[a-zA-Z0-9_-]+$'.", place, "invalid_value"
    parameters = inner.get("parameters")
    place = f"{where}.{kind}.parameters"
    yield from wrong_type(place, parameters, "an object", optional=True)
    if inner.get("strict") is True:
        code = "invalid_function_parameters"
        yield from refused_schema(parameters or {}, f"function '{name}'", place, code)


def _choice(choice: Any, names: list[str]) -> Iterator[Found]:
    if choice is None:
        return
    if isinstance(choice, str):
        if choice not in _CHOICES:
            yield unsupported("tool_choice", choice, _CHOICES)
        return
    yield from wrong_type("tool_choice", choice, "an object")
    chosen = choice.get("function", choice.get("custom"))
    if isinstance(chosen, dict) and "name" in chosen and chosen["name"] not in names:
        told = f"Tool choice '{chosen['name']}' not found in 'tools' parameter."
        yield told, "tool_choice", None


def refused_schema(schema: Any, of: str, param: str, code: str | None) -> Iterator[Found]:
    """The errors of a schema that ``strict`` makes exact: every object is closed and complete."""
    yield from wrong_type(param, schema, "an object")
    for context, one in _objects(schema):
        start = f"Invalid schema for {of}: In context={context}, "
        if one.get("additionalProperties") is not False:
            told = "'additionalProperties' is required to be supplied and to be false."
            yield start + told, param, code
        required = one.get("required")
        for name in one.get("properties") or {}:
            if name not in (required or ()):
                told = "'required' is required to be supplied and to be an array including every"
                yield f"{start}{told} key in properties. Missing '{name}'.", param, code


def _objects(schema: Any) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every object schema in a schema, with the way to it."""
    waiting: deque[tuple[tuple[str, ...], Any]] = deque([((), schema)])
    while waiting:
        context, one = waiting.popleft()
        if not isinstance(one, dict):
            continue
        if one.get("type") == "object":
            yield context, one
        for key in ("properties", "$defs", "definitions"):
            if isinstance(one.get(key), dict):
                waiting += [((*context, key, name), inner) for name, inner in one[key].items()]
        waiting += [((*context, "items"), one.get("items"))]
        choices: Any = one.get("anyOf")
        choices = choices if isinstance(choices, list) else []
        waiting += [((*context, "anyOf", str(n)), inner) for n, inner in enumerate(choices)]
