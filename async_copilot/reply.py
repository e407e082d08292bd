"""An open body in; text, batches of it or typed chunks out: the reply as its reader sees it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol, TypeAlias, TypeVar

from .errors import (
    ClientClosedError,
    ClockError,
    CopilotError,
    DisconnectedError,
    Hint,
    ReplyInUseError,
    TruncatedError,
)
from .observer import Observer, tell
from .transport.batches import Batch
from .transport.body import Body
from .transport.retries import may_retry
from .transport.statuses import request_id
from .wire.answer import Answer, End, Timing
from .wire.chat import ChatChunk
from .wire.deltas import DeltaDecoder

__all__ = ["Reply", "Retrying", "Source"]

FINISH_GRACE = 2.0  # seconds; usage and [DONE] follow a finish_reason at once or never

Item = TypeVar("Item", str, ChatChunk)


Retrying: TypeAlias = Callable[[CopilotError, float], None]
"""Told of each retry, with the failure and the pause, before the pause."""


class Source(Protocol):
    """Where a reply gets its body from."""

    async def open(self, failure: CopilotError | None, timing: Timing, retrying: Retrying) -> Body:
        """Return the body, or another one after failure; raise failure if there is none."""

    def mask(self, error: CopilotError) -> None:
        """Strike the request's secrets out of what an error says."""


class Reply(Answer):
    """One streamed reply: iterate it for the text, or chunks() for everything.

    ``async for text in reply`` yields each non-empty text delta of choice 0 as soon as
    its bytes are here. Meanwhile and afterwards the attributes of Answer tell the rest.

    Raises, after every delta that had come before it was handed out, and with
    ``error.reply`` set to this reply: TruncatedError, StreamError, DisconnectedError, a
    ClockError, a ProtocolError; ClientClosedError when the client was closed meanwhile.

    Leaving early (``break``, an exception, cancellation) keeps what was handed out, and
    ``end`` is End.CANCELLED. An exception or cancellation closes the connection at once;
    after ``break`` the ``async with`` block's end does, and until then a second
    ``async for`` goes on where the first one left.
    """

    def __init__(self, *, keep_text: bool = True) -> None:
        super().__init__()
        self._keep_text = keep_text
        self._texts: AsyncGenerator[str, None] | None = None
        self._chunks: AsyncGenerator[ChatChunk, None] | None = None
        self._batches: AsyncGenerator[str, None] | None = None
        self._observer: Observer | None = None
        self._filled_from: Source | None = None
        self._body: Body | None = None
        self._handed_out = False
        self._finished = False
        self._over = False
        self._failure: CopilotError | None = None

    def __aiter__(self) -> AsyncGenerator[str, None]:
        self._only_reader(self._texts, other=self._chunks or self._batches)
        if self._texts is None:
            self._texts = self._read_texts()
        return self._texts

    def __anext__(self) -> Awaitable[str]:
        return self.__aiter__().__anext__()

    def chunks(self) -> AsyncGenerator[ChatChunk, None]:
        """Yield ChatChunks, of every choice, in place of the text. Raises as iteration does."""
        self._only_reader(self._chunks, other=self._texts or self._batches)
        if self._chunks is None:
            self._chunks = self._read_chunks()
        return self._chunks

    def batches(self, *, interval: float = 1.0, min_chars: int = 1) -> AsyncGenerator[str, None]:
        """Yield the text in batches, for a sink that throttles: edits of a bot's message.

        interval: seconds from one batch to the next at the least. The first one comes with
            the first text; a caller that takes longer than this gets the next one at once.
        min_chars: a batch has at least this many characters, but for the last.

        Raises as iteration does, after a last batch with all the text that had come.
        Nothing is read while the caller works on a batch, so a slow sink slows the server
        down as it does without batches. Text that waits in a batch counts as handed out
        (``reply.text``) when the batch is.
        """
        self._only_reader(self._batches, other=self._texts or self._chunks)
        if self._batches is None:
            self._batches = self._read_batches(Batch(interval, min_chars))
        return self._batches

    async def aclose(self) -> None:
        """Leave the reply; its connection is closed unless it was read to the end."""
        reading: Any = self._texts or self._chunks or self._batches
        if reading is not None and reading.ag_running:
            self._abort(ClientClosedError("the reply was left while a task still read it"))
        elif reading is not None:
            await reading.aclose()
        self._leave()

    def _abort(self, failure: CopilotError) -> None:
        """Let whoever reads the reply fail with failure, now or at the next read."""
        if self._body is not None and self.end is None:
            self._body.fail(failure)

    @staticmethod
    def _only_reader(reading: Any, *, other: object) -> None:
        if other is not None or (reading is not None and reading.ag_running):
            raise ReplyInUseError(
                "this reply is being read already",
                hint=Hint(
                    "read it in one task, either as text (async for text in reply), as "
                    "reply.chunks() or as reply.batches()"
                ),
            )

    # ------------------------------------------------------------------ from bytes to deltas

    async def _read_texts(self) -> AsyncGenerator[str, None]:
        try:
            while not self._over:
                block = await self._block() or await self._elsewhere()
                texts = self._decode(block, DeltaDecoder.texts, DeltaDecoder.rest_of_texts)
                pieces = self._choices[0].text
                for text in texts:
                    if self._keep_text:
                        pieces.append(text)
                    yield text
            await self._conclude()
        finally:
            self._leave()

    async def _read_chunks(self) -> AsyncGenerator[ChatChunk, None]:
        try:
            while not self._over:
                block = await self._block() or await self._elsewhere()
                for chunk in self._decode(block, DeltaDecoder.chunks, DeltaDecoder.rest_of_chunks):
                    self.absorb(chunk)
                    if chunk.content and chunk.index == 0:
                        self._choices[0].text.append(chunk.content)
                    yield chunk
            await self._conclude()
        finally:
            self._leave()

    async def _read_batches(self, batch: Batch) -> AsyncGenerator[str, None]:
        now = asyncio.get_running_loop().time
        try:
            while batch or not self._over:
                due = batch.due(last=self._over)
                if due <= now():
                    text = batch.take(now())
                    self._choices[0].text.append(text)
                    yield text
                elif self._over:
                    await asyncio.sleep(due - now())
                else:
                    batch.add(await self._texts_until(due))
            await self._conclude()
        finally:
            self._leave()

    async def _texts_until(self, due: float) -> list[str]:
        """Return what the next bytes bring; nothing, where none come until then."""
        try:
            # Cancelling a read loses nothing: bytes leave aiohttp's buffer only at its end.
            # And it cancels nothing else: due is finite when text waits in the batch, after
            # which no request is sent again.
            async with asyncio.timeout_at(None if due == math.inf else due):
                block = await self._block() or await self._elsewhere()
        except TimeoutError:
            self._stop_clock(silent=True)
            return []
        return self._decode(block, DeltaDecoder.texts, DeltaDecoder.rest_of_texts)

    def _decode(
        self,
        block: bytes,
        decode: Callable[[DeltaDecoder, bytes], list[Item]],
        rest: Callable[[DeltaDecoder, bool], list[Item]],
    ) -> list[Item]:
        decoder = self._decoder
        items = decode(decoder, block) if block else []
        if decoder.ended or not block:
            items += rest(decoder, self._failure is None)
            self._over = True
        self._note(decoder, items)
        if items:
            # A chunk that holds no more than a role may come twice; text may not.
            self._handed_out = self._handed_out or decoder.progress or type(items[0]) is str
            self._stop_clock()
        return items

    def _stop_clock(self, *, silent: bool = False) -> None:
        if self._body is not None:  # pragma: no branch  # what comes, comes from a body
            self._body.clock.stop(self._body.arrived, silent=silent)

    def _block(self) -> Awaitable[bytes]:
        """Return the next block of the body; b"" where another one may have to be opened.

        Not a coroutine itself: each one in the chain lives through every wait of every
        stream, and what lives keeps the garbage collector busy.
        """
        return self._body.read() if self._body is not None else self._elsewhere()

    async def _elsewhere(self) -> bytes:
        """Return the first block of the first body, or of another one after a failure.

        Nothing, at the reply's end or where it broke for good.
        """
        source = self._source
        while self._failure is None:
            failure = None
            if self._body is not None:
                failure = self._body.failure
                if failure is None or self._decoder.finished:
                    break  # the answer is whole, or as whole as it gets
                if self._handed_out or not may_retry(failure):
                    self._failure = failure
                    break
                self._body.close()
            try:
                body = await self._open(source, failure)
            except CopilotError as error:
                self._failure = error
                break
            if block := await body.read():
                return block
        return b""

    # ------------------------------------------------------------------ beginning and end

    def _begin(
        self,
        source: Source,
        *,
        strict: bool,
        max_event_bytes: int,
        observer: Observer | None = None,
    ) -> None:
        if self._filled_from is not None:
            raise ReplyInUseError(
                "a Reply is filled once", hint=Hint("make a new one for each response")
            )
        self._filled_from = source
        self._observer = observer
        self._strict = strict
        self._max_event_bytes = max_event_bytes
        self._decoder = self._new_decoder()
        self._started = asyncio.get_running_loop().time()

    def _new_decoder(self) -> DeltaDecoder:
        return DeltaDecoder(strict=self._strict, max_event_bytes=self._max_event_bytes)

    @property
    def _source(self) -> Source:
        if self._filled_from is None:
            raise ReplyInUseError("nothing fills this Reply; pass it to content_deltas(reply=...)")
        return self._filled_from

    async def _enter(self) -> None:
        """Get the body before anything is read; raise what stands against it."""
        if self._body is not None or self.end is not None:
            raise ReplyInUseError(
                "this stream was entered before", hint=Hint("call stream() again")
            )
        if self._observer is not None:
            tell(self._observer.on_start, self)
        try:
            await self._open(self._source)
        except CopilotError as error:
            self.end = _end_of(error)
            self._leave(self._complete(error))
            raise
        except BaseException:
            self._leave()
            raise

    async def _open(self, source: Source, failure: CopilotError | None = None) -> Body:
        """Get the body, or after failure another one: nothing of the first is kept."""
        body = await source.open(failure, self.timing, self._retrying)
        if failure is not None:
            self._forget()
            self._decoder = self._new_decoder()
        response = body.response
        self._body = body
        self.status = response.status
        self.headers = response.headers
        self.request_id = request_id(response.headers)
        self.timing.headers = body.arrived - self._started
        self._decoder.media_type = response.headers.get("Content-Type", "")
        return body

    def _note(self, decoder: DeltaDecoder, items: list[Any]) -> None:
        """Keep the clocks and the timing up with a block."""
        for chunk in decoder.told:
            self.absorb(chunk)
        decoder.told.clear()
        body, timing = self._body, self.timing
        if body is None:
            return
        if decoder.progress:
            body.clock.progress(body.arrived)
            finished = decoder.finished
            if finished is not self._finished:
                self._finished = finished
                body.clock.limit(FINISH_GRACE if finished else None)
        self._choices[0].text.compact()
        timing.bytes = body.bytes
        timing.chunks = decoder.events
        self.skipped = decoder.skipped
        if items and (type(items[0]) is str or any(item.content for item in items)):
            now = body.arrived - self._started
            if timing.first_text is None or timing.last_text is None:
                timing.first_text = now
                if self._observer is not None:
                    tell(self._observer.on_first_text, self)
            elif now - timing.last_text > timing.longest_gap:
                timing.longest_gap = now - timing.last_text
            timing.last_text = now

    async def _conclude(self) -> None:
        """Say how the reply ended; raise where that is no good end."""
        failure = self._failure or self._decoder.failure
        if failure is not None:
            self.end = _end_of(failure)
        elif self._decoder.complete:
            self.end = End.COMPLETE
        elif self._decoder.done:
            self.end = End.DONE
        else:
            self.end = End.TRUNCATED
            failure = self._truncated() if self._strict else None
        if self._body is not None and self._decoder.ended:
            await self._body.drain()
        self._leave(failure and self._complete(failure))
        if failure is not None:
            raise failure

    def _complete(self, failure: CopilotError) -> CopilotError:
        """Put what is known into an error."""
        failure.reply = self
        failure.retries = self.timing.retries
        if failure.status is None:
            failure.status = self.status
            failure.request_id = self.request_id
        self._source.mask(failure)
        return failure

    def _truncated(self) -> TruncatedError:
        events = self.timing.chunks
        came = f"{events} events and {len(self.text):,} characters" if events else "no event at all"
        return TruncatedError(
            f"the answer was cut off: the body ended after {came}, with neither a "
            f"finish_reason nor [DONE]",
            hint=Hint("{option} accepts such answers", "strict=False"),
        )

    def _leave(self, failure: CopilotError | None = None) -> None:
        if self.end is None:
            self.end = End.CANCELLED
        if self._body is not None:
            self._body.close()
        observer, self._observer = self._observer, None
        if observer is not None:
            tell(observer.on_end, self, failure)

    def _retrying(self, failure: CopilotError, pause: float) -> None:
        if self._observer is not None:
            tell(self._observer.on_retry, self, failure, pause)


def _end_of(failure: CopilotError) -> End:
    if isinstance(failure, ClockError):
        return End.STALLED
    if isinstance(failure, DisconnectedError):
        return End.DISCONNECTED
    return End.CANCELLED if isinstance(failure, ClientClosedError) else End.ERROR
