"""The recipe for uvloop, and what its transports and timers could break."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from async_copilot import CopilotClient, DisconnectedError, End
from async_copilot.fake_server import FakeAnswer, FakeServer, Reset, Script, Stall

from .readme import recipe
from .serving import fastapi_relay
from .sockets import Authority, forwarding
from .tab import asked, text_of

pytestmark = pytest.mark.recipes

WORDS = [f"word{number} " for number in range(20)]


def test_the_recipe_runs() -> None:
    with FakeServer("Hello") as server:
        reply = recipe("uvloop", BASE_URL=server.url).run()
    assert (reply.text, reply.end) == ("Hello", End.COMPLETE)


async def whole() -> None:
    async with FakeServer(FakeAnswer(WORDS, pace=200)) as server, client_of(server) as client:
        reply = await client.complete("Hi")
        assert reply.text == "".join(WORDS)


async def batches() -> None:
    async with (
        FakeServer(FakeAnswer(WORDS, pace=100)) as server,
        client_of(server) as client,
        client.stream("Hi") as reply,
    ):
        pieces = [piece async for piece in reply.batches(interval=0.05)]
    assert "".join(pieces) == "".join(WORDS)
    assert 2 < len(pieces) < 12


async def leaving() -> None:
    script = FakeAnswer(WORDS, fault=Stall(after=2))
    async with FakeServer(script) as server, client_of(server) as client:
        async with client.stream("Hi") as reply:
            async for _ in reply:
                break
        await server.until(lambda: server.disconnects == 1, within=10)
        assert reply.end is End.CANCELLED


async def reset() -> None:
    script: Script = [
        FakeAnswer(WORDS, fault=Reset(after=0)),
        FakeAnswer(WORDS, fault=Reset(after=5)),
    ]
    async with FakeServer(script) as server, client_of(server) as client:
        with pytest.raises(DisconnectedError) as caught:
            await client.complete("Hi")
        assert caught.value.reply is not None
        assert caught.value.reply.text == "".join(WORDS[:5])
        assert caught.value.retries == 1


async def stale() -> None:
    """A pooled connection that the server has closed is known as such."""
    async with FakeServer("Hello", keep_alive=0.05) as server, client_of(server) as client:
        for _ in range(3):
            reply = await client.complete("Hi")
            assert reply.timing.retries == 0
            await asyncio.sleep(0.1)


async def relayed_from_https(folder: Path) -> None:
    """The FastAPI relay, as uvicorn[standard] runs it, in front of a server with TLS."""
    authority = Authority(folder)
    context = authority.server_context(wants_a_certificate=False)
    trusting = ssl.create_default_context(cafile=authority.file)
    async with (
        FakeServer(FakeAnswer(WORDS, pace=200)) as upstream,
        forwarding(upstream, asyncio.start_server, "localhost", 0, ssl=context) as (_, port, *_),
        fastapi_relay(upstream, url=f"https://localhost:{port}/v1", ssl=trusting) as url,
        asked(url) as tab,
    ):
        events = [event async for event in tab.events()]
    assert text_of(events) == "".join(WORDS)
    assert events[-1] == {"end": "stop"}


def client_of(server: FakeServer) -> CopilotClient:
    return CopilotClient(base_url=server.url)


@pytest.mark.parametrize("program", [whole, batches, leaving, reset, stale])
def test_streams_behave_as_on_asyncio(program: Callable[[], Coroutine[Any, Any, None]]) -> None:
    import uvloop  # noqa: PLC0415  # of the extra "recipes"

    async def main() -> None:
        await program()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left

    uvloop.run(main(), debug=True)


def test_a_relay_under_uvloop_asks_a_server_with_tls(tmp_path: Path) -> None:
    import uvloop  # noqa: PLC0415  # of the extra "recipes"

    uvloop.run(relayed_from_https(tmp_path), debug=True)
