"""Texts in, the same without the secrets that were sent out. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .errors import CopilotError

__all__ = ["Mask"]

_SECRET_HEADERS = ("authorization", "cookie", "key", "token", "secret")
_SHORT = 8  # characters; a key such as "x" is struck out only where it stands alone


class Mask:
    """Strikes out what must not show: servers quote keys in their messages.

    headers: of the request; those that carry credentials, by their names, are secrets.
    """

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        secrets: set[str] = set()
        for name, value in headers:
            if any(word in name.lower() for word in _SECRET_HEADERS):
                secrets |= {value, value.rpartition(" ")[2]} - {""}
        patterns = [
            re.escape(secret) if len(secret) >= _SHORT else rf"(?<!\w){re.escape(secret)}(?!\w)"
            for secret in sorted(secrets, key=len, reverse=True)
        ]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def text(self, text: str) -> str:
        return self._pattern.sub("***", text) if self._pattern else text

    def error(self, error: CopilotError) -> None:
        """Strike secrets out of everything an error says."""
        error.args = (self.text(error.message),)
        for name in ("body", "code", "type", "request_id"):
            value = getattr(error, name)
            if value is not None:
                setattr(error, name, self.text(value))
