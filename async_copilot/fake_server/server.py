"""The fake server itself: requests in, scripted answers out, and a record of both."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import inspect
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, get_args

import orjson
from aiohttp import web

from .demo import demo
from .memory import Memory, MemoryKind
from .openai import Envelope, envelope_of
from .plan import DIALECTS, DialectName, plan
from .playback import Playback
from .providers import FakeProvider, Providers, Route, provider_page
from .request import Request, problem_of, read_request
from .script import FakeAnswer, Script, answers_of, as_answer

__all__ = ["FakeServer"]

_CHAT = re.compile(r"(?:/v1|/api/[^/]+(?:/[^/]+)?)?/chat/completions/?")
_MODELS = re.compile(r"(?:/v1)?/models/?")
_LOG = logging.getLogger("async_copilot.fake_server")


class FakeServer:
    """A chat server that answers by its script; ``async with`` starts and stops it.

    script:     see ``script``; None is the built-in demo.
    dialect:    whose wire form: "g4f" (8.8.6), "g4f-8.1.7", "g4f-0.4.9.0", "openai",
                "litellm" or "llama".
    memory:     how a conversation goes on ("echo", "crosstalk", "id", "messages",
                "none"); None: as the dialect's server does.
    providers:  those behind a g4f server, as ``FakeProvider``; the first is asked where a request
                names none, another name is a 404. None: any name is a provider like Copilot.
    api_key:    the key a request must bring; None takes every request.
    host, port: where to listen; port 0 is a free one.
    keep_alive: seconds an idle connection stays open.

    url:         the base URL, ending in /v1; "" until started.
    requests:    the chat requests, in order of arrival, as ``Request``.
    connections: how many TCP connections were accepted.

    Leaving ``async with`` cuts every open stream and leaves no task and no socket.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        dialect: DialectName = "g4f",
        memory: MemoryKind | None = None,
        providers: Sequence[FakeProvider] | None = None,
        api_key: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        keep_alive: float = 5.0,
    ) -> None:
        if dialect not in DIALECTS:
            raise ValueError(f"dialect={dialect!r}: one of {', '.join(DIALECTS)}")
        if memory is not None and memory not in get_args(MemoryKind):
            raise ValueError(f"memory={memory!r}: one of {', '.join(get_args(MemoryKind))}")
        self.url = ""
        self.requests: list[Request] = []
        self.connections = 0
        script = demo if script is None else script
        self._answers = None if callable(script) else answers_of(script)
        self._function = script if callable(script) else demo
        self._dialect = DIALECTS[dialect]
        if providers is not None and not dialect.startswith("g4f"):
            raise ValueError(f"providers are those of a g4f server, not of dialect={dialect!r}")
        self._memory = Memory(memory or self._dialect.memory)
        self._providers = Providers(providers or ())
        self._lists_providers = dialect.startswith("g4f")
        self._api_key = api_key
        self._address = (host, port)
        self._keep_alive = keep_alive
        self._numbers: dict[object, int] = {}
        self._news = asyncio.Event()
        self._web: web.Server | None = None
        self._listener: asyncio.Server | None = None

    @property
    def disconnects(self) -> int:
        """How many clients left before their answer had ended."""
        return sum(request.left is not None for request in self.requests)

    async def until(self, condition: Callable[[], object], *, within: float = 2.0) -> None:
        """Waits until ``condition()`` is true; it is asked whenever something has happened.

        Raises TimeoutError after ``within`` seconds.
        """
        deadline = time.monotonic() + within
        while not condition():
            self._news.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._news.wait()
            except TimeoutError:
                if condition():
                    return
                seen = f"{len(self.requests)} requests, {self.disconnects} disconnects"
                raise TimeoutError(f"not within {within:g} s; the server saw {seen}") from None

    def forget(self) -> None:
        """Forgets every conversation, as a server does that is started again."""
        self._memory.forget()

    # ---- start and stop

    async def __aenter__(self) -> Self:
        if self._listener is not None:
            raise RuntimeError("this FakeServer is running already")
        self._news = asyncio.Event()  # one that belongs to this loop
        self._web = _Connections(self)
        host, port = self._address
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._web, host, port)
        port = self._listener.sockets[0].getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._listener is None or self._web is None:
            return
        listener, self._listener = self._listener, None
        await _stop_accepting(listener)
        self._web.pre_shutdown()
        for connection in self._web.connections:
            if connection.transport is not None:
                connection.transport.abort()
        # A script function may have something to tidy up, even one whose client left before.
        await self._web.shutdown(timeout=2.0)
        for _ in range(3):  # connections that never sent a request end in the loop's next rounds
            await asyncio.sleep(0)

    # ---- one request

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        if http.headers.get("Expect", "").lower() == "100-continue" and http.transport:
            http.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        raw = await http.content.read()  # not http.read(), which has a limit
        if http.method == "POST" and _CHAT.fullmatch(http.path):
            return await self._chat(http, raw)
        if http.method in ("GET", "HEAD") and self._lists_providers:
            listed = provider_page(http.path, self._providers)
            if listed is not None:
                return _json(200, orjson.dumps(listed))
        return _elsewhere(http.method, http.path)

    async def _chat(self, http: web.BaseRequest, raw: bytes) -> web.StreamResponse:
        started = time.monotonic()
        request = read_request(http.path, http.headers, raw)
        request.connection = self._numbers.get(http.protocol, 0)
        self.requests.append(request)
        self._news.set()
        try:
            response = await self._answer(http, request)
        except (asyncio.CancelledError, ConnectionError):
            if self._listener is not None and not request.dropped:
                request.left = time.monotonic() - started
            raise asyncio.CancelledError from None
        finally:
            if request.left is None:
                request.ended = time.monotonic() - started
            self._news.set()
        return response

    async def _answer(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        route = self._providers.route(request.provider)
        turn = self._memory.turn(request, route or Route(FakeProvider("Copilot", memory="none")))
        request.known = turn.known
        envelope = envelope_of(request, turn)
        answer = self._refused(request, envelope)
        if answer is None and route is None:
            body = self._dialect.no_provider(request.provider or "", envelope)
            answer = FakeAnswer(status=404, headers=_JSON, body=body)
        if answer is None and turn.failure:
            answer = self._dialect.failure(turn.failure, envelope, stream=request.stream)
        if answer is None:
            answer = await self._pick(request)
            if answer.status == 200 and answer.body is None:
                self._memory.keep(turn, request)
            if answer.conversation is not None:
                envelope = replace(envelope, conversation=answer.conversation)
        playback = Playback(http, request, self._news.set)
        await playback.run(plan(answer, self._dialect, envelope, stream=request.stream))
        return await playback.finish(close=self._dialect.closes and request.stream)

    def _refused(self, request: Request, envelope: Envelope) -> FakeAnswer | None:
        """The answer to a request that brings no key, or no chat."""
        if not self._authorized(request):
            status, headers, body = self._dialect.unauthorized(envelope)
            return FakeAnswer(status=status, headers=headers | _JSON, body=body)
        if problem := problem_of(request):
            status, body = self._dialect.refused(problem, envelope)
            return FakeAnswer(status=status, headers=_JSON, body=body)
        return None

    def _authorized(self, request: Request) -> bool:
        if self._api_key is None:
            return True
        given = (request.headers.get(name, "") for name in self._dialect.key_headers)
        keys = [key.removeprefix("Bearer ").encode(errors="surrogateescape") for key in given]
        return any(hmac.compare_digest(key, self._api_key.encode()) for key in keys)

    async def _pick(self, request: Request) -> FakeAnswer:
        """The script's answer to this request."""
        if self._answers is not None:
            return next(self._answers)
        try:
            said = self._function(request)
            return as_answer(await said if inspect.isawaitable(said) else said)
        except Exception as error:  # noqa: BLE001  # whatever a test's function raises
            _LOG.exception("the script function failed")
            text = f"the script function raised {type(error).__name__}: {error}"
            return FakeAnswer(status=500, error=text)


class _Connections(web.Server):
    """aiohttp's server, telling the FakeServer of each connection."""

    def __init__(self, owner: FakeServer) -> None:
        super().__init__(
            owner._handle,
            handler_cancellation=True,  # a client that leaves is noticed in mid-pause
            keepalive_timeout=owner._keep_alive,
            access_log=None,
        )
        self._owner = owner

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        self._owner.connections += 1
        self._owner._numbers[handler] = self._owner.connections
        self._owner._news.set()
        super().connection_made(handler, transport)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        self._owner._numbers.pop(handler, None)
        super().connection_lost(handler, exc)


_JSON = {"Content-Type": "application/json"}


def _elsewhere(method: str, path: str) -> web.Response:
    """Everything but a chat request."""
    if _MODELS.fullmatch(path) and method in ("GET", "HEAD"):
        models = [{"id": "default", "object": "model", "created": 0, "owned_by": "fake"}]
        return _json(200, orjson.dumps({"object": "list", "data": models}))
    if _CHAT.fullmatch(path):
        return _json(405, b'{"detail":"Method Not Allowed"}', Allow="POST")
    return _json(404, b'{"detail":"Not Found"}')


def _json(status: int, body: bytes, **headers: str) -> web.Response:
    return web.Response(status=status, body=body, headers=_JSON | headers)


async def _stop_accepting(listener: asyncio.Server) -> None:
    """Close the listener, when what it accepted last has become a connection.

    That takes asyncio a few rounds of its loop, in which a listener that is closed already
    makes it lose the socket.
    """
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, RuntimeError):  # a loop without selectors
        for sock in listener.sockets:
            loop.remove_reader(sock.fileno())
    for _ in range(3):
        await asyncio.sleep(0)
    listener.close()
