"""Where chats without a file of their own are kept: ``--keep``, ``--continue``.

Simple files, one a conversation, in the platform's folder for such things, which only
its owner may read.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["chats_folder", "make_folder", "new_chat_path", "newest_chat"]


def chats_folder(environ: Mapping[str, str]) -> Path | None:
    """Return the folder: XDG's state folder, or what macOS and Windows have for it.

    None for a user without a home, as in a container.
    """
    with contextlib.suppress(RuntimeError):
        return _root(environ) / "async_copilot" / "chats"
    return None


def _root(environ: Mapping[str, str]) -> Path:
    base = Path(environ.get("XDG_STATE_HOME", ""))
    if base.is_absolute():  # one that is relative does not count, says the XDG specification
        return base
    if sys.platform == "win32":  # pragma: no cover  # another platform's
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":  # pragma: no cover  # another platform's
        return Path.home() / "Library" / "Application Support"
    return Path.home() / ".local" / "state"


def make_folder(folder: Path) -> None:
    """Make the folder, its owner's alone; raise OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def new_chat_path(folder: Path) -> Path:
    """Return a name for a new chat: the local time, and an end that no other chat has."""
    return folder / f"{time.strftime('%Y-%m-%d-%H%M%S')}-{os.urandom(3).hex()}.json"


def newest_chat(folder: Path) -> Path | None:
    """Return the chat in which something was said last, or None. Raises OSError."""
    files = (path for path in folder.glob("*.json") if not path.name.startswith("."))
    found = [(path.stat().st_mtime_ns, path) for path in files if path.is_file()]
    return max(found)[1] if found else None
