"""Text in, an http(s) URL out, or text fit for a message. No I/O."""

from __future__ import annotations

import re

from yarl import URL

from ..errors import Hint, InvalidRequestError

__all__ = [
    "DEFAULT_BASE_URL",
    "Address",
    "completions_url",
    "host_and_port",
    "parse_url",
    "place",
    "shown",
]

DEFAULT_BASE_URL = "http://localhost:1337/v1"  # where g4f listens

_LONGEST = 200  # characters of a URL in a message
_USER = re.compile(r"^([a-z][a-z0-9+.-]*:/{0,2}|/{0,2})?.*@", re.IGNORECASE | re.DOTALL)


class Address:
    """A URL whose query, which may hold a key, is not shown by repr or ``vars()`` around it."""

    __slots__ = ("url",)

    def __init__(self, url: URL) -> None:
        self.url = url

    def __repr__(self) -> str:
        return place(self.url)


def parse_url(text: str, base: URL | None = None) -> URL | None:
    """Return the http(s) URL that text is, seen from base, or None."""
    if any(character.isspace() or not character.isprintable() for character in text):
        return None
    try:
        url = URL(text)
        if "//" in text.partition("?")[0] and not url.host:
            return None
        url = base.join(url) if base is not None else url
    except ValueError:
        return None
    return url if url.scheme in ("http", "https") and url.host else None


def place(url: URL) -> str:
    """Return a URL fit for a message: no user, password, query."""
    return str(url.with_user(None).with_query(None).with_fragment(None))


def host_and_port(url: URL) -> str:
    """Return the party that a URL leads to, as messages name it: ``proxy:3128``."""
    return f"{url.host_subcomponent}:{url.port}"


def shown(text: str) -> str:
    """Return what was given for a URL, and need not be one, fit for a message."""
    bare = re.split(r"[?#]", text, maxsplit=1)[0]
    return repr(_USER.sub(lambda found: f"{found[1] or ''}***@", bare)[:_LONGEST])


def completions_url(base_url: object) -> URL:
    """Return the URL of ``chat/completions`` below a base URL. Raises InvalidRequestError."""
    url = parse_url(base_url) if isinstance(base_url, str) else None
    if url is None:
        raise InvalidRequestError(
            f"this is not a server URL: "
            f"{shown(base_url) if isinstance(base_url, str) else repr(base_url)}",
            hint=Hint(f"give {{option}} such as {DEFAULT_BASE_URL}", "base_url"),
        )
    path = url.path.rstrip("/")
    if not path.endswith("/chat/completions"):
        path += "/chat/completions"
    return url.with_path(path).with_query(url.query)
