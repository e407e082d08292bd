"""A failure in; the End it means, and the error with all that is known, out. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import (
    ClientClosedError,
    ClockError,
    CopilotError,
    DisconnectedError,
    Hint,
    ReplyInUseError,
    TruncatedError,
)
from .wire.answer import End

if TYPE_CHECKING:
    from .reply import Reply

__all__ = ["complete_error", "end_of", "left_error", "tell_retries", "truncated_error"]

LONG_REQUEST = 8_000  # bytes; some 2,000 tokens, which is all that small models take


def end_of(failure: CopilotError) -> End:
    """Return how a reply ended that failed."""
    if isinstance(failure, ClockError):
        return End.STALLED
    if isinstance(failure, DisconnectedError):
        return End.DISCONNECTED
    left = isinstance(failure, ClientClosedError | ReplyInUseError)
    return End.CANCELLED if left else End.ERROR


def left_error(*, whole: bool = False) -> ReplyInUseError:
    """Return the error for a reply that is read after it was left; whole: it was read before."""
    instead = "; it was read to its end, and its text is reply.text" if whole else ""
    return ReplyInUseError(
        "this reply was left", hint=Hint(f"read it inside its async with{instead}")
    )


def truncated_error(reply: Reply, *, done: bool = False) -> TruncatedError:
    """Return the error for a body that ended before its answer did; done: it said [DONE]."""
    events, length = reply.timing.chunks, len(reply.text)
    came = "without any event"
    if events:
        came = f"after {events:,} event{'s' if events > 1 else ''} and {length:,} characters"
    how = f"the body ended {came}, with neither a finish_reason nor [DONE]"
    if done:
        how = f"[DONE] came {came}, before the first choice had said or finished anything"
    return TruncatedError(
        f"the answer was cut off: {how}",
        hint=Hint("{option} accepts such answers", "strict=False"),
    )


def tell_retries(failure: CopilotError, retries: int, seconds: float) -> None:
    """Say in an error how often its request was sent again, in how many seconds."""
    failure.retries = retries
    if retries:
        times = f"{retries} {'retry' if retries == 1 else 'retries'}"
        failure.args = (f"{failure.message} (after {times}, {seconds:.1f} s in all)",)


def complete_error(failure: CopilotError, reply: Reply, seconds: float) -> None:
    """Put what is known into an error that came seconds after its reply was asked for."""
    failure.reply = reply
    tell_retries(failure, reply.timing.retries, seconds)
    size, nothing = reply.request.size, reply.timing.first_chunk is None
    if nothing and size >= LONG_REQUEST and isinstance(failure, TruncatedError | DisconnectedError):
        failure.hint = Hint(
            f"the prompt may be longer than the model takes: the request has {size:,} bytes"
        )
    if failure.status is None:
        failure.status = reply.status
        failure.request_id = reply.request_id
