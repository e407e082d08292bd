"""Messages in, the body of a chat-completions request out. No I/O.

Shapes from the OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from ..errors import Hint, InvalidRequestError
from .handle import Handle
from .text import without_lone_surrogates

__all__ = ["Messages", "request_body", "request_messages"]

Messages: TypeAlias = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""A user's text, one message, or the whole list, in the wire's own form."""


def request_messages(messages: Messages | Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the list the wire wants; a str is one user message."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    listed = messages if isinstance(messages, list) else _listed(messages)
    for message in listed:
        # A dict is one, too; to see that takes a tenth of the time.
        if not isinstance(message, dict) and not isinstance(message, Mapping):
            raise InvalidRequestError(
                f"a message is of type {type(message).__name__}",
                hint=Hint('each one is a dict such as {"role": "user", "content": "Hello"}'),
            )
    return [dict(message) for message in listed]


def _listed(messages: object) -> list[Any]:
    if isinstance(messages, Mapping):
        return [messages]
    if not isinstance(messages, Iterable) or isinstance(messages, bytes):
        raise InvalidRequestError(
            f"messages is of type {type(messages).__name__}",
            hint=Hint(
                "give a str, one message as a dict, or a list of such: "
                '[{"role": "user", "content": "Hello"}]'
            ),
        )
    return list(messages)


def request_body(messages: Sequence[Mapping[str, Any]], *, stream: bool, **fields: Any) -> bytes:
    """Return the JSON body; fields that are None are left out.

    messages: as request_messages() returns them.
    Lone surrogates in a prompt become U+FFFD, since no server accepts them. Raises
    InvalidRequestError for what JSON cannot carry.
    """
    handle = fields.get("conversation")
    if isinstance(handle, Handle):
        body = request_body(messages, stream=stream, **fields | {"conversation": None})
        raw = without_lone_surrogates(handle.raw).encode()
        return b'%b,"conversation":%b}' % (body[:-1], raw)
    fields = {"messages": messages, "stream": stream} | fields
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        written = orjson.dumps(given)
    except TypeError:  # a lone surrogate, a large integer, or no JSON at all
        return _slow_dumps(given)
    if b"null" in written:
        _refuse_odd_numbers(given)
    return bytes(memoryview(written))  # orjson's own keeps up to ten times the room


def _refuse_odd_numbers(body: dict[str, Any]) -> None:
    """Raise for NaN and infinity, which orjson writes as null."""
    for name, value in body.items():
        try:
            json.dumps(value, allow_nan=False, default=str)
        except ValueError as error:
            raise InvalidRequestError(
                f"{name} holds a number that JSON does not have: {error}"
            ) from error


def _slow_dumps(body: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequestError(f"the request cannot be written as JSON: {error}") from error
    return without_lone_surrogates(text).encode()
