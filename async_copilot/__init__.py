"""An asyncio streaming client for OpenAI-compatible chat servers, above all g4f.

Three doors::

    async for text in content_deltas(response): ...            # your aiohttp response
    async with client.stream(messages) as reply: ...           # a client
    async with conversation.stream("Hello") as reply: ...      # a conversation that remembers

and a fourth for other transports, without I/O: ``SSEDecoder().feed(bytes)``.
"""

from .version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .client import CopilotClient
    from .conversation import Conversation
    from .errors import (
        AmnesiaWarning,
        AnswerFormatError,
        AuthenticationError,
        BadRequestError,
        ClientClosedError,
        ClockError,
        ConnectionFailedError,
        ConnectTimeoutError,
        CopilotError,
        DisconnectedError,
        EventTooLargeError,
        FirstTextTimeoutError,
        Hint,
        HTTPStatusError,
        InvalidHTTPError,
        InvalidRequestError,
        MalformedDataError,
        NotFoundError,
        ProtocolError,
        RateLimitError,
        RedirectError,
        ReplyInUseError,
        ServerStatusError,
        SilenceTimeoutError,
        StallTimeoutError,
        StreamError,
        TotalTimeoutError,
        TruncatedError,
        TurnInProgressError,
        UnexpectedContentError,
        UnexpectedStatusError,
        UsageError,
        WrongLoopError,
    )
    from .models import Model, Provider
    from .observer import Observer
    from .parts import image_part, text_part, tool_result
    from .reply import Reply, content_deltas
    from .runner import post_request
    from .transport.clocks import Timeouts
    from .wire.answer import Answer, End, Timing
    from .wire.asked import RequestInfo
    from .wire.chat import ChatChunk, ToolCallDelta
    from .wire.choice import Choice, ToolCall
    from .wire.sse import ServerSentEvent, SSEDecoder

__all__ = [
    "AmnesiaWarning",
    "Answer",
    "AnswerFormatError",
    "AuthenticationError",
    "BadRequestError",
    "ChatChunk",
    "Choice",
    "ClientClosedError",
    "ClockError",
    "ConnectTimeoutError",
    "ConnectionFailedError",
    "Conversation",
    "CopilotClient",
    "CopilotError",
    "DisconnectedError",
    "End",
    "EventTooLargeError",
    "FirstTextTimeoutError",
    "HTTPStatusError",
    "Hint",
    "InvalidHTTPError",
    "InvalidRequestError",
    "MalformedDataError",
    "Model",
    "NotFoundError",
    "Observer",
    "ProtocolError",
    "Provider",
    "RateLimitError",
    "RedirectError",
    "Reply",
    "ReplyInUseError",
    "RequestInfo",
    "SSEDecoder",
    "ServerSentEvent",
    "ServerStatusError",
    "SilenceTimeoutError",
    "StallTimeoutError",
    "StreamError",
    "Timeouts",
    "Timing",
    "ToolCall",
    "ToolCallDelta",
    "TotalTimeoutError",
    "TruncatedError",
    "TurnInProgressError",
    "UnexpectedContentError",
    "UnexpectedStatusError",
    "UsageError",
    "WrongLoopError",
    "__version__",
    "content_deltas",
    "image_part",
    "post_request",
    "text_part",
    "tool_result",
]

# Imported when first asked for (PEP 562): ``python -m async_copilot --version`` imports this
# package too, and shall answer before aiohttp, or even typing, has loaded. From left to
# right, as they import each other.
_HOMES = (
    "errors wire.sse wire.chat parts transport.clocks wire.choice wire.asked wire.answer observer"
    " reply"
    " conversation models client runner"
)

if not TYPE_CHECKING:  # pragma: no branch  # a type checker shall see that other names do not exist

    def __getattr__(name):
        from importlib import import_module  # noqa: PLC0415  # see above

        for home in _HOMES.split() if name in __all__ else ():
            module = import_module(f"{__name__}.{home}")
            if name in module.__all__:
                value = getattr(module, name)
                globals()[name] = value
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})
