"""What real g4f API servers remember, for whom, for how long, and when they are left.

Enters: each release of ``SERVERS``, running. Leaves: rows of the "Works with" table.
I/O: loopback only.
"""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest

from async_copilot import (
    ConnectionFailedError,
    Conversation,
    CopilotClient,
    End,
    content_deltas,
)

from .conftest import Found
from .habits import ASK, habits, introduction, journalled
from .servers import G4F, Running

pytestmark = pytest.mark.interop
SERVERS = G4F


async def test_clients_with_one_system_prompt_share_nothing(server: Running) -> None:
    """Clients with the same system prompt never share a conversation."""
    system = "Be kind to cats."
    async with (
        CopilotClient(base_url=server.url) as one,
        CopilotClient(base_url=server.url) as two,
    ):
        anna, heiner = one.conversation(system=system), two.conversation(system=system)
        stranger = two.conversation(system=system)
        await anna.ask(introduction("Anna"))
        await heiner.ask(introduction("Heiner"))
        assert (await stranger.ask(ASK)).text == "You have not told me your name."
        assert (await anna.ask(ASK)).text == "Your name is Anna."
        assert (await heiner.ask(ASK)).text == "Your name is Heiner."


async def test_a_plain_system_message_leaks_a_conversation(server: Running, found: Found) -> None:
    """A system message sent as such: does the server mix clients up?"""

    async def say(session: aiohttp.ClientSession, text: str) -> str:
        system = {"role": "system", "content": "Be kind to dogs."}
        messages = [system, {"role": "user", "content": text}]
        body = {"model": "", "provider": "Copilot", "stream": True, "messages": messages}
        async with session.post(f"{server.url}/chat/completions", json=body) as response:
            return "".join([text async for text in content_deltas(response)])

    async with aiohttp.ClientSession() as anna, aiohttp.ClientSession() as stranger:
        await say(anna, introduction("Anna"))
        answer = await say(stranger, ASK)
    if habits(server).leaks:
        assert answer == "Your name is Anna."
        found.differs(
            "hands one client's conversation to another that sends the same system message"
        )
    else:
        assert answer == "You have not told me your name."
    found.figure = "it does" if habits(server).leaks else "no"


async def test_200_conversations_at_once_each_know_their_own_name(
    server: Running, found: Found
) -> None:
    """200 conversations at once, each remembers its own name."""

    async def talk(client: CopilotClient, name: str) -> str:
        chat = client.conversation()
        await chat.ask(introduction(name))
        return (await chat.ask(ASK)).text

    began = time.monotonic()
    async with CopilotClient(base_url=server.url) as client:
        answers = await asyncio.gather(*(talk(client, f"Name{n}") for n in range(200)))
    assert answers == [f"Your name is Name{n}." for n in range(200)]
    found.figure = f"{time.monotonic() - began:.1f} s"


async def test_a_saved_conversation_goes_on_after_a_restart(server: Running) -> None:
    """A conversation saved, the server restarted, the conversation resumed."""
    async with CopilotClient(base_url=server.url, max_retries=0) as client:
        chat = client.conversation()
        await chat.ask(introduction("Grace"))
        saved = json.dumps(chat.to_dict())
        await asyncio.to_thread(server.stop)
        try:
            with pytest.raises(ConnectionFailedError):
                await chat.ask(ASK)
            assert json.dumps(chat.to_dict()) == saved
        finally:
            await asyncio.to_thread(server.start)
    async with CopilotClient(base_url=server.url) as client:
        resumed = Conversation.from_dict(client, json.loads(saved))
        answer = await resumed.ask(ASK)
    assert answer.text == "Your name is Grace."


async def test_a_turn_after_a_pause_needs_no_new_try(server: Running) -> None:
    """A turn after a pause longer than the server keeps idle connections."""

    def the_program_is_busy() -> None:
        # Blocks the loop, so that the server's close is still unread when the next
        # request picks its connection from the pool: the worst moment there is.
        time.sleep(5.6)

    async with (
        # aiohttp's own pool would keep the connection three times as long as the server.
        aiohttp.ClientSession() as session,
        CopilotClient(base_url=server.url, max_retries=0, session=session) as borrowing,
        CopilotClient(base_url=server.url, max_retries=0) as owning,
    ):
        stale, idle = borrowing.conversation(), owning.conversation()
        await stale.ask(introduction("Linus"))
        await idle.ask(introduction("Margaret"))
        the_program_is_busy()
        assert (await stale.ask(ASK)).text == "Your name is Linus."
        await asyncio.sleep(0.05)
        assert (await idle.ask(ASK)).text == "Your name is Margaret."


async def test_leaving_is_seen_by_the_provider(server: Running, found: Found) -> None:
    """Leaving early is seen by the provider."""
    lags = []
    async with CopilotClient(base_url=server.url) as client:
        for way in ("endless", "quiet"):
            tag = f"break-{way}"
            async with client.stream(f"!{way} {tag}") as reply:
                async for text in reply:
                    assert text == "0 "
                    break
            lags.append(await lag(server, tag))
            assert reply.end is End.CANCELLED
            tag = f"cancel-{way}"
            task = asyncio.create_task(client.complete(f"!{way} {tag}"))
            await journalled(server, "began", tag=tag)
            await asyncio.sleep(1)  # a first piece is out: before it 8.1.7 may not notice
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            lags.append(await lag(server, tag))
    assert max(lags) < 1.0
    found.figure = f"{max(lags) * 1000:.0f} ms"


async def test_leaving_before_the_first_piece(server: Running, found: Found) -> None:
    """Leaving before the first piece is seen by the provider."""
    async with CopilotClient(base_url=server.url) as client:
        task = asyncio.create_task(client.complete("!hush early"))
        await journalled(server, "began", tag="early")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if habits(server).told_early:
            found.figure = f"{await lag(server, 'early') * 1000:.0f} ms"
            return
        await journalled(server, "nobody left", tag="early")
        assert server.journal("left", tag="early") == []
        assert (await client.complete("Still there?")).text == "I am here."
    found.figure = "no"
    found.differs("does not tell its provider of a client that leaves before the first piece")


async def lag(server: Running, tag: str) -> float:
    """Seconds from now until the provider was told that its reader is gone."""
    left_at = time.time()
    entry = await journalled(server, "left", tag=tag)
    return max(0.0, float(entry["time"]) - left_at)
