"""The interactive chat: what a person types in, turns and commands out."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from ..conversation import Conversation
from .chat_prompt import ChatPrompt
from .interrupts import Interrupts
from .screen import Screen

__all__ = ["ChatRun", "chat"]

_HINT = "/help lists the commands; Ctrl-D leaves"
_HELP = """\
/new           start a new conversation
/system TEXT   give the model a system prompt; /system alone shows it
/exit          leave, as Ctrl-D does
Ctrl-C stops an answer; twice in a row it leaves. Pasted lines are one message. A
message that begins with / is written with two: //."""

_COMMAND = re.compile(r"/([a-z]+)(?:\s+(.*))?", re.DOTALL)


class ChatRun(Protocol):
    """What a chat needs of the console around it."""

    @property
    def conversation(self) -> Conversation: ...

    # Take a turn; return its exit status, or raise KeyboardInterrupt.
    def take(self, message: str) -> int: ...

    # Begin a new conversation.
    def begin(self, *, system: str | None) -> None: ...


class _LeaveError(Exception):
    """``/exit``, or the end of the input."""


def chat(
    run: ChatRun,
    messages: Iterable[str],
    prompt: ChatPrompt,
    screen: Screen,
    interrupts: Interrupts,
) -> int:
    """Send the messages, then what is typed, until /exit or the end of the input.

    Returns the exit status of the last turn; a stopped one counts as good, since it was
    stopped on purpose. Raises KeyboardInterrupt for Ctrl-C twice in a row, and for every
    other signal.
    """
    status = 0
    given = deque(messages)
    if prompt.typed and not given:
        screen.note(_HINT)
    while True:
        if screen.terminal:
            screen.separate()
        sent = bool(given)
        try:
            asked = given.popleft() if given else _asked(prompt.read(), run, screen)
            interrupts.count = 0
            if asked is not None:
                sent = True
                status = run.take(asked)
        except _LeaveError:
            return status
        except KeyboardInterrupt:
            if prompt.typed and not sent:
                screen.note("")  # the cursor is behind the prompt
            if interrupts.must_leave or not prompt.typed:
                raise
            status = 0
            given.clear()
            screen.note("(Ctrl-C again leaves)")
        if status:
            given.clear()


def _asked(message: str | None, run: ChatRun, screen: Screen) -> str | None:
    """Return what is to be sent; carry out a command."""
    if message is None:
        raise _LeaveError
    if not message.strip():
        return None
    if message.startswith("//"):
        return message[1:]
    command = _COMMAND.fullmatch(message.strip())
    if command is None:
        return message
    name, rest = command[1], (command[2] or "").strip()
    known: dict[str, Callable[[], None]] = {
        "exit": _leave,
        "help": lambda: screen.note(_HELP),
        "new": lambda: _new(run, screen),
        "system": lambda: _system(rest, run, screen),
    }
    if name in known:
        known[name]()
    else:
        screen.note(f"there is no command /{name}; /help lists them, and // sends a /")
    return None


def _leave() -> None:
    raise _LeaveError


def _new(run: ChatRun, screen: Screen) -> None:
    run.begin(system=run.conversation.system)
    screen.note("a new conversation")


def _system(prompt: str, run: ChatRun, screen: Screen) -> None:
    chat = run.conversation
    if not prompt:
        screen.note(f"the system prompt is: {chat.system}" if chat.system else "no system prompt")
    elif chat.memory == "client":
        chat.system = prompt
        screen.note("the system prompt holds from the next message on")
    else:
        # A g4f server gets it with the first message of a conversation.
        run.begin(system=prompt)
        screen.note("the system prompt holds; this is a new conversation")
