"""The blocks of every README are run; those of the first page here."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from async_copilot.fake_server import FakeServer, Request

from .readme import blocks, names, recipe


def test_every_block_is_run() -> None:
    """As a recipe, or as a session of the console; nothing else stands in a fence."""
    others = [
        f"{block.page}: {block.code[:60]}"
        for block in blocks()
        if not block.name and block.language != "console"
    ]
    assert not others


def test_every_recipe_is_run() -> None:
    tests = Path(__file__).parents[1]
    run = {
        name
        for file in [*tests.glob("recipes/*.py"), *tests.glob("browser/*.py")]
        for name in re.findall(r'\b(?:recipe|code)\(\s*"([\w-]+)"', file.read_text())
    }
    assert sorted(run) == sorted(names())


async def test_the_doors_open(capsys: pytest.CaptureFixture[str]) -> None:
    def remembering(request: Request) -> str:
        return "Your name is Heiner." if "Heiner" in "".join(request.known) else "Hello!"

    async with FakeServer(remembering) as server:
        doors = recipe("doors", BASE_URL=server.url)
        await doors.door_1_your_own_response()
        assert "Hello" in capsys.readouterr().out
        await doors.door_2_a_client()
        assert "End.COMPLETE stop" in capsys.readouterr().out
        saved = await doors.door_3_a_conversation()
        assert "Your name is Heiner" in capsys.readouterr().out
    assert len(saved["history"]) == 4


async def test_the_tests_pass_that_show_the_fake_server() -> None:
    """With the fixture's value, since the fixture itself wants the package installed."""
    module = recipe("fake-server")
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        assert list(inspect.signature(test).parameters) == ["fake_chat_server"]
        await test(FakeServer)
