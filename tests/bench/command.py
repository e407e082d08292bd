"""argv in; tables on standard output and an exit status out. Starts the server and the workers."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import startup
from .contestants import everyone
from .measures import Figures
from .report import Rounds, render, summary
from .scenarios import SCENARIOS, Scenario

__all__ = ["main"]

HERE = Path(__file__).resolve().parent
GROUPS = ("floor", "ours", "peer")
PATIENCE = 180  # seconds for one contestant in one round


def environment() -> dict[str, str]:
    """For workers: this package and async_copilot importable without being installed."""
    # The package's own name may be bench or tests.bench: whichever holds here too.
    top = HERE.parents[__package__.count(".")]
    paths = [str(top), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


@contextmanager
def replay(environ: Mapping[str, str]) -> Iterator[str]:
    command = [sys.executable, "-m", f"{__package__}.replay"]
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603  # a module of ours
        command, stdin=pipe, stdout=pipe, env=environ, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()


def work(name: str, scenario: Scenario, job: str, environ: Mapping[str, str]) -> dict[str, object]:
    command = [sys.executable, "-m", f"{__package__}.worker", name, scenario.measure, job]
    try:
        done = subprocess.run(  # noqa: S603  # a module of ours
            command, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=True
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {PATIENCE} s"}
    except subprocess.CalledProcessError as crash:
        return {"error": f"exit status {crash.returncode}: {crash.stderr.strip()[-200:]}"}
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def start(name: str, job: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, object]:
    try:
        return {"figures": startup.measure(name, int(str(job["times"])), environ)}
    except ImportError as missing:
        return {"missing": str(missing)}


def entrants(scenario: Scenario, only: Sequence[str]) -> dict[str, str]:
    """Names to groups: the scenario's own, or those that --only names."""
    if scenario.measure == "startup":
        groups = {name: group for name, (group, _) in startup.COMMANDS.items()}
    else:
        groups = {one.name: one.group for one in everyone()}
    wanted = only or scenario.groups
    return {
        name: group
        for name, group in groups.items()
        if name not in scenario.absent and any(w == group or w in name for w in wanted)
    }


def compete(
    scenario: Scenario, options: argparse.Namespace, address: str, environ: Mapping[str, str]
) -> tuple[Rounds, bool]:
    """Run one scenario and write its table; False with its figures if one of ours failed."""
    job = {**scenario.job, **(scenario.quick if options.quick else {})}
    groups = entrants(scenario, options.only)
    rounds: dict[str, list[Figures]] = {name: [] for name in groups}
    notes: dict[str, str] = {}
    for number in range(options.rounds):
        for name in [name for name in groups if name not in notes]:
            if sys.stderr.isatty():
                sys.stderr.write(f"\r\033[K{scenario.name}: round {number + 1}, {name}")
            if scenario.measure == "startup":
                answer = start(name, job, environ)
            else:
                answer = work(name, scenario, json.dumps({"address": address, **job}), environ)
            match answer:
                case {"figures": dict() as figures}:
                    rounds[name].append(figures)
                case {"missing": why}:
                    notes[name] = f"{name}: not installed ({why})"
                case {"error": why}:
                    notes[name] = f"{name}: failed ({why})"
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    whole = {name: figures for name, figures in rounds.items() if name not in notes}
    sys.stdout.write(render(scenario, whole, list(notes.values())) + "\n")
    sys.stdout.flush()
    return whole, not any(groups[name] == "ours" for name in notes)


def parse(argv: Sequence[str] | None, usage: str | None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("run.py", description=usage, formatter_class=raw)
    parser.add_argument("--quick", action="store_true", help="small streams: does it all work?")
    parser.add_argument(
        "--scenario", action="append", default=[], help="a name, or its beginning; repeatable"
    )
    parser.add_argument(
        "--only", action="append", default=[], help=f"part of a name, or {GROUPS}; repeatable"
    )
    parser.add_argument("--rounds", type=int, default=None, help="5; with --quick 2")
    parser.add_argument("--list", action="store_true", help="name scenarios and contestants")
    options = parser.parse_args(argv)
    options.rounds = options.rounds or (2 if options.quick else 5)
    return options


def main(argv: Sequence[str] | None = None, usage: str | None = __doc__) -> int:
    options = parse(argv, usage)
    if options.list:
        names = [*(s.name for s in SCENARIOS), "", *(one.name for one in everyone())]
        sys.stdout.write("\n".join(names) + "\n")
        return 0
    wanted = tuple(options.scenario) or ("",)
    chosen = [s for s in SCENARIOS if s.name.startswith(wanted)]
    if not chosen:
        sys.stderr.write(f"no scenario begins with {wanted}; --list names them\n")
        return 2
    environ = environment()
    with replay(environ) as address:
        results = [compete(scenario, options, address, environ) for scenario in chosen]
    tables = [(scenario, rounds) for scenario, (rounds, _) in zip(chosen, results, strict=True)]
    ours = [one.name for one in everyone() if one.group == "ours"]
    sys.stdout.write(summary(tables, ours))
    return 0 if all(good for _, good in results) else 1
