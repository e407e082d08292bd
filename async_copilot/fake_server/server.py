"""The fake server itself: requests in, scripted answers out, and a record of both.

I/O: a listening socket, in the caller's event loop (``async with``) or in a thread of its own
(``with``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Literal, Self

from aiohttp import web

from .checks import check_seconds
from .connections import Connections, stop_accepting
from .memory import MemoryKind
from .options import Options, check_options
from .plan import DIALECTS, DialectName
from .providers import FakeProvider, Providers
from .record import Record
from .recorder import Recorder
from .request import Request
from .script import Script, ScriptError
from .service import Service
from .thread import Done, LoopThread

__all__ = ["FakeServer"]

# More clients at once than this are refused by the kernel; it may take fewer by its own limit.
_BACKLOG = 1024


class FakeServer:
    """A chat server that answers by its script; ``async with`` or ``with`` runs it.

    script:     see ``script``; None is the built-in demo. A ``Recorder`` asks a real server.
    dialect:    whose wire form: "g4f" (8.8.6), "g4f-8.1.7", "g4f-0.4.9.0", "openai", "azure",
                "litellm" or "llama".
    memory:     how a conversation goes on ("echo", "crosstalk", "id", "messages",
                "none"); None: as the dialect's server does.
    providers:  those behind a g4f server, as ``FakeProvider``; the first is asked where a request
                names none, another name is a 404. None: any name is a provider like Copilot.
    models:     the ids that ``GET /v1/models`` lists.
    api_key:    the key a request must bring; None takes every request.
    strict:     True refuses with 400 what OpenAI refuses: unknown fields, values out of range,
                tool results without their call, ...
    check:      False raises nothing at the block's end (see below).
    host, port: where to listen; port 0 is a free one.
    keep_alive: seconds an idle connection stays open.
    max_body:   bytes of a request; a longer one is a 413. The default takes the images of a
                long conversation and stops a mistake before it fills the memory.
    control:    True serves the pages of ``/_fake`` (see ``control``).
    keep:       how many requests stay in the record, and how much memory of conversations; None:
                all, as a test wants it.

    url:         the base URL, ending in /v1 (Azure: /openai/v1); "" until started.
    origin:      the URL without a path, as AzureOpenAI wants it.
    requests:    the chat requests, in order of arrival, as ``Request``.
    unexpected:  what the script had no answer for, and requests to wrong URLs, in words.
    connections: how many TCP connections were accepted.

    Under ``with`` the server runs in a thread of its own, functions of the script too. Leaving
    the block cuts every open stream and leaves no task, no thread and no socket. Then it raises
    what a function of the script has raised, or ScriptError (an AssertionError) where
    ``unexpected`` is not empty; an exception of the block is its context.
    """

    def __init__(
        self,
        script: Script | Recorder | None = None,
        *,
        dialect: DialectName = "g4f",
        memory: MemoryKind | None = None,
        providers: Sequence[FakeProvider] | None = None,
        models: Sequence[str] = ("default",),
        api_key: str | None = None,
        strict: bool = False,
        check: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        keep_alive: float = 5.0,
        max_body: int = 32 * 2**20,
        control: bool = False,
        keep: int | None = None,
    ) -> None:
        check_options(dialect=dialect, memory=memory, models=models, api_key=api_key, strict=strict)
        check_options(check=check, host=host, port=port, keep_alive=keep_alive, max_body=max_body)
        check_options(control=control, keep=keep)
        if providers is not None and not DIALECTS[dialect].has_providers:
            raise ValueError(f"providers are those of a g4f server, not of dialect={dialect!r}")
        self.url = self.origin = ""
        self.record = Record(self._tell, most=keep)
        options = Options(
            dialect=DIALECTS[dialect],
            memory=memory or DIALECTS[dialect].memory,
            providers=Providers(() if providers is None else providers),
            models=tuple(models),
            api_key=api_key,
            strict=strict,
            host=host,
            max_body=max_body,
            control=control,
        )
        self._service = Service(script, options, self.record)
        self._path = DIALECTS[dialect].base_path
        self._check = check
        self._address = (host, port)
        self._keep_alive = keep_alive
        self._news = asyncio.Event()
        self._web: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._thread: LoopThread | None = None

    # ---- what was seen

    @property
    def requests(self) -> list[Request]:
        """The chat requests, in order of arrival."""
        return self.record.requests

    @property
    def unexpected(self) -> list[str]:
        """What the script had no answer for, and requests to wrong URLs."""
        return self.record.unexpected

    @property
    def connections(self) -> int:
        """How many TCP connections were accepted."""
        return self.record.connections

    @property
    def disconnects(self) -> int:
        """How many clients left before their answer had ended."""
        return sum(request.left is not None for request in self.requests)

    def until(self, condition: Callable[[], object], *, within: float = 2.0) -> Awaitable[None]:
        """Waits until ``condition()`` is true; it is asked whenever something has happened.

        Under ``async with`` it must be awaited; under ``with`` it blocks. Raises TimeoutError
        after ``within`` seconds, RuntimeError where the server does not run and it is not true.
        """
        check_seconds("within", within)
        if self._listener is None:
            if not condition():
                raise RuntimeError("this FakeServer does not run: there is nothing to wait for")
            return Done()
        waiting = self._until(condition, within)
        if self._thread is None:
            return waiting
        self._thread.call(waiting)
        return Done()

    async def _until(self, condition: Callable[[], object], within: float) -> None:
        deadline = time.monotonic() + within
        while not condition():
            self._news.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._news.wait()
            except TimeoutError:
                if condition():
                    return
                raise TimeoutError(f"not within {within:g} s; {self._seen()}") from None

    def _seen(self) -> str:
        running = sum(one.ended is None and one.left is None for one in self.requests)
        seen = f"{len(self.requests)} requests ({running} of them not yet answered)"
        wrong = "".join(f"; unexpected: {one}" for one in self.unexpected[-3:])
        return f"the server saw {seen}, {self.disconnects} disconnects{wrong}"

    def all_used(self) -> Literal[True]:
        """True where every answer of the script was given as often as it says.

        Raises ScriptError (an AssertionError) with those that were not. A function has no
        answers to use up.
        """
        answers = self._service.answers
        if answers is not None and (unused := answers.unused()):
            raise ScriptError(f"not used: {', '.join(unused)}; {len(self.requests)} requests came")
        return True

    # ---- what is answered from now on

    def script(self, script: Script | None) -> None:
        """Answers by this script from its beginning; what was seen stays."""
        self._service.script(script)

    def forget(self) -> None:
        """Forgets every conversation, as a server does that is started again."""
        self._service.memory.forget()

    def reset(self) -> None:
        """Begins the script again, and forgets requests and conversations.

        It raises what the end of the block would raise, so that a server which serves many tests
        fails the right one.
        """
        wrong = self._wrong()
        self._service.reset()
        if wrong is not None:
            raise wrong

    # ---- start and stop

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()
        self._judge(error)

    def __enter__(self) -> Self:
        if self._listener is not None:
            raise RuntimeError("this FakeServer is running already")
        thread = LoopThread()
        try:
            thread.call(self._start())
        except BaseException:
            thread.stop(self._stop())
            raise
        self._thread = thread
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        thread.stop(self._stop())
        self._judge(error)

    async def _start(self) -> None:
        if self._listener is not None:
            raise RuntimeError("this FakeServer is running already")
        self._news = asyncio.Event()  # one that belongs to this loop
        self._web = Connections(self._service, self._listens, self._keep_alive)
        host, port = self._address
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._web, host, port, backlog=_BACKLOG)
        port = self._listener.sockets[0].getsockname()[1]
        try:
            if self._service.recorder is not None:
                await self._service.recorder.start(port)
        except BaseException:
            await self._stop()
            raise
        self.origin = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self.url = self.origin + self._path

    async def _stop(self) -> None:
        if self._listener is None or self._web is None:
            return
        listener, self._listener = self._listener, None
        await stop_accepting(listener)
        self._web.pre_shutdown()
        for connection in self._web.connections:
            if connection.transport is not None:
                connection.transport.abort()
        # A script function may have something to tidy up, even one whose client left before.
        await self._web.shutdown(timeout=2.0)
        if self._service.recorder is not None:
            await self._service.recorder.stop()
        for _ in range(3):  # connections that never sent a request end in the loop's next rounds
            await asyncio.sleep(0)

    def _wrong(self) -> BaseException | None:
        """What went wrong in the server, which a client may have taken for an answer."""
        if not self._check:
            return None
        if not self.record.failures:
            return ScriptError("\n".join(self.unexpected)) if self.unexpected else None
        wrong, *others = self.record.failures
        for other in others:
            wrong.add_note(f"the script then raised {type(other).__name__}: {other}")
        return wrong

    def _judge(self, error: BaseException | None) -> None:
        """Raises what went wrong, if anything did."""
        wrong = self._wrong()
        if wrong is None:
            return
        if error is not None and not isinstance(error, Exception):
            error.add_note(f"the fake server: {type(wrong).__name__}: {wrong}")
            return
        raise wrong

    def _listens(self) -> bool:
        return self._listener is not None

    def _tell(self) -> None:
        self._news.set()
