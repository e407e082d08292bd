"""One request in, one answer out. I/O through aiohttp.web.

In: an HTTP request, and the script. Out: the response, and what the record says of it.
"""

from __future__ import annotations

import asyncio
import hmac
import inspect
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from aiohttp import web

from .answer import FakeAnswer
from .cassette import Cassette, Take, kind_of
from .catalogue import Catalogue
from .completions import Completions
from .control import control
from .demo import demo
from .envelope import Envelope, envelope_of
from .guard import refusal
from .json_text import to_json
from .memory import Memory, Turn
from .openai import OpenAI
from .options import Options
from .plan import plan
from .playback import Playback
from .providers import FakeProvider, Route
from .record import Record
from .recorder import Recorder
from .replay import replay
from .request import Request, problem_of, read_request
from .script import Answers, NoAnswerError, Planned, Script, answers_of, as_answer
from .strict import refusal_of

__all__ = ["Service"]

_LOG = logging.getLogger("async_copilot.fake_server")
_COMPLETIONS = re.compile(r"(?:/v1|/openai/v1|/openai/deployments/[^/]+)/completions/?")
_RESPONSES = re.compile(r"(?:/v1|/openai/v1|/openai|/api/[^/]+)?/responses(?:/.*)?")
_JSON = {"Content-Type": "application/json"}
# Where nothing has come for so long a client that sends its body in pieces is believed dead.
_BODY_SECONDS = 60.0


class _BodyError(Exception):
    """A body that is not taken: the status and why."""


class Service:
    """Answers requests by a script and keeps the record."""

    def __init__(self, script: Script | Recorder | None, options: Options, record: Record) -> None:
        self.record = record
        self.memory = Memory(options.memory, bounded=record.most is not None)
        self._options = options
        self._catalogue = Catalogue(options.models, options.providers, options.dialect)
        self._calls = 0
        self._begin(script)

    def script(self, script: Script | None) -> None:
        """From now on requests are answered by this script, from its beginning."""
        if isinstance(script, Recorder) or self.recorder is not None:
            raise TypeError("a Recorder is the script of its server from beginning to end")
        self._begin(script)

    def _begin(self, script: Script | Recorder | None) -> None:
        self.recorder = script if isinstance(script, Recorder) else None
        chosen: Any = demo if script is None or self.recorder else script
        if isinstance(chosen, type):
            raise TypeError(f"the script must be answers or a function, not the class {chosen!r}")
        if isinstance(chosen, Iterator):  # it is read once, and a reset begins again
            script = chosen = list(chosen)
        self.answers: Answers | None = None if callable(chosen) else answers_of(chosen)
        self._function: Callable[[Request], Any] = chosen if callable(chosen) else demo
        listed = chosen if isinstance(chosen, list | tuple) else [chosen]
        cassettes = [one for one in listed if isinstance(one, Cassette)]
        self._pages = {key: take for one in cassettes for key, take in one.pages.items()}
        self._taped = {kind_of(take.path) for one in cassettes for take in one.takes}
        self._script = script

    def reset(self) -> None:
        """The script begins again; requests and conversations are forgotten."""
        self._begin(self._script)
        self.memory.forget()
        self.record.clear()

    # ---- one request

    async def respond(
        self, http: web.BaseRequest, connection: int, listens: Callable[[], bool]
    ) -> web.StreamResponse:
        """The response to one request, sent; what it was goes to the log, its prompt does not."""
        started = time.monotonic()
        status, note = 0, ""
        try:
            response = await self._respond(http, connection, started, listens)
            status = response.status
        except asyncio.CancelledError:
            note = ", the client left" if listens() else ", cut"
            raise
        finally:
            took = time.monotonic() - started
            path = http.rel_url.raw_path  # as it came: decoded it may hold a terminal's controls
            _LOG.info("%s %s %s, %.3f s%s", http.method, path, status or "-", took, note)
        return response

    async def _respond(
        self,
        http: web.BaseRequest,
        connection: int,
        started: float,
        listens: Callable[[], bool],
    ) -> web.StreamResponse:
        if (refused := refusal(http.method, http.headers, self._options.host)) is not None:
            return self._unexpected(http, *refused)
        if http.headers.get("Expect", "").lower() == "100-continue" and http.transport:
            http.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            raw = await self._body(http)
        except _BodyError as error:
            response = self._unexpected(http, *error.args)
            response.force_close()
            return response
        if self._options.control and http.path.startswith("/_fake/"):
            return self._control(http, raw)
        dialect = self._chat_dialect(http.method, http.path, http.query_string)
        if dialect is None:
            return await self._page(http, raw)
        request = read_request(http.method, http.path, http.headers, raw)
        request.connection = connection
        self.record.add(request)
        try:
            return await self._chat(http, request, dialect)
        except (asyncio.CancelledError, ConnectionError):
            if listens() and not request.dropped:
                request.left = time.monotonic() - started
            raise asyncio.CancelledError from None
        except Exception as error:
            self.record.failed(error)  # aiohttp makes it a 500, which clients ask again
            raise
        finally:
            if request.left is None:
                request.ended = time.monotonic() - started
            self.record.news()

    async def _body(self, http: web.BaseRequest) -> bytes:
        """The whole body (not http.read(), which has a limit of its own)."""
        blocks: list[bytes] = []
        size, most = 0, self._options.max_body
        while not http.content.at_eof():
            try:
                async with asyncio.timeout(_BODY_SECONDS):
                    block = await http.content.readany()
            except TimeoutError:
                stopped = f"the body stopped after {size} bytes, for {_BODY_SECONDS:g} s"
                raise _BodyError(408, stopped) from None
            size += len(block)
            if size > most:
                raise _BodyError(413, f"the body is longer than {most} bytes: raise max_body")
            blocks.append(block)
        return b"".join(blocks)

    # ---- a chat

    def _chat_dialect(self, method: str, path: str, query: str) -> OpenAI | None:
        if method != "POST":
            return None
        if self._options.dialect.chat_path(path, query) or kind_of(path) in self._taped:
            return self._options.dialect
        return Completions() if _COMPLETIONS.fullmatch(path) else None

    async def _chat(
        self, http: web.BaseRequest, request: Request, dialect: OpenAI
    ) -> web.StreamResponse:
        routes = self._options.providers.routes(request.provider)
        turn = self.memory.first_turn(request, routes or [_NOBODYS])
        request.known = turn.known
        answer: Planned | None = self._barred(http, request, dialect, turn)
        if answer is None and self.recorder is not None:
            return await self.recorder.pass_on(http, request)
        # What a real server refused is on its cassette.
        if answer is None and kind_of(request.path) not in self._taped:
            answer = self._refused(request, dialect, turn, known=bool(routes))
        if answer is None:
            answer = await self._pick(request)
            if isinstance(answer, Take) or (answer.status == 200 and answer.body is None):
                self.memory.keep(turn, request)
        return await self._play(http, request, dialect, answer, turn)

    async def _play(
        self,
        http: web.BaseRequest,
        request: Request,
        dialect: OpenAI,
        answer: Planned,
        turn: Turn,
    ) -> web.StreamResponse:
        playback = Playback(http, request, self.record.news)
        if isinstance(answer, Take):
            await playback.run(replay(answer, dialect, envelope_of(request, turn)))
            return await playback.finish(close=False)
        envelope = envelope_of(request, turn, answer, self._calls + 1)
        self._calls += len(answer.tool_calls) * envelope.choices
        await playback.run(plan(answer, dialect, envelope, stream=request.stream))
        return await playback.finish(close=dialect.closes and request.stream)

    def _barred(
        self, http: web.BaseRequest, request: Request, dialect: OpenAI, turn: Turn
    ) -> FakeAnswer | None:
        """The answer to a request without the server's key."""
        if self._may_ask(http):
            return None
        status, headers, body = dialect.unauthorized(envelope_of(request, turn))
        return FakeAnswer(status=status, headers=headers | _JSON, body=body)

    def _refused(
        self, request: Request, dialect: OpenAI, turn: Turn, *, known: bool
    ) -> FakeAnswer | None:
        """The answer to what is not a chat request, or to a provider that cannot answer.

        known: whether there is a provider of the name that it asks for.
        """
        if problem := problem_of(request):
            status, body = dialect.refused(problem, envelope_of(request, turn))
            return FakeAnswer(status=status, headers=_JSON, body=body)
        if isinstance(dialect, Completions) and (lacks := dialect.lacks(request.body)):
            self.record.missed(f"{request.method} {request.path}: {lacks}")
            return FakeAnswer(status=400, error=lacks)
        refused = refusal_of(request.body) if self._options.strict and request.is_chat else None
        if refused is not None:
            return FakeAnswer(status=400, error=refused)
        if not known:
            body = dialect.no_provider(request.provider or "", envelope_of(request, turn))
            return FakeAnswer(status=404, headers=_JSON, body=body)
        if turn.failure:
            envelope = envelope_of(request, turn)
            return dialect.failure(turn.failure, envelope, stream=request.stream)
        return None

    def _may_ask(self, http: web.BaseRequest) -> bool:
        """Whether the request has the server's key, if it has one."""
        if self._options.api_key is None:
            return True
        given = (http.headers.get(name, "") for name in self._options.dialect.key_headers)
        keys = [key.removeprefix("Bearer ").encode(errors="surrogateescape") for key in given]
        return any(hmac.compare_digest(key, self._options.api_key.encode()) for key in keys)

    async def _pick(self, request: Request) -> Planned:
        """The script's answer; where it has none, or fails, a 410, which no client retries."""
        try:
            if self.answers is not None:
                return self.answers.pick(request)
            said = self._function(request)
            return as_answer(
                await said if inspect.isawaitable(said) else said, "what the function returned"
            )
        except NoAnswerError as error:
            self.record.missed(str(error))
            return FakeAnswer(status=410, error=str(error))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # a failed assertion, and pytest.fail and sys.exit too
            if isinstance(error, KeyboardInterrupt) and _in_main_thread():
                raise  # Ctrl-C, which comes there alone
            self.record.failed(error)
            text = f"the script function raised {type(error).__name__}: {error}"
            return FakeAnswer(status=410, error=text)

    # ---- everything but a chat

    def _control(self, http: web.BaseRequest, raw: bytes) -> web.Response:
        if not self._may_ask(http):
            return self._no_key()
        answered = control(self, http.method, http.path, raw)
        return _json(*(answered or (404, {"error": {"message": "not a page of /_fake"}})))

    async def _page(self, http: web.BaseRequest, raw: bytes) -> web.StreamResponse:
        method, path = http.method, http.path
        take = self._pages.get((method, path))
        page = self._catalogue.get(path) if method in ("GET", "HEAD") else None
        if method == "POST":
            page = self._catalogue.embeddings(path, _parsed(raw))
        known = page is not None or take is not None or self.recorder is not None
        if known and not self._may_ask(http):
            return self._no_key()
        if self.recorder is not None:
            request = read_request(method, path, http.headers, raw)
            return await self.recorder.pass_on(http, request)
        if take is not None:
            request = read_request(method, path, http.headers, raw)
            return await self._play(http, request, self._options.dialect, take, _NO_TURN)
        return self._wrong(http) if page is None else _json(*page)

    def _no_key(self) -> web.Response:
        status, headers, body = self._options.dialect.unauthorized(_NOBODY)
        return web.Response(status=status, body=body, headers=headers | _JSON)

    def _wrong(self, http: web.BaseRequest) -> web.Response:
        """A URL that this server does not have, in the dialect's words."""
        dialect, method, path = self._options.dialect, http.method, http.path
        if _RESPONSES.fullmatch(path):
            told = f"This fake server has no Responses API ({method} {path})"
            return self._unexpected(http, 404, f"{told}: use Chat Completions.")
        if dialect.chat_path(path, http.query_string):
            self.record.missed(f"{method} {path}: the method must be POST")
            body, headers = dialect.wrong_method(method, path), {"Allow": "POST"}
            return web.Response(status=405, body=body, headers=_JSON | headers)
        lacks_version = dialect.chat_path(path, "api-version=")
        why = "the URL needs an api-version" if lacks_version else "the server has no such URL"
        self.record.missed(f"{method} {path}: {why}")
        return web.Response(status=404, body=dialect.wrong_url(method, path), headers=_JSON)

    def _unexpected(self, http: web.BaseRequest, status: int, message: str) -> web.Response:
        self.record.missed(f"{http.method} {http.path}: {message}")
        body = self._options.dialect.plain_error(message, status)
        return web.Response(status=status, body=body, headers=_JSON)


_NOBODYS = Route(FakeProvider("Copilot", memory="none"))
_NO_TURN = Turn("Copilot", "")
_NOBODY = Envelope("chatcmpl-none", 0, "", None, None, include_usage=False, prompt_tokens=0)


def _json(status: int, value: Any) -> web.Response:
    return web.Response(status=status, body=to_json(value), headers=_JSON)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
