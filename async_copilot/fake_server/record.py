"""What a fake server has seen: requests, unexpected ones, connections. No I/O.

A test wants every request; a server that runs alone for days keeps the last ones. Both the
number and the size are bounded there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .request import Request

__all__ = ["Record"]


@dataclass(slots=True)
class Record:
    """The requests in order of arrival.

    news:     called whenever something has happened.
    most:     how many requests are kept, and ``most_bytes`` of their bodies: the oldest go
              first, the last one always stays. None: all.
    requests: the chat requests. unexpected: what the script has no answer for, in words.
    failures: what functions of the script have raised.
    """

    news: Callable[[], None]
    most: int | None = None
    most_bytes: int = 2**24
    requests: list[Request] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    connections: int = 0

    def add(self, request: Request) -> None:
        """A request has come."""
        self.requests.append(request)
        if self.most is not None:
            size = sum(len(kept.raw) for kept in self.requests)
            while len(self.requests) > self.most or (size > self.most_bytes and self.requests[1:]):
                size -= len(self.requests.pop(0).raw)
        self.news()

    def missed(self, what: str) -> None:
        """An unexpected request came."""
        self.unexpected.append(what)
        if self.most is not None:
            del self.unexpected[: -self.most]

    def failed(self, error: BaseException) -> None:
        """A function of the script raised this."""
        self.failures.append(error)
        if self.most is not None:
            del self.failures[: -self.most]

    def clear(self) -> None:
        """Nothing has been seen."""
        del self.requests[:], self.unexpected[:], self.failures[:]
