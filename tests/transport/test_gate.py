"""Once a server has refused with a time, requests wait for it and leave at a pace it bears.

Simulated: a loop whose time the test sets, servers that count.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from async_copilot.errors import CopilotError, DisconnectedError, RateLimitError, ServerStatusError
from async_copilot.transport.gate import Gate


class Loop:
    """The methods of an event loop that the gate uses, on time that passes at once."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self.count = itertools.count()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[..., object], *args: Any) -> object:
        heapq.heappush(self.calls, (when, next(self.count), call, args))
        return object()

    def create_future(self) -> Place:
        return Place()

    def run(self, until: float = 1e9) -> None:
        while self.calls and self.calls[0][0] <= until:
            self.now, _, call, args = heapq.heappop(self.calls)
            call(*args)
        self.now = until if until < 1e9 else self.now


class Place:
    """A future that calls at once."""

    def __init__(self) -> None:
        self.then: Callable[[], object] = lambda: None
        self.over = False

    def done(self) -> bool:
        return self.over

    def cancel(self) -> None:
        self.over = True

    def set_result(self, _: None) -> None:
        self.over = True
        self.then()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    found = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: found)
    return found


def refusal(seconds: float | None = 1.0, status: int = 429) -> CopilotError:
    return RateLimitError("", status=status, retry_after=seconds)


def waits(gate: Gate, loop: Loop) -> list[float]:
    """Queue one more request; the times at which it left are in the list."""
    left: list[float] = []
    if gate.is_open():
        left.append(loop.now)
    else:
        place: Any = gate.queue()
        place.then = lambda: (left.append(loop.now), gate.sent())
    return left


def test_it_is_open_before_a_refusal(loop: Loop) -> None:
    gate = Gate()
    for _ in range(5000):
        assert gate.is_open()
        gate.sent()


@pytest.mark.parametrize(
    "error",
    [
        DisconnectedError("", retry_after=1.0),
        ServerStatusError("", status=500, retry_after=1.0),
        refusal(None),
        refusal(0.0),
        refusal(3600),
    ],
)
def test_what_is_not_a_refusal_for_a_while_leaves_it_open(loop: Loop, error: CopilotError) -> None:
    gate = Gate()
    gate.failed(gate.sent(), error)
    assert gate.is_open()


@pytest.mark.parametrize("status", [429, 503, 529])
def test_nothing_leaves_before_the_time_that_was_said(loop: Loop, status: int) -> None:
    gate = Gate()
    gate.failed(gate.sent(), refusal(2.0, status))
    times = [waits(gate, loop) for _ in range(3)]
    loop.run(1.999)
    assert times == [[], [], []]
    loop.run()
    assert all(2.0 <= left < 7 for (left,) in times)
    assert times == sorted(times)
    assert len({left for (left,) in times}) == 3


def test_a_later_refusal_counts_too(loop: Loop) -> None:
    gate = Gate()
    gate.failed(gate.sent(), refusal(1.0))
    left = waits(gate, loop)
    loop.run(0.5)
    gate.failed(gate.sent(), refusal(5.0))
    loop.run(5.4)
    assert left == []
    loop.run()
    assert len(left) == 1


def test_it_opens_fully_when_nothing_is_refused(loop: Loop) -> None:
    gate = Gate()
    gate.failed(gate.sent(), refusal(1.0))
    waits(gate, loop)
    assert not gate.is_open()
    loop.run()
    assert not gate.is_open()
    loop.now += 2.1
    assert gate.is_open()


def test_a_place_that_is_given_up_holds_nobody(loop: Loop) -> None:
    gate = Gate()
    gate.failed(gate.sent(), refusal(1.0))
    given_up: Any = gate.queue()
    left = waits(gate, loop)
    given_up.cancel()
    loop.run()
    assert len(left) == 1
    assert left[0] < 1.1


# ------------------------------------------------------------------ servers with limits


class Windows:
    """So many in each second, by the clock."""

    def __init__(self, rate: int, phase: float = 0.0) -> None:
        self.rate, self.phase, self.window, self.count = rate, phase, -1, 0

    def takes(self, now: float) -> bool:
        window = int(now + self.phase)
        if window != self.window:
            self.window, self.count = window, 0
        self.count += 1
        return self.count <= self.rate


class Sliding:
    """So many in any second."""

    def __init__(self, rate: int) -> None:
        self.rate, self.taken = rate, list[float]()

    def takes(self, now: float) -> bool:
        self.taken = [at for at in self.taken if at > now - 1]
        if len(self.taken) == self.rate:
            return False
        self.taken.append(now)
        return True


class Bucket:
    """So many a second, and a reserve for bursts."""

    def __init__(self, rate: int, reserve: int) -> None:
        self.rate, self.reserve, self.tokens, self.at = rate, reserve, float(reserve), 0.0

    def takes(self, now: float) -> bool:
        self.tokens = min(self.reserve, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Clients:
    """As many streams as are asked for, which come at once and retry twice, as by default."""

    def __init__(self, loop: Loop, server: Any, latency: float, seed: int) -> None:
        self.loop, self.server, self.latency = loop, server, latency
        self.random = random.Random(seed)  # noqa: S311  # no secret
        self.gate = Gate()
        self.answered = self.failed = self.refused = 0

    def ask(self, attempt: int = 0) -> None:
        if self.gate.is_open():
            self.send(attempt)
        else:
            place: Any = self.gate.queue()
            place.then = lambda: self.send(attempt)

    def send(self, attempt: int) -> None:
        self.later(0.5, self.arrive, attempt, self.gate.sent())

    def arrive(self, attempt: int, sent: float) -> None:
        if self.server.takes(self.loop.now):
            self.answered += 1
        else:
            self.refused += 1
            self.later(0.5, self.refuse, attempt, sent)

    def refuse(self, attempt: int, sent: float) -> None:
        self.gate.failed(sent, refusal(1.0))
        if attempt == 2:
            self.failed += 1
        else:
            self.loop.call_at(self.loop.now + self.random.uniform(1, 1.25), self.ask, attempt + 1)

    def later(self, part: float, call: Callable[..., object], *args: object) -> None:
        seconds = part * self.latency * self.random.uniform(0.5, 1)
        self.loop.call_at(self.loop.now + seconds, call, *args)


def servers() -> Iterator[tuple[str, Callable[[], Any], float]]:
    """Names, servers that bear 40 a second, and how much longer than the ideal it may take."""
    yield "windows", lambda: Windows(40), 1.3
    yield "windows out of phase", lambda: Windows(40, 0.93), 1.3
    yield "sliding", lambda: Sliding(40), 1.3
    yield "bucket", lambda: Bucket(40, 40), 1.3
    yield "bucket with a small reserve", lambda: Bucket(40, 10), 1.6
    yield "bucket without a reserve", lambda: Bucket(40, 1), 3.0


SERVERS = {name: (make, factor) for name, make, factor in servers()}


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("latency", [0.005, 0.02, 0.1])
def test_four_hundred_streams_are_all_answered_in_time(
    name: str, latency: float, loop: Loop
) -> None:
    make, factor = SERVERS[name]
    for seed in range(3):
        loop.__init__()  # type: ignore[misc]  # as new
        clients = Clients(loop, make(), latency, seed)
        for number in range(400):
            loop.call_at(0.15 * number / 400, clients.ask)
        loop.run()
        assert (clients.answered, clients.failed) == (400, 0)
        # The first burst is what goes out before the first refusal is here.
        burst = 400 * min(1.0, (2 * latency + 0.02) / 0.15)
        assert clients.refused <= burst + 40
        slack = 1.5 if latency > 0.05 else 1.0  # what is on its way says nothing yet
        assert loop.now <= 400 / 40 * factor * slack
