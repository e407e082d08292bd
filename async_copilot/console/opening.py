"""What a run begins with: the messages of the command line, stdin and attached files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from .argument_parser import UsageProblemError
from .arguments import Options
from .attachments import NOTHING, Attachments, Message, read_attachments
from .piped_input import is_piped, open_terminal, piped_bytes, piped_text, to_terminal

__all__ = ["Opening", "read_opening"]


@dataclass(frozen=True, slots=True)
class Opening:
    """What goes out first.

    messages: in order.
    interactive: what is typed comes after them.
    attached: goes with the first message that is typed; nothing where there are messages.
    """

    messages: tuple[Message, ...]
    interactive: bool
    attached: Attachments = NOTHING


def read_opening(options: Options, tell: Callable[[str], object]) -> Opening:
    """Read stdin, where it has a part in this, and the files.

    ``-`` stands for the text of stdin. Without it, a pipe or file there is put under the
    first message, or is the message where none is given. In a chat the terminal is read
    afterwards; without a terminal, and with --json, a chat's messages come from the pipe
    line by line, so that a program can talk.

    tell: is told what a person should know of it. Raises UsageProblemError.
    """
    terminal = None
    if options.interactive and not options.json and is_piped():
        terminal = open_terminal()
        if terminal is None and not options.stdin:
            raise UsageProblemError("--no-stdin leaves the pipe unread, and there is no terminal")
    data = _piped(options, tell, chats_there=terminal is not None)
    if terminal is not None:
        to_terminal(terminal)
    attached = read_attachments(options.attach, data, tell)
    text = "" if "-" in options.attach else piped_text(data, tell)
    listed = list(options.messages)
    if "-" in listed:
        if not text.strip():
            raise UsageProblemError("stdin is empty, so there is no message for -")
        listed[listed.index("-")] = text
    elif text.strip():
        attached = Attachments((text, *attached.texts), attached.images)
        if options.interactive and not listed:
            tell("what stdin held goes under the first message")
    return _opening(listed, attached, options)


def _piped(options: Options, tell: Callable[[str], object], *, chats_there: bool) -> bytes:
    """Return what a pipe holds, nothing where it is not to be read, or not here.

    chats_there: the chat goes on at a terminal, so all of the pipe comes before it.
    """
    if "-" in options.messages or "-" in options.attach:
        return piped_bytes(tell)
    if not (options.stdin and is_piped()) or (options.interactive and not chats_there):
        return b""
    # Without a message, what is to be done needs nothing from a pipe.
    asks = options.messages or options.interactive or options.resume or options.goes_on
    return piped_bytes(tell, wait=bool(asks))


def _opening(listed: list[str], attached: Attachments, options: Options) -> Opening:
    goes_on = options.resume is not None or options.goes_on
    interactive = options.interactive
    if options.goes_on and not (listed or attached) and sys.stdin is not None:
        interactive = interactive or sys.stdin.isatty()
    if listed and attached:
        return Opening((attached.under(listed[0]), *listed[1:]), interactive)
    if attached and not interactive:
        return Opening((attached.under(""),), interactive)
    if goes_on and not (listed or interactive):
        option = "--resume" if options.resume else "--continue"
        raise UsageProblemError(f"{option} goes on with a conversation: give a message, or -i")
    return Opening(tuple(listed), interactive, attached)
