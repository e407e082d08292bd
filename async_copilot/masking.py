"""Texts in, the same without the secrets that were sent out. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain

from .errors import CopilotError

__all__ = ["Mask", "is_secret"]

_SECRET_HEADERS = ("authorization", "cookie", "key", "token", "secret")
_SHORT = 8  # characters; a key such as "x" is struck out only where it stands alone


def is_secret(header: str) -> bool:
    """True for a header that carries credentials, by its name."""
    return any(word in header.lower() for word in _SECRET_HEADERS)


class Mask:
    """Strikes out what must not show: servers quote keys in their messages.

    headers: of the request; those that carry credentials, by their names, are secrets.
    """

    def __init__(self, *headers: Mapping[str, str]) -> None:
        self._headers = headers

    def text(self, text: str) -> str:
        secrets: set[str] = set()
        for name, value in chain.from_iterable(headers.items() for headers in self._headers):
            if is_secret(name):
                secrets |= {value, value.rpartition(" ")[2]} - {""}
        for secret in sorted(secrets, key=len, reverse=True):
            pattern = re.escape(secret)
            if len(secret) < _SHORT:
                pattern = rf"(?<!\w){pattern}(?!\w)"
            text = re.sub(pattern, "***", text)
        return text

    def error(self, error: CopilotError) -> None:
        """Strike secrets out of everything an error says."""
        error.args = (self.text(error.message),)
        for name in ("body", "code", "type", "request_id"):
            value = getattr(error, name)
            if value is not None:
                setattr(error, name, self.text(value))
