"""The kinds of provider that g4f has, each in small: what it remembers, and by what.

In: a ``Remote``, the messages that g4f hands a provider, and the conversation object, if
it came back. Out: the remote's pieces, of which ``Memory`` is the object that goes back.
I/O: none but the remote's.

========== =========================================================================
Copilot    a conversation object; reads the last user message (as the real one does)
Reader     none; reads the whole list it gets
Neither    none; reads the last user message
Pool       two providers with objects, of which another one answers each time
Strict     an object, refused by a process that did not give it
Limit      an object, and an error after three turns
Login      an error: it wants a login at the server
========== =========================================================================
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from .behaviour import Memory, Piece, Remote

__all__ = ["ALONE", "POOL", "answer"]

ALONE = ("Copilot", "Reader", "Neither", "Strict", "Limit", "Login")
POOL = ("PoolOne", "PoolTwo")  # the members of Pool

TURNS = 3  # of Limit

_turns: dict[str, int] = {}  # by handle, of this process


def text_of(message: dict[str, Any]) -> str:
    """The text of a message, in parts or not."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


async def answer(
    kind: str, remote: Remote, messages: list[dict[str, Any]], handle: str | None
) -> AsyncIterator[Piece]:
    """The pieces of one answer of a provider of this kind."""
    asked = [text_of(message) for message in messages if message["role"] == "user"]
    if kind == "Reader":
        lines = (f"{message['role'].capitalize()}: {text_of(message)}" for message in messages)
        asked, handle = ["\n".join(lines)], None
    if kind == "Neither":
        handle = None
    if kind == "Login":
        raise remote.errors["MissingAuthError"]("Add a .har file for Login")
    if kind in POOL and handle is not None and not handle.startswith(kind):
        handle = None  # another provider's: there is no such conversation here
    if kind == "Strict" and handle is not None and handle not in _turns:
        raise RuntimeError("there is no such conversation")
    if kind == "Limit" and _turns.get(handle or "", 0) >= TURNS:
        raise remote.errors["ConversationLimitError"]("too many turns")
    async for piece in remote.answer(asked, handle, prefix=kind):
        if isinstance(piece, Memory):
            _turns[piece.conversation_id] = _turns.get(piece.conversation_id, 0) + 1
        if kind not in ("Reader", "Neither") or not isinstance(piece, Memory):
            yield piece
