"""The console's streams: the answer to stdout, everything else to stderr. All writing.

Both may be a terminal, a pipe, a file, closed, or unable to encode a character.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from ..wire.text import visible
from .argument_parser import PROGRAM
from .interrupts import Interrupts
from .out_stream import OutStream, abandon
from .waiting_sign import WaitingSign

__all__ = ["OutputLostError", "Screen"]

_DIM, _UNDIM = "\x1b[2m", "\x1b[22m"
_LINE_ENDS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


class OutputLostError(Exception):
    """stdout takes no more: its reader left, or the disk is full.

    quiet: the reader left, as ``head`` does; nothing is reported.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        # Windows says EINVAL for a closed pipe.
        self.quiet = isinstance(error, BrokenPipeError) or sys.platform == "win32"


class Screen:
    """Writes at once what it is given.

    On a terminal a server's text is made safe here: its control characters are shown, not
    obeyed, except a CRLF, which is a line end. In a pipe or file an answer stays as it is,
    to the last byte. A character that stdout cannot encode is replaced. An unusable stderr
    loses what is written to it; an unusable stdout raises OutputLostError.

    terminal: both streams are a terminal, so a person is looking.
    shows: stdout is one.
    color: dim what is not the answer, on a terminal.
    """

    def __init__(self, interrupts: Interrupts, *, color: bool) -> None:
        self._opened = contextlib.ExitStack()
        out = self._usable(sys.stdout, errors="replace")
        err = self._usable(sys.stderr, errors="backslashreplace")
        self._out, self._err = OutStream(out, interrupts), OutStream(err, interrupts)
        self.shows = out.isatty()
        self.terminal = self.shows and err.isatty()
        # What is written to one of them stands behind what was written to the other.
        self._together = self.terminal or _same_place(out, err)
        self._dim = color and err.isatty()
        self._at_line_start = True
        self._ended = False  # the line of the answer, by a note in between
        self._held = ""  # a CR, until it is known what follows it
        self._aside_open = False
        self._written = False
        self._lost: OutputLostError | None = None
        clever = self.terminal and os.environ.get("TERM") != "dumb"
        self.sign = WaitingSign(self._tell if clever else None, self._columns)

    def write(self, text: str) -> None:
        """Write text of the answer, which is never empty."""
        self._make_way(for_good=True)
        if self.shows:
            text = self._held + text
            self._held = "\r" if text.endswith("\r") else ""
            text = visible(text.removesuffix("\r").replace("\r\n", "\n"))
        self._put(text)
        self._at_line_start = text.endswith("\n")
        self._written, self._ended = True, False

    def finish(self) -> None:
        """End the last line of a whole answer."""
        if not self._ended:
            self.write("\n")

    def entry(self, text: str) -> None:
        """Write an entry of a list, on one line whatever a server puts into it."""
        self.write(_LINE_ENDS.sub(" ", text) + "\n")

    def write_line(self, line: str) -> None:
        """Write a line of ours, as it is."""
        self._make_way()
        self._put(line + "\n")

    def end_line(self) -> None:
        """End a line of the answer that has begun."""
        if not self._at_line_start:
            self.write("\n")

    def separate(self) -> None:
        """Put a blank line between what was written and what comes."""
        if self._written:
            self._put("\n")
            self._written = False

    def note(self, text: str) -> None:
        """Say something on stderr, on a line of its own."""
        self._make_way()
        self._leave_line()
        self._tell(f"{visible(text)}\n")

    def remark(self, text: str) -> None:
        """Say something on stderr in the program's name."""
        self.line(f"{PROGRAM}: {text}")

    def line(self, text: str) -> None:
        """Say something on stderr, on one line whatever it holds of a server's words."""
        self.note(_LINE_ENDS.sub(" ", text))

    def aside(self, text: str) -> None:
        """Stream text to stderr, dimmed if possible."""
        self.sign.stop()
        if not self._aside_open:
            self._leave_line()
        shown = visible(text)
        self._tell(f"{_DIM}{shown}{_UNDIM}" if self._dim else shown)
        self._aside_open = not text.endswith("\n")

    def close(self) -> None:
        """Drop what could make the end of the program hang."""
        self.sign.stop()
        self._out.close()
        self._err.close()
        self._opened.close()

    def _leave_line(self) -> None:
        """Do not write behind an answer's unfinished line."""
        if self._together and not self._at_line_start:
            self._tell("\n")
            self._at_line_start = self._ended = True

    def _make_way(self, *, for_good: bool = False) -> None:
        """Clear the sign, and end an aside, before something else is written."""
        if for_good:
            self.sign.stop()
        self.sign.erase()
        if self._aside_open:
            self._aside_open = False
            self._tell("\n")

    def _put(self, text: str) -> None:
        if self._lost is not None:
            raise self._lost
        try:
            self._out.write(text)
        except OSError as error:
            abandon(self._out.stream)
            self._lost = OutputLostError(error)
            raise self._lost from error

    def _tell(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._err.write(text)

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._err.stream.fileno()).columns or 80
        except (OSError, ValueError):  # no terminal any more
            return 80

    def _usable(self, stream: TextIO | None, *, errors: str) -> TextIO:
        """Return a stream that can be written to, whatever the program was started with."""
        if stream is None:  # it was closed
            stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # by close()
            self._opened.callback(stream.close)
        elif isinstance(stream, TextIOWrapper):
            # In a pipe a line end stays the one that the answer has, on Windows too.
            newline = None if stream.isatty() else "\n"
            stream.reconfigure(errors=errors, newline=newline)
        return stream


def _same_place(one: TextIO, other: TextIO) -> bool:
    """True for two streams into one file or pipe, as ``2>&1`` makes them."""
    try:
        return os.path.sameopenfile(one.fileno(), other.fileno())
    except (OSError, ValueError):
        return False
