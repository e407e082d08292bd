"""A body's bytes in, text deltas or typed chunks out; how the answer ended. No I/O.

This is where the event stream (sse) and the wire form (chat) meet:

    block -> whole lines -> payloads -> deltas

The exact way is ``DeltaDecoder._read``: an event at a time, tolerant of everything. Short
cuts stand before it (plain) for what makes up nearly all of a stream, text deltas that
say nothing new but their text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from ..errors import CopilotError, EventTooLargeError, MalformedDataError, StreamError
from .chat import ChatChunk, read_chunks
from .common import common_chunk
from .failures import (
    NO_MESSAGE,
    ServerError,
    choice_error,
    names_failure,
    read_error,
    server_error,
)
from .form import BodyForm, type_name
from .g4f import G4FFailure, g4f_failure
from .halves import Halves
from .handle import handle_from
from .heard import Heard
from .objects import loads, read_object
from .plain import ERRORS, PlainDelta, plain_payloads
from .sse import MAX_EVENT_BYTES, Bytes, SSEDecoder
from .text import excerpt, visible

__all__ = ["DeltaDecoder"]

Example: TypeAlias = tuple[Bytes, Any, ChatChunk]
"""A payload, what orjson read of it, and what was read of that."""

_DONE = "[DONE]"
_NOT_G4F = G4FFailure()
_LONGEST_WORD = 300  # bytes; what is longer is not [DONE], blanks around it or not
_BLANKS = " \t\n\r\v\f"  # what bytes.strip() strips; str.strip() strips U+001C and others too


class DeltaDecoder:
    """Decodes one body. Ask for texts() or chunks(), not both, then once for rest().

    n: choices the request asked for.
    media_type: what the response calls itself, for errors; bytes decide how it is read.

    told:     chunks that hold more than plain text; texts() puts them here, the caller
              takes them out.
    failure:  the error to raise once the deltas before it were handed out.
    done:     [DONE] was seen, and vouches for the answer; what follows it is ignored.
    ended:    no later byte of the body can change the answer.
    finished: every choice asked for has its finish reason, and something was said. More of
              the answer may come all the same, and takes that back.
    complete: the answer is whole; [DONE] vouches for choices that lack their finish reason.
    progress: the last block brought something of the answer.
    events:   data events read.  skipped: malformed ones (strict=False).
    """

    __slots__ = (
        "_alone",
        "_first",
        "_form",
        "_halves",
        "_heard",
        "_lessons",
        "_max_event_bytes",
        "_over",
        "_plain",
        "_sse",
        "_strict",
        "done",
        "events",
        "failure",
        "media_type",
        "progress",
        "skipped",
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
        self.failure: CopilotError | None = None
        self.done = False
        self.progress = False
        self.events = 0
        self.skipped = 0
        self.told: list[ChatChunk] = []
        self.media_type = media_type
        self._strict = strict
        self._max_event_bytes = max_event_bytes
        self._sse = SSEDecoder(
            max_event_bytes=max_event_bytes, error_field=True, is_whole=_is_whole
        )
        self._form: BodyForm | None = BodyForm(max_event_bytes)  # until a stream's first event
        self._heard = Heard(n)
        self._first: tuple[dict[str, Any], Bytes | str] | None = None  # while no choice has come
        self._over = False  # [DONE] was seen
        self._halves: Halves | None = None  # made when half a character comes
        self._plain: PlainDelta | None = None
        self._alone: PlainDelta | None = None  # while the next block may be one of these alone
        self._lessons = 4  # tries left to learn what a plain delta looks like here

    @property
    def finished(self) -> bool:
        return self._heard.finished

    @property
    def complete(self) -> bool:
        if self.failure is not None:
            return False
        return self._heard.all_finished or (self.done and self._heard.any_finished)

    @property
    def ended(self) -> bool:
        return self._over or self.failure is not None

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
        return _stream_error(error, _with_handle(document, form.document()))

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
        texts = None if self._plain is None else self._plain_texts(self._plain, lines)
        if texts is None:
            payloads = plain_payloads(self._sse, lines)
            if payloads is None:
                return self._texts(self._events(lines), [])
            texts = self._texts_of_payloads(payloads)
        goes_on = texts and self._plain is not None and self._heard.goes_on
        if goes_on and self._sse.at_rest and not (self._halves or self.ended):
            self._alone = self._plain
        return texts

    def _plain_texts(self, plain: PlainDelta, lines: Bytes) -> list[str] | None:
        """Return the texts of lines that are plain deltas and nothing else, or None."""
        if self._halves or not self._sse.between_events:
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
            chunks = self._read(payload, event)
            if chunks:
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
            read = self._read(payload, event)
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
        if self.ended and not self._halves:  # nearly always
            return []
        return self._texts(self._rest(at_end=at_end), [])

    def rest_of_chunks(self, *, at_end: bool) -> list[ChatChunk]:
        """The same as chunks."""
        return list(self._rest(at_end=at_end))

    # -------------------------------------------------------------- the exact way

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
            yield from self._read(event.data, loads(event.data), event.event)
            if self.ended:
                return
        if failure is not None:
            self.failure = failure

    def _read(self, data: Bytes | str, event: Any, name: str = "message") -> list[ChatChunk]:
        """Read the data of one event; sets done or failure where it is the end.

        event: data as orjson reads it, or None where it does not.
        """
        odd = bool(self._halves)
        try:
            if type(event) is dict:
                chunk = None if odd or name == "error" else self._take_common(event)
                if chunk is not None:
                    return [chunk]
            else:
                odd = True
                event = self._read_oddly(data, name)
                if event is None:
                    return []
            self.events += 1
            shown = data
            if "conversation" in event:
                shown = _with_handle(event, data)
            if name == "error" or not ERRORS.isdisjoint(event) or not event.get("choices"):
                reported = read_error(event, named_error=name == "error")
                if reported is not None:
                    self._fail(reported, shown, g4f_failure(event, reported.message))
                    return []
            return self._take_in(event, shown, odd=odd)
        except MalformedDataError as error:
            return self._malformed(error, name)

    def _take_common(self, event: dict[str, Any]) -> ChatChunk | None:
        """Read an event of the commonest form, in which there is no failure to look for."""
        heard = self._heard
        chunk = None if heard.several else common_chunk(event)
        if chunk is None:
            return None
        self.events += 1
        heard.progress = False
        chunk = heard.note(chunk)
        self.progress = self.progress or heard.progress
        if self._plain is not None and (chunk.finish_reason or not self._plain.agrees_with(event)):
            self._plain = None
        return chunk

    def _read_oddly(self, data: Bytes | str, name: str) -> dict[str, Any] | None:
        """Return what orjson does not read as an object; None for [DONE] and for nothing."""
        plainly_done = type(data) is bytes and data == b"[DONE]"
        text = "" if len(data) > _LONGEST_WORD or plainly_done else excerpt(data).strip(_BLANKS)
        if plainly_done or text == _DONE:
            self._end()
            return None
        if not text and name != "error" and not _without_blanks(data):
            return None  # an empty data line: a heartbeat of some gateways
        return read_object(data)

    def _take_in(self, event: dict[str, Any], shown: Bytes | str, *, odd: bool) -> list[ChatChunk]:
        """Read an event that is not an error."""
        heard = self._heard
        chunks = read_chunks(event, several=heard.several)
        if odd:
            self._halves = halves = self._halves or Halves()
            chunks = [halves.whole(chunk) for chunk in chunks]
        if len(chunks) > 1 and not heard.several:
            heard.several = True
            self._plain = None
        if not chunks[0].choice:
            self._first = self._first or (event, excerpt(shown))
        else:
            heard.progress = False
            chunks = list(map(heard.note, chunks))
            self.progress = self.progress or heard.progress
        finished = False
        for chunk in chunks:
            error = choice_error(chunk.choice)
            finished = finished or bool(chunk.finish_reason)
            if error or (chunk.finish_reason and names_failure(chunk.finish_reason)):
                self._fail_choice(chunk, error, shown)
        # After a finish reason text comes so seldom that its form is not worth comparing.
        if self._plain is not None and (finished or not self._plain.agrees_with(event)):
            self._plain = None
        return chunks

    def _end(self) -> None:
        """[DONE]: the answer is over, if there was one."""
        self._over = True
        self.done = not self._heard.first_is_mute
        if self._first is not None:
            self._check_for_a_choice()

    def _check_for_a_choice(self) -> None:
        """Fail where events came and none had a choice, which is not an answer at all."""
        if self._first is None or self._heard.any_choice or self.failure is not None:
            return
        event, shown = self._first
        said = server_error(event).message
        came = "1 event" if self.events == 1 else f"{self.events:,} events"
        self.failure = StreamError(
            f"the server sent {came} and no choice of an answer; it says: {said}",
            body=excerpt(shown),
        )

    def _fail_choice(self, chunk: ChatChunk, error: ServerError | None, shown: Bytes | str) -> None:
        """Fail for an error in a choice, or for a finish reason that names a failure."""
        reason = excerpt(chunk.finish_reason or "")
        self._fail(error or ServerError(f'its finish_reason is "{visible(reason)}"'), shown)
        if self.failure is not None and error is None and reason != "error":
            self.failure.code = reason

    def _malformed(self, error: MalformedDataError, name: str) -> list[ChatChunk]:
        if name == "error":
            self._fail(ServerError(visible((error.body or "").strip())), error.body or "")
        elif self._strict:
            self.failure = error
        else:
            self.skipped += 1
        return []

    def _fail(self, error: ServerError, shown: Bytes | str, g4f: G4FFailure = _NOT_G4F) -> None:
        self.failure = _stream_error(error, shown, g4f)

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
            yield from self._read(event.data, loads(event.data), event.event)
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
        yield from self._read(data, loads(data))


def _is_whole(line: Bytes) -> bool:
    return bool(loads(line))


def _stream_error(
    error: ServerError, shown: Bytes | str, g4f: G4FFailure = _NOT_G4F
) -> StreamError:
    code = f" (code {error.code})" if error.code else ""
    return StreamError(
        f"the server put an error into its answer{code}: {error.message or NO_MESSAGE}",
        hint=g4f.hint,
        type=error.type or g4f.type,
        provider=g4f.provider,
        code=error.code,
        body=excerpt(shown),
        retry_after=error.retry_after,
        passing=error.passing,
    )


def _with_handle(event: dict[str, Any], data: Bytes | str) -> Bytes | str:
    """Keep the server's handle as it came; return the data unless a handle is in it.

    A handle is not part of what an error shows.
    """
    if "conversation" not in event:
        return data
    event["conversation"] = handle_from(event["conversation"], data)
    return b""


def _without_blanks(data: Bytes | str) -> Bytes | str:
    return data.strip(_BLANKS) if isinstance(data, str) else data.strip()
