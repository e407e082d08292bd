"""Where chats without a file of their own are kept: ``--keep``, ``--continue``.

Simple files, one a conversation, in the platform's folder for such things, which only
its owner may read.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["chats_folder", "make_folder", "new_chat_path", "newest_chat"]


def chats_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder: XDG's state folder, or what macOS and Windows have for it."""
    if base := environ.get("XDG_STATE_HOME"):
        root = Path(base)
    elif sys.platform == "win32":  # pragma: no cover  # another platform's
        root = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":  # pragma: no cover  # another platform's
        root = Path.home() / "Library" / "Application Support"
    else:
        root = Path.home() / ".local" / "state"
    return root / "async_copilot" / "chats"


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
