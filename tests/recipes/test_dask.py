"""Fan-out with Dask: as a script, on real worker processes; one of them is killed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import async_copilot
from async_copilot.fake_server import FakeAnswer, FakeServer, Request

from .readme import code

pytestmark = pytest.mark.recipes

QUESTIONS = [f"question-{number}" for number in range(24)]


@asynccontextmanager
async def fan_out(folder: Path, server: FakeServer) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the recipe as the script it is."""
    script = folder / "fan_out.py"
    script.write_text(code("dask"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(script), server.url, *QUESTIONS),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(async_copilot.__file__).parents[1])},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def assert_all_answered(process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(120):
        stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    answers = sorted(f"{question} You asked {question}" for question in QUESTIONS)
    assert sorted(stdout.decode().splitlines()) == answers, stderr.decode()


async def test_every_question_has_its_reply_from_a_client_for_each_worker(tmp_path: Path) -> None:
    def script(request: Request) -> FakeAnswer:
        return FakeAnswer(f"You asked {request.text}", delay=0.05)

    async with FakeServer(script) as server, fan_out(tmp_path, server) as process:
        await assert_all_answered(process)
        assert sorted(request.text for request in server.requests) == sorted(QUESTIONS)
        assert server.connections <= 8, "two workers, each with four tasks and one client"


async def test_a_worker_that_dies_loses_nothing(tmp_path: Path) -> None:
    """It is killed in the middle of its answers; another one asks again."""

    def script(request: Request) -> FakeAnswer:
        return FakeAnswer(["You asked ", request.text], delay=0.1, pace=4)

    async with FakeServer(script) as server, fan_out(tmp_path, server) as process:
        await server.until(lambda: len(server.requests) >= 4, within=60)
        kill_a_worker(process.pid, server)
        await assert_all_answered(process)
        assert server.disconnects > 0, "its answers were under way"
        assert len(server.requests) > len(QUESTIONS)
        assert {request.text for request in server.requests} == set(QUESTIONS)


def kill_a_worker(scheduler: int, server: FakeServer) -> None:
    """Kill one of the processes below scheduler that are connected to server."""
    import psutil  # noqa: PLC0415  # distributed brings it

    port = int(server.url.split(":")[2].split("/")[0])
    for child in psutil.Process(scheduler).children(recursive=True):
        if any(each.raddr and each.raddr.port == port for each in child.net_connections("tcp")):
            child.kill()
            return
    raise AssertionError("no worker talks to the server")
