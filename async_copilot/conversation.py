"""Turns in, replies out, with memory between them; history changes only on success."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal, Protocol, Self, TypeAlias, get_args

from .errors import AmnesiaWarning, Hint, InvalidRequestError, TurnInProgressError
from .reply import Reply
from .wire.chat import Messages, request_messages

__all__ = ["Conversation", "Memory", "Streams"]

Memory: TypeAlias = Literal["server", "client"]
"""Who remembers: a g4f server, or this object, which sends the history each time."""

_MEMORIES = get_args(Memory)
_FORMAT = 1  # of to_dict()


class Streams(Protocol):
    """What a conversation needs of a client; CopilotClient has it."""

    def stream(self, messages: Messages, **options: Any) -> AbstractAsyncContextManager[Reply]: ...


class Conversation:
    """One conversation: a turn at a time, each knowing the ones before.

    memory="server" (g4f): sends ``conversation_id`` and, from the second turn on, the
        ``conversation`` object that the server gave. Both, because releases up to 0.4.9.0
        remember by the id and later ones only by the object. A request holds the one new
        user message and nothing else: g4f 8.x shares its cache of conversations between
        clients whose earlier messages are alike, a system message included, and a single
        user message has no key in it. So the system prompt is put at the head of the
        first message.
    memory="client" (any other server): sends the system prompt and the whole history,
        and none of g4f's own fields.

    system: a system prompt.
    model: "" lets a g4f server choose.  provider: "Copilot" with memory="server", None
        (not sent) with memory="client".
    keep_partial: keep a turn that failed or was left, with the text that had come.
        By default such a turn leaves nothing in the history, so it can be asked again.
    options: for each turn, as CopilotClient.stream() takes them.

    id: the uuid4 sent as ``conversation_id``.
    handle: the server's conversation object, opaque; a secret of the conversation.
    history: the messages so far, in the wire's form, the system prompt not among them.
    """

    def __init__(
        self,
        client: Streams,
        *,
        memory: Memory = "server",
        system: str | None = None,
        model: str | None = "",
        provider: str | Literal[False] | None = False,
        keep_partial: bool = False,
        **options: Any,
    ) -> None:
        if memory not in _MEMORIES:
            raise InvalidRequestError(
                f"memory={memory!r}", hint=Hint('it is "server" (g4f) or "client"')
            )
        self.id = str(uuid.uuid4())
        self.handle: dict[str, Any] | None = None
        self.memory = memory
        self.system = system
        self.model = model
        default = "Copilot" if memory == "server" else None
        self.provider = default if provider is False else provider
        self.keep_partial = keep_partial
        self._client = client
        self._options = options
        self._messages: list[dict[str, Any]] = []
        self._begun = False  # a turn has ended well: the server knows the system prompt
        self._busy = False

    @property
    def history(self) -> list[dict[str, Any]]:
        """A copy: the messages of the turns that succeeded, theirs and ours in turn."""
        return [dict(message) for message in self._messages]

    def stream(self, message: Messages, **options: Any) -> AbstractAsyncContextManager[Reply]:
        """Take one turn; ``async with`` gives its Reply.

        message: a str or a user message; with memory="client" also a list of messages,
            such as the results of tool calls.
        options: for this turn, over the conversation's own.

        The turn enters the history when its reply ends COMPLETE or DONE. Raises
        TurnInProgressError while another turn is running, which goes on undisturbed,
        and what CopilotClient.stream() raises. Warns with AmnesiaWarning, and sets
        ``reply.remembered`` to False, when the server answered in another conversation.
        """
        return self._turn(message, options, warn_at=4)  # after _turn and contextlib

    async def ask(self, message: Messages, **options: Any) -> Reply:
        """Take one turn and return its reply when it has ended; see stream()."""
        async with self._turn(message, options, warn_at=5) as reply:  # and this
            async for _ in reply:
                pass
        return reply

    @asynccontextmanager
    async def _turn(
        self, message: Messages, options: dict[str, Any], *, warn_at: int
    ) -> AsyncIterator[Reply]:
        if self._busy:
            raise TurnInProgressError(
                "a turn of this conversation is running",
                hint=Hint(
                    "await its end first, or make another conversation for questions asked "
                    "side by side"
                ),
            )
        messages = request_messages(message)
        self._busy = True
        try:
            async with self._client.stream(
                self._outgoing(messages), **{**self._options, **self._fields(), **options}
            ) as reply:
                try:
                    yield reply
                finally:
                    self._take_in(messages, reply, warn_at)
        finally:
            self._busy = False

    def to_dict(self) -> dict[str, Any]:
        """Return what from_dict() needs to go on later, elsewhere; fit for JSON.

        It holds the whole conversation and the server's handle of it: keep it as safe as
        you would the text. The client, its key and per-turn options are not in it.
        """
        return {
            "format": _FORMAT,
            "id": self.id,
            "memory": self.memory,
            "system": self.system,
            "model": self.model,
            "provider": self.provider,
            "keep_partial": self.keep_partial,
            "begun": self._begun,
            "conversation": self.handle,
            "history": self.history,
        }

    @classmethod
    def from_dict(cls, client: Streams, saved: Mapping[str, Any], **options: Any) -> Self:
        """Go on with a saved conversation, on any client of the same server.

        Raises InvalidRequestError where saved is not what to_dict() returned.
        """
        try:
            if saved["format"] != _FORMAT:
                raise ValueError(f"format {saved['format']!r}; this release reads {_FORMAT}")
            if not isinstance(saved["history"], list):
                raise TypeError("its history is not a list")
            if not isinstance(saved["system"], str | None):
                raise TypeError("its system prompt is not a str")
            settings = ("memory", "system", "model", "provider", "keep_partial")
            chat = cls(client, **{name: saved[name] for name in settings}, **options)
            chat.id = str(uuid.UUID(saved["id"]))
            chat.handle = None if saved["conversation"] is None else dict(saved["conversation"])
            chat._begun = bool(saved["begun"])
            chat._messages = request_messages(saved["history"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InvalidRequestError(
                f"this is not a saved conversation ({type(error).__name__}: {error})",
                hint=Hint("give what to_dict() returned"),
            ) from error
        return chat

    def __repr__(self) -> str:
        return f"<Conversation {self.id} memory={self.memory} messages={len(self._messages)}>"

    def _fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"model": self.model, "provider": self.provider}
        if self.memory == "server":
            fields |= {"conversation_id": self.id, "conversation": self.handle}
        return fields

    def _outgoing(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the messages to send for a turn."""
        if self.memory == "client":
            system = [{"role": "system", "content": self.system}] if self.system else []
            return [*system, *self._messages, *messages]
        if len(messages) != 1 or messages[0].get("role") != "user":
            raise InvalidRequestError(
                'with memory="server" a turn is one user message, since g4f drops the '
                "others or shares them between clients",
                hint=Hint("use {option} for more", 'memory="client"'),
            )
        if self.system and not self._begun:
            return [_with_system(self.system, messages[0])]
        return messages

    def _take_in(self, messages: list[dict[str, Any]], reply: Reply, warn_at: int) -> None:
        """Let a turn that ended well, or that is to be kept, into the history."""
        ended_well = reply.end is not None and reply.end.ok
        if not (ended_well or (self.keep_partial and reply.text)):
            return
        self._begun = self._begun or ended_well
        self._messages += [*messages, reply.message]
        if self.memory == "server" and reply.conversation is not None:
            reply.remembered = _same(self.handle, reply.conversation)
            self.handle = reply.conversation
            if reply.remembered is False:
                warnings.warn(
                    "the server answered in another conversation than the one it was asked "
                    "to go on with; it may not know what was said before",
                    AmnesiaWarning,
                    stacklevel=warn_at,
                )


def _with_system(system: str, message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        return {**message, "content": [{"type": "text", "text": system}, *content]}
    return {**message, "content": f"{system}\n\n{content}"}


def _same(sent: dict[str, Any] | None, received: dict[str, Any]) -> bool | None:
    """Tell whether two handles mean one conversation; None where that cannot be told.

    Providers put more into the object than the conversation's id, such as the id of the
    last message, which changes with each turn.
    """
    if sent is None:
        return None
    if "conversation_id" in sent and "conversation_id" in received:
        return bool(sent["conversation_id"] == received["conversation_id"])
    return True if sent == received else None
