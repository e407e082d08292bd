"""A list of messages in, one that g4f's shared cache has no key for out. No I/O.

Release 8.x of g4f keeps the conversation of a request for 12 hours under a hash of its
model and its messages, all but the last of the user's and the last of the assistant's. Two
users whose earlier messages are alike ("Hi", "Hello!") share a conversation then: the one
is told the other's name. A system message that no other request has makes every key
another one. (One message alone of the user's, or of the assistant's, has no key; a ``name``
in a message is not part of it.)
"""

from __future__ import annotations

import uuid

from .history import Message

__all__ = ["unshared"]


def unshared(messages: list[Message]) -> list[Message]:
    """Return the messages after a system message of their own; one without a key as it is."""
    if len(messages) == 1 and messages[0].get("role") in ("user", "assistant"):
        return messages
    return [{"role": "system", "content": f"Request id: {uuid.uuid4()}"}, *messages]
