"""Keys, cookies and passwords do not reach a file."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from async_copilot.fake_server.masking import (
    mask_bytes,
    mask_header,
    mask_json,
    secrets_of,
)

BASIC = "Basic " + base64.b64encode(b"me:my-password").decode()


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("Authorization", "Bearer sk-12345678", ["sk-12345678"]),
        ("Authorization", BASIC, [BASIC[6:], "my-password"]),
        ("Authorization", "Basic !", []),
        ("Authorization", "Basic abcde", []),
        ("X-Api-Key", "12345678", ["12345678"]),
        ("Ocp-Apim-Subscription-Key", "12345678", ["12345678"]),
        ("key", "AIza5678", ["AIza5678"]),
        ("sig", "abc%3D5678", ["abc%3D5678"]),
        ("Cookie", "a=1; sid=12345678; b=abcdefgh", ["12345678", "abcdefgh"]),
        ("Set-Cookie", "sid=12345678; Path=/; HttpOnly", ["12345678"]),
        ("Referer", "http://x/?q=12345678&token=abcdefgh", ["abcdefgh"]),
        ("X-Api-Key", "short", []),
        ("x-ratelimit-remaining-tokens", "12345678", []),
        ("User-Agent", "curl/8.12.34.56", []),
    ],
)
def test_what_secret_names_hold_is_a_secret(name: str, value: str, secrets: list[str]) -> None:
    assert {*secrets_of([(name, value)])} == {*secrets}


def test_json_has_secrets_too_and_the_longest_is_first() -> None:
    asked = {"a": [{"api_key": "json-secret"}], "credentials": {"user": ["user-name"]}}
    assert secrets_of([], asked) == ["json-secret", "user-name"]


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ({"api_key": "a"}, {"api_key": "struck-out"}),
        ({"password": 1234, "token": None, "auth": True}, None),
        ({"keys": ["sk-12345678 twice sk-12345678"]}, {"keys": ["struck-out twice struck-out"]}),
        ({"credentials": {"a": ["b"]}}, {"credentials": {"a": ["struck-out"]}}),
        ({"max_tokens": 5, "prompt_cache_key": "k", "author": "me"}, "the same"),
        (["text", 5, None, {"n": 1.5}], "the same"),
    ],
)
def test_json_is_masked_by_name_and_by_value(value: Any, masked: Any) -> None:
    if masked is None:
        masked = {"password": "struck-out", "token": None, "auth": True}
    assert mask_json(value, ["sk-12345678"]) == (value if masked == "the same" else masked)


def test_headers_are_masked_by_name_by_parameter_and_by_value() -> None:
    assert mask_header("X-Token", "a", []) == "struck-out"
    location = "http://x/?a=b&api_key=c#d"
    assert mask_header("Location", location, []) == "http://x/?a=b&api_key=struck-out#d"
    assert mask_header("X", "is abcdefgh", ["abcdefgh"]) == "is struck-out"


def test_bodies_keep_their_length_whatever_form_a_secret_has() -> None:
    held = 'a"b/c+dé'
    body = b' a"b/c+d\xc3\xa9 a\\"b/c+d\\u00e9 a%22b%2Fc%2Bd%C3%A9 '
    masked = mask_bytes(body, [held])
    assert len(masked) == len(body)
    assert {*masked} == {*b"x "}
