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
import sys
from io import TextIOWrapper
from pathlib import Path
from types import ModuleType
from typing import Self

__all__ = ["ChatPrompt"]

PROMPT = "> "
PASTE_PAUSE = 0.03  # seconds; a terminal delivers the lines of a paste faster


class ChatPrompt:
    """Reads messages; ``with`` reads and writes the file of what was typed before.

    history: that file, or None.
    """

    def __init__(self, history: Path | None = None) -> None:
        self.typed = _is_terminal(sys.stdin)
        self._history = history
        # Only with both can input() edit. Importing readline without a terminal may
        # write an escape sequence into the output.
        self._edited = self.typed and _is_terminal(sys.stdout)
        self._readline = _readline() if self._edited else None
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")

    def read(self) -> str | None:
        """Return the next message, None at the end of the input."""
        line = self._line(PROMPT)
        if line is None:
            if self.typed and sys.stderr is not None:
                sys.stderr.write("\n")  # Ctrl-D leaves the cursor behind the prompt
            return None
        lines = [line]
        while self.typed and _more_is_there() and (line := self._line("")) is not None:
            lines.append(line)
        return "\n".join(lines)

    def __enter__(self) -> Self:
        if self._readline is not None and self._history is not None:
            with contextlib.suppress(OSError):
                self._readline.read_history_file(self._history)
        return self

    def __exit__(self, *_: object) -> None:
        if self._readline is not None and self._history is not None:
            with contextlib.suppress(OSError):
                # Readable for its owner only, from the start.
                os.close(os.open(self._history, os.O_WRONLY | os.O_CREAT, 0o600))
                self._readline.write_history_file(self._history)

    def _line(self, prompt: str) -> str | None:
        if self._edited:
            try:
                return input(prompt)
            except EOFError:
                return None
        if self.typed and sys.stderr is not None:
            sys.stderr.write(prompt)
            sys.stderr.flush()
        line = sys.stdin.readline() if sys.stdin is not None else ""
        return line.rstrip("\r\n") if line else None


def _is_terminal(stream: object) -> bool:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.isatty(stream.fileno())  # type: ignore[attr-defined]
    return False


def _readline() -> ModuleType | None:
    try:
        import readline  # noqa: PLC0415  # only on a terminal, see ChatPrompt
    except ImportError:  # Windows: the console edits lines itself
        return None
    if os.environ.get("TERM") != "dumb":
        # Python turns it off, for programs that do not expect line ends in a line.
        readline.parse_and_bind("set enable-bracketed-paste on")
    return readline


def _more_is_there() -> bool:
    """True when another line waits to be read."""
    try:
        return bool(select.select([sys.stdin], [], [], PASTE_PAUSE)[0])
    except (OSError, ValueError):  # Windows asks sockets only
        return False
