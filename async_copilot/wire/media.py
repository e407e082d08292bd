"""Text of an answer in, the images and sounds in it out, or a short line in their place. No I/O.

g4f's providers put media into the text, as Markdown (``![cat](data:image/png;base64,…)``)
or HTML (``<audio controls src="data:audio/mpeg;base64,…"></audio>``): megabytes of base64
that nobody reads.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

__all__ = ["Media", "MediaText", "find_media", "without_media"]

_TYPE = r"((?:image|audio|video|application)/[\w.+-]{1,60})"
_URI = rf"data:{_TYPE}(?:;[\w=.-]{{1,60}}){{0,3}};base64,"
_PAYLOAD = re.compile(r"[A-Za-z0-9+/=_-]*")
_TAGS = ("audio", "img", "video", "source", "embed")
_ALT = r"(?:(?!data:)[^\]\[<\n]){0,200}"
_ATTRIBUTES = r"(?:(?!data:)[^<>\n]){0,200}"
_OPENER = rf"(?:!\[{_ALT}\]\(|<(?:{'|'.join(_TAGS)})\b{_ATTRIBUTES}=\s?[\"']?)?"
_START = re.compile(_OPENER + _URI)
_CLOSER = re.compile(r"\)|[\"'][^<>\n]{0,200}/?>(?:</(?:audio|video|embed)>)?")
_CLOSER_BOUND = 250  # characters in which a closer has come, if one comes
_WHOLE = re.compile(_URI + r"([A-Za-z0-9+/=_-]+)")


def _begun(word: str) -> str:
    """Return a pattern for the beginnings of a word, the whole word among them."""
    pattern = ""
    for letter in reversed(word):
        pattern = f"(?:{letter}{pattern})?"
    return pattern


# The end of a text that may become a start: held back until the next piece tells.
_MAYBE = re.compile(
    rf"(?:!(?:\[{_ALT}(?:\](?:\()?)?)?"
    rf"|<(?:{'|'.join(_begun(tag) for tag in _TAGS)})"
    rf"|<(?:{'|'.join(_TAGS)})\b{_ATTRIBUTES}(?:=\s?[\"']?)?)?"
    rf"(?:{_begun('data')}|data:[\w/.+;=-]{{0,240}},?)\Z"
)
_MAYBE_LENGTH = 700  # the longest of those


@dataclass(frozen=True, slots=True)
class Media:
    """An image, a sound or another file in an answer; type as in ``image/png``."""

    type: str
    data: bytes = field(repr=False)


def find_media(text: str) -> list[Media]:
    """Return what a whole answer holds; what is not base64 is left out."""
    found = []
    for match in _WHOLE.finditer(text):
        payload = match[2].replace("-", "+").replace("_", "/").rstrip("=")
        try:
            data = base64.b64decode(payload + "=" * (-len(payload) % 4), validate=True)
        except (binascii.Error, ValueError):
            continue
        found.append(Media(match[1], data))
    return found


def without_media(text: str) -> str:
    """Return a whole text with a short line in place of each of its media."""
    shown = MediaText()
    return shown.feed(text) + shown.finish()


class MediaText:
    """Replaces the media of a text that comes in pieces by ``[image/png, 12.3 kB]``."""

    def __init__(self) -> None:
        self._held = ""
        self._type: str | None = None  # of the payload under way
        self._letters = 0  # of it so far
        self._closing = False  # behind the payload, at what closes its tag

    def feed(self, text: str) -> str:
        """Return what can be shown now."""
        text, self._held = self._held + text, ""
        shown = ""
        while text:
            if self._type is None:
                before, text = self._to_start(text)
                shown += before
            elif not self._closing:
                payload = _PAYLOAD.match(text)
                length = payload.end() if payload else 0
                self._letters += length - text.count("=", 0, length)
                text = text[length:]
                self._closing = bool(text)
            else:
                closer = _CLOSER.match(text)
                if self._unsure(text, closer):
                    self._held, text = text, ""
                    break
                text = text[closer.end() :] if closer else text
                shown += self._label()
        return shown

    def finish(self) -> str:
        """The text is over: return the rest of what is to be shown."""
        held, self._held = self._held, ""
        if self._type is None:
            return held
        return self._label() + ("" if _CLOSER.match(held) else held)

    def _to_start(self, text: str) -> tuple[str, str]:
        """Return the text before the next media, and the text behind its ``base64,``."""
        start = _START.search(text)
        if start is not None:
            self._type, self._letters, self._closing = start[1], 0, False
            return text[: start.start()], text[start.end() :]
        at = max(0, len(text) - _MAYBE_LENGTH)
        maybe = _MAYBE.search(text, at)
        end = maybe.start() if maybe else len(text)
        self._held = text[end:]
        return text[:end], ""

    @staticmethod
    def _unsure(text: str, closer: re.Match[str] | None) -> bool:
        """True where the next piece may show another end of the tag."""
        if closer is None:
            return text[0] in "\"'" and "\n" not in text and len(text) < _CLOSER_BOUND
        rest = text[closer.end() :]
        return closer[0].endswith(">") and any(
            f"</{tag}>".startswith(rest) and not closer[0].endswith(f"</{tag}>") for tag in _TAGS
        )

    def _label(self) -> str:
        size = self._letters * 3 // 4
        kind, self._type, self._closing = self._type, None, False
        return f"[{kind}, {_size(size)}]"


def _size(size: int) -> str:
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1000:.1f} kB" if size < 10**6 else f"{size / 10**6:.1f} MB"
