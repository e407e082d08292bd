"""The relay in aiohttp.web, started as its recipe says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from async_copilot.fake_server import FakeServer

from .readme import recipe

__all__ = ["aiohttp_relay"]


@asynccontextmanager
async def aiohttp_relay(upstream: FakeServer, *, page: str = "") -> AsyncIterator[str]:
    """Run the recipe with the very arguments it gives to run_app(); the relay's address.

    page: HTML, served at ``/``.
    """
    started: list[web.AppRunner] = []

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    def run_app(app: web.Application, **options: Any) -> None:
        app.router.add_get("/", show)
        started.append(web.AppRunner(app, shutdown_timeout=1.0, **options))

    with pytest.MonkeyPatch.context() as patch:
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
