"""The script is data: what it means, what it refuses, and its JSON form. No sockets."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from itertools import islice, pairwise, product
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from async_copilot.fake_server import (
    BrokenFraming,
    Close,
    ErrorFrame,
    FakeAnswer,
    FakeToolCall,
    HugeEvent,
    Pace,
    Raw,
    Repeat,
    Reset,
    Stall,
    Truncate,
)
from async_copilot.fake_server.answer import pieces_of
from async_copilot.fake_server.envelope import Envelope
from async_copilot.fake_server.plan import DIALECTS, plan
from async_copilot.fake_server.request import read_request
from async_copilot.fake_server.script import NoAnswerError, answers_of
from async_copilot.fake_server.script_file import script_from_json
from async_copilot.fake_server.steps import Drop, Head, Pause, Send, Until

ENVELOPE = Envelope("chatcmpl-x", 1, "m", "Copilot", {"conversation_id": "c"}, False, 8)
FAULTS = [Stall, Truncate, Close, Reset, BrokenFraming, ErrorFrame, Raw, HugeEvent, Repeat]


def steps(answer: FakeAnswer, *, dialect: str = "g4f", stream: bool = True) -> Iterator[Any]:
    return plan(answer, DIALECTS[dialect], ENVELOPE, stream=stream)


def sent(answer: FakeAnswer, **options: Any) -> bytes:
    return b"".join(step.data for step in steps(answer, **options) if isinstance(step, Send))


@hypothesis.given(st.text())
def test_pieces_of_a_text_join_to_that_text(text: str) -> None:
    assert "".join(pieces_of(text)) == text


@hypothesis.given(st.text(st.characters(categories=["L", "P", "Zs"]), min_size=8))
def test_pieces_are_small(text: str) -> None:
    assert max(map(len, pieces_of(text))) <= 4


def test_a_list_of_pieces_is_sent_as_it_is() -> None:
    assert tuple(pieces_of(["whole sentence", "", "x"])) == ("whole sentence", "", "x")


def given(script: Any, count: int) -> list[Any]:
    """What a script answers to so many requests that ask for the same; None where it has none."""
    answers = answers_of(script)
    request = read_request("POST", "/v1/chat/completions", {}, b"{}")
    found: list[Any] = []
    for _ in range(count):
        try:
            found.append(answers.pick(request))
        except NoAnswerError:
            found.append(None)
    return found


def test_one_answer_serves_every_request() -> None:
    assert [answer.content for answer in given("Hello", 3)] == ["Hello"] * 3


def test_a_list_serves_one_request_each_and_then_has_no_answer() -> None:
    *answers, last = given(["a", FakeAnswer("b", times=2)], 4)
    assert [answer.content for answer in answers] == ["a", "b", "b"]
    assert last is None


def test_times_none_serves_all_that_follow() -> None:
    answers = given([FakeAnswer(status=503, times=2), FakeAnswer("ok", times=None)], 5)
    assert [answer.status for answer in answers] == [503, 503, 200, 200, 200]


def test_an_answer_alone_serves_every_request_or_as_many_as_it_says() -> None:
    assert None not in given(FakeAnswer("a"), 3)
    assert given(FakeAnswer("a", times=2), 3)[2] is None


def test_a_very_long_script_takes_time_by_its_length() -> None:
    asked: list[int] = []

    def when(_: object) -> bool:
        asked.append(1)
        return True

    script = [FakeAnswer(str(n), when=when) for n in range(5000)]
    assert [answer.content for answer in given(script, 5000)] == [str(n) for n in range(5000)]
    assert len(asked) == 5000


def test_what_is_not_an_answer_is_refused_before_any_request() -> None:
    with pytest.raises(TypeError, match="answer 2 must be a str, a FakeAnswer or an object, not 3"):
        answers_of(["a", 3])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FakeAnswer(delay=-1), "delay=-1"),
        (lambda: FakeAnswer(delay=float("nan")), "delay=nan"),
        (lambda: FakeAnswer(pace=0), "per_second=0"),
        (lambda: Pace(10, jitter=2), "jitter=2"),
        (lambda: FakeAnswer(status=99), "status=99"),
        (lambda: FakeAnswer(cut=0), "cut=0"),
        (lambda: FakeAnswer(times=0), "times=0"),
        (lambda: FakeAnswer(fault="Stall"), "one or more of Stall, Truncate"),  # type: ignore[arg-type]
        (lambda: Truncate(after="request"), "after='request'"),
        (lambda: Stall(after=-1), "after=-1"),
        (lambda: Stall(after=True), "after=True"),
        (lambda: Stall(seconds=-1), "seconds=-1"),
        (lambda: Stall(heartbeat=0), "heartbeat=0"),
        (lambda: Reset(after="end"), "after='end'"),  # type: ignore[arg-type]
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_are_frozen_and_take_their_place_by_keyword(kind: Any) -> None:
    fault = kind(after=2)
    assert fault.after == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        fault.after = 3


# ---- JSON


def test_a_script_file_has_the_shape_of_the_data_classes() -> None:
    script = [
        "Hello",
        {"status": 429, "retry_after": 1, "times": 2},
        {"content": ["par", "tial"], "fault": {"Truncate": {"after": 1}}},
        {"content": "x", "fault": [{"Stall": {"seconds": 0.1}}, {"Reset": {"after": "finish"}}]},
        {"content": "x", "pace": {"per_second": 30, "jitter": 0.5, "seed": 7}},
        {"content": "x", "pace": 30, "reasoning": "hm", "usage": False, "conversation": {"a": 1}},
        {"tool_calls": [{"name": "f", "arguments": {"city": "Köln"}, "id": "call_9"}]},
    ]
    assert script_from_json(json.dumps(script)) == [
        FakeAnswer("Hello"),
        FakeAnswer(status=429, retry_after=1, times=2),
        FakeAnswer(["par", "tial"], fault=Truncate(after=1)),
        FakeAnswer("x", fault=[Stall(seconds=0.1), Reset(after="finish")]),
        FakeAnswer("x", pace=Pace(30, jitter=0.5, seed=7)),
        FakeAnswer("x", pace=30, reasoning="hm", usage=False, conversation={"a": 1}),
        FakeAnswer(tool_calls=(FakeToolCall("f", {"city": "Köln"}, id="call_9"),)),
    ]


def test_a_single_answer_needs_no_list() -> None:
    assert script_from_json('"Hello"') == FakeAnswer("Hello")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "the script is not JSON"),
        ("3", "the answer is 3, not an object"),
        ('["a", {"contents": "b"}]', "answer 2 has no 'contents'; it has content, reasoning"),
        ('{"fault": {"Stal": {}}}', "the fault of the answer is .* of Stall, Truncate"),
        ('{"fault": {"Stall": {"sec": 1}}}', "the fault of the answer has no 'sec'"),
        ('{"fault": {"Stall": {"after": "x"}}}', "the fault of the answer: after='x'"),
        ('{"delay": "soon"}', "the answer: delay='soon'"),
        ('{"pace": {"jitter": 1}}', "the pace of the answer: .*per_second"),
        ('{"tool_calls": [{"id": "x"}]}', "a tool call of the answer: .*name"),
        ('{"content": 5}', "the answer: content=5"),
        ('{"content": ["a", 5]}', "the answer: content="),
        ('{"headers": {"a": 1}}', "the answer: headers="),
        ('{"status": "429"}', "the answer: status='429'"),
        ('{"tool_calls": 3}', "tool_calls"),
    ],
)
def test_a_wrong_script_file_names_the_place_and_the_key(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        script_from_json(text)


# ---- the plan


def test_a_plain_answer_is_a_head_its_pieces_and_an_ending() -> None:
    planned = list(steps(FakeAnswer(["a", "b"])))
    assert isinstance(planned[0], Head)
    assert [step.piece for step in planned[1:]] == [True, True, False, False]
    assert planned[-1].data == b"data: [DONE]\n\n"


def test_a_pace_says_when_each_piece_is_due_and_its_seed_repeats() -> None:
    def due(seed: int) -> list[Any]:
        answer = FakeAnswer(["a"] * 20, pace=Pace(10, jitter=0.5, seed=seed))
        return [step.at for step in steps(answer) if isinstance(step, Until)]

    assert due(1) == due(1) != due(2)
    assert (len(due(1)), due(1)[0]) == (20, 0.0)
    assert all(0.05 <= after - before <= 0.15 for before, after in pairwise(due(1)))


def test_a_long_wait_is_written_without_an_exponent() -> None:
    for given, written in ((1234567, "1234567"), (0.25, "0.25"), (0, "0"), (1e-4, "0.0001")):
        head, *_ = steps(FakeAnswer(status=429, retry_after=given))
        assert dict(head.headers)["Retry-After"] == written


def test_an_id_of_the_script_is_in_no_header() -> None:
    for dialect in ("openai", "azure", "litellm"):
        head, *_ = steps(FakeAnswer("a", id="x\r\ny"), dialect=dialect)
        assert "x" not in [value for _, value in head.headers]


def test_a_pace_without_jitter_is_even() -> None:
    answer = FakeAnswer(["a"] * 3, pace=20)
    assert [step.at for step in steps(answer) if isinstance(step, Until)] == [0.0, 0.05, 0.1]


def test_an_answer_in_one_body_takes_as_long_as_its_stream() -> None:
    answer = FakeAnswer(["a"] * 3, pace=20)
    (pause,) = [step for step in steps(answer, stream=False) if isinstance(step, Pause)]
    assert pause.seconds == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("after", "pieces", "finish"),
    [
        (0, 0, 0),
        ("headers", 0, 0),
        (1, 1, 0),
        (3, 3, 0),
        (99, 3, 0),
        ("content", 3, 0),
        ("finish", 3, 1),
        ("done", 3, 1),
    ],
)
def test_truncation_strikes_where_it_says(after: Any, pieces: int, finish: int) -> None:
    body = sent(FakeAnswer(["a", "b", "c"], fault=Truncate(after=after)))
    assert body.count(b'"content":"') == pieces + finish
    assert body.count(b'"finish_reason":"stop"') == finish
    assert body.endswith(b"data: [DONE]\n\n") is (after == "done")


@pytest.mark.parametrize("stream", [True, False])
def test_a_drop_before_the_headers_is_the_only_step(stream: bool) -> None:
    answer = FakeAnswer("Hi", fault=Reset(after="request"))
    assert list(steps(answer, stream=stream)) == [Drop(reset=True)]


def test_faults_that_end_nothing_come_before_one_that_does() -> None:
    answer = FakeAnswer(["a", "b"], fault=[Raw(": x\n\n", after=1), Stall(after=1), Close(after=1)])
    kinds = [type(step).__name__ for step in steps(answer)]
    assert kinds == ["Head", "Send", "Send", "Pause", "Drop"]


def test_a_torn_close_sends_half_of_the_next_event() -> None:
    planned = list(steps(FakeAnswer(["a", "b"], fault=Close(after=1, torn=True))))
    whole = [step.data for step in steps(FakeAnswer(["a", "b"])) if isinstance(step, Send)][1]
    assert planned[-2] == Send(whole[: len(whole) // 2], torn=True)
    assert planned[-1] == Drop(reset=False)


def test_the_cut_divides_the_bytes_and_loses_none() -> None:
    blocks = [step.data for step in steps(FakeAnswer("Hello", cut=7)) if isinstance(step, Send)]
    assert max(map(len, blocks)) == 7
    assert b"".join(blocks) == sent(FakeAnswer("Hello"))


def test_repeat_sends_all_the_pieces_again() -> None:
    planned = steps(FakeAnswer(["a", "b"], fault=Repeat(2)))
    assert sum(step.piece for step in planned if isinstance(step, Send)) == 6


def test_repeat_without_a_number_never_ends() -> None:
    planned = islice(steps(FakeAnswer("tick", fault=Repeat())), 1000)
    assert len(list(planned)) == 1000


def test_a_huge_event_is_one_piece() -> None:
    body = sent(FakeAnswer("Hi", fault=HugeEvent(100_000)))
    assert b'"' + b"x" * 100_000 + b'"' in body


def test_lone_surrogates_go_out_as_escapes() -> None:
    body = sent(FakeAnswer(["\ud83d", "\ude00"]))
    assert rb'"content":"\ud83d"' in body
    assert rb'"content":"\ude00"' in body


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_has_a_plan_in_every_dialect_and_place(kind: Any) -> None:
    for dialect, stream, after in product(DIALECTS, (True, False), (0, 1, "content", "done")):
        answer = FakeAnswer("Hi there", fault=kind(after=after), tool_calls=[FakeToolCall("f")])
        planned = list(islice(steps(answer, dialect=dialect, stream=stream), 200))
        assert isinstance(planned[0], Head)
