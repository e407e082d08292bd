"""An answer of a script, as data: its text, its pace, its faults. No I/O.

In: what a test says. Out: ``FakeAnswer`` objects, every value checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from .checks import (
    COUNT,
    FLAG,
    HEADERS,
    OBJECT,
    TEXT,
    TEXTS,
    WHOLE,
    Rule,
    Rules,
    check,
    check_seconds,
    is_number,
    is_text,
    optional,
)
from .faults import FAULTS, Fault
from .json_text import is_json
from .request import Request
from .when import When, is_condition, when_of

__all__ = ["FakeAnswer", "FakeToolCall", "Pace", "pieces_of"]

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
        if not is_number(self.jitter) or not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter={self.jitter!r}: must be a share of the pause, 0 to 1")
        check(self, {"seed": WHOLE})


@dataclass(frozen=True, slots=True)
class FakeToolCall:
    """A call the model asks for; ``arguments`` as an object or as JSON text.

    id: None makes one up that no other call of this server has.
    """

    name: str
    arguments: Mapping[str, Any] | str = "{}"
    _: KW_ONLY
    id: str | None = None

    def __post_init__(self) -> None:
        check(self, _CALL_RULES)


_CALL_RULES: Rules = {
    "name": TEXT,
    "arguments": (lambda value: is_text(value) or OBJECT[0](value), "an object or JSON text"),
    "id": optional(TEXT),
}


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """What one request is answered with. The options that are left out do nothing.

    content:       text, cut into small pieces, or a list of pieces sent as they are.
    reasoning:     the same, before the content; ``refusal`` the same, after it.
    tool_calls:    after those.
    choices:       the contents of the choices 0, 1, ..., each like ``content``; without
                   them every choice that a request's ``n`` asks for has ``content``.
    finish_reason: "auto" is "stop", or what the dialect says after tool calls; None
                   leaves it out, so that only [DONE] ends the stream.
    usage:         an object sent as it is; None: when the dialect would; True or False.
    logprobs:      one for each piece (the last for those beyond), or one number for all; None:
                   made up where the request asks for them, null where it does not.
    done:          False leaves [DONE] out.
    id, created, model: of the completion, for snapshots; None: made up, now, the request's.
    extra:         more top-level fields of every chunk and of a whole completion.
    conversation:  the g4f handle, in place of the one the server makes up.
    fault:         one fault or several.
    pace:          pieces a second, or a ``Pace``; None: all at once. An answer that is not
                   streamed takes as long.
    delay:         seconds before the first piece (and before the headers, where the
                   dialect holds them back until then).
    cut:           the body in writes of this many bytes.
    status:        anything but 200 is an error in the dialect's JSON, with ``error`` (text
                   or object) in it.
    retry_after:   seconds, or the header's text.
    headers:       more response headers; they replace the server's own.
    body:          exactly this body instead: text, bytes or a JSON value.
    stream:        True or False whatever the request asked for.
    times:         how many requests are answered so; None: all that follow.
    when:          which requests it is for, as ``When``, an object with its fields or a
                   function of the ``Request``; None: any.
    """

    content: str | Sequence[str] = ""
    _: KW_ONLY
    reasoning: str | Sequence[str] = ""
    refusal: str | Sequence[str] = ""
    tool_calls: Sequence[FakeToolCall] = ()
    choices: Sequence[str | Sequence[str]] = ()
    finish_reason: str | None = "auto"
    usage: Mapping[str, Any] | bool | None = None
    logprobs: float | Sequence[float] | None = None
    done: bool = True
    id: str | None = None
    created: int | None = None
    model: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
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
    when: When | Mapping[str, str] | Callable[[Request], object] | None = None

    def __post_init__(self) -> None:
        check_seconds("delay", self.delay)
        if not isinstance(self.pace, Pace | None):
            object.__setattr__(self, "pace", Pace(self.pace))
        faults = self.fault if isinstance(self.fault, list | tuple) else (self.fault,)
        object.__setattr__(self, "fault", tuple(faults))
        if isinstance(self.when, Mapping):
            object.__setattr__(self, "when", when_of(self.when))
        check(self, _RULES)
        if self.choices and self.content:
            raise ValueError("content and choices: must not both be given")
        self._check_one_kind()

    def _check_one_kind(self) -> None:
        """An answer is a completion, an error or a body: what it cannot send is not dropped."""
        said = ("content", "reasoning", "refusal", "tool_calls", "choices")
        if given := [name for name in said if getattr(self, name)]:
            if self.body is not None:
                raise ValueError(f"body and {given[0]}: must not both be given")
            if self.status != 200:
                instead = "use error or body; content is sent with status 200 alone"
                raise ValueError(f"{given[0]} with status={self.status}: {instead}")
        if self.error is not None and (self.status == 200 or self.body is not None):
            instead = "ErrorFrame is an error inside a stream"
            raise ValueError(f"error: needs a status that is not 200, and no body; {instead}")

    def fits(self, request: Request) -> bool:
        """Whether the answer is for this request."""
        if self.when is None:
            return True
        fits = self.when.fits if isinstance(self.when, When) else self.when
        return bool(fits(request))  # type: ignore[operator]  # __post_init__ left no mapping

    def summary(self) -> str:
        """The answer in a few words, for a message about the script."""
        if self.status != 200 or self.body is not None:
            said = f"status {self.status}"
        elif self.tool_calls:
            said = "calls of " + ", ".join(call.name for call in self.tool_calls)
        else:
            said = repr(_short("".join(self.content)))
        return said if self.when is None else f"{said} for {self._for()}"

    def _for(self) -> str:
        return str(self.when) if isinstance(self.when, When) else "what its function takes"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _is_pieces_list(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(TEXTS[0], value))


def _is_numbers(value: object) -> bool:
    listed = isinstance(value, list | tuple) and value
    return is_number(value) or bool(listed and all(map(is_number, listed)))


def _is_wait(value: object) -> bool:
    if isinstance(value, str):
        return HEADERS[0]({"Retry-After": value})
    return is_number(value) and value >= 0  # type: ignore[operator]  # is_number says what it is


def _is_status(value: object) -> bool:
    return type(value) is int and 200 <= value < 600


def _is_headers(value: Any) -> bool:
    # The server frames its bodies itself.
    return HEADERS[0](value) and "transfer-encoding" not in map(str.lower, value)


_TEXT_OR_OBJECT: Rule = (lambda value: is_text(value) or OBJECT[0](value), "a text or an object")

_RULES: Rules = {
    "content": TEXTS,
    "reasoning": TEXTS,
    "refusal": TEXTS,
    "tool_calls": (
        lambda calls: (
            isinstance(calls, list | tuple)
            and all(isinstance(call, FakeToolCall) for call in calls)
        ),
        "a list of FakeToolCall",
    ),
    "choices": (_is_pieces_list, "a list with a text, or a list of texts, for each choice"),
    "finish_reason": optional(TEXT),
    "usage": (
        lambda usage: usage is None or FLAG[0](usage) or OBJECT[0](usage),
        f"None, True, False or {OBJECT[1]}",
    ),
    "logprobs": optional((_is_numbers, "a number or a list of numbers")),
    "done": FLAG,
    "id": optional(TEXT),
    "created": optional(WHOLE),
    "model": optional(TEXT),
    "extra": OBJECT,
    "conversation": optional(OBJECT),
    "fault": (
        lambda faults: all(isinstance(fault, Fault) for fault in faults),
        f"one or more of {', '.join(FAULTS)}",
    ),
    "cut": optional(COUNT),
    "status": (_is_status, "200 to 599"),
    "error": optional(_TEXT_OR_OBJECT),
    "retry_after": optional((_is_wait, "0 or more seconds, or the header's text")),
    "headers": (_is_headers, f"{HEADERS[1]}, without Transfer-Encoding"),
    "body": (lambda body: isinstance(body, bytes) or is_json(body), "a text, bytes or JSON"),
    "stream": optional(FLAG),
    "times": optional(COUNT),
    "when": optional((is_condition, "a When, an object or a function that is not async")),
}


def pieces_of(text: str | Sequence[str]) -> Iterator[str]:
    """A text in pieces of up to three letters, as a tokenizer might; a list as it is."""
    if isinstance(text, str):
        return (piece[0] for piece in _PIECE.finditer(text))
    return iter(text)
