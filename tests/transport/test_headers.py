"""A key, or the user of a URL, becomes a header; what is not a header is refused."""

from __future__ import annotations

import pytest
from yarl import URL

from async_copilot.errors import InvalidRequestError
from async_copilot.transport.headers import authorization, merged_headers

PLAIN, WITH_USER = URL("http://h/v1"), URL("http://u:p@h/v1")


def test_a_key_is_a_bearer_and_a_user_of_the_url_is_basic() -> None:
    assert authorization("k", PLAIN) == {"Authorization": "Bearer k"}
    assert authorization(None, PLAIN) == {}
    assert authorization(None, WITH_USER) == {"Authorization": "Basic dTpw"}


def test_a_key_and_a_user_of_the_url_exclude_each_other() -> None:
    with pytest.raises(InvalidRequestError, match="both go into the header Authorization"):
        authorization("k", WITH_USER)


def test_names_merge_whatever_their_case_and_secrets_are_covered_once() -> None:
    merged = merged_headers({"X-Team": "a", "Authorization": "Bearer k"}, {"x-team": "b"})
    assert {name.lower(): str(value) for name, value in merged.items() if name != "Authorization"}
    assert merged["x-team"] == "b"
    assert "Bearer" not in repr(merged)
    assert repr(merged_headers({}, merged)) == repr(merged)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "ä"])
def test_what_is_not_a_header_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not a header name"):
        merged_headers({}, {name: "x"})


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Expect"])
def test_how_the_body_is_sent_is_the_clients_own_business(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="says how the body is sent"):
        merged_headers({}, {name: "5"})
