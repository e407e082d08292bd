"""The OpenAI and Azure dialects, against what the real services were recorded to send."""

from __future__ import annotations

import base64
import json
import socket
import struct
from typing import Any

import aiohttp
import pytest
from fake_client import chat_body, content_of, events_of, get, post

from async_copilot.fake_server import FakeAnswer, FakeServer, FakeToolCall

WEATHER = FakeToolCall("get_weather", {"city": "New York City"})


async def chunks_of(answer: Any, *, dialect: Any = "openai", **fields: Any) -> list[Any]:
    async with FakeServer([answer], dialect=dialect) as server:
        _, _, body = await post(server, chat_body(**({"model": "m"} | fields)))
    return [event for event in events_of(body) if isinstance(event, dict)]


async def whole_of(answer: Any, *, dialect: Any = "openai", **fields: Any) -> Any:
    async with FakeServer([answer], dialect=dialect) as server:
        _, _, body = await post(server, chat_body(stream=False, **({"model": "m"} | fields)))
    return json.loads(body)


# ---- the recorded forms (the openai package's own tests have these, from the live API)

OPENINGS: dict[str, tuple[FakeAnswer, list[Any]]] = {
    "content": (
        FakeAnswer(["Foo"]),
        [{"role": "assistant", "content": "", "refusal": None}, {"content": "Foo"}],
    ),
    "refusal": (
        FakeAnswer(refusal=["I'm"]),
        [{"role": "assistant", "content": None, "refusal": ""}, {"refusal": "I'm"}],
    ),
    "tool call": (
        FakeAnswer(tool_calls=[FakeToolCall("f", "", id="call_x")]),
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "index": 0,
                        "id": "call_x",
                        "type": "function",
                        "function": {"name": "f", "arguments": ""},
                    }
                ],
                "refusal": None,
            }
        ],
    ),
    "nothing": (FakeAnswer(""), [{"role": "assistant", "content": "", "refusal": None}]),
}


@pytest.mark.parametrize("name", OPENINGS)
async def test_a_stream_opens_as_the_recorded_one(name: str) -> None:
    answer, deltas = OPENINGS[name]
    chunks = await chunks_of(answer)
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [*deltas, {}]


async def test_every_choice_opens_with_its_role() -> None:
    chunks = await chunks_of(FakeAnswer(choices=[["a", "b"], ["c"]]), n=2)
    seen = [(choice["index"], choice["delta"]) for chunk in chunks for choice in chunk["choices"]]
    role = {"role": "assistant", "content": "", "refusal": None}
    assert seen == [
        *((0, role), (0, {"content": "a"}), (1, role), (1, {"content": "c"})),
        *((0, {"content": "b"}), (0, {}), (1, {})),
    ]


CHUNK = {"id", "object", "created", "model", "service_tier", "system_fingerprint", "choices"}
CHOICE = {"index", "delta", "logprobs", "finish_reason"}
USAGE = {
    *("prompt_tokens", "completion_tokens", "total_tokens"),
    *("prompt_tokens_details", "completion_tokens_details"),
}
MESSAGE = {"role", "content", "refusal", "annotations"}


async def test_chunks_have_the_keys_of_today() -> None:
    *chunks, usage = await chunks_of("Hi", stream_options={"include_usage": True})
    assert all(set(chunk) == CHUNK | {"usage"} and chunk["usage"] is None for chunk in chunks)
    assert all(set(chunk["choices"][0]) == CHOICE for chunk in chunks)
    assert (set(usage), usage["choices"], set(usage["usage"])) == (CHUNK | {"usage"}, [], USAGE)
    assert all(set(chunk) == CHUNK for chunk in await chunks_of("Hi"))


async def test_a_whole_completion_has_the_keys_of_today() -> None:
    whole = await whole_of(FakeAnswer(tool_calls=[WEATHER]))
    assert set(whole) == CHUNK | {"usage"}
    assert set(whole["usage"]) == USAGE
    (choice,) = whole["choices"]
    assert set(choice) == {"index", "message", "logprobs", "finish_reason"}
    assert set(choice["message"]) == MESSAGE | {"tool_calls"}
    assert choice["message"]["content"] is None
    assert choice["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("dialect", ["openai", "azure", "litellm", "llama", "g4f", "g4f-0.4.9.0"])
async def test_a_whole_completion_always_has_usage(dialect: Any) -> None:
    usage = (await whole_of("Hello", dialect=dialect))["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


async def test_usage_may_be_left_out_by_the_script() -> None:
    assert "usage" not in await whole_of(FakeAnswer("Hi", usage=False))


async def test_prompt_tokens_count_all_messages_and_tools() -> None:
    async def tokens(**fields: Any) -> int:
        return int((await whole_of("x", **fields))["usage"]["prompt_tokens"])

    long = [{"role": "system", "content": "x" * 4000}, {"role": "user", "content": "Hi"}]
    image = {"type": "image_url", "image_url": {"url": "data:" + "x" * 40_000}}
    tool = {"type": "function", "function": {"name": "f", "description": "y" * 4000}}
    short = await tokens()
    assert await tokens(messages=long) > short + 900
    assert await tokens(tools=[tool]) > short + 900
    assert await tokens(messages=[{"role": "user", "content": [image]}]) < short + 50


async def test_tool_call_ids_are_unique_in_a_server() -> None:
    answer = FakeAnswer(tool_calls=[WEATHER, WEATHER], times=3)
    ids: list[str] = []
    async with FakeServer([answer], dialect="openai") as server:
        for stream in (True, False, True):
            _, _, body = await post(server, chat_body(stream=stream, n=1))
            if stream:
                choices = [event["choices"] for event in events_of(body) if event != "[DONE]"]
                found = [one[0]["delta"].get("tool_calls", []) for one in choices]
            else:
                found = [json.loads(body)["choices"][0]["message"]["tool_calls"]]
            ids += [call["id"] for calls in found for call in calls if "id" in call]
    assert len(ids) == len(set(ids)) == 6


async def test_each_choice_has_tool_calls_of_its_own() -> None:
    whole = await whole_of(FakeAnswer(tool_calls=[WEATHER]), n=2)
    ids = [choice["message"]["tool_calls"][0]["id"] for choice in whole["choices"]]
    assert ids == ["call_1", "call_2"]


# ---- log probabilities


async def test_logprobs_are_null_where_nobody_asks() -> None:
    assert all(chunk["choices"][0]["logprobs"] is None for chunk in await chunks_of("Hi"))


async def test_logprobs_come_with_their_pieces_as_recorded() -> None:
    answer = FakeAnswer(["Foo", "!"], logprobs=[-0.5, -0.25])
    opening, foo, mark, last = [
        chunk["choices"][0]["logprobs"] for chunk in await chunks_of(answer)
    ]
    assert (opening, last) == ({"content": [], "refusal": None}, None)
    assert foo == {
        "content": [{"token": "Foo", "logprob": -0.5, "bytes": [70, 111, 111], "top_logprobs": []}],
        "refusal": None,
    }
    assert mark["content"][0]["logprob"] == -0.25


async def test_a_request_for_logprobs_gets_some() -> None:
    whole = await whole_of(FakeAnswer(refusal="No."), logprobs=True, top_logprobs=2)
    logprobs = whole["choices"][0]["logprobs"]
    assert logprobs["content"] is None
    assert "".join(token["token"] for token in logprobs["refusal"]) == "No."
    assert len(logprobs["refusal"][0]["top_logprobs"]) == 1


# ---- headers and errors


async def test_the_headers_are_those_of_openai() -> None:
    async with FakeServer("Hi", dialect="openai") as server:
        _, headers, _ = await post(server)
    for name in ("x-request-id", "openai-version", "openai-processing-ms"):
        assert headers[name]
    for kind in ("limit", "remaining", "reset"):
        assert headers[f"x-ratelimit-{kind}-requests"]
        assert headers[f"x-ratelimit-{kind}-tokens"]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/v1/chat/completion", 404, "Invalid URL (POST /v1/chat/completion)"),
        ("POST", "/chat/completions", 404, "Invalid URL (POST /chat/completions)"),
        ("GET", "/v1/threads", 404, "Invalid URL (GET /v1/threads)"),
        ("GET", "/v1/chat/completions", 405, "Not allowed to GET on /v1/chat/completions."),
        (
            "POST",
            "/v1/responses",
            404,
            "This fake server has no Responses API (POST /v1/responses): use Chat Completions.",
        ),
    ],
)
async def test_a_wrong_url_is_told_in_openais_words(
    method: str, path: str, status: int, message: str
) -> None:
    async with (
        FakeServer("Hi", dialect="openai", check=False) as server,
        aiohttp.ClientSession() as session,
        session.request(
            method, server.origin + path, json={} if method == "POST" else None
        ) as response,
    ):
        error = (await response.json())["error"]
        assert server.unexpected[0].startswith(f"{method} {path}: ")
    assert response.status == status
    assert error == {
        "message": message,
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (
            404,
            {
                "message": "The model `m` does not exist or you do not have access to it.",
                "code": "model_not_found",
            },
        ),
        (429, {"message": "Rate limit reached for m. Please try again in 20s."}),
        (500, {"type": "server_error"}),
    ],
)
async def test_a_status_without_words_has_openais(status: int, error: Any) -> None:
    async with FakeServer(FakeAnswer(status=status), dialect="openai") as server:
        _, _, body = await post(server, chat_body(model="m"))
    assert json.loads(body)["error"].items() >= error.items()


@pytest.mark.parametrize("dialect", ["g4f", "litellm"])
async def test_servers_made_with_fastapi_keep_its_detail(dialect: Any) -> None:
    async with FakeServer("Hi", dialect=dialect, check=False) as server:
        assert (await post(server, {}, path="/nothing"))[2] == b'{"detail":"Not Found"}'
        assert (await get(server, "/chat/completions"))[1] == b'{"detail":"Method Not Allowed"}'


async def test_g4f_hides_the_reason_of_a_status_too() -> None:
    async with FakeServer(FakeAnswer(status=503)) as server:
        _, _, body = await post(server)
    assert json.loads(body)["error"] == {"message": "Request execution failed"}


async def test_llama_server_has_its_own_words() -> None:
    async with FakeServer("Hi", dialect="llama", check=False) as server:
        _, _, body = await post(server, {}, path="/nothing")
    error = {"code": 404, "message": "File Not Found", "type": "not_found_error"}
    assert json.loads(body) == {"error": error}


# ---- Azure


async def test_azure_opens_with_a_chunk_without_choices() -> None:
    first, *rest = await chunks_of(FakeAnswer(["Hi"]), dialect="azure")
    assert (first["choices"], first["id"], first["model"]) == ([], "", "")
    assert first["prompt_filter_results"][0]["content_filter_results"]["hate"]["severity"] == "safe"
    assert [chunk["choices"][0]["delta"].get("content") for chunk in rest] == ["", "Hi", None]
    assert rest[1]["choices"][0]["content_filter_results"]["violence"] == {
        "filtered": False,
        "severity": "safe",
    }


async def test_an_empty_answer_of_azure_opens_so_too() -> None:
    first, role, _ = await chunks_of("", dialect="azure")
    assert first["choices"] == []
    assert role["choices"][0]["delta"]["role"] == "assistant"


async def test_a_whole_completion_of_azure_has_filter_results() -> None:
    whole = await whole_of("Hi", dialect="azure")
    assert whole["prompt_filter_results"]
    assert whole["choices"][0]["content_filter_results"]


async def test_azures_paths_name_the_deployment_and_want_a_version() -> None:
    path = "/openai/deployments/mine/chat/completions"
    async with FakeServer("Hi", dialect="azure", api_key="k" * 8, check=False) as server:
        server.url = server.origin
        key = {"api-key": "k" * 8}
        assert (await post(server, path=path, headers=key))[0] == 404
        assert (await post(server, path=f"{path}?api-version=1"))[0] == 401
        body = chat_body(model=None)
        _, _, seen = await post(server, body, path=f"{path}?api-version=1", headers=key)
        assert content_of(seen) == "Hi"
        assert server.requests[-1].model == "mine"
        status, _, error = await post(server, path="/openai/nothing", headers=key)
        assert (status, json.loads(error)["error"]["message"]) == (404, "Resource not found")


@pytest.mark.parametrize(
    ("status", "code"), [(404, "DeploymentNotFound"), (429, "429"), (500, None)]
)
async def test_azures_errors_have_its_codes(status: int, code: Any) -> None:
    async with FakeServer(FakeAnswer(status=status), dialect="azure") as server:
        _, _, body = await post(server)
    assert json.loads(body)["error"]["code"] == code


# ---- beside the chat


async def test_models_are_listed_as_scripted() -> None:
    async with FakeServer("Hi", dialect="openai", models=["a", "b/c"], check=False) as server:
        _, body = await get(server, "/models")
        assert [model["id"] for model in json.loads(body)["data"]] == ["a", "b/c"]
        assert json.loads((await get(server, "/models/b/c"))[1])["id"] == "b/c"
        assert (await get(server, "/models/nobody"))[0] == 404


async def test_pages_want_the_key_too() -> None:
    async with FakeServer("Hi", dialect="openai", api_key="k") as server:
        assert (await get(server, "/models"))[0] == 401


async def test_embeddings_are_the_same_for_the_same_text() -> None:
    async def embed(server: FakeServer, **fields: Any) -> Any:
        body = {"model": "e", "input": ["a", "b", "a"]} | fields
        status, _, seen = await post(server, body, path="/embeddings")
        assert status == 200
        return [one["embedding"] for one in json.loads(seen)["data"]]

    async with FakeServer(dialect="openai") as server:
        first, other, same = await embed(server)
        assert first == same != other
        assert len(first) == 1536
        assert sum(one * one for one in first) == pytest.approx(1.0)
        (short,) = await embed(server, input="a", dimensions=4)
        assert len(short) == 4
        (packed,) = await embed(server, input=[1, 2, 3], dimensions=4, encoding_format="base64")
        assert len(struct.unpack("<4f", base64.b64decode(packed))) == 4


@pytest.mark.parametrize(
    "body", [b"{", b"{}", b"[]", b'{"input": "a", "dimensions": 0}', b'{"input": []}']
)
async def test_what_cannot_be_embedded_is_refused(body: bytes) -> None:
    async with FakeServer(dialect="openai") as server:
        assert (await post(server, body, path="/embeddings"))[0] == 400


async def test_older_completions_answer_a_prompt() -> None:
    script = FakeServer(lambda request: f"{request.text}!", dialect="openai")
    async with script as server:
        _, _, body = await post(server, {"prompt": ["Say", " hi"]}, path="/completions")
        whole = json.loads(body)
        assert whole["object"] == "text_completion"
        assert whole["choices"][0]["text"] == "Say hi!"
        assert whole["usage"]["total_tokens"] > 0
        _, _, stream = await post(server, {"prompt": "Hi", "stream": True}, path="/completions")
        events = [event for event in events_of(stream) if isinstance(event, dict)]
        assert "".join(event["choices"][0]["text"] for event in events) == "Hi!"
        assert events[-1]["choices"][0]["finish_reason"] == "stop"
        assert (await post(server, {"messages": []}, path="/completions"))[0] == 400
        assert (await post(server, {"prompt": 3}, path="/completions"))[0] == 400


async def test_each_prompt_of_a_text_completion_has_its_choices() -> None:
    async with FakeServer("Hi", dialect="azure") as server:
        asked = {"prompt": ["a", "b"], "n": 2}
        whole = json.loads((await post(server, asked, path="/completions"))[2])
        assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2, 3]
        assert whole["id"].startswith("cmpl-")
        tokens = {"prompt": [1, 2]}
        whole = json.loads((await post(server, tokens, path="/completions"))[2])
        assert len(whole["choices"]) == 1


async def test_what_a_text_completion_cannot_carry_is_refused_and_told() -> None:
    async with FakeServer("Hi", dialect="openai", check=False) as server:
        status, _, body = await post(server, {"prompt": "a", "echo": True}, path="/completions")
        assert (status, server.unexpected[0][-9:]) == (400, "no 'echo'")
        assert json.loads(body)["error"]["message"].endswith("have no 'echo'")


async def test_an_unknown_model_is_told_as_that() -> None:
    async with FakeServer(dialect="openai", models=["a"]) as server:
        status, body = await get(server, "/models/b")
        assert (status, json.loads(body)["error"]["code"]) == (404, "model_not_found")


async def test_what_is_wrong_with_a_request_is_told_as_that() -> None:
    async with FakeServer(dialect="azure", check=False) as server:
        await get(server, "/chat/completions")
        server.url = server.origin
        await post(server, path="/openai/deployments/d/chat/completions")
        assert [one.partition(": ")[2] for one in server.unexpected] == [
            "the method must be POST",
            "the URL needs an api-version",
        ]


async def test_a_limit_that_is_reached_leaves_nothing() -> None:
    async with FakeServer(FakeAnswer(status=429), dialect="openai") as server:
        _, headers, _ = await post(server)
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-limit-requests"] != "0"


async def test_an_empty_text_completion_ends_too() -> None:
    async with FakeServer("", dialect="openai") as server:
        _, _, stream = await post(server, {"prompt": "Hi", "stream": True}, path="/completions")
    assert events_of(stream)[0]["choices"][0]["finish_reason"] == "stop"


# ---- many at once


async def test_500_clients_at_once_are_all_taken() -> None:
    """All connect before the server, in the same loop, has accepted one."""
    async with FakeServer("Hello", dialect="openai") as server:
        port = int(server.origin.rpartition(":")[2])
        sockets = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(500)]
        await server.until(lambda: server.connections == 500, within=20)
        assert content_of((await post(server))[2]) == "Hello"
    for one in sockets:
        one.close()
