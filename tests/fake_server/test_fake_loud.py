"""A test whose script is wrong fails, whatever the code under test makes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fake_client import chat_body, content_of, get, post

from async_copilot.fake_server import (
    BrokenFraming,
    Close,
    ErrorFrame,
    FakeAnswer,
    FakeProvider,
    FakeServer,
    FakeToolCall,
    HugeEvent,
    Pace,
    Raw,
    Repeat,
    Request,
    Reset,
    ScriptError,
    Truncate,
    When,
)

# ---- raised when the block ends


async def test_a_failed_assertion_is_raised_at_the_end() -> None:
    def script(request: Request) -> str:
        assert request.text == "Hello", "another greeting"
        return "Hi"

    with pytest.raises(AssertionError, match="another greeting"):
        async with FakeServer(script) as server:
            assert (await post(server, chat_body("Hullo")))[0] == 410


async def test_pytest_fail_in_a_function_is_raised_too() -> None:
    def script(_: Request) -> str:
        pytest.fail("not this one")

    with pytest.raises(pytest.fail.Exception, match="not this one"):
        async with FakeServer(script) as server:
            assert (await post(server))[0] == 410


async def test_the_first_failure_is_raised_and_has_notes_of_the_others() -> None:
    async def script(request: Request) -> str:
        await asyncio.sleep(0)
        raise ValueError(request.text)

    with pytest.raises(ValueError, match="one") as caught:  # noqa: PT012  # the block's end raises
        async with FakeServer(script) as server:
            for text in ("one", "two"):
                await post(server, chat_body(text))
    assert caught.value.__notes__ == ["the script then raised ValueError: two"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([], "the script of 0 answers is used up: asked for .* 'Hi' .*, the script had no answers"),
        (["a"], "the script of 1 answer is used up: .*, the script had 1 'a'"),
        (
            [FakeAnswer(tool_calls=[FakeToolCall("f")], when={"text": "weather", "model": "m"})],
            "no answer fits: .*, the script had 1 calls of f for text 'weather', model 'm'",
        ),
        (
            [FakeAnswer("x" * 50, when=lambda request: request.text == "other")],
            r"the script had 1 'x+\.\.\.' for what its function takes",
        ),
        ([FakeAnswer(status=500), *["a"] * 11], "and 2 more"),
    ],
)
async def test_a_request_that_nothing_answers_is_raised_with_both_sides(
    script: Any, words: str
) -> None:
    with pytest.raises(ScriptError, match=words) as caught:  # noqa: PT012  # the block's end raises
        async with FakeServer(script) as server:
            for _ in range(len(script) + 1):
                await post(server, chat_body(model="mm"))
    assert "asked for POST /v1/chat/completions 'Hi' (model 'mm')" in str(caught.value)


async def test_a_wrong_url_is_raised() -> None:
    with pytest.raises(ScriptError, match="GET /v1/nothing: the server has no such URL"):
        async with FakeServer("Hi") as server:
            await get(server, "/nothing")


async def test_an_error_of_the_block_is_the_context() -> None:
    with pytest.raises(ScriptError) as caught:  # noqa: PT012  # the block's end raises
        async with FakeServer("Hi") as server:
            await get(server, "/nothing")
            raise KeyError("mine")
    assert isinstance(caught.value.__context__, KeyError)


async def test_what_ends_the_run_is_kept_with_a_note() -> None:
    with pytest.raises(pytest.fail.Exception) as caught:  # noqa: PT012  # two must meet
        async with FakeServer("Hi") as server:
            await get(server, "/nothing")
            pytest.fail("mine")
    assert "the fake server: ScriptError: GET /v1/nothing" in caught.value.__notes__[0]


async def test_what_the_server_itself_cannot_do_is_raised_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("async_copilot.fake_server.service.plan", lambda *_, **__: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        async with FakeServer("Hi") as server:
            assert (await post(server))[0] == 500


async def test_a_reset_forgets_no_failure() -> None:
    async with FakeServer(["a"]) as server:
        await get(server, "/nothing")
        with pytest.raises(ScriptError, match="/nothing"):
            server.reset()
        assert (await post(server))[0] == 200
        server.reset()
        assert server.requests == []


async def test_nothing_is_raised_where_the_test_asks_not_to() -> None:
    async with FakeServer([], check=False) as server:
        await post(server)
        await get(server, "/nothing")
        assert len(server.unexpected) == 2
        assert [request.status for request in server.requests] == [410]


async def test_answers_that_were_not_used_are_told() -> None:
    script = ["one", FakeAnswer("two", times=2), FakeAnswer("rest", times=None)]
    async with FakeServer(script) as server:
        for _ in range(2):
            await post(server)
        with pytest.raises(ScriptError, match=r"not used: 2 'two', 3 'rest'; 2 requests came"):
            server.all_used()
        for _ in range(2):
            await post(server)
        assert server.all_used()


async def test_a_function_has_no_answers_to_use_up() -> None:
    async with FakeServer(lambda _: "x") as server:
        assert server.all_used()


# ---- objects in place of answers


async def test_an_object_is_an_answer() -> None:
    script: Any = [{"content": "a"}, {"content": "b", "fault": Truncate()}]
    async with FakeServer(script) as server:
        assert [content_of((await post(server))[2]) for _ in range(2)] == ["a", "b"]
    call = {"name": "f"}
    single: Any = {
        "content": "c",
        "tool_calls": [FakeToolCall("f"), call],
        "pace": {"per_second": 1e3},
    }
    async with FakeServer(single) as server:
        assert content_of((await post(server))[2]) == "c"
    async with FakeServer(lambda _: {"content": "d"}) as server:
        assert content_of((await post(server))[2]) == "d"


def test_an_object_with_another_key_is_an_error() -> None:
    wrong: Any = {"text": "a"}
    with pytest.raises(ValueError, match="the script has no 'text'; it has content"):
        FakeServer(wrong)
    with pytest.raises(ValueError, match="answer 2 has no 'text'"):
        FakeServer(["a", wrong])


async def test_a_function_that_returns_something_else_is_an_error() -> None:
    with pytest.raises(TypeError, match="what the function returned must be a str"):
        async with FakeServer(lambda _: 5) as server:  # type: ignore[arg-type,return-value]
            await post(server)


# ---- values that cannot be meant

WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: FakeAnswer(done="no"), "done='no': must be True or False"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(tool_calls=[1]), "tool_calls"),  # type: ignore[list-item]
    (lambda: FakeAnswer(tool_calls="f"), "tool_calls='f'"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(headers={"X": "a\r\nSet-Cookie: b"}), "headers="),
    (lambda: FakeAnswer(headers={"X\n": "a"}), "headers="),
    (lambda: FakeAnswer(headers={"": "a"}), "headers="),
    (lambda: FakeAnswer(retry_after="1\r\n"), "retry_after="),
    (lambda: FakeAnswer(retry_after=-1), "retry_after=-1"),
    (lambda: FakeAnswer(retry_after=float("nan")), "retry_after=nan"),
    (lambda: FakeAnswer(pace=0), "per_second=0"),
    (lambda: FakeAnswer(pace="fast"), "per_second='fast'"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(pace=True), "per_second=True"),
    (lambda: FakeAnswer(usage="yes"), "usage='yes'"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(stream="no"), "stream='no'"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(finish_reason=5), "finish_reason=5"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(conversation="x"), "conversation='x'"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(error=5), "error=5"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(status=True), "status=True"),
    (lambda: FakeAnswer(status=200.0), "status=200.0"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(times=True), "times=True"),
    (lambda: FakeAnswer(cut=1.5), "cut=1.5"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(id=5), "id=5"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(created="now"), "created='now'"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(model=5), "model=5"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(extra=[1]), "extra="),  # type: ignore[arg-type]
    (lambda: FakeAnswer(logprobs="low"), "logprobs='low'"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(choices="ab"), "choices='ab'"),
    (lambda: FakeAnswer("a", choices=["b"]), "content and choices"),
    (lambda: FakeAnswer(fault=Stall_like()), "fault="),  # type: ignore[arg-type]
    (lambda: FakeAnswer(when={}), "when: must have text, model or tool_call_id"),
    (lambda: FakeAnswer(when={"test": "a"}), "when has no 'test'"),
    (lambda: FakeAnswer(when="weather"), "when='weather'"),  # type: ignore[arg-type]
    (lambda: When(text=5), "text=5"),  # type: ignore[arg-type]
    (lambda: FakeToolCall(5), "name=5"),  # type: ignore[arg-type]
    (lambda: FakeToolCall("f", [1]), "arguments="),  # type: ignore[arg-type]
    (lambda: FakeToolCall("f", id=5), "id=5"),  # type: ignore[arg-type]
    (lambda: Pace(1, jitter="x"), "jitter='x'"),  # type: ignore[arg-type]
    (lambda: Pace(1, seed=1.5), "seed=1.5"),  # type: ignore[arg-type]
    (lambda: HugeEvent(-1), "size=-1"),
    (lambda: Repeat(0), "times=0"),
    (lambda: Raw(5), "data=5"),  # type: ignore[arg-type]
    (lambda: Close(torn="no"), "torn='no'"),  # type: ignore[arg-type]
    (lambda: Reset(torn=1), "torn=1"),  # type: ignore[arg-type]
    (lambda: ErrorFrame(5), "message=5"),  # type: ignore[arg-type]
    (lambda: ErrorFrame(done="no"), "done='no'"),  # type: ignore[arg-type]
    (lambda: BrokenFraming(after="end"), "after='end'"),  # type: ignore[arg-type]
    (lambda: FakeServer([FakeAnswer(times=None), "never"]), "answer 2 is never given"),
    (lambda: FakeServer(port=99999), "port=99999: must be 0 to 65535"),
    (lambda: FakeServer(port=True), "port=True"),
    (lambda: FakeServer(host=""), "host='': .*'0.0.0.0' listens on every address"),
    (lambda: FakeServer(host=None), "host=None"),  # type: ignore[arg-type]
    (lambda: FakeServer(keep_alive=0), "keep_alive=0"),
    (lambda: FakeServer(max_body=0), "max_body=0"),
    (lambda: FakeServer(keep=0), "keep=0"),
    (lambda: FakeServer(models="gpt-5"), "models='gpt-5': must be a list of texts"),
    (lambda: FakeServer(api_key=""), "api_key=''"),
    (lambda: FakeServer(strict="no"), "strict='no'"),  # type: ignore[arg-type]
    (lambda: FakeServer(dialect=[]), r"dialect=\[\]"),  # type: ignore[arg-type]
    (lambda: FakeServer(providers=FakeProvider("A")), "must be a list of"),  # type: ignore[arg-type]
    (lambda: FakeServer(providers=[{"name": "A"}]), "of FakeProvider"),  # type: ignore[list-item]
    (lambda: FakeProvider("A", turns=0), "turns=0"),
    (lambda: FakeProvider("A", strict="no"), "strict='no'"),  # type: ignore[arg-type]
    (lambda: FakeProvider("A", pool="B"), "pool='B'"),
    (lambda: FakeProvider("A", raises=None), "raises=None"),  # type: ignore[arg-type]
    *(
        (lambda name=name: FakeAnswer(**{name: {"x": object()}}), f"{name}=.* of JSON")
        for name in ("usage", "conversation", "extra")
    ),
    (lambda: FakeAnswer(status=500, error={"x": object()}), "error="),
    (lambda: FakeToolCall("f", {"x": object()}), "arguments="),
    (lambda: FakeAnswer(body={1}), "body=.* a text, bytes or JSON"),
    (lambda: FakeAnswer(b""), "content=b''"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(delay=10**400), "delay=1000"),
    (lambda: FakeAnswer(created=1.5), "created=1.5"),  # type: ignore[arg-type]
    (lambda: FakeAnswer(logprobs=[]), r"logprobs=\[\]"),
    (lambda: FakeAnswer(headers={"X": "\ud800"}), "headers="),
    (lambda: FakeAnswer(headers={"transfer-encoding": "x"}), "without Transfer-Encoding"),
    (lambda: FakeAnswer("a", status=500), "content with status=500: use error or body"),
    (lambda: FakeAnswer("a", body="b"), "body and content"),
    (lambda: FakeAnswer(error="a"), "error: needs a status that is not 200"),
    (lambda: FakeAnswer(when=When), "when="),
    (lambda: FakeAnswer(when=coroutine_function), "a function that is not async"),
    (lambda: FakeAnswer(when={"text": ""}), "text='': is a part of every message"),
    (lambda: FakeServer([ENDLESS, FakeAnswer("b", when={"text": "a"})]), "answer 2 is never given"),
]


ENDLESS = FakeAnswer("a", times=None, when={"text": "a"})


async def coroutine_function(_: Request) -> bool:
    return False


class Stall_like:  # noqa: N801  # only looks like a fault
    after = 1


@pytest.mark.parametrize(("make", "words"), WRONG, ids=[words for _, words in WRONG])
def test_a_value_that_cannot_be_meant_is_refused(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_what_is_not_a_script_is_refused() -> None:
    with pytest.raises(TypeError, match="the script must be answers or a function, not 5"):
        FakeServer(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not the class"):
        FakeServer(FakeAnswer)


def test_an_endless_answer_with_a_condition_may_stand_first() -> None:
    FakeServer([FakeAnswer("a", times=None, when=When(text="x")), "b"])
