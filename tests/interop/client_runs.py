"""Other clients' environments and runs.

In: a client's name, and the URLs of the servers it talks to. Out: what came of each flow (see
``clients/flows.py``). I/O: the cache of environments (see ``servers``), pip, npm, subprocesses.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .servers import InteropError, Server, prepare, run

__all__ = ["CLIENTS", "NODE", "PYTHON", "flows"]

HERE = Path(__file__).parent / "clients"
# What came out together in November 2026; the look-out takes what is there today.
PINS = {
    "openai": "3.3.0",
    "langchain-openai": "1.7.4",
    "litellm": "1.110.2",
    "instructor": "1.17.0",
    "openai-agents": "0.24.0",
    "llm": "0.36",
    "httpx-sse": "0.4.3",
}
# Its extra wants a later openai than the others allow: it has an environment of its own.
ALONE = {"pydantic_ai": ("pydantic-ai-slim[openai]", "2.68.0")}
NODE_PINS = {
    "openai": "6.49.0",
    "ai": "6.0.326",
    "@ai-sdk/openai-compatible": "2.0.92",
    "zod": "4.6.7",
}
CLIENTS = (
    Server(
        "clients",
        tuple(f"{name}=={version}" for name, version in PINS.items()),
        "flows",
        Path(__file__).parent / "client_constraints.txt",
    ),
    Server("clients newest", tuple(PINS), "flows", pinned=False),
)
PYTHON = (
    *("openai_sync", "openai_async", "langchain", "litellm", "pydantic_ai", "instructor"),
    *("openai_agents", "llm", "httpx_sse"),
)
NODE = ("openai_node", "ai_sdk")
# Some of them import for ten seconds on a busy machine, and wait between their retries.
RUN_SECONDS = 240.0


def flows(clients: Server, client: str, urls: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What came of the client's flows against these servers."""
    if client in ALONE:
        name, version = ALONE[client]
        wanted = f"{name}=={version}" if clients.pinned else name
        clients = Server(f"{clients.name} {client}", (wanted,), "flows", pinned=clients.pinned)
    prepare(clients)
    command = [str(clients.python), str(HERE / "flows.py")]
    if client in NODE:
        command = ["node", str(_node_folder(clients) / "flows.mjs")]
    environment = {
        "OPENAI_API_KEY": "sk-fake",
        "LLM_USER_PATH": str(folder),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it fetches one from the net
    }
    done = subprocess.run(  # noqa: S603  # our own command
        [*command, client, json.dumps(urls)],
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
        env=os.environ | environment,
    )
    if done.returncode:
        raise InteropError(f"{client} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def _node_folder(clients: Server) -> Path:
    """The clients of Node.js, installed beside those of Python."""
    folder = clients.environment / "node"
    if not (folder / "complete").exists() or not clients.pinned:
        folder.mkdir(exist_ok=True)
        wanted = [f"{name}@{NODE_PINS[name] if clients.pinned else 'latest'}" for name in NODE_PINS]
        run(["npm", "install", "--silent", "--no-fund", "--prefix", str(folder), *wanted])
        (folder / "complete").touch()
    shutil.copy(HERE / "flows.mjs", folder)
    return folder
