"""An error status tells in the server's own words what happened, as the right kind of error."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from wire_server import body_of, head_of, recording

from async_copilot.errors import (
    AuthenticationError,
    BadRequestError,
    HTTPStatusError,
    NotFoundError,
    RateLimitError,
    ServerStatusError,
    UnexpectedStatusError,
)
from async_copilot.transport.masking import Mask
from async_copilot.transport.statuses import is_answer, request_id, status_error

WHERE = "http://127.0.0.1:1337/v1/chat/completions"


def error_of(
    body: bytes | str = b"", status: int = 500, reason: str | None = "", **headers: str
) -> HTTPStatusError:
    if isinstance(body, str):
        body = body.encode()
    fields = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return status_error(status, reason, fields, body, WHERE)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 226, 299])
def test_a_success_with_a_body_is_an_answer(status: int) -> None:
    assert is_answer(status)


@pytest.mark.parametrize("status", [100, 101, 199, 204, 205, 300, 304, 307, 400, 500, 999])
def test_anything_else_is_none(status: int) -> None:
    assert not is_answer(status)


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (BadRequestError, [400, 402, 405, 406, 411, 413, 414, 415, 417, 418, 422, 431, 451, 499]),
        (AuthenticationError, [401, 403, 407]),
        (NotFoundError, [404, 410]),
        (ServerStatusError, [408, 409, 500, 501, 502, 503, 504, 505, 520, 529, 599]),
        (RateLimitError, [429]),
        (UnexpectedStatusError, [101, 204, 205, 300, 301, 304, 307]),
    ],
)
def test_each_status_is_the_kind_of_error_it_means(
    kind: type[HTTPStatusError], statuses: list[int]
) -> None:
    for status in statuses:
        assert type(error_of(status=status)) is kind


# ------------------------------------------------------------------ g4f's own, as recorded

FIELD = "body.messages: Field required"
LIST = "body.messages: Input should be a valid list"
RAISED = "offline Copilot raised {0} on request, status 503, café ☕"
RECORDED = [
    ("g4f-8.8.6", "raise_first_RuntimeError", ServerStatusError, "Request execution failed"),
    ("g4f-8.8.6", "raise_first_TimeoutError", ServerStatusError, "Request execution failed"),
    ("g4f-8.8.6", "raise_first_RateLimitError", RateLimitError, "Request execution failed"),
    ("g4f-8.8.6", "raise_first_MissingAuthError", AuthenticationError, "Authentication required"),
    ("g4f-8.8.6", "raise_first_ModelNotFoundError", NotFoundError, "Model not found"),
    ("g4f-8.8.6", "unknown_model", NotFoundError, "ModelNotFoundError: Model not found"),
    ("g4f-8.8.6", "unknown_provider", NotFoundError, "Provider not found: Nobody"),
    ("g4f-8.8.6", "no_messages", BadRequestError, FIELD),
    ("g4f-8.8.6", "wrong_messages", BadRequestError, LIST),
    ("g4f-8.8.6", "not_json", BadRequestError, "body.10: JSON decode error"),
    ("g4f-8.8.6", "get", BadRequestError, "Method Not Allowed"),
    ("g4f-8.8.6", "not_found", NotFoundError, "Not Found"),
    ("g4f-8.8.6-key", "auth_missing", AuthenticationError, "Not authenticated"),
    ("g4f-8.8.6-key", "auth_wrong", AuthenticationError, "Not authenticated"),
    ("g4f-8.1.7", "raise_first_RuntimeError", ServerStatusError, RAISED.format("RuntimeError")),
    ("g4f-8.1.7", "raise_first_RateLimitError", RateLimitError, RAISED.format("RateLimitError")),
    ("g4f-8.1.7", "raise_first_MissingAuthError", AuthenticationError, "MissingAuthError: offline"),
    ("g4f-8.1.7", "unknown_model", NotFoundError, "Model 'gpt-99' not found in: Copilot"),
    ("g4f-8.1.7", "unknown_provider", NotFoundError, "Provider with label 'Nobody' not found"),
    ("g4f-8.1.7", "unknown_provider_offline", ServerStatusError, "Internal Server Error"),
    ("g4f-8.1.7-key", "auth_missing", AuthenticationError, "G4F API key required"),
    ("g4f-0.4.9.0", "unknown_provider", NotFoundError, "Provider not found: Nobody"),
    ("g4f-0.4.9.0", "no_messages", BadRequestError, FIELD),
    ("g4f-0.4.9.0-key", "auth_missing", AuthenticationError, "G4F API key required"),
    ("g4f-0.4.9.0-key", "auth_wrong", AuthenticationError, "Invalid G4F API key"),
]


@pytest.mark.parametrize(("server", "scenario", "kind", "says"), RECORDED)
def test_a_recorded_error_is_told_in_g4fs_words(
    server: str, scenario: str, kind: type[HTTPStatusError], says: str
) -> None:
    raw = recording(server, scenario)
    status, reason, headers = head_of(raw)
    error = status_error(status, reason, headers, body_of(raw), WHERE)
    assert type(error) is kind
    assert error.message.startswith(f"HTTP {status} {reason} from {WHERE}: ")
    assert says in error.message
    assert error.status == status
    assert error.body == body_of(raw).decode()
    assert (error.code, error.retry_after) == (None, None)
    named = re.search(r": (\w+Error): ", error.message)
    assert error.type == (named and named[1])
    asked = json.loads(error.body or "{}") if error.body.startswith("{") else {}
    assert error.provider == asked.get("provider")


# ------------------------------------------------------------------ the words


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"error":{"message":"no","type":"t","code":"c"}}', "no"),
        ('{"error":"no"}', "no"),
        ('{"detail":"no"}', "no"),
        ('{"detail":[{"loc":["body","n"],"msg":"no"}]}', "body.n: no"),
        ('{"message":"no"}', "no"),
        ('{"object":"error","message":"no"}', "no"),
        ('{"error":{"error":{"message":"no"}}}', "no"),
        ("{}", "{}"),
        ("no", "no"),
        (" no\r\n\tnever\x00\x1b[31m ", "no never [31m"),
        ("<html><head><style>a{}</style></head><body><h1>no</h1>&amp; never</body>", "no & never"),
        ("<script>var x = '<p>'", ""),
        ("", ""),
        (b"\xff\xfe no", "\ufffd\ufffd no"),
        ('["no"]', '["no"]'),
        ("x" * 1000, "x" * 300),
    ],
)
def test_the_words_are_taken_from_wherever_they_are(body: bytes | str, says: str) -> None:
    expected = f"HTTP 500 from {WHERE}" + (f": {says}" if says else "")
    assert error_of(body).message == expected


def test_a_list_that_holds_an_error_is_read_as_geminis_endpoint_means_it() -> None:
    body = '[{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID"}}]'
    error = error_of(body, 400)
    assert "API key not valid." in error.message


def test_code_and_type_are_told_as_text() -> None:
    error = error_of('{"error":{"message":"m","type":"throttling_error","code":429}}', 429)
    assert (error.type, error.code) == ("throttling_error", "429")


def test_the_reason_may_be_missing_or_odd() -> None:
    assert error_of(reason=None).message == f"HTTP 500 from {WHERE}"
    assert error_of(reason="\x00 Very\nBad ").message == f"HTTP 500 Very Bad from {WHERE}"


@pytest.mark.parametrize(
    ("status", "fix"),
    [(401, "check api_key"), (404, "check base_url"), (429, "wait, or send"), (304, "check that")],
)
def test_the_message_ends_with_the_fix(status: int, fix: str) -> None:
    assert f"; {fix}" in str(error_of("no", status))


def test_what_the_server_asks_for_stands_in_place_of_the_fix() -> None:
    error = error_of("no", 429, Retry_After="7")
    assert error.retry_after == 7
    assert str(error).endswith(": no; the server asks to wait 7 s")


@pytest.mark.parametrize(("status", "wait"), [(401, "7"), (404, "7"), (429, "0")])
def test_waiting_is_no_fix_for_what_it_does_not_mend(status: int, wait: str) -> None:
    error = error_of("no", status, Retry_After=wait)
    assert error.retry_after == float(wait)
    assert "asks to wait" not in str(error)
    assert error.hint is not None


def test_the_body_is_kept_up_to_a_bound() -> None:
    assert error_of("ä" * 10_000).body == "ä" * 4000


def test_a_message_too_deep_to_read_gives_an_error_all_the_same() -> None:
    for depth in (400, 1010, 5000):
        for opening, closing in (('{"message":', "}"), ("[", "]"), ('{"error":', "}")):
            for around in ('{"error":%s}', '{"detail":[%s]}', "%s"):
                assert error_of(around % (opening * depth + "0" + closing * depth)).status == 500


@given(st.binary(max_size=200))
def test_any_body_gives_one_short_line(body: bytes) -> None:
    message = error_of(body).message
    assert message.isprintable()
    assert len(message) < 500


# ------------------------------------------------------------------ the request's id


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x-request-id": "a", "request-id": "b"}, "a"),
        ({"request-id": "b", "cf-ray": "c"}, "b"),
        ({"apim-request-id": "d"}, "d"),
        ({"x-correlation-id": "e"}, "e"),
        ({"CF-Ray": "f"}, "f"),
        ({}, None),
    ],
)
def test_the_requests_id_is_found_under_its_many_names(
    headers: dict[str, str], found: str | None
) -> None:
    assert request_id(CIMultiDict(headers)) == found
    assert status_error(500, "", CIMultiDict(headers), b"", WHERE).request_id == found


def test_an_error_in_a_list_is_read_as_the_error_it_is() -> None:
    """Gemini's compatible endpoint sends its error statuses so."""
    body = b'[{"error": {"code": 400, "message": "API key not valid", "status": "INVALID"}}]'
    error = status_error(400, "Bad Request", {}, body, "http://host/v1")
    assert "API key not valid" in str(error)
    assert error.code == "400"


# ------------------------------------------------------------------ secrets and slow pages


KEY = "sk-the-key-of-a-test/0123456789"


@given(st.integers(0, 400), st.sampled_from(["text", "message", "escaped"]))
def test_a_key_is_struck_out_before_anything_is_cut(offset: int, form: str) -> None:
    said = "x" * offset + " " + KEY
    body = {
        "text": said,
        "message": json.dumps({"error": {"message": said}}),
        "escaped": json.dumps({"error": {"message": said}}).replace("/", "\\/"),
    }[form]
    error = status_error(
        500, "", {}, body.encode(), WHERE, hide=Mask({"Authorization": f"Bearer {KEY}"}).text
    )
    for length in range(8, len(KEY)):
        assert KEY[:length] not in str(error) + (error.body or "")
    assert "***" in (error.body or "")


@pytest.mark.parametrize(
    "page",
    ["<" * 65_536, "<script" * 9_000, "<a " * 20_000, "<script></script " * 4_000, "&" * 65_536],
)
def test_a_page_costs_what_its_bytes_cost(page: str) -> None:
    started = time.process_time()
    assert len(str(error_of(page))) < 600
    assert time.process_time() - started < 0.5


def test_a_proxy_that_wants_a_password_is_told_from_a_server() -> None:
    assert "proxy" in str(error_of(status=407))
    assert "api_key" not in str(error_of(status=407))
