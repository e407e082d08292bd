"""Messages in, a conversation written out: the greeting turn, then the name turn."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias, TypeVar

from .client import DEFAULT_BASE_URL, CopilotClient
from .conversation import Conversation
from .reply import Reply
from .wire.request import Messages
from .wire.text import visible

__all__ = ["GREETING", "NAME", "post_request", "run_turns", "writing"]

GREETING = "Hello, I am Heiner. How are you?"
NAME = "Tell me something about my name."

Message = TypeVar("Message", bound=Messages)
Take: TypeAlias = Callable[[Conversation, Message], Awaitable[Reply]]
"""Takes one turn: a conversation and a message in, the reply out when it has ended."""


async def post_request() -> None:
    """Greet the server, then ask it about the name, writing the answers to stdout.

    Both turns belong to one conversation; the second starts when the first has ended.
    Deltas are written as they come, control characters made visible, with a blank line
    between the answers. The server is that of ASYNC_COPILOT_URL, or g4f on
    localhost:1337; ASYNC_COPILOT_API_KEY is its key, if it wants one.

    Raises CopilotError, and then the second turn is not taken. Cancelling closes the
    connection; nothing is left behind.
    """

    def write(text: str) -> None:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(visible(text).encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()

    url = os.environ.get("ASYNC_COPILOT_URL") or DEFAULT_BASE_URL
    key = os.environ.get("ASYNC_COPILOT_API_KEY") or None
    async with CopilotClient(base_url=url, api_key=key) as client:
        await run_turns(client.conversation(), (GREETING, NAME), writing(write))


async def run_turns(
    conversation: Conversation, messages: Iterable[Message], take: Take[Message]
) -> list[Reply]:
    """Take the turns one after the other; return their replies.

    take: takes one turn and shows it. The next turn begins only after it has returned:
        what it raises ends the run, and the turns after it are not taken.
    """
    return [await take(conversation, message) for message in messages]


def writing(write: Callable[[str], object]) -> Take[str]:
    """Return a way to take turns that writes their answers, with a blank line between them.

    write: called with each delta as it comes, and with the line ends and blank lines. It
        is not awaited, so it must not block for long.
    """
    between = ""

    async def take(conversation: Conversation, message: str) -> Reply:
        nonlocal between
        if between:
            write(between)
        between = "\n"
        async with conversation.stream(message) as reply:
            async for text in reply:
                write(text)
        write("\n")
        return reply

    return take
