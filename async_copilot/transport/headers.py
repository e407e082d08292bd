"""Headers as a caller gives them in; checked, with secrets covered, out."""

from __future__ import annotations

import re
from collections.abc import Mapping

from yarl import URL

from ..errors import Hint, InvalidRequestError
from .masking import Secret, basic, is_secret

__all__ = ["Headers", "authorization", "merged_headers"]

Headers = Mapping[str, str | Secret]

# RFC 9110, 5.6.2 and 5.5.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# They say how the body travels, which is for whoever sends it.
_OURS = frozenset(
    ["content-encoding", "content-length", "expect", "trailer", "transfer-encoding", "upgrade"]
)


def authorization(api_key: str | None, url: URL) -> dict[str, str]:
    """Return the header for a key, or for the user and password of a URL.

    Raises InvalidRequestError for both at once.
    """
    if url.user is None and url.password is None:
        return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
    if api_key is not None:
        raise InvalidRequestError(
            "api_key and the user in base_url both go into the header Authorization",
            hint=Hint("give one of them"),
        )
    return {"Authorization": f"Basic {basic(url.user or '', url.password or '')}"}


def merged_headers(own: Headers, given: Headers | None) -> dict[str, str | Secret]:
    """Return own with given in their place, whatever the case of the names; secrets covered.

    Raises InvalidRequestError for what is not a header (RFC 9110, 5.1 and 5.5), or is the
    client's own business.
    """
    merged = {name.lower(): (name, value) for name, value in own.items()}
    for name, value in (given or {}).items():
        _check(name, value)
        merged[name.lower()] = (name, value)
    return {
        name: Secret(value) if isinstance(value, str) and is_secret(name) else value
        for name, value in merged.values()
    }


def _check(name: object, value: object) -> None:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise InvalidRequestError(
            f"{name!r} is not a header name", hint=Hint("use letters, digits and -")
        )
    if name.lower() in _OURS:
        raise InvalidRequestError(
            f"the header {name} says how the body is sent, which the client decides",
            hint=Hint("leave it out"),
        )
    if isinstance(value, Secret):
        return
    if not isinstance(value, str) or _CONTROL.search(value):
        what, option = f"header {name!r}", "headers"
        if name == "Authorization":
            what, option = "the key", "api_key"
        raise InvalidRequestError(
            f"{what} must be a str without line breaks and control characters",
            hint=Hint("check {option}", option),
        )
