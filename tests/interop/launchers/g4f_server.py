"""Starts the real g4f API server of the environment it runs in, with our own providers.

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
from .kinds import ALONE, POOL, answer

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


def provider_class(name: str, remote: Remote, *, always_remember: bool) -> type:
    """A provider of g4f's own kind that asks ``remote``; its kind is its name."""

    async def create_async_generator(
        _cls: Any, /, model: str, messages: list[dict[str, Any]], **options: Any
    ) -> AsyncIterator[Any]:
        handle = getattr(options.get("conversation"), "conversation_id", None)
        roles = [message["role"] for message in messages]
        remote.note("asked", model=model, roles=roles, provider=name)
        returns = always_remember or options.get("return_conversation")
        async for piece in answer(name, remote, messages, handle):
            if returns or not isinstance(piece, Memory):
                yield to_g4f(piece)

    return made(name, create_async_generator)


def pool_class(members: list[type]) -> type:
    """A provider that hands each request to the next of its members, as g4f's pools do."""
    pools = import_module("g4f.providers.retry_provider")
    if hasattr(pools, "RotatedProvider"):
        pool = pools.RotatedProvider(members, shuffle=False)
    else:
        pool = pools.IterListProvider(members, shuffle=False)

    async def create_async_generator(
        _cls: Any, /, model: str, messages: list[dict[str, Any]], **options: Any
    ) -> AsyncIterator[Any]:
        if not hasattr(pools, "RotatedProvider"):
            members.reverse()  # in that release a pool always begins with its first
        async for chunk in pool.create_async_generator(model, messages, **options):
            yield chunk

    return made("Pool", create_async_generator)


def made(name: str, generator: Any) -> type:
    """A provider class around a generator."""
    base = import_module("g4f.providers.base_provider")
    members = {
        "label": "the test's own",
        "url": "http://127.0.0.1:9",
        "working": True,
        "supports_stream": True,
        "default_model": name,
        "models": [name],
        "create_async_generator": classmethod(generator),
    }
    return type(name, (base.AsyncGeneratorProvider, base.ProviderModelMixin), members)


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
    name, module = provider.__name__, import_module("g4f.Provider")
    if "ProviderLoader" in vars(module):
        module.ProviderLoader.loaded[name] = provider
        names = module.ProviderLoader.names
    elif "_loaded_providers" in vars(module):
        vars(module)["_loaded_providers"][name] = provider
        names = vars(module)["_provider_names"]
    else:
        setattr(module, name, provider)
        module.ProviderUtils.convert[name] = provider
        return
    if name not in names:
        names.append(name)


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
    for name in ("RateLimitError", "MissingAuthError", "ConversationLimitError"):
        remote.errors[name] = getattr(failures, name, type(name, (Exception,), {}))
    release = version("g4f")
    hand_over_provider_list()
    remembers = not release.startswith("0.")
    for name in ALONE:
        register(provider_class(name, remote, always_remember=remembers))
    members = [provider_class(name, remote, always_remember=remembers) for name in POOL]
    register(pool_class(members))
    remote.note("serving", version=release, uvicorn=version("uvicorn"))
    serve(import_module("g4f.api"), arguments.port)


if __name__ == "__main__":
    main()
