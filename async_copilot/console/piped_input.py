"""What is piped into the console, and the terminal behind it. Reads stdin.

A program started by another one may have a pipe on stdin that is never written to or
closed, so a long wait for its end is reported.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import stat
import sys
from collections.abc import Callable

from .argument_parser import UsageProblemError
from .plain_text import decoded

__all__ = ["is_piped", "open_terminal", "piped_bytes", "piped_text", "to_terminal"]

PATIENCE = 1.0  # seconds; a pipe with something in it has it sooner
BLOCK = 2**16
MAX_BYTES = 50 * 10**6  # as much as the largest image; a pipe may go on for ever
TERMINAL = "CONIN$" if sys.platform == "win32" else "/dev/tty"

STILL_READING = (
    "reading stdin until its end; if nothing is to come from there, start the program with "
    "< /dev/null or --no-stdin"
)

NOTHING_CAME = "nothing came on stdin, so it is not read; - waits for a message from there"


def is_piped() -> bool:
    """True for a pipe, file or socket: neither a terminal nor /dev/null."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # closed, or replaced by something else
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def piped_bytes(tell: Callable[[str], object], *, wait: bool = True) -> bytes:
    """Return all of stdin.

    tell: is told when nothing comes for a while.
    wait: False gives up then, if nothing has come at all.

    Raises UsageProblemError for more than MAX_BYTES, and where it cannot be read.
    """
    if sys.stdin is None:
        return b""
    number = sys.stdin.fileno()
    patient = not os.isatty(number)  # whoever types sees that it waits
    data = bytearray()
    while True:
        if patient and not _has_more(number):
            patient = False
            if not wait and not data:
                tell(NOTHING_CAME)
                return b""
            tell(STILL_READING)
        try:
            block = os.read(number, BLOCK)
        except OSError as error:
            raise UsageProblemError(f"stdin cannot be read: {error.strerror}") from None
        if not block:
            return bytes(data)
        data += block
        if len(data) > MAX_BYTES:
            raise UsageProblemError(f"stdin holds more than {MAX_BYTES // 10**6} MB")


def piped_text(data: bytes, tell: Callable[[str], object]) -> str:
    """Return what was piped as text, without the line end at its end.

    tell: is told of characters that cannot be read.

    Raises UsageProblemError for binary data.
    """
    encoding = "utf-8" if sys.stdin is None else sys.stdin.encoding
    text = decoded(data, "stdin", tell, fallback=encoding)
    if text is None:
        raise UsageProblemError(
            "stdin holds binary data, not text in UTF-8 or UTF-16; an image goes with -a -"
        )
    return text.replace("\r\n", "\n").removesuffix("\n")


def open_terminal() -> int | None:
    """Return the person's own terminal, open for reading, None where there is none."""
    with contextlib.suppress(OSError):
        return os.open(TERMINAL, os.O_RDWR)
    return None


def to_terminal(terminal: int) -> None:
    """Let stdin be the terminal from here on, for what is typed after a pipe was read."""
    os.dup2(terminal, 0)
    os.close(terminal)
    sys.stdin = io.TextIOWrapper(
        open(0, "rb", closefd=False),  # noqa: SIM115  # as long as the program runs
        encoding=sys.stdin.encoding,
        errors="replace",
    )


def _has_more(number: int) -> bool:
    """False where nothing, not even the end, has come within PATIENCE."""
    try:
        return bool(select.select([number], [], [], PATIENCE)[0])
    except (OSError, ValueError):  # Windows, which cannot tell
        return True
