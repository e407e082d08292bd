"""Every failure a real g4f API server hands out, and the type and message it becomes.

Enters: each release of ``SERVERS``, running. Leaves: rows of the "Works with" table.
I/O: loopback only.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from async_copilot import (
    AuthenticationError,
    BadRequestError,
    CopilotClient,
    CopilotError,
    DisconnectedError,
    End,
    NotFoundError,
    RateLimitError,
    Reply,
    ServerStatusError,
    SilenceTimeoutError,
    StreamError,
    Timeouts,
    TruncatedError,
)

from .conftest import Found
from .habits import habits, journalled, text_of_error
from .servers import G4F, Running, launched

pytestmark = pytest.mark.interop
SERVERS = G4F
KINDS: dict[str, tuple[type[CopilotError], int]] = {
    "RateLimitError": (RateLimitError, 429),
    "MissingAuthError": (AuthenticationError, 401),
    "RuntimeError": (ServerStatusError, 500),
}


async def test_a_failure_before_the_first_piece(server: Running, found: Found) -> None:
    """The provider fails before its first piece: type, status and message."""
    async with CopilotClient(base_url=server.url, max_retries=0) as client:
        for kind, of_status in KINDS.items():
            expected, status = of_status if habits(server).statuses else (StreamError, 200)
            with pytest.raises(CopilotError) as caught:
                await client.complete(f"!raise-first {kind}")
            assert type(caught.value) is expected
            assert caught.value.status == status
            assert text_of_error(server, kind) in str(caught.value)
    if not habits(server).statuses:
        found.differs("reports every failure inside the stream, as a 200")
    if habits(server).hides:
        found.differs("hides the text of most errors")


async def test_a_failure_before_the_first_piece_is_tried_again(server: Running) -> None:
    """A 429 is tried again; an error in the stream never is."""
    known = len(server.journal("asked"))
    async with CopilotClient(base_url=server.url, max_retries=1) as client:
        with pytest.raises(CopilotError) as caught:
            await client.complete("!raise-first RateLimitError")
        with pytest.raises(StreamError):
            await client.complete("!raise-mid RateLimitError")
    tries = 2 if habits(server).statuses else 1
    assert len(server.journal("asked")) - known == tries + 1
    assert caught.value.retries == tries - 1


async def test_a_failure_in_mid_stream(server: Running) -> None:
    """The provider fails in mid-stream: type, message, and the text so far."""
    async with CopilotClient(base_url=server.url) as client:
        for kind in KINDS:
            with pytest.raises(StreamError) as caught:
                await client.complete(f"!raise-mid {kind}")
            assert text_of_error(server, kind) in str(caught.value)
            assert caught.value.reply is not None
            assert caught.value.reply.text == "One two three "
            assert caught.value.reply.end is End.ERROR


async def test_a_cut_answer_is_not_taken_for_a_whole_one(server: Running) -> None:
    """An answer cut in good HTTP order is TruncatedError."""
    async with CopilotClient(base_url=server.url) as client:
        with pytest.raises(TruncatedError) as caught:
            await client.complete("!abort")
    assert caught.value.reply is not None
    assert caught.value.reply.text == "One two three "
    async with CopilotClient(base_url=server.url, strict=False) as client:
        reply = await client.complete("!abort")
    assert (reply.text, reply.end) == ("One two three ", End.TRUNCATED)


async def test_a_failed_turn_leaves_the_conversation_as_it_was(server: Running) -> None:
    """A failed turn leaves the conversation as it was, and the next one works."""
    async with CopilotClient(base_url=server.url, max_retries=0) as client:
        chat = client.conversation()
        await chat.ask("Hello, i am Edsger.")
        before = list(chat.history)
        for message in ("!raise-mid RuntimeError", "!raise-first RateLimitError", "!abort"):
            with pytest.raises(CopilotError):
                await chat.ask(message)
            assert list(chat.history) == before
        assert (await chat.ask("What is my name?")).text == "Your name is Edsger."


async def test_refusals_before_any_provider(server: Running) -> None:
    """A wrong field, path or provider: 422 and 404, with the server's words."""
    async with CopilotClient(base_url=server.url, max_retries=0) as client:
        with pytest.raises(BadRequestError, match="temperature") as wrong:
            await client.complete("Hello", temperature="warm")
        assert wrong.value.status == 422
    async with CopilotClient(base_url=f"{server.url}/nowhere", max_retries=0) as client:
        with pytest.raises(NotFoundError) as nowhere:
            await client.complete("Hello")
        assert nowhere.value.status == 404
    async with CopilotClient(base_url=server.url, max_retries=0) as client:
        with pytest.raises(NotFoundError, match="Nobody") as nobody:
            await client.complete("Hello", provider="Nobody")
        assert nobody.value.status == 404


async def test_a_silent_provider_runs_into_the_clock(server: Running) -> None:
    """A silent provider is SilenceTimeoutError, with the text so far."""
    timeouts = Timeouts(silence=0.4)
    async with CopilotClient(base_url=server.url, timeouts=timeouts) as client:
        with pytest.raises(SilenceTimeoutError) as caught:
            await client.complete("!quiet clock")
        await journalled(server, "left", tag="clock")
        with pytest.raises(SilenceTimeoutError):
            await client.complete("!slow 2")
    assert caught.value.reply is not None
    assert (caught.value.reply.text, caught.value.reply.end) == ("0 ", End.STALLED)


async def test_a_server_killed_mid_answer(server: Running) -> None:
    """A server killed in mid-answer is DisconnectedError, with the text so far."""

    async def kill_after_some(reply: Reply) -> None:
        async for text in reply:
            if text == "3 ":
                await asyncio.to_thread(server.stop, signal.SIGKILL)

    try:
        async with (
            CopilotClient(base_url=server.url) as client,
            client.stream("!endless killed") as reply,
        ):
            with pytest.raises(DisconnectedError) as caught:
                await kill_after_some(reply)
    finally:
        await asyncio.to_thread(server.start)
    assert reply.text.startswith("0 1 2 3 ")
    assert reply.end is End.DISCONNECTED
    assert caught.value.reply is reply


async def test_a_server_with_a_key(server: Running, found: Found, tmp_path: Path) -> None:
    """A server key: missing, wrong and right."""
    key, wrong = "right-key-0123456789", "wrong-key-0123456789"
    with launched(server.server, tmp_path / "keyed", INTEROP_SERVER_KEY=key) as keyed:
        async with CopilotClient(base_url=keyed.url, api_key=key) as client:
            assert (await client.complete("Hello")).text == "I am here."
        async with CopilotClient(base_url=keyed.url) as client:
            with pytest.raises(AuthenticationError) as missing:
                await client.complete("Hello")
        assert missing.value.status == 401
        async with CopilotClient(base_url=keyed.url, api_key=wrong) as client:
            if habits(server).wrong_key is None:
                assert (await client.complete("Hello")).text == "I am here."
                found.differs("takes any server key unless `cryptography` is installed")
                return
            with pytest.raises(AuthenticationError) as refused:
                await client.complete("Hello")
    assert refused.value.status == habits(server).wrong_key
    assert wrong not in f"{refused.value!s}{refused.value!r}{refused.value.body}"
