"""What a fake chat server saw. No I/O, nothing of ours imported.

In: the bytes of a request. Out: a ``Request``, in which the server also notes how the
answer went.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Request", "problem_of", "read_request", "user_texts"]

# g4f's path for one provider; it goes before the field of that name.
_PROVIDER_PATH = re.compile(r"/api/([^/]+)/")
# Azure's path for one deployment, which is the model where the body names none.
_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)/")


@dataclass(slots=True, eq=False)
class Request:
    """A chat request and what became of it. Headers and handles are not in its repr.

    method, path: as they came.
    messages, text: the message list, and the text of the last user message.
    provider:   the g4f provider it names, in its path or its body; None where it names none.
    body:       the parsed JSON object, {} where it was none; ``raw`` are its bytes.
    connection: 1 for the first TCP connection the server accepted, and so on.
    known:      earlier user messages of this conversation that the server remembers.
    status:     of the answer; None while none is sent. ``pieces``: how many were sent.
    ended:      seconds from the request to its answer's end, None before that.
    left:       seconds from the request to the client's leaving before that end, or None.
    dropped:    whether the script cut the connection.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    raw: bytes = field(repr=False)
    body: dict[str, Any] = field(repr=False)
    messages: list[Any] = field(repr=False)
    text: str
    model: str | None
    provider: str | None
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

    @property
    def asked(self) -> Any:
        """The JSON object of the body, or its text where it was none."""
        return self.body or self.raw.decode("utf-8", "replace")

    @property
    def is_chat(self) -> bool:
        """Whether it has messages; else it is one of the older text completions."""
        return _is_chat(self.path)

    @property
    def tool_call_ids(self) -> tuple[str, ...]:
        """The ids of the tool results that the request ends with."""
        found: list[str] = []
        for message in reversed(self.messages):
            if not isinstance(message, dict) or message.get("role") != "tool":
                break
            found.append(str(message.get("tool_call_id")))
        return tuple(reversed(found))

    def summary(self) -> str:
        """The request in a few words, for a message to the test's author."""
        text = self.text if len(self.text) <= 60 else self.text[:57] + "..."
        after = f" after results of {', '.join(self.tool_call_ids)}" if self.tool_call_ids else ""
        named = f" (model {self.model!r})" if self.model else ""
        return f"{self.method} {self.path} {text!r}{after}{named}"


def read_request(method: str, path: str, headers: Mapping[str, str], raw: bytes) -> Request:
    """A request from its bytes; whatever is not of the right type is None or empty."""
    parsed = _parsed(raw)
    body = parsed if isinstance(parsed, dict) else {}
    messages = body.get("messages") if _is_chat(path) else _prompt(body.get("prompt"))
    handle = body.get("conversation")
    name = body.get("conversation_id")
    deployment = _DEPLOYMENT.match(path)
    model = body.get("model") or (deployment and deployment[1])
    users = user_texts(messages)
    path_provider = _PROVIDER_PATH.match(path)
    provider = path_provider[1] if path_provider else body.get("provider")
    return Request(
        method=method,
        path=path,
        headers=headers,
        raw=raw,
        body=body,
        messages=messages if isinstance(messages, list) else [],
        text=users[-1] if users else "",
        model=model if isinstance(model, str) else None,
        provider=provider if isinstance(provider, str) else None,
        stream=body.get("stream") is True,
        conversation_id=name if isinstance(name, str) else None,
        conversation=handle if isinstance(handle, dict) else None,
    )


def problem_of(request: Request) -> str | None:
    """Why this is not a chat request: "empty", "json", "missing" or "type"; None when it is one."""
    if not request.raw:
        return "empty"
    if not isinstance(_parsed(request.raw), dict):
        return "json"
    needed, kind = ("messages", list) if request.is_chat else ("prompt", str | list)
    if needed not in request.body:
        return "missing"
    return None if isinstance(request.body[needed], kind) else "type"


def _is_chat(path: str) -> bool:
    return "chat/completions" in path


def _prompt(prompt: object) -> list[Any]:
    """The messages that stand for the prompt of a text completion."""
    texts = prompt if isinstance(prompt, list) else [prompt]
    joined = "".join(text for text in texts if isinstance(text, str))
    return [{"role": "user", "content": joined}]


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
