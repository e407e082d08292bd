"""When to send a request again, and after how long: an error in, seconds or no out. No I/O."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from ..errors import ConnectionFailedError, CopilotError, DisconnectedError, HTTPStatusError

__all__ = ["may_retry", "retry_after", "retry_pause"]

# 408 request timeout, 409 conflict, 429 too many requests, 529 overloaded (Anthropic's,
# passed through by proxies); the others are a gateway's or server's passing trouble.
RETRY_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504, 529})

FIRST_PAUSE = 0.5  # seconds; doubles with each retry
LONGEST_PAUSE = 8.0  # seconds; a person waits for the answer
LONGEST_ASKED_PAUSE = 60.0  # seconds; beyond it the caller decides, with error.retry_after


def may_retry(error: CopilotError) -> bool:
    """True for a failure that another attempt may mend, while nothing was handed out.

    A POST that got no answer at all may be sent again; clocks that ran out are the
    caller's own patience, and 400, 401, 403, 404, 413, 422 will say the same again.
    """
    if isinstance(error, HTTPStatusError):
        return error.status in RETRY_STATUSES
    if isinstance(error, ConnectionFailedError):
        return error.passing
    return isinstance(error, DisconnectedError)


def retry_pause(error: CopilotError, attempt: int) -> float | None:
    """Return the seconds to wait before the retry numbered attempt (from 0); None: give up.

    What the server asked for, if it did; else exponential backoff with full jitter, so
    that clients which failed together do not come back together.
    """
    if error.retry_after is not None:
        return error.retry_after if error.retry_after <= LONGEST_ASKED_PAUSE else None
    return random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**attempt))  # noqa: S311  # no secret


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
