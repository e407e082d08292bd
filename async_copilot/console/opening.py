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
    listed = list(options.messages)
    attached_pipe = "-" in options.attach
    data = b""
    terminal = None
    if options.interactive and is_piped() and options.stdin and not options.json:
        terminal = open_terminal()
    if "-" in listed or attached_pipe:
        data = piped_bytes(tell)
    elif options.stdin and is_piped() and (terminal is not None or not options.interactive):
        # Without a message, what is to be done needs nothing from a pipe.
        needed = bool(listed or options.interactive or options.resume or options.goes_on)
        data = piped_bytes(tell, wait=needed)
    if terminal is not None:
        to_terminal(terminal)
    text = "" if attached_pipe else piped_text(data)
    if terminal is not None and text.strip() and not listed:
        tell("what stdin held goes under the first message")
    attached = read_attachments(options.attach, data)
    if "-" in listed:
        if not text.strip():
            raise UsageProblemError("stdin holds no message for -")
        listed[listed.index("-")] = text
    elif text.strip():
        attached = Attachments((text, *attached.texts), attached.images)
    return _opening(listed, attached, options)


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
