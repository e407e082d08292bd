"""The fake server as the server of other clients: a stream, a whole answer, tools, an error.

Each client talks to four servers of its own, one for each flow. What it must see is the same for
all; an error may have any class that is the client's own.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from async_copilot.fake_server import FakeAnswer, FakeServer, FakeToolCall

from .client_runs import CLIENTS, NODE, PYTHON, flows
from .servers import Server

pytestmark = pytest.mark.interop

TOOLS = [
    FakeAnswer(tool_calls=[FakeToolCall("get_weather", {"city": "Köln"})]),
    FakeAnswer(tool_calls=[FakeToolCall("get_weather", {"city": "Rom"})]),
    "Done.",
]
# It asks for an object and is answered by a call of that name; that is all it does.
OBJECT = FakeAnswer(tool_calls=[FakeToolCall("Weather", {"text": "Done."})], times=None)
SCRIPTS: dict[str, Any] = {
    "stream": FakeAnswer(["Do", "ne", "."], times=None),
    "whole": FakeAnswer("Done.", times=None),
    "tools": TOOLS,
    "error": FakeAnswer(status=429, retry_after=0, times=None),
}


@pytest.mark.parametrize("client", [*PYTHON, *NODE])
@pytest.mark.parametrize("clients", CLIENTS, ids=lambda clients: clients.name.replace(" ", "-"))
def test_a_client_streams_uses_tools_and_sees_errors(
    clients: Server, client: str, tmp_path: Path
) -> None:
    if client in NODE and shutil.which("npm") is None:
        pytest.skip("no npm here")
    scripts = dict(SCRIPTS)
    if client == "instructor":
        scripts |= {"stream": OBJECT, "whole": OBJECT}
    if client in ("instructor", "httpx_sse"):  # neither runs tools
        del scripts["tools"]
    with contextlib.ExitStack() as stack:
        servers = {
            flow: stack.enter_context(FakeServer(script, dialect="openai", api_key="sk-fake"))
            for flow, script in scripts.items()
        }
        urls = {flow: server.url for flow, server in servers.items()}
        seen = flows(clients, client, urls, tmp_path)
        if "tools" in servers:
            check_tools(servers["tools"])
    assert seen.pop("error").startswith("raised ")
    assert seen == dict.fromkeys(seen, "Done.")


def check_tools(server: FakeServer) -> None:
    """Both calls were made, under ids of their own, and their results came back."""
    assert server.all_used()
    messages = server.requests[-1].messages
    results = {one["tool_call_id"]: one["content"] for one in messages if one["role"] == "tool"}
    assert sorted(results.values()) == ["sunny in Köln", "sunny in Rom"]
