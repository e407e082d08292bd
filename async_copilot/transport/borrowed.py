"""The caller's own response in, its open body out; the request was the caller's."""

from __future__ import annotations

import aiohttp
from yarl import URL

from ..errors import CopilotError, Hint, ReplyInUseError
from .body import Body
from .clocks import Timeouts, Watchdog
from .connections import receive_less
from .error_body import read_status_error
from .masking import Mask
from .statuses import is_answer

__all__ = ["BorrowedResponse"]


class BorrowedResponse:
    """A response as a source that is opened once; see ``reading.Source``."""

    def __init__(self, response: aiohttp.ClientResponse, timeouts: Timeouts) -> None:
        self._response = response
        self._clock = Watchdog(timeouts)

    async def open(self, replaced: object = None) -> Body:
        if is_answer(self._response.status):
            self._check_unread()
            connection = getattr(self._response, "connection", None)
            receive_less(connection and connection.transport)
            return Body(self._response, self._clock)
        raise await read_status_error(self._response, self._clock, self._mask())

    def _check_unread(self) -> None:
        """Raise for a body that was read: else the server would be blamed for an empty one."""
        content = self._response.content
        if isinstance(content, aiohttp.StreamReader) and content.total_bytes and content.at_eof():
            raise ReplyInUseError(
                "the body of this response was read before",
                hint=Hint("give an unread response, and read it once"),
            )

    def pause(self, failure: CopilotError, retries: int) -> None:
        """Nothing is sent again: the request was the caller's."""

    async def wait(self, seconds: float) -> None:
        """There is nothing to wait for: see pause()."""

    def abort(self, error: CopilotError) -> None:
        """Nobody ends it from outside: a Reply that is only filled cannot be left."""

    def let_go(self) -> None:
        """There is nothing to let go of: see pause()."""

    def mask(self, error: CopilotError) -> None:
        self._mask().error(error)

    def _mask(self) -> Mask:
        request = getattr(self._response, "request_info", None)
        if request is None:  # a double, of a request that was never made
            return Mask()
        urls = (url for url in (request.url, request.real_url) if isinstance(url, URL))
        return Mask(request.headers or {}, urls=urls)
