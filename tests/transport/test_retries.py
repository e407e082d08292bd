"""What is sent again, and when: only what another attempt may mend, as late as was asked."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from async_copilot import errors
from async_copilot.errors import (
    BadRequestError,
    ConnectionFailedError,
    CopilotError,
    DisconnectedError,
    RateLimitError,
    ServerStatusError,
    StreamError,
    TruncatedError,
)
from async_copilot.transport import retries
from async_copilot.transport.retries import (
    FIRST_PAUSE,
    LONGEST_ASKED_PAUSE,
    LONGEST_PAUSE,
    may_retry,
    retry_after,
    retry_pause,
    should_retry,
)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 520, 522, 524, 529, 530])
def test_a_passing_trouble_of_the_server_may_be_retried(status: int) -> None:
    assert may_retry(ServerStatusError("", status=status))


@pytest.mark.parametrize(
    "status", [400, 401, 403, 404, 405, 410, 413, 422, 501, 505, 519, 525, 526, 531, 304, None]
)
def test_what_will_say_the_same_again_is_not_retried(status: int | None) -> None:
    assert not may_retry(BadRequestError("", status=status))


def test_connections_are_retried_unless_the_next_one_fails_alike() -> None:
    assert may_retry(ConnectionFailedError(""))
    assert not may_retry(ConnectionFailedError("", passing=False))
    assert may_retry(DisconnectedError(""))


@pytest.mark.parametrize(("said", "status"), [(True, 400), (True, 501), (False, 429), (False, 503)])
def test_a_server_that_says_whether_to_ask_again_is_heard(said: bool, status: int) -> None:
    assert may_retry(ServerStatusError("", status=status, should_retry=said)) is said


@pytest.mark.parametrize(
    ("value", "said"),
    [("true", True), ("false", False), (" False ", False), ("maybe", None), ("", None)],
)
def test_what_a_server_says_is_in_its_header(value: str, said: bool | None) -> None:
    assert should_retry(CIMultiDict({"X-Should-Retry": value})) is said
    assert should_retry({}) is None


def test_nothing_else_is_retried() -> None:
    """Clocks above all: they are the caller's own patience."""
    for name in errors.__all__:
        kind = getattr(errors, name)
        if issubclass(kind, CopilotError):
            retried = (ConnectionFailedError, DisconnectedError, TruncatedError)
            assert may_retry(kind("")) is issubclass(kind, retried)


def test_an_overload_told_in_the_stream_is_retried_like_a_status() -> None:
    assert may_retry(StreamError("", passing=True))
    assert not may_retry(StreamError(""))


# ------------------------------------------------------------------ how long


def test_pauses_grow_within_bounds_and_scatter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE", FIRST_PAUSE)
    for attempt in range(12):
        pauses = [retry_pause(DisconnectedError(""), attempt) for _ in range(200)]
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)
        assert all(pause is not None and 0 <= pause <= longest for pause in pauses)
        assert len(set(pauses)) > 100
        assert max(pause or 0 for pause in pauses) > longest / 2


@pytest.mark.parametrize("attempt", [1000, 1024, 10**6])
def test_the_pause_has_a_bound_after_any_number_of_attempts(attempt: int) -> None:
    pause = retry_pause(DisconnectedError(""), attempt)
    assert pause is not None
    assert pause <= LONGEST_PAUSE


@pytest.mark.parametrize("asked", [0.0, 0.5, LONGEST_ASKED_PAUSE])
def test_what_the_server_asks_for_is_what_it_gets_and_a_little_more(asked: float) -> None:
    """Never less; and programs that were told the same time do not come in the same moment."""
    pauses = [retry_pause(RateLimitError("", retry_after=asked), 5) or 0.0 for _ in range(200)]
    assert asked <= min(pauses)
    assert max(pauses) <= 1.25 * asked
    assert len(set(pauses)) > 100 or asked == 0


def test_what_is_asked_beyond_reason_gives_up() -> None:
    assert retry_pause(RateLimitError("", retry_after=LONGEST_ASKED_PAUSE + 0.1), 0) is None


# ------------------------------------------------------------------ what was asked for


def asked(**headers: str) -> float | None:
    return retry_after(CIMultiDict({name.replace("_", "-"): headers[name] for name in headers}))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("2.5", 2.5),
        ("-3", 0),
        ("1e400", None),
        ("inf", None),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("Wed, 99 Foo 2026", None),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 0001 07:28:00 GMT", 0),
    ],
)
def test_seconds_are_read_and_nonsense_is_not(value: str, seconds: float | None) -> None:
    assert asked(Retry_After=value) == seconds


@pytest.mark.parametrize("zone", ["UTC0", "XYZ-5", "XYZ+9"])
@pytest.mark.parametrize("layout", ["imf", "asctime", "rfc850", "no zone"])
def test_a_date_is_read_in_every_form_of_http_whatever_the_local_time(
    layout: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9110, 5.6.7: IMF-fixdate, and the obsolete forms; all of them are in GMT."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        then = datetime.now(UTC) + timedelta(seconds=30)
        seconds = asked(
            Retry_After={
                "imf": format_datetime(then, usegmt=True),
                "asctime": f"{then:%a %b %e %H:%M:%S %Y}",
                "rfc850": f"{then:%A, %d-%b-%y %H:%M:%S GMT}",
                "no zone": f"{then:%a, %d %b %Y %H:%M:%S}",
            }[layout]
        )
    finally:
        monkeypatch.undo()
        time.tzset()
    assert seconds is not None
    assert 27 < seconds <= 30


def test_milliseconds_are_read_first() -> None:
    assert asked(retry_after_ms="1500", Retry_After="7") == 1.5
    assert asked(retry_after_ms="-1", Retry_After="7") == 0
    assert asked(retry_after_ms="soon", Retry_After="7") == 7
    assert asked() is None


DATES = st.text(alphabet="0123456789 :-+,.JanFebWedGMTUZ\x00ö", max_size=40)


@given(st.text(max_size=20) | DATES | st.datetimes().map(str))
def test_any_text_is_some_seconds_or_none(value: str) -> None:
    for seconds in (asked(Retry_After=value), asked(retry_after_ms=value)):
        assert seconds is None or seconds >= 0
