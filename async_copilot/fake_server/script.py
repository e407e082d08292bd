"""The script of a fake chat server, as data: answers, their pace, their faults.

In: what a test says, as Python objects or as the same shapes in JSON. Out:
``FakeAnswer`` objects. No I/O.

A script is one of::

    "Hello"                                    every request is answered so
    FakeAnswer("Hello", delay=0.5)                 the same, with options
    ["Hello", FakeAnswer(status=429), "Again"]     one request each, in order; then 410
    lambda request: f"You said {request.text}" a function, or a coroutine function

In a JSON file an answer is a string or an object with the fields of ``FakeAnswer``; a
fault is ``{"Stall": {"after": 2, "seconds": 1}}``, a pace is a number or the fields of
``Pace``, a tool call has the fields of ``FakeToolCall``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from itertools import repeat
from typing import Any, TypeAlias

from .faults import FAULTS, Fault, check_seconds
from .request import Request

__all__ = [
    "FakeAnswer",
    "FakeToolCall",
    "Pace",
    "Script",
    "answers_of",
    "as_answer",
    "pieces_of",
    "script_from_json",
]

_PIECE = re.compile(r"\s?\w{1,3}|\s?[^\w\s]|\s")


@dataclass(frozen=True, slots=True)
class Pace:
    """Pieces a second, and how uneven: ``jitter`` 0.5 varies each pause by up to half.

    The same ``seed`` gives the same pauses.
    """

    per_second: float
    _: KW_ONLY
    jitter: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_seconds("per_second", self.per_second, zero=False)
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter={self.jitter!r}: a share of the pause, 0 to 1")


@dataclass(frozen=True, slots=True)
class FakeToolCall:
    """A call the model asks for; ``arguments`` as an object or as JSON text."""

    name: str
    arguments: Mapping[str, Any] | str = "{}"
    _: KW_ONLY
    id: str | None = None


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """What one request is answered with. The options that are left out do nothing.

    content:       text, cut into small pieces, or a list of pieces sent as they are.
    reasoning:     the same, before the content; ``refusal`` the same, after it.
    tool_calls:    after those.
    finish_reason: "auto" is "stop", or what the dialect says after tool calls; None
                   leaves it out, so that only [DONE] ends the stream.
    usage:         an object sent as it is; None: when the dialect would; True or False.
    done:          False leaves [DONE] out.
    conversation:  the g4f handle, in place of the one the server makes up.
    fault:         one fault or several.
    pace:          pieces a second, or a ``Pace``; None: all at once.
    delay:         seconds before the first piece (and before the headers, where the
                   dialect holds them back until then).
    cut:           the body in writes of this many bytes.
    status:        anything but 200 is an error in the dialect's JSON, with ``error`` (text
                   or object) in it.
    retry_after:   seconds, or the header's text.
    headers:       more response headers; they replace the server's own.
    body:          exactly this body instead: text, bytes or a JSON value.
    stream:        True or False whatever the request asked for.
    times:         how many requests in a row are answered so; None: all that follow.
    """

    content: str | Sequence[str] = ""
    _: KW_ONLY
    reasoning: str | Sequence[str] = ""
    refusal: str | Sequence[str] = ""
    tool_calls: Sequence[FakeToolCall] = ()
    finish_reason: str | None = "auto"
    usage: Mapping[str, Any] | bool | None = None
    done: bool = True
    conversation: Mapping[str, Any] | None = field(default=None, repr=False)
    fault: Fault | Sequence[Fault] = ()
    pace: float | Pace | None = None
    delay: float = 0.0
    cut: int | None = None
    status: int = 200
    error: str | Mapping[str, Any] | None = None
    retry_after: float | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    stream: bool | None = None
    times: int | None = 1

    def __post_init__(self) -> None:
        check_seconds("delay", self.delay)
        if not isinstance(self.pace, Pace | None):
            object.__setattr__(self, "pace", Pace(self.pace))
        faults = (self.fault,) if isinstance(self.fault, Fault) else tuple(self.fault)
        object.__setattr__(self, "fault", faults)
        for name, (fits, wanted) in _RULES.items():
            if not fits(value := getattr(self, name)):
                raise ValueError(f"{name}={value!r}: {wanted}")


def _is_text(value: object) -> bool:
    texts = [value] if isinstance(value, str) else value
    return isinstance(texts, Sequence) and all(isinstance(text, str) for text in texts)


def _is_count(value: object) -> bool:
    return value is None or (isinstance(value, int) and value >= 1)


# A script is often a file written by hand: each field says what it wants.
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "content": (_is_text, "a text or a list of texts"),
    "reasoning": (_is_text, "a text or a list of texts"),
    "refusal": (_is_text, "a text or a list of texts"),
    "tool_calls": (
        lambda calls: all(isinstance(call, FakeToolCall) for call in calls),
        "a list of FakeToolCall",
    ),
    "fault": (
        lambda faults: all(isinstance(fault, Fault) for fault in faults),
        f"one or more of {', '.join(FAULTS)}",
    ),
    "status": (lambda status: status in range(200, 600), "200 to 599"),
    "headers": (
        lambda headers: isinstance(headers, Mapping) and _is_text([*headers, *headers.values()]),
        "an object of texts",
    ),
    "cut": (_is_count, "None, or 1 and more"),
    "times": (_is_count, "None, or 1 and more"),
}


_Said: TypeAlias = str | FakeAnswer
Script: TypeAlias = _Said | Sequence[_Said] | Callable[[Request], _Said | Awaitable[_Said]]


def pieces_of(text: str | Sequence[str]) -> tuple[str, ...]:
    """A text in pieces of up to three letters, as a tokenizer might; a list as it is."""
    return tuple(_PIECE.findall(text)) if isinstance(text, str) else tuple(text)


def as_answer(answer: object) -> FakeAnswer:
    """An answer from what a script may hold: text or ``FakeAnswer``."""
    if isinstance(answer, str):
        return FakeAnswer(answer)
    if isinstance(answer, FakeAnswer):
        return answer
    raise TypeError(f"a script answers with a str or a FakeAnswer, not with {answer!r}")


def answers_of(script: str | FakeAnswer | Sequence[str | FakeAnswer]) -> Iterator[FakeAnswer]:
    """The answers, request by request, without end.

    A list's answers come as often as they say; then 410, which no client takes for a
    passing trouble.
    """
    if isinstance(script, str | FakeAnswer):
        return repeat(as_answer(script))
    return _in_turn([as_answer(said) for said in script])


def _in_turn(answers: Sequence[FakeAnswer]) -> Iterator[FakeAnswer]:
    for answer in answers:
        yield from repeat(answer) if answer.times is None else repeat(answer, answer.times)
    total = sum(answer.times or 0 for answer in answers)
    text = f"the script of {total} answers is used up"
    yield from repeat(FakeAnswer(status=410, error=text))


def script_from_json(text: str | bytes) -> FakeAnswer | list[FakeAnswer]:
    """The script in a JSON text: one answer, or a list of them.

    Raises ValueError that names the place and the key.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ValueError(f"the script is not JSON: {error}") from None
    if not isinstance(data, list):
        return _answer(data, "the answer")
    return [_answer(item, f"answer {number}") for number, item in enumerate(data, 1)]


def _answer(data: object, where: str) -> FakeAnswer:
    if isinstance(data, str):
        return FakeAnswer(data)
    values = dict(_keys(FakeAnswer, data, where))
    if "fault" in values:
        faults = values["fault"]
        listed = faults if isinstance(faults, list) else [faults]
        values["fault"] = tuple(_fault(item, f"the fault of {where}") for item in listed)
    if isinstance(values.get("pace"), dict):
        values["pace"] = _make(Pace, values["pace"], f"the pace of {where}")
    calls = values.get("tool_calls", [])
    if not isinstance(calls, list):
        raise ValueError(f"the tool_calls of {where} are {calls!r}, not a list")
    values["tool_calls"] = tuple(
        _make(FakeToolCall, call, f"a tool call of {where}") for call in calls
    )
    answer: FakeAnswer = _make(FakeAnswer, values, where)
    return answer


def _fault(data: object, where: str) -> Any:
    if not isinstance(data, dict) or len(data) != 1 or next(iter(data)) not in FAULTS:
        known = ", ".join(FAULTS)
        raise ValueError(f'{where} is {data!r}, not {{"KIND": {{...}}}} with KIND of {known}')
    ((kind, values),) = data.items()
    return _make(FAULTS[kind], values, where)


def _make(kind: type[Any], data: object, where: str) -> Any:
    try:
        return kind(**_keys(kind, data, where))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def _keys(kind: type[Any], data: object, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(f"{where} is {data!r}, not an object")
    known = [entry.name for entry in fields(kind)]
    if unknown := [key for key in data if key not in known]:
        raise ValueError(f"{where} has no {unknown[0]!r}; it has {', '.join(known)}")
    return data
