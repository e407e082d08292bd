"""A request out, an open body in: sending, redirects, statuses, retries."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import ssl as tls
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import lru_cache, partial

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from ..errors import (
    ConnectTimeoutError,
    CopilotError,
    DisconnectedError,
    Hint,
)
from ..wire.g4f import acts_as, unknown_provider
from .body import Body
from .clocks import Timeouts, Watchdog
from .connections import Delivery
from .doubles import own_headers
from .error_body import read_status_error
from .failures import translate
from .gate import Gate
from .headers import Headers
from .interruptible import Interruptible
from .masking import Mask, revealed
from .near_names import LISTING, near_provider
from .outgoing import Outgoing
from .proxy_failures import from_socks, in_tunnel, socks_failed
from .redirects import MAX_REDIRECTS, headers_for_strangers, target_of, too_many
from .retries import may_retry, retry_pause
from .statuses import is_answer
from .urls import host_and_port, place

__all__ = ["TLS", "Exchange", "Replaced"]

log = logging.getLogger("async_copilot")

READ_BUFFER = 64 * 1024  # bytes; aiohttp holds up to twice this of a stream nobody reads
HEADER_BYTES = 128 * 1024  # a header; aiohttp's 8,190 are less than some content policies
HEADERS = 1000  # aiohttp's 128 are fewer than a chain of gateways adds

TLS = bool | tls.SSLContext | aiohttp.Fingerprint

# What aiohttp raises: for a request that cannot be sent, too.
_THEIRS = (aiohttp.ClientError, OSError, RuntimeError, ValueError, AssertionError)
_BEGIN_WITH_HTTP = "; if it is an http server, begin its URL with http://"

Replaced = Callable[[CopilotError], None]
"""Called for each pooled connection that could not be used and was replaced."""


def _nobody(_: CopilotError) -> None:
    """Do nothing: there is no observer."""


class Exchange:
    """One request to a server: sent once by each open(), with what its attempts share.

    body: of a POST; empty for a GET.
    number: of the request, for the log.
    in_conversation: the request goes on with a conversation at its server. A plain 500 is
        not asked again then: the message may be in the conversation already, and would be
        in it twice (g4f's Copilot types it into the user's account).
    """

    __slots__ = (
        "_aborted",
        "_body",
        "_clock",
        "_delivery",
        "_gate",
        "_headers",
        "_in_conversation",
        "_max_retries",
        "_number",
        "_proxy",
        "_session",
        "_spent",
        "_ssl",
        "_timeouts",
        "_url",
        "_woken",
    )

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: URL,
        body: bytes,
        *,
        headers: Headers,
        timeouts: Timeouts,
        max_retries: int,
        proxy: URL | None = None,
        ssl: TLS = True,
        gate: Gate | None = None,
        in_conversation: bool = False,
        number: int = 0,
    ) -> None:
        self._session = session
        self._url = url
        self._body = body
        self._headers = headers
        self._timeouts = timeouts
        self._max_retries = max_retries
        self._proxy = proxy
        self._ssl = ssl
        # A caller that retries nothing has a policy of its own, such as another server.
        self._gate = gate if max_retries else None
        self._in_conversation = in_conversation
        self._number = number
        self._spent = 0.0  # seconds of Timeouts.total
        self._clock: Watchdog | None = None  # of the last wait for the server, or the gate
        self._delivery: Delivery | None = None  # of the last request, until it is answered
        self._aborted: CopilotError | None = None
        self._woken: asyncio.Event | None = None  # ends the pause under way

    async def open(self, replaced: Replaced = _nobody) -> Body:
        """Send the request, follow where it leads, return the body of the answer.

        Sent at once on another connection if a pooled one could not be used: the server had
        closed it, before any byte of an answer, or it held bytes that no request asked for.
        Each such attempt takes one out of the pool, so this comes to an end.
        Raises the error of the request. Cancelling closes the connection.
        """
        gate = self._gate
        while True:
            if self._aborted is not None:
                raise self._aborted
            self._delivery = None
            if gate is not None and not gate.is_open():
                await self._queue(gate)
            sent = 0.0 if gate is None else gate.sent()
            try:
                return await self._send()
            except CopilotError as error:
                if gate is not None:
                    gate.failed(sent, error)
                if self._aborted is not None or not self._stale(error):
                    raise
                log.info(
                    "request %d: a pooled connection to %s was stale, another one is used",
                    self._number,
                    self._place,
                )
                replaced(error)

    async def _queue(self, gate: Gate) -> None:
        """Wait until the gate lets this request through."""
        clock = Watchdog(replace(self._timeouts, silence=None, stall=None), spent=self._spent)
        self._clock = clock
        try:
            await gate.wait(clock)
        finally:
            self._spent = clock.spent
        if self._aborted is not None:  # when the gate had let it through already
            raise self._aborted

    def _stale(self, error: CopilotError) -> bool:
        """True where the connection, not the server, is what failed."""
        delivery = self._delivery
        if delivery is None or delivery.dropped:
            return delivery is not None
        return delivery.fresh and isinstance(error, DisconnectedError)

    @property
    def _place(self) -> str:
        return place(self._url)

    def pause(self, failure: CopilotError, retries: int) -> float | None:
        """Return the seconds before another attempt, or None for no other attempt."""
        if self._clock is not None:  # which went on in the body
            self._spent = self._clock.spent
        if not may_retry(failure) or retries >= self._max_retries:
            return None
        plain = acts_as(failure.type, failure.status) == 500 and failure.retry_after is None
        if self._in_conversation and plain:
            return None
        pause = retry_pause(failure, retries)
        ends = [end for end in (self._timeouts.total, self._timeouts.first_text) if end is not None]
        if pause is None or self._spent + pause >= min(ends, default=math.inf):
            return None
        # Not the failure's words: a server may quote the prompt in them.
        kind = type(failure).__name__
        status = "" if failure.status is None else f" (HTTP {failure.status})"
        log.info(
            "request %d: retry %d of %d in %.2f s, after a %s%s",
            self._number,
            retries + 1,
            self._max_retries,
            pause,
            kind,
            status,
        )
        return pause

    async def wait(self, seconds: float) -> None:
        """Wait before another attempt. Raises what abort() was given meanwhile."""
        self._spent += seconds
        self._woken = asyncio.Event()
        if self._aborted is not None:
            self._woken.set()
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), seconds)
        finally:
            self._woken = None
        if self._aborted is not None:
            raise self._aborted

    def abort(self, error: CopilotError) -> None:
        """End the present wait, or the next one, with error."""
        self._aborted = error
        if self._woken is not None:
            self._woken.set()
        elif self._clock is not None:
            self._clock.end(error)

    def let_go(self) -> None:
        """Keep no body: the request is not sent again."""
        self._body = b""

    def mask(self, error: CopilotError) -> None:
        """Mask the request's secrets in what an error says."""
        self._mask().error(error)

    def _mask(self) -> Mask:
        urls = [self._url] if self._proxy is None else [self._url, self._proxy]
        return Mask(self._headers, own_headers(self._session), urls=urls)

    async def _send(self) -> Body:
        self._clock = clock = Watchdog(self._timeouts, spent=self._spent)
        try:
            response = await self._follow(clock)
            if log.isEnabledFor(logging.DEBUG):
                self._log_status(response.status, clock.spent - self._spent)
            if is_answer(response.status):
                self._delivery = None
                return Body(response, clock)
            failure = await read_status_error(response, clock, self._mask(), proxy=self._proxy)
            if self._body and (wanted := unknown_provider(failure.message)):
                failure.hint = await self._near(wanted) or failure.hint
            raise failure
        except BaseException:
            clock.cancel()
            raise
        finally:
            self._spent = clock.spent

    def _log_status(self, status: int, seconds: float) -> None:
        log.debug(
            "request %d: status %d after %.3f s, on a %s connection",
            self._number,
            status,
            seconds,
            "used" if self._delivery and self._delivery.reused else "new",
        )

    async def _near(self, wanted: str) -> Hint | None:
        """Return the provider that was probably meant, from the server's list."""
        listing = Exchange(
            self._session,
            self._url.parent.parent / "providers",
            b"",
            headers=self._headers,
            timeouts=LISTING,
            max_retries=0,
            proxy=self._proxy,
            ssl=self._ssl,
        )
        return await near_provider(listing.open, wanted)

    async def _follow(self, clock: Watchdog) -> aiohttp.ClientResponse:
        """Post, and post again where 307 or 308 lead."""
        url, headers = self._url, self._headers
        for _ in range(MAX_REDIRECTS):
            response = await self._post(url, headers, clock)
            redirects = response.status in (301, 302, 303, 307, 308)
            location = response.headers.get("Location") if redirects else None
            if location is None:
                return response
            response.close()
            target = target_of(url, location, response.status if self._body else 307)
            if target.origin() != url.origin():
                own = own_headers(self._session)
                headers = headers_for_strangers(headers, self._url, target, own=bool(own))
            url = target
        raise too_many(self._url, url)

    async def _post(self, url: URL, headers: Headers, clock: Watchdog) -> aiohttp.ClientResponse:
        """Send the request once; return the response when its headers are here."""
        now = asyncio.get_running_loop().time
        failure: CopilotError
        cause: Exception | None
        self._delivery = delivery = Delivery(self._session)
        wait = Interruptible()
        clock.expire = wait.end
        try:
            with wait:
                connect, queues = self._timeouts.connect, self._queues
                limit = None if queues else connect
                clock.connect(now(), limit, partial(self._no_connection, url))
                only = _only_connect(connect if queues else None)
                try:
                    response = await self._request(url, headers, delivery, clock, only)
                    delivery.answered(response)
                finally:
                    clock.stop(now())
                    delivery.over()
            if not delivery.took_another(response):
                return response
            response.close()
            cause = None
            failure = DisconnectedError(f"{place(url)} sent bytes that no request asked for")
        except TimeoutError as error:
            failure, cause = wait.error or clock.error(), error
        except RecursionError:
            raise  # of the caller's deep stack; the connection has nothing to do with it
        except _THEIRS as error:
            failure, cause = translate(error, url), error
        except Exception as error:
            if not from_socks(error):
                raise  # of a middleware of the caller's
            failure, cause = socks_failed(error, place(url)), error
        if self._proxy is not None and url.scheme == "https" and not delivery.begun:
            failure = in_tunnel(failure, self._proxy, url)
        if isinstance(cause, aiohttp.ClientResponseError):
            cause = None  # its repr shows the request's headers
        raise failure from cause

    def _request(
        self,
        url: URL,
        headers: Headers,
        delivery: Delivery,
        clock: Watchdog,
        timeout: aiohttp.ClientTimeout,
    ) -> Awaitable[aiohttp.ClientResponse]:
        # By these names, since a double in the session's place has them too.
        send = self._session.post if self._body else self._session.get
        return send(
            url,
            data=Outgoing(self._body, partial(self._sending, delivery, clock)),
            headers=revealed(headers),
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=True,
            read_bufsize=READ_BUFFER,
            timeout=timeout,
            proxy=self._proxy,
            ssl=self._ssl,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS,
        )

    def _sending(self, delivery: Delivery, clock: Watchdog, writer: AbstractStreamWriter) -> None:
        """The request goes out: from here on the server is what we wait for."""
        now = asyncio.get_running_loop().time()
        delivery.begin(writer, now)
        clock.send(now)

    def _no_connection(self, url: URL) -> ConnectTimeoutError:
        seconds = self._timeouts.connect
        way = "" if self._proxy is None else f" through the proxy {host_and_port(self._proxy)}"
        plain = "" if url.scheme == "http" else _BEGIN_WITH_HTTP
        return ConnectTimeoutError(
            f"no connection to {place(url)}{way} within {seconds:g} s",
            hint=Hint(f"if it needs longer, raise {{option}}{plain}", "Timeouts(connect=...)"),
            seconds=seconds,
        )

    @property
    def _queues(self) -> bool:
        """True for a session with a limit of connections, which may hold a request back.

        Then only aiohttp's own timeout of connecting can be used; it leaves out the DNS lookup.
        """
        connector = getattr(self._session, "connector", None)
        return connector is None or bool(connector.limit or connector.limit_per_host)


@lru_cache(maxsize=16)
def _only_connect(seconds: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=seconds)
