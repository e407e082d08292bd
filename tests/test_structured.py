"""``response_format=`` takes a class or a schema; ``reply.parsed`` is what was asked for."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import pytest

from async_copilot import (
    AnswerFormatError,
    CopilotClient,
    InvalidRequestError,
    Reply,
    ReplyInUseError,
    TruncatedError,
    UsageError,
    content_deltas,
)
from async_copilot.fake_server import FakeAnswer, FakeServer, FakeToolCall, Truncate

SCHEMA = {
    "type": "object",
    "title": "Some person",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ANN = '{"name": "Ann", "age": 30}'


@dataclass
class Person:
    """What pydantic's classes have, without pydantic."""

    name: str
    age: int

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        properties = {"name": {"type": "string"}, "age": {"type": "integer", "default": 0}}
        return {"type": "object", "title": "Person", "properties": properties, "required": ["name"]}


class ByText(Person):
    @classmethod
    def model_validate_json(cls, text: str) -> Self:
        value = json.loads(text)
        if value["age"] < 0:
            raise ValueError("1 validation error for ByText\nage\n  must not be below 0")
        return cls(**value)


class ByValue(Person):
    @classmethod
    def model_validate(cls, value: dict[str, Any]) -> Self:
        return cls(value["name"], int(value["age"]))


async def asked(answer: Any, wanted: Any, **options: Any) -> tuple[Reply, dict[str, Any]]:
    """The reply to a question for this format, and what was sent for it."""
    async with (
        FakeServer(answer) as server,
        CopilotClient(base_url=server.url, **options) as client,
    ):
        reply = await client.complete("Who?", response_format=wanted)
        return reply, server.requests[0].body["response_format"]


# ------------------------------------------------------------------ what is sent


@pytest.mark.parametrize("kind", [Person, ByText, ByValue])
async def test_a_class_goes_out_as_its_schema_made_strict(kind: type[Person]) -> None:
    _, sent = await asked(ANN, kind)
    assert sent == {
        "type": "json_schema",
        "json_schema": {
            "name": kind.__name__,
            "strict": True,
            "schema": {
                "type": "object",
                "title": "Person",
                "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
                "required": ["name", "age"],
                "additionalProperties": False,
            },
        },
    }


async def test_a_schema_goes_out_as_it_is() -> None:
    _, sent = await asked(ANN, SCHEMA)
    named = {"name": "Some_person", "strict": True, "schema": SCHEMA}
    assert sent == {"type": "json_schema", "json_schema": named}
    loose = {"type": "object", "properties": {"name": {"type": "string"}}}
    _, sent = await asked(ANN, loose)
    assert sent["json_schema"] == {"name": "answer", "strict": False, "schema": loose}


@pytest.mark.parametrize(
    "own",
    [
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
        {"type": "text"},
    ],
)
async def test_the_apis_own_form_goes_out_untouched(own: dict[str, Any]) -> None:
    _, sent = await asked(ANN, own)
    assert sent == own


class Broken(Person):
    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        raise RuntimeError("cannot write\nCallable")


async def test_a_class_that_has_no_schema_after_all_is_refused() -> None:
    async with CopilotClient() as client:
        with pytest.raises(InvalidRequestError, match=r"Broken.* JSON schema: cannot write; Call"):
            client.stream("Hi", response_format=Broken)


@pytest.mark.parametrize(
    "wrong",
    [
        *(5, "json", [SCHEMA], Person("Ann", 3), int, dict, list[Person]),
        *({}, {"name": "x", "schema": SCHEMA}, {"type": 5}),
    ],
)
async def test_what_is_not_a_format_is_refused(wrong: Any) -> None:
    async with FakeServer() as server, CopilotClient(base_url=server.url) as client:
        with pytest.raises(InvalidRequestError, match="model_json_schema"):
            client.stream("Hi", response_format=wrong)
        assert server.requests == []


async def test_no_format_is_sent_for_none_and_extra_sends_anything() -> None:
    async with FakeServer("Hi") as server, CopilotClient(base_url=server.url) as client:
        await client.complete("Hi", response_format=None)
        assert "response_format" not in server.requests[0].body


# ------------------------------------------------------------------ what comes back


@pytest.mark.parametrize("kind", [Person, ByText, ByValue])
async def test_a_class_comes_back_as_its_instance(kind: type[Person]) -> None:
    reply, _ = await asked(ANN, kind)
    assert reply.parsed == kind("Ann", 30)
    assert type(reply.parsed) is kind
    assert reply.parsed is reply.parsed


@pytest.mark.parametrize(
    "wanted",
    [
        SCHEMA,
        {"type": "json_object"},
        {"type": "json_object", "schema": SCHEMA},  # llama.cpp
        {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        {"type": "json_schema", "json_schema": 5},
    ],
)
async def test_a_schema_comes_back_as_a_value(wanted: dict[str, Any]) -> None:
    reply, _ = await asked(ANN, wanted)
    assert reply.parsed == {"name": "Ann", "age": 30}


class Adapter:
    """What pydantic's TypeAdapter has, for a list of persons."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": "array", "items": Person.model_json_schema()}

    def validate_json(self, text: str) -> list[Person]:
        return [Person(**value) for value in json.loads(text)]


async def test_an_adapter_stands_for_any_other_type() -> None:
    reply, sent = await asked(f"```json\n[{ANN}]```", Adapter())
    assert reply.parsed == [Person("Ann", 30)]
    assert sent["json_schema"]["name"] == "answer"
    assert sent["json_schema"]["schema"]["items"]["required"] == ["name", "age"]
    reply, _ = await asked("[{}]", Adapter())
    with pytest.raises(AnswerFormatError, match="the answer is not what response_format asks for"):
        _ = reply.parsed


@pytest.mark.parametrize("wanted", [{"type": "text"}, {"type": "grammar", "grammar": "x"}])
async def test_a_format_that_is_not_json_gives_the_text(wanted: dict[str, Any]) -> None:
    reply, _ = await asked(" not JSON ", wanted)
    assert reply.parsed == " not JSON "


@pytest.mark.parametrize(
    "text",
    [
        *(f"\n {ANN}\n", f"\ufeff{ANN}", f"```json\n{ANN}\n```", f"```\n{ANN}```\n"),
        *(f"```{ANN}```", f"``` JSON {ANN}```", f"~~~json5\r\n{ANN}\r\n~~~"),
    ],
)
async def test_space_and_a_fence_around_the_value_do_not_matter(text: str) -> None:
    reply, _ = await asked(text, Person)
    assert reply.parsed == Person("Ann", 30)


async def test_a_conversations_turn_and_a_response_of_yours_have_it_too() -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    async with (
        FakeServer(ANN) as server,
        CopilotClient(base_url=server.url) as client,
        aiohttp.ClientSession() as session,
    ):
        chat = client.conversation(response_format=Person)
        assert (await chat.ask("Who?")).parsed == Person("Ann", 30)
        async with session.post(f"{server.url}/chat/completions", json=body) as response:
            reply = Reply(response_format=SCHEMA)
            async for _ in content_deltas(response, reply=reply):
                pass
        assert reply.parsed == {"name": "Ann", "age": 30}


@pytest.mark.parametrize(
    ("text", "wanted", "said"),
    [
        ("I do not know.", Person, "not Person, which response_format asks for: Expecting value"),
        ("I do not know.", SCHEMA, "is not Some person, which"),
        ('{"name": "Ann"}', SCHEMA, "the answer lacks 'age'"),
        ('{"name": "Ann", "age": "30"}', Person, "the answer.age is not integer, but '30'"),
        ('{"name": "Ann", "age": "x"}', ByValue, "invalid literal for int"),
        ('{"name": "Ann", "age": -1}', ByText, "1 validation error for ByText; age; must not be"),
        ('["Ann"]', {"type": "json_object"}, "the answer is not object, but ['Ann']"),
        ('["Ann"]', Person, "the answer is not object"),
        ("[" * 100_000, SCHEMA, "not Some person"),
        ("```", SCHEMA, "Expecting value"),
        ('{"name": "Ann", "age": NaN}', Person, "NaN is not JSON"),
        ("5", {"type": "json_object"}, "the answer is not what response_format asks for"),
    ],
)
async def test_an_answer_that_does_not_fit_is_told_with_its_text(
    text: str, wanted: Any, said: str
) -> None:
    reply, _ = await asked(text, wanted)
    with pytest.raises(AnswerFormatError) as caught:
        _ = reply.parsed
    error = caught.value
    assert said in str(error)
    assert error.body == text
    assert error.reply is reply
    assert (error.status, error.retries) == (200, 0)
    assert repr(text[:200]) in str(error)
    assert isinstance(error, ValueError)
    assert error.__cause__ is not None
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301  # ours


@pytest.mark.parametrize("wanted", [Person, ByText, SCHEMA])
async def test_an_answer_that_reached_its_longest_length_is_cut(wanted: Any) -> None:
    reply, _ = await asked(FakeAnswer(ANN[:12], finish_reason="length"), wanted)
    with pytest.raises(TruncatedError, match=r"raise max_tokens") as caught:
        _ = reply.parsed
    assert caught.value.reply is reply
    assert caught.value.body == ANN[:12]
    assert repr(ANN[:12]) in str(caught.value)


async def test_an_answer_that_a_filter_stopped_is_cut() -> None:
    reply, _ = await asked(FakeAnswer(ANN[:12], finish_reason="content_filter"), Person)
    with pytest.raises(TruncatedError, match="cut off by the server's filter after 12"):
        _ = reply.parsed


async def test_a_cut_off_answer_is_not_parsed_even_where_it_is_accepted() -> None:
    cut = FakeAnswer([ANN[:12], ANN[12:]], fault=Truncate(after=1))
    reply, _ = await asked(cut, Person, strict=False)
    with pytest.raises(TruncatedError, match="not whole"):
        _ = reply.parsed


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (FakeAnswer("", refusal="I will not."), "the model refused: I will not."),
        (FakeAnswer("", tool_calls=[FakeToolCall("look_up", "{}")]), "it calls tools: look_up"),
        (FakeAnswer("", finish_reason="content_filter"), "finish_reason 'content_filter'"),
    ],
)
async def test_something_else_than_text_is_told_as_what_it_is(
    answer: FakeAnswer, said: str
) -> None:
    reply, _ = await asked(answer, Person)
    with pytest.raises(AnswerFormatError, match=said):
        _ = reply.parsed


async def test_parsed_is_for_a_reply_that_has_ended_and_was_asked_for_a_format() -> None:
    async with FakeServer([ANN, "Hi"]) as server, CopilotClient(base_url=server.url) as client:
        async with client.stream("Who?", response_format=Person) as reply:
            with pytest.raises(ReplyInUseError, match="has not ended; read it to its end first"):
                _ = reply.parsed
            async for _ in reply:
                pass
            assert reply.parsed == Person("Ann", 30)
        with pytest.raises(UsageError, match="response_format"):
            _ = (await client.complete("Hi")).parsed
