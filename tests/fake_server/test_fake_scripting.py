"""What a script can say about its answers: fixed fields, choices, conditions, strictness."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fake_client import chat_body, content_of, events_of, post

from async_copilot.fake_server import FakeAnswer, FakeServer, FakeToolCall, Repeat, When

# ---- snapshots

FIXED = FakeAnswer(
    ["Hi"], id="chatcmpl-1", created=1, model="m-1", extra={"citations": ["a"]}, times=None
)


@pytest.mark.parametrize("dialect", ["openai", "azure", "litellm", "llama", "g4f", "g4f-0.4.9.0"])
async def test_fixed_fields_make_two_answers_equal(dialect: Any) -> None:
    async with FakeServer([FIXED], dialect=dialect) as server:
        first, second = [(await post(server))[2] for _ in range(2)]
        whole = json.loads((await post(server, chat_body(stream=False)))[2])
    if not dialect.startswith("g4f"):  # g4f's streams have a handle, which is new each time
        assert first == second
    *chunks, _ = [event for event in events_of(first) if event != "[DONE]"]
    assert all(chunk["citations"] == ["a"] for chunk in chunks if chunk["id"])
    assert (whole["id"], whole["created"], whole["citations"]) == ("chatcmpl-1", 1, ["a"])
    assert whole["model"] == ("m-1" if dialect != "g4f-0.4.9.0" else None)


async def test_choices_have_texts_of_their_own() -> None:
    answer = FakeAnswer(choices=["one", ["t", "wo"]], times=None)
    async with FakeServer([answer], dialect="openai") as server:
        whole = json.loads((await post(server, chat_body(stream=False)))[2])
        stream = events_of((await post(server))[2])
    assert [one["message"]["content"] for one in whole["choices"]] == ["one", "two"]
    texts = ["", ""]
    for chunk in stream[:-1]:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["delta"].get("content", "")
    assert texts == ["one", "two"]


async def test_litellm_has_all_choices_in_one_chunk() -> None:
    async with FakeServer(FakeAnswer(choices=[["a"], ["b"]]), dialect="litellm") as server:
        first, *_ = events_of((await post(server))[2])
    assert [choice["delta"]["content"] for choice in first["choices"]] == ["a", "b"]


# ---- when


async def test_parallel_requests_get_the_answers_that_are_for_them() -> None:
    script = [
        FakeAnswer("sunny", when=When(text="weather")),
        FakeAnswer("noon", when={"text": "time"}),
        FakeAnswer("small", when={"model": "mini"}, times=2),
        FakeAnswer("long", when=lambda request: len(request.text) > 20),
        "anything",
    ]
    asked = [
        chat_body("anything"),
        chat_body("what time is it?"),
        chat_body("a", model="mini"),
        chat_body("the weather, please"),
        chat_body("a", model="mini"),
        chat_body("something that is rather long"),
    ]
    async with FakeServer(script) as server:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(post(server, body)) for body in asked]
        texts = [content_of(task.result()[2]) for task in running]
        assert server.all_used()
    assert texts == ["anything", "noon", "small", "sunny", "small", "long"]


async def test_a_tool_result_chooses_its_answer() -> None:
    def result(name: str) -> list[Any]:
        return [
            {"role": "user", "content": "both"},
            {"role": "assistant", "tool_calls": [{"id": "call_a"}, {"id": "call_b"}]},
            {"role": "tool", "tool_call_id": name, "content": "1"},
        ]

    script = [FakeAnswer(name, when={"tool_call_id": f"call_{name}"}) for name in ("a", "b")]
    async with FakeServer(script) as server:
        seen = [
            content_of((await post(server, chat_body(messages=result(f"call_{name}"))))[2])
            for name in ("b", "a")
        ]
        assert server.requests[0].tool_call_ids == ("call_b",)
    assert seen == ["b", "a"]


async def test_a_script_file_has_conditions_too() -> None:
    script: Any = [{"content": "a", "when": {"text": "x"}}]
    async with FakeServer(script) as server:
        assert content_of((await post(server, chat_body("xyz")))[2]) == "a"


async def test_a_reader_that_held_an_answer_back_gets_the_rest_at_its_pace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("async_copilot.fake_server.playback._LATE", -1.0)
    answer = FakeAnswer(["a"] * 5, pace=50)
    async with FakeServer(answer) as server:
        assert content_of((await post(server))[2]) == "aaaaa"


# ---- a new script, a new beginning


async def test_a_generator_is_a_script_and_begins_again() -> None:
    async with FakeServer(text for text in ("a", "b")) as server:  # type: ignore[arg-type]
        for _ in range(2):
            for text in ("a", "b"):
                assert content_of((await post(server))[2]) == text
            assert server.all_used()
            server.reset()


async def test_a_running_server_takes_another_script() -> None:
    async with FakeServer(["one", "two"]) as server:
        await post(server)
        server.script(["three"])
        assert content_of((await post(server))[2]) == "three"
        server.script(["one", "two"])
        await post(server)
        server.reset()
        assert not server.requests
        assert content_of((await post(server))[2]) == "one"


# ---- what cannot end


async def test_nothing_repeated_for_ever_is_a_stall_and_holds_no_loop() -> None:
    async with FakeServer(FakeAnswer("", fault=Repeat())) as server:
        posted = asyncio.create_task(post(server))
        await server.until(lambda: server.requests and server.requests[0].status == 200)
        posted.cancel()
        await server.until(lambda: server.disconnects == 1)


async def test_nothing_repeated_twice_ends() -> None:
    async with FakeServer(FakeAnswer("", fault=Repeat(2)), dialect="openai") as server:
        assert events_of((await post(server))[2])[-1] == "[DONE]"


async def test_usage_in_a_stream_counts_text_and_calls() -> None:
    call = FakeToolCall("f", {"a": "x" * 400})
    async with FakeServer(FakeAnswer("y" * 400, tool_calls=[call])) as server:
        chunks = [event for event in events_of((await post(server))[2]) if event != "[DONE]"]
    assert chunks[-1]["usage"]["completion_tokens"] > 200
