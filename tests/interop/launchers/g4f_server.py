"""Starts the real g4f API server of the environment it runs in, with our provider as Copilot.

In: ``--port``, ``--folder`` (the run's: memory, journal), and a server key from the
environment (``INTEROP_SERVER_KEY``). Out: g4f's own ``run_api`` on 127.0.0.1, until a
signal ends it. I/O: that server; every other address is refused in-process and written
to the journal as ``outward``.

Run by the Python of a server's environment, never by ours; g4f is imported by name,
since its three generations have in common hardly more than that.
"""

from __future__ import annotations

import argparse
import inspect
import os
from collections.abc import AsyncIterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .behaviour import Memory, Piece, Remote, Text, Think
from .bounds import end_with_parent, stay_offline

# Releases from 8.5 on read a provider list from the net while g4f.api is imported; these
# are the entries that the import itself asks for, pointing nowhere.
PROVIDER_LIST: dict[str, Any] = {
    "providers": {
        name: {"baseUrl": "http://127.0.0.1:9/v1", "label": name}
        for name in ("default", "orcarouter")
    },
    "defaultModels": {},
}

# What uvicorn does by default, and so every release before 8.5: the pause that outlives
# it is one of the things tested.
KEEP_ALIVE_SECONDS = 5


def provider_class(remote: Remote, *, always_remember: bool) -> type:
    """A provider of g4f's own kind named Copilot that asks ``remote``."""
    base = import_module("g4f.providers.base_provider")

    async def create_async_generator(
        _cls: Any, /, model: str, messages: list[dict[str, Any]], **options: Any
    ) -> AsyncIterator[Any]:
        conversation = options.get("conversation")
        handle = getattr(conversation, "conversation_id", None)
        remote.note("asked", model=model, roles=[message["role"] for message in messages])
        returns = always_remember or options.get("return_conversation")
        asked = [message["content"] for message in messages if message["role"] == "user"]
        async for piece in remote.answer(asked, handle):
            if returns or not isinstance(piece, Memory):
                yield to_g4f(piece)

    members = {
        "label": "the test's own",
        "url": "http://127.0.0.1:9",
        "working": True,
        "supports_stream": True,
        "default_model": "Copilot",
        "models": ["Copilot"],
        "create_async_generator": classmethod(create_async_generator),
    }
    return type("Copilot", (base.AsyncGeneratorProvider, base.ProviderModelMixin), members)


def to_g4f(piece: Piece) -> Any:
    """One piece as the class g4f has for it."""
    response = import_module("g4f.providers.response")
    if isinstance(piece, Text):
        return piece.text
    if isinstance(piece, Think):
        return response.Reasoning(piece.text)
    if isinstance(piece, Memory):
        return response.JsonConversation(conversation_id=piece.conversation_id)
    return response.ToolCalls(list(piece.calls))


def register(provider: type) -> None:
    """Put the class where this release looks the name up: three generations, three places."""
    module = import_module("g4f.Provider")
    if "ProviderLoader" in vars(module):
        module.ProviderLoader.loaded["Copilot"] = provider
    elif "_loaded_providers" in vars(module):
        vars(module)["_loaded_providers"]["Copilot"] = provider
    else:
        module.Copilot = provider  # type: ignore[attr-defined]
        module.ProviderUtils.convert["Copilot"] = provider


def hand_over_provider_list() -> None:
    """Give the release its list, where it wants one; nothing is fetched then."""
    try:
        factory = import_module("g4f.client.factory")
    except ImportError:
        return
    factory.AbstractClientFactory._live_providers = PROVIDER_LIST


def serve(api: Any, port: int) -> None:
    """Run g4f's own entry point, with uvicorn's keep-alive where it can be told."""
    api.AppConfig.g4f_api_key = os.environ.get("INTEROP_SERVER_KEY")
    options: dict[str, Any] = {"host": "127.0.0.1", "port": port}
    takes = inspect.signature(api.run_api).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes):
        options["timeout_keep_alive"] = KEEP_ALIVE_SECONDS
    api.run_api(**options)


def main() -> None:
    """Register, then serve until a signal comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    remote = Remote(arguments.folder)
    end_with_parent()
    stay_offline(lambda host: remote.note("outward", host=host))
    import_module("g4f.debug").version_check = False  # type: ignore[attr-defined]
    failures = import_module("g4f.errors")
    for name in ("RateLimitError", "MissingAuthError"):
        remote.errors[name] = getattr(failures, name)
    release = version("g4f")
    hand_over_provider_list()
    register(provider_class(remote, always_remember=not release.startswith("0.")))
    remote.note("serving", version=release, uvicorn=version("uvicorn"))
    serve(import_module("g4f.api"), arguments.port)


if __name__ == "__main__":
    main()
