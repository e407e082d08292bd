"""What a body is, told by its first bytes: an event stream, a JSON document, neither. No I/O."""

from __future__ import annotations

import contextlib
from typing import Any

from ..errors import (
    CopilotError,
    EventTooLargeError,
    Hint,
    MalformedDataError,
    UnexpectedContentError,
)
from .failures import read_error
from .objects import read_object
from .text import BOM, EXCERPT, excerpt, visible

__all__ = ["BodyForm", "type_name"]

_LONGEST_REFUSAL = 64 * 1024  # bytes; as much as is read of an error's body

_FIELDS = (b"", b"data", b"event", b"id", b"retry")
_FIRST = 64  # bytes; a document may begin with a few blanks


class BodyForm:
    """The form of one body.

    is_stream, is_document: known as soon as a first character is there.
    failure: for a document that cannot be an answer.
    """

    __slots__ = ("_longest", "_start", "failure", "is_document", "is_stream")

    def __init__(self, longest: int) -> None:
        self.is_stream = False
        self.is_document = False
        self.failure: CopilotError | None = None
        self._longest = longest
        self._start = bytearray()  # of a stream; of a document all of it

    def take(self, block: bytes, media_type: str) -> bytes:
        """Return the bytes of an event stream that are known by now; keep those of a document."""
        if self.is_stream or (not self._start and block.startswith(b"data:")):
            self.is_stream = True  # nearly always, and then nothing has to be looked at
            if len(self._start) < EXCERPT:
                self._start += block[: EXCERPT - len(self._start)]
            return block
        self._start += block
        if not self.is_document:
            start = self._begins()
            if len(self._start) < _FIRST and (not start or BOM.startswith(start)):
                return b""
            if start[:1] not in (b"{", b"[", b"<"):
                self.is_stream = True
                block = bytes(self._start)
                del self._start[EXCERPT:]
                return block
            self.is_document = True
        if self._is_html and len(self._start) > EXCERPT:
            self.failure = self.unexpected("HTML", media_type)
        elif len(self._start) > self._longest:
            self.failure = EventTooLargeError(
                f"the answer is one document of more than {self._longest:,} bytes",
                hint=Hint("if the server means it, raise {option}", "max_event_bytes"),
                limit=self._longest,
            )
        return b""

    def document(self) -> bytes:
        return bytes(self._start)

    def read_refusal(self) -> dict[str, Any] | None:
        """Return a document that is over and may be an error: a short one that has no choices."""
        document = None
        if self.is_document and len(self._start) <= _LONGEST_REFUSAL:
            with contextlib.suppress(MalformedDataError):
                document = read_object(self.document())
        return None if document is None or document.get("choices") else document

    def read(self, media_type: str) -> dict[str, Any] | None:
        """Return a document that is over: an answer or an error. None, and failure, for another."""
        try:
            document = read_object(self.document())
        except MalformedDataError:
            self.failure = self.unexpected(self.kind, media_type)
            return None
        choices = document.get("choices")
        if (choices and isinstance(choices, list | dict)) or read_error(document) is not None:
            return document
        self.failure = self.unexpected("JSON that is not a completion", media_type)
        return None

    @property
    def is_blank(self) -> bool:
        return not self._start.strip()

    @property
    def says_nothing(self) -> bool:
        """True for blanks, comments and fields of events, as far as the beginning is kept."""
        lines = self._start.removeprefix(BOM).replace(b"\r", b"\n").split(b"\n")
        return all(not line.strip() or line.partition(b":")[0] in _FIELDS for line in lines)

    @property
    def kind(self) -> str:
        """What it is when it cannot be read as a document."""
        return "HTML" if self._is_html else "something that is not a JSON object"

    @property
    def _is_html(self) -> bool:
        return self._begins().startswith(b"<")

    def _begins(self) -> bytes:
        return bytes(self._start[:_FIRST]).removeprefix(BOM).lstrip()

    def unexpected(self, what: str, media_type: str) -> UnexpectedContentError:
        """Return the error for a body that is not an answer, which quotes its start."""
        text = excerpt(self._start[:EXCERPT])
        return UnexpectedContentError(
            f"the server answered with {what} ({type_name(media_type)}): {text[:120]!r}",
            hint=Hint(
                "check that {option} leads to a chat-completions API (it usually ends in /v1)",
                "base_url",
            ),
            body=text,
        )


def type_name(media_type: str) -> str:
    """Return a media type without its parameters."""
    kind = media_type.partition(";")[0].strip().lower()
    return visible(kind[:EXCERPT]) or "application/octet-stream"
