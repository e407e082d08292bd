"""The commonest event in, its chunk out: what read_chunks() gives, with fewer looks. No I/O.

A stream begins and ends with such events, and a short answer is nothing else. An event
that holds no name but these has no error, handle, message or text of another kind to look for.
"""

from __future__ import annotations

from typing import Any

from .chat import ChatChunk

__all__ = ["common_chunk"]

_EVENT = frozenset(
    {
        *("id", "object", "created", "model", "provider", "choices", "usage"),
        *("service_tier", "system_fingerprint", "obfuscation", "p"),
    }
)
_WANTED = ("choices", "usage", "model", "provider", "id")
_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})
_EMPTY = frozenset({"reasoning", "reasoning_content", "refusal", "tool_calls", "function_call"})
_DELTA = frozenset({"role", "content"}) | _EMPTY
_TEXT_OR_NONE = frozenset({str, type(None)})
# None of them names a failure.
_REASONS = frozenset({None, "stop", "length", "content_filter", "tool_calls", "function_call"})


def common_chunk(event: dict[str, Any]) -> ChatChunk | None:
    """Return the chunk of an event of one choice, in which a text is all that may come; or None."""
    choices, usage, model, provider, id_ = map(event.get, _WANTED)
    if type(choices) is not list or len(choices) != 1 or not _EVENT.issuperset(event):
        return None
    choice = choices[0]
    if type(choice) is not dict or not _CHOICE.issuperset(choice):
        return None
    delta, reason = choice.get("delta"), choice.get("finish_reason")
    if type(delta) is not dict or not _DELTA.issuperset(delta):
        return None
    if not _EMPTY.isdisjoint(delta) and any(map(delta.get, _EMPTY)):
        return None
    content, refusal = delta.get("content"), delta.get("refusal")
    if not _TEXT_OR_NONE.issuperset(map(type, (content, refusal, reason, model, provider, id_))):
        return None
    if reason not in _REASONS or (usage is not None and type(usage) is not dict):
        return None
    return ChatChunk(  # by place, as in read_chunks()
        content or "",
        "",
        "",
        (),
        reason,
        0,
        usage or None,
        model or None,
        provider or None,
        id_ or None,
        event,
        choice,
    )
