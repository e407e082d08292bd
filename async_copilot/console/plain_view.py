"""Turns in, text for a person out: the answer on stdout, remarks on stderr."""

from __future__ import annotations

from ..conversation import Conversation
from ..errors import CopilotError
from ..reply import Reply
from ..wire.answer import End
from .explain import explain
from .screen import Screen
from .stats import stats_line
from .turns import Turn

__all__ = ["PlainView"]

_CUT_REASONS = {
    "length": "the answer is cut short: it reached the server's limit of tokens",
    "content_filter": "the answer is cut short by the server's content filter",
}


class PlainView:
    """What a person reads.

    reasoning: show that, too.  stats: and how long everything took.
    """

    def __init__(self, screen: Screen, *, reasoning: bool, stats: bool) -> None:
        self.whole = reasoning
        self.url = ""
        self._screen = screen
        self._stats = stats

    def start(self, turn: Turn, conversation: Conversation) -> None:
        self._screen.separate()
        self._screen.sign.start()

    def text(self, text: str) -> None:
        self._screen.write(text)

    def reasoning(self, text: str) -> None:
        self._screen.aside(text)

    def retry(self, number: int, error: CopilotError, pause: float) -> None:
        reason = f"HTTP {error.status}" if error.status else "no connection"
        self._screen.sign.retry_in(pause, reason)

    def end(self, turn: Turn) -> None:
        screen, reply = self._screen, turn.reply
        if turn.error is None and not turn.interrupted:
            screen.write("\n")
        else:
            screen.end_line()
        screen.sign.stop()
        if reply is not None:
            for remark in _remarks(reply, failed=turn.error is not None):
                screen.remark(remark)
            if self._stats:
                screen.note(stats_line(reply))
        if turn.error is not None:
            screen.remark(explain(turn.error, self.url))

    def problem(self, text: str) -> None:
        self._screen.remark(text)

    def close(self, status: int) -> None:
        pass


def _remarks(reply: Reply, *, failed: bool) -> list[str]:
    """Return what the text of an answer does not tell by itself."""
    remarks = []
    if reply.refusal:
        remarks.append(f"the model refuses: {reply.refusal}")
    if reply.finish_reason in _CUT_REASONS:
        remarks.append(_CUT_REASONS[reply.finish_reason])
    if reply.end is End.COMPLETE and not (reply.text or reply.refusal):
        remarks.append("the answer is empty")
    if reply.end is End.TRUNCATED and not failed:
        remarks.append("the answer was cut off, which --no-strict accepts")
    if reply.skipped:
        remarks.append(f"malformed lines passed over: {reply.skipped}")
    if reply.remembered is False:
        remarks.append("the server began a new conversation and may not know what was said")
    return remarks
