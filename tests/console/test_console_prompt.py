"""Reading what is typed, where the machine offers less than a terminal of Unix."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from async_copilot.console import chat_prompt
from async_copilot.console.argument_parser import UsageProblemError
from async_copilot.console.arguments import Options
from async_copilot.console.chat_prompt import ChatPrompt
from async_copilot.console.history_file import HistoryFile
from async_copilot.console.opening import read_opening


def test_without_readline_there_is_just_no_editing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "readline", None)
    assert chat_prompt._readline() is None


def test_where_nobody_can_tell_no_more_lines_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("more"))
    assert not chat_prompt._more_is_there(0)


def test_lines_come_one_by_one_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\r\n\ntwo\\\nthree"))
    prompt = ChatPrompt()
    assert [prompt.read() for _ in range(5)] == ["one", "", "two\\", "three", None]


def test_without_a_terminal_to_edit_on_the_prompt_is_on_stderr(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A person types, and stdout is closed."""
    monkeypatch.setattr(chat_prompt, "_is_terminal", lambda _: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\n"))
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    prompt = ChatPrompt()
    assert (prompt.read(), prompt.read()) == ("one", None)
    assert sys.stderr.getvalue() == "> > \n"
    monkeypatch.setattr(sys, "stderr", None)
    assert prompt.read() is None


def test_a_closed_stdin_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    told: list[str] = []
    assert ChatPrompt().read() is None
    assert read_opening(Options(messages=("Hi",)), told.append).messages == ("Hi",)
    with pytest.raises(UsageProblemError, match="no message for -"):
        read_opening(Options(messages=("-",)), told.append)
    assert told == []


def test_an_entry_that_the_locale_cannot_show_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Readline:
        def add_history(self, entry: str) -> None:
            entry.encode("ascii")

    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    prompt = ChatPrompt(HistoryFile(tmp_path / "history"))
    prompt._readline = Readline()  # type: ignore[assignment]  # as much of it as is needed
    prompt.remember("grün")
    assert HistoryFile(tmp_path / "history").entries() == ["grün"]


def test_what_is_typed_is_remembered_once_where_there_is_a_place_for_it(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history")
    for prompt in (ChatPrompt(), ChatPrompt(file), ChatPrompt(file)):
        for text in ("a", "a", " ", "b"):
            prompt.remember(text)
    assert file.entries() == ["a", "b", "a", "b"]
