"""What was typed in chats, in a file: entries in, entries out. Reads and writes it.

One entry a line; a line end inside an entry is U+2028, which no keyboard types. Entries
are added as they are typed, each in one write, so two chats at once lose nothing.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from .argument_parser import UsageProblemError
from .safe_file import read_regular

__all__ = ["HistoryFile"]

MAX_ENTRIES = 1000  # taken from the file; more than anybody goes back

_LINE_END = "\u2028"


class HistoryFile:
    """The file, which only its owner can read. Raises UsageProblemError where it is not a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._check()

    def entries(self) -> list[str]:
        """Return the last entries, the oldest first; nothing where there is no file yet."""
        content = b""
        with contextlib.suppress(OSError):
            content = read_regular(self._path)
        lines = content.decode(errors="replace").split("\n")
        return [line.replace(_LINE_END, "\n") for line in lines if line][-MAX_ENTRIES:]

    def add(self, entry: str) -> None:
        """Add an entry; one that cannot be written is forgotten with the chat."""
        line = entry.replace("\n", _LINE_END) + "\n"
        with contextlib.suppress(OSError, UsageProblemError):
            self._check()
            number = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(number, "wb") as file:
                file.write(line.encode(errors="replace"))

    def _check(self) -> None:
        if self._path.exists() and not self._path.is_file():
            raise UsageProblemError(f"ASYNC_COPILOT_HISTORY={self._path}: it is not a regular file")
