"""A message and a history in, one turn as it goes out. No I/O.

With the client's memory that is the whole history; with the server's, one user message,
which tells what the server may not know (see ``wire.server_memory``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import Hint, InvalidRequestError
from .options import check_messages
from .wire.history import Echo, Message, in_order
from .wire.server_memory import Asked, ServerMemory

__all__ = ["Turn", "client_turn", "place_of", "server_turn"]


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn as it goes out.

    history: what stands before the answer in the history, the turn's own messages last.
    outgoing: the messages of the request.  fields: of the request besides.
    left_out: in words, what of the history does not go out.
    asked: what the server was told, with the server's memory.
    """

    history: list[Message]
    outgoing: list[Message]
    fields: dict[str, Any]
    left_out: list[str]
    asked: Asked | None = None


def client_turn(
    new: list[Message], history: list[Message], *, system: str | None, echo: Echo
) -> Turn:
    """Return the turn that sends the history, in order, and the new messages after it.

    Raises InvalidRequestError for no new message, for one without a role, and where none of
    them can be sent: results whose calls are not in the history.
    """
    check_messages(new)
    messages, left_out = in_order([*history, *new], echo=echo)
    sent = {id(message) for message in messages}
    if not any(id(message) in sent for message in new):
        raise InvalidRequestError(
            "nothing of this turn can be sent: " + ", ".join(left_out),
            hint=Hint(
                "the calls of an answer that was cut off (finish_reason 'length'), failed or was "
                "left are not in the history; ask again"
            ),
        )
    head = [{"role": "system", "content": system}] if system else []
    return Turn(messages, [*head, *messages], {}, left_out)


def server_turn(
    new: list[Message],
    history: list[Message],
    server: ServerMemory,
    *,
    conversation_id: str,
    place: str,
    system: str | None,
    limit: int,
) -> Turn:
    """Return the turn that sends one user message, and what the server may not know.

    place: who is asked, see place_of().  limit: characters of what is told.
    Raises InvalidRequestError for anything but one user message.
    """
    if len(new) != 1 or new[0].get("role") != "user":
        raise InvalidRequestError(
            'with memory="server" a turn is one user message, since g4f drops the others or '
            "shares them between clients",
            hint=Hint('give memory="client" for more'),
        )
    asked = server.ask(new[0], history, place=place, system=system, limit=limit)
    fields = {
        "conversation_id": server.wire_id(conversation_id),
        "conversation": asked.handle,
    }
    return Turn([*history, *new], [asked.message], fields, asked.left_out, asked)


def place_of(provider: Any, model: Any) -> str:
    """Return who is asked: a provider for a model, or the one that g4f chooses for it."""
    if not provider or not isinstance(provider, str):
        return f"model={model or ''}"
    return f"{provider} model={model}" if model else provider
