"""An error status with its body in, one of ours out. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from multidict import istr

from ..errors import (
    AuthenticationError,
    BadRequestError,
    Hint,
    HTTPStatusError,
    MalformedDataError,
    NotFoundError,
    RateLimitError,
    ServerStatusError,
    UnexpectedStatusError,
)
from ..wire.failures import ServerError, read_error, server_error
from ..wire.g4f import acts_as, g4f_failure
from ..wire.objects import read_object
from ..wire.text import EXCERPT, one_line, readable
from .retries import retry_after, should_retry

__all__ = ["is_answer", "request_id", "status_error"]

_BODY = 4000  # characters of the body kept in error.body

_KINDS: dict[int, type[HTTPStatusError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    407: AuthenticationError,
    404: NotFoundError,
    410: NotFoundError,
    408: ServerStatusError,
    409: ServerStatusError,
    429: RateLimitError,
}
_PROXY = Hint("check the user and password in the proxy's URL")
_HINTS: dict[type[HTTPStatusError], Hint] = {
    AuthenticationError: Hint("check {option}", "api_key"),
    NotFoundError: Hint("check {option} (it usually ends in /v1), model and provider", "base_url"),
    RateLimitError: Hint("wait, or send fewer requests at once"),
    UnexpectedStatusError: Hint("check that {option} leads to a chat-completions API", "base_url"),
}
_REQUEST_IDS = tuple(
    map(istr, ("x-request-id", "request-id", "apim-request-id", "x-correlation-id", "cf-ray"))
)


def is_answer(status: int) -> bool:
    """True for a status whose body is the answer: 2xx that has a body."""
    return 200 <= status < 300 and status not in (204, 205)


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the id under which the server's operators find this request."""
    for name in _REQUEST_IDS:
        if name in headers:
            return headers[name]
    return None


def status_error(
    status: int,
    reason: str | None,
    headers: Mapping[str, str],
    body: bytes,
    where: str,
    *,
    hide: Callable[[str], str] = str,
) -> HTTPStatusError:
    """Return the error for a status that is not an answer, in the server's own words.

    The words: ``error.message``, ``detail`` (text, or FastAPI's list), or the first
    part of a text or HTML body.

    where: the server, or the proxy, that said so.
    hide: masks secrets, in the body as it came, before anything of it is cut.
    """
    text = hide(body.decode(errors="replace"))
    document = _document(text)
    said = _server_error(text, document)
    g4f = g4f_failure(document or {}, said.message, status)
    kind = _kind(acts_as(g4f.type, status) or status)
    wait = retry_after(headers)
    if wait is None:
        wait = said.retry_after
    message = f"HTTP {status} {one_line(reason or '')[:EXCERPT]}".rstrip() + f" from {where}"
    if said.message:
        message += f": {one_line(said.message)}"
    hint = _PROXY if status == 407 else g4f.hint or _HINTS.get(kind)
    return kind(
        message,
        hint=Hint(f"the server asks to wait {wait:g} s") if wait and _may_pass(kind) else hint,
        should_retry=should_retry(headers),
        status=status,
        type=said.type or g4f.type,
        provider=g4f.provider,
        code=said.code,
        body=text[:_BODY],
        request_id=request_id(headers),
        retry_after=wait,
    )


def _may_pass(kind: type[HTTPStatusError]) -> bool:
    """True where waiting is a fix: a wrong key is as wrong a minute later."""
    return not issubclass(kind, AuthenticationError | BadRequestError | NotFoundError)


def _kind(status: int) -> type[HTTPStatusError]:
    if status in _KINDS:
        return _KINDS[status]
    if status >= 500:
        return ServerStatusError
    return BadRequestError if status >= 400 else UnexpectedStatusError


def _document(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a body is, or None."""
    body = text.strip()
    if body.startswith("["):
        body = body[1:-1]  # Gemini puts its one error into a list
    try:
        return read_object(body.encode())
    except MalformedDataError:
        return None


def _server_error(text: str, document: dict[str, Any] | None) -> ServerError:
    if document is None:
        return ServerError(readable(text))
    return read_error(document) or server_error(document)
