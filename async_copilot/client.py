"""A session in, replies out: ``CopilotClient``."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Never, NoReturn, Self

import aiohttp
from yarl import URL

from .conversation import Conversation
from .errors import ClientClosedError
from .models import Model, Provider, fetch_list, list_url, read_models, read_providers
from .observer import Observer
from .options import (
    UNSET,
    Defaults,
    Memory,
    Unset,
    check_call,
    check_messages,
    check_options,
    refuse_options,
    request_fields,
)
from .reading import Reading, Settle
from .reply import Reply, StreamedReply
from .transport.bound_session import BoundSession
from .transport.clocks import Timeouts
from .transport.exchange import TLS, Exchange
from .transport.gate import Gate
from .transport.headers import authorization, merged_headers
from .transport.urls import DEFAULT_BASE_URL, Address, completions_url, place
from .version import __version__
from .wire.asked import request_info
from .wire.history import Message
from .wire.request import Messages, request_body, request_messages
from .wire.sse import MAX_EVENT_BYTES
from .wire.unshared import unshared as apart

__all__ = ["DEFAULT_BASE_URL", "CopilotClient"]

USER_AGENT = (
    f"async_copilot/{__version__} aiohttp/{aiohttp.__version__} Python/{platform.python_version()}"
)
_HEADERS = {
    "Accept": "text/event-stream, application/json",
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",  # compressing proxies hold streams back
    "User-Agent": USER_AGENT,
}


class CopilotClient:
    """A client of one chat-completions server.

    Make it anywhere, use it in one event loop; close it with ``async with`` or
    ``aclose()``; both may be repeated.

    base_url: up to and including ``/v1``; a query (Azure's ``api-version``) is kept, and
        the full address of ``chat/completions`` is accepted too.
    api_key: sent as ``Authorization: Bearer``; never shown, never sent to another origin.
    model, provider, memory: the defaults for calls and conversations. model: "" lets a g4f
        server choose. provider: g4f's, "Copilot" by default; None sends none, which is the
        default with memory="client", since other servers may refuse a field they do
        not know. memory: see Conversation. So a client of any other server is
        ``CopilotClient(base_url=..., model="llama3", memory="client")``.
    session: an aiohttp.ClientSession of yours, never closed or changed. Its headers,
        proxy, TLS, middlewares and pool are used; its timeouts and ``raise_for_status``
        are not, since they would end streams. (A connection that a stream came over
        goes on receiving into smaller buffers, see ``connections.receive_less()``.)
    timeouts: see Timeouts.
    max_retries: how often a request is sent again, 2 by default: while no text was handed
        out, after a refused or lost connection or status 408, 409, 429, 500, 502, 503,
        504, 520 to 524, 529 or 530, unless the server says otherwise (``x-should-retry``).
        0 turns this off. (A pooled connection that the server had closed is not counted:
        the request goes out on another one at once, see ``Timing.replaced``.) Once a server
        has said 429 or 503 with a time, no request of this client goes out before it, and
        those that wait then leave one by one, at a pace the server bears, until nothing is
        refused. With 0 there is no such wait: a refusal is raised at once.
    max_event_bytes: bound of one event; more raises EventTooLargeError.
    strict: False accepts a cut-off answer, and skips and counts lines that are not JSON.
    headers: sent with each request.
    max_connections: open at once, 0 for no limit (the default: aiohttp's 100 makes the
        101st stream wait for another to end). Not with a session of yours.
    observer: an Observer, told of every reply's start, retries, first text and end.
    ssl: what aiohttp takes: an ssl.SSLContext (a private authority, a certificate of this
        client), an aiohttp.Fingerprint, or False to check no certificate. True, the
        default, checks with the authorities of the machine, or those of SSL_CERT_FILE.

    Raises InvalidRequestError for options that cannot work, and for those of other libraries
    (``timeout``, ``default_headers``, ``verify``), with the right spelling. The
    environment's proxies (``http_proxy``, ``https_proxy``, ``all_proxy``, ``no_proxy``) are
    used, but not for loopback addresses; ``~/.netrc`` is not read. A session of yours decides
    for itself.
    Connections of a session of its own are probed in long silences (TCP keep-alive), so
    that no router forgets them.
    """

    def __init__(
        self,
        *,
        base_url: str = DEFAULT_BASE_URL,
        api_key: str | None = None,
        model: str | None = "",
        provider: str | Unset | None = UNSET,
        memory: Memory = "server",
        session: aiohttp.ClientSession | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  # immutable
        max_retries: int = 2,
        max_event_bytes: int = MAX_EVENT_BYTES,
        strict: bool = True,
        headers: Mapping[str, str] | None = None,
        max_connections: int = 0,
        observer: Observer | None = None,
        ssl: TLS = True,
        **others: Never,
    ) -> None:
        refuse_options(others)
        check_options(
            api_key=api_key,
            model=model,
            provider=provider,
            memory=memory,
            session=session,
            timeouts=timeouts,
            max_retries=max_retries,
            max_event_bytes=max_event_bytes,
            strict=strict,
            headers=headers,
            max_connections=max_connections,
            observer=observer,
            ssl=ssl,
        )
        self.defaults = Defaults(model, provider, memory)
        url = completions_url(base_url)
        keyed = merged_headers(_HEADERS, authorization(api_key, url))
        self._headers = merged_headers(keyed, headers)
        self._address = Address(url.with_user(None))
        self._place = place(url)
        self._ssl = ssl
        self._gate = Gate()
        self._session = BoundSession(
            session, url=self._address.url, max_connections=max_connections
        )
        self._timeouts = timeouts
        self._max_retries = max_retries
        self._max_event_bytes = max_event_bytes
        self._strict = strict
        self._observer = observer
        self._under_way: set[Reading] = set()

    def stream(
        self,
        messages: Messages,
        *,
        model: str | Unset | None = UNSET,
        provider: str | Unset | None = UNSET,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_retries: int | None = None,
        strict: bool | None = None,
        observer: Observer | None = None,
        settle: Settle | None = None,
        unshared: bool = True,
        split_think: bool = False,
        extra: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> AbstractAsyncContextManager[Reply]:
        """Send messages; ``async with`` gives the Reply as soon as its headers are here.

        messages: a str (one user message), a message, or the whole list, in the wire's
            own form (``{"role": "user", "content": …}``, see chat.py and parts.py).
        model, provider: in place of the client's; None sends none.
        headers: for this request, over the client's own.
        timeouts, max_retries, strict, observer: for this request, instead of the client's.
        settle: called once with the reply and its failure, or None, when the reply is over
            and before the observer is told: what it adds to the reply is there then.
        unshared: several messages for a provider of g4f's go out after a system message of
            their own, so that g4f 8.x, which shares its cache of conversations between
            clients that begin alike, never answers from another client's. False turns it off.
        split_think: True reads ``<think>…</think>`` at an answer's start as reasoning, which
            some servers leave in the text. The tags belong to neither. A tag that is not
            closed is text.
        fields: every other field of the request as it is: ``temperature=0.2``,
            ``tools=[...]``, ``stream_options={"include_usage": True}``. A field that is
            None is not sent. ``stream=False`` asks for the answer in one piece, which comes
            as one delta. Names that mean an option, here or in other libraries
            (``timeout``, ``system``, ``extra_headers``), are refused.
            ``response_format`` may be a class, a TypeAdapter or a JSON schema, see
            ``Reply.parsed``.
        extra: fields of any name, such as g4f's own ``{"timeout": 60}``.

        Raises UsageError at once; ConnectionFailedError, ClockError, HTTPStatusError,
        RedirectError on entering, which may be done once. Leaving the block closes the
        connection, unless the reply was read to its end: then it is used again.
        """
        check_call(
            {
                "model": model,
                "provider": provider,
                "headers": headers,
                "timeouts": timeouts,
                "max_retries": max_retries,
                "strict": strict,
                "observer": observer,
                "unshared": unshared,
                "split_think": split_think,
                "extra": extra,
                **fields,
            }
        )
        wanted = request_fields(self.defaults, model, provider, fields, extra)
        listed = request_messages(messages)
        check_messages(listed)
        if unshared and isinstance(wanted["provider"], str):  # OpenRouter's is an object
            listed = apart(listed)
        reply, body = self._asked(listed, wanted)
        exchange = self._exchange(
            self._address.url,
            body,
            headers=merged_headers(self._headers, headers) if headers else self._headers,
            timeouts=timeouts or self._timeouts,
            max_retries=self._max_retries if max_retries is None else max_retries,
            number=reply.request.number,
            in_conversation=wanted.get("conversation") is not None,
        )
        reading = Reading(
            exchange,
            reply,
            strict=self._strict if strict is None else strict,
            max_event_bytes=self._max_event_bytes,
            n=max(1, n) if type(n := wanted.get("n")) is int else 1,
            observer=observer or self._observer,
            settle=settle,
            split_think=split_think,
        )
        return StreamedReply(reply, reading, self._under_way)

    async def complete(self, messages: Messages, **options: Any) -> Reply:
        """Send messages and return the reply when it has ended; options as in stream()."""
        async with self.stream(messages, **options) as reply:
            async for _ in reply:
                pass
        return reply

    def conversation(
        self,
        *,
        memory: Memory | Unset = UNSET,
        system: str | None = None,
        **options: Any,
    ) -> Conversation:
        """Return a Conversation on this client; see there for the options."""
        return Conversation(self, memory=memory, system=system, **options)

    async def models(self, *, provider: str | None = None) -> list[Model]:
        """Return the server's models, as ``GET models`` lists them.

        provider: of a g4f server: return what this one offers, as ``/api/NAME/models`` does.

        Raises what stream() and entering it raise, NotFoundError among them, with the same
        clocks and retries; UnexpectedContentError where the answer is not a list.
        """
        names = ("models",) if provider is None else ("api", provider, "models")
        return read_models(await self._list(*names))

    async def providers(self) -> list[Provider]:
        """Return the providers of a g4f server; other servers have no such list (404)."""
        return read_providers(await self._list("providers"))

    async def _list(self, *names: str) -> list[dict[str, Any]]:
        url = list_url(self._address.url, *names)
        asked = request_info({}, server=place(url), size=0)
        exchange = self._exchange(
            url,
            b"",
            headers=self._headers,
            timeouts=self._timeouts,
            max_retries=self._max_retries,
            number=asked.number,
        )
        return await fetch_list(exchange, asked)

    async def aclose(self) -> None:
        """Close the client; replies under way end with ClientClosedError."""
        self._session.closed = True
        for reading in list(self._under_way):
            reading.abort(ClientClosedError("the client was closed while this reply streamed"))
        await self._session.aclose()

    async def __aenter__(self) -> Self:
        self._session.usable()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a CopilotClient cannot be pickled: it holds connections, and perhaps a key; "
            "make one in each process"
        )

    def __repr__(self) -> str:
        state = "closed" if self._session.closed else "open"
        return f"<CopilotClient {self._place} {state}>"

    def _asked(self, messages: list[Message], wanted: dict[str, Any]) -> tuple[Reply, bytes]:
        """Return the reply to a request with these fields, and the request's body."""
        response_format = wanted.get("response_format")
        reply = Reply(response_format=response_format)
        if response_format is not None:
            from .structured import wire_format  # noqa: PLC0415  # for those who use it

            wanted = {**wanted, "response_format": wire_format(response_format)}
        body = request_body(messages, **wanted)
        reply.request = request_info(wanted, server=self._place, size=len(body))
        return reply, body

    def _exchange(self, url: URL, body: bytes, **settings: Any) -> Exchange:
        session = self._session.usable()
        proxy, gate = self._session.proxy, self._gate
        return Exchange(session, url, body, proxy=proxy, ssl=self._ssl, gate=gate, **settings)
