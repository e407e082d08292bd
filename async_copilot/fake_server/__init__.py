"""A fake chat server on loopback: the demo, and the server to test streaming code with.

In: a script (see the classes below). Out: HTTP, in the dialect of g4f, OpenAI, Azure, LiteLLM
or llama-server, and a record of what was asked. It runs in the caller's event loop::

    async with FakeServer("Hello") as server:
        ...                                   # talk to server.url
    assert server.requests[0].text == "Hi"

Without a script it is the built-in demo, which remembers names. Alone:
``python -m async_copilot.fake_server --port 1337``.
"""

from .answer import FakeAnswer, FakeToolCall, Pace
from .cassette import Cassette, CassetteError
from .faults import (
    BrokenFraming,
    Close,
    ErrorFrame,
    HugeEvent,
    Raw,
    Repeat,
    Reset,
    Stall,
    Truncate,
)
from .providers import FakeProvider
from .recorder import Recorder
from .request import Request
from .script import Script, ScriptError
from .server import FakeServer
from .when import When

__all__ = [
    "BrokenFraming",
    "Cassette",
    "CassetteError",
    "Close",
    "ErrorFrame",
    "FakeAnswer",
    "FakeProvider",
    "FakeServer",
    "FakeToolCall",
    "HugeEvent",
    "Pace",
    "Raw",
    "Recorder",
    "Repeat",
    "Request",
    "Reset",
    "Script",
    "ScriptError",
    "Stall",
    "Truncate",
    "When",
]
