"""A request out, an open body in: sending, redirects, statuses, retries."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from yarl import URL

from ..errors import (
    ConnectTimeoutError,
    CopilotError,
    DisconnectedError,
    Hint,
    HTTPStatusError,
    RedirectError,
)
from .body import Body, receive_less, translate
from .clocks import Timeouts, Watchdog
from .masking import Mask
from .retries import may_retry, retry_pause
from .statuses import is_answer, status_error

__all__ = ["BorrowedResponse", "Exchange", "parse_url", "place"]

log = logging.getLogger("async_copilot")

READ_BUFFER = 64 * 1024  # bytes; aiohttp holds up to twice this of a stream nobody reads
ERROR_BODY_BYTES = 64 * 1024
ERROR_BODY_SECONDS = 5.0
MAX_REDIRECTS = 10
WRITE_BYTES = 256 * 1024  # of a request body at a time, so that a large one gives way


class Exchange:
    """One request to a server: sent once by each open(), with what its attempts share.

    body: of a POST; empty for a GET.
    seen: the connections that were used before, to know a stale one from a dead server.
    in_conversation: the request goes on with a conversation at its server. A plain 500 is
        not asked again then: the message may be in the conversation already, and would be
        in it twice (g4f's Copilot types it into the user's account).
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: URL,
        body: bytes,
        *,
        headers: Mapping[str, str],
        timeouts: Timeouts,
        max_retries: int,
        seen: WeakSet[Any],
        in_conversation: bool = False,
    ) -> None:
        self._session = session
        self._url = url
        self._body = body
        self._headers = headers
        self._timeouts = timeouts
        self._max_retries = max_retries
        self._seen = seen
        self._in_conversation = in_conversation
        self._spent = 0.0  # seconds of Timeouts.total
        self._stale = False  # the last request went out on a connection used before
        self._aborted: CopilotError | None = None
        self._wake: Callable[[CopilotError], object] = _nobody  # ends the wait under way

    async def open(self) -> Body:
        """Send the request, follow where it leads, return the body of the answer.

        Sent at once on another connection where a pooled one had been closed by the
        server; each such attempt takes one out of the pool, so this comes to an end.
        Raises what became of the request. Cancelling closes the connection.
        """
        while True:
            if self._aborted is not None:
                raise self._aborted
            try:
                return await self._send()
            except DisconnectedError as error:
                if not self._stale or self._aborted is not None:
                    raise
                log.debug("stale connection to %s, sending again: %s", place(self._url), error)

    def pause(self, failure: CopilotError, retries: int) -> float | None:
        """Return the seconds before another attempt; None where there is to be none."""
        if not may_retry(failure) or retries >= self._max_retries:
            return None
        if self._in_conversation and failure.status == 500 and failure.retry_after is None:
            return None
        pause = retry_pause(failure, retries)
        total = self._timeouts.total
        if pause is None or (total is not None and self._spent + pause >= total):
            return None
        log.info("retry %d of %d in %.2f s: %s", retries + 1, self._max_retries, pause, failure)
        return pause

    async def wait(self, seconds: float) -> None:
        """Wait before another attempt. Raises what abort() was given meanwhile."""
        self._spent += seconds
        woken = asyncio.Event()
        self._wake = lambda _: woken.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), seconds)
        self._wake = _nobody
        if self._aborted is not None:
            raise self._aborted

    def abort(self, error: CopilotError) -> None:
        """End with error whatever is waited for, now or next."""
        self._aborted = error
        self._wake(error)

    def mask(self, error: CopilotError) -> None:
        """Strike the request's secrets out of what an error says."""
        Mask(self._headers, self._session.headers).error(error)

    async def _send(self) -> Body:
        clock = Watchdog(self._timeouts, spent=self._spent)
        self._wake = clock.end
        try:
            response = await self._follow(clock)
        except BaseException:
            clock.cancel()
            raise
        finally:
            self._spent = clock.spent
        if is_answer(response.status):
            return Body(response, clock)
        clock.cancel()
        failure = await read_status_error(response, self._timeouts)
        self.mask(failure)
        raise failure

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
            target = _target(url, location, response.status if self._body else 307)
            if target.origin() != url.origin():
                headers = self._headers_for_strangers(target)
            url = target
        raise RedirectError(
            f"{place(self._url)} redirects more than {MAX_REDIRECTS} times, lastly to {place(url)}",
            hint=Hint("give the final URL as {option}", "base_url"),
        )

    def _headers_for_strangers(self, target: URL) -> dict[str, str]:
        """Return headers for another origin: nothing that the caller gave goes there."""
        if self._session.headers or self._session.auth is not None:
            # The session adds its own to every request; they cannot be held back.
            raise RedirectError(
                f"{place(self._url)} redirects to another origin, {place(target)}, where "
                f"the headers of your session must not go",
                hint=Hint("if you trust it, give it as {option}", "base_url"),
            )
        kept = ("accept", "accept-encoding", "content-type", "user-agent")
        return {name: value for name, value in self._headers.items() if name.lower() in kept}

    async def _post(
        self, url: URL, headers: Mapping[str, str], clock: Watchdog
    ) -> aiohttp.ClientResponse:
        """Send the request once; return the response when its headers are here."""
        now = asyncio.get_running_loop().time
        connect, sock_connect = self._timeouts.connect, None
        if self._queues:
            connect, sock_connect = None, connect
        self._stale = False
        expired: list[CopilotError] = []
        failure: CopilotError
        cause: Exception | None
        try:
            async with asyncio.timeout_at(None) as wait:

                def expire(error: CopilotError) -> None:
                    expired.append(error)
                    wait.reschedule(now())

                clock.expire = expire
                clock.connect(now(), connect, partial(_no_connection, url, self._timeouts))
                try:
                    return await self._session.request(
                        "POST" if self._body else "GET",
                        url,
                        data=_Outgoing(self._body, partial(self._sending, clock)),
                        headers=headers,
                        allow_redirects=False,
                        raise_for_status=False,
                        auto_decompress=True,
                        read_bufsize=READ_BUFFER,
                        timeout=_only_connect(sock_connect),
                    )
                finally:
                    clock.stop(now())
        except TimeoutError as error:
            failure, cause = expired[0] if expired else clock.error(), error
        except (aiohttp.ClientError, OSError, RuntimeError, ValueError, AssertionError) as error:
            failure, cause = translate(error, place(url)), error
        if isinstance(cause, aiohttp.ClientResponseError):
            cause = None  # its repr shows the request's headers
        raise failure from cause

    def _sending(self, clock: Watchdog, writer: AbstractStreamWriter) -> None:
        """The request goes out: from here on the server is what we wait for."""
        transport = getattr(writer, "transport", None)
        self._stale = transport in self._seen
        if not self._stale:
            self._seen.add(transport)
            receive_less(transport)
        clock.send(asyncio.get_running_loop().time())

    @property
    def _queues(self) -> bool:
        """True for a session with a limit, which may hold a request back, and does not say so.

        There aiohttp's own clock must do, which leaves out looking up the name.
        """
        connector = self._session.connector
        return connector is None or bool(connector.limit or connector.limit_per_host)


class BorrowedResponse:
    """The caller's own response, as a source that is opened once."""

    def __init__(self, response: aiohttp.ClientResponse, timeouts: Timeouts) -> None:
        self._response = response
        self._clock = Watchdog(timeouts)
        self._timeouts = timeouts

    async def open(self) -> Body:
        if is_answer(self._response.status):
            connection = self._response.connection
            receive_less(connection and connection.transport)
            return Body(self._response, self._clock)
        raise await read_status_error(self._response, self._timeouts)

    def pause(self, failure: CopilotError, retries: int) -> None:
        """Nothing is sent again: the request was the caller's."""

    async def wait(self, seconds: float) -> None:
        """There is nothing to wait for: see pause()."""

    def abort(self, error: CopilotError) -> None:
        self._clock.end(error)

    def mask(self, error: CopilotError) -> None:
        Mask(self._response.request_info.headers).error(error)


class _Outgoing(Payload):
    """A JSON body that says when it goes out.

    aiohttp calls write_with_length() once the request has a
    connection and its headers are on the way: public API, and the one moment that
    separates waiting for a connection from waiting for the server.
    """

    _value: bytes

    def __init__(self, body: bytes, sending: Callable[[AbstractStreamWriter], None]) -> None:
        super().__init__(body, content_type="application/json")
        self._size = len(body)
        self._sending = sending

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:  # pragma: no cover
        # An abstract method of Payload's; aiohttp itself calls the one below.
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self._sending(writer)
        for start in range(0, len(self._value), WRITE_BYTES):
            await writer.write(self._value[start : start + WRITE_BYTES])


async def read_status_error(
    response: aiohttp.ClientResponse, timeouts: Timeouts
) -> HTTPStatusError:
    """Read an error's body within bounds, give its connection back, return the error.

    The status is the news: where the body breaks, what came of it is what there is.
    """
    longest = min(filter(None, (ERROR_BODY_SECONDS, timeouts.silence, timeouts.total)))
    bounds = Timeouts(silence=None, stall=None, total=longest)
    body = Body(response, Watchdog(bounds))
    blocks: list[bytes] = []
    try:
        while body.bytes < ERROR_BODY_BYTES and (block := await body.read()):
            blocks.append(block)
    finally:
        body.close()
    return status_error(
        response.status,
        response.reason,
        response.headers,
        b"".join(blocks)[:ERROR_BODY_BYTES],
        place(response.url),
    )


def _nobody(_: CopilotError) -> None:
    """Nothing is waited for."""


def place(url: URL) -> str:
    """Return a URL fit for a message: no user, password, query."""
    return str(url.with_user(None).with_query(None).with_fragment(None))


@lru_cache(maxsize=16)
def _only_connect(seconds: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=seconds)


def _no_connection(url: URL, timeouts: Timeouts) -> ConnectTimeoutError:
    return ConnectTimeoutError(
        f"no connection to {place(url)} within {timeouts.connect:g} s",
        hint=Hint("if it is that far away, raise {option}", "Timeouts(connect=...)"),
        seconds=timeouts.connect,
    )


def parse_url(text: str, base: URL | None = None) -> URL | None:
    """Return the http(s) address that text is, seen from base, or None."""
    if any(character.isspace() or not character.isprintable() for character in text):
        return None
    try:
        url = URL(text)
        if "//" in text.partition("?")[0] and not url.host:
            return None
        url = base.join(url) if base is not None else url
    except ValueError:
        return None
    return url if url.scheme in ("http", "https") and url.host else None


def _target(url: URL, location: str, status: int) -> URL:
    """Return where a redirect leads, or raise."""
    target = parse_url(location, url)
    if target is None:
        raise RedirectError(f"{place(url)} redirects to {location[:200]!r}, which is not a URL")
    if status not in (307, 308):
        raise RedirectError(
            f"{place(url)} redirects with {status} to {place(target)}, which would turn the "
            f"POST into a GET",
            hint=Hint("give the right URL as {option}", "base_url"),
            status=status,
        )
    return target
