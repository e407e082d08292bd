"""What a turn leaves in a history, and a history that its server takes back."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from async_copilot.wire.history import (
    exchanges,
    in_order,
    newest,
    remembered_message,
    without_media,
)

Message = dict[str, Any]
PICTURE = "data:image/png;base64," + "iVBORw0KGgo" * 30


def call(id_: str = "c", arguments: str = "{}", name: str = "f", **more: Any) -> Message:
    function = {"name": name, "arguments": arguments}
    return {"id": id_, "type": "function", "function": function, **more}


def said(content: Any = "a", **fields: Any) -> Message:
    return {"role": "assistant", "content": content, **fields}


def user(content: Any = "q") -> Message:
    return {"role": "user", "content": content}


def result(id_: str = "c", content: str = "r") -> Message:
    return {"role": "tool", "tool_call_id": id_, "content": content}


def kept(
    message: Message,
    echo: Literal["tools", "always", "never"] = "tools",
    finish: str | None = "stop",
    whole: bool = True,
) -> Message | None:
    return remembered_message(message, echo=echo, finish_reason=finish, whole=whole)[0]


# ------------------------------------------------------------------ what an answer leaves

REASONING: list[Message] = [
    {"reasoning_content": "hm"},  # DeepSeek, vLLM, Moonshot
    {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
    {"reasoning_text": "hm", "reasoning_opaque": "3f"},  # GitHub Copilot
    {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]},  # LiteLLM
    {"extra_content": {"google": {"thought_signature": "s"}}},  # Gemini
    {"thinking": "hm"},  # Ollama
    {"provider_specific_fields": {"thought_signatures": ["s"]}},
]


@pytest.mark.parametrize("fields", REASONING, ids=lambda fields: next(iter(fields)))
def test_reasoning_goes_back_with_tool_calls_always_or_never(
    fields: Message,
) -> None:
    plain, calling = said(**fields), said(None, tool_calls=[call()], **fields)
    assert kept(plain) == said()
    assert kept(calling) == calling
    assert kept(plain, "always") == plain
    assert kept(calling, "always") == calling
    assert kept(plain, "never") == said()
    assert kept(calling, "never") == said(None, tool_calls=[call()])


def test_thinking_parts_of_a_content_follow_the_same_rule() -> None:
    """Mistral's form."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    parts = [thought, {"type": "text", "text": "a"}]
    assert kept(said(parts)) == said("a")
    assert kept(said(parts), "always") == said(parts)
    assert kept(said(parts, tool_calls=[call()])) == said(parts, tool_calls=[call()])


UNKNOWN: Message = {
    "annotations": [{"type": "url_citation"}],
    "images": [{"image_url": {"url": PICTURE}}],
    "audio": {"id": "x", "data": "AAAA"},
    "metadata": {},
    "name": "bot",
}


def test_what_no_server_takes_back_stays_out() -> None:
    assert kept(said(**UNKNOWN)) == said()
    assert kept(said(None, tool_calls=[call()], **UNKNOWN)) == said(None, tool_calls=[call()])


def test_a_call_keeps_what_came_with_it() -> None:
    signed = call(extra_content={"google": {"thought_signature": "s"}}, other=1)
    assert kept(said("", tool_calls=[signed]), "never") == said(None, tool_calls=[signed])


@pytest.mark.parametrize("arguments", ["", None, "null"])
def test_no_arguments_are_an_empty_object(arguments: Any) -> None:
    message = kept(said(None, tool_calls=[call(arguments=arguments)]))
    assert message == said(None, tool_calls=[call(arguments="{}")])


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_a_call_that_was_cut_stays_out(finish: str) -> None:
    calls = [call("a", '{"x": 1}'), call("b", '{"x": ')]
    message, told = remembered_message(
        said("Let me see", tool_calls=calls), echo="tools", finish_reason=finish, whole=True
    )
    assert message == said("Let me see", tool_calls=calls[:1])
    assert told == ["1 unfinished tool call"]
    assert kept(said("", tool_calls=calls[1:]), finish=finish) is None
    assert kept(said("", tool_calls=[call("c", "{}")]), finish=finish) is None


@pytest.mark.parametrize("arguments", ["{'x': 1}", '{"x": ', "[1]", '"x"', "[" * 10**5, 7])
def test_arguments_that_are_not_an_object_are_an_empty_one_and_told(arguments: Any) -> None:
    message, told = remembered_message(
        said(None, tool_calls=[call(arguments=arguments)]),
        echo="tools",
        finish_reason="tool_calls",
        whole=True,
    )
    assert message == said(None, tool_calls=[call(arguments="{}")])
    assert told == ["the arguments of 'f', which are not a JSON object"]


def test_a_custom_call_keeps_its_input() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "not JSON"}}
    assert kept(said(None, tool_calls=[custom])) == said(None, tool_calls=[custom])


def test_of_a_broken_answer_the_text_alone_stays() -> None:
    message, told = remembered_message(
        said("Let me", tool_calls=[call()], reasoning="hm", function_call={"name": "f"}),
        echo="always",
        finish_reason=None,
        whole=False,
    )
    assert message == said("Let me")
    assert told == ["1 unfinished tool call"]
    assert kept(said("", tool_calls=[call()]), whole=False) is None


def test_blanks_beside_a_call_do_not_go_back() -> None:
    assert kept(said("\n", tool_calls=[call()])) == said(None, tool_calls=[call()])


@pytest.mark.parametrize(
    ("fields", "content", "told"),
    [
        ({"audio": {"id": "a", "data": "UklGR", "transcript": "Hi"}}, "Hi", 1),
        ({"content": "Hi", "audio": {"data": "UklGR", "transcript": "Ho"}}, "Hi", 1),
        ({"content": "Hi", "images": [{"type": "image_url"}, {"type": "image_url"}]}, "Hi", 2),
        ({"content": "Hi", "images": None, "audio": None}, "Hi", 0),
    ],
)
def test_media_beside_the_text_stay_out_and_are_told(
    fields: Message, content: str, told: int
) -> None:
    message, left_out = remembered_message(
        said(None) | fields, echo="tools", finish_reason="stop", whole=True
    )
    assert message == said(content)
    assert left_out == [f"{told} of the answer's images or sounds"] * bool(told)


def test_a_refusal_enters_as_a_refusal() -> None:
    assert kept(said("", refusal="No.")) == said(None, refusal="No.")
    assert kept(said("Well. ", refusal="No.")) == said("Well. ", refusal="No.")


def test_a_call_of_the_older_form_enters() -> None:
    message = said(None, function_call={"name": "f", "arguments": "{}"})
    assert kept(message) == message


@pytest.mark.parametrize("content", ["", None, [], "\n\n", [{"type": "text", "text": " "}]])
@pytest.mark.parametrize("fields", [{}, {"reasoning": "hm"}, {"tool_calls": []}])
@pytest.mark.parametrize("finish", [None, "stop", "length", "content_filter"])
def test_a_turn_of_nothing_leaves_nothing_and_is_told(
    content: Any, fields: Message, finish: str | None
) -> None:
    message, told = remembered_message(
        said(content, **fields), echo="always", finish_reason=finish, whole=True
    )
    assert message is None
    (why,) = told
    assert ("reasoning" in why) == ("reasoning" in fields)
    assert (str(finish) in why) == (finish in ("length", "content_filter"))


@pytest.mark.parametrize("value", [float("nan"), {"a": float("inf")}, b"x"], ids=repr)
def test_what_json_cannot_carry_stays_out_and_is_told(value: Any) -> None:
    message, told = remembered_message(
        said(reasoning_details=value, tool_calls=[call()]),
        echo="always",
        finish_reason="stop",
        whole=True,
    )
    assert message == said(tool_calls=[call()])
    assert told == ["reasoning_details, which JSON cannot carry"]


MEDIA = [
    (f"Here: ![a cat]({PICTURE}) ok", "Here: [image: a cat] ok"),
    (f"![]({PICTURE})", "[image]"),
    (f'<audio controls src="{PICTURE}"></audio>', "[audio]"),
    (f'<video controls src="{PICTURE}">\n</video>!', "[video]!"),
    (f'<img alt="x" src="{PICTURE}"/>', "[image]"),
    (f"see {PICTURE}", "see [media]"),
]


@pytest.mark.parametrize(("text", "shown"), MEDIA)
def test_media_as_data_does_not_go_back(text: str, shown: str) -> None:
    message, told = remembered_message(said(text), echo="tools", finish_reason="stop", whole=True)
    assert message == said(shown)
    assert told == ["1 of the answer's images or sounds"]


@pytest.mark.parametrize(
    "text",
    [
        "data: a, b and c",
        "![a](https://example.org/a.png)",
        '<audio src="https://example.org/a.mp3"></audio>',
        "data:text/plain,hello",
    ],
)
def test_links_and_words_stay(text: str) -> None:
    assert without_media(text) == (text, [])


def test_media_is_found_in_linear_time() -> None:
    for piece in ("![", "<audio ", "data:", "data:a;base64,", "<img src=data:a", "](data:"):
        without_media(piece * 100_000)


def test_parts_that_are_not_text_are_told() -> None:
    parts = ["a", {"type": "text", "text": "b"}, {"type": "image_url", "image_url": {}}]
    message, told = remembered_message(said(parts), echo="tools", finish_reason=None, whole=True)
    assert message == said("ab")
    assert told == ["1 of the answer's parts that are not text"]


# ------------------------------------------------------------------ a history in order

ORDERLY = [
    [],
    [user(), said()],
    [user(), said(None, tool_calls=[call()]), result(), said()],
    [user(), said(None, tool_calls=[call("a"), call("b")]), result("b"), result("a"), said()],
    [{"role": "system", "content": "s"}, user(), user()],
]


@pytest.mark.parametrize("messages", ORDERLY)
def test_a_history_in_order_stays_as_it_is(messages: list[Message]) -> None:
    assert in_order(messages, echo="tools") == (messages, [])


def test_calls_without_results_and_results_without_calls_go() -> None:
    calls = [call("a"), call("b")]
    messages = [
        result("x"),
        user("1"),
        said(None, tool_calls=calls, reasoning="hm"),
        user("2"),
        said("Let me", tool_calls=calls, reasoning="hm"),
        user("3"),
        said(None, tool_calls=calls, reasoning="hm"),
        result("b"),
        result("z"),
        user("4"),
    ]
    assert in_order(messages, echo="tools") == (
        [
            user("1"),
            user("2"),
            said("Let me"),
            user("3"),
            said(None, tool_calls=calls[1:], reasoning="hm"),
            result("b"),
            user("4"),
        ],
        ["5 tool calls without a result", "2 tool results without a call"],
    )
    assert in_order(messages, echo="always")[0][2] == said("Let me", reasoning="hm")


def test_an_answer_of_nothing_in_a_history_goes() -> None:
    messages = [user("1"), said(" "), user("2"), said(None), user("3"), said([])]
    assert in_order(messages, echo="tools") == (
        [user("1"), user("2"), user("3")],
        ["3 answers without content"],
    )


def test_a_call_has_one_result_right_after_it() -> None:
    calls = said(None, tool_calls=[call("a"), call("b")])
    asked = [user("1"), calls, result("b", "old"), user("2"), result("a"), result("b", "new")]
    assert in_order(asked, echo="tools") == (
        [user("1"), calls, result("a"), result("b", "new"), user("2")],
        ["1 tool result without a call"],
    )


def test_no_question_comes_right_after_a_result() -> None:
    """Where the calls between them were never answered; Mistral answers 400 to it."""
    first, second = said(None, tool_calls=[call("a")]), said(None, tool_calls=[call("b")])
    told = ["1 tool call without a result"]
    begun = [user("1"), first, result("a")]
    assert in_order([*begun, second, user("2")], echo="tools") == (
        [*begun, said("…"), user("2")],
        told,
    )
    spoken = {**second, "content": "Let me see"}
    assert in_order([*begun, spoken, user("2")], echo="tools") == (
        [*begun, said("Let me see"), user("2")],
        told,
    )
    assert in_order([*begun, second, said("a")], echo="tools") == ([*begun, said("a")], told)
    assert in_order([user("1"), second, user("2")], echo="tools") == ([user("1"), user("2")], told)


def test_two_calls_of_one_id_have_two_results() -> None:
    twins = said(None, tool_calls=[call("a"), call("a", name="g")])
    messages = [user(), twins, result("a", "1"), result("a", "2"), said()]
    assert in_order(messages, echo="tools") == (messages, [])


MESSAGES = st.lists(
    st.one_of(
        st.builds(user, st.text(max_size=3)),
        st.builds(said, st.text(min_size=1, max_size=3)),
        st.builds(
            lambda text, ids: said(text, tool_calls=[call(id_) for id_ in ids]),
            st.sampled_from([None, "x"]),
            st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True),
        ),
        st.builds(result, st.sampled_from("abc")),
    ),
    max_size=8,
)


@examples(100)
@given(MESSAGES, st.integers(0, 8))
def test_any_history_is_in_order_and_stays_so_when_it_is_cut(
    messages: list[Message], most: int
) -> None:
    ordered, _ = in_order(messages, echo="tools")
    assert in_order(ordered, echo="tools") == (ordered, [])
    assert [m for part in exchanges(ordered) for m in part] == ordered
    cut = newest(ordered, most)
    assert len(cut) <= most
    assert not cut or ordered[-len(cut) :] == cut
    assert in_order(cut, echo="tools") == (cut, [])


def test_an_exchange_is_a_question_calls_with_results_and_the_answer() -> None:
    tools = [user(), said(None, tool_calls=[call()]), result(), said()]
    plain = [{"role": "system", "content": "s"}, user(), said()]
    assert exchanges([*tools, *plain, user()]) == [tools, plain, [user()]]
    assert newest([*tools, *plain], 3) == plain
    assert newest([*tools, *plain], 6) == plain
    assert newest([*tools, *plain], 7) == [*tools, *plain]
    assert newest([*tools, *plain], 2) == []
