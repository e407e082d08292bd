"""Texts in, the same without the secrets that were sent out. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain

from ..errors import CopilotError

__all__ = ["Mask", "is_secret"]

_SECRET = re.compile("auth|cookie|key|token|secret|sig|password", re.IGNORECASE)
_SHORT = 8  # characters; a key such as "x" is struck out only where it stands alone


def is_secret(name: str) -> bool:
    """True for a header, or a parameter of a URL, that by its name carries credentials."""
    return _SECRET.search(name) is not None


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
