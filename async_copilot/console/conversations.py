"""Options in, the conversation of a run out: a new one, or one that was kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..client import CopilotClient
from ..conversation import Conversation
from .argument_parser import UsageProblemError
from .arguments import Options
from .attachments import text_of
from .kept_chats import make_folder, new_chat_path, newest_chat
from .opening import Opening
from .safe_file import SafeFile
from .saved_chat import Keeper, given, read_chat

__all__ = ["Begun", "begin"]

MAX_QUESTION = 60  # characters of the last question that are shown

_HOMELESS = "you have no home folder; set XDG_STATE_HOME to a folder of your own"


@dataclass(frozen=True, slots=True)
class Begun:
    """A conversation, a way to make others like it, and what keeps them, if anything."""

    conversation: Conversation
    new: Callable[[str | None], Conversation]
    keeper: Keeper | None


def begin(
    options: Options,
    opening: Opening,
    client: CopilotClient,
    url: str,
    tell: Callable[[str], object],
) -> Begun:
    """Make the conversation, or read it. Raises UsageProblemError.

    url: of the server, fit to be shown.
    tell: is told what was read, and where a conversation is kept, if not where expected.
    """
    new = partial(_new, client, options, interactive=opening.interactive)
    file = _file(options)
    if file is None:
        chat = new(options.system)
    else:
        chat = read_chat(file, client, options, url)
        # In a chat, an answer that was stopped is still part of what was said.
        chat.keep_partial = opening.interactive
        tell(_resumed(file, chat))
    return Begun(chat, new, None if options.dry_run else _keeper(options, url, file, tell))


def _file(options: Options) -> SafeFile | None:
    """Return the file to go on with, if one is to be."""
    if options.resume is not None:
        return SafeFile(options.resume)
    if not options.goes_on:
        return None
    if options.chats is None:
        raise UsageProblemError(f"--continue: {_HOMELESS}")
    try:
        newest = newest_chat(options.chats)
    except OSError as error:
        raise UsageProblemError(f"--continue: {options.chats}: {error.strerror}") from None
    if newest is None:
        raise UsageProblemError(
            f"--continue: no chat is kept in {options.chats}; begin one with -i, or with --keep"
        )
    return SafeFile(newest)


def _keeper(
    options: Options, url: str, read: SafeFile | None, tell: Callable[[str], object]
) -> Keeper | None:
    if options.save is not None:
        same = read is not None and read.path.exists() and options.save.exists()
        if read is not None and same and read.path.samefile(options.save):
            return Keeper(read, tell, url)
        return Keeper(SafeFile(options.save), tell, url)
    if not options.keep:
        return None
    if options.chats is None:
        tell(f"this conversation is not kept: {_HOMELESS}")
        return None
    try:
        make_folder(options.chats)
    except OSError as error:
        tell(f"this conversation is not kept: {options.chats}: {error.strerror}")
        return None
    name = partial(new_chat_path, options.chats)
    goes_on = read is not None and options.resume is None
    return Keeper(read if read is not None and goes_on else SafeFile(name()), tell, url, name)


def _new(
    client: CopilotClient, options: Options, system: str | None, *, interactive: bool
) -> Conversation:
    settings = {"memory": "server"} | given(options)
    return client.conversation(system=system, keep_partial=interactive, **settings)


def _resumed(file: SafeFile, chat: Conversation) -> str:
    asked = [message for message in chat.history if message.get("role") == "user"]
    turns = "1 turn" if len(asked) == 1 else f"{len(asked)} turns"
    if not asked:
        return f"resumed {file.path}: nothing was said yet"
    last = " ".join(text_of(asked[-1]).split())
    if len(last) > MAX_QUESTION:
        last = f"{last[:MAX_QUESTION]}…"
    return f"resumed {file.path}: {turns}, the last question: {last}"
