"""A server's conversation object, as it came and as it goes back. No I/O.

g4f's API gives it as ``conversation`` of an answer's last chunk, and takes it back as
``conversation`` of the next request. What is in it is the provider's own: an id, a
cursor, a whole history. So it is opaque here, and it has to come back unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

from .copies import copied
from .sse import Bytes

__all__ = ["Handle", "handle_from", "kept", "names_one", "same_conversation"]

# The strings of a JSON text, and the marks that give it its shape.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[][{},:]', re.DOTALL)

# Names under which g4f's providers keep the id of a conversation: Copilot, OpenaiChat, Grok,
# Gemini, OperaAria, BraveSearch; HuggingChat; Qwen, GLM, HailuoAI; DeepSeek; Perplexity; Arena;
# AgentTools; the spaces; Yupp.
_CONVERSATION = re.compile(
    r"(?!.*(?:message|parent|request|response|user|visitor))"
    r"(?:.*(?:conversation|chat|thread|context|session)_?(?:uu)?id"
    r"|(?:session|agent)_?(?:hash|session)|url_uuid)",
    re.IGNORECASE,
)
_DEPTH = 3  # HuggingChat's is the deepest: models, one of them, its conversationId


class Handle(dict[str, Any]):
    """A handle that JSON libraries would change: NaN, an integer above 64 bits, deep nesting.

    It equals the dict that was read; what is sent back is ``raw``, its own JSON text.
    """

    __slots__ = ("raw",)

    def __init__(self, value: Mapping[str, Any], raw: str) -> None:
        super().__init__(value)
        self.raw = raw

    def __deepcopy__(self, memo: dict[int, Any]) -> Handle:
        return Handle(self, self.raw)  # as deep as the JSON text may be

    def __reduce__(self) -> tuple[Any, ...]:
        return Handle, (dict(self), self.raw)


def handle_from(value: Any, data: Bytes | str) -> Any:
    """Return the handle of an event: value itself, or a Handle where JSON would change it.

    value: the event's ``conversation`` as it was read.  data: the event's JSON.
    """
    if not isinstance(value, dict):
        return value  # null, most often
    text = data if isinstance(data, str) else bytes(data).decode(errors="replace")
    try:
        if orjson.dumps(value).decode() in text:
            return value
        raw = _member(text, "conversation")
        if raw is None or _stays_itself(raw):
            return value
    except (TypeError, ValueError, RecursionError):  # a large integer, 254 levels, NaN
        raw = _member(text, "conversation")
    return value if raw is None else Handle(value, raw)


def kept(handle: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a copy of a handle that shares nothing with it."""
    return handle if handle is None or isinstance(handle, Handle) else copied(handle)


def _stays_itself(raw: str) -> bool:
    """True for JSON whose numbers every library reads alike. Raises for other text."""
    from decimal import Decimal  # noqa: PLC0415  # for g4f's handles alone

    numbers: list[bool] = []
    json.loads(
        raw,
        parse_float=lambda text: numbers.append(Decimal(text) == Decimal(repr(float(text)))),
        parse_int=lambda text: numbers.append(len(text) < 19),  # below 2**63
        parse_constant=lambda _: numbers.append(False),
    )
    return all(numbers)


def _member(text: str, name: str) -> str | None:
    """Return the JSON text of a member of the object that text is; the last one counts."""
    depth, start, key, found = 0, None, "", None
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "{[":
            depth += 1
        elif mark in "]}":
            depth -= 1
        if start is not None and (depth == 0 or (depth == 1 and mark == ",")):
            found = text[start : token.start()].strip()
            start = None
        elif depth == 1 and start is None and mark == ":":
            start = token.end() if key == name else None
        elif depth == 1 and start is None and mark[0] == '"':
            key = mark[1:-1]
    return found


def same_conversation(
    sent: Mapping[str, Any], received: Mapping[str, Any], provider: str | None
) -> bool | None:
    """Tell whether two handles mean one conversation; None where they do not say.

    provider: who answered. A pool of providers keeps a handle for each, by name.
    Providers put more into a handle than the conversation's id, such as the id of the
    last message, which changes with each turn.
    """
    if provider is not None and isinstance(received.get(provider), Mapping):
        inner = sent.get(provider)
        return isinstance(inner, Mapping) and same_conversation(inner, received[provider], None)
    ids, now = _ids(sent), _ids(received)
    if both := ids.keys() & now.keys():
        return all(ids[path] == now[path] for path in both)
    # Yqcloud's has no id but the whole history, which grows.
    grows = any(
        isinstance(value, list) and _begins(received.get(name), value)
        for name, value in sent.items()
    )
    return True if grows or sent == received else None


def _begins(longer: Any, list_: list[Any]) -> bool:
    return isinstance(longer, list) and bool(list_) and longer[: len(list_)] == list_


def _ids(handle: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return what in a handle names a conversation, by where it stands."""
    found: dict[tuple[str, ...], Any] = {}
    for name, value in handle.items():
        if isinstance(value, Mapping) and len(path) < _DEPTH:
            found |= _ids(value, (*path, name))
        elif value not in (None, "") and _CONVERSATION.fullmatch(name):
            found[*path, name] = value
    return found


def names_one(handle: Mapping[str, Any] | None) -> bool:
    """True for a handle that a conversation can be gone on with.

    False for an empty one, and for one whose ids are all empty, as ChatGPT's are where it
    could not read them off its page: the next turn would begin another conversation.
    """
    if not handle:
        return False
    return bool(_ids(handle)) or not any(map(_CONVERSATION.fullmatch, handle))
