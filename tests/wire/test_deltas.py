"""DeltaDecoder gives the same answer however a body is cut, and whichever short cut it takes.

The exact way, an event at a time, is the reference; the short cuts for plain text deltas
must not be told from it. Half of the tests try to fool them. Dialects are in
test_dialects.py; here are the rules between them.
"""

from __future__ import annotations

import json
import random
from typing import Any
from unittest import mock

import pytest
from dialects.adversarial import (
    CHANGES,
    CUTS,
    DONE,
    ENDS,
    EVERYTHING,
    JSON,
    OPTIONS,
    cut,
    event,
    said,
    streams,
)
from dialects.decoding import Decoded, by_event, bytewise, cut_at_random, decode, decode_chunks
from dialects.drifting import drifting
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st

from async_copilot.errors import (
    CopilotError,
    EventTooLargeError,
    MalformedDataError,
    StreamError,
    UnexpectedContentError,
)
from async_copilot.wire.answer import End
from async_copilot.wire.chat import read_chunks
from async_copilot.wire.deltas import DeltaDecoder
from async_copilot.wire.plain import PlainDelta


def decoder(**options: Any) -> DeltaDecoder:
    return DeltaDecoder(**options)


def all_ways(body: bytes, *cuts: list[bytes], **options: Any) -> Decoded:
    """Decode body whole, the exact way; every other way must give the same."""
    exact = decode([body], exact="events", **options)
    for blocks in ([body], by_event(body), bytewise(body), *cuts):
        assert decode(blocks, **options) == exact
        assert decode(blocks, exact="deltas", **options) == exact
        assert decode_chunks(blocks, **options)[0] == exact
    return exact


# ------------------------------------------------------------------ short cuts, by chance


@given(streams(), CUTS, OPTIONS)
@examples(250)
def test_no_short_cut_can_be_told_from_the_exact_way(
    body: bytes, cuts: list[tuple[int, bool]], options: dict[str, Any]
) -> None:
    blocks = cut(body, cuts)
    exact = decode([body], exact="events", **options)
    for whole_or_cut in ([body], by_event(body), blocks):
        assert decode(whole_or_cut, **options) == exact
    assert decode(bytewise(body), **options) == exact
    assert decode(blocks, exact="deltas", **options) == exact
    assert decode_chunks(blocks, **options)[0] == exact
    assert decode_chunks(bytewise(body), exact=True, **options)[0] == exact


@pytest.mark.parametrize("seed", range(8))
def test_values_that_are_left_open_change_nothing(seed: int) -> None:
    """25 streams each; 100,000 were read when the short cut was made."""
    dice = random.Random(seed)  # noqa: S311  # no secret
    for _ in range(25):
        body = drifting(dice)
        exact = decode([body], exact="events")
        cuts = [(dice.randrange(3000), dice.random() < 0.5) for _ in range(dice.randrange(6))]
        for blocks in ([body], by_event(body), cut(body, cuts)):
            assert decode(blocks) == exact
            assert decode(blocks, eager=False) == exact
            assert decode(blocks, exact="deltas") == exact


def drifted(number: int, text: str, **more: Any) -> bytes:
    """A plain delta whose id, time and padding are its own."""
    fields = {"id": f"c-{number}", "created": number, "obfuscation": "x" * number}
    return said(text, **fields, **more)[len("data: ") : -2]


def learn(payload: bytes, known: PlainDelta | None = None) -> PlainDelta | None:
    event = json.loads(payload)
    (chunk,) = read_chunks(event)
    return PlainDelta.learn(payload, event, chunk, known=known)


def learned(*payloads: bytes) -> PlainDelta | None:
    form: PlainDelta | None = None
    for payload in payloads:
        form = learn(payload, form)
    return form


def test_what_says_nothing_new_is_left_open_once_it_has_changed() -> None:
    third = event(drifted(3, "c"))
    first, second = learned(drifted(1, "a")), learned(drifted(1, "a"), drifted(2, "b"))
    assert first is not None
    assert second is not None
    assert (first.text_of(third), second.text_of(third)) == (None, "c")
    assert (first.texts_of(third * 2), second.texts_of(third * 2)) == (None, ["c", "c"])


@pytest.mark.parametrize(
    ("claim", "more"),
    [
        ("a name that stands twice may be another's", {"x": {"id": "y"}}),
        ("so may one that is written in another way", {"x": "\\"}),
        ("a long event is not worth a pattern", {"x": "x" * 3000}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_left_open(claim: str, more: dict[str, Any]) -> None:
    form = learned(drifted(1, "a", **more), drifted(2, "b", **more))
    assert form is not None, claim
    assert form.text_of(event(drifted(3, "c", **more))) is None
    assert form.text_of(event(drifted(2, "c", **more))) == "c"


@pytest.mark.parametrize(
    "odd",
    [b"\x01", b"\t", b"\\", b"\\\\", b"\\u0061", b'\\"', b'","content":"no', b"\xff", b"x" * 2000],
)
def test_what_an_open_field_holds_makes_no_difference(odd: bytes) -> None:
    ids = [f"c-{n}".encode() for n in range(30)]
    ids[20] += odd
    events = [said(str(n), id="@").replace(b"@", id_) for n, id_ in enumerate(ids)]
    all_ways(b"".join(events) + ENDS, strict=False)


@pytest.mark.parametrize("nothing", ["null", '""', "[]", "{}"])
def test_a_time_that_is_not_one_is_not_known(nothing: str) -> None:
    first = said("a", created=0).replace(b'"created": 0', b'"created": ' + nothing.encode())
    assert all_ways(first * 12 + said("b", created=5) * 3 + ENDS).completion["created"] == 5


@pytest.mark.parametrize(
    "decoy",
    [
        '{"x": {"content": "decoy"}, "choices": [{"delta": {"content": "a"}}]}',
        '{"x": {"content": "decoy"}, "choices": [{"delta": {"\\u0063ontent": "a"}}]}',
        '{"x": {"\\"content": "decoy"}, "choices": [{"delta": {"cont\\u0065nt": "a"}}]}',
        '{"choices": [{"delta": {"content": "decoy", "content": "a"}}]}',
    ],
)
def test_where_another_name_may_be_the_texts_nothing_is_learned(decoy: str) -> None:
    assert learn(decoy.encode()) is None


# ------------------------------------------------------------------ short cuts, on purpose

B, A = b'{"choices":[{"index":0,"delta":{"content":', b"}}]}"


# A claim, what stands for the content of events 4 and on, the texts of those, and whether
# the whole is read: event by event there is no doubt about either.
NEAR_MISSES: list[tuple[str, list[bytes], list[str], bool]] = [
    ("two strings in one place", [b'"a","b"'], [], False),
    ("two strings, a line end between them", [b'"a",\n"b"'], [], False),
    ("two strings, a blank line between them", [b'"a",\n\n"b"'], [], False),
    ("two fields in one place", [b'"a","content":"b"'], ["b"], True),
    ("a line end before the string", [b'\n"a"'], [], False),
    ("a line end after the string", [b'"a"\n'], [], False),
    ("a line end inside the string", [b'"a\nb"'], [], False),
    ("a blank line inside the string", [b'"a\n\nb"'], [], False),
    ("blanks around the string", [b' "a"\t'], ["a"], True),
    ("an empty place", [b""], [], False),
    ("an empty string", [b'""', b'""'], [], True),
    ("a number", [b"5"], ["5"], True),
    ("null", [b"null"], [], True),
    ("a list", [b'["a"]'], ["a"], True),
    ("a list over two events", [b'["a"', b'"b"]'], [], False),
    ("an object", [b'{"text":"a"}'], ["a"], True),
    ("a string over two events", [b'"a', b'b"'], [], False),
    ("a string over two events, then two in one", [b'"a', b'b"', b'"x","y"'], [], False),
    ("a bracket that closes what never opened", [b'"a"],["b"'], [], False),
    ("two strings, then none", [b'"a","b"', b""], [], False),
    ("none, then two strings", [b"", b'"a","b"'], [], False),
    ("quotes in the text", [b'"\\",\\""', b'"\\\\"'], ['","', "\\"], True),
    ("a character in halves", [b'"\\ud83d"', b'"\\ude00"'], ["😀"], True),
    ("half a character, then another", [b'"\\ud83d"', b'"a"'], ["\ufffda"], True),
    ("invalid UTF-8", [b'"\xff"'], ["\ufffd"], True),
    ("a raw control character", [b'"\x01"'], ["\x01"], True),
]


@pytest.mark.parametrize(
    ("literals", "texts", "readable"), [pytest.param(*row, id=claim) for claim, *row in NEAR_MISSES]
)
def test_what_is_nearly_a_plain_delta_is_read_exactly(
    literals: list[bytes], texts: list[str], readable: bool
) -> None:
    by_event = [
        event(literal.join((B, A))) for literal in (b'"1"', b'"2"', b'"3"', *literals, b'"9"')
    ]
    body = b"".join(by_event)
    decoded = all_ways(body, by_event, [by_event[0], body[len(by_event[0]) :]])
    assert decoded.texts == ["1", "2", "3", *texts, *["9"] * readable]
    assert decoded.end is (End.TRUNCATED if readable else End.ERROR)


def test_only_empty_strings_are_not_text() -> None:
    assert all_ways(event(B + b'""' + A) * 4).texts == []


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change[1].decode())
def test_a_field_that_changes_between_plain_deltas_is_not_missed(
    change: tuple[bytes, bytes],
) -> None:
    plain = event(b'"t"'.join(EVERYTHING))
    changed = plain.replace(*change)
    assert changed != plain
    by_event = [plain] * 3 + [changed] * 2 + [plain] * 2
    all_ways(b"".join(by_event), by_event, [plain, plain, b"".join(by_event[2:])])


@pytest.mark.parametrize("name", ["id", "model", "provider"])
@pytest.mark.parametrize("first", [None, 5, "", [], "known"], ids=repr)
def test_an_answer_is_called_what_it_calls_itself_first(name: str, first: object) -> None:
    by_event = [said("t", created=n, **{name: first}) for n in range(4)]
    by_event += [said("t", created=n, **{name: f"late {n}"}) for n in range(4)]
    decoded = all_ways(b"".join(by_event), by_event)
    assert getattr(decoded, name) == ("known" if first == "known" else "late 0")
    assert decoded.texts == ["t"] * 8


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"model": "m2"}, {"model": "m1"}),
        ({"id": "late"}, {"id": "late"}),
        ({"provider": "p"}, {"provider": "p"}),
        ({"usage": {"n": 5}}, {"usage": {"n": 5}}),
        ({"x_groq": {"usage": {"n": 6}}}, {"usage": {"n": 6}}),
        ({"conversation": {"c": 1}}, {"conversation": {"c": 1}}),
        ({"created": 7, "obfuscation": "zz"}, {}),
    ],
)
def test_a_field_that_comes_once_is_not_missed(
    changed: dict[str, Any], expected: dict[str, Any]
) -> None:
    plain = said("a", model="m1")
    by_event = [plain, plain, plain, said("x", **{"model": "m1", **changed}), plain, plain]
    decoded = all_ways(b"".join(by_event), by_event)
    assert decoded.texts == ["a", "a", "a", "x", "a", "a"]
    for name, value in {"model": "m1", **expected}.items():
        assert getattr(decoded, name) == value


def test_an_error_that_looks_like_a_plain_delta_is_an_error() -> None:
    decoded = all_ways(said("a") * 3 + said("b", error={"message": "gone"}) + said("c"))
    assert decoded.texts == ["a", "a", "a"]
    assert decoded.error is not None
    assert decoded.error[0] is StreamError


def test_an_error_of_groqs_kind_is_an_error_beside_choices_too() -> None:
    decoded = all_ways(said("a") * 3 + event({"choices": [], "x_groq": {"error": "full"}}))
    assert decoded.error is not None
    assert "full" in decoded.error[1]


def test_a_plain_delta_named_error_is_an_error() -> None:
    named = said("a") * 3 + b"event: error\n" + said("b")
    decoded = all_ways(named, [said("a") * 3 + b"event: error\n", said("b")])
    assert decoded.texts == ["a", "a", "a"]
    assert decoded.end is End.ERROR


def test_data_held_from_an_earlier_block_belongs_to_the_next_event() -> None:
    first = said("a") * 3
    body = first + b"data: {\n" + said("b")
    assert all_ways(body, [first, b"data: {\n", said("b")]).end is End.ERROR


def test_deeply_nested_fields_are_read() -> None:
    deep = b"[" * 1000 + b"]" * 1000
    plain = event(b'{"choices":[{"index":0,"delta":{"content":"a"}}],"x":' + deep + b"}")
    assert decode([plain, plain, plain + ENDS]).texts == ["a", "a", "a"]


def counted() -> Any:
    """Count the events that are read one by one, the exact way."""
    return mock.patch.object(DeltaDecoder, "read", autospec=True, side_effect=DeltaDecoder.read)


@pytest.mark.parametrize("changing", [False, True], ids=["alike", "with a field that changes"])
@pytest.mark.parametrize("at_once", [1, 10], ids=["one a block", "ten a block"])
def test_the_short_cuts_are_taken(changing: bool, at_once: int) -> None:
    events = [said(str(n), obfuscation=str(n * changing)) for n in range(1000)]
    blocks = [b"".join(events[at : at + at_once]) for at in range(0, 1000, at_once)]
    with counted() as reads:
        decoded = decode([*blocks, ENDS])
    assert decoded.texts == [str(n) for n in range(1000)]
    assert decoded.events == 1001
    assert 0 < reads.call_count < 3 * at_once + 10


def test_what_repeats_is_learned_once() -> None:
    with mock.patch.object(PlainDelta, "learn", wraps=PlainDelta.learn) as learn:
        assert len(decode([said("a") * 100, said("a") * 100]).texts) == 200
    assert learn.call_count == 1


def test_what_never_repeats_is_not_learned_for_ever() -> None:
    """A try to learn costs as much as reading the event; four in a row must do."""
    events = [said(str(n), x=n) for n in range(1000)]
    with (
        counted() as reads,
        mock.patch.object(PlainDelta, "learn", wraps=PlainDelta.learn) as learn,
    ):
        assert len(decode(events).texts) == 1000
    assert reads.call_count == 1000
    assert learn.call_count == 4


# ------------------------------------------------------------------ any bytes at all


@given(st.binary(max_size=300), CUTS, OPTIONS)
@examples(150)
@example(b"\xef\xbb", [(1, False)], {})
@example(b'{"choices":[{"message":{}}]}', [], {})
def test_any_bytes_are_an_answer_or_an_error_of_ours(
    body: bytes, cuts: list[tuple[int, bool]], options: dict[str, Any]
) -> None:
    decoded = decode(cut(body, cuts), **options)
    assert decoded == decode([body], exact="events", **options)
    assert decoded.error is None or issubclass(decoded.error[0], CopilotError)


@given(JSON, st.sampled_from(("", "event: error\n", "event: ping\n")))
@examples(150)
def test_any_json_as_data_is_read_or_an_error_of_ours(value: Any, name: str) -> None:
    body = name.encode() + event(json.dumps(value)) + said("a") + ENDS
    decoded = decode([body])
    assert decoded == decode([body], exact="events")
    assert decode_chunks([body])[0] == decoded


@given(JSON)
@examples(100)
def test_any_json_as_a_whole_body_is_read_or_an_error_of_ours(value: Any) -> None:
    body = json.dumps(value).encode()
    assert decode([body]) == decode_chunks(bytewise(body))[0]


NESTING = (
    ("[", "0", "]"),
    ('{"message":', "0", "}"),
    ('{"error":', "0", "}"),
    ('[{"thinking":', "0", "}]"),
)


@pytest.mark.parametrize(
    "around",
    [
        '{"error":%s}',
        '{"detail":%s}',
        '{"detail":[{"msg":%s}]}',
        '{"error":{"code":1,"message":[%s]}}',
        '{"object":"error","message":%s}',
        '{"choices":[{"delta":{"content":%s}}]}',
        '{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":%s}}]}}]}',
        '{"choices":[{"delta":{"content":"a"}}],"usage":%s}',
        "%s",
    ],
)
def test_nesting_without_end_is_read_or_an_error_of_ours(around: str) -> None:
    """1,010 is more than Python's stack carries, and less than what orjson refuses."""
    for depth in (400, 1010, 100_000):
        for opening, middle, closing in NESTING:
            payload = (around % (opening * depth + middle + closing * depth)).encode()
            decode([event(payload)] * 3)
            decode([payload])


@example(b"\x1c", b"")
@given(st.binary(max_size=40), st.sampled_from((b"", b"event: error\n")))
@examples(150)
def test_any_bytes_as_data_are_read_or_an_error_of_ours(data: bytes, name: bytes) -> None:
    body = said("a") + name + event(data) + said("b") + DONE
    decoded = decode([body])
    assert decoded.texts[0] == "a"
    assert decoded == decode(bytewise(body), exact="events")


# ------------------------------------------------------------------ what it tells meanwhile


def test_a_delta_is_given_as_soon_as_its_blank_line_is_here() -> None:
    reading = decoder()
    body = said("a")
    assert reading.texts(body[:-1]) == []
    assert not reading.progress
    assert reading.texts(body[-1:]) == ["a"]
    assert reading.progress


@pytest.mark.parametrize(
    ("body", "progress"),
    [
        (said("a"), True),
        (said(""), False),
        (b": comment\n\n", False),
        (b"data:\n\n", False),
        (event({"choices": [], "usage": {"n": 1}}), False),
        (event({"choices": [{"delta": {"reasoning": "hm"}}]}), True),
        (event({"choices": [{"delta": {"refusal": "no"}}]}), True),
        (event({"choices": [{"delta": {"tool_calls": [{"id": "c"}]}}]}), True),
        (event({"choices": [{"index": 1, "delta": {"content": "b"}}]}), True),
        (ENDS, True),
    ],
)
def test_progress_is_what_belongs_to_the_answer(body: bytes, progress: bool) -> None:
    for ask in (DeltaDecoder.texts, DeltaDecoder.chunks):
        reading = decoder()
        ask(reading, body)
        assert reading.progress is progress
        ask(reading, b"\n")
        assert reading.progress is False


@pytest.mark.parametrize("changing", [False, True], ids=["alike", "with a field that changes"])
def test_progress_holds_for_short_cuts_too(changing: bool) -> None:
    reading = decoder()
    for n in range(DeltaDecoder.worth_learning + 3):
        reading.texts(said("a", created=n * changing))
    assert reading._plain is not None
    assert reading.texts(said("b", created=9 * changing)) == ["b"]
    assert reading.progress
    assert reading.texts(said("", created=10 * changing)) == []
    assert not reading.progress
    assert reading.events == DeltaDecoder.worth_learning + 5


def test_finished_means_every_choice() -> None:
    reading = decoder(n=2)
    assert not reading.finished
    reading.texts(said("a") + event({"choices": [{"index": 1, "delta": {"content": "b"}}]}))
    reading.texts(ENDS)
    assert not reading.finished
    reading.texts(event({"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]}))
    assert reading.finished
    assert not reading.ended


def test_an_answer_is_not_finished_before_its_first_choice_has_begun() -> None:
    """With n=2 the second may be the quicker one."""
    other = event({"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]})
    assert all_ways(other, n=2).end is End.TRUNCATED
    assert all_ways(other + said("a") + ENDS, n=2).end is End.COMPLETE
    assert all_ways(other + DONE, n=2).end is End.TRUNCATED


def test_done_vouches_for_a_choice_without_a_finish_reason() -> None:
    other = event({"choices": [{"index": 1, "delta": {"content": "b"}}]})
    assert all_ways(said("a") + other + ENDS + DONE, n=2).end is End.COMPLETE
    assert all_ways(said("a") + other + DONE, n=2).end is End.DONE
    assert all_ways(said("a") + other + ENDS, n=2).end is End.TRUNCATED


def test_ended_means_that_nothing_later_counts() -> None:
    for ending in (DONE, event({"error": "x"}), event("{oops")):
        reading = decoder()
        reading.texts(said("a"))
        assert not reading.ended
        assert reading.texts(said("b") + ending + said("c")) == ["b"]
        assert reading.ended
        assert reading.rest_of_texts(at_end=True) == []


def test_bytes_after_the_last_blank_line_count_only_at_the_end() -> None:
    """A broken connection may have cut a number in two: what is left of it is not data."""
    whole, cut_off = decoder(), decoder()
    for reading in (whole, cut_off):
        assert reading.texts(said("a") + said("b").rstrip()) == ["a"]
    assert whole.rest_of_texts(at_end=True) == ["b"]
    assert cut_off.rest_of_texts(at_end=False) == []


def test_half_a_character_is_not_lost_when_the_connection_is() -> None:
    reading = decoder()
    assert reading.texts(event(b'{"choices":[{"delta":{"content":"a\\ud83d"}}]}')) == ["a"]
    assert reading.rest_of_texts(at_end=False) == ["\ufffd"]
    chunked = decoder(n=3)
    chunked.chunks(event(b'{"choices":[{"index":2,"delta":{"refusal":"\\ud83d"}}]}'))
    (chunk,) = chunked.rest_of_chunks(at_end=False)
    assert (chunk.index, chunk.refusal) == (2, "\ufffd")


# ------------------------------------------------------------------ strict or not


def test_malformed_lines_are_skipped_and_counted_where_asked() -> None:
    body = said("a") + event("{oops") + said("b") + event("[1]") + event("NaN") + said("c") + ENDS
    decoded = all_ways(body, strict=False)
    assert decoded.texts == ["a", "b", "c"]
    assert decoded.skipped == 3
    assert decoded.events == 4
    assert decoded.end is End.COMPLETE


def test_a_malformed_line_is_an_error_after_the_text_before_it() -> None:
    decoded = all_ways(said("a") + event("{oops") + said("b"))
    assert decoded.texts == ["a"]
    assert decoded.error is not None
    kind, message, _, _, body = decoded.error
    assert kind is MalformedDataError
    assert "{oops" in message
    assert body == "{oops"


def test_an_error_event_that_is_not_json_is_an_error_all_the_same() -> None:
    decoded = all_ways(said("a") + b"event: error\ndata: out of luck\n\n", strict=False)
    assert decoded.error is not None
    assert decoded.error[0] is StreamError
    assert "out of luck" in decoded.error[1]


def test_half_an_event_at_the_end_is_never_malformed() -> None:
    body = said("a") + said("b")[:-12]
    decoded = all_ways(body)
    assert (decoded.texts, decoded.end, decoded.skipped) == (["a"], End.TRUNCATED, 0)
    assert all_ways(body, strict=False) == decoded


def test_a_long_error_message_is_cut() -> None:
    long = "x" * 100_000
    decoded = decode([event({"error": {"message": long, "type": long, "code": long}})])
    assert decoded.error is not None
    _, message, code, kind, body = decoded.error
    for text in (message, code or "", kind or "", body or ""):
        assert len(text) < 1000


# ------------------------------------------------------------------ bounds


@pytest.mark.parametrize("limit", [60, 100])
def test_an_event_beyond_the_bound_is_an_error_after_what_came_before(limit: int) -> None:
    body = said("a") + said("b" * 100) + said("c")
    ways = list(cut_at_random(body, seed=limit, ways=20))
    decoded = all_ways(body, *ways, [said("a"), body[len(said("a")) :]], max_event_bytes=limit)
    assert decoded.texts == ["a"]
    assert decoded.error is not None
    assert decoded.error[0] is EventTooLargeError


def test_an_unfinished_event_beyond_the_bound_is_an_error_too() -> None:
    body = said("a") + b"data: " + b"x" * 500
    ways = list(cut_at_random(body, seed=1, ways=20))
    decoded = all_ways(body, *ways, max_event_bytes=100)
    assert decoded.texts == ["a"]
    assert decoded.error is not None
    assert decoded.error[0] is EventTooLargeError


def test_many_small_events_in_one_block_are_not_a_large_event() -> None:
    body = said("a") * 50
    decoded = all_ways(body, [body[:100], body[100:]], max_event_bytes=60)
    assert decoded.texts == ["a"] * 50


@pytest.mark.parametrize("size", [1_000, 65_536, 200_000])
@pytest.mark.parametrize("after", [b"", said("b"), said("b") + ENDS + DONE, b": ping\n\n" + DONE])
def test_a_large_event_is_read_whole_with_what_stands_around_it(size: int, after: bytes) -> None:
    body = said("a") * 9 + said("x" * size) + after + said("y" * size)
    exact = decode([body], exact="events")
    for step in (30_000, len(body) - 1, len(body)):
        reads = [body[at : at + step] for at in range(0, len(body), step)]
        assert decode(reads) == exact
        assert decode_chunks(reads)[0] == exact
    texts = ["a"] * 9 + ["x" * size] + ["b"] * (b'"b"' in after)
    assert exact.texts == texts + ["y" * size] * (DONE not in after)


def test_a_large_broken_event_is_quoted_in_part() -> None:
    body = said("x" * 100_000)[:-10] + b"\n\n"
    decoded = decode([body[:90_000], body[90_000:]])
    assert decoded == decode([body], exact="events")
    assert decoded.error is not None
    assert decoded.error[0] is MalformedDataError
    assert len(decoded.error[1]) < 400


def test_done_before_a_large_event_wins() -> None:
    assert (
        all_ways(said("a") + ENDS + DONE + said("x" * 500), max_event_bytes=100).end is End.COMPLETE
    )


def test_a_document_beyond_the_bound_is_an_error() -> None:
    body = json.dumps({"choices": [{"message": {"content": "x" * 500}}]}).encode()
    decoded = all_ways(body, max_event_bytes=100)
    assert decoded.error is not None
    assert decoded.error[0] is EventTooLargeError
    assert all_ways(body, max_event_bytes=600).texts == ["x" * 500]


# ------------------------------------------------------------------ the body's form


@pytest.mark.parametrize(
    "body",
    [
        b"Internal Server Error",
        b"oops\n\noops",
        b": comment, and no more\n\n",
        b"\xef\xbb\xbf no stream",
        b"retry: 1\n\n",
    ],
)
def test_text_that_is_not_an_event_stream_is_judged_by_its_label(body: bytes) -> None:
    assert all_ways(body).end is End.TRUNCATED
    decoded = all_ways(body, media_type="text/plain")
    assert decoded.error is not None
    assert decoded.error[0] is UnexpectedContentError
    assert "text/plain" in decoded.error[1]
    assert decoded.error[4] == body.decode()


@pytest.mark.parametrize("body", [b"", b"\n\n", b" \r\n", b"\xef\xbb\xbf\n"])
def test_nothing_at_all_is_cut_off(body: bytes) -> None:
    assert all_ways(body).end is End.TRUNCATED


def test_blank_lines_before_a_stream_are_not_a_document() -> None:
    assert all_ways(b"\n" * 100 + said("a") + ENDS).texts == ["a"]
    assert all_ways(b"\r\n" + said("a") + ENDS).texts == ["a"]


def test_blanks_before_a_document_are_skipped() -> None:
    body = (
        b"\xef\xbb\xbf \r\n\t" + b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}'
    )
    assert all_ways(body).texts == ["a"]


def test_an_error_document_is_the_servers_error() -> None:
    decoded = all_ways(b'{"error":{"message":"no","code":"c","type":"t"}}')
    assert decoded.error is not None
    assert decoded.error[0] is StreamError
    assert decoded.error[2:4] == ("c", "t")
    assert all_ways(b'{"detail":"Not Found"}').error is not None


@pytest.mark.parametrize(
    "body", [b'{"choices":[]}', b'{"choices":{}}', b"{}", b'{"object":"list"}']
)
def test_a_document_without_a_choice_is_not_an_answer(body: bytes) -> None:
    decoded = all_ways(body)
    assert decoded.error is not None
    assert decoded.error[0] is UnexpectedContentError


def test_a_long_web_page_ends_as_soon_as_it_is_known_for_one() -> None:
    page = b"<html>" + b"<p>Sign in</p>" * 1000
    reading = decoder()
    assert reading.texts(page[:500]) == []
    assert isinstance(reading.failure, UnexpectedContentError)
    assert all_ways(page).error == all_ways(page[:500]).error


def test_a_document_cut_off_by_a_lost_connection_says_nothing() -> None:
    reading = decoder()
    assert reading.texts(b'{"choices":[{"message":{"content":"a"}}]}') == []
    assert reading.rest_of_texts(at_end=False) == []
    assert reading.failure is None
