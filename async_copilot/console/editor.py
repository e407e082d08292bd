"""A message written in the person's own editor: ``/edit``. Starts the editor."""

from __future__ import annotations

import contextlib
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from .plain_text import decoded

__all__ = ["EditorError", "edited"]

_KEYS = ("SIGINT", "SIGQUIT")  # Windows has no SIGQUIT


class EditorError(Exception):
    """There is no text; the message says why."""


def edited(
    text: str,
    environ: Mapping[str, str],
    tell: Callable[[str], object],
    *,
    screen: int | None = None,
) -> str:
    """Return what the person makes of a text in ``$VISUAL`` or ``$EDITOR``.

    tell: is told of characters that cannot be read.
    screen: the terminal, for an editor cannot show itself in a pipe; None: stdout.

    Raises EditorError where the editor cannot be started, fails, or leaves no text.
    """
    usual = "notepad" if sys.platform == "win32" else "vi"
    editor = environ.get("VISUAL") or environ.get("EDITOR") or usual
    try:
        with tempfile.TemporaryDirectory(prefix="async-copilot-") as folder:
            path = Path(folder, "message.md")
            path.write_bytes(text.encode(errors="replace"))
            _run(editor, path, screen)
            left = decoded(path.read_bytes(), "what the editor left", tell)
    except OSError as error:
        raise EditorError(f"the message cannot be edited: {error}") from None
    if left is None:
        raise EditorError("what the editor left is not text; nothing is sent")
    return left.removesuffix("\n")


def _run(editor: str, path: Path, screen: int | None) -> None:
    try:
        line = [*shlex.split(editor), str(path)]
        with _undisturbed():
            status = subprocess.call(line, stdout=screen)  # noqa: S603  # the person's own
    except (OSError, ValueError) as error:
        raise EditorError(f"cannot start {editor} ({error}); set EDITOR") from None
    if status:
        raise EditorError(f"{editor} ended with status {status}; nothing is sent")


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave the keys that send signals to the editor, to which Ctrl-C may mean anything."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Not SIG_IGN, which the editor would inherit.
    numbers = [number for name in _KEYS if (number := getattr(signal, name, None)) is not None]
    replaced = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
