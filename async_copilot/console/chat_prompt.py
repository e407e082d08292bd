"""What a person types, as messages: line editing, history, pasted lines. Reads stdin.

On a terminal the line is read by ``input()``, which has GNU readline's or libedit's
editing once the module ``readline`` is imported. Of several lines that are pasted, a
recent readline makes one text by itself (bracketed paste); for the others, lines that
are there already when one has been read belong to it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from functools import partial
from io import TextIOWrapper
from types import FrameType, ModuleType
from typing import NoReturn

from .history_file import HistoryFile
from .piped_input import open_terminal

__all__ = ["ChatPrompt"]

PROMPT = "> "
MORE = ". "  # where a message goes on
PASTE_PAUSE = 0.03  # seconds; a terminal delivers the lines of a paste faster


class ChatPrompt:
    """Reads messages.

    history: what was typed in earlier chats, or None.
    typed: a person types; else a program writes into a pipe.
    screen: the terminal that shows what is typed, None where lines cannot be edited.
    """

    def __init__(self, history: HistoryFile | None = None) -> None:
        self.typed = _is_terminal(sys.stdin)
        self._history = history
        self.screen = _screen() if self.typed else None
        self._readline: ModuleType | None = None
        self._last = ""
        if self.screen is not None:
            with _as_stdout(self.screen):
                self._readline = _readline()
        if self._readline is not None and history is not None:
            for entry in history.entries():
                self._recall(entry)
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")

    def read(self) -> str | None:
        """Return the next message, None at the end of the input.

        A line that ends with a backslash goes on in the next one. What was typed before
        the prompt came is a message a line: it was typed while an answer streamed.
        """
        if not self.typed:
            return self._line(PROMPT)
        text = self._lines(PROMPT)
        if text is None:
            if sys.stderr is not None:
                sys.stderr.write("\n")  # Ctrl-D leaves the cursor behind the prompt
            return None
        # An empty line after it leaves the backslash what it is.
        while _goes_on(text) and (more := self._lines(MORE)):
            text = f"{text[:-1]}\n{more}"
        self.remember(text)
        return text

    def remember(self, text: str) -> None:
        """Let the up key bring a message back, whole."""
        if text.strip() and text != self._last:
            self._last = text
            self._recall(text)
            if self._history is not None:
                self._history.add(text)

    def _recall(self, entry: str) -> None:
        if self._readline is not None:
            # A locale of other characters cannot show the entry.
            with contextlib.suppress(UnicodeError):
                self._readline.add_history(entry)

    def _lines(self, prompt: str) -> str | None:
        """Return a line, or several that were pasted."""
        waited = _more_is_there(0)
        line = self._line(prompt)
        if line is None or waited:
            return line
        lines = [line]
        while _more_is_there(PASTE_PAUSE) and (line := self._line("")) is not None:
            lines.append(line)
        return "\n".join(lines)

    def _line(self, prompt: str) -> str | None:
        begun = ""
        while True:
            try:
                with _telling_return(self._readline):
                    return self._read_line(prompt, begun)
            except _ReturnedError as returned:
                begun = str(returned)

    def _read_line(self, prompt: str, begun: str) -> str | None:
        if self.screen is not None:
            if self._readline is not None:
                self._readline.set_startup_hook(partial(self._readline.insert_text, begun))
            try:
                with _as_stdout(self.screen):
                    return input(prompt)
            except (EOFError, OSError):  # the terminal may be gone
                return None
        if self.typed and sys.stderr is not None:
            sys.stderr.write(prompt)
            sys.stderr.flush()
        line = ""
        if sys.stdin is not None:
            with contextlib.suppress(OSError):  # the terminal is gone, or it is for writing only
                line = sys.stdin.readline()
        return line.rstrip("\r\n") if line else None


class _ReturnedError(Exception):
    """The program was stopped with Ctrl-Z and is back; the text is the line that was begun."""


@contextlib.contextmanager
def _telling_return(readline: ModuleType | None) -> Iterator[None]:
    """Raise _ReturnedError after Ctrl-Z and fg: the prompt and the terminal's mode are gone."""
    number = getattr(signal, "SIGCONT", None)  # Windows has none
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def returned(_: int, __: FrameType | None) -> NoReturn:
        raise _ReturnedError("" if readline is None else readline.get_line_buffer())

    previous = signal.signal(number, returned)
    try:
        yield
    finally:
        signal.signal(number, previous)


def _goes_on(text: str) -> bool:
    """True for an odd number of backslashes at the end, as in a shell."""
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _is_terminal(stream: object) -> bool:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.isatty(stream.fileno())  # type: ignore[attr-defined]
    return False


def _screen() -> int | None:
    """Return a terminal to write to, stdout if it is one."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stdout.fileno()
        for stream in (sys.stdout, sys.stderr):
            if _is_terminal(stream):
                return stream.fileno()
        return open_terminal()
    return None


@contextlib.contextmanager
def _as_stdout(screen: int) -> Iterator[None]:
    """Let stdout be the terminal meanwhile, without which input() does not edit lines.

    A terminal itself takes no more than 4,095 characters of a line, and drops the rest.
    """
    out = sys.stdout.fileno()
    if screen == out:
        yield
        return
    kept = os.dup(out)
    os.dup2(screen, out)
    try:
        yield
    finally:
        os.dup2(kept, out)
        os.close(kept)


def _readline() -> ModuleType | None:
    try:
        import readline  # noqa: PLC0415  # only on a terminal, see ChatPrompt
    except ImportError:  # Windows: the console edits lines itself
        return None
    # A program that began in the background goes on when the prompt comes, and did not lose
    # one: that signal is taken here, where what it raises is dropped, and no line is lost.
    if hasattr(readline, "set_pre_input_hook"):  # pragma: no branch  # libedit may lack it
        readline.set_pre_input_hook(lambda: None)
    readline.set_auto_history(False)  # a message is one entry, however many lines it has
    if os.environ.get("TERM") != "dumb":
        # Python turns it off, for programs that do not expect line ends in a line.
        readline.parse_and_bind("set enable-bracketed-paste on")
    for enter in (r"\C-m", r"\C-j"):  # with Alt: a line end in the message
        readline.parse_and_bind(rf'"\e{enter}": "\C-v\C-j"')
    return readline


def _more_is_there(seconds: float) -> bool:
    """True when another line waits to be read."""
    try:
        return bool(select.select([sys.stdin], [], [], seconds)[0])
    except (OSError, ValueError):  # Windows asks sockets only
        return False
