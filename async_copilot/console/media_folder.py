"""The media of answers as files in a folder: ``--media``. Writes them."""

from __future__ import annotations

import mimetypes
import os
from pathlib import Path

from ..wire.media import find_media
from .argument_parser import UsageProblemError
from .safe_file import free_neighbor

__all__ = ["check_folder", "save_media"]


def check_folder(folder: Path) -> None:
    """Make the folder before anything is sent. Raises UsageProblemError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageProblemError(f"--media {folder}: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageProblemError(f"--media {folder}: no file can be written there")


def save_media(folder: Path, text: str) -> list[Path]:
    """Save what an answer holds, in new files; return their paths. Raises OSError."""
    saved = []
    for media in find_media(text):
        kind = media.type.partition("/")[0]
        path = folder / f"{kind}{mimetypes.guess_extension(media.type) or '.bin'}"
        while True:
            try:
                with path.open("xb") as file:
                    file.write(media.data)
                break
            except FileExistsError:
                path = free_neighbor(folder / f"{kind}{path.suffix}")
        saved.append(path)
    return saved
