"""A message written in the person's own editor: ``/edit``. Starts the editor."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .plain_text import decoded

__all__ = ["EditorError", "edited"]


class EditorError(Exception):
    """There is no text; the message says why."""


def edited(text: str, environ: Mapping[str, str], *, screen: int | None = None) -> str:
    """Return what the person makes of a text in ``$VISUAL`` or ``$EDITOR``.

    screen: the terminal, for an editor cannot show itself in a pipe; None: stdout.

    Raises EditorError where the editor cannot be started, fails, or leaves no text.
    """
    usual = "notepad" if sys.platform == "win32" else "vi"
    editor = environ.get("VISUAL") or environ.get("EDITOR") or usual
    number, name = tempfile.mkstemp(suffix=".md", prefix="async-copilot-")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(text.encode(errors="replace"))
        try:
            line = [*shlex.split(editor), name]
            status = subprocess.call(line, stdout=screen)  # noqa: S603  # the person's own
        except (OSError, ValueError) as error:
            raise EditorError(f"cannot start {editor} ({error}); set EDITOR") from None
        if status:
            raise EditorError(f"{editor} ended with status {status}; nothing is sent")
        return (decoded(Path(name).read_bytes()) or "").removesuffix("\n")
    finally:
        with contextlib.suppress(OSError):
            Path(name).unlink()
