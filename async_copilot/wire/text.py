"""Text from a peer in, text fit for a terminal out. No I/O."""

from __future__ import annotations

import re

__all__ = ["visible"]

# C0 and C1 controls but tab and newline, and the marks that reorder what is around them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return text with control characters made visible: ESC becomes ``\\x1b``.

    A server's text must not move the cursor, set the title or hide other text.
    """
    return _CONTROL.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
