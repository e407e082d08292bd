"""An asyncio streaming client for OpenAI-compatible chat servers, above all g4f.

Three doors::

    async for text in content_deltas(response): ...            # your aiohttp response
    async with client.stream(messages) as reply: ...           # a client
    async with conversation.stream("Hello") as reply: ...      # a conversation that remembers

and a fourth for other transports, without I/O: ``SSEDecoder().feed(bytes)``.
"""

from .answer import Answer, Choice, End, Timing, ToolCall
from .chat import ChatChunk, ToolCallDelta
from .client import CopilotClient, content_deltas
from .clocks import Timeouts
from .conversation import Conversation
from .errors import *  # noqa: F403  # the whole tree, by its __all__
from .errors import __all__ as _errors
from .reply import Reply
from .runner import post_request
from .sse import ServerSentEvent, SSEDecoder
from .version import __version__

__all__ = [  # noqa: PLE0604  # names, as mypy and the re-export test confirm
    "Answer",
    "ChatChunk",
    "Choice",
    "Conversation",
    "CopilotClient",
    "End",
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
    *_errors,
]
