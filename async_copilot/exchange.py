"""A request out, an open body in: sending, redirects, statuses, retries."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
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
    ClockError,
    CopilotError,
    DisconnectedError,
    HTTPStatusError,
    RedirectError,
)
from .retries import may_retry, retry_pause
from .statuses import is_answer, status_error

__all__ = ["BorrowedResponse", "Exchange", "place"]

log = logging.getLogger("async_copilot")

READ_BUFFER = 64 * 1024  # bytes; aiohttp holds up to twice this of a stream nobody reads
ERROR_BODY_BYTES = 64 * 1024
ERROR_BODY_SECONDS = 5.0
MAX_REDIRECTS = 10
WRITE_BYTES = 256 * 1024  # of a request body at a time, so that a large one gives way

_SECRET_HEADERS = ("authorization", "cookie", "key", "token", "secret")


class Exchange:
    """One request to a server, sent until it is answered.

    seen: the connections that were used before, to know a stale one from a dead server.
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
    ) -> None:
        self._session = session
        self._url = url
        self._body = body
        self._headers = dict(headers)
        self._timeouts = timeouts
        self._max_retries = max_retries
        self._seen = seen
        self._spent = 0.0  # seconds of Timeouts.total
        self._stale = False  # the last request went out on a connection used before
        self._secrets = _secrets([*headers.items(), *session.headers.items()])

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

    def mask(self, text: str) -> str:
        """Return text with every secret that was sent struck out."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    async def _pause(self, failure: CopilotError, timing: Timing) -> None:
        """Wait before another attempt; raise failure where none is to be made."""
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
        self._spent += pause
        await asyncio.sleep(pause)

    async def _send(self) -> Body:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            response = await self._follow()
        finally:
            self._spent += loop.time() - started
        if is_answer(response.status):
            return Body(response, self._timeouts, spent=self._spent)
        raise _masked(await read_status_error(response), self.mask)

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
        loop = asyncio.get_running_loop()
        left = None if timeouts.total is None else max(0.0, timeouts.total - self._spent)
        deadline = None if left is None else loop.time() + left
        self._stale = False
        failure: CopilotError
        cause: Exception | None
        try:
            async with asyncio.timeout_at(deadline) as clock:

                def sending(writer: AbstractStreamWriter) -> None:
                    # The silence clock starts here, not with the wait for a free connection.
                    transport = getattr(writer, "transport", None)
                    self._stale = transport in self._seen
                    self._seen.add(transport)
                    if timeouts.silence is not None and not clock.expired():
                        silent = loop.time() + timeouts.silence
                        clock.reschedule(silent if deadline is None else min(silent, deadline))

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
            failure, cause = self._clock_error(error, url, deadline), error
        except (aiohttp.ClientError, OSError, RuntimeError, ValueError, AssertionError) as error:
            failure, cause = translate(error, place(url)), error
        if isinstance(cause, aiohttp.ClientResponseError):
            cause = None  # its repr shows the request's headers
        raise failure from cause

    def _clock_error(self, error: TimeoutError, url: URL, deadline: float | None) -> CopilotError:
        if isinstance(error, aiohttp.ClientError):
            failure = translate(error, place(url))
            if isinstance(failure, ClockError):
                failure.seconds = self._timeouts.connect
            return failure
        if deadline is not None and asyncio.get_running_loop().time() >= deadline:
            return total_timeout(self._timeouts)
        return silence_timeout(self._timeouts)


class BorrowedResponse:
    """The caller's own response, as a source that is opened once."""

    def __init__(self, response: aiohttp.ClientResponse, timeouts: Timeouts) -> None:
        self._response = response
        self._timeouts = timeouts
        self._secrets = _secrets(response.request_info.headers.items())

    async def open(self, failure: CopilotError | None, timing: Timing) -> Body:
        if failure is not None:
            raise failure
        if is_answer(self._response.status):
            return Body(self._response, self._timeouts)
        raise await read_status_error(self._response)

    def mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class _Outgoing(Payload):
    """A JSON body that says when it goes out.

    aiohttp calls write_with_length() (before 3.12: write()) once the request has a
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


async def read_status_error(response: aiohttp.ClientResponse) -> HTTPStatusError:
    """Read an error's body within bounds, give its connection back, return the error."""
    clocks = Timeouts(connect=None, silence=None, stall=None, total=ERROR_BODY_SECONDS)
    body = Body(response, clocks)
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


def _target(url: URL, location: str, status: int) -> URL:
    """Return where a redirect leads, or raise."""
    try:
        target = url.join(URL(location))
        valid = target.scheme in ("http", "https") and bool(target.host)
    except ValueError:
        valid = False
    if not valid:
        raise RedirectError(f"{place(url)} redirects to {location[:200]!r}, which is no address")
    if status not in (307, 308):
        raise RedirectError(
            f"{place(url)} redirects with {status} to {place(target)}, which would turn the "
            f"POST into a GET; give the right address as base_url",
            status=status,
        )
    return target


def _secrets(headers: Iterable[tuple[str, str]]) -> list[str]:
    """Return the values among request headers that must not show, the longest first."""
    found: set[str] = set()
    for name, value in headers:
        if any(word in name.lower() for word in _SECRET_HEADERS):
            found.update({value, value.rpartition(" ")[2]})
    return sorted((value for value in found if len(value) > 2), key=len, reverse=True)


def _masked(error: HTTPStatusError, mask: Callable[[str], str]) -> HTTPStatusError:
    error.args = (mask(error.message),)
    error.body = mask(error.body or "")
    return error
