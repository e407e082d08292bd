"""Turns in, JSON objects out, one a line: what a program reads.

Only ASCII leaves, so any console can show it and nothing in it can move a cursor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ..conversation import Conversation
from ..errors import CopilotError
from ..reply import Reply
from .explain import explain
from .screen import Screen
from .turns import Turn

__all__ = ["JsonLines", "line_of", "summary"]


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
            message=turn.message,
        )

    def text(self, text: str) -> None:
        self._write("delta", text=text)

    def reasoning(self, text: str) -> None:
        self._write("reasoning", text=text)

    def retry(self, number: int, error: CopilotError, pause: float) -> None:
        self._write("retry", number=number, pause=round(pause, 3), error=described(error))

    def end(self, turn: Turn) -> None:
        self._screen.write_line(line_of(summary(turn.number, turn.status, turn.reply, turn.error)))
        self._last_status = turn.status
        if turn.error is not None:
            self._screen.remark(explain(turn.error, self.url))

    def problem(self, text: str) -> None:
        self._problem = text
        self._screen.remark(text)

    def close(self, status: int) -> None:
        if status != self._last_status:
            closing = summary(self._turn, status, problem=self._problem)
            self._screen.write_line(line_of(closing))

    def _write(self, event: str, **values: Any) -> None:
        self._screen.write_line(line_of({"event": event, "turn": self._turn, **values}))


def line_of(values: dict[str, Any]) -> str:
    try:
        line = json.dumps(values, allow_nan=False)
    except ValueError:  # a server may count with NaN, which is no JSON
        line = json.dumps(_each(values, _finite))
    return line.replace("\x7f", "\\u007f")


def _each(value: Any, change: Callable[[float], float | None]) -> Any:
    """Return value with every float in it changed."""
    if isinstance(value, dict):
        return {name: _each(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_each(item, change) for item in value]
    return change(value) if isinstance(value, float) else value


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _rounded(seconds: float) -> float:
    return round(seconds, 6)


def summary(
    turn: int,
    status: int,
    reply: Reply | None = None,
    error: CopilotError | None = None,
    *,
    problem: str | None = None,
) -> dict[str, Any]:
    """Return the ``end`` of a turn, or of a program that came to no turn."""
    told = Reply() if reply is None else reply
    failure = None if problem is None else {"kind": None, "message": problem}
    return {
        "event": "end",
        "turn": turn,
        "exit_status": int(status),
        "end": told.end and told.end.value,
        "text": told.text,
        "reasoning": told.reasoning,
        "refusal": told.refusal,
        "finish_reason": told.finish_reason,
        "usage": told.usage,
        "model": told.model,
        "provider": told.provider,
        "id": told.id,
        "request_id": told.request_id,
        "http_status": told.status,
        "skipped": told.skipped,
        "remembered": told.remembered,
        "timing": _each(asdict(told.timing), _rounded),
        "error": failure if error is None else described(error),
    }


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
