"""The fake server's connections: counted, numbered, and given up in good order. I/O: sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .service import Service

__all__ = ["Connections", "stop_accepting"]


class Connections(web.Server):
    """aiohttp's server, telling the record of each connection."""

    def __init__(self, service: Service, listens: Callable[[], bool], keep_alive: float) -> None:
        super().__init__(
            self._handle,
            handler_cancellation=True,  # a client that leaves is noticed in mid-pause
            keepalive_timeout=keep_alive,
            access_log=None,
        )
        self._service = service
        self._listens = listens
        self._numbers: dict[object, int] = {}

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        number = self._numbers.get(http.protocol, 0)
        return await self._service.respond(http, number, self._listens)

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        self._service.record.connections += 1
        self._numbers[handler] = self._service.record.connections
        self._service.record.news()
        super().connection_made(handler, transport)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        self._numbers.pop(handler, None)
        super().connection_lost(handler, exc)


async def stop_accepting(listener: asyncio.Server) -> None:
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
