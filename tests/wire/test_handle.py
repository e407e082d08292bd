"""A server's conversation object goes back as it came, whatever numbers are in it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from async_copilot.wire.handle import Handle, handle_from, names_one, same_conversation
from async_copilot.wire.objects import read_object
from async_copilot.wire.request import request_body

PLAIN = [
    '{"conversation_id":"a"}',
    '{"a":[1,2.5,null,true],"é":"ü"}',
    '{"n":9007199254740993}',
    '{"a": "spaced", "b": [1, -2.50]}',
    '{"a":"\\u00e9","n":1e5}',
]
ODD = [
    '{"a":NaN}',
    '{"a":[-Infinity, 1]}',
    '{"a":123456789012345678901234567890}',
    '{"a":0.10000000000000000000001}',
    '{"a":"\\ud800"}',
    '{"a":{"b":"}],\\"{"},"c":NaN}',
    '{"a":' + "[" * 900 + "]" * 900 + "}",
]


def handle(raw: str, around: str = '{"choices":[],"conversation":%s,"id":"x"}') -> dict[str, Any]:
    data = (around % raw).encode()
    return handle_from(read_object(data)["conversation"], data)


@pytest.mark.parametrize("raw", PLAIN)
def test_a_handle_that_json_carries_stays_a_plain_dict(raw: str) -> None:
    assert type(handle(raw)) is dict
    assert handle(raw) == json.loads(raw)


@pytest.mark.parametrize("raw", ODD, ids=lambda raw: raw[:20])
@pytest.mark.parametrize(
    "around",
    [
        '{"choices":[],"conversation":%s,"id":"x"}',
        '{"conversation":%s}',
        '{"x":{"conversation":1},"y":"conversation","conversation" : %s }',
        '{"conversation":{"b":NaN},"conversation":%s,"z":[{"conversation":0}]}',
    ],
)
def test_one_that_json_would_change_keeps_its_own_text(raw: str, around: str) -> None:
    kept = handle(raw, around)
    assert isinstance(kept, Handle)
    assert kept.raw == raw


@pytest.mark.parametrize("raw", ODD, ids=lambda raw: raw[:20])
def test_copies_of_it_keep_the_text_too(raw: str) -> None:
    kept = handle(raw)
    for made in (copy.copy, copy.deepcopy, lambda value: Handle(value, value.raw)):
        assert made(kept).raw == raw
    assert copy.copy(Handle({"a": 1}, raw)).raw == raw


def test_text_that_holds_no_member_of_that_name_leaves_the_value_as_it_is() -> None:
    value = {"a": float("nan")}
    assert handle_from(value, '{"other":1}') is value


@examples(50)
@given(st.dictionaries(st.text(), st.integers() | st.floats() | st.text(), min_size=1))
def test_any_handle_goes_back_as_it_came(value: dict[str, Any]) -> None:
    around = json.dumps({"text": json.dumps({"conversation": 0})})[1:]
    event = f'{{"conversation":{json.dumps(value)},{around}'
    handle = handle_from(read_object(event)["conversation"], event)
    body = request_body([{"role": "user", "content": "Hi"}], stream=True, conversation=handle)
    assert repr(json.loads(body)["conversation"]) == repr(value)


@pytest.mark.parametrize("raw", ODD, ids=lambda raw: raw[:20])
def test_a_request_carries_the_text_of_the_handle(raw: str) -> None:
    body = request_body(
        [{"role": "user", "content": "\ud800"}], stream=True, conversation=handle(raw), seed=2**70
    )
    assert body.endswith(b',"conversation":' + raw.encode() + b"}")
    assert "\ufffd".encode() in body


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"conversation_id": "a"}, True),
        ({"cursor": None}, True),
        ({"conversation_id": None, "chat_id": "a"}, True),
        ({"models": {"m": {"conversationId": "a"}}}, True),
        ({"conversation_id": None, "message_id": "a"}, False),
        ({"chat_id": "", "model": "m"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_handle_without_its_id_is_none(value: dict[str, Any] | None, names: bool) -> None:
    assert names_one(value) is names


def test_a_deep_handle_is_looked_at_near_its_top() -> None:
    deep: dict[str, Any] = {"conversation_id": "a"}
    for _ in range(990):
        deep = {"x": deep}
    assert names_one(deep)
    assert same_conversation(deep, {"x": {"conversation_id": "a"}}, None) is None


@pytest.mark.parametrize(
    ("sent", "received", "same"),
    [
        ({"conversation_id": "a", "n": 1}, {"conversation_id": "a", "n": 2}, True),
        ({"conversation_id": "a"}, {"conversation_id": "b"}, False),
        ({"chat_id": "a", "parent_id": "x"}, {"chat_id": "a", "parent_id": "y"}, True),
        ({"chatId": "a"}, {"chatId": "b"}, False),
        ({"frontend_context_uuid": "a"}, {"frontend_context_uuid": "a"}, True),
        ({"agent_session": "a"}, {"agent_session": "b"}, False),
        ({"cursor": "a"}, {"cursor": "a"}, True),
        ({"cursor": "a"}, {"cursor": "b"}, None),
        ({"conversation_id": "a"}, {"cursor": "b"}, None),
        ({"A": {"conversation_id": "a"}}, {"A": {"conversation_id": "a"}, "B": {}}, True),
        ({"A": {"conversation_id": "a"}}, {"A": {"conversation_id": "b"}}, False),
        ({"B": {"conversation_id": "a"}}, {"A": {"conversation_id": "a"}}, False),
        ({"chat_session_id": "a", "n": 1}, {"chat_session_id": "a", "n": 2}, True),  # DeepSeek
        ({"evaluationSessionId": "a"}, {"evaluationSessionId": "b"}, False),  # Arena
        ({"url_uuid": "a"}, {"url_uuid": "b"}, False),  # Yupp
        (
            {"models": {"m": {"conversationId": "a", "messageId": "x"}}},  # HuggingChat
            {"models": {"m": {"conversationId": "a", "messageId": "y"}}},
            True,
        ),
        (
            {"models": {"m": {"conversationId": "a", "messageId": "x"}}},
            {"models": {"m": {"conversationId": "b", "messageId": "x"}}},
            False,
        ),
        ({"userId": "u", "history": [1]}, {"userId": "v", "history": [1, 2]}, True),  # Yqcloud
        ({"history": [1, 2]}, {"history": [3]}, None),
        ({"history": []}, {"history": [3]}, None),
        ({"conversation_id": None, "n": 1}, {"conversation_id": "a", "n": 1}, None),
        ({"message_id": "a", "user_session_id": "a"}, {"message_id": "b"}, None),
    ],
)
def test_two_handles_mean_one_conversation_where_its_id_says_so(
    sent: dict[str, Any], received: dict[str, Any], same: bool | None
) -> None:
    assert same_conversation(sent, received, "A") is same
