"""What a fake chat server remembers of its conversations. No I/O.

In: a ``Request`` and the ``FakeProvider`` that answers it. Out: a ``Turn``: what the server
knows by now, the handle its answer carries, or why the provider fails.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .providers import Route
from .request import Request, user_texts

__all__ = ["Memory", "MemoryKind", "Turn"]

MemoryKind: TypeAlias = Literal["echo", "crosstalk", "id", "messages", "none"]
"""How a conversation goes on. "echo": by the ``conversation`` object sent back (g4f 8.x).
"crosstalk": that, and g4f 8.x's cache, by which two clients with the same system message
share a conversation. "id": by ``conversation_id`` (g4f 0.4.9.0). "messages": by the
messages of the request alone (OpenAI and the like). "none": every request is the first."""


# What a server that runs alone remembers: characters, conversations. The oldest go first.
_MOST_TEXT = 2**23
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Turn:
    """One request's place in its conversation.

    provider: the name of the provider that answers.
    key:      the conversation's, under which ``Memory.keep`` remembers the request; "" where
              the provider keeps nothing.
    known:    the earlier user messages that the provider knows.
    handle:   the ``conversation`` object of the answer, or None where it has none.
    failure:  the exception the provider raises instead of answering, or "".
    """

    provider: str
    key: str
    known: tuple[str, ...] = ()
    handle: Mapping[str, Any] | None = field(default=None, repr=False)
    failure: str = ""


class Memory:
    """Conversations by provider and key, each the list of its user messages."""

    def __init__(self, kind: MemoryKind, *, bounded: bool = False) -> None:
        self.kind = kind
        self._bounded = bounded
        self._size = 0
        self._texts: dict[tuple[str, str], list[str]] = {}
        self._cache: dict[str, str] = {}

    def forget(self) -> None:
        """Nothing is known any more, as after a restart."""
        self._texts.clear()
        self._cache.clear()
        self._size = 0

    def first_turn(self, request: Request, routes: Sequence[Route]) -> Turn:
        """Where this request stands with the first of these providers that does not fail.

        Where all of them fail: with the pool, in whose failure theirs are; one alone fails itself.
        """
        failures: dict[str, str] = {}
        for route in routes:
            turn = self.turn(request, route)
            if not turn.failure:
                return turn
            failures[turn.provider] = turn.failure
        pool = routes[0].pool
        if pool is None or len(failures) == 1:
            return Turn(pool.name if pool else turn.provider, "", failure=turn.failure)
        told = "".join(f"\n{name}: {failures[name]}" for name in dict.fromkeys(pool.pool))
        failed = f"RetryProviderError: RetryProvider failed:{told}"
        return Turn(pool.name, "", failure=failed)

    def turn(self, request: Request, route: Route) -> Turn:
        """Where this request stands, answered by the provider of ``route``."""
        provider = route.provider
        if provider.raises:
            return Turn(provider.name, "", failure=provider.raises)
        if provider.memory == "handle" and self.kind not in ("messages", "none"):
            return self._kept(request, route)
        reads_all = self.kind == "messages" or provider.memory == "history"
        known = tuple(user_texts(request.messages)[:-1]) if reads_all else ()
        handle = {"conversation_id": _new()} if provider.memory == "handle" else None
        return Turn(provider.name, "", known, handle)

    def keep(self, turn: Turn, request: Request) -> None:
        """Remembers the request's text in the conversation that ``turn`` gave for it."""
        if not turn.key:
            return
        self._texts.setdefault((turn.provider, turn.key), []).append(request.text)
        self._size += len(request.text)
        while self._bounded and (self._size > _MOST_TEXT or len(self._texts) > _MOST):
            oldest = self._texts.pop(next(iter(self._texts)))
            self._size -= sum(map(len, oldest))
        if self.kind == "crosstalk" and (shared := _shared_key(request)):
            self._cache[shared] = turn.key
            while self._bounded and len(self._cache) > _MOST:
                del self._cache[next(iter(self._cache))]

    def _kept(self, request: Request, route: Route) -> Turn:
        """A turn with a provider that keeps its conversations itself."""
        provider = route.provider
        given = self._given(request, route)
        texts = self._texts.get((provider.name, given or ""))
        if texts is None and given is not None and provider.strict and self.kind != "id":
            refused = "ValueError: this provider did not give that conversation"
            return Turn(provider.name, "", failure=refused)
        known = tuple(texts or ())
        if provider.turns is not None and len(known) >= provider.turns:
            limit = f"ConversationLimitError: {provider.turns} turns at most"
            return Turn(provider.name, "", failure=limit)
        # A handle of another server, or of one that was restarted, begins anew under a new key.
        key = given if given is not None and (texts is not None or self.kind == "id") else _new()
        own = {"conversation_id": key}
        handle = own if route.pool is None else (request.conversation or {}) | {provider.name: own}
        return Turn(provider.name, key, known, handle)

    def _given(self, request: Request, route: Route) -> str | None:
        """The conversation's key as the request has it; None where it has none."""
        if self.kind == "id":
            return request.conversation_id
        if self.kind == "crosstalk" and (shared := _shared_key(request)) in self._cache:
            return self._cache[shared]
        handle = request.conversation
        if route.pool is not None:  # a pool hands each of its providers its own part
            handle = (handle or {}).get(route.provider.name)
        if not handle:
            return None
        key = handle.get("conversation_id") if isinstance(handle, dict) else None
        # An object of another shape is one of another provider: never empty, and never known.
        return key if isinstance(key, str) else json.dumps(handle)


def _new() -> str:
    return str(uuid.uuid4())


def _shared_key(request: Request) -> str:
    """g4f 8.x's cache key: the model and all but the last user and last assistant message.

    Empty where nothing is left: one user message alone is never cached.
    """
    rest = list(request.messages)
    for role in ("user", "assistant"):
        at = [n for n, message in enumerate(rest) if _role(message) == role]
        if at:
            del rest[at[-1]]
    return hashlib.sha256(json.dumps([request.model, rest]).encode()).hexdigest() if rest else ""


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, dict) else None
