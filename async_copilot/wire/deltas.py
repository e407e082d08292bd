"""A body's bytes in, text deltas or typed chunks out; how the answer ended. No I/O.

This is where the event stream (sse) and the wire form (chat) meet:

    block -> whole lines -> payloads -> deltas

The exact way is ``DeltaDecoder._read``: an event at a time, tolerant of everything. Short
cuts stand before it (plain) for what makes up nearly all of a stream, text deltas that
say nothing new but their text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import orjson

from ..errors import (
    CopilotError,
    EventTooLargeError,
    Hint,
    MalformedDataError,
    StreamError,
    UnexpectedContentError,
)
from .chat import (
    NO_MESSAGE,
    ChatChunk,
    ServerError,
    read_chunks,
    read_error,
    read_object,
    without_lone_surrogates,
)
from .g4f import G4FFailure, g4f_failure
from .handle import handle_from
from .plain import PlainDelta
from .sse import MAX_EVENT_BYTES, Bytes, SSEDecoder
from .text import visible

__all__ = ["DeltaDecoder"]

_DONE = "[DONE]"
_NOT_G4F = G4FFailure()
_BOM = b"\xef\xbb\xbf"
_EXCERPT = 300  # bytes of an unexpected body that an error quotes


class DeltaDecoder:
    """Decodes one body. Ask for texts() or chunks(), not both, then once for rest().

    told:     chunks that hold more than plain text; texts() puts them here, the caller
              takes them out.
    media_type: what the response calls itself, for errors; bytes decide how it is read.
    failure:  the error to raise once the deltas before it were handed out.
    done:     [DONE] was seen; what follows it is ignored.
    finished: every choice seen has its finish_reason, the first one among them.
    complete: the answer is whole; [DONE] vouches for choices that lack theirs.
    progress: the last block brought something of the answer.
    events:   data events read;  skipped: malformed ones passed over (strict=False).
    """

    worth_learning = 8  # events; learning costs as much as reading a few

    def __init__(
        self,
        *,
        max_event_bytes: int = MAX_EVENT_BYTES,
        strict: bool = True,
        media_type: str = "text/event-stream",
    ) -> None:
        self.failure: CopilotError | None = None
        self.done = False
        self.progress = False
        self.events = 0
        self.skipped = 0
        self.told: list[ChatChunk] = []
        self._strict = strict
        self.media_type = media_type
        self._max_event_bytes = max_event_bytes
        self._sse = SSEDecoder(max_event_bytes=max_event_bytes, error_field=True)
        self._form: Literal["unknown", "events", "document"] = "unknown"
        self._document = bytearray()  # the body's start, or all of it if it is one document
        self._choices: dict[int, bool] = {}  # index: has its finish_reason
        self._halves: dict[tuple[int, str], str] = {}  # surrogates waiting for the other half
        self._plain: PlainDelta | None = None
        self._alone: PlainDelta | None = None  # while the next block may be one of these alone
        self._lessons = 4  # tries left to learn what a plain delta looks like here

    @property
    def finished(self) -> bool:
        return 0 in self._choices and all(self._choices.values())

    @property
    def complete(self) -> bool:
        return self.finished or (self.done and any(self._choices.values()))

    @property
    def ended(self) -> bool:
        """True when no later byte of the body can change the answer."""
        return self.done or self.failure is not None

    def text_of(self, block: bytes) -> str | None:
        """Return the text of a block that is one plain delta; None: ask texts().

        The block that a model's own pace makes, one event a read, takes this way.
        """
        if self._alone is None or len(block) > self._max_event_bytes:
            return None
        text = self._alone.text_of(block)
        if text is not None:
            self.events += 1
        return text

    def texts(self, block: bytes) -> list[str]:
        """Return the text deltas of choice 0 that block completes, none of them empty."""
        self._alone = None
        texts = self._texts_of_block(block)
        if texts and self._sse.at_rest and not (self._halves or self.finished or self.ended):
            self._alone = self._plain
        return texts

    def _texts_of_block(self, block: bytes) -> list[str]:
        self.progress = False
        lines = self._lines(block)
        payloads = self._sse.plain_payloads(lines)
        if payloads is None:
            return self._texts(self._events(lines), [])
        if self._plain is not None and not self._halves:
            texts = self._plain.texts_of_block(lines, payloads)
            if texts is not None:
                self.events += len(payloads)
                self._lessons = 4
                self.progress = bool(texts)
                return texts
        return self._texts_of_payloads(payloads)

    def _texts_of_payloads(self, payloads: Sequence[Bytes]) -> list[str]:
        plain = self._plain
        texts: list[str] = []
        left = iter(payloads)
        while not self.ended:
            if plain is not None and not self._halves:
                before = len(texts)
                payload = plain.add_texts(left, texts)
                self.events += len(texts) - before
            else:
                payload = next(left, None)
            if payload is None:
                break
            self._texts(self._read(payload, _loads(payload)), texts)
        self.progress = self.progress or bool(texts)
        if self._lessons and texts and self.events >= self.worth_learning:
            self._lessons -= 1
            self._plain = PlainDelta.learn(payloads[-1]) or plain
        return texts

    def chunks(self, block: bytes) -> list[ChatChunk]:
        """Return the chunks of every choice that block completes."""
        self.progress = False
        lines = self._lines(block)
        payloads = self._sse.plain_payloads(lines)
        if payloads is None:
            return list(self._events(lines))
        chunks: list[ChatChunk] = []
        for payload in payloads:
            chunks += self._read(payload, _loads(payload))
            if self.ended:
                break
        return chunks

    def rest_of_texts(self, at_end: bool) -> list[str]:
        """Return the last deltas; at_end says that the body is over."""
        return self._texts(self._rest(at_end), [])

    def rest_of_chunks(self, at_end: bool) -> list[ChatChunk]:
        """The same as chunks."""
        return list(self._rest(at_end))

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
            yield from self._read(event.data, _loads(event.data), event.event)
            if self.ended:
                return
        if failure is not None:
            self.failure = failure

    def _read(self, data: Bytes | str, event: Any, name: str = "message") -> list[ChatChunk]:
        """Read the data of one event; sets done or failure where it is the end.

        event: data as orjson reads it, or None where it does not.
        """
        odd = bool(self._halves)
        if type(event) is not dict:
            odd = True
            text = data if isinstance(data, str) else data.decode(errors="replace")
            if text.strip() == _DONE:
                self.done = True
                return []
            if not text.strip() and name != "error":
                return []  # an empty data line: a heartbeat of some gateways
            try:
                event = read_object(data)
            except MalformedDataError as error:
                return self._malformed(error, text.strip(), name)
        self.events += 1
        named_error = name == "error"
        reported = None
        if named_error or "error" in event or "x_groq" in event or "choices" not in event:
            reported = read_error(event, named_error=named_error)
        shown = _with_handle(event, data)
        if reported is not None:
            self._fail(reported, shown, g4f_failure(event, reported.message))
            return []
        chunks = read_chunks(event)
        if odd:
            chunks = [self._with_whole_characters(chunk) for chunk in chunks]
        for chunk in chunks:
            self._note(chunk, event)
            if chunk.finish_reason == "error":  # OpenRouter, with the error in the choice
                self._fail_choice(event, shown)
        return chunks

    def _fail_choice(self, event: dict[str, Any], data: Bytes | str) -> None:
        choices = (choice for choice in event["choices"] if isinstance(choice, dict))
        errors = (read_error({**choice, "choices": []}) for choice in choices)
        error = next(filter(None, errors), None)
        self._fail(error or ServerError('its finish_reason is "error"'), data)

    def _note(self, chunk: ChatChunk, event: dict[str, Any]) -> None:
        if chunk.finish_reason:
            self._choices[chunk.index] = True
        elif chunk.index not in self._choices and event.get("choices"):
            self._choices[chunk.index] = False
        if (
            chunk.content
            or chunk.reasoning
            or chunk.tool_calls
            or chunk.finish_reason
            or chunk.refusal
        ):
            self.progress = True

    def _malformed(self, error: MalformedDataError, text: str, name: str) -> list[ChatChunk]:
        if name == "error":
            self._fail(ServerError(visible(text[:_EXCERPT])), text)
        elif self._strict:
            self.failure = error
        else:
            self.skipped += 1
        return []

    def _fail(self, error: ServerError, data: Bytes | str, g4f: G4FFailure = _NOT_G4F) -> None:
        text = data if isinstance(data, str) else data[: 4 * _EXCERPT].decode(errors="replace")
        code = f" (code {error.code})" if error.code else ""
        self.failure = StreamError(
            f"the server put an error into its answer{code}: {error.message or NO_MESSAGE}",
            hint=g4f.hint,
            type=error.type or g4f.type,
            provider=g4f.provider,
            code=error.code,
            body=without_lone_surrogates(text[:_EXCERPT]),
        )

    # -------------------------------------------------------------- the body's form

    def _lines(self, block: bytes) -> Bytes:
        """Return whole lines of an event stream; keep the bytes of anything else."""
        if not self._document and block.startswith(b"data:"):
            self._form = "events"  # nearly always, and then nothing has to be looked at
        if self._form == "events":
            if len(self._document) < _EXCERPT:
                self._document += block[:_EXCERPT]
            return self._sse.take_lines(block)
        self._document += block
        if self._form == "unknown":
            start = bytes(self._document[:64]).removeprefix(_BOM).lstrip()
            if len(self._document) < 64 and (not start or _BOM.startswith(start)):
                return b""
            if start[:1] not in (b"{", b"[", b"<"):
                self._form = "events"
                block = bytes(self._document)
                del self._document[_EXCERPT:]
                return self._sse.take_lines(block)
            self._form = "document"
        self.progress = True
        if self._is_html and len(self._document) > _EXCERPT:
            self.failure = self._unexpected("HTML")
        elif len(self._document) > self._max_event_bytes:
            self.failure = EventTooLargeError(
                f"the answer is one document of more than {self._max_event_bytes:,} bytes",
                hint=Hint("if the server means it, raise {option}", "max_event_bytes"),
                limit=self._max_event_bytes,
            )
        return b""

    def _rest(self, at_end: bool) -> Iterable[ChatChunk]:
        if at_end and not self.ended:
            if self._form == "document":
                yield from self._read_document()
            else:
                yield from self._read_unfinished()
        for (index, field), _ in list(self._halves.items()):
            yield replace(ChatChunk(index=index), **{field: "\ufffd"})  # type: ignore[arg-type]  # a text field's name
        self._halves.clear()

    def _read_unfinished(self) -> Iterable[ChatChunk]:
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
            yield from self._read(event.data, _loads(event.data), event.event)
            self._strict, self.skipped = strict, skipped
        labelled = self._type == "text/event-stream"
        if not (self.events or self.ended or labelled) and self._document.strip():
            self.failure = self._unexpected("something that is not an event stream")

    def _read_document(self) -> Iterable[ChatChunk]:
        try:
            document = read_object(bytes(self._document))
        except MalformedDataError:
            self.failure = self._unexpected(
                "HTML" if self._is_html else "something that is not a JSON object"
            )
            return
        choices = document.get("choices")
        if read_error(document) is None and not (isinstance(choices, list) and choices):
            self.failure = self._unexpected("JSON that is not a completion")
            return
        yield from self._read(bytes(self._document), _loads(bytes(self._document)))

    @property
    def _type(self) -> str:
        kind = self.media_type.partition(";")[0].strip().lower()
        return visible(kind) or "application/octet-stream"

    @property
    def _is_html(self) -> bool:
        return bytes(self._document[:64]).removeprefix(_BOM).lstrip().startswith(b"<")

    def _unexpected(self, what: str) -> UnexpectedContentError:
        text = self._document[:_EXCERPT].decode(errors="replace")
        return UnexpectedContentError(
            f"the server answered with {what} ({self._type}): {text[:120]!r}",
            hint=Hint(
                "check that {option} leads to a chat-completions API (it usually ends in /v1)",
                "base_url",
            ),
            body=text,
        )

    # -------------------------------------------------------------- characters in two halves

    def _with_whole_characters(self, chunk: ChatChunk) -> ChatChunk:
        """Join surrogate halves that came in two deltas; the lone one becomes U+FFFD."""
        whole: dict[str, Any] = {
            field: self._whole(chunk.index, field, getattr(chunk, field))
            for field in ("content", "reasoning", "refusal")
        }
        calls = tuple(
            replace(call, arguments=without_lone_surrogates(call.arguments))
            for call in chunk.tool_calls
        )
        names: dict[str, Any] = {
            field: value and without_lone_surrogates(value)
            for field in ("finish_reason", "id", "model", "provider")
            if (value := getattr(chunk, field))
        }
        return replace(chunk, tool_calls=calls, **whole, **names)

    def _whole(self, index: int, field: str, text: str) -> str:
        if not text:
            return text
        text = self._halves.pop((index, field), "") + text
        if "\ud800" <= text[-1] <= "\udbff":
            self._halves[index, field] = text[-1]
            text = text[:-1]
        return without_lone_surrogates(text)


def _with_handle(event: dict[str, Any], data: Bytes | str) -> Bytes | str:
    """Keep the server's handle as it came; return the data unless a handle is in it.

    A handle is not part of what an error shows.
    """
    if "conversation" not in event:
        return data
    event["conversation"] = handle_from(event["conversation"], data)
    return b""


def _loads(data: Bytes | str) -> Any:
    """Return what orjson reads, or None where it does not: read_object() may yet."""
    if len(data) == len(_DONE):
        return None  # most likely it is [DONE]; raising for it costs more than an event
    try:
        return orjson.loads(data)
    except ValueError:
        return None
