"""A body's bytes in, text deltas or typed chunks out; how the answer ended. No I/O.

This is where the event stream (sse) and the wire form (chat) meet:

    block -> whole lines -> payloads -> deltas

The exact way is ``DeltaDecoder._read``: an event at a time, tolerant of everything. Two
short cuts stand before it for what makes up nearly all of a stream, text deltas that
say nothing new but their text. Neither skips a rule; each proves that the exact way
would have given the same, and otherwise hands over to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from operator import itemgetter
from typing import Any, Literal

import orjson

from .chat import (
    ChatChunk,
    ServerError,
    read_chunks,
    read_error,
    read_object,
    without_lone_surrogates,
)
from .errors import (
    CopilotError,
    EventTooLargeError,
    MalformedDataError,
    StreamError,
    UnexpectedContentError,
)
from .sse import MAX_EVENT_BYTES, SSEDecoder

__all__ = ["DeltaDecoder"]

_DONE = "[DONE]"
_BOM = b"\xef\xbb\xbf"
_EXCERPT = 300  # bytes of an unexpected body that an error quotes

# The fields of an event that read_chunks(), read_error() and Reply look at.
_TOLD = ("conversation", "detail", "error", "id", "model", "object", "provider", "usage", "x_groq")

_CONTENT = re.compile(rb'"content": ?("(?:[^"\\\x00-\x1f]|\\.)*")')
_PROBE = "\x02probe\x03"


class DeltaDecoder:
    """Decodes one body. Ask for texts() or chunks(), not both, then once for rest().

    absorb: in texts(), called with each chunk that holds more than plain text.
    media_type: what the response calls itself, for errors; bytes decide how it is read.

    failure:  the error to raise once the deltas before it were handed out.
    done:     [DONE] was seen; what follows it is ignored.
    finished: every choice seen has its finish_reason.
    complete: the answer is whole; [DONE] vouches for choices that lack theirs.
    progress: the last block brought something of the answer.
    events:   data events read;  skipped: malformed ones passed over (strict=False).
    """

    def __init__(
        self,
        absorb: Callable[[ChatChunk], None],
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
        self._absorb = absorb
        self._strict = strict
        self._media_type = media_type
        self._max_event_bytes = max_event_bytes
        self._sse = SSEDecoder(max_event_bytes=max_event_bytes, error_field=True)
        self._form: Literal["unknown", "events", "document"] = "unknown"
        self._document = bytearray()  # the body's start, or all of it if it is one document
        self._choices: dict[int, bool] = {}  # index: has its finish_reason
        self._halves: dict[tuple[int, str], str] = {}  # surrogates waiting for the other half
        self._plain: _PlainDelta | None = None
        self._lessons = 4  # tries left to learn what a plain delta looks like here

    @property
    def finished(self) -> bool:
        return bool(self._choices) and all(self._choices.values())

    @property
    def complete(self) -> bool:
        return self.finished or (self.done and any(self._choices.values()))

    @property
    def ended(self) -> bool:
        """True when no later byte of the body can change the answer."""
        return self.done or self.failure is not None

    def texts(self, block: bytes) -> list[str]:
        """Return the text deltas of choice 0 that block completes, none of them empty."""
        self.progress = False
        lines = self._lines(block)
        plain = self._plain
        if plain is not None and not self._halves:
            texts = plain.texts_of_block(self._sse, lines)
            if texts is not None:
                self.events += plain.count
                self._lessons = 4
                self.progress = bool(texts)
                return texts
        payloads = self._sse.plain_payloads(lines)
        if payloads is None:
            return self._texts(self._events(lines), [])
        return self._texts_of_payloads(payloads)

    def _texts_of_payloads(self, payloads: list[bytes]) -> list[str]:
        plain = self._plain
        texts: list[str] = []
        for payload in payloads:
            text = plain.text_of_event(payload) if plain and not self._halves else None
            if text:
                self.events += 1
                self.progress = True
                texts.append(text)
            else:
                self._texts(self._read(payload), texts)
                if self.ended:
                    return texts
        if texts and self._lessons:
            self._lessons -= 1
            self._plain = _PlainDelta.learn(payloads[-1]) or plain
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
            chunks += self._read(payload)
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
            self._absorb(chunk)
            if chunk.content and chunk.index == 0:
                texts.append(chunk.content)
        return texts

    def _events(self, lines: bytes) -> Iterable[ChatChunk]:
        try:
            events, failure = self._sse.interpret(lines), None
        except EventTooLargeError as error:
            events, failure = list(error.events), error
        for event in events:
            yield from self._read(event.data, event.event)
            if self.ended:
                return
        if failure is not None:
            self.failure = failure

    def _read(self, data: bytes | str, name: str = "message") -> list[ChatChunk]:
        """Read the data of one event; sets done or failure where it is the end."""
        odd = bool(self._halves)
        try:
            event = orjson.loads(data)
        except ValueError:
            odd = True
            event = None
        if type(event) is not dict:
            stripped = (data if isinstance(data, str) else data.decode(errors="replace")).strip()
            if stripped == _DONE:
                self.done = True
                return []
            if not stripped and name != "error":
                return []  # an empty data line: a heartbeat of some gateways
            try:
                event = read_object(data)
            except MalformedDataError as error:
                return self._malformed(error, stripped, name)
        self.events += 1
        reported = read_error(event, named_error=name == "error")
        if reported is not None:
            event.pop("conversation", None)  # the server's handle is nobody else's business
            self._fail(reported, json.dumps(event, ensure_ascii=False))
            return []
        chunks = read_chunks(event)
        if odd:
            chunks = [self._with_whole_characters(chunk) for chunk in chunks]
        for chunk in chunks:
            self._note(chunk, event)
        return chunks

    def _note(self, chunk: ChatChunk, event: dict[str, Any]) -> None:
        if chunk.finish_reason:
            self._choices[chunk.index] = True
        elif event.get("choices"):
            self._choices.setdefault(chunk.index, False)
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
            self._fail(ServerError(text[:_EXCERPT]), text)
        elif self._strict:
            self.failure = error
        else:
            self.skipped += 1
        return []

    def _fail(self, error: ServerError, text: str) -> None:
        code = f" (code {error.code})" if error.code else ""
        self.failure = StreamError(
            f"the server put an error into its answer{code}: {error.message}",
            type=error.type,
            code=error.code,
            body=without_lone_surrogates(text[: 4 * _EXCERPT]),
        )

    # -------------------------------------------------------------- the body's form

    def _lines(self, block: bytes) -> bytes:
        """Return whole lines of an event stream; keep the bytes of anything else."""
        if self._form == "events":
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
                f"the answer is one document of more than {self._max_event_bytes:,} bytes; "
                f"if the server means it, raise max_event_bytes",
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
        for event in self._sse.flush():
            strict, self._strict = self._strict, False
            skipped = self.skipped
            yield from self._read(event.data, event.event)
            self._strict, self.skipped = strict, skipped
        labelled = self._media_type == "text/event-stream"
        if not (self.events or self.ended or labelled) and self._document.strip():
            self.failure = self._unexpected("no event stream")

    def _read_document(self) -> Iterable[ChatChunk]:
        try:
            document = read_object(bytes(self._document))
        except MalformedDataError:
            self.failure = self._unexpected("HTML" if self._is_html else "no JSON object")
            return
        choices = document.get("choices")
        if read_error(document) is None and not (isinstance(choices, list) and choices):
            self.failure = self._unexpected("JSON that is no completion")
            return
        yield from self._read(bytes(self._document))

    @property
    def _is_html(self) -> bool:
        return bytes(self._document[:64]).removeprefix(_BOM).lstrip().startswith(b"<")

    def _unexpected(self, what: str) -> UnexpectedContentError:
        text = self._document[:_EXCERPT].decode(errors="replace")
        return UnexpectedContentError(
            f"the server answered with {what} ({self._media_type}): {text[:120]!r}; does "
            f"base_url lead to a chat-completions API (it usually ends in /v1)?",
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


class _PlainDelta:
    """What the plain deltas of one stream look like: all alike but for their text.

    Of one such event, read the exact way, two forms are kept:

    - as bytes, what stands before and after the JSON string of its content. An event
      with the same bytes around one JSON string, any string, is the same event with
      another text. (learn() makes the trial with a probe, so that an odd event, with
      "content" twice say, is not taken for plain.)
    - as objects, its one choice without the text and the other fields that anybody
      reads, for streams in which an unread field (a time, padding) changes all along.
    """

    __slots__ = ("_after", "_before", "_between", "_choice", "_names", "_told", "_values", "count")

    def __init__(self, before: bytes, after: bytes, event: dict[str, Any]) -> None:
        self._before = b"data: " + before
        self._after = after + b"\n\n"
        self._between = self._after + self._before
        (self._choice,) = event["choices"]
        self._choice["delta"]["content"] = None
        self._names = list(event)
        told = [name for name in _TOLD if name in event] or ["choices"]
        self._told = itemgetter(*told)
        self._values = self._told(event)
        self.count = 0

    @classmethod
    def learn(cls, payload: bytes) -> _PlainDelta | None:
        """Return the form of an event that says nothing but its text, or None."""
        found = _CONTENT.search(payload)
        if found is None:
            return None
        before, after = payload[: found.start(1)], payload[found.end(1) :]
        try:
            event = orjson.loads(payload)
            probe = orjson.loads(before + orjson.dumps(_PROBE) + after)
            (chunk,) = read_chunks(probe)
            if chunk != ChatChunk(
                _PROBE, model=chunk.model, provider=chunk.provider, id=chunk.id, raw=probe
            ):
                return None
            probe["choices"][0]["delta"]["content"] = event["choices"][0]["delta"]["content"]
        except (ValueError, LookupError, TypeError):
            return None
        if probe != event or read_error(event) or event.get("conversation") is not None:
            return None
        return cls(before, after, event)

    def texts_of_block(self, sse: SSEDecoder, lines: bytes) -> list[str] | None:
        """Return the texts of a block that holds such events alone, or None.

        All strings are decoded in one go. What makes that exact: two LFs an event are
        all there are, so no string holds one; strings are joined by a comma and an LF,
        and as a JSON string cannot hold a raw LF, none can swallow its neighbour; so as
        many values as events, each a str, means one JSON string an event.
        """
        before, after = self._before, self._after
        if not (lines.startswith(before) and lines.endswith(after) and sse.between_events):
            return None
        start, stop = len(before), len(lines) - len(after)
        if stop <= start or len(lines) > sse.max_event_bytes:
            return None
        count = lines.count(b"\n") >> 1
        try:
            if count == 1:
                text = orjson.loads(lines[start:stop])
                self.count = 1
                return ([text] if text else []) if type(text) is str else None
            if lines.count(b"\n") & 1 or lines.count(self._between) != count - 1:
                return None
            strings = lines[start:stop].replace(self._between, b",\n")
            texts: list[str] = orjson.loads(b"[%b]" % strings)
            "".join(texts)  # raises TypeError unless all are str
        except (ValueError, TypeError):
            return None
        if len(texts) != count:
            return None
        self.count = count
        return [text for text in texts if text] if "" in texts else texts

    def text_of_event(self, payload: bytes) -> str | None:
        """Return the text of one such event, or None."""
        try:
            event = orjson.loads(payload)
            (choice,) = event["choices"]
            delta = choice["delta"]
            text = delta["content"]
            delta["content"] = None
            if (
                type(text) is str
                and choice == self._choice
                and list(event) == self._names
                and self._told(event) == self._values
            ):
                return text
        except (ValueError, KeyError, TypeError):
            pass
        return None
