"""A request out, an open body in: sending, redirects, statuses, retries."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from yarl import URL

from .answer import Timing
from .body import Body, translate
from .clocks import Timeouts, silence_timeout, total_timeout
from .errors import (
    ClientClosedError,
    ClockError,
    ConnectTimeoutError,
    CopilotError,
    DisconnectedError,
    HTTPStatusError,
    RedirectError,
)
from .masking import Mask
from .retries import may_retry, retry_pause
from .statuses import is_answer, status_error

__all__ = ["BorrowedResponse", "Exchange", "parse_url", "place"]

log = logging.getLogger("async_copilot")

READ_BUFFER = 64 * 1024  # bytes; aiohttp holds up to twice this of a stream nobody reads
RECEIVE_BUFFER = 120 * 1024  # bytes
ERROR_BODY_BYTES = 64 * 1024
ERROR_BODY_SECONDS = 5.0
MAX_REDIRECTS = 10
WRITE_BYTES = 256 * 1024  # of a request body at a time, so that a large one gives way


class Exchange:
    """One request to a server, sent until it is answered.

    seen: the connections that were used before, to know a stale one from a dead server.
    own: the session is the client's own.
    closing: done when the client is closed.
    retrying: told of each retry, with the failure and the pause, before the pause.
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
        own: bool,
        closing: asyncio.Future[None],
        retrying: Callable[[CopilotError, float], None],
    ) -> None:
        self._session = session
        self._url = url
        self._body = body
        self._headers = headers
        self._timeouts = timeouts
        self._max_retries = max_retries
        self._seen = seen
        self._own = own
        self._closing = closing
        self._retrying = retrying
        self._spent = 0.0  # seconds of Timeouts.total
        self._stale = False  # the last request went out on a connection used before
        self.mask = Mask(headers, session.headers)

    async def open(self, failure: CopilotError | None, timing: Timing) -> Body:
        """Send the request, again where that may help, and return the body of the answer.

        failure: of an attempt whose body broke before anything was handed out.
        Raises what the last attempt failed with. Cancelling closes the connection.
        """
        while True:
            if failure is not None:
                await self._pause(failure, timing)
            try:
                return await self._send()
            except CopilotError as error:
                failure = error

    async def _pause(self, failure: CopilotError, timing: Timing) -> None:
        """Wait before another attempt; raise failure where none is to be made."""
        self._raise_if_closed()
        if isinstance(failure, DisconnectedError) and self._stale and failure.status is None:
            # The server had closed an idle connection: at once, on another one. Each
            # such attempt takes a connection out of the pool, so this comes to an end.
            log.debug("stale connection to %s, sending again", place(self._url))
            return
        pause = None
        if may_retry(failure) and timing.retries < self._max_retries:
            pause = retry_pause(failure, timing.retries)
        total = self._timeouts.total
        if pause is None or (total is not None and self._spent + pause >= total):
            failure.retries = timing.retries
            raise failure
        timing.retries += 1
        timing.waits.append(pause)
        log.info("retry %d of %d in %.2f s: %s", timing.retries, self._max_retries, pause, failure)
        self._retrying(failure, pause)
        self._spent += pause
        await asyncio.wait([self._closing], timeout=pause)
        self._raise_if_closed()

    def _raise_if_closed(self) -> None:
        if self._closing.done():
            raise ClientClosedError("the client was closed while this reply was under way")

    async def _send(self) -> Body:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            response = await self._follow()
        finally:
            self._spent += loop.time() - started
        if is_answer(response.status):
            return Body(response, self._timeouts, spent=self._spent)
        failure = await read_status_error(response, self._timeouts)
        self.mask.error(failure)
        raise failure

    async def _follow(self) -> aiohttp.ClientResponse:
        """Post, and post again where 307 or 308 lead."""
        url, headers = self._url, self._headers
        for _ in range(MAX_REDIRECTS):
            response = await self._post(url, headers)
            location = response.headers.get("Location")
            if response.status not in (301, 302, 303, 307, 308) or location is None:
                return response
            response.close()
            target = _target(url, location, response.status)
            if target.origin() != url.origin():
                headers = self._headers_for_strangers(target)
            url = target
        raise RedirectError(
            f"{place(self._url)} redirects more than {MAX_REDIRECTS} times, lastly to "
            f"{place(url)}; give the final address as base_url"
        )

    def _headers_for_strangers(self, target: URL) -> dict[str, str]:
        """Return headers for another origin: nothing that the caller gave goes there."""
        if self._session.headers or self._session.auth is not None:
            # The session adds its own to every request; they cannot be held back.
            raise RedirectError(
                f"{place(self._url)} redirects to another origin, {place(target)}, where "
                f"the headers of your session must not go; if you trust it, give it as "
                f"base_url"
            )
        kept = ("accept", "accept-encoding", "content-type", "user-agent")
        return {name: value for name, value in self._headers.items() if name.lower() in kept}

    async def _post(self, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Send the request once; return the response when its headers are here."""
        timeouts = self._timeouts
        now = asyncio.get_running_loop().time
        left = None if timeouts.total is None else max(0.0, timeouts.total - self._spent)
        deadline = _sooner(now(), left, None)
        sent = False
        self._stale = False
        failure: CopilotError
        cause: Exception | None
        try:
            connected_by = _sooner(now(), self._connect, deadline)
            async with asyncio.timeout_at(connected_by) as clock:

                def sending(writer: AbstractStreamWriter) -> None:
                    # From here on the server is what we wait for.
                    nonlocal sent
                    sent = True
                    transport = getattr(writer, "transport", None)
                    self._stale = transport in self._seen
                    if not self._stale:
                        self._seen.add(transport)
                        self._tune(transport)
                    with contextlib.suppress(RuntimeError):  # the answer is here already
                        clock.reschedule(_sooner(now(), timeouts.silence, deadline))

                return await self._session.post(
                    url,
                    data=_Outgoing(self._body, sending),
                    headers=headers,
                    allow_redirects=False,
                    raise_for_status=False,
                    auto_decompress=True,
                    read_bufsize=READ_BUFFER,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect),
                )
        except TimeoutError as error:
            failure, cause = self._clock_error(url, deadline, sent=sent), error
        except (aiohttp.ClientError, OSError, RuntimeError, ValueError, AssertionError) as error:
            failure, cause = translate(error, place(url)), error
        if isinstance(cause, aiohttp.ClientResponseError):
            cause = None  # its repr shows the request's headers
        raise failure from cause

    def _tune(self, transport: object) -> None:
        """Let a connection of our own session receive into smaller buffers.

        asyncio's selector transport asks for 256 KiB at each read. That is above malloc's
        threshold for mapping memory, so that a read of one delta costs a mmap, a page
        fault and a munmap; 120 KiB is below it. Public by name, undocumented, and where
        a transport has no such attribute (TLS, uvloop) nothing happens.
        """
        if self._own and hasattr(transport, "max_size"):
            transport.max_size = RECEIVE_BUFFER

    @property
    def _connect(self) -> float | None:
        """The connect clock, where nothing but the connection can be waited for.

        A session with a limit queues requests, and does not say when a connection is
        free: there aiohttp's own clock must do, which leaves out looking up the name.
        """
        connector = self._session.connector
        queues = connector is None or connector.limit or connector.limit_per_host
        return None if queues else self._timeouts.connect

    def _clock_error(self, url: URL, deadline: float | None, *, sent: bool) -> ClockError:
        timeouts = self._timeouts
        if deadline is not None and asyncio.get_running_loop().time() >= deadline:
            return total_timeout(timeouts)
        if sent:
            return silence_timeout(timeouts)
        return ConnectTimeoutError(
            f"no connection to {place(url)} within {timeouts.connect:g} s; if it is that far "
            f"away, raise Timeouts(connect=...)",
            seconds=timeouts.connect,
        )


class BorrowedResponse:
    """The caller's own response, as a source that is opened once."""

    def __init__(self, response: aiohttp.ClientResponse, timeouts: Timeouts) -> None:
        self._response = response
        self._timeouts = timeouts
        self.mask = Mask(response.request_info.headers)

    async def open(self, failure: CopilotError | None, timing: Timing) -> Body:
        if failure is not None:
            raise failure
        if is_answer(self._response.status):
            return Body(self._response, self._timeouts)
        raise await read_status_error(self._response, self._timeouts)


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

    async def write(self, writer: AbstractStreamWriter) -> None:
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
    """Read an error's body within bounds, give its connection back, return the error."""
    longest = min(filter(None, (ERROR_BODY_SECONDS, timeouts.silence, timeouts.total)))
    body = Body(response, Timeouts(silence=None, stall=None, total=longest))
    blocks: list[bytes] = []
    try:
        while body.bytes < ERROR_BODY_BYTES and (block := await body.read()):
            blocks.append(block)
    except CopilotError:
        pass  # the status is the news; what came of the body is what there is
    finally:
        body.close()
    return status_error(
        response.status,
        response.reason,
        response.headers,
        b"".join(blocks)[:ERROR_BODY_BYTES],
        place(response.url),
    )


def place(url: URL) -> str:
    """Return a URL fit for a message: no user, password, query."""
    return str(url.with_user(None).with_query(None).with_fragment(None))


def _sooner(now: float, seconds: float | None, deadline: float | None) -> float | None:
    """Return the earlier of a deadline and now + seconds; None is never."""
    if seconds is None:
        return deadline
    return now + seconds if deadline is None else min(now + seconds, deadline)


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
        raise RedirectError(f"{place(url)} redirects to {location[:200]!r}, which is no address")
    if status not in (307, 308):
        raise RedirectError(
            f"{place(url)} redirects with {status} to {place(target)}, which would turn the "
            f"POST into a GET; give the right address as base_url",
            status=status,
        )
    return target
