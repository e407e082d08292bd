"""Which answer of a script a request gets. No I/O.

A script is one of::

    "Hello"                                        every request is answered so
    FakeAnswer("Hello", delay=0.5)                 the same, with options
    ["Hello", FakeAnswer(status=429), "Again"]     one request each, in order; then 410
    lambda request: f"You said {request.text}"     a function, or a coroutine function
    Cassette("chat.cassette")                      what a real server said, see ``cassette``

An answer may stand as an object with the fields of ``FakeAnswer`` everywhere. In a list the
first answer that fits the request and is not used up is taken; ``when`` says what it fits. An
answer that stands alone is for every request, or for as many as its ``times`` says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from .answer import FakeAnswer
from .cassette import Cassette, Take
from .request import Request
from .script_file import answer_from

__all__ = [
    "Answers",
    "NoAnswerError",
    "Planned",
    "Script",
    "ScriptError",
    "answers_of",
    "as_answer",
]


Planned: TypeAlias = FakeAnswer | Take
"""What a request is answered with: an answer made up by a test, or a recorded one."""

_Said: TypeAlias = str | FakeAnswer | Mapping[str, Any]
Script: TypeAlias = (
    _Said | Cassette | Sequence[_Said | Cassette] | Callable[[Request], _Said | Awaitable[_Said]]
)


class ScriptError(AssertionError):
    """A test did something its script does not foresee; raised when the server's block ends."""


class NoAnswerError(Exception):
    """No answer of the script fits a request."""


def as_answer(said: object, where: str = "the answer") -> FakeAnswer:
    """An answer from what a script may hold: text, an answer, or an object with its fields.

    Raises TypeError for anything else, ValueError for an object that cannot be an answer.
    """
    if isinstance(said, str | Mapping):
        return answer_from(said, where)
    if isinstance(said, FakeAnswer):
        return said
    raise TypeError(f"{where} must be a str, a FakeAnswer or an object, not {said!r}")


@dataclass(slots=True)
class _Slot:
    """One answer of a list and how often it may still be given (None: always)."""

    number: int
    answer: Planned
    left: int | None
    given: int = 0

    def take(self) -> Planned:
        self.given += 1
        if self.left is not None:
            self.left -= 1
        return self.answer


class Answers:
    """The answers of a script, and which of them are used."""

    def __init__(self, slots: Sequence[_Slot]) -> None:
        self._slots = slots
        self._open = list(slots)

    def pick(self, request: Request) -> Planned:
        """The next answer for this request.

        Raises NoAnswerError where none fits, with what was asked and what the script had.
        """
        for at, slot in enumerate(self._open):
            if slot.answer.fits(request):
                if slot.left == 1:
                    del self._open[at]
                return slot.take()
        asked = f"asked for {request.summary()}"
        if self._open and not any(slot.answer.fits(request) for slot in self._slots):
            had = self._list(self._open)
            raise NoAnswerError(f"no answer fits: {asked}, the script had {had}")
        total = sum(slot.given for slot in self._slots)
        used = f"the script of {total} answer{'s' * (total != 1)} is used up"
        raise NoAnswerError(f"{used}: {asked}, the script had {self._list(self._slots)}")

    def unused(self) -> list[str]:
        """The answers that were given less often than they say, in words."""
        return [f"{slot.number} {slot.answer.summary()}" for slot in self._slots if _is_due(slot)]

    @staticmethod
    def _list(slots: Sequence[_Slot]) -> str:
        shown = [f"{slot.number} {slot.answer.summary()}" for slot in slots[:10]]
        more = [f"and {len(slots) - 10} more"] if len(slots) > 10 else []
        return ", ".join([*shown, *more]) or "no answers"


def _is_due(slot: _Slot) -> bool:
    return slot.given == 0 if slot.left is None else slot.left > 0


def answers_of(script: Any) -> Answers:
    """The answers of a script that is not a function.

    Raises TypeError for what cannot be an answer, ValueError for one that can never be given.
    """
    if isinstance(script, str | Mapping | FakeAnswer):
        only = as_answer(script, "the script")
        return Answers([_Slot(1, only, None if only.times == 1 else only.times)])
    if isinstance(script, Cassette):
        script = [script]
    if not isinstance(script, list | tuple):
        raise TypeError(f"the script must be answers or a function, not {script!r}")
    answers: list[Planned] = []
    for said in script:
        where = f"answer {len(answers) + 1}"
        answers += said.takes if isinstance(said, Cassette) else [as_answer(said, where)]
    _check_reachable(answers)
    return Answers(
        [_Slot(number, answer, answer.times) for number, answer in enumerate(answers, 1)]
    )


def _check_reachable(answers: Sequence[Planned]) -> None:
    endless: list[tuple[int, Any]] = []
    for number, answer in enumerate(answers, 1):
        when = answer.when if isinstance(answer, FakeAnswer) else None
        for before, same in endless:
            if same is None or same == when:
                raise ValueError(
                    f"answer {before} is for all requests that follow (times=None): "
                    f"answer {number} is never given"
                )
        if isinstance(answer, FakeAnswer) and answer.times is None:
            endless.append((number, when))
