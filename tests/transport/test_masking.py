"""Secrets are masked however they are written; words are left alone."""

from __future__ import annotations

import html
import json
import time
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from async_copilot.errors import Hint, ServerStatusError
from async_copilot.transport.masking import Mask, is_secret

KEY = 'sk/proj+A1b2"C3\\d4&e5<f6>~the rest of a key'  # everything that anybody escapes


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "Proxy-Authorization", "X-Api-Key", "api-key", "api_key", "apikey"),
        *("apiKey", "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key", "g4f-api-key", "key", "KEY"),
        *("X-Auth-Token", "X-Amz-Security-Token", "access_token", "accessToken", "X-AccessKey"),
        *("x-portkey-api-key", "Cookie", "client_secret", "sig", "X-Signature", "password"),
        *("X-API-Key-2", "x-auth", "sessiontoken", "JWT", "X-Vault-Token"),
    ],
)
def test_a_name_that_carries_credentials_is_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("x-portkey-provider", "x-monkey", "keyword", "X-Keyboard", "turkey", "Accept", "model"),
        *("X-Max-Tokens", "tokenizer", "author", "authority", "X-Assigned", "design", "secretary"),
        *("X-Token-Count", "token-limit", "Idempotency-Key", "X-Cache-Key", "X-Public-Key"),
        *("X-Auth-Email", "signal", "x-keys-seen", "passwordless", "X-Key-Id", ""),
    ],
)
def test_a_name_that_only_looks_like_it_is_not(name: str) -> None:
    assert not is_secret(name)


def test_the_value_of_a_header_that_is_not_secret_stays() -> None:
    mask = Mask({"x-portkey-provider": "openai", "Authorization": f"Bearer {KEY}"})
    assert mask.text("openai has no model gpt-9") == "openai has no model gpt-9"


def escaped_unicode(text: str) -> str:
    return "".join(f"\\u{ord(letter):04X}" for letter in text)


FORMS = {
    "as it is": lambda text: text,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with \\/": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)[1:-1].replace("/", "\\/"))[1:-1],
    "\\u": escaped_unicode,
    "repr": lambda text: repr(text)[1:-1],
    "HTML": html.escape,
    "HTML, numbered": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "URL": lambda text: quote(text, safe=""),
    "URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "\\x": lambda text: "".join(f"\\x{ord(letter):02x}" for letter in text),
    "base 64": lambda text: b64encode(text.encode()).decode().rstrip("="),
    "base 64 for URLs": lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "URL, lower case": lambda text: "".join(f"%{ord(letter):02x}" for letter in text),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_every_form_a_server_writes_it(form: str) -> None:
    said = f"wrong key {FORMS[form](KEY)}, try again"
    assert Mask({"X-Api-Key": KEY}).text(said) == "wrong key ***, try again"


def test_a_key_is_found_without_its_scheme_and_with_it() -> None:
    mask = Mask({"Authorization": f"Bearer {KEY}"})
    assert mask.text(f"got Bearer {KEY}") == "got ***"
    assert mask.text(f"got {KEY}") == "got ***"


def test_a_scheme_whose_key_is_missing_is_a_word() -> None:
    assert Mask({"Authorization": "Bearer "}).text("a Bearer is needed") == "a Bearer is needed"


def test_a_basic_credential_hides_its_password_too() -> None:
    pair = b64encode(b"user:open sesame").decode()
    mask = Mask({"Authorization": f"Basic {pair}"})
    assert mask.text(f"{pair} is user and open sesame") == "*** is user and ***"
    assert Mask({"Authorization": "Basic !"}).text("what!") == "what!"


def test_each_cookie_is_a_secret() -> None:
    mask = Mask({"Cookie": "theme=dark; session=0123456789abcdef"})
    assert mask.text("dark: 0123456789abcdef") == "dark: ***"


def test_what_a_url_carries_is_a_secret() -> None:
    urls = [
        URL(f"https://h/v1?api-key={quote(KEY, safe='')}&api-version=2024"),
        URL("http://me:open%20sesame@proxy:3128"),
        URL("https://a-token-alone@h/"),
    ]
    mask = Mask(urls=urls)
    basic = b64encode(b"me:open sesame").decode()
    said = f"{KEY} {quote(KEY, safe='')} 2024 me open sesame {basic} a-token-alone"
    assert mask.text(said) == "*** *** 2024 me *** *** ***"


def test_a_short_key_is_struck_out_only_where_it_stands_alone() -> None:
    assert Mask({"X-Api-Key": "x"}).text("x: six extra boxes") == "***: six extra boxes"


@given(st.integers(8, len(KEY) - 1))
def test_a_key_that_an_excerpts_end_cut_off_is_struck_out(length: int) -> None:
    mask = Mask({"X-Api-Key": KEY})
    assert mask.text(f"wrong key {KEY[:length]}") == "wrong key ***"
    assert mask.text(f"not JSON: 'wrong key {KEY[:length]}'; skip it").count("***") == 1


def test_a_key_right_behind_its_own_first_letters_is_struck_out() -> None:
    mask = Mask({"X-Api-Key": "aaaaaaaab"})
    assert mask.text("got aaaaaaaaaaab") == "got aaa***"


def test_a_word_with_the_first_letters_of_a_key_stays() -> None:
    mask = Mask({"X-Api-Key": "openai-project-key"})
    assert mask.text("use openai-python for that") == "use openai-python for that"


@given(st.text(min_size=1), st.text(), st.text())
def test_no_secret_survives(secret: str, before: str, behind: str) -> None:
    if len(secret.strip()) >= 8:
        struck = Mask({"X-Api-Key": secret}).text(f"{before}{secret.strip()}{behind}")
        assert struck != f"{before}{secret.strip()}{behind}"


def test_everything_an_error_says_is_masked() -> None:
    error = ServerStatusError(
        f"HTTP 500: {KEY}", hint=Hint("check it"), body=KEY, code=KEY, request_id=KEY
    )
    Mask({"X-Api-Key": KEY}).error(error)
    assert str(error) == "HTTP 500: ***; check it"
    assert (error.body, error.code, error.request_id, error.type) == ("***", "***", "***", None)


def test_a_text_made_to_be_slow_is_not() -> None:
    mask = Mask({"X-Api-Key": "a" * 40})
    started = time.process_time()
    mask.text("a" * 7 + "\\" * 100_000)
    mask.text(("a" * 39 + "b") * 2500)
    assert time.process_time() - started < 2
