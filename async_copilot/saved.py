"""A conversation's state as a dict fit for JSON, and back. No I/O.

Of the server's side, the first releases saved only whether a turn had ended well, "begun".
Since then "server" says what it knows, and "conversation" is the handle's JSON text where
JSON libraries would change it. The format is still the same: either release reads both.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import Hint, InvalidRequestError
from .turn import place_of
from .wire.copies import copied
from .wire.handle import Handle
from .wire.history import Message
from .wire.objects import read_object
from .wire.request import request_messages
from .wire.server_memory import ServerMemory
from .wire.transcript import TRANSCRIPT_CHARS

__all__ = ["SETTINGS", "Saved", "read_saved"]

SETTINGS = (
    *("memory", "system", "model", "provider", "keep_partial", "echo_reasoning"),
    "max_transcript",
)
# What the first releases did not save.
_SINCE = {"echo_reasoning": "tools", "max_transcript": TRANSCRIPT_CHARS}
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Saved:
    """What is saved of a conversation.

    settings: options of Conversation(), by name.
    """

    id: str
    settings: dict[str, Any]
    history: list[Message]
    server: ServerMemory

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, copied."""
        handle = self.server.handle
        return {
            "format": _FORMAT,
            "id": self.id,
            **self.settings,
            "conversation": handle.raw if isinstance(handle, Handle) else copied(handle),
            "begun": self.server.begun,
            "server": self.server.to_dict(),
            "history": copied(self.history),
        }


def read_saved(saved: Mapping[str, Any]) -> Saved:
    """Return what Saved.to_dict() gave, of this release or an earlier one.

    Raises InvalidRequestError for anything else.
    """
    try:
        return _read(saved)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        said = f": {error.message}" if isinstance(error, InvalidRequestError) else ""
        raise InvalidRequestError(
            f"this is not a saved conversation{said}", hint=Hint("give what to_dict() returned")
        ) from error


def _read(saved: Mapping[str, Any]) -> Saved:
    if saved["format"] != _FORMAT:
        raise InvalidRequestError(
            f"its format is {saved['format']!r}, and this release reads {_FORMAT} alone"
        )
    if not isinstance(saved["history"], list):
        raise InvalidRequestError("its history is not a list")
    if not isinstance(saved["system"], str | None):
        raise InvalidRequestError("its system prompt is not a text")
    settings = {name: saved[name] for name in SETTINGS if name not in _SINCE}
    settings |= {name: saved.get(name, default) for name, default in _SINCE.items()}
    history = [copied(message) for message in request_messages(saved["history"])]
    handle = _handle(saved["conversation"])
    server = saved.get("server")
    return Saved(
        str(uuid.UUID(saved["id"])),
        settings,
        history,
        _old_server(saved, handle) if server is None else ServerMemory.from_dict(server, handle),
    )


def _handle(saved: Any) -> dict[str, Any] | None:
    """Return a handle: None, a dict, or a Handle for its own JSON text."""
    if saved is None:
        return None
    if isinstance(saved, str):
        return Handle(read_object(saved), saved)
    return dict(copied(saved))


def _old_server(saved: Mapping[str, Any], handle: dict[str, Any] | None) -> ServerMemory:
    """Return what the first releases' files say of the server's side.

    With a handle it knows the history, unless turns that were left are in it too. Without
    one nothing is certain, and the transcript is right in any case.
    """
    history = saved["history"]
    certain = bool(saved["begun"]) and handle is not None and not saved["keep_partial"]
    return ServerMemory(
        handle,
        place=place_of(saved["provider"], saved["model"]),
        system=saved["system"],
        known=len(history) if certain else 0,
        begun=certain,
    )
