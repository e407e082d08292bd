"""The error tree is the one that its docstring draws; each error can be caught, read, sent on."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Iterator

import pytest

import async_copilot
from async_copilot import errors
from async_copilot.errors import AmnesiaWarning, CopilotError, EventTooLargeError, Hint
from async_copilot.reply import Reply
from async_copilot.wire.answer import Answer, End
from async_copilot.wire.sse import ServerSentEvent

KINDS: list[type[CopilotError]] = [
    kind
    for name in errors.__all__
    if issubclass(kind := getattr(errors, name), CopilotError)
]  # fmt: skip
EACH = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def drawn() -> Iterator[tuple[str, str | None, str | None]]:
    """Name, parent and standard library's kind of each line of the tree."""
    line = re.compile(r"    ((?:│   |    )*)(?:[├└]── )?([A-Z]\w+)(?: +\((\w+)\))?(?:  |$)")
    path: list[str] = []
    for text in (errors.__doc__ or "").splitlines():
        found = line.match(text)
        if found:
            depth = len(found[1]) // 4 + ("── " in text)
            path[depth:] = [found[2]]
            yield found[2], path[depth - 1] if depth else None, found[3]


def test_the_tree_drawn_is_the_tree_in_the_code() -> None:
    tree = list(drawn())
    assert sorted(name for name, _, _ in tree) == sorted({*errors.__all__} - {"Hint"})
    for name, parent, kind in tree:
        ours = [
            base for base in getattr(errors, name).__bases__ if base.__module__ == errors.__name__
        ]
        theirs = [base for base in getattr(errors, name).__bases__ if base not in ours]
        assert [base.__name__ for base in ours] == ([parent] if parent else []), name
        if name != "CopilotError":
            assert [base.__name__ for base in theirs] == ([kind] if kind else []), name


def test_everything_public_is_in_the_tree() -> None:
    classes = [name for name, _ in inspect.getmembers(errors, inspect.isclass)]
    mine = [name for name in classes if getattr(errors, name).__module__ == errors.__name__]
    assert mine == sorted(errors.__all__)
    assert set(errors.__all__) <= set(async_copilot.__all__)


@EACH
def test_an_error_says_what_it_is(kind: type[CopilotError]) -> None:
    assert inspect.getdoc(kind)
    assert kind.__doc__ is not None
    assert issubclass(kind, Exception)


def test_an_error_keeps_what_happened_and_what_to_do_apart() -> None:
    hint = Hint("if the server means it, raise {option}", "max_event_bytes")
    error = EventTooLargeError("an event of 9 bytes", hint=hint, limit=8)
    assert error.message == "an event of 9 bytes"
    assert str(error) == "an event of 9 bytes; if the server means it, raise max_event_bytes"
    assert hint.spelled("--max-event") == "if the server means it, raise --max-event"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301  # our own bytes


@EACH
def test_an_error_has_every_attribute_from_the_start(kind: type[CopilotError]) -> None:
    error = kind("what happened")
    assert str(error) == error.message == "what happened"
    assert error.args == ("what happened",)
    for name in ("hint", "status", "code", "type", "body", "request_id", "retry_after", "reply"):
        assert getattr(error, name) is None
    assert error.retries == 0


def full(kind: type[CopilotError]) -> CopilotError:
    reply = Reply()
    reply.pieces.append("Hel")
    reply.end = End.ERROR
    error = kind(
        "what happened",
        status=429,
        code="c",
        type="t",
        body="b",
        request_id="r",
        retry_after=1.5,
        reply=reply,
        retries=2,
    )
    error.add_note("a note of the caller")
    if isinstance(error, EventTooLargeError):
        error.limit = 5
        error.events = [ServerSentEvent("message", "x")]
    return error


@EACH
def test_an_error_travels_with_its_attributes(kind: type[CopilotError]) -> None:
    error = full(kind)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        loaded = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301  # our own
        assert type(loaded) is kind
        assert str(loaded) == str(error)
        assert {**loaded.__dict__, "reply": None} == {**error.__dict__, "reply": None}
        assert type(loaded.reply) is Answer
        assert (loaded.reply.text, loaded.reply.end) == ("Hel", End.ERROR)


@EACH
def test_an_error_can_be_copied(kind: type[CopilotError]) -> None:
    error = full(kind)
    assert copy.copy(error).__dict__ == error.__dict__
    assert copy.deepcopy(error).reply is not error.reply


@EACH
def test_an_error_is_caught_as_the_standard_librarys_kind(kind: type[CopilotError]) -> None:
    for base in kind.__mro__:
        if base.__module__ == "builtins" and issubclass(base, Exception):
            with pytest.raises(base):
                raise kind("what happened")


def test_errors_of_the_operating_systems_kind_have_no_number() -> None:
    """OSError would take two arguments for errno and strerror; ours take one message."""
    for kind in KINDS:
        if issubclass(kind, OSError):
            error = kind("what happened")
            assert (error.errno, error.strerror, error.filename) == (None, None, None)


def test_a_cause_is_kept() -> None:
    for kind in KINDS:
        cause = ValueError("why")
        with pytest.raises(kind) as caught:
            raise kind("what happened") from cause
        assert caught.value.__cause__ is cause


def test_the_warning_is_a_user_warning_and_no_error() -> None:
    assert issubclass(AmnesiaWarning, UserWarning)
    assert not issubclass(AmnesiaWarning, CopilotError)
    loaded = pickle.loads(pickle.dumps(AmnesiaWarning("text")))  # noqa: S301  # our own
    assert str(loaded) == "text"
