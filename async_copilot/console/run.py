"""Options in, an exit status out: the console from its first request to its last word.

The event loop runs while a turn does. In between, while a person types, nothing runs:
the client makes a new connection where the server has closed an idle one meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from ..errors import AmnesiaWarning, CopilotError, UsageError
from ..runner import GREETING, NAME
from .argument_parser import UsageProblemError
from .arguments import Options
from .chat_loop import chat
from .chat_prompt import ChatPrompt
from .connect import connect
from .conversations import Begun, begin
from .dry_run import shown_request
from .exit_status import ExitStatus, status_of
from .explain import explain
from .history_file import HistoryFile
from .interrupts import Interrupts
from .json_lines import JsonLines
from .listing import show_lists
from .media_folder import check_folder
from .opening import Opening, read_opening
from .out_stream import make_blocking
from .plain_view import PlainView
from .saved_chat import check_place
from .screen import OutputLostError, Screen
from .talk import Run, Talk
from .turns import View

__all__ = ["LOOKUP_THREADS", "run"]

LOOKUP_THREADS = "async_copilot-lookup"


def run(options: Options) -> int:
    """Do what the options ask for; return the exit status."""
    with Interrupts() as interrupts, warnings.catch_warnings():
        warnings.simplefilter("ignore", AmnesiaWarning)  # a view says it in its own way
        make_blocking(sys.stdin)
        screen = Screen(interrupts, color=options.color)
        view = _view(options, screen)
        with _logging_to(screen) if options.verbose else contextlib.nullcontext():
            try:
                status = _guarded(options, interrupts, screen, view)
                view.close(status)
            except OutputLostError as lost:
                status = ExitStatus.OUTPUT_CLOSED if lost.quiet else ExitStatus.CUT_OFF
                if not lost.quiet:
                    screen.remark(f"cannot write the answer: {lost}")
            except KeyboardInterrupt:  # once more, while the last line is written
                status = interrupts.status
            screen.close()
    return int(status)


def _guarded(options: Options, interrupts: Interrupts, screen: Screen, view: View) -> int:
    """Run the console; return the status also where there was no turn to tell of it."""
    try:
        lists = options.models or options.providers
        opening = Opening((), interactive=False) if lists else _opening(options, view)
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(_Lookups(thread_name_prefix=LOOKUP_THREADS))
            run = partial(interrupts.run, runner)
            resources = AsyncExitStack()
            try:
                client = run(connect(options, resources, view))
                if lists:
                    run(show_lists(client, options, view))
                    return ExitStatus.COMPLETE
                begun = begin(options, opening, client, view.url, view.remark)
                if options.dry_run:
                    return _dry_run(opening, begun, run, screen)
                talk = Talk(begun, options=options, view=view, run=run, interrupts=interrupts)
                if not opening.interactive:
                    return talk.take(opening.messages)
                history = None if options.history is None else HistoryFile(options.history)
                return chat(talk, opening, ChatPrompt(history), screen, interrupts)
            finally:
                run(resources.aclose())
    except KeyboardInterrupt:
        return interrupts.status
    except UsageProblemError as problem:
        view.problem(str(problem))
    except UsageError as error:
        view.problem(explain(error, options.url))
    except CopilotError as error:  # of a list: a turn tells of its own
        view.problem(explain(error, view.url))
        return status_of(error)
    return ExitStatus.USAGE


def _opening(options: Options, view: View) -> Opening:
    """Return what goes out first; check before that what could not work afterwards."""
    if options.save is not None:
        check_place(options.save, options.resume)
    if options.media is not None:
        check_folder(options.media)
    opening = read_opening(options, view.remark)
    if opening.messages or opening.interactive:
        return opening
    return replace(opening, messages=(GREETING, NAME))


def _dry_run(opening: Opening, begun: Begun, run: Run, screen: Screen) -> int:
    """Show the first request."""
    if not opening.messages:
        raise UsageProblemError("--dry-run shows the request of a message: give one")
    screen.write(run(shown_request(begun.conversation, opening.messages[0])))
    if len(opening.messages) > 1:
        screen.remark("the requests after this one depend on its answer")
    return ExitStatus.COMPLETE


class _Lookups(ThreadPoolExecutor):
    """Where host names are looked up, which can take a minute and cannot be cancelled.

    The event loop's end waits for its executor; not for this one. See ``__main__``.
    """

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  # the base class's
        super().shutdown(wait=False, cancel_futures=True)


class _ScreenLog(logging.Handler):
    """Log records onto the screen, between the sign and the text."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("[%(asctime)s.%(msecs)03d] %(message)s", "%H:%M:%S"))
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.line(self.format(record))


@contextlib.contextmanager
def _logging_to(screen: Screen) -> Iterator[None]:
    logger = logging.getLogger("async_copilot")
    handler, level = _ScreenLog(screen), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _view(options: Options, screen: Screen) -> View:
    if options.json:
        return JsonLines(screen)
    # Whoever tries the demo has not typed the two questions that it is asked.
    questions = options.demo and not options.messages and not options.interactive
    return PlainView(screen, reasoning=options.reasoning, stats=options.stats, questions=questions)
