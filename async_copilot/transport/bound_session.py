"""A session of the caller's, or none, in; one that can be used in this event loop out."""

from __future__ import annotations

import asyncio

import aiohttp
from yarl import URL

from ..errors import ClientClosedError, Hint, WrongLoopError
from .connections import keep_alive_socket
from .exchange import READ_BUFFER
from .proxies import environment_proxy

__all__ = ["BoundSession"]

# Below the 5 s after which uvicorn (g4f, vLLM, LiteLLM) closes an idle connection:
# aiohttp would keep it for 15, and a POST on a closed one fails.
KEEP_ALIVE = 4.0


class BoundSession:
    """The session of one client, which lives in one event loop, that of its first use.

    borrowed: the caller's, never closed or changed; None: one is made when it is needed.
    url: of the server, to which a session made here may go through the environment's proxy.
    proxy: that one, once the session is made.
    """

    def __init__(
        self, borrowed: aiohttp.ClientSession | None, *, url: URL, max_connections: int
    ) -> None:
        self._own = borrowed is None
        self._session = borrowed
        self._url = url
        self._max_connections = max_connections
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closed = False
        self.proxy: URL | None = None

    def usable(self) -> aiohttp.ClientSession:
        """Return the session. Raises ClientClosedError, WrongLoopError."""
        loop = asyncio.get_running_loop()
        # A double's may be missing, or be a mock that is true.
        if self.closed or getattr(self._session, "closed", False) is True:
            raise ClientClosedError(
                "the client, or the session it borrows, is closed", hint=Hint("make a new one")
            )
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise WrongLoopError(
                "this client was first used in another event loop, where its connections live",
                hint=Hint("make one client for each asyncio.run()"),
            )
        if self._session is None:
            self.proxy = environment_proxy(self._url)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._max_connections,
                    keepalive_timeout=KEEP_ALIVE,
                    socket_factory=keep_alive_socket,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                read_bufsize=READ_BUFFER,
            )
        return self._session

    async def aclose(self) -> None:
        """Close the session, unless it is borrowed; it cannot be used from now on."""
        self.closed = True
        if self._own and self._session is not None:
            await self._session.close()
