"""Turns in, JSON objects out, one a line: what a program reads.

Only ASCII leaves, so any console can show it and nothing in it can move a cursor.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..conversation import Conversation
from ..errors import CopilotError
from ..reply import Reply
from .attachments import text_of
from .deep_json import line_of
from .explain import explain
from .screen import Screen
from .turns import Turn

__all__ = ["JsonLines", "summary"]


class JsonLines:
    """Writes ``start``, ``delta``, ``reasoning``, ``retry`` and ``end``.

    The last line is always an ``end`` that sums up. url: as in PlainView.
    """

    whole = True

    def __init__(self, screen: Screen) -> None:
        self.url = ""
        self._screen = screen
        self._turn = 0
        self._problem: str | None = None
        self._last_status: int | None = None

    def start(self, turn: Turn, conversation: Conversation) -> None:
        self._turn = turn.number
        self._last_status = None
        self._write(
            "start",
            url=self.url,
            memory=conversation.memory,
            model=conversation.model,
            provider=conversation.provider,
            message=text_of(turn.message),
        )

    def text(self, text: str) -> None:
        self._write("delta", text=text)

    def reasoning(self, text: str) -> None:
        self._write("reasoning", text=text)

    def retry(self, number: int, error: CopilotError, pause: float) -> None:
        self._write("retry", number=number, pause=round(pause, 3), error=described(error))

    def end(self, turn: Turn) -> None:
        self._screen.write_line(line_of(summary(turn.number, turn.status, turn)))
        self._last_status = turn.status
        if turn.error is not None:
            self._screen.remark(explain(turn.error, self.url))

    def problem(self, text: str) -> None:
        self._problem = text
        self._screen.remark(text)

    def remark(self, text: str) -> None:
        self._screen.remark(text)

    def item(self, kind: str, name: str, about: str | None) -> None:
        self._write(kind, id=name, label=about)

    def close(self, status: int) -> None:
        if status != self._last_status:
            closing = summary(self._turn, status, problem=self._problem)
            self._screen.write_line(line_of(closing))

    def _write(self, event: str, **values: Any) -> None:
        self._screen.write_line(line_of({"event": event, "turn": self._turn, **values}))


def summary(
    number: int, status: int, turn: Turn | None = None, *, problem: str | None = None
) -> dict[str, Any]:
    """Return the ``end`` of a turn, or of a program that came to no turn."""
    told = Reply() if turn is None or turn.reply is None else turn.reply
    error = None if turn is None else turn.error
    reasoning, text = ("", "") if turn is None else turn.said
    failure = None if problem is None else {"kind": None, "message": problem}
    return {
        "event": "end",
        "turn": number,
        "exit_status": int(status),
        "end": told.end and told.end.value,
        "text": text,
        "reasoning": reasoning,
        "refusal": told.refusal,
        "tool_calls": [asdict(call) for call in told.tool_calls],
        "finish_reason": told.finish_reason,
        "usage": told.usage,
        "model": told.model,
        "provider": told.provider,
        "id": told.id,
        "request_id": told.request_id,
        "http_status": told.status,
        "skipped": told.skipped,
        "remembered": told.remembered,
        "left_out": told.left_out,
        "timing": _rounded(asdict(told.timing)),
        "error": failure if error is None else described(error),
    }


def _rounded(value: Any) -> Any:
    """Return times to the microsecond."""
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


def described(error: CopilotError) -> dict[str, Any]:
    """Return an error's kind, message, and what the server said of it."""
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "status": error.status,
        "code": error.code,
        "type": error.type,
        "retry_after": error.retry_after,
    }
