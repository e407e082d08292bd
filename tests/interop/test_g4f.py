"""The client end to end against real g4f API servers: the job and the doors.

Enters: each release of ``SERVERS``, running (see ``servers``). Leaves: rows of the
"Works with" table. I/O: loopback only.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from async_copilot import (
    CopilotClient,
    End,
    UnexpectedContentError,
    content_deltas,
    post_request,
)

from .conftest import Found
from .habits import ASK, habits, introduction
from .launchers.behaviour import STRANGE
from .servers import G4F, Running

pytestmark = pytest.mark.interop
SERVERS = G4F
ROOT = Path(__file__).parents[2]


def test_the_command_learns_the_name_and_knows_it(server: Running, found: Found) -> None:
    """`python -m async_copilot`: the second answer knows the name."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("ASYNC_COPILOT_")}
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "async_copilot", "--url", server.url],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Hello Heiner! I am fine, thank you." in done.stdout
    assert "Your name is Heiner." in done.stdout
    found.figure = f"{time.monotonic() - began:.2f} s"


async def test_post_request_does_the_job_in_a_running_loop(
    server: Running,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`await post_request()`: both turns, printed."""
    monkeypatch.setenv("ASYNC_COPILOT_URL", server.url)
    await post_request()
    assert "Your name is Heiner." in capsys.readouterr().out


async def test_content_deltas_reads_a_response_of_your_own(server: Running) -> None:
    """Door 1: `content_deltas(response)`."""
    body = {
        "model": "",
        "provider": "Copilot",
        "stream": True,
        "messages": [{"role": "user", "content": "!count 500"}],
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/chat/completions", json=body) as response,
    ):
        pieces = [text async for text in content_deltas(response)]
    assert pieces == [f"{n} " for n in range(500)]


async def test_stream_and_complete_give_the_same_answer(server: Running) -> None:
    """Door 2: `client.stream()` and `client.complete()`."""
    async with CopilotClient(base_url=server.url) as client:
        async with client.stream("Anybody there?") as reply:
            pieces = [text async for text in reply]
        whole = await client.complete([{"role": "user", "content": "Anybody there?"}])
    assert pieces == ["I ", "am ", "here."]
    assert reply.text == whole.text == "I am here."
    assert reply.end is whole.end is End.COMPLETE
    assert reply.finish_reason == whole.finish_reason == "stop"
    assert reply.usage is not None
    assert reply.provider == ("Copilot" if habits(server).typed else None)


async def test_a_conversation_remembers(server: Running, found: Found) -> None:
    """Door 3: `client.conversation()` remembers."""
    known = len(server.journal("asked"))
    async with CopilotClient(base_url=server.url) as client:
        chat = client.conversation()
        async with chat.stream(introduction("Ada")) as first:
            assert "".join([text async for text in first]) == "Hello Ada! I am fine, thank you."
        second = await chat.ask(ASK)
    assert second.text == "Your name is Ada."
    assert [message["role"] for message in chat.history] == ["user", "assistant"] * 2
    asked = server.journal("asked")[known:]
    assert [entry["roles"] for entry in asked] == [["user"], ["user"]]
    if habits(server).handle:
        assert second.conversation == first.conversation is not None
        assert second.remembered is True
    else:
        assert second.remembered is None
        assert second.conversation is None
        found.differs("remembers by `conversation_id`, replies carry no `conversation`")


async def test_reasoning_stays_apart_where_the_server_keeps_it_apart(
    server: Running, found: Found
) -> None:
    """Reasoning stays apart from the text."""
    async with CopilotClient(base_url=server.url) as client:
        reply = await client.complete("!reasoning")
    thought = "The user greets. I greet back."
    if habits(server).typed:
        assert (reply.reasoning, reply.text) == (thought, "Hello!")
    else:
        assert (reply.reasoning, reply.text) == ("", f"{thought}Hello!")
        found.figure = "mixed"
        found.differs("mixes reasoning into the text")


async def test_tool_calls_arrive_whole(server: Running, found: Found) -> None:
    """Tool calls arrive, with their arguments."""
    async with CopilotClient(base_url=server.url) as client:
        reply = await client.complete("!tools")
    assert reply.text == "Let me look. "
    assert reply.finish_reason == "stop"
    calls = [(call.id, call.name, call.arguments) for call in reply.tool_calls]
    if habits(server).typed:
        weather, clock = calls
        assert weather[:2] == ("call_1", "get_weather")
        assert json.loads(weather[2]) == {"city": "Köln"}
        assert clock == ("call_2", "get_time", "{}")
    else:
        assert calls == []
        found.figure = "dropped"
        found.differs("drops tool calls from a stream")


async def test_an_answer_in_one_piece(server: Running, found: Found) -> None:
    """`stream=False`: the answer in one piece, remembered too."""
    async with CopilotClient(base_url=server.url) as client:
        reply = await client.complete("Anybody there?", stream=False)
        assert (reply.text, reply.end) == ("I am here.", End.COMPLETE)
        chat = client.conversation()
        if habits(server).handle:
            await chat.ask(introduction("Donald"), stream=False)
            assert (await chat.ask(ASK, stream=False)).text == "Your name is Donald."
            return
        with pytest.raises(UnexpectedContentError):
            await chat.ask(introduction("Donald"), stream=False)
        found.figure = "no answer"
        found.differs("gives no answer to `stream=False` with a `conversation_id`")


async def test_text_comes_as_the_provider_makes_it(server: Running, found: Found) -> None:
    """Text arrives as the provider makes it (median and longest delay)."""
    async with (
        CopilotClient(base_url=server.url) as client,
        client.stream("!clock 25") as reply,
    ):
        delays = sorted([time.time() - float(text) async for text in reply])
    assert len(delays) == 25
    assert delays[12] < 0.1
    found.figure = f"{delays[12] * 1000:.1f} ms, {delays[-1] * 1000:.0f} ms"


async def test_a_slow_first_piece_is_waited_for(server: Running, found: Found) -> None:
    """A slow first piece is waited for (seconds to the headers)."""
    async with CopilotClient(base_url=server.url) as client:
        reply = await client.complete("!slow 1")
    assert (reply.text, reply.end) == ("two.", End.COMPLETE)
    assert reply.timing.headers is not None
    assert (reply.timing.headers >= 1) is habits(server).statuses
    found.figure = f"{reply.timing.headers:.2f} s"


async def test_strange_characters_and_a_huge_piece_come_whole(server: Running) -> None:
    """Line separators, NUL, a false [DONE], emoji; one piece of 1.2 MB."""
    async with CopilotClient(base_url=server.url) as client:
        strange = await client.complete("!strange")
        huge = await client.complete("!huge")
    assert strange.text == STRANGE
    assert huge.text == "x" * 1200000


async def test_a_slow_reader_holds_the_provider_back(server: Running, found: Found) -> None:
    """A slow reader holds the provider back (of 20 MB)."""
    known = len(server.journal("flooded"))
    async with CopilotClient(base_url=server.url) as client, client.stream("!flood 300") as reply:
        size = 0
        async for text in reply:
            if not size:
                await asyncio.sleep(0.7)
                assert len(server.journal("flooded")) == known
            size += len(text)
    assert size == 300 * 2**16
    assert len(server.journal("flooded")) == known + 1
