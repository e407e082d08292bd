"""Commands in; the CPU and wall time of each in a new interpreter, in milliseconds, out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from statistics import median

from .measures import Figures

__all__ = ["COMMANDS", "measure"]

COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "pass": ("floor", ("-c", "pass")),
    "import aiohttp, orjson": ("floor", ("-c", "import aiohttp, orjson")),
    "import async_copilot": ("ours", ("-c", "import async_copilot")),
    # Names may be loaded when they are first asked for: this is what a program that streams pays.
    "import CopilotClient": ("ours", ("-c", "from async_copilot import CopilotClient")),
    "async_copilot --version": ("ours", ("-m", "async_copilot", "--version")),
    "async_copilot --help": ("ours", ("-m", "async_copilot", "--help")),
    "import openai": ("peer", ("-c", "import openai")),
    "import litellm": ("peer", ("-c", "import litellm")),
    "import g4f.client": ("peer", ("-c", "import g4f.client")),
}


def once(arguments: tuple[str, ...], environ: Mapping[str, str]) -> tuple[float, float]:
    start = time.perf_counter()
    quiet = subprocess.DEVNULL
    child = subprocess.Popen(  # noqa: S603  # the commands above
        [sys.executable, *arguments], env=environ, stdin=quiet, stdout=quiet, stderr=quiet
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise ImportError(f"exit status {child.returncode}")
    spent = usage.ru_utime + usage.ru_stime
    return spent * 1000, (time.perf_counter() - start) * 1000


def measure(name: str, times: int, environ: Mapping[str, str]) -> Figures:
    """Medians of ``times`` runs, after one that leaves its bytecode behind."""
    local = {**environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    local.pop("PYTHONDONTWRITEBYTECODE", None)  # else ours alone, never installed, has none
    _, arguments = COMMANDS[name]
    once(arguments, local)
    runs = [once(arguments, local) for _ in range(times)]
    return {"cpu": median(cpu for cpu, _ in runs), "wall": median(wall for _, wall in runs)}
