"""Tools, saved conversations, batches, and many conversations side by side."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

import async_copilot
from async_copilot import AuthenticationError, CopilotClient, StreamError
from async_copilot.fake_server import (
    ErrorFrame,
    FakeAnswer,
    FakeServer,
    FakeToolCall,
    Request,
    Script,
)

from .readme import code, recipe

# ------------------------------------------------------------------ tools

SCHEMAS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]


async def weather(city: str) -> str:
    return f"rain in {city}"


async def ask_with_tools(script: Script) -> tuple[str, list[str], FakeServer]:
    """Run the recipe; return the last text, what was shown, and the server."""
    shown: list[str] = []
    async with (
        FakeServer(script, dialect="openai") as server,
        CopilotClient(base_url=server.url) as client,
    ):
        chat = client.conversation(memory="client", model="m", tools=SCHEMAS)
        reply = await recipe("tools").ask(chat, "Umbrella?", {"weather": weather}, shown.append)
    return reply.text, shown, server


async def test_tools_are_called_and_the_text_is_shown_as_it_comes() -> None:
    calls = [FakeToolCall("weather", {"city": city}) for city in ("Ulm", "Köln")]
    text, shown, server = await ask_with_tools(
        [FakeAnswer(["Let me ", "see."], tool_calls=calls), FakeAnswer(["Take ", "one."])]
    )
    assert text == "Take one."
    assert shown == ["Let me ", "see.", "Take ", "one."]
    sent = server.requests[1].messages
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool"]
    assert [message["content"] for message in sent[2:]] == ["rain in Ulm", "rain in Köln"]
    ids = [call["id"] for call in sent[1]["tool_calls"]]
    assert [message["tool_call_id"] for message in sent[2:]] == ids


async def test_a_tool_that_fails_says_so_to_the_model() -> None:
    calls = [FakeToolCall("weather", "{}"), FakeToolCall("time"), FakeToolCall("weather", "{no")]
    text, _, server = await ask_with_tools([FakeAnswer(tool_calls=calls), "I cannot tell."])
    assert text == "I cannot tell."
    results = [message["content"] for message in server.requests[1].messages[2:]]
    assert [result.partition(":")[0] for result in results] == [
        "TypeError",
        "KeyError",
        "JSONDecodeError",
    ]


async def test_a_tool_without_arguments_is_called_without_any() -> None:
    async def time() -> str:
        return "noon"

    script: Script = [FakeAnswer(tool_calls=[FakeToolCall("time", "")]), "Noon."]
    async with (
        FakeServer(script, dialect="openai") as server,
        CopilotClient(base_url=server.url) as client,
    ):
        chat = client.conversation(memory="client", model="m", tools=SCHEMAS)
        await recipe("tools").ask(chat, "Time?", {"time": time}, str)
    assert server.requests[1].messages[2]["content"] == "noon"


async def test_a_call_that_was_cut_off_is_not_run() -> None:
    cut = FakeAnswer(tool_calls=[FakeToolCall("weather", '{"ci')], finish_reason="length")
    text, _, server = await ask_with_tools([cut])
    assert (text, len(server.requests)) == ("", 1)


async def test_a_model_that_only_calls_tools_is_stopped() -> None:
    again = FakeAnswer(tool_calls=[FakeToolCall("weather", {"city": "Ulm"})], times=None)
    _, _, server = await ask_with_tools([again])
    assert len(server.requests) == 10


def test_the_tool_loop_is_short() -> None:
    body = code("tools").partition("async def ask")[2]
    assert len([line for line in body.splitlines() if line.strip()]) <= 20


# ------------------------------------------------------------------ structured output

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "array"}},
    "required": ["city", "days"],
}


async def grown(wanted: object) -> tuple[object, list[object]]:
    """Run the recipe; return the object and what was shown of it."""
    pieces = ["\n", '{"city": "U', 'lm", "days": ["rain", "su', 'n"', "]}"]
    shown: list[object] = []
    async with (
        FakeServer(FakeAnswer(pieces, pace=4), dialect="openai") as server,
        CopilotClient(base_url=server.url) as client,
    ):
        whole = await recipe("structured").ask(client, "Weather?", wanted, shown.append)
        form = server.requests[0].body["response_format"]
    assert set(form["json_schema"]["schema"]["required"]) == {"city", "days"}
    return whole, shown


@pytest.mark.recipes
async def test_an_object_by_a_schema_is_shown_while_it_grows() -> None:
    whole, shown = await grown(SCHEMA)
    assert whole == {"city": "Ulm", "days": ["rain", "sun"]}
    assert shown[-1] == whole
    assert len(shown) > 1, "while it grew"
    before = [{"city": "U"}, {"city": "Ulm", "days": ["rain", "su"]}, whole]
    assert all(each in before for each in shown)


@pytest.mark.recipes
async def test_an_object_of_a_class_is_what_comes_out() -> None:
    from pydantic import BaseModel  # noqa: PLC0415  # fastapi brings it

    class Weather(BaseModel):
        city: str
        days: list[str]

    whole, _ = await grown(Weather)
    assert whole == Weather(city="Ulm", days=["rain", "sun"])


# ------------------------------------------------------------------ a database


def remembering(request: Request) -> str | FakeAnswer:
    if request.text == "fail":
        return FakeAnswer("Hal", fault=ErrorFrame("no"))
    return "You are " + request.known[0].rpartition(" ")[2] if request.known else "Hello"


async def test_a_conversation_goes_on_from_the_database(tmp_path: Path) -> None:
    """In another process as it were: each time with another client and another connection."""
    module = recipe("sqlite")
    async with FakeServer(remembering) as server:
        for name, question, answer in [
            ("a", "I am Ann", "Hello"),
            ("b", "I am Bob", "Hello"),
            ("a", "fail", None),
            ("a", "Who am I?", "You are Ann"),
            ("b", "Who am I?", "You are Bob"),
        ]:
            async with CopilotClient(base_url=server.url) as client:
                chats = module.Chats(tmp_path / "chats.db", client)
                if answer is None:
                    with pytest.raises(StreamError):
                        await module.ask(chats, name, question)
                else:
                    assert (await module.ask(chats, name, question)).text == answer
                chats.close()


async def test_two_clicks_on_one_conversation_wait_for_each_other(tmp_path: Path) -> None:
    module = recipe("sqlite")

    async def script(request: Request) -> str | FakeAnswer:
        await asyncio.sleep(0.1)
        return remembering(request)

    async with FakeServer(script) as server, CopilotClient(base_url=server.url) as client:
        chats = module.Chats(tmp_path / "chats.db", client)
        first, second = await asyncio.gather(
            module.ask(chats, "a", "I am Ann"), module.ask(chats, "a", "Who am I?")
        )
        chats.close()
    assert (first.text, second.text) == ("Hello", "You are Ann")


@pytest.mark.parametrize("begun", ["begun before", "begun by both"])
async def test_a_conversation_that_went_on_elsewhere_is_kept(tmp_path: Path, begun: str) -> None:
    module = recipe("sqlite")
    async with FakeServer(remembering) as server, CopilotClient(base_url=server.url) as client:
        here, there = (module.Chats(tmp_path / "chats.db", client) for _ in range(2))
        if begun == "begun before":
            await module.ask(here, "a", "I am Ann")

        async def ask_while_the_other_asks() -> None:
            async with here.open("a") as chat:
                await module.ask(there, "a", "I am Ann")
                await chat.ask("I am Bob")

        with pytest.raises(RuntimeError, match="'a' went on in another process"):
            await ask_while_the_other_asks()
        assert (await module.ask(here, "a", "Who am I?")).text == "You are Ann"
        here.close()
        there.close()


# ------------------------------------------------------------------ 200 prompts


class Batch:
    """The recipe as a script, on prompts of its own."""

    def __init__(self, folder: Path, server: FakeServer, prompts: list[str]) -> None:
        self.folder, self.answers = folder, folder / "answers.jsonl"
        script = code("jsonl").replace("http://localhost:1337/v1", server.url)
        (folder / "batch.py").write_text(script)
        (folder / "prompts.txt").write_text("\n".join(prompts), encoding="utf-8")

    async def start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "batch.py", "prompts.txt", "answers.jsonl"),
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(Path(async_copilot.__file__).parents[1])},
        )


@pytest.mark.recipes
async def test_two_hundred_prompts_twenty_at_a_time_survive_a_kill(tmp_path: Path) -> None:
    prompts = [f"Prompt {number}: grüß dich\u2028!" for number in range(200)]
    open_now = most = 0

    async def script(request: Request) -> str:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        try:
            await asyncio.sleep(0.05)
        finally:
            open_now -= 1
        return f"Answer to {request.text}"

    async with FakeServer(script) as server:
        batch = Batch(tmp_path, server, prompts)
        process = await batch.start()
        await server.until(lambda: len(server.requests) >= 80, within=60)
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        before = batch.answers.read_text().count("\n")
        with batch.answers.open("a") as file:
            file.write('{"number": 3, "prom')  # as a kill in mid-line leaves it
        asked = len(server.requests)
        process = await batch.start()
        _, stderr = await process.communicate()
        assert (process.returncode, most) == (0, 20)
        assert stderr.endswith(b"200 of 200")
        assert 0 < before < 200
        assert len(server.requests) - asked == 200 - before, "no prompt twice"
    lines = [json.loads(line) for line in batch.answers.read_text().splitlines()]
    assert sorted(line["prompt"] for line in lines) == sorted(prompts)
    assert all(line["text"] == f"Answer to {line['prompt']}" for line in lines)


async def test_a_prompt_that_failed_is_asked_again_by_the_next_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    well = False

    def script(request: Request) -> str | FakeAnswer:
        return "Fine" if well or request.text != "two" else FakeAnswer(status=400, error="no")

    prompts, answers = tmp_path / "prompts.txt", tmp_path / "answers.jsonl"
    prompts.write_text("one\ntwo\n\ntwo\nthree\n")
    async with FakeServer(script) as server:
        run = recipe("jsonl", BASE_URL=server.url).run
        assert await run(prompts, answers) == 2
        assert capsys.readouterr().err.count("\nprompt ") == 2
        lines = [json.loads(line) for line in answers.read_text().splitlines()]
        assert sorted(line["prompt"] for line in lines) == ["one", "three"]
        assert {line["finish_reason"] for line in lines} == {"stop"}
        well = True
        assert await run(prompts, answers) == 0
        assert len(server.requests) == 6
        assert await run(prompts, answers) == 0
        assert len(server.requests) == 6


# ------------------------------------------------------------------ a thousand conversations


async def talk_all(conversations: int) -> None:
    """Greet and ask in each; check memory, the semaphore, and that a failure is one."""
    open_now = most = 0

    async def script(request: Request) -> str | FakeAnswer:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0)
        open_now -= 1
        if request.text == "I am number 7":
            return FakeAnswer(status=401, error="not you")
        return f"You are {request.known[0].rpartition(' ')[2]}" if request.known else "Hello"

    questions = [(f"I am number {number}", "Who am I?") for number in range(conversations)]
    async with FakeServer(script) as server, CopilotClient(base_url=server.url) as client:
        results = await recipe("thousand").talk_all(client, questions, at_once=10)
        assert server.connections <= 10
    assert len(results) == conversations
    for number, result in enumerate(results):
        if number == 7:
            assert isinstance(result, AuthenticationError)
        else:
            assert [reply.text for reply in result] == ["Hello", f"You are {number}"]
    assert most <= 10


async def test_conversations_side_by_side_keep_apart() -> None:
    await talk_all(20)


@pytest.mark.recipes
async def test_a_thousand_conversations_keep_apart() -> None:
    await talk_all(1000)
