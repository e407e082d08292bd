"""The interactive chat: what a person types in, turns and commands out."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable

from .attachments import NOTHING, Attachments, Message
from .chat_prompt import ChatPrompt
from .editor import EditorError, edited
from .interrupts import Interrupts
from .opening import Opening
from .screen import Screen
from .talk import Talk

__all__ = ["chat"]

_HINT = "/help lists the commands; Ctrl-D leaves"
_HELP = """\
/new [TEXT]      start a new conversation, with TEXT as its first message
/system TEXT     give the model a system prompt; /system alone shows it
/model NAME      go on with another model; /model alone shows which one it is
/provider NAME   go on with another provider of g4f, or show which one it is
/edit [TEXT]     write the message in your editor ($VISUAL, $EDITOR)
/exit            leave, as Ctrl-D, /quit, exit, quit and :q do
Alt-Enter, or a \\ at its end, lets a message go on in the next line. Pasted lines are one
message. Ctrl-C stops an answer; twice in a row it leaves. A message that begins with /
is written with two: //."""

_COMMAND = re.compile(r"/([a-z]+|\?)(?:\s+(.*))?", re.DOTALL | re.IGNORECASE)
_LEAVING = ("exit", "quit", ":q")


class _LeaveError(Exception):
    """``/exit``, or the end of the input."""


def chat(
    talk: Talk, opening: Opening, prompt: ChatPrompt, screen: Screen, interrupts: Interrupts
) -> int:
    """Send the messages, then what is typed, until /exit or the end of the input.

    Returns the exit status of the last turn; a stopped one counts as good, since it was
    stopped on purpose. Raises KeyboardInterrupt for Ctrl-C twice in a row, and for every
    other signal.
    """
    status = 0
    given = deque(opening.messages)
    commands = _Commands(talk, prompt, screen, opening.attached)
    if prompt.typed and not given:
        screen.note(_HINT)
    while True:
        if screen.terminal:
            screen.separate()
        sent = bool(given)
        try:
            asked = given.popleft() if given else commands.asked(prompt.read())
            interrupts.count = 0
            if asked is not None:
                sent = True
                status = talk.take([asked])
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


class _Commands:
    """Tells messages from commands, and carries out the commands.

    attached: goes with the first message.
    """

    def __init__(
        self, talk: Talk, prompt: ChatPrompt, screen: Screen, attached: Attachments
    ) -> None:
        self._talk = talk
        self._prompt = prompt
        self._say = screen.note
        self._attached = attached
        # A command takes the text behind its name, and returns a message or None.
        self._known: dict[str, Callable[[str], str | None]] = {
            "new": self._new,
            "system": self._system,
            "model": self._model,
            "provider": self._provider,
            "edit": self._edit,
            "help": self._help,
            "?": self._help,
            "exit": self._leave,
            "quit": self._leave,
        }

    def asked(self, typed: str | None) -> Message | None:
        """Return what is to be sent; carry out a command."""
        message = self._message(typed)
        if message is None or not message.strip():
            return None
        attached, self._attached = self._attached, NOTHING
        return attached.under(message) if attached else message

    def _message(self, typed: str | None) -> str | None:
        if typed is None or typed.strip().lower() in _LEAVING:
            raise _LeaveError
        if typed.startswith("//"):
            return typed[1:]
        command = _COMMAND.fullmatch(typed.strip())
        if command is None:
            return typed
        name, rest = command[1].lower(), (command[2] or "").strip()
        if name in self._known:
            return self._known[name](rest)
        self._say(f"there is no command /{name}; /help lists them, and // sends a /")
        return None

    def _leave(self, rest: str) -> None:
        if rest:
            self._say("/exit leaves when it stands alone; // sends a /")
        else:
            raise _LeaveError

    def _help(self, _: str) -> None:
        self._say(_HELP)

    def _new(self, message: str) -> str:
        self._talk.begin(system=self._talk.conversation.system)
        self._say("a new conversation")
        return message

    def _system(self, prompt: str) -> None:
        chat = self._talk.conversation
        if not prompt:
            self._say(f"the system prompt is: {chat.system}" if chat.system else "no system prompt")
        elif chat.memory == "client":
            chat.system = prompt
            self._say("the system prompt applies from the next message on")
        else:
            # A g4f server gets it with the first message of a conversation.
            self._talk.begin(system=prompt)
            self._say("the system prompt is set; this is a new conversation")

    def _model(self, name: str) -> None:
        chat = self._talk.conversation
        if name:
            chat.model = _bare(name)
        self._say(f"the model is {chat.model}" if chat.model else "the server chooses the model")

    def _provider(self, name: str) -> None:
        chat = self._talk.conversation
        if name:
            chat.provider = _bare(name) or None
        self._say(f"the provider is {chat.provider}" if chat.provider else "no provider is sent")

    def _edit(self, text: str) -> str | None:
        try:
            message = edited(text, os.environ, self._say, screen=self._prompt.screen)
        except EditorError as error:
            self._say(str(error))
            return None
        self._prompt.remember(message)
        if not message.strip():
            self._say("the editor left no text; nothing is sent")
        return message


def _bare(name: str) -> str:
    """Return a name without the quotes that a shell would take off: '' is not a name."""
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] in "'\"" else name
