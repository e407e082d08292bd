"""What each generation of the g4f server is known to do its own way.

In: a running server. Out: its ``Habits``, and small helpers of the g4f tests. The
newest release is held to the habits of the last pin: where it has left them, that is
what the look-out is for.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any

from .servers import Running

__all__ = ["ASK", "Habits", "habits", "introduction", "journalled", "text_of_error"]

# The original script's second message.
ASK = "Tell me somethings about my name"


@dataclass(frozen=True, slots=True)
class Habits:
    """One generation.

    statuses:    a provider's failure before its first piece is an HTTP status.
    hides:       the error's text stays in the server.
    handle:      a reply carries a conversation object, and it can be sent back.
    typed:       reasoning and tool calls travel beside the text.
    leaks:       one system message, one conversation for everybody.
    told_early:  the provider is told of a leaving before its first piece.
    wrong_key:   the status for a wrong server key; None: any key will do.
    """

    statuses: bool
    hides: bool
    handle: bool
    typed: bool
    leaks: bool
    told_early: bool
    wrong_key: int | None


LAST = Habits(
    statuses=True,
    hides=True,
    handle=True,
    typed=True,
    leaks=True,
    told_early=False,
    wrong_key=401,
)
MIDDLE = replace(LAST, hides=False, wrong_key=None)
FIRST = Habits(
    statuses=False,
    hides=False,
    handle=False,
    typed=False,
    leaks=False,
    told_early=True,
    wrong_key=403,
)
KNOWN = {"g4f 0.4.9.0": FIRST, "g4f 8.1.7": MIDDLE}


def habits(server: Running) -> Habits:
    """The generation this server belongs to."""
    return KNOWN.get(server.server.name, LAST)


def introduction(name: str) -> str:
    """The original script's first message."""
    return f"Hello, i am {name}. How are you?"


def text_of_error(server: Running, kind: str) -> str:
    """The message a user gets to read for an exception the remote raised."""
    if not habits(server).hides:
        return f"{kind}: the remote raised {kind}, café ☕"
    if kind == "MissingAuthError":
        return "MissingAuthError: Authentication required"
    return "Request execution failed"


async def journalled(
    server: Running, event: str, *, within: float = 5.0, **values: object
) -> dict[str, Any]:
    """The journal's entry, waited for: the server's side of what a test did."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        entries = server.journal(event, **values)
        if entries:
            return entries[0]
        await asyncio.sleep(0.01)
    raise AssertionError(f"the server's journal has no {event} {values} within {within} s")
