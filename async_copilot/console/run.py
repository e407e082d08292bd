"""Options in, an exit status out: the console from its first request to its last word.

The event loop runs while a turn does. In between, while a person types, nothing runs:
the client makes a new connection where the server has closed an idle one meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

from yarl import URL

from ..client import CopilotClient
from ..errors import AmnesiaWarning, UsageError
from ..runner import GREETING, NAME
from ..transport.clocks import Timeouts
from ..transport.exchange import place
from .argument_parser import CLOCKS, UsageProblemError
from .arguments import Options
from .chat_loop import chat
from .chat_prompt import ChatPrompt
from .dry_run import catching_session, shown_request
from .exit_status import ExitStatus
from .explain import explain
from .interrupts import Interrupts
from .json_lines import JsonLines
from .plain_view import PlainView
from .prompts import complete_messages
from .saved_chat import check_place, read_chat, write_chat
from .screen import OutputLostError, Screen
from .turns import Turn, View, take_turn

__all__ = ["LOOKUP_THREADS", "run"]

log = logging.getLogger("async_copilot.console")

LOOKUP_THREADS = "async_copilot-lookup"


def run(options: Options) -> int:
    """Do what the options ask for; return the exit status."""
    with Interrupts() as interrupts, warnings.catch_warnings():
        warnings.simplefilter("ignore", AmnesiaWarning)  # a view says it in its own way
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
        messages = complete_messages(options.messages, interactive=options.interactive)
        if options.save is not None:
            check_place(options.save)
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(_Lookups(thread_name_prefix=LOOKUP_THREADS))
            console = _Console(options, interrupts, runner, screen, view)
            try:
                return console.run(messages)
            finally:
                interrupts.run(runner, console.resources.aclose())
    except KeyboardInterrupt:
        return interrupts.status
    except UsageProblemError as problem:
        view.problem(str(problem))
    except UsageError as error:
        view.problem(explain(error, options.url))
    return ExitStatus.USAGE


class _Console:
    """One run of the console; ``resources`` are to be closed after it."""

    def __init__(
        self,
        options: Options,
        interrupts: Interrupts,
        runner: asyncio.Runner,
        screen: Screen,
        view: View,
    ) -> None:
        self.resources = AsyncExitStack()
        self._options = options
        self._interrupts = interrupts
        self._runner = runner
        self._screen = screen
        self._view = view
        self._turns = 0
        self._unsaved = False

    def run(self, messages: list[str]) -> int:
        self._client = self._interrupts.run(self._runner, self._connect())
        if self._options.resume is None:
            self.begin(system=self._options.system)
        else:
            self.conversation = read_chat(self._options.resume, self._client, self._options)
            self.conversation.keep_partial = self._options.interactive
        if not (messages or self._options.interactive):
            messages = [GREETING, NAME]
        if self._options.dry_run:
            return self._show_request(messages)
        return self._talk(messages)

    def begin(self, *, system: str | None) -> None:
        """Begin a new conversation."""
        options = self._options
        given: dict[str, Any] = {}
        if options.model is not None:
            given["model"] = options.model
        if options.provider is not None:
            given["provider"] = options.provider or None
        self.conversation = self._client.conversation(
            memory="client" if options.memory == "client" else "server",
            system=system,
            # In a chat, an answer that was stopped is still part of what was said.
            keep_partial=options.interactive,
            **given,
        )

    def take(self, message: str) -> int:
        """Take a turn; return its exit status, or raise KeyboardInterrupt."""
        self._turns += 1
        turn = Turn(self._turns, message, self._interrupts)
        try:
            self._interrupts.run(self._runner, take_turn(self.conversation, turn, self._view))
        finally:
            self._keep()
        return turn.status or (ExitStatus.CUT_OFF if self._unsaved else ExitStatus.COMPLETE)

    def _talk(self, messages: list[str]) -> int:
        if self._options.interactive:
            with ChatPrompt(self._options.history) as prompt:
                return chat(self, messages, prompt, self._screen, self._interrupts)
        status = 0
        for message in messages:
            status = status or self.take(message)
        return status

    def _show_request(self, messages: list[str]) -> int:
        shown = shown_request(self.conversation, messages[0])
        self._screen.write(self._interrupts.run(self._runner, shown))
        if len(messages) > 1:
            self._screen.remark("the requests after this one depend on its answer")
        return ExitStatus.COMPLETE

    def _keep(self) -> None:
        path = self._options.save
        if path is not None and self.conversation.history:
            try:
                write_chat(path, self.conversation)
            except OSError as error:
                self._unsaved = True
                self._view.problem(f"cannot save the conversation in {path}: {error.strerror}")

    async def _connect(self) -> CopilotClient:
        options, enter = self._options, self.resources.enter_async_context
        url, session = options.url, None
        if options.demo:
            from ..fake_server import FakeServer  # noqa: PLC0415  # aiohttp.web, only now

            # The demo remembers, whoever is to do so.
            server = FakeServer(memory="messages" if options.memory == "client" else None)
            url = (await enter(server)).url
            self._screen.remark("this is a built-in demo, not Copilot")
        elif options.dry_run:
            session = await enter(catching_session())
        timeouts = Timeouts(**options.timeouts)
        client = CopilotClient(
            base_url=url,
            api_key=options.api_key,
            session=session,
            timeouts=timeouts,
            max_retries=options.retries,
            strict=options.strict,
            headers=dict(options.headers),
        )
        self._view.url = place(URL(url))
        log.info(
            "server %s; clocks: %s; retries: %d", self._view.url, _told(timeouts), options.retries
        )
        return await enter(client)


def _told(timeouts: Timeouts) -> str:
    clocks = {name: getattr(timeouts, name) for name in CLOCKS}
    return ", ".join(f"{name} {'off' if s is None else f'{s:g} s'}" for name, s in clocks.items())


class _Lookups(ThreadPoolExecutor):
    """Where host names are looked up, which can take a minute and cannot be cancelled.

    The event loop's end waits for its executor; not for this one. See ``__main__``.
    """

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=True)


class _ScreenLog(logging.Handler):
    """Log records onto the screen, between the sign and the text."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("[%(asctime)s.%(msecs)03d] %(message)s", "%H:%M:%S"))
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.note(self.format(record))


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
    return PlainView(screen, reasoning=options.reasoning, stats=options.stats)
