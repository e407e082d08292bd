"""The messages of the command line, with what stdin holds put in. Reads stdin."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence

from .argument_parser import UsageProblemError

__all__ = ["complete_messages"]


def complete_messages(messages: Sequence[str], *, interactive: bool) -> list[str]:
    """Return the messages to send.

    ``-`` stands for the text of stdin. Without it, a pipe or file there is put under the
    first message; not in a chat, whose messages are typed there, and not without
    messages: a program started by another one may have a pipe that never ends.
    """
    listed = list(messages)
    if "-" in listed:
        text = _stdin_text()
        if not text.strip():
            raise UsageProblemError("stdin holds no message for -")
        listed[listed.index("-")] = text
    elif listed and not interactive and _is_piped():
        text = _stdin_text()
        if text.strip():
            listed[0] = f"{listed[0]}\n\n{text}"
    return listed


def _stdin_text() -> str:
    """Return all of stdin, without the line end at its end."""
    if sys.stdin is None:
        return ""
    data = sys.stdin.buffer.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode(sys.stdin.encoding, errors="replace")
    return text.replace("\r\n", "\n").removesuffix("\n")


def _is_piped() -> bool:
    """True for a pipe, file or socket: neither a terminal nor /dev/null."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # closed, or replaced by something else
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
