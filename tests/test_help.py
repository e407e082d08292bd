"""help() is documentation: short, and of what is ours."""

from __future__ import annotations

import inspect
import pydoc

import pytest

import async_copilot
from async_copilot import CopilotError, RateLimitError, errors

PUBLIC = [name for name in async_copilot.__all__ if name != "__version__"]


def help_on(thing: object) -> list[str]:
    return pydoc.plain(pydoc.render_doc(thing)).splitlines()


def described(lines: list[str]) -> list[str]:
    """The names that help has an entry for."""
    entries = [line[4:].removeprefix("async ") for line in lines if line.startswith(" |  ")]
    return [entry.partition("(")[0].strip() for entry in entries]


def test_help_on_the_package_can_be_read() -> None:
    lines = help_on(async_copilot)
    assert len(lines) < 2_500
    assert not [line for line in lines if "with_traceback" in line or "add_note" in line]
    text = "\n".join(lines)
    for name in PUBLIC:
        assert name in text


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "Hint"])
def test_an_error_documents_itself_in_a_few_lines(name: str) -> None:
    thing = getattr(async_copilot, name)
    lines = help_on(thing)
    assert len(lines) <= (75 if thing is CopilotError else 45), "\n".join(lines)
    said = inspect.getdoc(thing)
    assert said is not None
    assert said.splitlines()[0] in "\n".join(lines)


@pytest.mark.parametrize("name", PUBLIC)
def test_help_shows_no_private_names(name: str) -> None:
    entries = described(help_on(getattr(async_copilot, name)))
    assert not [one for one in entries if one.startswith("_") and not one.startswith("__")]


def test_an_error_itself_still_has_all_that_errors_have() -> None:
    error = RateLimitError("busy", status=429)
    assert {"status", "retry_after", "args", "add_note", "with_traceback"} <= set(dir(error))
    assert RateLimitError.retry_after is None
