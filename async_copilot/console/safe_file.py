"""A person's file: read, and replaced without losing what anybody wrote into it.

Regular files only: a device, a pipe or a socket is never read, waited for or replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # the one name for a module that is missing

__all__ = ["NotRegularError", "SafeFile", "free_neighbor", "read_regular", "real_path"]


class NotRegularError(OSError):
    """There is something at the path, and it is not a regular file."""


class SafeFile:
    """One file, written again and again.

    A write is synced to the disk and then put in place in one step, so a crash, a full
    disk or a kill leaves the file as it was before or as it is after. A file that holds
    anything but what this object has read or written is never replaced: another program,
    or the same one in another terminal, wrote it meanwhile. Then the text goes to a free
    neighbor, ``chat-2.json`` beside ``chat.json``, and ``path`` is that one from there on.

    Only its owner may read what is written. A link is followed, not replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._first = path
        self._seen: bytes | None = None  # digest of the content; None: no file is there

    def read(self) -> bytes:
        """Return the content. Raises OSError, NotRegularError among them."""
        content = read_regular(self.path)
        self._seen = _digest(content)
        return content

    def write(self, content: bytes) -> bool:
        """Write the content; return False where it went to a neighbor. Raises OSError."""
        place = real_path(self.path)
        new = _written_beside(place, content)
        in_place = True
        try:
            while not self._put(new, place):
                in_place = False
                self._seen = None
                self.path = free_neighbor(self._first)
                place = real_path(self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                new.unlink()
            raise
        _sync_folder(place.parent)
        self._seen = _digest(content)
        return in_place

    def _put(self, new: Path, place: Path) -> bool:
        """Move a file to its place; return False where that would replace anything unseen."""
        with _locked(place):
            try:
                found = _digest(read_regular(place))
            except FileNotFoundError:
                return _named(new, place)
            if found != self._seen:
                return False
            new.replace(place)
        return True


def real_path(path: Path) -> Path:
    """Return where a path leads to. Unlike resolve() it raises nothing for links in a circle."""
    return Path(os.path.realpath(path))


def read_regular(path: Path) -> bytes:
    """Return the content of a regular file. Raises OSError, NotRegularError for others."""
    # Looked at before it is opened, since opening a pipe waits and opening a device acts,
    # and again afterwards, since it may be another one by then.
    _check_regular(path, path.stat())
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(number, "rb") as file:
        _check_regular(path, os.fstat(number))
        return file.read()


def free_neighbor(path: Path) -> Path:
    """Return the first of name-2.ext, name-3.ext, ... that is not there."""
    number = 2
    while os.path.lexists(neighbor := path.with_name(f"{path.stem}-{number}{path.suffix}")):
        number += 1
    return neighbor


def _check_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(None, "it is not a regular file", str(path))


def _written_beside(place: Path, content: bytes) -> Path:
    """Return a new file in the same folder that holds the content for good."""
    number, name = tempfile.mkstemp(dir=place.parent, prefix=".async-copilot-")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(number)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    return Path(name)


def _named(new: Path, place: Path) -> bool:
    """Move a file to a place that is free; return False where it is not free any more."""
    try:
        os.link(new, place)
    except FileExistsError:
        return False
    except OSError:  # this disk has no links, so in two steps
        try:
            place.touch(0o600, exist_ok=False)
        except FileExistsError:
            return False
        new.replace(place)
    else:
        new.unlink()
    return True


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Keep every other SafeFile from replacing the file meanwhile, where the system can.

    Whoever waited for the lock finds another file at the path, and looks at that one.
    """
    with contextlib.ExitStack() as held:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # no such file yet, or no locks there
                number = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
                held.callback(os.close, number)
                fcntl.flock(number, fcntl.LOCK_EX)
        yield


def _sync_folder(folder: Path) -> None:
    """Let the new name of a file outlast a loss of power, where the system can do so."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
