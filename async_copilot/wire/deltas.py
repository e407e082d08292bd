"""A body's bytes in, text deltas or typed chunks out; how the answer ended. No I/O.

This is where the event stream (sse) and the wire form (chat) meet:

    block -> whole lines -> payloads -> deltas

The exact way is EventReader's: an event at a time, tolerant of everything. Short cuts stand
before it (plain) for what makes up nearly all of a stream, text deltas that say nothing
new but their text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from ..errors import EventTooLargeError, StreamError
from .chat import ChatChunk
from .events import EventReader, stream_error, with_handle
from .failures import read_error
from .form import BodyForm, type_name
from .objects import loads
from .plain import PlainDelta, plain_payloads
from .sse import MAX_EVENT_BYTES, Bytes, SSEDecoder

__all__ = ["DeltaDecoder"]

Example: TypeAlias = tuple[Bytes, Any, ChatChunk]
"""A payload, what orjson read of it, and what was read of that."""


class DeltaDecoder(EventReader):
    """Decodes one body. Ask for texts() or chunks(), not both, then once for rest().

    media_type: what the response calls itself, for errors; bytes decide how it is read.
    told: chunks that hold more than plain text; texts() puts them here, the caller
        takes them out.
    progress: the last block brought something of the answer.

    The others: see EventReader.
    """

    __slots__ = (
        "_alone",
        "_form",
        "_lessons",
        "_max_event_bytes",
        "_sse",
        "media_type",
        "told",
    )

    worth_learning = 3  # events that came, or are left of a block; it costs as much as reading one
    worth_trying = 8  # events that came; what takes a trial costs as much as reading a few

    def __init__(
        self,
        *,
        max_event_bytes: int = MAX_EVENT_BYTES,
        strict: bool = True,
        media_type: str = "text/event-stream",
        n: int = 1,
    ) -> None:
        super().__init__(strict=strict, n=n)
        self.told: list[ChatChunk] = []
        self.media_type = media_type
        self._max_event_bytes = max_event_bytes
        self._sse = SSEDecoder(
            max_event_bytes=max_event_bytes, error_field=True, is_whole=_is_whole
        )
        self._form: BodyForm | None = BodyForm(max_event_bytes)  # until a stream's first event
        self._alone: PlainDelta | None = None  # while the next block may be one of these alone
        self._lessons = 4  # tries left to learn what a plain delta looks like here

    @property
    def empty(self) -> bool:
        """True for a body that has held nothing so far but blanks and comments."""
        form = self._form
        if self.events or self.skipped or self.ended or form is None or form.is_document:
            return False
        return form.says_nothing and self._sse.is_idle

    def overload(self) -> StreamError | None:
        """Return the error of a body that is over, where it is a document that tells of one."""
        form = self._form
        document = form and form.read_refusal()
        error = document and read_error(document)
        if not (form and document and error and error.passing):
            return None
        return stream_error(error, with_handle(document, form.document()))

    def text_of(self, block: bytes) -> str | None:
        """Return the text of a block that is one plain delta; None: ask texts().

        The block that a model's own pace makes, one event a read, takes this way.
        """
        if self._alone is None or len(block) > self._max_event_bytes:
            return None
        text = self._alone.text_of(block)
        if text is not None:
            self.events += 1
            self._heard.plain_tail = text
            self._heard.plain_size += len(text)
        return text

    def texts(self, block: bytes) -> list[str]:
        """Return the text deltas of choice 0 that block completes, none of them empty."""
        self.progress = False
        self._alone = None
        lines = self._lines(block)
        texts = self._plain_texts(lines)
        if texts is None:
            payloads = plain_payloads(self._sse, lines)
            if payloads is None:
                return self._texts(self._events(lines), [])
            texts = self._texts_of_payloads(payloads)
        goes_on = texts and self._plain is not None and self._heard.goes_on
        if goes_on and self._sse.at_rest and not (self._halves or self.ended):
            self._alone = self._plain
        return texts

    def _plain_texts(self, lines: Bytes) -> list[str] | None:
        """Return the texts of lines that are plain deltas and nothing else, or None."""
        plain = self._plain
        if plain is None or self._halves or not self._sse.between_events:
            return None
        if isinstance(lines, bytearray) or len(lines) > self._max_event_bytes:
            return None
        texts = plain.texts_of(lines)
        if texts is not None:
            self.events += len(texts)
            self._lessons = 4
            texts = [text for text in texts if text] if "" in texts else texts
            if texts:
                self.progress = True
                self._heard.plain(texts, plain.size)
        return texts

    def _texts_of_payloads(self, payloads: Sequence[Bytes]) -> list[str]:
        texts: list[str] = []
        alike: list[str] = []  # of plain deltas that came one after another
        example: Example | None = None
        left = len(payloads)
        for payload in payloads:
            left -= 1
            text = None if self._plain is None else self._plain_text(self._plain, payload)
            if text is not None:
                alike.append(text)
                continue
            if alike:
                texts += self._counted(alike)
                alike = []
            event, before = loads(payload), len(texts)
            chunks = self.read(payload, event)
            self._texts(chunks, texts)
            if self._over or self.failure is not None:
                break
            # The newest one alone is an example: what it tells is what was told last.
            example = (payload, event, chunks[0]) if len(texts) > before else None
            if example is not None and left >= self.worth_learning:
                self._learn(*example)
                example = None
        else:
            if alike:
                texts += self._counted(alike)
            if example is not None and self.events >= self.worth_learning:
                self._learn(*example)
        self.progress = self.progress or bool(texts)
        return texts

    def _counted(self, texts: list[str]) -> list[str]:
        """Take note of the texts of plain deltas, none of them empty; return them."""
        self.events += len(texts)
        self._heard.plain(texts, sum(map(len, texts)))
        return texts

    def _plain_text(self, plain: PlainDelta, payload: Bytes) -> str | None:
        if self._halves or isinstance(payload, bytearray):
            return None
        return plain.text_of(b"data: %b\n\n" % payload)

    def chunks(self, block: bytes) -> list[ChatChunk]:
        """Return the chunks of every choice that block completes."""
        self.progress = False
        lines = self._lines(block)
        payloads = plain_payloads(self._sse, lines)
        if payloads is None:
            return list(self._events(lines))
        chunks: list[ChatChunk] = []
        plainly = 0
        for payload in payloads:
            event = loads(payload)
            plain = self._plain
            chunk = plain and not self._halves and plain.chunk_of(event)
            if chunk:
                self._heard.plain((chunk.content,), len(chunk.content))
                chunks.append(chunk)
                plainly += 1
                continue
            read = self.read(payload, event)
            chunks += read
            if self.ended:
                break
        self.events += plainly
        self.progress = self.progress or plainly > 0
        if plainly == len(payloads):
            self._lessons = 4
        elif not chunk and read and self.events >= self.worth_learning:
            self._learn(payload, event, read[0])
        return chunks

    def _learn(self, payload: Bytes, event: Any, chunk: ChatChunk) -> None:
        """Learn from an event that was read the exact way what a plain delta looks like."""
        if self._lessons and chunk.choice and chunk.raw is event:
            self._lessons -= 1
            thorough = self.events >= self.worth_trying
            learned = PlainDelta.learn(payload, event, chunk, known=self._plain, thorough=thorough)
            self._plain = learned or self._plain

    def rest_of_texts(self, *, at_end: bool) -> list[str]:
        """Return the last deltas; at_end says that the body is over."""
        return self._texts(self._rest(at_end=at_end), [])

    def rest_of_chunks(self, *, at_end: bool) -> list[ChatChunk]:
        """The same as chunks."""
        return list(self._rest(at_end=at_end))

    # -------------------------------------------------------------- an event at a time

    def _texts(self, chunks: Iterable[ChatChunk], texts: list[str]) -> list[str]:
        for chunk in chunks:
            self.told.append(chunk)
            if chunk.content and chunk.index == 0:
                texts.append(chunk.content)
        return texts

    def _events(self, lines: Bytes) -> Iterable[ChatChunk]:
        try:
            events, failure = self._sse.interpret(lines), None
        except EventTooLargeError as error:
            events, failure = list(error.events), error
        for event in events:
            yield from self.read(event.data, loads(event.data), event.event)
            if self.ended:
                return
        if failure is not None:
            self.failure = failure

    # -------------------------------------------------------------- the body

    def _lines(self, block: bytes) -> Bytes:
        """Return whole lines of an event stream; the bytes of anything else are kept."""
        form = self._form
        if form is None or (self.events and form.is_stream):
            self._form = None
            return self._sse.take_lines(block)
        block = form.take(block, self.media_type)
        if form.is_document:
            self.progress = True
            self.failure = self.failure or form.failure
            return b""
        return self._sse.take_lines(block)

    def _rest(self, *, at_end: bool) -> Iterable[ChatChunk]:
        if at_end and not self.ended:
            if self._form is not None and self._form.is_document:
                yield from self._read_document(self._form)
            else:
                yield from self._read_unfinished(self._form)
            self._check_for_a_choice()
        if self._halves:
            yield from self._halves.rest()

    def _read_unfinished(self, form: BodyForm | None) -> Iterable[ChatChunk]:
        """Read what stands after the last blank line, where it can be read.

        The event stream discards it; here it may be [DONE], or text the user waits for.
        """
        try:
            unfinished = self._sse.flush()
        except EventTooLargeError as error:
            unfinished, self.failure = [], error
        for event in unfinished:
            strict, self._strict = self._strict, False
            skipped = self.skipped
            yield from self.read(event.data, loads(event.data), event.event)
            self._strict, self.skipped = strict, skipped
        if form is None or self.events or self.ended or form.is_blank:
            return
        if type_name(self.media_type) != "text/event-stream":
            self.failure = form.unexpected("something that is not an event stream", self.media_type)

    def _read_document(self, form: BodyForm) -> Iterable[ChatChunk]:
        if form.read(self.media_type) is None:
            self.failure = form.failure
            return
        data = form.document()
        yield from self.read(data, loads(data))


def _is_whole(line: Bytes) -> bool:
    return bool(loads(line))
