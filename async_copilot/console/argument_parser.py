"""The command line's grammar and help: argv in, plain values out. No I/O.

Imports neither aiohttp nor asyncio, so that ``--help`` and ``--version`` answer at once.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from ..version import __version__
from .argument_values import count, field, header, not_empty, path, seconds, text
from .exit_status import ExitStatus

__all__ = [
    "CLOCKS",
    "DEFAULT_URL",
    "PROGRAM",
    "TextAskedError",
    "UsageProblemError",
    "clock_option",
    "parsed",
]

PROGRAM = "async-copilot"
DEFAULT_URL = "http://localhost:1337/v1"
CLOCKS = {
    "connect": "for a connection (10)",
    "silence": "for any byte of the server (300)",
    "stall": "for more of the answer, while other bytes come (600)",
    "first_text": "for the first text, in place of silence and stall (off)",
    "after_finish": "for the end, once the model has finished (15)",
    "total": "for one answer in all (off)",
}

_DESCRIPTION = """\
Talk to a chat-completions server, above all g4f's Copilot on localhost. The answer is
written to stdout as it comes, everything else to stderr.

Without messages: greet the server, then ask it about the name, in one conversation."""

_EPILOG = """\
examples:
  {program} --demo                                 try it without any server
  {program} "Hi, I am Ann" "Who am I?"             two turns of one conversation
  git diff | {program} "Review this change"        the pipe goes under the message
  {program} < question.txt                         the message itself from stdin
  {program} -a photo.jpg "What is this?"           an image, or a text file, with it
  {program} -i                                     chat
  {program} -c "And then?"                         go on with the last chat
  {program} -o temperature=0.2 "Hi"                any field of the request
  {program} --memory client --url https://api.example.com/v1 --model large \\
                --api-key-env EXAMPLE_KEY "Hi"         any other server
  {program} --json "Hi" | tail -n 1                verdict, text, usage, timing

environment (an option wins over its variable):
  ASYNC_COPILOT_URL       the server, {url} by default
  ASYNC_COPILOT_API_KEY   its key. There is no option for the key itself: every user of
                          the machine could read it in the list of processes.
  ASYNC_COPILOT_MODEL     the model, "" (the server chooses) by default
  ASYNC_COPILOT_PROVIDER  g4f's provider, Copilot by default
  ASYNC_COPILOT_HISTORY   a file that keeps what was typed in chats; none by default
  ASYNC_COPILOT_KEEP      0: keep no chats, as --no-keep
  NO_COLOR                set to anything: no dimmed text

exit status:
{statuses}
"""


def clock_option(clock: str) -> str:
    return f"--timeout-{clock.replace('_', '-')}"


class UsageProblemError(Exception):
    """The command line cannot be used; the text says why."""


class TextAskedError(Exception):
    """``--help`` or ``--version``: the text is all there is to do."""


def parsed(argv: Sequence[str]) -> dict[str, Any]:
    """Return the value of every option by its name; of a clock only where it was given.

    Raises UsageProblemError or TextAskedError.
    """
    args = list(argv)
    # Options may stand among the messages, which argparse allows only without "--".
    end = args.index("--") if "--" in args else len(args)
    values = vars(_parser().parse_intermixed_args(args[:end]))
    try:
        values["messages"] += map(text, args[end + 1 :])
    except argparse.ArgumentTypeError as error:
        raise UsageProblemError(f"argument message: {error}") from None
    return values


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        unknown = re.match("unrecognized arguments: ([^ =]+)", message)
        if unknown:
            import difflib  # noqa: PLC0415  # for this problem alone

            near = difflib.get_close_matches(unknown[1], self._option_string_actions, 1, 0.75)
            meant = f"did you mean {near[0]}?" if near else "-o NAME=VALUE sets a request's field;"
            message += f" ({meant} a message that begins with - goes behind --)"
        raise UsageProblemError(message)


class _Show(argparse.Action):
    """``--help`` and ``--version``, which leave the writing to ``__main__``."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        raise TextAskedError(self.const or parser.format_help())


class _KeyItself(argparse.Action):
    """Refuses ``--api-key``, an option that does not exist, without showing its value."""

    def __call__(self, *_: Any) -> NoReturn:
        raise UsageProblemError(
            "there is no --api-key, since every user of the machine could read it in the list "
            "of processes; set the environment variable ASYNC_COPILOT_API_KEY, or name "
            "another one with --api-key-env"
        )


def _parser() -> _Parser:
    statuses = [f"  {status.value:<4} {status.meaning}" for status in ExitStatus]
    parser = _Parser(
        prog=PROGRAM,
        usage="%(prog)s [options] [message ...]",
        description=_DESCRIPTION,
        epilog=_EPILOG.format(program=PROGRAM, url=DEFAULT_URL, statuses="\n".join(statuses)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    _add_conversation(parser)
    _add_server(parser.add_argument_group("server"))
    _add_clocks(parser.add_argument_group("longest wait (seconds, or off)"))
    _add_output(parser.add_argument_group("output"))
    other = parser.add_argument_group("other")
    show: dict[str, Any] = {"action": _Show, "nargs": 0, "default": argparse.SUPPRESS}
    other.add_argument("-h", "--help", help="show this text", **show)
    version = f"{PROGRAM} {__version__}\n"
    other.add_argument("--version", const=version, help="show the version", **show)
    return parser


def _add_conversation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "messages",
        nargs="*",
        type=text,
        metavar="message",
        help="the turns of one conversation; - reads one from stdin; a pipe or file on stdin "
        "is put under the first, or is the message where none is given",
    )
    group = parser.add_argument_group("conversation")
    add = group.add_argument
    add("-i", "--interactive", action="store_true", help="chat, after the messages if any")
    add(
        "-a",
        "--attach",
        action="append",
        default=[],
        type=not_empty,
        metavar="FILE",
        help="send an image or a text file with the first message; - is stdin; may be repeated",
    )
    add("--no-stdin", dest="stdin", action="store_false", help="do not read a pipe on stdin")
    add(
        "--memory",
        choices=("server", "client"),
        help="who remembers: a g4f server (the default), or this program, which sends the "
        "history each time, to any other server",
    )
    add("--system", type=text, metavar="TEXT", help="a system prompt")
    add("--model", type=text, metavar="NAME", help="the model; by default the server chooses")
    add(
        "--provider",
        type=text,
        metavar="NAME",
        help="g4f's provider, Copilot by default; '' sends none",
    )
    add(
        "-o",
        "--option",
        action="append",
        dest="fields",
        default=[],
        type=field,
        metavar="NAME=VALUE",
        help="a field of each request, its value as JSON or text; may be repeated",
    )
    _add_keeping(group)


def _add_keeping(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("-c", "--continue", dest="goes_on", action="store_true", help="go on with the last chat")
    add("--save", type=path, metavar="FILE", help="keep the conversation in FILE, a new file")
    add("--resume", type=path, metavar="FILE", help="go on with the one kept in FILE")
    add(
        "--keep",
        action=argparse.BooleanOptionalAction,
        help="keep the conversation for -c; chats begun with -i or -c are kept by default",
    )


def _add_server(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--url", type=not_empty, help=f"base URL of the server; {DEFAULT_URL} by default")
    add("--demo", action="store_true", help="talk to a built-in demo instead of a server")
    add("--models", action="store_true", help="list the models, of --provider if it is given")
    add("--providers", action="store_true", help="list the providers of a g4f server")
    add(
        "--api-key-env",
        type=not_empty,
        metavar="NAME",
        help="the environment variable that holds the key; ASYNC_COPILOT_API_KEY by default",
    )
    add("--api-key", action=_KeyItself, nargs="?", help=argparse.SUPPRESS)
    add("--cacert", type=path, metavar="FILE", help="trust the certificates in FILE (PEM), too")
    add(
        "--header",
        action="append",
        dest="headers",
        default=[],
        type=header,
        metavar="'NAME: VALUE'",
        help="a header for each request; may be repeated",
    )
    add("--retries", type=count, default=2, metavar="N", help="send again at most N times (2)")
    add(
        "--no-strict",
        dest="strict",
        action="store_false",
        help="accept an answer that was cut off, and skip malformed lines",
    )


def _add_clocks(group: argparse._ArgumentGroup) -> None:
    for clock, meaning in CLOCKS.items():
        group.add_argument(
            *[clock_option(clock), *(["--timeout"] if clock == "total" else [])],
            dest=f"timeout_{clock}",
            type=seconds,
            default=argparse.SUPPRESS,
            metavar="S",
            help=meaning,
        )


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--json", action="store_true", help="events as JSON, one a line; the last is a summary")
    add("--reasoning", action="store_true", help="show the model's reasoning on stderr")
    add(
        "--think-tags",
        dest="think",
        action="store_false",
        help="leave <think>...</think> in the answer; by default that is reasoning",
    )
    add("--media", type=path, metavar="FOLDER", help="save images and sounds of answers there")
    add("--stats", action="store_true", help="times and rates of each answer on stderr")
    add("--verbose", action="store_true", help="log requests, retries and clocks on stderr")
    add(
        "--dry-run",
        action="store_true",
        help="show the first request as it would be sent, secrets masked, and send nothing",
    )
