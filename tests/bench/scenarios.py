"""What is measured, who takes part, which figures are shown, what ours is to reach. Data only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .shapes import SHAPES

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

# Of the floor: what `content_deltas` and a client's doors are to take.
BULK = {"openai": 0.82, "g4f": 0.82, "padded": 0.9, "created": 0.9, "ids": 0.9, "varied": 1.0}
PEERS = (
    Target("content_deltas", 1 / 50, "openai (httpx)"),
    Target("content_deltas", 1 / 180, "litellm"),
    Target("content_deltas", 1 / 2.2, "aiohttp lines + orjson"),
)


def against_the_floor(deltas: float, client: float) -> tuple[Target, ...]:
    return (
        Target("content_deltas", deltas, "floor"),
        Target("client.stream", client, "floor"),
        Target("Conversation", client, "floor"),
    )


def stream(mode: str, shape: str, title: str, groups: tuple[str, ...]) -> Scenario:
    goal = BULK.get(shape, 1.2) if mode == "bulk" else 1.08
    return Scenario(
        name=f"{mode}-{shape}",
        title=f"{title}, {shape} chunks, 20,000 deltas",
        measure="stream",
        job={"shape": shape, "mode": mode, "count": 20_000, "times": 3},
        quick={"count": 2_000, "times": 1},
        columns=(CPU, Column("wall", "wall µs/delta")),
        targets=(*against_the_floor(goal, goal), Target("reply.chunks", 2.0, "floor"), *PEERS),
        groups=groups,
    )


def streams() -> Iterator[Scenario]:
    for shape in SHAPES:
        peers = () if shape in ("padded", "created", "ids") else ("peer",)
        yield stream("bulk", shape, "Big writes", ("floor", "ours", *peers))
    for shape in ("openai", "g4f", "varied"):
        yield stream("each", shape, "One write per event", ("floor", "ours", "peer"))


def paced_one() -> Scenario:
    return Scenario(
        name="paced-one",
        title="One stream of 500 deltas a second",
        measure="latency",
        job={"shape": "openai", "mode": "paced", "count": 1500, "rate": 500},
        quick={"count": 200},
        columns=(CPU, *AGES, Column("p999", "age p99.9 µs", 0)),
        targets=(
            *against_the_floor(1.03, 1.08),
            *(Target(who, 1.0, "floor", key) for who in TEXT for key in ("p50", "p99")),
        ),
        absent=READS_NOTHING,
    )


def requests(name: str, mode: str, count: int, title: str) -> Scenario:
    return Scenario(
        name=name,
        title=f"A whole request of {title}",
        measure="requests",
        job={"shape": "openai", "mode": mode, "count": count, "times": 1000},
        quick={"times": 40},
        columns=(Column("cpu", "CPU µs/request", 0), Column("wall", "wall µs/request", 0)),
        targets=against_the_floor(1.15, 1.15),
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


def paced(count: int, rate: int, deltas: float, client: float) -> Scenario:
    return Scenario(
        name=f"paced-{count}",
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
        targets=(
            *against_the_floor(deltas, client),
            *(Target(who, 1.0, "floor", "p99") for who in TEXT),
            *(Target(who, 1.0, "floor", "memory", plus=4.0) for who in TEXT),
            *(Target(who, key="failed") for who in TEXT),
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

COUNTS = Scenario(
    name="counts",
    title="What is counted and not timed: Python calls, and what a waiting stream holds",
    measure="counts",
    job={"address": "", "shape": "openai", "mode": "", "count": 50, "streams": 50},
    quick={"streams": 10},
    columns=(
        Column("calls", "calls/delta", 1),
        Column("c_calls", "C calls/delta", 1),
        Column("request", "calls/request", 1),
        Column("objects", "objects/stream", 1),
        Column("bytes", "bytes/stream", 0),
    ),
    targets=tuple(
        Target(who, 1.0, "floor", key, plus)
        for who in TEXT
        for key, plus in (("calls", 12), ("objects", 16), ("bytes", 4096))
    ),
    groups=("floor", "ours"),
    absent=READS_NOTHING,
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
    *streams(),
    paced_one(),
    paced(200, 20, 1.03, 1.08),
    paced(1000, 20, 1.03, 1.08),
    paced(5000, 2, 1.2, 1.2),
    requests("request-bulk", "bulk", 1, "one delta, in one write"),
    requests("request-each", "each", 1, "one delta, a write per event"),
    requests("request-burst", "bulk", 10, "ten deltas, in one write"),
    big(65536, "64 KiB"),
    big(1024, "1 KiB"),
    SLEEPER,
    COUNTS,
    STARTUP,
)
