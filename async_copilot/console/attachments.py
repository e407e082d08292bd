"""Files in, parts of a message out: ``--attach``. Reads the files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidRequestError
from ..parts import MAX_IMAGE_BYTES, image_part, text_part
from ..wire.text import one_line
from .argument_parser import UsageProblemError
from .plain_text import decoded

__all__ = ["NOTHING", "Attachments", "Message", "read_attachments", "text_of"]

Message = str | dict[str, Any]
"""A user message: its text, or, with images, the wire's form."""

# Characters of a text file: more than any model reads at once.
MAX_TEXT = 4_000_000


@dataclass(frozen=True, slots=True)
class Attachments:
    """What goes with the next message: text below it, and images beside it."""

    texts: tuple[str, ...] = ()
    images: tuple[dict[str, Any], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.texts or self.images)

    def under(self, message: str) -> Message:
        """Return the message with all of it."""
        text = "\n\n".join(filter(None, (message, *self.texts)))
        if not self.images:
            return text
        parts = [text_part(text)] if text else []
        return {"role": "user", "content": [*parts, *self.images]}


NOTHING = Attachments()


def read_attachments(
    paths: Sequence[str], piped: bytes, tell: Callable[[str], object]
) -> Attachments:
    """Read the files; ``-`` is what was piped.

    tell: is told of characters that cannot be read. Raises UsageProblemError.
    """
    texts: list[str] = []
    images: list[dict[str, Any]] = []
    for path in paths:
        data = piped if path == "-" else _read(path)
        if not data:
            raise UsageProblemError(f"-a {path}: it is empty")
        try:
            images.append(image_part(data=data))
        except InvalidRequestError:
            texts.append(_text(path, data, tell))
    return Attachments(tuple(texts), tuple(images))


def text_of(message: Message) -> str:
    """Return the text of a message, whatever a file says that it holds; an image has none."""
    content = message if isinstance(message, str) else message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _read(path: str) -> bytes:
    try:
        with Path(path).expanduser().open("rb") as file:
            return file.read(MAX_IMAGE_BYTES + 1)
    except OSError as error:
        raise UsageProblemError(f"-a {path}: {error.strerror}") from None


def _text(path: str, data: bytes, tell: Callable[[str], object]) -> str:
    text = decoded(data, f"-a {path}", tell)
    if text is None or len(data) > MAX_IMAGE_BYTES:
        raise UsageProblemError(
            f"-a {path}: only images (PNG, JPEG, GIF, WebP, up to {MAX_IMAGE_BYTES // 10**6} MB) "
            f"and text files (UTF-8, or UTF-16 with a byte order mark) can be sent"
        )
    if len(text) > MAX_TEXT:
        raise UsageProblemError(
            f"-a {path}: a text of {len(text):,} characters; at most {MAX_TEXT:,} can be sent"
        )
    name = "stdin" if path == "-" else one_line(Path(path).name)
    return f"--- {name} ---\n{text.removesuffix(chr(10)).removesuffix(chr(13))}"
