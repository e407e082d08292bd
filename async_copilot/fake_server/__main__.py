"""``python -m async_copilot.fake_server``: a fake chat server alone, until Ctrl-C or SIGTERM.

In: argv, and a script file. Out: the base URL as one line on stdout; the rest on stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from .memory import MemoryKind
from .plan import DIALECTS
from .script import script_from_json
from .server import FakeServer

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a server alone until Ctrl-C or SIGTERM; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m async_copilot.fake_server",
        description="A fake chat server: a built-in demo, or a script of yours.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=1337, help="0: a free one; default: 1337")
    parser.add_argument("--script", type=Path, metavar="FILE", help="answers as JSON")
    parser.add_argument("--dialect", choices=list(DIALECTS), default="g4f")
    parser.add_argument("--memory", choices=get_args(MemoryKind), help="default: the dialect's")
    options = parser.parse_args(argv)
    try:
        script = options.script and script_from_json(options.script.read_bytes())
        server = FakeServer(
            script,
            dialect=options.dialect,
            memory=options.memory,
            host=options.host,
            port=options.port,
        )
    except (OSError, ValueError) as error:
        parser.error(f"{options.script}: {error}")
    try:
        asyncio.run(_serve(server, "your script" if options.script else "a built-in demo"))
    except KeyboardInterrupt:
        pass
    except OSError as error:
        sys.stderr.write(f"cannot listen on {options.host} port {options.port}: {error}\n")
        return 1
    return 0


async def _serve(server: FakeServer, what: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt comes instead
            loop.add_signal_handler(number, stop.set)
    async with server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stderr.write(f"This is {what}, not Copilot. Ctrl-C stops it.\n")
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
