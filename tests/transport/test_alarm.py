"""One timer of the loop serves all appointments: in their order, on time, and no cancelled one."""

from __future__ import annotations

import asyncio
import gc
from contextvars import ContextVar
from weakref import ref

import pytest

from async_copilot.transport.alarm import MANY, Alarm, alarm_here

SOON = 0.02  # seconds


async def test_calls_come_in_the_order_of_their_times() -> None:
    alarm, told = alarm_here(), []
    now = asyncio.get_running_loop().time()
    over = asyncio.Event()
    for place in (3, 1, 2, 0):
        alarm.call_at(now + SOON + place / 1000, lambda place=place: told.append(place))
    alarm.call_at(now + 2 * SOON, over.set)
    await over.wait()
    assert told == [0, 1, 2, 3]


async def test_no_call_comes_early_and_none_after_it_was_cancelled() -> None:
    alarm, loop = alarm_here(), asyncio.get_running_loop()
    due = loop.time() + SOON
    came: asyncio.Future[float] = loop.create_future()
    wrong = [alarm.call_at(due - SOON / (n + 2), lambda: came.set_result(0.0)) for n in range(5)]
    alarm.call_at(due, lambda: came.set_result(loop.time()))
    for appointment in wrong:
        appointment.cancel()
    assert await came >= due - 0.001


async def test_one_call_may_make_and_cancel_others() -> None:
    alarm, loop = alarm_here(), asyncio.get_running_loop()
    now, told, over = loop.time(), [], asyncio.Event()
    other = alarm.call_at(now + 2 * SOON, lambda: told.append("other"))

    def first() -> None:
        other.cancel()
        told.append("first")
        alarm.call_at(now, lambda: told.append("at once"))
        alarm.call_at(now + 3 * SOON, over.set)

    alarm.call_at(now + SOON, first)
    await over.wait()
    assert told == ["first", "at once"]


async def test_a_call_that_fails_holds_no_other_one_back() -> None:
    alarm, loop = alarm_here(), asyncio.get_running_loop()
    failed: list[object] = []
    loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))
    error, over = ValueError("of the call"), asyncio.Event()

    def fail() -> None:
        raise error

    alarm.call_at(loop.time() + SOON, fail)
    alarm.call_at(loop.time() + SOON, over.set)
    await over.wait()
    assert failed == [error]


async def test_a_thousand_cancelled_appointments_leave_nothing() -> None:
    alarm = Alarm(asyncio.get_running_loop())
    due = asyncio.get_running_loop().time() + 1000

    class Called:
        def __call__(self) -> None:
            """Never."""

    calls = [Called() for _ in range(1000)]
    kept = [ref(call) for call in calls]
    appointments = [alarm.call_at(due - n, call) for n, call in enumerate(calls)]
    del calls
    for appointment in appointments:
        appointment.cancel()
    assert not any(call() for call in kept)


async def test_cancelled_appointments_do_not_pile_up_before_one_that_stays() -> None:
    """However many requests come and go while one waits for long."""
    alarm = Alarm(asyncio.get_running_loop())
    now = asyncio.get_running_loop().time()
    stays = alarm.call_at(now + 10_000, list)
    for n in range(20 * MANY):
        alarm.call_at(now + 1000 + n, list).cancel()
    assert len(stays.waiting) <= MANY + 2
    assert stays in stays.waiting
    stays.cancel()


async def test_a_call_sees_no_context_variables_of_whoever_came_first() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="none")
    variable.set("of the first request")
    seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    Alarm(asyncio.get_running_loop()).call_at(0.0, lambda: seen.set_result(variable.get()))
    assert await seen == "none"


def test_each_loop_has_an_alarm_which_does_not_keep_it() -> None:
    async def found() -> tuple[ref[Alarm], ref[asyncio.AbstractEventLoop]]:
        alarm = alarm_here()
        assert alarm is alarm_here()
        alarm.call_at(asyncio.get_running_loop().time() + 1000, list)
        return ref(alarm), ref(asyncio.get_running_loop())

    first, loop = asyncio.run(found())
    second, _ = asyncio.run(found())
    gc.collect()
    assert loop() is None
    assert first() is None
    assert second() is not None


@pytest.mark.parametrize("place", ["in order", "against it"])
async def test_a_timer_is_set_for_the_first_only(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarm, loop = Alarm(asyncio.get_running_loop()), asyncio.get_running_loop()
    set_for: list[float] = []
    monkeypatch.setattr(loop, "call_at", lambda due, *_, **__: set_for.append(due))
    dues = [loop.time() + 1000 + n for n in range(10)]
    for due in dues if place == "in order" else dues[::-1]:
        alarm.call_at(due, list)
    assert len(set_for) == (1 if place == "in order" else 10)
