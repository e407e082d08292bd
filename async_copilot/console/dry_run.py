"""A conversation and a message in, the request it would send as text out. Nothing is sent.

The request is taken from aiohttp itself, at the last moment before it would connect, so
that what is shown is what would go out, to the last header.
"""

from __future__ import annotations

from typing import NoReturn

import aiohttp

from ..conversation import Conversation
from ..transport.masking import is_secret
from .attachments import Message

__all__ = ["catching_session", "shown_request"]


class _CaughtError(Exception):
    """Carries a request out of aiohttp, past everything that handles failures."""

    def __init__(self, request: aiohttp.ClientRequest) -> None:
        super().__init__()
        self.request = request


async def shown_request(conversation: Conversation, message: Message) -> str:
    """Return the request of a conversation's next turn, with secrets masked.

    conversation: on a client whose session is a catching_session().
    """
    try:
        await conversation.ask(message)
    except _CaughtError as caught:
        return _shown(caught.request)
    raise AssertionError("a request went out")  # pragma: no cover  # _catch() lets none out


def catching_session() -> aiohttp.ClientSession:
    """Return a session that sends nothing, with the defaults of the client's own."""
    return aiohttp.ClientSession(middlewares=[_catch], cookie_jar=aiohttp.DummyCookieJar())


async def _catch(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> NoReturn:
    raise _CaughtError(request)


def _shown(request: aiohttp.ClientRequest) -> str:
    url = request.url.with_user(None)
    masked = {name: "***" for name in url.query if is_secret(name)}
    lines = [f"{request.method} {url.update_query(masked)}"]
    for name, value in request.headers.items():
        lines.append(f"{name}: {_masked(value) if is_secret(name) else value}")
    body = request.body.decode() if request.body else ""
    return "\n".join([*lines, "", body, ""])


def _masked(value: str) -> str:
    """Return a header's value masked, except a scheme such as Bearer."""
    scheme, space, _ = value.rpartition(" ")
    return f"{scheme}{space}***" if scheme in ("Basic", "Bearer") else "***"
