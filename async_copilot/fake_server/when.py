"""Which requests an answer of a script is for, as data. No I/O."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass

from .checks import TEXT, check, optional
from .request import Request

__all__ = ["When", "is_condition", "when_of"]

_NAMES = ("text", "model", "tool_call_id")


@dataclass(frozen=True, slots=True)
class When:
    """Which requests an answer is for; what is left out fits every request.

    text:         a part of the last user message.
    model:        the request's model, exactly.
    tool_call_id: the id of a tool result that the request ends with.
    """

    _: KW_ONLY
    text: str | None = None
    model: str | None = None
    tool_call_id: str | None = None

    def __post_init__(self) -> None:
        check(self, dict.fromkeys(_NAMES, optional(TEXT)))
        if all(getattr(self, name) is None for name in _NAMES):
            raise ValueError("when: must have text, model or tool_call_id")
        if self.text == "":
            raise ValueError("text='': is a part of every message; leave it out")

    def fits(self, request: Request) -> bool:
        """Whether this is such a request."""
        return (
            (self.text is None or self.text in request.text)
            and (self.model is None or self.model == request.model)
            and (self.tool_call_id is None or self.tool_call_id in request.tool_call_ids)
        )

    def __str__(self) -> str:
        given = [(name, getattr(self, name)) for name in _NAMES]
        return ", ".join(f"{name} {value!r}" for name, value in given if value is not None)


def when_of(given: Mapping[str, str]) -> When:
    """The condition that an object stands for. Raises ValueError for other keys."""
    unknown = [key for key in given if key not in _NAMES]
    if unknown:
        raise ValueError(f"when has no {unknown[0]!r}; it has {', '.join(_NAMES)}")
    return When(**given)


def is_condition(value: object) -> bool:
    """Whether it can say which requests an answer is for: a ``When``, or a function."""
    if isinstance(value, When):
        return True
    # A coroutine would count as true, and a class is never what was meant.
    odd = isinstance(value, type) or inspect.iscoroutinefunction(value)
    return callable(value) and not odd
