"""What is measured, who takes part, which figures are shown, what ours is to reach. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["SCENARIOS", "Column", "Scenario", "Target"]

TEXT = ("content_deltas", "client.stream", "Conversation")
OURS = (*TEXT, "reply.chunks")
OPENAI = ("openai (httpx)", "openai (aiohttp)")


@dataclass(frozen=True, slots=True)
class Column:
    """A figure's key in the measure's result, its heading and its number of decimals."""

    key: str
    heading: str
    digits: int = 2


@dataclass(frozen=True, slots=True)
class Target:
    """``who``'s figure is to be at most ``factor`` times ``versus``'s, plus ``plus``."""

    who: str
    factor: float = 0.0
    versus: str = ""
    key: str = "cpu"
    plus: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One table. ``job`` are a Job's fields, ``quick`` what --quick changes in them.

    groups: who takes part unless --only names others.
    absent: contestants for whom the measure has no meaning.
    """

    name: str
    title: str
    measure: str
    job: Mapping[str, Any]
    quick: Mapping[str, Any]
    columns: tuple[Column, ...]
    targets: tuple[Target, ...] = ()
    groups: tuple[str, ...] = ("floor", "ours", "peer")
    absent: tuple[str, ...] = ()
    baseline: str = "floor"  # the first column is also shown as a ratio to this one's


CPU = Column("cpu", "CPU µs/delta")
AGES = (Column("p50", "age p50 µs", 0), Column("p99", "age p99 µs", 0))
READS_NOTHING = ("aiohttp bytes only",)

STREAM_TARGETS = (
    Target("content_deltas", 1.08, "floor"),
    Target("content_deltas", 1 / 50, "openai (httpx)"),
    Target("content_deltas", 1 / 180, "litellm"),
    Target("content_deltas", 1 / 2.2, "aiohttp lines + orjson"),
    Target("client.stream", 1.2, "floor"),
    Target("Conversation", 1.2, "floor"),
    Target("reply.chunks", 2.0, "floor"),
)


def streams(mode: str, title: str) -> tuple[Scenario, ...]:
    return tuple(
        Scenario(
            name=f"{mode}-{shape}",
            title=f"{title}, {shape} chunks, 20,000 deltas",
            measure="stream",
            job={"shape": shape, "mode": mode, "count": 20_000, "times": 3},
            quick={"count": 2_000, "times": 1},
            columns=(CPU, Column("wall", "wall µs/delta")),
            targets=STREAM_TARGETS,
        )
        for shape in ("openai", "g4f", "varied", "restless")
        if mode == "bulk" or shape != "restless"
    )


def latency() -> Scenario:
    return Scenario(
        name="latency",
        title="Age of a delta at the consumer, 500 a second on one connection",
        measure="latency",
        job={"shape": "openai", "mode": "paced", "count": 1500, "rate": 500},
        quick={"count": 200},
        columns=(*AGES, Column("p999", "age p99.9 µs", 0), CPU),
        targets=tuple(Target(who, 1.0, "floor", key) for who in OURS for key in ("p50", "p99")),
        absent=READS_NOTHING,
    )


def requests(mode: str, title: str) -> Scenario:
    return Scenario(
        name=f"request-{mode}",
        title=f"A whole request of one delta, {title}",
        measure="requests",
        job={"shape": "openai", "mode": mode, "count": 1, "times": 1000},
        quick={"times": 40},
        columns=(Column("cpu", "CPU µs/request", 0), Column("wall", "wall µs/request", 0)),
        targets=tuple(Target(who, 1.25, "floor") for who in TEXT),
    )


def big(chunk: int, title: str) -> Scenario:
    return Scenario(
        name=f"big-{chunk // 1024}k",
        title=f"One event of 8 MiB in HTTP chunks of {title}",
        measure="big",
        job={"shape": "openai", "mode": "big", "count": 8 * 2**20, "rate": chunk, "times": 3},
        quick={"count": 2**20, "times": 1},
        columns=(Column("cpu", "CPU ms/event", 1),),
        targets=tuple(
            Target(who, factor, versus)
            for who in TEXT
            for factor, versus in ((0.2, "floor"), *((1.0, one) for one in OPENAI))
        ),
    )


def crowd(count: int, rate: int) -> Scenario:
    return Scenario(
        name=f"crowd-{count}",
        title=f"{count:,} streams of {rate} deltas a second in one process",
        measure="crowd",
        job={
            "shape": "openai",
            "mode": "paced",
            "count": 10**9,
            "rate": rate,
            "streams": count,
            "seconds": 6,
        },
        quick={"streams": 120, "seconds": 1},
        columns=(
            CPU,
            *AGES,
            Column("memory", "KiB/stream", 1),
            Column("load", "CPU %", 0),
            Column("kept", "deltas %", 1),
            Column("failed", "failed", 0),
        ),
        targets=tuple(
            target
            for who in TEXT
            for target in (
                Target(who, 1.15, "floor"),
                Target(who, 1.0, "floor", "p99"),
                Target(who, 1.0, "floor", "memory", plus=8.0),
                Target(who, key="failed"),
            )
        ),
        groups=("floor", "ours"),
        absent=READS_NOTHING,
    )


SLEEPER = Scenario(
    name="sleeper",
    title="A stream of 200 MiB, its consumer asleep four times: memory held",
    measure="sleeper",
    job={"shape": "openai", "mode": "loop", "count": 740_000, "seconds": 4},
    quick={"count": 40_000, "seconds": 1},
    columns=(Column("first", "first sleep MiB"), Column("held", "any sleep MiB")),
    # Later sleeps show the text too, which every reply keeps and content_deltas does not.
    targets=(
        *(Target(who, key="first", plus=4.0) for who in OURS),
        Target("content_deltas", key="held", plus=4.0),
    ),
    groups=("floor", "ours"),
    absent=READS_NOTHING,
    baseline="",
)

STARTUP = Scenario(
    name="startup",
    title="Imports and the command line, in new interpreters",
    measure="startup",
    job={"times": 5},
    quick={"times": 1},
    columns=(Column("cpu", "CPU ms", 1), Column("wall", "wall ms", 1)),
    targets=(
        Target("import async_copilot", 1.1, "import aiohttp, orjson"),
        Target("import CopilotClient", 1.1, "import aiohttp, orjson"),
        Target("async_copilot --version", 1.5, "pass"),
    ),
    baseline="import aiohttp, orjson",
)

SCENARIOS: tuple[Scenario, ...] = (
    *streams("bulk", "Big writes"),
    *streams("each", "One write per event"),
    latency(),
    requests("bulk", "in one write"),
    requests("each", "a write per event"),
    big(65536, "64 KiB"),
    big(1024, "1 KiB"),
    crowd(1000, 20),
    crowd(5000, 2),
    SLEEPER,
    STARTUP,
)
