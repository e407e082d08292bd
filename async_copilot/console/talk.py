"""The conversation under way: its turns, one after the other, and where it is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ..conversation import Conversation
from ..reply import Reply
from ..runner import run_turns
from .arguments import Options
from .attachments import Message
from .conversations import Begun
from .exit_status import ExitStatus
from .interrupts import Interrupts
from .media_folder import save_media
from .turns import Turn, View, take_turn

__all__ = ["Run", "Talk"]

Run = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs work in the event loop; raises KeyboardInterrupt when a signal ended it."""


class _FailedError(Exception):
    """A turn failed, and the ones after it are not taken."""


class Talk:
    """Takes turns of one conversation, until another one begins.

    begun: the first one, what makes others and what keeps them.
    conversation: the one under way.
    """

    def __init__(
        self,
        begun: Begun,
        *,
        options: Options,
        view: View,
        run: Run,
        interrupts: Interrupts,
    ) -> None:
        self.conversation = begun.conversation
        self._begun = begun
        self._options = options
        self._view = view
        self._run = run
        self._interrupts = interrupts
        self._turns = 0
        self._status = 0

    def begin(self, *, system: str | None) -> None:
        """Begin a new conversation; the old one stays where it is kept."""
        model, provider = self.conversation.model, self.conversation.provider
        self.conversation = self._begun.new(system)
        self.conversation.model, self.conversation.provider = model, provider
        if self._begun.keeper is not None:
            self._begun.keeper.begin()

    def take(self, messages: Sequence[Message]) -> int:
        """Take a turn for each message, up to one that fails; return the exit status.

        Raises KeyboardInterrupt when a signal ended it.
        """
        self._status = 0
        with contextlib.suppress(_FailedError):
            self._run(run_turns(self.conversation, messages, self._take_one))
        return self._status

    async def _take_one(self, conversation: Conversation, message: Message) -> Reply:
        self._turns += 1
        turn = Turn(self._turns, message, self._interrupts, think=self._options.think)
        try:
            await take_turn(conversation, turn, self._view)
        finally:
            self._keep(turn)
        self._status = turn.status or self._status
        if turn.status or turn.reply is None:
            raise _FailedError
        return turn.reply

    def _keep(self, turn: Turn) -> None:
        """Save what came of a turn. If that fails, the run goes on, and its status says so."""
        keeper = self._begun.keeper
        if keeper is not None:
            try:
                keeper.keep(self.conversation)
            except OSError as error:
                self._lost(f"cannot save the conversation in {keeper.path}", error)
        if self._options.media is not None and turn.reply is not None:
            try:
                for path in save_media(self._options.media, turn.reply.text):
                    self._view.remark(f"saved {path}")
            except OSError as error:
                self._lost(f"cannot save the media in {self._options.media}", error)

    def _lost(self, what: str, error: OSError) -> None:
        self._status = ExitStatus.CUT_OFF
        self._view.problem(f"{what}: {error.strerror or error}")
