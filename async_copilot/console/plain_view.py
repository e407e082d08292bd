"""Turns in, text for a person out: the answer on stdout, remarks on stderr."""

from __future__ import annotations

from ..conversation import Conversation
from ..errors import CopilotError
from ..reply import Reply
from ..wire.answer import End
from ..wire.choice import ToolCall
from ..wire.media import MediaText
from .attachments import text_of
from .explain import explain
from .screen import Screen
from .stats import stats_line
from .turns import Turn

__all__ = ["PlainView"]

_CUT_REASONS = {
    "length": "the answer is cut short: it reached the server's limit of tokens",
    "content_filter": "the answer is cut short by the server's content filter",
}


MAX_ARGUMENTS = 400  # characters of a tool call's arguments; --json has them all


class PlainView:
    """What a person reads.

    reasoning: show that, too.  stats: and how long everything took.
    questions: show the questions too, since nobody typed them.
    """

    def __init__(
        self, screen: Screen, *, reasoning: bool, stats: bool, questions: bool = False
    ) -> None:
        self.whole = reasoning
        self.url = ""
        self._screen = screen
        self._stats = stats
        self._questions = questions
        # On a terminal media is a short line; in a pipe it is what the answer has.
        self._media = MediaText() if screen.shows else None

    def start(self, turn: Turn, conversation: Conversation) -> None:
        self._screen.separate()
        if self._questions and self._screen.terminal:
            self._screen.note(f"> {text_of(turn.message)}")
        self._screen.sign.start()

    def text(self, text: str) -> None:
        if self._media is not None:
            text = self._media.feed(text)
        if text:
            self._screen.write(text)

    def reasoning(self, text: str) -> None:
        self._screen.aside(text)

    def retry(self, number: int, error: CopilotError, pause: float) -> None:
        reason = f"HTTP {error.status}" if error.status else "no connection"
        self._screen.sign.retry_in(pause, reason)

    def end(self, turn: Turn) -> None:
        screen, reply = self._screen, turn.reply
        if self._media is not None and (rest := self._media.finish()):
            screen.write(rest)
        if turn.error is None and not turn.interrupted:
            screen.finish()
        else:
            screen.end_line()
        screen.sign.stop()
        if reply is not None:
            for remark in _remarks(turn, reply):
                screen.remark(remark)
            if self._stats:
                screen.note(stats_line(reply))
        if turn.error is not None:
            screen.remark(explain(turn.error, self.url))

    def problem(self, text: str) -> None:
        self._screen.remark(text)

    def remark(self, text: str) -> None:
        self._screen.remark(text)

    def item(self, kind: str, name: str, about: str | None) -> None:
        self._screen.entry(f"{name}\t{about}" if about else name)

    def close(self, status: int) -> None:
        pass


def _remarks(turn: Turn, reply: Reply) -> list[str]:
    """Return what the text of an answer does not tell by itself."""
    remarks = [f"the model calls {_told(call)}" for call in reply.tool_calls]
    if reply.refusal:
        remarks.append(f"the model refuses: {reply.refusal}")
    if reply.finish_reason in _CUT_REASONS:
        remarks.append(_CUT_REASONS[reply.finish_reason])
    answered = bool(turn.said[1] or reply.tool_calls)
    if reply.end is End.COMPLETE and not (answered or reply.refusal):
        remarks.append("the answer is empty")
    if reply.end is End.TRUNCATED and turn.error is None:
        remarks.append("the answer was cut off, which --no-strict accepts")
    if reply.skipped:
        remarks.append(f"malformed lines skipped: {reply.skipped}")
    if reply.left_out and answered:
        remarks.append(f"not in the conversation: {', '.join(reply.left_out)}")
    if reply.remembered is False:
        remarks.append(
            "the server began a new conversation and may not know what was said; the next "
            "message tells it"
        )
    return remarks


def _told(call: ToolCall) -> str:
    arguments = call.arguments
    if len(arguments) > MAX_ARGUMENTS:
        arguments = f"{arguments[:MAX_ARGUMENTS]}… ({len(arguments):,} characters)"
    return f"{call.name}({arguments})"
