"""A wait ends with what ended it; a cancellation from elsewhere stays one."""

from __future__ import annotations

import asyncio

import pytest

from async_copilot.errors import SilenceTimeoutError
from async_copilot.transport.interruptible import Interruptible

FIRST = SilenceTimeoutError("the first", seconds=1)
SECOND = SilenceTimeoutError("the second", seconds=2)


async def test_the_first_end_counts_and_the_task_goes_on() -> None:
    wait = Interruptible()

    async def waits() -> None:
        with wait:
            wait.end(FIRST)
            wait.end(SECOND)
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await waits()
    assert wait.error is FIRST
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    await asyncio.sleep(0)


async def test_a_wait_that_is_over_is_not_ended_any_more() -> None:
    wait = Interruptible()
    with wait:
        wait.end(FIRST)  # in the next turn of the loop, which comes too late
    wait.end(SECOND)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert wait.error is FIRST


async def test_a_cancellation_at_the_same_moment_stays_one() -> None:
    wait = Interruptible()

    async def waits() -> None:
        with wait:
            await asyncio.sleep(60)

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    wait.end(FIRST)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_another_error_of_the_wait_is_raised_as_it_is() -> None:
    async def waits() -> None:
        wait = Interruptible()
        with wait:
            wait.end(FIRST)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise ValueError("its own") from None

    with pytest.raises(ValueError, match="its own"):
        await waits()
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
