"""The providers behind a fake g4f server, as data. No I/O.

In: the names of a request. Out: a ``Route``, which says what provider answers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal

from .checks import COUNT, FLAG, NAMES, TEXT, Rules, check, optional

__all__ = ["FakeProvider", "Providers", "Route"]


@dataclass(frozen=True, slots=True)
class FakeProvider:
    """One provider behind a g4f server.

    memory: "handle": it keeps its conversations and gives a ``conversation`` object for each
            (Copilot). "history": it gives none and reads every message of a request. "none":
            it gives none and reads the last user message alone.
    strict: True fails with 500 where the handle is not one that this provider gave; False
            begins a new conversation then, as if there were no handle.
    turns:  the most turns of one conversation; each later one fails with 500
            (ConversationLimitError). None: no limit.
    raises: what it raises on every request instead of answering, as "CLASS" or "CLASS: text".
            "MissingAuthError" and "NoValidHarFileError" want a login (401), "RateLimitError"
            is 429, "ModelNotFoundError" 404, any other class 500.
    pool:   the names of other providers: it passes its requests to them, one after the other.
            Where one fails (it raises something, refuses a handle, or has reached its turns),
            the next one is asked. Its handle holds theirs by name.
    label:  what it is called in the list of providers.
    models: what ``/api/NAME/models`` lists.
    """

    name: str
    _: KW_ONLY
    memory: Literal["handle", "history", "none"] = "handle"
    strict: bool = False
    turns: int | None = None
    raises: str = ""
    pool: Sequence[str] = ()
    label: str | None = None
    models: Sequence[str] = ("default",)

    def __post_init__(self) -> None:
        check(self, _RULES)


_RULES: Rules = {
    "name": (lambda name: TEXT[0](name) and name != "", "the provider's name, such as 'Copilot'"),
    "memory": (lambda kind: kind in ("handle", "history", "none"), "'handle', 'history' or 'none'"),
    "strict": FLAG,
    "turns": optional(COUNT),
    "raises": TEXT,
    "pool": NAMES,
    "label": optional(TEXT),
    "models": NAMES,
}


@dataclass(frozen=True, slots=True)
class Route:
    """The provider that answers a request, and the pool that chose it, if one did."""

    provider: FakeProvider
    pool: FakeProvider | None = None


def _check_list(given: object) -> None:
    listed = given if isinstance(given, list | tuple) else [given]
    if given is not listed or not all(isinstance(one, FakeProvider) for one in listed):
        raise ValueError(f"providers={given!r}: must be a list of FakeProvider")


class Providers:
    """The providers of one server; the first is asked where a request names none."""

    def __init__(self, providers: Sequence[FakeProvider]) -> None:
        _check_list(providers)
        self.listed = tuple(providers) or (FakeProvider("Copilot"),)
        self._open = not providers
        self._named = {provider.name: provider for provider in self.listed}
        if len(self._named) < len(self.listed):
            raise ValueError("providers: two of them have the same name")
        for pool in self.listed:
            for name in pool.pool:
                if name not in self._named or self._named[name].pool:
                    raise ValueError(f"the pool {pool.name} has {name!r}: not one of the providers")
        self._turn = dict.fromkeys(self._named, 0)

    def named(self, name: str) -> FakeProvider | None:
        """The provider of this name, or None."""
        return self._named.get(name)

    def routes(self, name: str | None) -> list[Route]:
        """Who may answer a request for the provider ``name``, in the order in which they are tried.

        Empty where no provider has that name. A pool begins with another one each time.
        """
        if self._open:
            return [Route(FakeProvider(name or "Copilot"))]
        provider = self.listed[0] if name is None else self._named.get(name)
        if provider is None or not provider.pool:
            return [] if provider is None else [Route(provider)]
        members = [self._named[member] for member in provider.pool]
        able = [one for one in members if not one.raises]
        first = self._turn[provider.name] % len(able) if able else 0
        self._turn[provider.name] += 1
        tried = [*able[first:], *able[:first], *(one for one in members if one.raises)]
        return [Route(one, provider) for one in tried]
