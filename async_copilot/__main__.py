"""argv in, exit status out: ``python -m async_copilot``, and the command ``async-copilot``.

The command line is read before anything heavy is imported, so that ``--help`` and
``--version`` answer at once. All that is printed outside of a run is printed here.
"""

from __future__ import annotations

import sys

from .version import __version__

if __name__ == "__main__" and sys.argv[1:] == ["--version"] and sys.stdout is not None:
    # Alone on the line, as scripts ask for it: even argparse would take three times as
    # long to load as this takes in all. Every other way to ask goes the long way.
    try:
        print(f"async-copilot {__version__}", flush=True)  # noqa: T201  # prints go here
        raise SystemExit(0)
    except OSError:
        pass  # the reader has left: main() ends with its status

import contextlib
import os
import threading
from collections.abc import Sequence
from typing import TextIO

try:
    from .console.argument_parser import PROGRAM, TextAskedError, UsageProblemError
    from .console.arguments import parse
    from .console.exit_status import ExitStatus
except KeyboardInterrupt:  # Ctrl-C so soon
    raise SystemExit(130) from None

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console; return its exit status."""
    try:
        return _main(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:  # before a run or after it, which deals with its own
        return ExitStatus.INTERRUPTED


def _main(given: Sequence[str]) -> int:
    try:
        options = parse(given, os.environ)
    except TextAskedError as asked:
        return _show(str(asked))
    except UsageProblemError as problem:
        _complain(f"{problem}; see {PROGRAM} --help")
        return _refuse(str(problem)) if "--json" in given else ExitStatus.USAGE
    from .console.run import LOOKUP_THREADS, run  # noqa: PLC0415  # aiohttp, only now

    status = run(options)
    _leave_threads(LOOKUP_THREADS, status)
    return status


def _show(text: str) -> int:
    """Print a text. A reader that leaves early, such as head, is not an error."""
    try:
        print(text, end="", flush=True)  # noqa: T201  # prints go here
    except OSError as error:
        _abandon(sys.stdout)
        if isinstance(error, BrokenPipeError) or sys.platform == "win32":
            return ExitStatus.OUTPUT_CLOSED
        _complain(f"cannot write this: {error.strerror}")
        return ExitStatus.CUT_OFF
    return ExitStatus.COMPLETE


def _complain(problem: str) -> None:
    """Print what is wrong, where stderr takes it."""
    if sys.stderr is None:  # closed; print() would take stdout instead
        return
    try:
        print(f"{PROGRAM}: {problem}", file=sys.stderr, flush=True)  # noqa: T201  # prints go here
    except OSError:
        _abandon(sys.stderr)


def _abandon(stream: TextIO) -> None:
    from .console.out_stream import abandon  # noqa: PLC0415  # after a failed write alone

    abandon(stream)


def _refuse(problem: str) -> int:
    """Print the summary that ``--json`` promises, for a command line that cannot be used."""
    from .console.deep_json import line_of  # noqa: PLC0415  # json, only now
    from .console.json_lines import summary  # noqa: PLC0415  # aiohttp, only now

    _show(line_of(summary(0, ExitStatus.USAGE, problem=problem)) + "\n")
    return ExitStatus.USAGE


def _leave_threads(name: str, status: int) -> None:
    """End here and now if a name is still being looked up; Python would wait for it."""
    for thread in threading.enumerate():
        if thread.name.startswith(name):
            thread.join(0.1)
            if thread.is_alive():
                for stream in (sys.stdout, sys.stderr):
                    with contextlib.suppress(OSError, ValueError, AttributeError):
                        stream.flush()
                os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
