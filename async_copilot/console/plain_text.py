"""Bytes of a file or pipe in, their text out, or None for binary data. No I/O."""

from __future__ import annotations

import codecs
from collections.abc import Callable

__all__ = ["decoded"]

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What no text holds, in any encoding: controls, except those of layout and terminals.
_NO_TEXT = bytes({*range(0x20), 0x7F} - set(b"\a\b\t\n\v\f\r\x1b"))


def decoded(
    data: bytes, what: str, tell: Callable[[str], object], *, fallback: str = "utf-8"
) -> str | None:
    """Return the text, None where the bytes are binary.

    A byte order mark tells UTF-8, UTF-16 and UTF-32; without one it is UTF-8, or else
    fallback, in which a character that cannot be read becomes U+FFFD.

    what: the name of the data.  tell: is told of characters that cannot be read.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                return None
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        if data.translate(None, _NO_TEXT) != data:
            return None
    text = data.decode(fallback, errors="replace")
    if "\ufffd" in text:
        tell(f"{what} is not text in UTF-8; characters that cannot be read are sent as \ufffd")
    return text
