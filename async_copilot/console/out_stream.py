"""Text in, written at once to stdout or stderr, however odd that is. Light to import."""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:  # asyncio comes with it
    from .interrupts import Interrupts

__all__ = ["OutStream", "abandon", "make_blocking"]

LAST_WAIT = 0.3  # seconds that a reader has to read on, after a signal came


class OutStream:
    """A stream whose reader may stop reading: a signal ends a write then.

    stream: is not closed.
    """

    def __init__(self, stream: TextIO, interrupts: Interrupts) -> None:
        make_blocking(stream)
        self.stream = stream
        self._interrupts = interrupts
        self._stuck = False

    def write(self, text: str) -> None:
        """Write text. Raises OSError, and what a signal raises."""
        self._let_go_if_stuck()
        self._interrupts.writing = True
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            raise
        except BaseException:
            self._stuck = True
            raise
        finally:
            self._interrupts.writing = False

    def close(self) -> None:
        """Drop what could make the end of the program hang or fail."""
        self._let_go_if_stuck()
        try:
            self.stream.flush()
        except OSError:
            abandon(self.stream)

    def _let_go_if_stuck(self) -> None:
        if self._stuck and not self._takes_more():
            abandon(self.stream)

    def _takes_more(self) -> bool:
        """False where another write would block for long."""
        try:
            return bool(select.select([], [self.stream.fileno()], [], LAST_WAIT)[1])
        except (OSError, ValueError):
            return True  # no file of the system, or Windows, which cannot tell


def make_blocking(stream: object) -> None:
    """Let a stream wait, which another program that has it too may have changed.

    Else a write takes what fits into the pipe, and the rest is lost; a read finds nothing.
    """
    with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or not a file
        os.set_blocking(stream.fileno(), True)  # type: ignore[attr-defined]  # the standard library's


def abandon(stream: TextIO) -> None:
    """Let go of what a stream has not written yet, and of all that follows.

    Python would try it again at its exit, and end with a status of its own, 120.
    """
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
