"""How every test runs: asyncio debug mode on, and nothing left over.

``async def`` tests run in an event loop of their own. A test fails that leaves a task
behind, that makes the loop report an exception nobody handled, or that drops a session,
transport or generator unclosed: warnings are errors, and collecting garbage before the
test ends brings them out.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import examples  # noqa: F401  # how many of them a property is tried with
import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take no_cover off where coverage is off: pytest-cov 7 trips over the two together."""
    if config.getoption("no_cov", default=False):
        for item in items:
            item.own_markers = [mark for mark in item.own_markers if mark.name != "no_cover"]


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The whole suite runs on all cores (four at most) if pytest-xdist is there; a part in here.

    So does what is watched or measured, and all of it with ``-n 0``.
    """
    option, given = config.option, config.invocation_params.args
    part = config.args_source is not pytest.Config.ArgsSource.TESTPATHS or option.keyword
    part = part or option.lf or any(str(argument).startswith("-m") for argument in given)
    watched = option.capture == "no" or option.usepdb or config.getoption("cov_source", None)
    worker = hasattr(config, "workerinput")
    if not (part or watched or worker) and getattr(option, "numprocesses", 0) is None:
        option.numprocesses = min(4, os.cpu_count() or 1)


def pytest_configure() -> None:
    """Take back what ``nohup ... &`` ignores: what is started here inherits it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is signal.SIG_IGN:
        # Not the default, which would end this run with its terminal; a handler is not inherited.
        signal.signal(hang_up, lambda *_: None)


@pytest.fixture(scope="session", autouse=True)
def brief_pauses() -> Iterator[None]:
    """Before a retry that no server has timed, a tenth of the pause: chance says how long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("async_copilot.transport.retries.FIRST_PAUSE", 0.05)
        yield


def pytest_collection_finish() -> None:
    """Keep what collection made out of the collections below: they halve the suite's time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments: dict[str, Any] = {name: pyfuncitem.funcargs[name] for name in names}
    run(pyfuncitem.obj(**arguments), arguments.get("loop_factory"))
    return True


def run(
    test: Coroutine[Any, Any, None],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Run a test to its end in a loop of its own; raise what it left behind.

    loop_factory: what a test takes under this name makes its loop.
    """
    reports: list[dict[str, Any]] = []
    with asyncio.Runner(debug=True, loop_factory=loop_factory) as runner:
        loop = runner.get_loop()
        # All that debug mode checks, without the stack it keeps for each handle and future:
        # that was half of the suite's time. A loop is asked for it by this method alone.
        loop.get_debug = lambda: False  # type: ignore[method-assign]
        loop.slow_callback_duration = 5  # a log line, not a failure, on a busy machine
        loop.set_exception_handler(lambda _, context: reports.append(context))
        runner.run(test)
        # One turn of the loop lets closed transports say so.
        runner.run(asyncio.sleep(0))
        tasks = asyncio.all_tasks(loop)
        gc.collect()
        # What is alive now is not looked at again by the collections of the tests to come.
        gc.freeze()
        runner.run(asyncio.sleep(0))
    assert not tasks, f"tasks left over: {tasks}"
    assert not reports, f"the event loop reported: {reports}"
