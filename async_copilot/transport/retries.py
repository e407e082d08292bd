"""When to send a request again, and after how long: an error in, seconds or no out. No I/O."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from ..errors import (
    ConnectionFailedError,
    CopilotError,
    DisconnectedError,
    HTTPStatusError,
    StreamError,
    TruncatedError,
)
from ..wire.g4f import acts_as

__all__ = ["may_retry", "retry_after", "retry_pause", "should_retry"]

# 408 request timeout, 409 conflict, 429 too many requests, 529 overloaded (Anthropic's,
# passed through by proxies), 520 to 524 and 530 Cloudflare's own, for a server behind it that
# does not answer well; the others are a gateway's or server's passing trouble.
RETRY_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504, 529, *range(520, 525), 530})

FIRST_PAUSE = 0.5  # seconds; doubles with each retry
LONGEST_PAUSE = 8.0  # seconds; a person waits for the answer
LONGEST_ASKED_PAUSE = 60.0  # seconds; beyond it the caller decides, with error.retry_after
JITTER = 0.25  # of what was asked for, on top of it: programs that were told one time scatter


def may_retry(error: CopilotError) -> bool:
    """True for a failure that another attempt may mend, while nothing was handed out.

    A POST that got no answer at all may be sent again; clocks that ran out are the
    caller's own patience, and 400, 401, 403, 404, 413, 422 will say the same again. A
    server that says for itself (``x-should-retry``, OpenAI's) is heard; so is the class of
    a g4f provider's failure, to which older releases give 500 whatever it is. An overload
    that is told in the stream counts like one that is told by a status. (A TruncatedError
    is asked about only where the body held nothing at all.)
    """
    if isinstance(error, HTTPStatusError):
        status = acts_as(error.type, error.status)
        return status in RETRY_STATUSES if error.should_retry is None else error.should_retry
    if isinstance(error, ConnectionFailedError | StreamError):
        return error.passing
    return isinstance(error, DisconnectedError | TruncatedError)


def retry_pause(error: CopilotError, attempt: int) -> float | None:
    """Return the seconds to wait before the retry numbered attempt (from 0); None: give up.

    What the server asked for and a little more, if it did; else exponential backoff with
    full jitter. Clients that failed together do not come back together.
    """
    asked = error.retry_after
    if asked is not None and asked > LONGEST_ASKED_PAUSE:
        return None
    if asked is not None:
        return asked * random.uniform(1, 1 + JITTER)  # noqa: S311  # no secret
    doublings = min(attempt, 10)  # far beyond LONGEST_PAUSE, far below what a float can hold
    return random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**doublings))  # noqa: S311  # no secret


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Return what a server says of sending again (``x-should-retry``); None: nothing."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a response asks to wait; None where it does not, or not sensibly.

    ``retry-after-ms`` (OpenAI, Azure) or ``Retry-After`` in seconds or as a date (RFC
    9110, 10.2.3). A time that is past means 0.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get("Retry-After")
    seconds = _number(value)
    if seconds is None and value:
        try:
            date = parsedate_to_datetime(value)
            # HTTP's dates are GMT, also where they do not say so (RFC 9110, 5.6.7).
            seconds = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return None if seconds is None else max(0.0, seconds)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
