"""Conversations to files and back: ``--save`` and ``--resume``.

A file holds a whole conversation and the server's handle of it, so only its owner may
read it. It is replaced in one step: whatever happens, it is the old or the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ..client import CopilotClient
from ..conversation import Conversation
from ..errors import InvalidRequestError
from ..options import UNSET
from .argument_parser import UsageProblemError
from .arguments import Options

__all__ = ["check_place", "read_chat", "write_chat"]


def check_place(path: Path) -> None:
    """Find out before anything is sent that a conversation could not be kept at path.

    Raises UsageProblemError.
    """
    folder = path.resolve().parent
    if not folder.is_dir():
        raise UsageProblemError(f"--save {path}: there is no folder {folder}")
    if path.is_dir() or not os.access(folder, os.W_OK):
        raise UsageProblemError(f"--save {path}: no file can be written there")


def write_chat(path: Path, chat: Conversation) -> None:
    """Write the conversation; raise OSError."""
    place = path.resolve()  # a link is followed, not replaced
    number, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            json.dump(chat.to_dict(), file, indent=1)
            file.write("\n")
        Path(name).replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def read_chat(path: Path, client: CopilotClient, options: Options) -> Conversation:
    """Return the conversation in a file, with what the options say over it.

    Raises UsageProblemError.
    """
    try:
        saved = json.loads(path.read_bytes())
        given: dict[str, Any] = {}
        if options.memory not in (None, saved["memory"]):
            # The history serves both; the provider is g4f's alone, so the default again.
            given |= {"memory": options.memory, "provider": UNSET}
        if options.provider is not None:
            given["provider"] = options.provider or None
        if options.model is not None:
            given["model"] = options.model
        chat = Conversation.from_dict(client, saved, **given)
    except OSError as error:
        raise UsageProblemError(f"--resume {path}: {error.strerror}") from None
    except InvalidRequestError as error:
        raise UsageProblemError(f"--resume {path}: {error.message}") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UsageProblemError(f"--resume {path}: this is no saved conversation") from None
    if options.system is not None:
        if chat.memory == "server" and chat.history:
            raise UsageProblemError(
                "--system: the server has got the saved conversation's prompt already; "
                "leave --system out, or start anew without --resume"
            )
        chat.system = options.system
    return chat
