"""The benchmark: what one delta costs here, in other clients, and in aiohttp and orjson alone.

    python tests/bench/run.py                        all of it: about 40 minutes
    python tests/bench/run.py --quick                small streams, two rounds: does it all work?
    python tests/bench/run.py --scenario bulk        those whose name begins so; --list names them
    python tests/bench/run.py --only floor --only ours --only "openai (httpx)"

Run it with the interpreter whose packages are to be measured. The other clients are optional:
``pip install openai httpx-aiohttp httpx-sse aiohttp-sse-client2 litellm g4f``.

A replay server in a process of its own sends prepared streams over loopback. The contestants
take turns (A B C A B C), each turn in a new process, five rounds. The figure is the CPU time of
that process, user and system, per delta; tables show medians over the rounds, and ratios to the
floor, which is a naive loop over ``readany()``, ``split`` and ``orjson.loads``. Before anything
is timed, each contestant's text is compared with what was sent.

The machine should be idle. Ratios travel between machines, microseconds do not. The exit status
says whether ours ran with the right text, never how fast: a busy machine is not a failure.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    # As a script it has no package around it, and async_copilot need not be installed.
    sys.path[:1] = [str(folder) for folder in Path(__file__).resolve().parents[1:3]]
    sys.exit(runpy.run_module("bench.command")["main"](usage=__doc__))
