"""What a g4f server knows of a conversation: by which handle, and how much of it. No I/O.

g4f remembers in three ways, by release and by provider: by ``conversation_id`` (up to
0.4.9.0), by a ``conversation`` object that comes with the last chunk and is sent back
(since), or not at all (two of three providers have no such object). One rule serves all:

    Where the server is known to know the history, a turn is the new message and the
    handle. Where it may not, the message begins with the transcript, and no handle goes.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import (
    ConnectionFailedError,
    CopilotError,
    DisconnectedError,
    HTTPStatusError,
    StreamError,
)
from .handle import kept, names_one, same_conversation
from .history import Message
from .transcript import with_transcript

__all__ = ["Asked", "ServerMemory", "refuses"]

# The providers of 0.4.9.0 whose conversations that release keeps by id. It names no
# provider in its chunks, so which one answers has to be known from the request.
_KEPT_BY_ID = frozenset(
    {
        *("AllenAI", "Blackbox", "CohereForAI_C4AI_Command", "Copilot", "CopilotAccount", "DDG"),
        *("DeepSeekAPI", "DeepseekAI_JanusPro7b", "Gemini", "GithubCopilot", "Grok", "HailuoAI"),
        *("HuggingChat", "Microsoft_Phi_4", "OpenaiAccount", "OpenaiChat"),
        *("Qwen_Qwen_2_5M_Demo", "Yqcloud"),
    }
)


_NOT_OF_THE_CONVERSATION = frozenset(
    {
        *("MissingAuthError", "ModelNotFoundError", "NoValidHarFileError"),
        *("PaymentRequiredError", "ProviderNotFoundError", "RateLimitError"),
    }
)
# What g4f, and gateways before it, answer to a handle that a provider does not take.
_REFUSALS = frozenset({400, 404, 409, 410, 422, 500})


class Answered(Protocol):
    """What must be known of an answer."""

    @property
    def conversation(self) -> dict[str, Any] | None: ...
    @property
    def provider(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """One turn as it goes out.

    handle: sent with it, or None.
    told: True where the message tells the server all that it may not know.
    known: False where it does not, since the transcript has no room.
    left_out: in words, what the transcript does not hold.
    """

    message: Message
    handle: dict[str, Any] | None
    place: str
    system: str | None
    told: bool
    known: bool
    first: bool
    left_out: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ServerMemory:
    """The state of one conversation at its server.

    handle: the last ``conversation`` object that came, opaque; sent back while begun.
    place: the provider that the caller asked for it, and the model: a handle serves no other
        provider, and some begin a new conversation for another model (HuggingChat, Cohere's).
    answered: the provider that the server named, None for releases that name none.
    system: the system prompt that the server got.
    known: so many messages of the history, from the start, are in its conversation.
    begun: the server has a conversation, which may be gone on with.
    pool: g4f chooses among providers, each with a conversation of its own.
    restarts: how many conversations by id were given up.
    doubted: the server may have been restarted since the last turn, which a conversation by
        id does not survive: the state was read from a file, or a connection failed.
    """

    handle: dict[str, Any] | None = None
    place: str = ""
    answered: str | None = None
    system: str | None = None
    known: int = 0
    begun: bool = False
    pool: bool = False
    restarts: int = 0
    doubted: bool = False

    # ------------------------------------------------------------------ before a turn

    def ask(
        self,
        message: Message,
        history: Sequence[Message],
        *,
        place: str,
        system: str | None,
        limit: int,
    ) -> Asked:
        """Return the turn that tells message to a server, and what it may not know."""
        goes_on = self._goes_on(place, system)
        known = min(self.known, len(history)) if goes_on else 0
        sent, left_out = with_transcript(
            message, history[known:], system=None if goes_on else system, limit=limit
        )
        return Asked(
            sent,
            self.handle if goes_on else None,
            place,
            system,
            told=not goes_on,
            known=not history or limit > len(system or ""),
            first=not history and not goes_on,
            left_out=left_out,
        )

    def _goes_on(self, place: str, system: str | None) -> bool:
        """True where the server's own conversation is the one to go on with."""
        if not self.begun or self.pool or place != self.place or system != self.system:
            return False
        return self.handle is not None or (self._by_id and not self.doubted)

    @property
    def _by_id(self) -> bool:
        """True where the server may know the conversation by its id alone."""
        return self._tells_nothing and self.place.partition(" model=")[0] in _KEPT_BY_ID

    @property
    def _tells_nothing(self) -> bool:
        return self.begun and self.handle is None and self.answered is None

    def wire_id(self, conversation_id: str) -> str:
        """Return the ``conversation_id`` to send: another one after one was given up."""
        if not self.restarts:
            return conversation_id
        return str(uuid.uuid5(uuid.UUID(conversation_id), str(self.restarts)))

    # ------------------------------------------------------------------ after a turn

    def learn(self, asked: Asked, answer: Answered, *, known: int) -> bool | None:
        """Take in a turn that ended well; return whether it knew the turns before.

        known: the length of the history, this turn among it.
        None for the first turn, and where no release tells.
        """
        given = answer.conversation if names_one(answer.conversation) else None
        remembered = self._remembered(asked, answer, given)
        if remembered is False and not asked.told:
            # Another provider of a pool may answer each time: trust no handle any more.
            self.pool = self.pool or self._other_provider(answer)
            self.give_up()
            self.handle = kept(given) or self.handle
            return False
        self.pool = (self.pool and asked.place == self.place) or _keyed(given, answer.provider)
        if asked.told or given is not None:
            self.handle = kept(given)
        self.place, self.answered, self.system = asked.place, answer.provider, asked.system
        self.known, self.begun, self.doubted = known, True, False
        return remembered

    def _remembered(
        self, asked: Asked, answer: Answered, given: dict[str, Any] | None
    ) -> bool | None:
        if asked.told:
            return None if asked.first else asked.known
        if answer.provider is None and given is None:
            return None  # a release that tells nothing
        if self._other_provider(answer):
            return False
        if asked.handle is None:
            # It went on by id, and now it names a provider: a release that knows no ids.
            return None if answer.provider is None else False
        if given is None:
            return True  # the provider took its own handle, and began no other conversation
        return same_conversation(asked.handle, given, answer.provider)

    def _other_provider(self, answer: Answered) -> bool:
        return None not in (self.answered, answer.provider) and self.answered != answer.provider

    def fail(self, asked: Asked, error: CopilotError, *, said: bool) -> None:
        """Take in a turn that failed; said: after something of an answer had come."""
        if isinstance(error, ConnectionFailedError | DisconnectedError):
            self.doubted = True
        elif asked.place == self.place and refuses(error, said=said):
            self.give_up()

    def give_up(self) -> None:
        """Go on in a new conversation, with the transcript."""
        self.restarts += self._tells_nothing
        self.begun, self.known = False, 0

    # ------------------------------------------------------------------ saved

    def to_dict(self) -> dict[str, Any]:
        """Return the state without the handle, fit for JSON."""
        names = ("place", "answered", "system", "known", "begun", "pool", "restarts")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any], handle: dict[str, Any] | None) -> ServerMemory:
        """Return the state that to_dict() gave. Raises LookupError, TypeError."""
        text = str | None
        kinds: dict[str, Any] = {"place": str, "answered": text, "system": text, "known": int}
        kinds |= {"begun": bool, "pool": bool, "restarts": int}
        for name, kind in kinds.items():
            if not isinstance(saved[name], kind):
                raise TypeError(f"{name} is {saved[name]!r}")
        return cls(handle, **{name: saved[name] for name in kinds}, doubted=True)


def refuses(error: CopilotError, *, said: bool) -> bool:
    """True for a failure after which the server's own conversation is not to be met again.

    said: something of an answer had come.
    g4f answers 500 to a handle that its provider does not take, and the older releases
    with an error as the first event; to a limit of turns likewise. A login that is
    missing, a limit of requests or a gateway's trouble says nothing of the conversation.
    """
    if "ConversationLimit" in f"{error.type} {error.message}":
        return True
    if said or error.type in _NOT_OF_THE_CONVERSATION:
        return False
    if isinstance(error, StreamError):
        return True
    return isinstance(error, HTTPStatusError) and error.status in _REFUSALS


def _keyed(handle: dict[str, Any] | None, provider: str | None) -> bool:
    """True for a handle that a pool of providers gave: it holds one for each, by name."""
    return handle is not None and isinstance(handle.get(provider or ""), Mapping)
