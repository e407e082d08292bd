"""The fake server as the server of another client: the openai package.

It is imported by the tests that run, so that a run without it can collect this file.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import importlib
import json
import subprocess
import sys
import tarfile
from typing import Any

import aiohttp
import pytest
from recipes.readme import recipe

from async_copilot.fake_server import (
    Close,
    ErrorFrame,
    FakeAnswer,
    FakeServer,
    FakeToolCall,
    Pace,
    Repeat,
    Request,
    Reset,
    Stall,
)

pytestmark = pytest.mark.interop

MESSAGES: Any = [{"role": "user", "content": "Hello, I am Heiner. How are you?"}]
DIALECTS: list[Any] = ["g4f", "g4f-8.1.7", "g4f-0.4.9.0", "openai", "azure", "litellm", "llama"]
SNAPSHOTS_OF = "openai==3.57.0"


def openai(name: str) -> Any:
    """A class of the openai package."""
    return getattr(importlib.import_module("openai"), name)


def client_of(server: FakeServer, **options: Any) -> Any:
    defaults: dict[str, Any] = {"api_key": "sk-test", "max_retries": 0, "timeout": 5}
    return openai("AsyncOpenAI")(base_url=server.url, **(defaults | options))


async def streamed(client: Any, **options: Any) -> list[Any]:
    """Every chunk of one streamed completion."""
    stream = await client.chat.completions.create(
        model="m", messages=MESSAGES, stream=True, **options
    )
    async with stream:
        chunks = [chunk async for chunk in stream]
    # It leaves its generators to be closed by the loop, in turns of their own.
    gc.collect()
    await asyncio.sleep(0.01)
    return chunks


def text_of(chunks: list[Any]) -> str:
    return "".join(
        choice.delta.content or "" for chunk in chunks for choice in chunk.choices if choice.delta
    )


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_arrives_in_every_dialect(dialect: Any) -> None:
    async with (
        FakeServer("Grüße, 世界!", dialect=dialect) as server,
        client_of(server) as client,
    ):
        for _ in range(3):
            chunks = await streamed(client)
            assert text_of(chunks) == "Grüße, 世界!"
            assert chunks[-1].choices[0].finish_reason == "stop"
        assert server.disconnects == 0


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_whole_completion_arrives_in_every_dialect(dialect: Any) -> None:
    async with FakeServer("Hello", dialect=dialect) as server, client_of(server) as client:
        whole = await client.chat.completions.create(model="m", messages=MESSAGES)
    assert whole.choices[0].message.content == "Hello"


async def test_the_demo_remembers_the_name_by_the_echo() -> None:
    async with FakeServer() as server, client_of(server) as client:
        *_, last = await streamed(client)
        question: Any = [{"role": "user", "content": "Who am I?"}]
        echo = {"conversation": last.model_extra["conversation"]}
        answer = await client.chat.completions.create(model="", messages=question, extra_body=echo)
    content = answer.choices[0].message.content
    assert content is not None
    assert content.startswith("Your name is Heiner.")


async def test_pieces_arrive_while_the_stream_runs() -> None:
    async with (
        FakeServer(FakeAnswer(["a"] * 5, pace=Pace(20))) as server,
        client_of(server) as client,
    ):
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        async for _ in stream:
            assert server.requests[0].ended is None
            break
        await stream.close()


async def test_connections_are_kept_alive() -> None:
    script: Any = [FakeAnswer("Hello"), FakeAnswer(status=400), FakeAnswer("Hello")]
    async with FakeServer(script, dialect="openai") as server, client_of(server) as client:
        await streamed(client)
        with pytest.raises(openai("BadRequestError")):
            await streamed(client)
        await streamed(client)
        assert server.connections == 1


@pytest.mark.parametrize("dialect", ["openai", "litellm", "llama"])
async def test_tool_calls_are_put_together(dialect: Any) -> None:
    answer = FakeAnswer(tool_calls=[FakeToolCall("get_weather", {"city": "Köln"})])
    async with FakeServer(answer, dialect=dialect) as server, client_of(server) as client:
        calls = [
            call
            for chunk in await streamed(client)
            for choice in chunk.choices
            for call in choice.delta.tool_calls or ()
        ]
    assert calls[0].function.name == "get_weather"
    assert "".join(call.function.arguments for call in calls) == '{"city": "Köln"}'


async def test_usage_comes_when_asked_for() -> None:
    async with FakeServer("Hello", dialect="openai") as server, client_of(server) as client:
        *_, last = await streamed(client, stream_options={"include_usage": True})
    assert last.usage.total_tokens > 0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (404, "NotFoundError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
    ],
)
@pytest.mark.parametrize("dialect", ["g4f", "openai"])
async def test_statuses_become_its_errors(status: int, kind: str, dialect: Any) -> None:
    answer = FakeAnswer(status=status, error="because")
    async with FakeServer(answer, dialect=dialect) as server, client_of(server) as client:
        with pytest.raises(openai(kind), match="because"):
            await streamed(client)


async def test_a_wrong_key_is_an_authentication_error() -> None:
    async with (
        FakeServer("Hello", dialect="openai", api_key="right") as server,
        client_of(server) as wrong,
        client_of(server, api_key="right") as right,
    ):
        with pytest.raises(openai("AuthenticationError")):
            await streamed(wrong)
        assert text_of(await streamed(right)) == "Hello"


async def test_it_retries_as_the_script_wants_it_to() -> None:
    script: Any = [FakeAnswer(status=503, retry_after=0.05, times=2), "Hello"]
    async with FakeServer(script) as server, client_of(server, max_retries=2) as client:
        assert text_of(await streamed(client)) == "Hello"
        assert [request.status for request in server.requests] == [503, 503, 200]


async def test_an_error_in_the_stream_is_its_api_error() -> None:
    async with (
        FakeServer(FakeAnswer("ab", fault=ErrorFrame("boom"))) as server,
        client_of(server) as client,
    ):
        with pytest.raises(openai("APIError"), match="boom"):
            await streamed(client)


@pytest.mark.parametrize("fault", [Close(after=1), Reset(after=1), Stall(after=1)])
async def test_a_broken_stream_is_an_error_of_its_transport(fault: Any) -> None:
    """Whatever class it is: the openai package lets errors of httpx through here."""
    async with (
        FakeServer(FakeAnswer(["a", "b"], fault=fault)) as server,
        client_of(server, timeout=0.5) as client,
    ):
        with pytest.raises(Exception) as caught:  # noqa: PT011  # see the docstring
            await streamed(client)
        assert not isinstance(caught.value, AssertionError)


async def test_its_leaving_is_noticed() -> None:
    async with (
        FakeServer(FakeAnswer("tick ", pace=200, fault=Repeat())) as server,
        client_of(server) as client,
    ):
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        async for _ in stream:
            break
        await stream.close()
        await server.until(lambda: server.disconnects == 1, within=1)


async def test_many_of_its_streams_run_side_by_side() -> None:
    async with FakeServer(lambda request: request.text) as server, client_of(server) as client:

        async def one(number: int) -> None:
            said: Any = [{"role": "user", "content": f"number {number}"}]
            stream = await client.chat.completions.create(model="m", messages=said, stream=True)
            chunks = [chunk async for chunk in stream]
            assert text_of(chunks) == f"number {number}"

        await asyncio.gather(*(one(number) for number in range(100)))


# ---- through the fixture


def test_code_that_uses_openai_needs_no_change(fake_openai: FakeServer) -> None:
    recipe("fake-openai").test_the_greeting(fake_openai)


def test_a_snapshot_of_what_the_model_said(fake_openai: FakeServer) -> None:
    recipe("fake-snapshot").test_what_the_model_said_is_kept(fake_openai)


async def test_azures_own_client_is_answered() -> None:
    async with FakeServer("Hello", dialect="azure", api_key="k" * 32) as server:
        options = {"azure_endpoint": server.origin, "api_version": "2024-10-21"}
        async with openai("AsyncAzureOpenAI")(api_key="k" * 32, **options) as client:
            chunks = await streamed(client)
            whole = await client.chat.completions.create(model="m", messages=MESSAGES)
    assert text_of(chunks) == whole.choices[0].message.content == "Hello"


async def test_embeddings_and_older_completions_arrive() -> None:
    async with FakeServer("Hello", dialect="openai") as server, client_of(server) as client:
        vectors = (await client.embeddings.create(model="e", input=["a", "a"])).data
        text = await client.completions.create(model="m", prompt="Hi")
    assert vectors[0].embedding == vectors[1].embedding
    assert text.choices[0].text == "Hello"


# ---- the answers its own tests have recorded from the live API

# What has come since those were recorded.
NEW_KEYS = {"service_tier", "annotations", "prompt_tokens_details"}


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The whole completions in the tests of the package's source distribution."""
    folder = tmp_path_factory.mktemp("openai")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "openai"]
    subprocess.run([*command, "-d", folder, SNAPSHOTS_OF], check=True)  # noqa: S603  # our own pip
    (archive,) = folder.glob("openai-*.tar.gz")
    with tarfile.open(archive) as tar:
        (name,) = [name for name in tar.getnames() if name.endswith("lib/chat/test_completions.py")]
        source = tar.extractfile(name)
        assert source is not None
        tree = ast.parse(source.read())
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [json.loads(text) for text in texts if str(text).startswith('{"id": "chatcmpl-')]


async def test_whole_completions_have_the_keys_of_the_published_snapshots(
    snapshots: list[Any],
) -> None:
    assert len(snapshots) > 5
    async with FakeServer(answer_like, dialect="openai") as server:
        for snapshot in snapshots:
            said = snapshot["choices"][0]["message"]
            body = {"messages": [{"role": "user", "content": json.dumps(said)}]}
            ours = await posted(server, body)
            pairs = [(snapshot, ours), (snapshot["usage"], ours["usage"])]
            pairs += [(snapshot["choices"][0], ours["choices"][0])]
            pairs += [(said, ours["choices"][0]["message"])]
            for theirs, own in pairs:
                assert set(theirs) <= set(own) <= set(theirs) | NEW_KEYS
            for theirs, own in zip(
                said.get("tool_calls") or [],
                ours["choices"][0]["message"].get("tool_calls") or [],
                strict=True,
            ):
                assert set(theirs) == set(own)


def answer_like(request: Request) -> FakeAnswer:
    """An answer with the content, refusal or calls of the message in the request's text."""
    said = json.loads(request.text)
    calls = [
        FakeToolCall(call["function"]["name"], call["function"]["arguments"], id=call["id"])
        for call in said.get("tool_calls") or []
    ]
    return FakeAnswer(said["content"] or "", refusal=said["refusal"] or "", tool_calls=calls)


async def posted(server: FakeServer, body: Any) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.post(server.url + "/chat/completions", json=body) as response,
    ):
        return await response.json()
