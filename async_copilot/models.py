"""A server's lists of models and of providers: bytes of a JSON answer in, typed entries out.

Shapes: the OpenAI API reference, "List models" (``{"data": [{"id": …}, …]}``), which g4f,
vLLM, llama.cpp, Ollama, OpenRouter and LiteLLM share; a bare list, as Together and g4f's
``/v1/providers`` give it; ``{"models": [{"name": …}]}``, as Ollama's own API does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson
from yarl import URL

from .errors import CopilotError, Hint, InvalidRequestError, UnexpectedContentError
from .observer import log_list, log_request
from .transport.exchange import Exchange
from .verdict import tell_retries
from .wire.asked import RequestInfo
from .wire.failures import read_error

__all__ = [
    "MAX_LIST_BYTES",
    "Model",
    "Provider",
    "fetch_list",
    "list_url",
    "read_models",
    "read_providers",
]

# Of a list. OpenRouter's, one of the longest, is about 1 MB.
MAX_LIST_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Model:
    """A model of a server.

    id: its name in requests.  owner: who made or serves it, "" where that is not said.
    raw: the whole entry, as the server gave it.
    """

    id: str
    owner: str = ""
    raw: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of a g4f server.

    id: its name in requests.  label: its name for people.  url: of its web site.
    raw: the whole entry, as the server gave it.
    """

    id: str
    label: str = ""
    url: str = ""
    raw: dict[str, Any] = field(default_factory=dict, repr=False)


def list_url(completions: URL, *names: str) -> URL:
    """Return where a list is, beside ``chat/completions``: ``/v1/models``.

    With ``api`` first it is g4f's own, beside ``/v1``: ``/api/NAME/models``. Raises
    InvalidRequestError for what is not a name.
    """
    for name in names:
        if not isinstance(name, str) or not name:
            raise InvalidRequestError(
                f"provider is {name!r:.80}", hint=Hint("give its name, as providers() has it")
            )
    base = completions.parent.parent
    if names[0] == "api" and base.name == "v1":
        base = base.parent
    parts = (quote(name, safe="") for name in names)
    return base.joinpath(*parts, encoded=True).with_query(completions.query)


async def fetch_list(exchange: Exchange, asked: RequestInfo) -> list[dict[str, Any]]:
    """Get a list, again where that may help; return its entries.

    Raises what a request raises, and UnexpectedContentError for anything that is not a
    list, or holds more than MAX_LIST_BYTES. Cancelling closes the connection.
    """
    now = asyncio.get_running_loop().time
    retries, started = 0, now()
    while True:
        log_request(asked, method="GET", attempt=retries + 1)
        try:
            entries = list(_entries(await _read(exchange, asked.server), asked.server))
        except CopilotError as error:
            pause = exchange.pause(error, retries)
            if pause is None:
                log_list(asked, now() - started, None)
                tell_retries(error, retries, now() - started)
                exchange.mask(error)
                raise
        else:
            log_list(asked, now() - started, len(entries))
            return entries
        retries += 1
        await exchange.wait(pause)


def read_models(entries: list[dict[str, Any]]) -> list[Model]:
    """Return the models of a list, without g4f's providers, which it puts among them."""
    return [
        Model(_text(entry, "id", "name"), _text(entry, "owned_by", "organization"), entry)
        for entry in entries
        if entry.get("provider") is not True
    ]


def read_providers(entries: list[dict[str, Any]]) -> list[Provider]:
    return [
        Provider(_text(entry, "id", "name"), _text(entry, "label"), _text(entry, "url"), entry)
        for entry in entries
    ]


async def _read(exchange: Exchange, where: str) -> bytes:
    """Return the whole body of one answer."""
    body = await exchange.open()
    blocks: list[bytes] = []
    try:
        while block := await body.read():
            body.came(block)
            body.clock.stop(body.arrived)
            blocks.append(block)
            if body.bytes > MAX_LIST_BYTES:
                raise UnexpectedContentError(
                    f"the list at {where} holds more than {MAX_LIST_BYTES:,} bytes"
                )
        if body.failure is not None:
            raise body.failure
    finally:
        body.close()
    return b"".join(blocks)


def _entries(content: bytes, where: str) -> Iterator[dict[str, Any]]:
    """Return the entries that have a name."""
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = None
    is_object = isinstance(document, dict)
    listed = document.get("data", document.get("models")) if is_object else document
    if not isinstance(listed, list):
        said = read_error(document) if is_object else None
        words = f"; it says: {said.message}" if said is not None and said.message else ""
        raise UnexpectedContentError(
            f"{where} did not answer with a list{words}",
            hint=Hint("check that {option} leads to a chat-completions API", "base_url"),
            body=content[:4000].decode(errors="replace"),
        )
    for entry in listed:
        named = {"id": entry} if isinstance(entry, str) else entry
        if isinstance(named, dict) and _text(named, "id", "name"):
            yield named


def _text(entry: dict[str, Any], *names: str) -> str:
    """Return the first of these that is a text, "" where none is."""
    return next((value for name in names if isinstance(value := entry.get(name), str)), "")
