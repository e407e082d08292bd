"""What a fake chat server saw and what it remembers. No I/O, nothing of ours imported.

In: the bytes of a request. Out: a ``Request``, in which the server also notes how the
answer went; and ``Memory``, which says what the server knows in that conversation.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = ["Memory", "MemoryKind", "Request", "problem_of", "read_request", "user_texts"]

MemoryKind: TypeAlias = Literal["echo", "crosstalk", "id", "messages", "none"]
"""How a conversation goes on. "echo": by the ``conversation`` object sent back (g4f 8.x).
"crosstalk": that, and g4f 8.x's cache, by which two clients with the same system message
share a conversation. "id": by ``conversation_id`` (g4f 0.4.9.0). "messages": by the
messages of the request alone (OpenAI and the like). "none": every request is the first."""


@dataclass(slots=True, eq=False)
class Request:
    """A chat request and what became of it. Headers and handles are not in its repr.

    messages, text: the message list, and the text of the last user message.
    body:       the parsed JSON object, {} where it was none; ``raw`` are its bytes.
    connection: 1 for the first TCP connection the server accepted, and so on.
    known:      earlier user messages of this conversation that the server remembers.
    status:     of the answer; None while none is sent. ``pieces``: how many were sent.
    ended:      seconds from the request to its answer's end, None before that.
    left:       seconds from the request to the client's leaving before that end, or None.
    dropped:    whether the script cut the connection.
    """

    path: str
    headers: Mapping[str, str] = field(repr=False)
    raw: bytes = field(repr=False)
    body: dict[str, Any] = field(repr=False)
    messages: list[Any] = field(repr=False)
    text: str
    model: str | None
    stream: bool
    conversation_id: str | None = field(repr=False)
    conversation: dict[str, Any] | None = field(repr=False)
    connection: int = 0
    known: tuple[str, ...] = field(default=(), repr=False)
    status: int | None = None
    pieces: int = 0
    ended: float | None = None
    left: float | None = None
    dropped: bool = False


def read_request(path: str, headers: Mapping[str, str], raw: bytes) -> Request:
    """A request from its bytes; whatever is not of the right type is None or empty."""
    parsed = _parsed(raw)
    body = parsed if isinstance(parsed, dict) else {}
    messages = body.get("messages")
    handle = body.get("conversation")
    model, name = body.get("model"), body.get("conversation_id")
    users = user_texts(messages)
    return Request(
        path=path,
        headers=headers,
        raw=raw,
        body=body,
        messages=messages if isinstance(messages, list) else [],
        text=users[-1] if users else "",
        model=model if isinstance(model, str) else None,
        stream=body.get("stream") is True,
        conversation_id=name if isinstance(name, str) else None,
        conversation=handle if isinstance(handle, dict) else None,
    )


def problem_of(request: Request) -> str | None:
    """Why this is no chat request: "empty", "json", "missing" or "type"; None when it is one."""
    if not request.raw:
        return "empty"
    if not isinstance(_parsed(request.raw), dict):
        return "json"
    if "messages" not in request.body:
        return "missing"
    return None if isinstance(request.body["messages"], list) else "type"


def _parsed(raw: bytes) -> object:
    """Any JSON, as lenient as the servers' own parsers; None where it is none."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def user_texts(messages: object) -> list[str]:
    """The texts of the user messages, in order; a list of parts is joined."""
    listed = messages if isinstance(messages, list) else []
    return [
        _text(message.get("content"))
        for message in listed
        if isinstance(message, dict) and message.get("role") == "user"
    ]


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


class Memory:
    """Conversations by their key, each the list of its user messages."""

    def __init__(self, kind: MemoryKind) -> None:
        self.kind = kind
        self._texts: dict[str, list[str]] = {}
        self._cache: dict[str, str] = {}

    def recall(self, request: Request) -> str:
        """Sets ``request.known``; returns the conversation's key, a new one where it has none."""
        if self.kind == "messages":
            request.known = tuple(user_texts(request.messages)[:-1])
        key = self._key(request)
        if key in self._texts:
            request.known = tuple(self._texts[key])
        return key

    def keep(self, key: str, request: Request) -> None:
        """Remembers the request's text under the key ``recall`` gave for it."""
        self._texts.setdefault(key, []).append(request.text)
        if self.kind == "crosstalk" and (shared := _shared_key(request)):
            self._cache[shared] = key

    def _key(self, request: Request) -> str:
        new = str(uuid.uuid4())
        if self.kind == "id":
            return request.conversation_id or new
        if self.kind not in ("echo", "crosstalk"):
            return new
        if self.kind == "crosstalk" and (shared := _shared_key(request)) in self._cache:
            return self._cache[shared]
        echoed = (request.conversation or {}).get("conversation_id")
        # An id of a server that was stopped since: the conversation starts anew, under a new id.
        return echoed if isinstance(echoed, str) and echoed in self._texts else new


def _shared_key(request: Request) -> str:
    """g4f 8.x's cache key: the model and all but the last user and last assistant message.

    Empty where nothing is left: one user message alone is never cached.
    """
    rest = list(request.messages)
    for role in ("user", "assistant"):
        at = [n for n, message in enumerate(rest) if _role(message) == role]
        if at:
            del rest[at[-1]]
    return json.dumps([request.model, rest]) if rest else ""


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, dict) else None
