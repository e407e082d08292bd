"""The blocks of every README are run; those of the first page here."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from async_copilot import CopilotClient
from async_copilot.fake_server import FakeAnswer, FakeServer, FakeToolCall, Request

from .readme import ROOT, blocks, code, names, recipe


def test_every_block_is_run() -> None:
    """As a recipe, or as a session of the console; nothing else stands in a fence."""
    others = [
        f"{block.page}: {block.code[:60]}"
        for block in blocks()
        if not block.name and block.language != "console"
    ]
    assert not others


def test_every_recipe_is_run() -> None:
    run = {
        name
        for file in Path(__file__).parents[1].rglob("*.py")
        for name in re.findall(r'\b(?:recipe|code)\(\s*"([\w-]+)"', file.read_text())
    }
    assert sorted(run) == sorted(names())


def remembering(request: Request) -> str:
    return "Your name is Heiner." if "Heiner" in "".join(request.known) else "Hello!"


async def test_the_first_program_streams_and_completes(capsys: pytest.CaptureFixture[str]) -> None:
    async with FakeServer(["Hello", "Again"]) as server:
        await recipe("first-program", BASE_URL=server.url).main()
        assert [request.text for request in server.requests] == ["Hello", "Hello again"]
    first, _, rest = capsys.readouterr().out.partition("End.COMPLETE stop ")
    assert first == "Hello"
    assert rest.endswith("\nAgain\n")


async def test_an_image_goes_along_with_its_question(tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    async with FakeServer("A dot.") as server, CopilotClient(base_url=server.url) as client:
        answer = await recipe("messages").describe(client, tmp_path / "dot.png")
        (message,) = server.requests[0].messages
    assert answer == "A dot."
    assert [part["type"] for part in message["content"]] == ["text", "image_url"]
    assert server.requests[0].body["temperature"] == 0.2


async def test_the_conversation_remembers_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    async with FakeServer(remembering) as server, CopilotClient(base_url=server.url) as client:
        chat = await recipe("conversation").talk(client)
        assert "Your name is Heiner" in capsys.readouterr().out
        assert len(chat.history) == 2, "one turn was taken back"
        await chat.ask("And mine?")
        assert "Heiner" in server.requests[-1].text, "told again, since the turn was taken back"


async def test_another_server_gets_the_history_with_calls_and_results() -> None:
    script = [FakeAnswer(tool_calls=[FakeToolCall("weather")]), "Take one."]
    schema = {"type": "function", "function": {"name": "weather", "parameters": {}}}
    async with FakeServer(script, dialect="openai") as server:
        assert await recipe("conversation").weather(server.url, [schema]) == "Take one."
        sent = server.requests[1]
    assert [message["role"] for message in sent.messages] == ["user", "assistant", "tool"]
    assert sent.body["model"] == "llama3"
    assert "provider" not in sent.body


async def test_a_response_of_ones_own_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    async with FakeServer("Hello") as server:
        await recipe("own-response", BASE_URL=server.url).main()
    assert capsys.readouterr().out.startswith("HelloEnd.COMPLETE {")


def test_the_logger_is_turned_on() -> None:
    """With its lines, and in a process of its own: basicConfig() is for good."""
    script = code("logging") + dedent(
        """
        import asyncio
        from async_copilot import CopilotClient
        from async_copilot.fake_server import FakeServer

        async def main():
            async with FakeServer("An answer") as server:
                async with CopilotClient(base_url=server.url) as client:
                    await client.complete("A prompt")

        asyncio.run(main())
        """
    )
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    assert "DEBUG:async_copilot:" in ran.stderr
    assert "A prompt" not in ran.stderr
    assert "An answer" not in ran.stderr


async def test_the_test_passes_that_shows_the_fake_server() -> None:
    """With the fixture's value, since the fixture itself wants the package installed."""
    test = recipe("fake-server").test_a_busy_server_is_asked_again
    assert list(inspect.signature(test).parameters) == ["fake_chat_server"]
    await test(FakeServer)


def test_the_first_page_stays_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 320


BLOCK = re.DOTALL | re.MULTILINE


def test_every_link_leads_somewhere() -> None:
    for page in {block.page for block in blocks()}:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=BLOCK)
        anchors = {anchor(title) for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
        for target in re.findall(r"\]\(([^)]+)\)", text):
            if target.startswith("#"):
                assert target[1:] in anchors, f"{page}: {target}"
            elif not target.startswith("https://"):
                assert (page.parent / target.partition("#")[0]).exists(), f"{page}: {target}"


def anchor(title: str) -> str:
    """Return the anchor that GitHub makes of a title."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
