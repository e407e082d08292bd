"""Leaving early, in every way there is: the server sees it, nothing is left over."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from fault_client import FAST, KEY, ask, together
from fault_script import HELLO, HOLD, SSE, Answer, Repeat, json_answer, said
from fault_server import FaultServer

from async_copilot import (
    ClientClosedError,
    CopilotClient,
    CopilotError,
    End,
    ReplyInUseError,
    Timeouts,
    content_deltas,
)

ENDLESS: Answer = (SSE, Repeat(said("x"), every=0.02))
OPEN: Answer = (SSE, said("Hel"), HOLD)


@asynccontextmanager
async def talking(*answers: Answer) -> AsyncIterator[tuple[FaultServer, CopilotClient]]:
    """A server and a client with long clocks: whoever leaves here, no clock made them."""
    async with (
        FaultServer(*answers) as server,
        CopilotClient(base_url=server.url, api_key=KEY, timeouts=Timeouts()) as client,
    ):
        yield server, client


async def test_break_closes_the_connection() -> None:
    async with talking(ENDLESS) as (server, client):
        async with client.stream("Hello") as reply:
            async for _ in reply:
                break
        await server.left()
    assert reply.end is End.CANCELLED
    assert reply.text.startswith("x")


async def test_an_exception_in_the_block_closes_the_connection() -> None:
    async with talking(ENDLESS) as (server, client):
        with pytest.raises(KeyError, match="mine"):  # noqa: PT012  # the block is the scene
            async with client.stream("Hello") as reply:
                async for _ in reply:
                    raise KeyError("mine")
        await server.left()
    assert reply.end is End.CANCELLED


async def test_leaving_without_reading_closes_the_connection() -> None:
    async with talking(ENDLESS) as (server, client):
        async with client.stream("Hello") as reply:
            pass
        await server.left()
    assert reply.end is End.CANCELLED
    assert reply.text == ""


async def test_cancelling_a_waiting_task_closes_the_connection() -> None:
    """And the CancelledError is the bare one, with nothing of ours around it."""
    async with talking(OPEN) as (server, client):
        replies = []

        async def read() -> None:
            async with client.stream("Hello") as reply:
                replies.append(reply)
                async for _ in reply:
                    pass

        reading = asyncio.create_task(read())
        await server.received()
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await reading
        await server.left()
    assert type(caught.value) is asyncio.CancelledError
    assert not isinstance(caught.value, CopilotError)
    assert replies[0].end is End.CANCELLED
    assert replies[0].text == "Hel"


async def test_cancelling_before_the_headers_closes_the_connection() -> None:
    async with talking((HOLD,)) as (server, client):
        asking = asyncio.create_task(ask(server, client=client))
        await server.received()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await server.left()
    assert len(server.requests) == 1, "a cancelled request is not sent again"


async def test_a_timeout_of_the_caller_is_the_callers() -> None:
    """asyncio.timeout() around it ends in TimeoutError, not in an error of ours."""
    async with talking(OPEN) as (server, client):
        with pytest.raises(TimeoutError) as caught:  # noqa: PT012  # the block is the scene
            async with asyncio.timeout(0.1), client.stream("Hello") as reply:
                async for _ in reply:
                    pass
        await server.left()
    assert type(caught.value) is TimeoutError
    assert reply.end is End.CANCELLED
    assert reply.text == "Hel"


async def test_a_timeout_of_the_caller_inside_the_stream_is_the_callers_too() -> None:
    async with talking(OPEN) as (server, client):
        async with client.stream("Hello") as reply:
            with pytest.raises(TimeoutError):  # noqa: PT012  # the block is the scene
                async with asyncio.timeout(0.1):
                    async for _ in reply:
                        pass
        await server.left()
    assert reply.end is End.CANCELLED


async def test_complete_can_be_cancelled() -> None:
    async with talking(OPEN) as (server, client):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.complete("Hello"), 0.1)
        await server.left()


async def test_closing_the_client_ends_a_running_reply_with_a_typed_error() -> None:
    """aiohttp leaves the reader waiting for ever here."""
    async with talking(OPEN) as (server, client):
        reading = asyncio.create_task(ask(server, client=client))
        await server.received()
        await asyncio.sleep(0.05)
        await client.aclose()
        outcome = await asyncio.wait_for(reading, 1.0)
        await server.left()
    outcome.failed(ClientClosedError, RuntimeError, text="Hel")
    assert outcome.reply is not None
    assert outcome.reply.end in (End.CANCELLED, End.DISCONNECTED)


async def test_closing_the_client_ends_a_request_without_headers_too() -> None:
    async with talking((HOLD,)) as (server, client):
        reading = asyncio.create_task(ask(server, client=client))
        await server.received()
        await asyncio.sleep(0.05)
        await client.aclose()
        outcome = await asyncio.wait_for(reading, 1.0)
        await server.left()
    outcome.failed(ClientClosedError, RuntimeError)
    assert len(server.requests) == 1


async def test_closing_the_client_ends_a_pause_between_two_tries() -> None:
    async with talking(json_answer(429, {}, Retry_After=20)) as (server, client):
        reading = asyncio.create_task(ask(server, client=client))
        await server.received()
        await asyncio.sleep(0.05)
        await client.aclose()
        outcome = await asyncio.wait_for(reading, 1.0)
    assert isinstance(outcome.error, CopilotError)
    assert len(server.requests) == 1


async def test_a_closed_client_says_so_and_closes_twice() -> None:
    async with talking(HELLO) as (server, client):
        (await ask(server, client=client)).ended(End.COMPLETE, "Hello")
        await client.aclose()
        await client.aclose()
        outcome = await ask(server, client=client)
    outcome.failed(ClientClosedError, RuntimeError, within=0.1)
    assert len(server.requests) == 1


async def test_a_closed_borrowed_session_says_so() -> None:
    async with FaultServer(HELLO) as server:
        session = aiohttp.ClientSession()
        await session.close()
        outcome = await ask(server, session=session)
    outcome.failed(ClientClosedError, RuntimeError, says=["session"])


async def test_closing_a_borrowed_session_under_a_reply_does_not_hang() -> None:
    async with FaultServer(OPEN) as server:
        session = aiohttp.ClientSession()
        async with CopilotClient(base_url=server.url, session=session, timeouts=FAST) as client:
            reading = asyncio.create_task(ask(server, client=client))
            await server.received()
            await asyncio.sleep(0.05)
            await session.close()
            outcome = await asyncio.wait_for(reading, 2.0)
    assert isinstance(outcome.error, CopilotError)
    assert outcome.text == "Hel"


async def test_two_hundred_streams_cancelled_at_once_all_leave() -> None:
    async with talking(OPEN) as (server, client):
        reading = [asyncio.create_task(ask(server, client=client)) for _ in range(200)]
        await server.received(200, within=10)
        await asyncio.sleep(0.05)
        for task in reading:
            task.cancel()
        ended = await asyncio.gather(*reading, return_exceptions=True)
        await server.left(200, within=1.5)
    assert {type(one) for one in ended} == {asyncio.CancelledError}


async def test_a_task_group_that_fails_takes_its_streams_with_it() -> None:
    async with talking(OPEN) as (server, client):
        with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012  # the block is the scene
            async with asyncio.TaskGroup() as group:
                for _ in range(5):
                    group.create_task(client.complete("Hello"))
                await server.received(5)
                raise KeyError("mine")
        await server.left(5)
    assert [type(error) for error in caught.value.exceptions] == [KeyError]


async def test_a_generator_that_is_only_dropped_lets_go_of_the_connection() -> None:
    """Nobody called aclose(): garbage collection and the loop's hook must do."""
    async with FaultServer(ENDLESS) as server, aiohttp.ClientSession() as session:

        async def taste() -> str:
            response = await session.post(server.url, json={})
            async for text in content_deltas(response):
                return text
            return ""

        assert await taste() == "x"
        gc.collect()
        await server.left()


async def test_leaving_content_deltas_early_closes_the_borrowed_response() -> None:
    async with FaultServer(ENDLESS) as server, aiohttp.ClientSession() as session:
        async with session.post(server.url, json={}) as response:
            async for _ in content_deltas(response):
                break
        await server.left()


async def test_after_leaving_the_client_goes_on() -> None:
    async with talking(ENDLESS, HELLO) as (server, client):
        async with client.stream("Hello") as reply:
            async for _ in reply:
                break
        (await ask(server, client=client)).ended(End.COMPLETE, "Hello")
        await server.left()
    assert len(server.connections) == 2, "half an answer is not a connection to use again"


async def test_one_reply_has_one_reader() -> None:
    async with talking(OPEN) as (server, client), client.stream("Hello") as reply:
        texts = aiter(reply)
        assert await anext(texts) == "Hel"
        with pytest.raises(ReplyInUseError):
            await anext(aiter(reply.chunks()))
        waiting = asyncio.ensure_future(anext(texts))
        await asyncio.sleep(0)
        with pytest.raises((ReplyInUseError, RuntimeError)):
            await anext(aiter(reply))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert len(server.requests) == 1


# Ends of the whole program, each in a process of its own that must die in silence.

PROGRAM = """
import asyncio, gc, sys
from async_copilot import CopilotClient, Timeouts

async def main(url):
    asyncio.get_running_loop().slow_callback_duration = 60  # a loaded machine is not a fault
    {body}

try:
    asyncio.run(main(sys.argv[1]))
except (KeyboardInterrupt, SystemExit):
    pass
"""

PROGRAMS = {
    "exit-in-the-middle": "async with CopilotClient(base_url=url) as client:\n"
    "        async with client.stream('Hello') as reply:\n"
    "            async for _ in reply:\n"
    "                sys.exit()",
    "task-left-running": "client = CopilotClient(base_url=url)\n"
    "    async def read(seen):\n"
    "        async with client:\n"
    "            async with client.stream('Hello') as reply:\n"
    "                async for _ in reply: seen.set()\n"
    "    seen = asyncio.Event()\n"
    "    globals()['kept'] = asyncio.create_task(read(seen))\n"
    "    await seen.wait()",
    "generator-left-suspended": "async with CopilotClient(base_url=url) as client:\n"
    "        async with client.stream('Hello') as reply:\n"
    "            texts = aiter(reply)\n"
    "            await anext(texts)\n"
    "            globals()['kept'] = texts",
    "keyboard-interrupt": "import os, signal\n"
    "    async with CopilotClient(base_url=url) as client:\n"
    "        async with client.stream('Hello') as reply:\n"
    "            async for _ in reply:\n"
    "                os.kill(os.getpid(), signal.SIGINT)",
}


async def test_a_program_that_ends_with_a_stream_open_dies_in_silence() -> None:
    """No "Unclosed...", no "Event loop is closed", no "Task was destroyed", no ResourceWarning."""

    async def die(body: str) -> None:
        program = textwrap.dedent(PROGRAM).format(body=body)
        async with FaultServer(ENDLESS) as server:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-X", "dev", "-W", "error", "-c", program, server.url),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
            )
            out, err = await asyncio.wait_for(process.communicate(), 20)
            await server.left()
        assert err.decode() == ""
        assert out == b""
        assert process.returncode == 0

    await together({name: die(body) for name, body in PROGRAMS.items()})
