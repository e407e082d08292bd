"""Clocks run while somebody waits, never while the caller works, and say which one ran out.

The watchdog is run on a loop whose time the test sets, so that hours cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_copilot.errors import (
    ClockError,
    ConnectTimeoutError,
    FirstTextTimeoutError,
    InvalidRequestError,
    SilenceTimeoutError,
    StallTimeoutError,
    TotalTimeoutError,
)
from async_copilot.transport.clocks import Timeouts, Watchdog

OFF = Timeouts(connect=None, silence=None, stall=None, total=None)


class Timer:
    def __init__(self, when: float, call: Callable[..., None], *args: object) -> None:
        self.at = when
        self.call = partial(call, *args)
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """The methods of an event loop that the watchdog uses, and a hand on the clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[Timer] = []
        self.armed = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[..., None], *args: object, **_: object) -> Timer:
        self.timers.append(Timer(when, call, *args))
        self.armed += 1
        return self.timers[-1]

    def call_soon(self, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.now, call))
        return self.timers[-1]

    def stand_still(self, seconds: float) -> None:
        """Time passes and nothing runs: the process is stopped, or busy."""
        self.now += seconds

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [t for t in self.timers if not t.cancelled and t.at <= end]:
            timer = min(due, key=lambda t: t.at)
            self.timers.remove(timer)
            self.now = max(self.now, timer.at)
            timer.call()
        self.now = end


class Watched:
    """A watchdog, its loop, and what it has said."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, timeouts: Timeouts, spent: float = 0.0
    ) -> None:
        self.loop = Loop()
        self.errors: list[ClockError] = []
        monkeypatch.setattr(
            "async_copilot.transport.clocks.asyncio.get_running_loop", lambda: self.loop
        )
        self.dog = Watchdog(timeouts, spent=spent)
        self.dog.expire = self.errors.append

    def wait(self, seconds: float) -> None:
        self.dog.start(self.loop.now)
        self.loop.pass_time(seconds)
        self.dog.stop(self.loop.now)

    def progress(self) -> None:
        self.dog.progress(self.loop.now)

    def work(self, seconds: float) -> None:
        self.loop.pass_time(seconds)


# ------------------------------------------------------------------ settings


def test_the_defaults_are_the_documented_ones() -> None:
    assert Timeouts() == Timeouts(connect=10, silence=300, stall=600, total=None)


@pytest.mark.parametrize("name", [field.name for field in fields(Timeouts)])
def test_each_clock_takes_seconds_above_0_or_none(name: str) -> None:
    for seconds in (None, 0.001, 1, 10**9, math.inf):
        assert getattr(Timeouts(**{name: seconds}), name) == seconds
    for wrong in (0, -1, math.nan, -math.inf, True, False, "10", [1]):
        with pytest.raises(InvalidRequestError, match=rf"Timeouts\({name}="):
            Timeouts(**{name: wrong})  # type: ignore[arg-type]  # that is what is shown


def test_settings_are_frozen_and_compare() -> None:
    with pytest.raises(FrozenInstanceError):
        Timeouts().total = 5  # type: ignore[misc]  # that is what is shown
    assert {Timeouts(), Timeouts()} == {Timeouts()}


# ------------------------------------------------------------------ one clock at a time


def test_silence_is_one_wait_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=10))
    for _ in range(50):
        watched.wait(9.9)
        watched.progress()
    assert watched.errors == []
    watched.wait(10)
    (error,) = watched.errors
    assert type(error) is SilenceTimeoutError
    assert error.seconds == 10
    assert "10 s" in error.message


def test_stall_is_waits_without_progress_together(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=10, stall=25))
    watched.wait(9)
    watched.wait(9)
    watched.progress()
    watched.wait(9)
    watched.wait(9)
    assert watched.errors == []
    watched.wait(9)
    (error,) = watched.errors
    assert type(error) is StallTimeoutError
    assert error.seconds == 25


def test_total_is_all_waits_together_and_what_was_spent_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, Timeouts(total=30), spent=12)
    watched.wait(9)
    watched.progress()
    assert watched.dog.spent == 21
    watched.wait(8)
    watched.progress()
    assert watched.errors == []
    watched.wait(2)
    (error,) = watched.errors
    assert type(error) is TotalTimeoutError
    assert error.seconds == 30


def test_the_error_comes_when_the_clock_runs_out_not_later(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=10))
    times: list[float] = []
    watched.dog.expire = lambda _: times.append(watched.loop.now)
    watched.wait(500)
    assert times == [1010]


def test_work_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=10, stall=20, total=50))
    for _ in range(4):
        watched.wait(9)
        watched.work(10_000)
        watched.progress()
    assert watched.errors == []
    assert watched.dog.spent == 36


def test_off_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, OFF)
    watched.wait(10**9)
    assert watched.errors == []
    assert watched.loop.armed == 0


def test_when_two_run_out_together_the_harder_bound_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for timeouts, kind in (
        (Timeouts(silence=10, stall=10, total=10), TotalTimeoutError),
        (Timeouts(silence=10, stall=10), StallTimeoutError),
    ):
        watched = Watched(monkeypatch, timeouts)
        watched.wait(10)
        assert [type(error) for error in watched.errors] == [kind]


def test_after_an_error_the_watchdog_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=10))
    watched.wait(1000)
    assert len(watched.errors) == 1
    watched.work(1000)
    assert len(watched.errors) == 1


# ------------------------------------------------------------------ shortened, cancelled


@pytest.mark.parametrize("timeouts", [Timeouts(silence=10), OFF], ids=["on", "off"])
def test_a_limit_holds_until_it_is_lifted(
    timeouts: Timeouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a finish reason a reply waits a little for usage and [DONE], clocks or none."""
    watched = Watched(monkeypatch, timeouts)
    watched.wait(1)
    watched.dog.limit(2)
    watched.wait(1.9)
    watched.dog.answer()
    watched.wait(9)
    assert watched.errors == []
    watched.dog.limit(2)
    watched.wait(2)
    assert len(watched.errors) == 1


def test_bytes_do_not_prolong_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, Timeouts())
    watched.dog.limit(2)
    for _ in range(3):
        watched.wait(0.9)
    assert len(watched.errors) == 1


def test_a_limit_never_lengthens(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=10, stall=10))
    watched.dog.limit(1000)
    watched.wait(10)
    assert len(watched.errors) == 1


def test_a_wait_that_goes_on_is_one_wait_for_stall_and_two_for_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=10, stall=25))
    for _ in range(2):
        watched.dog.start(watched.loop.now)
        watched.loop.pass_time(9)
    watched.dog.start(watched.loop.now)
    assert watched.errors == []
    watched.loop.pass_time(9)
    assert [type(error) for error in watched.errors] == [StallTimeoutError]


def test_a_cancelled_watchdog_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=10))
    watched.dog.cancel()
    watched.dog.start(watched.loop.now)
    watched.dog.cancel()
    watched.loop.pass_time(1000)
    watched.dog.stop(watched.loop.now)
    assert (watched.errors, watched.dog.spent) == ([], 0)


def test_a_timer_that_comes_early_is_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=10))
    watched.dog.start(watched.loop.now)
    watched.loop.timers[0].at -= 0.0005
    watched.loop.pass_time(9.9999)
    assert watched.errors == []
    watched.loop.pass_time(0.01)
    assert len(watched.errors) == 1


# ------------------------------------------------------------------ before there is a body


def no_connection() -> ClockError:
    return ConnectTimeoutError("none", seconds=5)


def test_the_wait_for_a_connection_has_a_clock_and_an_error_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=3, stall=3))
    watched.dog.connect(watched.loop.now, 5, no_connection)
    watched.loop.pass_time(4.9)
    assert watched.errors == []
    watched.loop.pass_time(0.2)
    assert [type(error) for error in watched.errors] == [ConnectTimeoutError]


def test_the_wait_for_the_headers_is_silence_and_no_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=10, stall=3))
    watched.dog.connect(watched.loop.now, 5, no_connection)
    watched.loop.pass_time(4.9)
    watched.dog.send(watched.loop.now)
    watched.loop.pass_time(9.9)
    assert watched.errors == []
    watched.loop.pass_time(0.2)
    assert [type(error) for error in watched.errors] == [SilenceTimeoutError]


@pytest.mark.parametrize("late", [True, False])
def test_an_answer_may_come_before_its_request_has_gone_out(
    late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller then works, which costs nothing; and what it waits for is the answer."""
    watched = Watched(monkeypatch, Timeouts(silence=10, stall=30))
    watched.dog.connect(watched.loop.now, 5, no_connection)
    watched.dog.stop(watched.loop.now)
    watched.dog.answer()
    if late:
        watched.dog.send(watched.loop.now)
    watched.work(1000)
    watched.wait(9.9)
    assert watched.errors == []
    watched.wait(10)
    assert [type(error) for error in watched.errors] == [SilenceTimeoutError]


# ------------------------------------------------------------------ the first text


def test_before_the_first_text_its_clock_stands_in_for_silence_and_stall(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=5, stall=7, first_text=60))
    for _ in range(3):
        watched.wait(19)
    assert watched.errors == []
    watched.wait(4)
    (error,) = watched.errors
    assert type(error) is FirstTextTimeoutError
    assert error.seconds == 60
    assert "first_text" in str(error)


def test_after_the_first_text_its_clock_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=50, first_text=10))
    watched.wait(9)
    watched.progress()
    watched.wait(49)
    assert watched.errors == []
    watched.wait(50)
    assert [type(error) for error in watched.errors] == [SilenceTimeoutError]


def test_the_wait_for_a_first_text_counts_attempts_and_connecting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, Timeouts(first_text=30), spent=12)
    watched.dog.connect(watched.loop.now, 60, no_connection)
    watched.loop.pass_time(17.9)
    assert watched.errors == []
    watched.loop.pass_time(0.2)
    assert [type(error) for error in watched.errors] == [FirstTextTimeoutError]


def test_a_limit_holds_before_the_first_text_too(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, Timeouts(first_text=1000))
    watched.dog.limit(2)
    watched.wait(2.1)
    assert len(watched.errors) == 1


# ------------------------------------------------------------------ a process that did not run


CLOCKS_OF_A_WAIT = {
    "silence": Timeouts(silence=300, stall=None),
    "stall": Timeouts(silence=None, stall=300),
    "total": Timeouts(silence=None, stall=None, total=300),
    "first_text": Timeouts(first_text=300),
}


@pytest.mark.parametrize("name", CLOCKS_OF_A_WAIT)
@pytest.mark.parametrize("before", [1, 100, 250])
def test_time_in_which_the_process_did_not_run_is_not_the_servers(
    name: str, before: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch, CLOCKS_OF_A_WAIT[name])
    watched.dog.start(watched.loop.now)
    watched.loop.pass_time(before)
    watched.loop.stand_still(305)
    watched.loop.pass_time(300 - before - 300 / 8 - 1)
    assert watched.errors == []
    watched.loop.pass_time(300 / 8 + 2)
    assert [error.seconds for error in watched.errors] == [300]


def test_a_clock_that_comes_late_takes_in_what_has_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=0.3, stall=0.3))
    watched.dog.start(watched.loop.now)
    watched.loop.stand_still(1)
    watched.loop.pass_time(0.001)
    assert watched.errors == []
    watched.progress()  # the bytes that lay in the socket
    watched.wait(0.29)
    assert watched.errors == []


def test_a_clock_in_time_looks_once_more_before_it_accuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bytes of the same turn of the loop are with their reader two turns later."""
    watched = Watched(monkeypatch, Timeouts(silence=10))
    watched.dog.start(watched.loop.now)
    watched.loop.pass_time(9.9)
    for turn in range(5):
        (timer,) = [timer for timer in watched.loop.timers if not timer.cancelled]
        watched.loop.timers.clear()
        watched.loop.now = max(timer.at, watched.loop.now)
        timer.call()
        assert watched.errors == [], f"turn {turn}"
    watched.progress()
    watched.loop.pass_time(100)
    assert watched.errors == []


def test_a_loop_that_is_always_late_does_not_wait_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=1))
    watched.dog.start(watched.loop.now)
    for _ in range(60):
        watched.loop.stand_still(0.2)
        watched.loop.pass_time(0.001)
    assert len(watched.errors) == 1


# ------------------------------------------------------------------ what it costs


def test_a_delta_costs_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, Timeouts(silence=300, stall=600, total=3600))
    for _ in range(10_000):
        watched.wait(0.01)
        watched.progress()
    assert watched.loop.armed < 5


STEPS = st.lists(
    st.tuples(st.sampled_from(("wait", "work", "progress")), st.floats(0, 40)), max_size=20
)
CLOCKS = st.none() | st.floats(1, 100)


@given(STEPS, CLOCKS, CLOCKS, CLOCKS)
def test_it_agrees_with_a_clock_for_each_wait(
    steps: list[tuple[str, float]],
    silence: float | None,
    stall: float | None,
    total: float | None,
) -> None:
    """The plain way: one sum a clock, looked at after each wait."""
    timeouts = Timeouts(silence=silence, stall=stall, total=total)
    with pytest.MonkeyPatch.context() as monkeypatch:
        watched = Watched(monkeypatch, timeouts)
        stalled = spent = 0.0
        for step, seconds in steps:
            if step == "progress":
                watched.progress()
                stalled = 0.0
            elif step == "work":
                watched.work(seconds)
            else:
                stalled += seconds
                spent += seconds
                watched.wait(seconds)
                sums = ((seconds, silence), (stalled, stall), (spent, total))
                slack = [waited - (limit or math.inf) for waited, limit in sums]
                if max(slack) > 0.002:
                    assert len(watched.errors) == 1
                    return
                if max(slack) > -0.002:
                    return  # too near to call
                assert watched.errors == []


def test_a_clock_that_comes_late_looks_again_though_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its time was used up before the process stood still: the socket is still read first."""
    watched = Watched(monkeypatch, Timeouts(silence=10))
    watched.dog.start(watched.loop.now)
    watched.loop.pass_time(9.9)
    (timer,) = [timer for timer in watched.loop.timers if not timer.cancelled]
    watched.loop.now = timer.at + 5
    timer.call()
    assert watched.errors == []
