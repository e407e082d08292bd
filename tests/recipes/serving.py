"""The relays, started as their recipes say."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web

from async_copilot import CopilotClient
from async_copilot.fake_server import FakeServer

from .readme import recipe

__all__ = ["aiohttp_relay", "fastapi_relay", "hub_importable"]


@contextmanager
def hub_importable(**constants: float) -> Iterator[ModuleType]:
    """Put the recipe of the hub where the relays import it from."""
    with pytest.MonkeyPatch.context() as patch:
        hub = recipe("hub", **constants)
        patch.setitem(sys.modules, "hub", hub)
        yield hub


@asynccontextmanager
async def aiohttp_relay(
    upstream: FakeServer,
    *,
    page: str = "",
    last_event_ids: list[str | None] | None = None,
    **constants: float,
) -> AsyncIterator[str]:
    """Run the recipe with the very arguments it gives to run_app(); the relay's address.

    page: HTML, served at ``/``.  constants: those of the hub.
    last_event_ids: gets the Last-Event-ID of each reader.
    """
    started: list[web.AppRunner] = []

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    async def note(request: web.Request, _: web.StreamResponse) -> None:
        if last_event_ids is not None and request.path.startswith("/chat/"):
            last_event_ids.append(request.headers.get("Last-Event-ID"))

    def run_app(app: web.Application, **options: Any) -> None:
        app.router.add_get("/", show)
        app.on_response_prepare.append(note)
        started.append(web.AppRunner(app, shutdown_timeout=1.0, **options))

    with pytest.MonkeyPatch.context() as patch, hub_importable(**constants):
        patch.setattr(web, "run_app", run_app)
        recipe("relay-aiohttp", main=True, BASE_URL=upstream.url)
    (runner,) = started
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def fastapi_relay(
    upstream: FakeServer, *, url: str = "", ssl: Any = True, **constants: float
) -> AsyncIterator[str]:
    """Serve the recipe's app with uvicorn; the relay's address.

    url, ssl: another way to the upstream.  constants: those of the hub.
    """
    import uvicorn  # noqa: PLC0415  # of the extra "recipes"

    with hub_importable(**constants):
        module = recipe("relay-fastapi", BASE_URL=url or upstream.url)
    module.__dict__["CopilotClient"] = partial(CopilotClient, ssl=ssl)
    app = module.app
    config = uvicorn.Config(
        app, port=0, log_level="warning", lifespan="on", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(30):
            while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.01)
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await serving
