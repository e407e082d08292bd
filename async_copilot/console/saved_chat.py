"""Conversations to files and back: ``--save``, ``--resume``, ``--continue``.

A file holds a whole conversation and the server's handle of it, so only its owner may
read it. How a file is replaced is safe_file's business.
"""

from __future__ import annotations

import copy
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from ..client import CopilotClient
from ..conversation import Conversation
from ..errors import InvalidRequestError
from .argument_parser import UsageProblemError
from .arguments import Options
from .deep_json import deep_nesting
from .safe_file import NotRegularError, SafeFile, free_neighbor, real_path

__all__ = ["Keeper", "check_place", "given", "read_chat"]


class Keeper:
    """Keeps the conversation under way in a file; another conversation gets another file.

    file: where it is kept.
    url: of the server, fit to be shown; kept with it.
    name_next: names the file of the next conversation; None: a neighbor of this one.
    tell: says where a conversation is kept, if not where it was meant to be.
    """

    def __init__(
        self,
        file: SafeFile,
        tell: Callable[[str], object],
        url: str,
        name_next: Callable[[], Path] | None = None,
    ) -> None:
        self._file = file
        self._url = url
        self._tell = tell
        self._name_next = name_next
        self._first = file.path
        self._used = False

    @property
    def path(self) -> Path:
        return self._file.path

    def keep(self, chat: Conversation) -> None:
        """Write the conversation, if anything was said in it; raise OSError."""
        if not chat.history:
            return
        with deep_nesting():
            text = json.dumps(chat.to_dict() | {"url": self._url}, indent=1)
        wanted = self._file.path
        self._used = True
        if not self._file.write(f"{text}\n".encode()):
            self._tell(
                f"{wanted} was changed by another program, so it stays as it is; this "
                f"conversation is kept in {self._file.path}"
            )

    def begin(self) -> None:
        """A new conversation begins: what the file holds stays."""
        if not self._used and not self._file.path.exists():
            return
        if self._name_next is None:
            self._file = SafeFile(free_neighbor(self._first))
            self._tell(
                f"the conversation so far stays in {self._first}, "
                f"the new one is kept in {self._file.path}"
            )
        else:
            self._file = SafeFile(self._name_next())
        self._used = False


def check_place(path: Path, resumed: Path | None) -> None:
    """Check before anything is sent that a conversation can be kept at path.

    resumed: the file it was read from, the one that may be replaced.

    Raises UsageProblemError.
    """
    try:
        problem = _place_problem(path, resumed)
    except OSError as error:
        problem = error.strerror
    if problem:
        raise UsageProblemError(f"--save {path}: {problem}")


def read_chat(file: SafeFile, client: CopilotClient, options: Options, url: str) -> Conversation:
    """Return the conversation in a file, with what the options say over it.

    url: of the server. Another one than it was kept with is told what was said.

    Raises UsageProblemError.
    """
    where = f"{'--resume' if options.resume else '--continue'} {file.path}"
    try:
        saved = _loaded(file.read())
        with deep_nesting():
            chat = Conversation.from_dict(client, saved, **given(options))
        if saved.get("url", url) != url:
            chat = copy.copy(chat)
    except NotRegularError:
        raise UsageProblemError(f"{where}: it is not a regular file") from None
    except OSError as error:
        raise UsageProblemError(f"{where}: {error.strerror}") from None
    except InvalidRequestError as error:
        raise UsageProblemError(f"{where}: {error.message}") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UsageProblemError(f"{where}: this is not a saved conversation") from None
    if options.system is not None:
        if chat.memory == "server" and chat.history:
            raise UsageProblemError(
                "--system: the server already has the saved conversation's prompt; "
                "leave --system out, or begin a new conversation"
            )
        chat.system = options.system
    return chat


def given(options: Options) -> dict[str, Any]:
    """Return what the command line says of a conversation: it goes before what a file says."""
    settings: dict[str, Any] = {"extra": options.fields}
    if options.memory is not None:
        settings["memory"] = options.memory
    if options.provider is not None:
        settings["provider"] = options.provider or None
    if options.model is not None:
        settings["model"] = options.model
    return settings


def _place_problem(path: Path, resumed: Path | None) -> str | None:
    """Return why no conversation can be kept at path, if so. Raises OSError."""
    folder = real_path(path).parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None if os.access(folder, os.W_OK | os.X_OK) else "no file can be written there"
    if not stat.S_ISREG(mode):
        return "it is not a regular file"
    if resumed is None or not (resumed.exists() and path.samefile(resumed)):
        return (
            f"the file exists and is not replaced; go on with the conversation in it with "
            f"--resume {path} --save {path}, or give a new name"
        )
    writable = os.access(path, os.W_OK) and os.access(folder, os.W_OK | os.X_OK)
    return None if writable else "it may not be written"


def _loaded(content: bytes) -> dict[str, object]:
    try:
        loaded = json.loads(content)
    except RecursionError:
        loaded = orjson.loads(content)
    if not isinstance(loaded, dict):
        raise TypeError("a conversation is an object")
    return loaded
