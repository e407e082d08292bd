"""``python -m async_copilot.fake_server``: a fake chat server alone, until Ctrl-C or SIGTERM.

In: argv, and a script, a cassette or the URL of a server to record. Out: the base URL as one
line on stdout; on stderr what it is, and a line for each request, without its prompt.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO, get_args

from .cassette import Cassette
from .memory import MemoryKind
from .plan import DIALECTS
from .recorder import Recorder
from .script_file import script_from_json
from .server import FakeServer

__all__ = ["main"]

# A server that runs for days keeps the last requests alone (and 16 MB of them at most).
_KEPT_REQUESTS = 1000
# g4f's own; a recorder of a g4f server on this machine needs another.
_PORT = 1337


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a server alone until Ctrl-C or SIGTERM; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.record and not options.cassette:
        parser.error("--record needs --cassette FILE: where to write")
    if (options.speed != "1" or options.match) and (options.record or not options.cassette):
        parser.error("--speed and --match are for a replay: give --cassette FILE alone")
    if options.port is None:
        options.port = 0 if options.record else _PORT
    try:
        script, what = _script(options)
        server = FakeServer(
            script,
            dialect=options.dialect,
            memory=options.memory,
            models=options.models or ("default",),
            api_key=options.api_key,
            strict=options.strict,
            check=False,
            host=options.host,
            port=options.port,
            control=True,
            keep=_KEPT_REQUESTS,
        )
    except (OSError, ValueError) as error:
        parser.error(str(error))
    try:
        asyncio.run(_serve(server, what))
    except KeyboardInterrupt:
        pass
    except (OSError, UnicodeError) as error:  # a host may be no name that can be looked up
        where = f"listen on {options.host} port {options.port}"
        written = getattr(error, "filename", None)
        sys.stderr.write(f"cannot {f'write {written}' if written else where}: {error}\n")
        return 1
    except ValueError as error:
        parser.error(str(error))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m async_copilot.fake_server",
        description="A fake chat server: a built-in demo, a script of yours, or a recording.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="default: %(default)s, this machine alone")
    add("--port", type=int, help=f"0: a free one; default: {_PORT}, with --record a free one")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--script", type=Path, metavar="FILE", help="answers as JSON")
    what.add_argument("--record", metavar="URL", help="ask this server, and write what it sends")
    add("--cassette", type=Path, metavar="FILE", help="replay it, or with --record write it")
    add("--speed", metavar="N", default="1", help="of a replay: 1, 10, ... or 'all' at once")
    add("--match", choices=("order", "request"), help="of a replay; default: order")
    add("--dialect", choices=list(DIALECTS), default="g4f")
    add("--memory", choices=get_args(MemoryKind), help="default: the dialect's")
    add("--models", nargs="+", metavar="ID", help="what GET /v1/models lists")
    add("--api-key", metavar="KEY", help="the key that requests must bring")
    add("--strict", action="store_true", help="refuse what OpenAI refuses")
    return parser


def _speed(text: str) -> float | None:
    try:
        return None if text == "all" else float(text)
    except ValueError:
        raise ValueError(f"--speed {text!r}: must be a number or 'all'") from None


def _script(options: argparse.Namespace) -> tuple[Any, str]:
    """The script, and what the server is in words."""
    if options.record:
        recorder = Recorder(options.record, options.cassette)
        return recorder, f"a recorder of {recorder.url} to {options.cassette}"
    if options.cassette and options.script:
        raise ValueError("not allowed with --cassette: the server answers by one of them")
    if options.cassette:
        speed = _speed(options.speed)
        cassette = Cassette(options.cassette, speed=speed, match=options.match or "order")
        return cassette, f"a replay of {options.cassette}"
    if options.script:
        text = options.script.read_bytes()
        try:
            return script_from_json(text), "your script"
        except ValueError as error:
            raise ValueError(f"{options.script}: {error}") from None
    return None, "a built-in demo"


def _say(stream: TextIO | None, line: str) -> None:
    """One line, where somebody may read it: a program without a terminal may have neither."""
    if stream is not None:
        stream.write(f"{line}\n")
        stream.flush()


async def _serve(server: FakeServer, what: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt comes instead
            loop.add_signal_handler(number, stop.set)
    log = logging.getLogger("async_copilot.fake_server")
    shown = logging.StreamHandler(sys.stderr) if sys.stderr else logging.NullHandler()
    log.addHandler(shown)
    log.setLevel(logging.INFO)
    try:
        async with server:
            _say(sys.stdout, server.url)
            _say(sys.stderr, f"This is {what}, not Copilot. Ctrl-C stops it.")
            await stop.wait()
    finally:
        log.removeHandler(shown)


if __name__ == "__main__":
    sys.exit(main())
