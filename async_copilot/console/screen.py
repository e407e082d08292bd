"""The console's streams: the answer to stdout, everything else to stderr. All writing.

Both may be a terminal, a pipe, a file, closed, or unable to encode a character.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from ..wire.text import visible
from .argument_parser import PROGRAM
from .interrupts import Interrupts
from .waiting_sign import WaitingSign

__all__ = ["OutputLostError", "Screen"]

LAST_WAIT = 0.3  # seconds that a reader has to read on, after a signal came

_DIM, _UNDIM = "\x1b[2m", "\x1b[22m"


class OutputLostError(Exception):
    """stdout takes no more: its reader left, or the disk is full.

    quiet: the reader left, as ``head`` does; nobody is to be told.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        # Windows says EINVAL for a closed pipe.
        self.quiet = isinstance(error, BrokenPipeError) or sys.platform == "win32"


class Screen:
    """Writes at once what it is given; server's text must come as it is, it is made safe here.

    A character that stdout cannot encode is replaced. An unusable stderr loses what is
    written to it; an unusable stdout raises OutputLostError.

    terminal: both streams are a terminal, so a person is looking.
    color: dim what is no answer, on a terminal.
    """

    def __init__(self, interrupts: Interrupts, *, color: bool) -> None:
        self._interrupts = interrupts
        self._opened = contextlib.ExitStack()
        self._out = self._usable(sys.stdout, errors="replace")
        self._err = self._usable(sys.stderr, errors="backslashreplace")
        self.terminal = self._out.isatty() and self._err.isatty()
        self._dim = color and self._err.isatty()
        self._at_line_start = True
        self._aside_open = False
        self._written = False
        self._stuck = False
        self._lost: OutputLostError | None = None
        clever = self.terminal and os.environ.get("TERM") != "dumb"
        self.sign = WaitingSign(self._tell if clever else None)

    def write(self, text: str) -> None:
        """Write text of the answer, which is never empty."""
        self._make_way(for_good=True)
        self._put(visible(text))
        self._at_line_start = text.endswith("\n")
        self._written = True

    def write_line(self, line: str) -> None:
        """Write a line of ours, as it is."""
        self._make_way()
        self._put(line + "\n")

    def end_line(self) -> None:
        """End a line of the answer that has begun."""
        if not self._at_line_start:
            self.write("\n")

    def separate(self) -> None:
        """Set what comes apart from what was written, by a blank line."""
        if self._written:
            self._put("\n")
            self._written = False

    def note(self, text: str) -> None:
        """Say something on stderr, on a line of its own."""
        self._make_way()
        lead = "\n" if self.terminal and not self._at_line_start else ""
        self._tell(f"{lead}{visible(text)}\n")

    def remark(self, text: str) -> None:
        """Say something on stderr in the program's name."""
        self.note(f"{PROGRAM}: {text}")

    def aside(self, text: str) -> None:
        """Stream text to stderr, dimmed where that can be."""
        self.sign.stop()
        shown = visible(text)
        self._tell(f"{_DIM}{shown}{_UNDIM}" if self._dim else shown)
        self._aside_open = not text.endswith("\n")

    def close(self) -> None:
        """Leave nothing behind at which the program's end would hang."""
        self.sign.stop()
        if self._stuck and not self._takes_more():
            self._abandon()
        self._opened.close()

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
        if self._stuck and not self._takes_more():
            self._abandon()
        self._interrupts.writing = True
        try:
            self._out.write(text)
            self._out.flush()
        except OSError as error:
            self._abandon()
            self._lost = OutputLostError(error)
            raise self._lost from error
        except (KeyboardInterrupt, asyncio.CancelledError):
            self._stuck = True
            raise
        finally:
            self._interrupts.writing = False

    def _tell(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._err.write(text)
            self._err.flush()

    def _takes_more(self) -> bool:
        """False where another write to stdout would block for long."""
        try:
            return bool(select.select([], [self._out.fileno()], [], LAST_WAIT)[1])
        except (OSError, ValueError):
            return True  # no file of the system, or Windows, which cannot tell

    def _abandon(self) -> None:
        """Give stdout up: what it has not taken yet must not be tried again at exit."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._out.fileno())
            os.close(nowhere)

    def _usable(self, stream: TextIO | None, *, errors: str) -> TextIO:
        """Return a stream that can be written to, whatever the program was started with."""
        if stream is None:  # it was closed
            stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # by close()
            self._opened.callback(stream.close)
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)
        return stream
