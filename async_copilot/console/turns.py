"""A message in, one turn shown on a view out: what every turn of the console goes through."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import Protocol

from ..conversation import Conversation
from ..errors import CopilotError
from ..observer import Observer
from ..reply import Reply
from .attachments import Message
from .exit_status import ExitStatus, status_of
from .interrupts import Interrupts
from .screen import OutputLostError
from .stats import summary_line

__all__ = ["Turn", "View", "take_turn"]

log = logging.getLogger("async_copilot.console")


@dataclass(slots=True)
class Turn:
    """One turn of the conversation, and how it ended.

    number: from 1.  interrupts: knows what stopped a turn that was interrupted.
    think: <think>...</think> that opens the answer is reasoning, not text.
    reply: None where not even a request was made.
    """

    number: int
    message: Message
    interrupts: Interrupts
    think: bool = True
    reply: Reply | None = None
    error: CopilotError | None = None
    interrupted: bool = False

    @property
    def status(self) -> int:
        if self.interrupted:
            return self.interrupts.status
        return ExitStatus.COMPLETE if self.error is None else status_of(self.error)

    @property
    def said(self) -> tuple[str, str]:
        """The reasoning and the text of the answer so far."""
        if self.reply is None:
            return "", ""
        return self.reply.reasoning, self.reply.text


class View(Protocol):
    """Where turns are shown: for a person, or as JSON for a program.

    whole: reasoning is wanted as it comes, too.
    url: the server's, fit to be shown.
    """

    whole: bool
    url: str

    def start(self, turn: Turn, conversation: Conversation) -> None: ...
    def text(self, text: str) -> None: ...
    def reasoning(self, text: str) -> None: ...
    def retry(self, number: int, error: CopilotError, pause: float) -> None: ...
    def end(self, turn: Turn) -> None: ...

    def problem(self, text: str) -> None:
        """Something outside of any turn."""

    def remark(self, text: str) -> None:
        """Something that is worth knowing, on stderr."""

    def item(self, kind: str, name: str, about: str | None) -> None:
        """An entry of a list: a model or a provider, and what is known about it."""

    def close(self, status: int) -> None:
        """The program ends with this status."""


async def take_turn(conversation: Conversation, turn: Turn, view: View) -> None:
    """Take a turn and fill in what came of it; cancelling leaves it interrupted."""
    view.start(turn, conversation)
    log.info(
        "turn %d: sent, model %r, %s remembers", turn.number, conversation.model, _who(conversation)
    )
    try:
        async with conversation.stream(
            turn.message, observer=_Watch(turn, view), split_think=turn.think
        ) as reply:
            await _show(reply, view)
    except CopilotError as error:
        turn.error = error
    except OutputLostError:
        raise
    except BaseException:
        turn.interrupted = True
        view.end(turn)
        raise
    view.end(turn)


async def _show(reply: Reply, view: View) -> None:
    if not view.whole:
        async for text in reply:
            view.text(text)
        return
    async for chunk in reply.chunks():
        if chunk.reasoning and not chunk.index:
            view.reasoning(chunk.reasoning)
        if chunk.content and not chunk.index:
            view.text(chunk.content)


class _Watch(Observer):
    """Tells of what happens before and beside the text."""

    def __init__(self, turn: Turn, view: View) -> None:
        self._turn = turn
        self._view = view

    def on_start(self, reply: Reply) -> None:
        self._turn.reply = reply

    def on_retry(self, reply: Reply, error: CopilotError, pause: float) -> None:
        log.info("turn %d: %s", self._turn.number, error.message)
        with contextlib.suppress(OutputLostError):  # the next write raises it again
            self._view.retry(reply.timing.retries, error, pause)

    def on_first_text(self, reply: Reply) -> None:
        timing = reply.timing
        log.info(
            "turn %d: HTTP %s, headers after %.3f s, first text after %.3f s",
            self._turn.number,
            reply.status,
            timing.headers or 0.0,
            timing.first_text or 0.0,
        )

    def on_end(self, reply: Reply, error: CopilotError | None) -> None:
        log.info("turn %d: %s", self._turn.number, summary_line(reply))


def _who(conversation: Conversation) -> str:
    return "the server" if conversation.memory == "server" else "this program"
