"""Whether a name is still known, by the kind of provider and by what happened before.

Enters: each release of ``SERVERS``, running, with providers of every kind (see
``launchers.kinds``). Leaves: the table "Known or told" of its README, and rows of "Works
with". I/O: loopback only.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Awaitable, Callable

import pytest

from async_copilot import AmnesiaWarning, Conversation, CopilotClient, CopilotError

from .conftest import Found
from .habits import habits, introduction
from .servers import G4F, Running

pytestmark = pytest.mark.interop
SERVERS = G4F

KINDS = ("Copilot", "Strict", "Limit", "Pool", "Reader", "Neither")
ASKED = "What is my name?"

Before = Callable[[Conversation, str], Awaitable[Conversation]]


async def plain(chat: Conversation, name: str) -> Conversation:
    await chat.ask(introduction(name))
    return chat


async def many_turns(chat: Conversation, name: str) -> Conversation:
    await chat.ask(introduction(name))
    for number in range(4):
        try:
            await chat.ask(f"This is number {number}.")
        except CopilotError:  # Limit's, after which the next turn has to know
            await chat.ask(f"This is number {number} again.")
    return chat


async def first_stopped(chat: Conversation, name: str) -> Conversation:
    async with chat.stream(f"{introduction(name)} !endless {name}") as reply:
        async for text in reply:
            if text == "2 ":
                break
    return chat


async def first_failed(chat: Conversation, name: str) -> Conversation:
    with pytest.raises(CopilotError):
        await chat.ask(f"{introduction(name)} !raise-mid RuntimeError")
    return chat


async def later_stopped(chat: Conversation, name: str) -> Conversation:
    await chat.ask(introduction(name))
    async with chat.stream(f"!endless {name}-later") as reply:
        async for text in reply:
            if text == "2 ":
                break
    return chat


async def later_failed(chat: Conversation, name: str) -> Conversation:
    await chat.ask(introduction(name))
    with pytest.raises(CopilotError):
        await chat.ask("!raise-first RuntimeError")
    return chat


async def provider_changed(chat: Conversation, name: str) -> Conversation:
    kind = chat.provider
    chat.provider = "Neither" if kind == "Copilot" else "Copilot"
    await chat.ask(introduction(name))
    chat.provider = kind
    return chat


BEFORES: dict[str, Before] = {
    "nothing else": plain,
    "five turns": many_turns,
    "first answer stopped": first_stopped,
    "first answer failed": first_failed,
    "a later answer stopped": later_stopped,
    "a later turn failed": later_failed,
    "another provider": provider_changed,
}


async def verdict(chat: Conversation, name: str) -> str:
    """Ask, twice where the loss is told: is the name known?"""
    told = ""
    for _ in range(2):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AmnesiaWarning)
                reply = await chat.ask(ASKED)
        except CopilotError:
            told = "told, then "
            continue
        if reply.text == f"Your name is {name}.":
            return f"{told}known"
        if reply.remembered is not False:
            return "not told by the release" if reply.remembered is None else "forgotten"
        told = "told, then "
    return "forgotten"


@pytest.mark.parametrize("before", BEFORES)
async def test_no_kind_forgets_in_silence(server: Running, found: Found, before: str) -> None:
    """No kind of provider forgets in silence, whatever happened before."""
    async with CopilotClient(base_url=server.url, max_retries=0) as client:
        for kind in KINDS:
            name = f"Ann{KINDS.index(kind)}x{list(BEFORES).index(before)}"
            chat = client.conversation(provider=kind, keep_partial=True)
            outcome = await verdict(await BEFORES[before](chat, name), name)
            assert outcome == "known", (kind, before, outcome)
            found.known(kind, before, outcome)


async def test_no_kind_forgets_over_a_restart(server: Running, found: Found) -> None:
    """The client or the server restarted: known, or its loss told."""
    async with CopilotClient(base_url=server.url) as client:
        live = {kind: client.conversation(provider=kind) for kind in KINDS}
        saved = {}
        for kind, chat in live.items():
            await chat.ask(introduction(f"Bob{kind}"))
            saved[kind] = json.dumps(chat.to_dict())
        await resumed(server, found, saved, "the client restarted")
        await asyncio.to_thread(server.start)
        for kind, chat in live.items():
            outcome = await verdict(chat, f"Bob{kind}")
            silent = kind == "Copilot" and not habits(server).handle
            expected = "not told by the release" if silent else "known"
            if kind == "Strict" and habits(server).handle:
                expected = "told, then known"
            assert outcome == expected, kind
            found.known(kind, "the server restarted", outcome)


async def resumed(server: Running, found: Found, saved: dict[str, str], before: str) -> None:
    async with CopilotClient(base_url=server.url) as client:
        for kind, text in saved.items():
            chat = Conversation.from_dict(client, json.loads(text))
            outcome = await verdict(chat, f"Bob{kind}")
            assert outcome == "known", kind
            found.known(kind, before, outcome)


@pytest.mark.parametrize("memory", ["server", "client"])
async def test_100_conversations_that_begin_alike_know_no_stranger(
    server: Running, found: Found, memory: str
) -> None:
    """100 interleaved conversations that begin alike: a stranger's name never shows."""

    async def talk(client: CopilotClient, number: int) -> None:
        kind = KINDS[number % len(KINDS)]
        chat = client.conversation(memory=memory, provider=kind)  # type: ignore[arg-type]  # of the two
        answers = []
        for message in ("Hi", "Hello again", introduction(f"Name{number}q"), ASKED, ASKED):
            try:
                answers.append((await chat.ask(message)).text)
            except CopilotError:  # Limit's
                answers.append((await chat.ask(message)).text)
        names = [text for text in answers if "Name" in text]
        assert all(f"Name{number}q" in text for text in names), answers
        if memory == "server" or kind == "Reader":
            assert answers[-1] == f"Your name is Name{number}q.", (kind, answers)

    async with CopilotClient(base_url=server.url, max_retries=0) as client:
        await asyncio.gather(*(talk(client, number) for number in range(100)))
    found.figure = "never"


async def test_a_wanted_login_is_told(server: Running) -> None:
    """A provider that wants a login: told as that, and never as a wrong key."""
    async with CopilotClient(base_url=server.url, max_retries=0) as client:
        with pytest.raises(CopilotError) as caught:
            await client.complete("Hello", provider="Login")
    assert caught.value.provider == "Login"
    assert caught.value.type == "MissingAuthError"
    assert "login" in str(caught.value)
    assert "api_key" not in str(caught.value)


async def test_a_mistyped_provider_gets_the_near_name(server: Running) -> None:
    """A mistyped provider: the near name is offered."""
    async with CopilotClient(base_url=server.url, max_retries=0) as client:
        with pytest.raises(CopilotError) as caught:
            await client.complete("Hello", provider="Copliot")
    assert "Copilot" in str(caught.value)
