"""An asyncio streaming client for OpenAI-compatible chat servers, above all g4f.

Three doors::

    async for text in content_deltas(response): ...            # your aiohttp response
    async with client.stream(messages) as reply: ...           # a client
    async with conversation.stream("Hello") as reply: ...      # a conversation that remembers

and a fourth for other transports, without I/O: ``SSEDecoder().feed(bytes)``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors
from .errors import *  # noqa: F403  # the whole tree, by its __all__
from .version import __version__

if TYPE_CHECKING:
    from .answer import Answer, Choice, End, Timing, ToolCall
    from .chat import ChatChunk, ToolCallDelta
    from .client import CopilotClient, content_deltas
    from .clocks import Timeouts
    from .conversation import Conversation
    from .observer import Observer
    from .reply import Reply
    from .runner import post_request
    from .sse import ServerSentEvent, SSEDecoder

__all__ = [
    "Answer",
    "ChatChunk",
    "Choice",
    "Conversation",
    "CopilotClient",
    "End",
    "Observer",
    "Reply",
    "SSEDecoder",
    "ServerSentEvent",
    "Timeouts",
    "Timing",
    "ToolCall",
    "ToolCallDelta",
    "__version__",
    "content_deltas",
    "post_request",
]
__all__ += errors.__all__

# Imported when first asked for (PEP 562): ``python -m async_copilot --help`` imports this
# package, too, and shall answer before aiohttp has loaded.
_HOMES = {
    "Answer": "answer",
    "ChatChunk": "chat",
    "Choice": "answer",
    "Conversation": "conversation",
    "CopilotClient": "client",
    "End": "answer",
    "Observer": "observer",
    "Reply": "reply",
    "SSEDecoder": "sse",
    "ServerSentEvent": "sse",
    "Timeouts": "clocks",
    "Timing": "answer",
    "ToolCall": "answer",
    "ToolCallDelta": "chat",
    "content_deltas": "client",
    "post_request": "runner",
}


if not TYPE_CHECKING:  # a type checker shall see that other names do not exist

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
