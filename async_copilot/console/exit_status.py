"""How a run of the console ended, as a number for scripts. An error in, a status out. No I/O.

The numbers are a contract. Those from 69 on are the ones of BSD's ``sysexits.h``; 128 and
a signal's number is what a shell reports for a program that the signal ended.
"""

from __future__ import annotations

import enum

from ..errors import (
    AuthenticationError,
    ClockError,
    ConnectionFailedError,
    ConnectTimeoutError,
    CopilotError,
    DisconnectedError,
    HTTPStatusError,
    StreamError,
    TruncatedError,
    UsageError,
)

__all__ = ["ExitStatus", "status_of"]


class ExitStatus(enum.IntEnum):
    """What the console returns; a member's docstring is its line in ``--help``."""

    COMPLETE = 0
    USAGE = 2
    UNREACHABLE = 69
    CUT_OFF = 74
    TRY_LATER = 75
    WRONG_ANSWER = 76
    KEY_REFUSED = 77
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    ExitStatus.COMPLETE: "every answer is complete",
    ExitStatus.USAGE: "the command line or a file named on it is wrong; nothing was sent",
    ExitStatus.UNREACHABLE: "no connection: no server answers at the URL, its certificate is not "
    "trusted, or a proxy fails",
    ExitStatus.CUT_OFF: "the answer was cut off (truncated, disconnected, stalled), or could "
    "not be written",
    ExitStatus.TRY_LATER: "try later: 429, 503 and the like, or silence before the first text",
    ExitStatus.WRONG_ANSWER: "the server answered with an error, or not with a chat completion",
    ExitStatus.KEY_REFUSED: "the key (or a proxy's login) is missing, wrong or not allowed",
    ExitStatus.INTERRUPTED: "interrupted by Ctrl-C (by another signal: 128 and its number)",
    ExitStatus.OUTPUT_CLOSED: "the reader of the output left early, as head does",
}

# 408 request timeout, 409 conflict, 429 too many requests; 502 to 504 and 529 are a
# gateway's or server's overload. A plain 500 promises nothing of the next try.
_PASSING = frozenset({408, 409, 429, 502, 503, 504, 529})


def status_of(error: CopilotError) -> ExitStatus:
    """Return the status for a turn that failed with error."""
    began = error.reply is not None and bool(error.reply.text)
    if isinstance(error, UsageError):
        return ExitStatus.USAGE
    if isinstance(error, ConnectionFailedError | ConnectTimeoutError):
        return ExitStatus.UNREACHABLE
    if isinstance(error, ClockError):
        return ExitStatus.CUT_OFF if began else ExitStatus.TRY_LATER
    if isinstance(error, TruncatedError):
        return ExitStatus.CUT_OFF
    if isinstance(error, DisconnectedError):
        return ExitStatus.UNREACHABLE if error.status is None else ExitStatus.CUT_OFF
    if isinstance(error, AuthenticationError):
        return ExitStatus.KEY_REFUSED
    if _passing(error):
        return ExitStatus.TRY_LATER
    return ExitStatus.WRONG_ANSWER


def _passing(error: CopilotError) -> bool:
    if isinstance(error, HTTPStatusError):
        return error.status in _PASSING or error.retry_after is not None
    return isinstance(error, StreamError) and error.code in {"429", "503"}
