"""Every failure of async_copilot, in one tree. Imports nothing of ours.

::

    CopilotError
    ├── UsageError                                 the caller's side: nothing was sent
    │   ├── InvalidRequestError (ValueError)       an option or message that cannot be sent
    │   ├── ClientClosedError   (RuntimeError)     the client or its session is closed
    │   ├── WrongLoopError      (RuntimeError)     the client belongs to another event loop
    │   ├── ReplyInUseError     (RuntimeError)     a reply has two readers, or was left
    │   └── TurnInProgressError (RuntimeError)     a conversation takes one turn at a time
    ├── ConnectionFailedError   (ConnectionError)  refused, unknown host, TLS
    ├── ClockError              (TimeoutError)     a clock of Timeouts ran out
    │   ├── ConnectTimeoutError                    no connection within ``connect``
    │   ├── SilenceTimeoutError                    no byte within ``silence``
    │   ├── StallTimeoutError                      bytes, no progress, within ``stall``
    │   ├── FirstTextTimeoutError                  no text within ``first_text``
    │   └── TotalTimeoutError                      waited ``total`` in all
    ├── HTTPStatusError                            the server answered with an error status
    │   ├── BadRequestError     (ValueError)       400, 405, 413, 415, 422 and the like
    │   ├── AuthenticationError (PermissionError)  401, 403, 407
    │   ├── NotFoundError       (LookupError)      404, 410
    │   ├── RateLimitError                         429
    │   ├── ServerStatusError                      408, 409, 5xx
    │   └── UnexpectedStatusError                  1xx, 204, 205, 3xx: no answer in it
    ├── ProtocolError           (ValueError)       what came is not a chat completion
    │   ├── InvalidHTTPError                       broken framing, headers or encoding
    │   ├── RedirectError                          a loop, or to a place that is not allowed
    │   ├── UnexpectedContentError                 HTML, plain text or other JSON
    │   ├── MalformedDataError                     a data line that is not a JSON object
    │   └── EventTooLargeError                     an event beyond ``max_event_bytes``
    ├── DisconnectedError       (ConnectionError)  the connection broke before the end
    ├── TruncatedError          (EOFError)         the end, without finish reason or [DONE]
    ├── AnswerFormatError       (ValueError)       not what ``response_format`` asks for
    └── StreamError                                the server's own error, in the stream

    AmnesiaWarning              (UserWarning)      answered in another conversation

Each is also the standard library's kind named in brackets, so ``except TimeoutError``
works without importing anything from here. ``asyncio.CancelledError`` is never
wrapped. Exceptions of aiohttp, orjson and asyncio are not raised: one that was the
reason is the ``__cause__``, unless its text could hold a request header (an API key);
then its kind is in the message, and there is no cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .reply import Reply
    from .wire.sse import ServerSentEvent

__all__ = [
    "AmnesiaWarning",
    "AnswerFormatError",
    "AuthenticationError",
    "BadRequestError",
    "ClientClosedError",
    "ClockError",
    "ConnectTimeoutError",
    "ConnectionFailedError",
    "CopilotError",
    "DisconnectedError",
    "EventTooLargeError",
    "FirstTextTimeoutError",
    "HTTPStatusError",
    "Hint",
    "InvalidHTTPError",
    "InvalidRequestError",
    "MalformedDataError",
    "NotFoundError",
    "ProtocolError",
    "RateLimitError",
    "RedirectError",
    "ReplyInUseError",
    "ServerStatusError",
    "SilenceTimeoutError",
    "StallTimeoutError",
    "StreamError",
    "TotalTimeoutError",
    "TruncatedError",
    "TurnInProgressError",
    "UnexpectedContentError",
    "UnexpectedStatusError",
    "UsageError",
    "WrongLoopError",
]


@dataclass(frozen=True, slots=True)
class Hint:
    """What to do about an error, apart from what happened.

    action: a clause such as "if the server needs longer, raise {option}"; ``{option}``
        stands where the option goes.
    option: as a program spells it, "Timeouts(silence=...)"; "" where none is named.

    ``str()`` gives the action with the option in its place. A front end with options of
    its own puts theirs there: ``error.hint.spelled("--timeout-silence")``.
    """

    action: str
    option: str = ""

    def __str__(self) -> str:
        return self.spelled(self.option)

    def spelled(self, option: str) -> str:
        """Return the action with another spelling of the option."""
        return self.action.replace("{option}", option)


class _Documented(type):
    """Lets help() show what a class adds, as enum.EnumType does.

    Else each error would take a hundred lines, nearly all of them about exceptions at large.
    """

    def __dir__(cls) -> list[str]:
        return [name for name in vars(cls) if not name.startswith("_")]


class CopilotError(Exception, metaclass=_Documented):
    """Base of every error raised by this package.

    ``str()`` gives what happened, the values and what to do. Every error has every
    attribute below, None where it does not apply, so a handler needs no ``hasattr``.

    message:     str, what happened, with the values.
    hint:        Hint, what to do about it.
    status:      int, the HTTP status, where a response had come.
    code:        str, the server's own ``error.code`` (numbers as text).
    type:        str, the server's own ``error.type``; of g4f the class of the exception.
    provider:    str, the provider behind a g4f server that failed.
    body:        str, the first part of what the server sent, keys masked.
    request_id:  str, from ``x-request-id`` or a similar header.
    retry_after: float, seconds the server asked to wait.
    reply:       the Reply with the text that came before the failure.
    retries:     int, how often the request had been sent again.

    Picklable with its attributes; the reply travels as a snapshot.
    """

    hint: Hint | None = None
    status: int | None = None
    code: str | None = None
    type: str | None = None
    provider: str | None = None
    body: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    reply: Reply | None = None
    retries: int = 0

    def __init__(self, message: str, **attributes: Any) -> None:
        super().__init__(message)
        self.__dict__.update(attributes)

    @property
    def message(self) -> str:
        """What happened, with the values."""
        return str(self.args[0])

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}; {self.hint}"

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError's own __reduce__ (ConnectionError, TimeoutError) loses attributes.
        return type(self), (self.args[0],), self.__dict__


class UsageError(CopilotError):
    """The caller's side is at fault; nothing was sent."""


class InvalidRequestError(UsageError, ValueError):
    """An option, header or message that cannot be sent as it is."""


class ClientClosedError(UsageError, RuntimeError):
    """The client, or the session it borrows, was closed."""


class WrongLoopError(UsageError, RuntimeError):
    """The client was first used in another event loop; sessions cannot move."""


class ReplyInUseError(UsageError, RuntimeError):
    """A reply is read by one reader, in one way, inside its ``async with``."""


class TurnInProgressError(UsageError, RuntimeError):
    """A conversation takes one turn at a time; the running one goes on undisturbed."""


class ConnectionFailedError(CopilotError, ConnectionError):
    """No connection was made: refused, unknown host, TLS, proxy.

    passing: True where another attempt may succeed (refused, reset), False where the
        same answer is to be expected (unknown host, a certificate).
    party: who failed: "server", "proxy", or "machine", the one that this runs on.
    """

    passing: bool = True
    party: str = "server"


class ClockError(CopilotError, TimeoutError):
    """A clock of Timeouts ran out; ``seconds`` is its setting."""

    seconds: float | None = None


class ConnectTimeoutError(ClockError):
    """No connection within ``Timeouts.connect``."""


class SilenceTimeoutError(ClockError):
    """No byte came within ``Timeouts.silence``."""


class StallTimeoutError(ClockError):
    """Bytes came, but nothing of the answer, for ``Timeouts.stall``."""


class FirstTextTimeoutError(ClockError):
    """No text, reasoning or tool call came within ``Timeouts.first_text``."""


class TotalTimeoutError(ClockError):
    """The caller has waited ``Timeouts.total`` in all, retries included."""


class HTTPStatusError(CopilotError):
    """The server answered with a status that is not an answer.

    should_retry: what the server said about sending the request again
        (``x-should-retry``), None where it did not.
    """

    should_retry: bool | None = None


class BadRequestError(HTTPStatusError, ValueError):
    """400, 405, 413, 415, 422 and every other 4xx: the request must change."""


class AuthenticationError(HTTPStatusError, PermissionError):
    """401, 403, 407: the key is missing, wrong or not allowed."""


class NotFoundError(HTTPStatusError, LookupError):
    """404, 410: no such path, model or provider."""


class RateLimitError(HTTPStatusError):
    """429: too many requests; ``retry_after`` says how long to wait, if the server did."""


class ServerStatusError(HTTPStatusError):
    """408, 409 and every 5xx: the server failed; a later try may succeed."""


class UnexpectedStatusError(HTTPStatusError):
    """A status without an answer: 1xx, 204, 205, 3xx."""


class ProtocolError(CopilotError, ValueError):
    """What came is not the answer of a chat-completions server."""


class InvalidHTTPError(ProtocolError):
    """Not HTTP, or HTTP with broken framing, headers or content encoding."""


class RedirectError(ProtocolError):
    """A redirect that cannot be followed: a loop, no target, or a method change."""


class UnexpectedContentError(ProtocolError):
    """A success status with HTML, plain text or JSON that is not a completion."""


class MalformedDataError(ProtocolError):
    """A ``data:`` line that is not a JSON object; ``body`` holds its start."""


class EventTooLargeError(ProtocolError):
    """An event beyond ``max_event_bytes``; ``limit`` is that number.

    events: the events of the same SSEDecoder.feed() that were complete before it.
    """

    limit: int | None = None
    events: Sequence[ServerSentEvent] = ()


class DisconnectedError(CopilotError, ConnectionError):
    """The connection broke before the reply had ended."""


class TruncatedError(CopilotError, EOFError):
    """The body ended in good HTTP order with neither finish reason nor [DONE]."""


class AnswerFormatError(CopilotError, ValueError):
    """The whole answer is not what ``response_format`` asks for; ``body`` is its text."""


class StreamError(CopilotError):
    """The server reported an error inside the stream, after its 200.

    passing: True where it says that it is overloaded, or limits the rate, so that another
        attempt may do; ``retry_after`` says how long to wait, if the server did.
    """

    passing: bool = False


class AmnesiaWarning(UserWarning, metaclass=_Documented):
    """The server answered in another conversation than the one continued."""


del _Documented  # done; what this module has is the tree
