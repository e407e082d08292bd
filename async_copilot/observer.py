"""What happens to replies, told to the program around them: metrics, tracing. No I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec

from .errors import CopilotError

if TYPE_CHECKING:
    from .reply import Reply
    from .wire.asked import RequestInfo

__all__ = ["Observer", "log_end", "log_list", "log_request", "tell"]

log = logging.getLogger("async_copilot")

Told = ParamSpec("Told")


class Observer:
    """Override the methods you need; their defaults do nothing.

    ::

        class Slow(Observer):
            def on_end(self, reply, error):
                if (reply.timing.first_text or 0) > 5:
                    log.warning("slow: %s %s", reply.model, reply.timing)

        client = CopilotClient(observer=Slow())

    Each reply is told of in this order: on_start once, on_retry and on_replace as often as
    they happen, on_first_text at most once, on_end once, however it ends. One observer may
    serve any number of clients and replies at once.

    The methods are plain functions, called in the task that opens or reads the reply, so
    that its context variables are there; they must not block. (Only on_end may come from
    another place, when a reply is left to the garbage collector.) Their exceptions are
    logged, on the logger "async_copilot", and otherwise ignored.
    """

    def on_start(self, reply: Reply) -> None:
        """The request is about to be sent: ``reply.request`` says what it asks for."""

    def on_retry(self, reply: Reply, error: CopilotError, pause: float) -> None:
        """After error the request is sent again, in pause seconds.

        ``reply.timing.retries`` counts this one.
        """

    def on_replace(self, reply: Reply, error: CopilotError) -> None:
        """A pooled connection could not be used, as error says; another one is used at once.

        The server had closed it, or bytes came over it that nobody had asked for.
        ``reply.timing.replaced`` counts this one.
        """

    def on_first_text(self, reply: Reply) -> None:
        """The first text is here, and is handed out next; ``reply.timing.first_text``."""

    def on_end(self, reply: Reply, error: CopilotError | None) -> None:
        """The reply is over: ``reply.end`` says how, and nothing of it changes any more.

        error: what its reader gets raised; None when the reply ended well or was left.
        """


def tell(method: Callable[Told, object], *args: Told.args, **kwargs: Told.kwargs) -> None:
    """Call an observer's method. Its exceptions are logged and otherwise ignored."""
    try:
        method(*args, **kwargs)
    except Exception:
        log.exception("%s of the observer failed", getattr(method, "__qualname__", method))


def log_request(request: RequestInfo, *, method: str = "POST", attempt: int = 1) -> None:
    """Log that a request is about to go out; not for a response of the caller's."""
    if request.server and log.isEnabledFor(logging.DEBUG):
        log.debug(
            "request %d: %s %s, model %r, attempt %d",
            request.number,
            method,
            request.server,
            request.model,
            attempt,
        )


def log_list(request: RequestInfo, seconds: float, entries: int | None) -> None:
    """Log how a request for a list ended; entries: None where it failed."""
    end = "ERROR" if entries is None else "COMPLETE"
    log.debug("request %d: %s after %.3f s, %d entries", request.number, end, seconds, entries or 0)


def log_end(reply: Reply) -> None:
    """Log how a reply ended; never what it says."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    timing = reply.timing
    log.debug(
        "request %d: %s after %.3f s, %d events, %d bytes",
        reply.request.number,
        reply.end and reply.end.name,
        timing.ended,
        timing.chunks,
        timing.bytes,
    )
