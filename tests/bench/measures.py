"""A contestant and a job in; what its process spent, as numbers, out.

CPU is ``time.process_time``: user and system, all threads, this process only. Each measure
runs in a process that has imported that contestant and nothing else.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from . import shapes
from .contestants import Contestant, Read
from .counts import counts

__all__ = ["MEASURES", "Figures", "Job", "WrongTextError"]

Figures = dict[str, float]


class WrongTextError(Exception):
    """A contestant's text is not the one that was sent: its speed is of no interest."""


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement: ``address/shape/mode/count/rate`` is the stream, the rest as named.

    times:   int, timed passes over the stream in this process; the median counts.
    streams: int, how many at once (crowd).
    seconds: float, how long to watch (crowd) or to sleep in all (sleeper).
    """

    address: str
    shape: str
    mode: str
    count: int
    rate: float = 0
    times: int = 1
    streams: int = 1
    seconds: float = 0

    def url(self, *, mode: str = "", count: int = 0, rate: float = -1) -> str:
        pace = self.rate if rate < 0 else rate
        return f"{self.address}/{self.shape}/{mode or self.mode}/{count or self.count}/{pace:g}"


Measure = Callable[[Contestant, Job], Awaitable[Figures]]


class Cost:
    """CPU and wall-clock seconds of a ``with`` block that held ``count`` deltas, in µs each."""

    cpu = wall = 0.0


@contextmanager
def cost(count: int) -> Iterator[Cost]:
    spent = Cost()
    gc.collect()
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    yield spent
    spent.cpu = (time.process_time_ns() - cpu) / count / 1000
    spent.wall = (time.perf_counter_ns() - wall) / count / 1000


def resident() -> int:
    """Bytes of memory this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def drop() -> Callable[[str], None]:
    """The cheapest sink there is, and one that keeps nothing."""
    return deque[str](maxlen=0).append


async def check(contestant: Contestant, read: Read, expected: str) -> None:
    texts: list[str] = []
    await read(texts.append)
    if contestant.exact and shapes.digest(texts) != expected:
        start = "".join(texts)[:60]
        raise WrongTextError(f"{len(texts)} texts, beginning {start!r}")


async def stream(contestant: Contestant, job: Job) -> Figures:
    """CPU a delta over whole streams, after a first one whose text was compared."""
    count = max(1, job.count // contestant.slow)
    async with contestant.connect(job.url(count=count)) as read:
        await check(contestant, read, shapes.digest(shapes.pieces(count)))
    passes = []
    async with contestant.connect(job.url()) as read:
        for _ in range(job.times if contestant.slow == 1 else 1):
            with cost(job.count) as spent:
                await read(drop())
            passes.append(spent)
    return {"cpu": median(p.cpu for p in passes), "wall": median(p.wall for p in passes)}


async def requests(contestant: Contestant, job: Job) -> Figures:
    """CPU of whole replies, one after the other on one client."""
    times = max(1, job.times // contestant.slow)
    expected = shapes.digest(shapes.pieces(job.count))
    async with contestant.connect(job.url()) as read:
        for _ in range(10):
            await check(contestant, read, expected)
        with cost(times) as spent:
            for _ in range(times):
                await read(drop())
    return {"cpu": spent.cpu, "wall": spent.wall}


async def big(contestant: Contestant, job: Job) -> Figures:
    """CPU of one stream with one huge event, in milliseconds."""
    text, _ = shapes.huge(job.shape, job.count)
    async with contestant.connect(job.url()) as read:
        await check(contestant, read, shapes.digest([text]))
        passes = []
        for _ in range(job.times):
            with cost(1000) as spent:
                await read(drop())
            passes.append(spent.cpu)
    return {"cpu": median(passes)}


def ages_of(ages: list[int]) -> Figures:
    """Percentiles in µs of ages in ns."""
    cuts = quantiles(ages, n=1000)
    return {"p50": cuts[499] / 1000, "p99": cuts[989] / 1000, "p999": cuts[998] / 1000}


async def latency(contestant: Contestant, job: Job) -> Figures:
    """How old a delta is when the consumer has it: it carries the time it was written."""
    ages: list[int] = []
    now, keep = time.monotonic_ns, ages.append

    def stamp(text: str) -> None:
        keep(now() - int(text))

    async with contestant.connect(job.url(mode="bulk", count=200)) as read:
        await check(contestant, read, shapes.digest(shapes.pieces(200)))
    async with contestant.connect(job.url()) as read:
        with cost(job.count) as spent:
            await read(stamp)
    if len(ages) != job.count and contestant.exact:
        raise WrongTextError(f"{len(ages)} deltas of {job.count}")
    return {"cpu": spent.cpu, **(ages_of(ages) if ages else {})}


async def crowd(contestant: Contestant, job: Job) -> Figures:
    """Many endless streams in one process, watched for a while once each of them has begun."""
    ages: list[int] = []
    heard = bytearray(job.streams)
    now, keep = time.monotonic_ns, ages.append

    def sink_of(number: int) -> Callable[[str], None]:
        def sink(text: str) -> None:
            keep(now() - int(text))
            heard[number] = 1

        return sink

    async with contestant.connect(job.url(mode="bulk", count=200)) as read:
        await check(contestant, read, shapes.digest(shapes.pieces(200)))
    async with contestant.connect(job.url()) as read:
        gc.collect()
        before = resident()
        readers = []
        for number in range(job.streams):
            readers.append(asyncio.ensure_future(read(sink_of(number))))
            if not number % 25:
                await asyncio.sleep(0.01)
        for _ in range(200):
            if all(heard):
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(1 / job.rate)
        ages.clear()
        heard[:] = bytes(job.streams)
        with cost(1) as spent:
            await asyncio.sleep(job.seconds)
        silent = heard.count(0)
        figures = ages_of(ages) | {
            "cpu": spent.cpu / len(ages),
            "load": 100 * spent.cpu / spent.wall,
            "kept": 100 * len(ages) / (job.streams * job.rate * spent.wall / 1e6),
            "memory": (resident() - before) / job.streams / 1024,
            "failed": float(max(silent, sum(reader.done() for reader in readers))),
        }
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    return figures


async def sleeper(contestant: Contestant, job: Job) -> Figures:
    """Memory held while the consumer of a long, fast stream sleeps: at once, then now and then."""
    held: list[int] = []
    seen, step = 0, job.count // 4

    async def nap() -> None:
        until = time.monotonic() + job.seconds / 4
        while time.monotonic() < until:
            await asyncio.sleep(0.05)
            held.append(resident() - before)

    def sink(text: str) -> Awaitable[None] | None:
        nonlocal seen
        seen += 1
        return nap() if seen % step == 10 else None

    # A short one: a long one would leave room in the heap, and hide what is held later.
    async with contestant.connect(job.url(mode="bulk", count=10)) as read:
        await check(contestant, read, shapes.digest(shapes.pieces(10)))
        gc.collect()
    async with contestant.connect(job.url()) as read:
        before = resident()
        await read(sink)
    if seen != job.count:
        raise WrongTextError(f"{seen} deltas of {job.count}")
    first = held[: len(held) // 4]
    return {"first": max(first) / 2**20, "held": max(held) / 2**20}


async def counted(contestant: Contestant, job: Job) -> Figures:
    """What does not depend on the machine: calls, objects, bytes."""
    return await counts(contestant, deltas=job.count, streams=job.streams)


MEASURES: dict[str, Measure] = {
    "stream": stream,
    "requests": requests,
    "big": big,
    "latency": latency,
    "crowd": crowd,
    "sleeper": sleeper,
    "counts": counted,
}
