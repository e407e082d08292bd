"""A source in; its body, the texts or chunks of each block, and a verdict out.

The one loop from a source to its verdict, a step at a time: ``open()`` gets a body, and
is the one place where a request is sent again; ``block()`` and ``texts()`` go around, until
``over``; ``conclude()`` says how it ended; ``leave()`` gives everything back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableSequence, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from .errors import CopilotError, StreamError
from .observer import Observer, log_end, log_request, tell
from .transport.body import Body
from .transport.statuses import request_id
from .verdict import complete_error, end_of, left_error, truncated_error
from .wire.answer import End
from .wire.chat import ChatChunk
from .wire.deltas import DeltaDecoder
from .wire.think_deltas import ThinkDecoder

if TYPE_CHECKING:
    from .reply import Reply

__all__ = ["Reading", "Settle", "Source"]

COMPACT_EVERY = 16  # plain deltas that come alone; joining costs more than a list of a few

Item = TypeVar("Item", str, ChatChunk)

Settle: TypeAlias = Callable[["Reply", CopilotError | None], object]
"""Called once with a reply that is over, and what it failed with or None."""


class Source(Protocol):
    """Where a body comes from: a request that can be sent again, or a response of the caller's."""

    async def open(self, replaced: Callable[[CopilotError], None]) -> Body:
        """Return a body, of a request that was sent once. Raises CopilotError.

        replaced: told of each pooled connection that could not be used, in whose
            place another one was used at once.
        """

    def pause(self, failure: CopilotError, retries: int) -> float | None:
        """Return the seconds to wait before another attempt, or None for no other attempt."""

    async def wait(self, seconds: float) -> None:
        """Wait before another attempt. Raises what abort() was given meanwhile."""

    def abort(self, error: CopilotError) -> None:
        """End the present wait with error."""

    def let_go(self) -> None:
        """Keep no more of the request than mask() needs: it is not sent again."""

    def mask(self, error: CopilotError) -> None:
        """Mask the request's secrets in what an error says."""


class Reading:
    """Reads one reply from its source, and fills the reply on the way.

    block: the body's own block(); whoever awaits it calls broken() when it raises.
    pieces: where text goes when it is handed out.
    over: no further block can change the answer: conclude() is next.
    left: everything was given back; nothing of the reply changes any more.
    n: choices that the request asked for.
    unseen: nobody has the reply, unless an error brings it.
    reply: what the deltas add up to. It lets go of its reading when it is left, or the
        two would be a cycle, which only the garbage collector undoes.
    """

    __slots__ = (
        "__weakref__",
        "_body",
        "_decoder",
        "_failure",
        "_finished",
        "_handed_out",
        "_loop",
        "_max_event_bytes",
        "_n",
        "_observer",
        "_opened",
        "_settle",
        "_source",
        "_split_think",
        "_started",
        "_strict",
        "_timing",
        "_unseen",
        "block",
        "left",
        "over",
        "pieces",
        "reply",
    )

    def __init__(
        self,
        source: Source,
        reply: Reply,
        *,
        strict: bool,
        max_event_bytes: int,
        n: int = 1,
        observer: Observer | None = None,
        settle: Settle | None = None,
        split_think: bool = False,
        unseen: bool = False,
    ) -> None:
        reply.begin()
        self.reply = reply
        self.over = False
        self._source = source
        self._strict = strict
        self._max_event_bytes = max_event_bytes
        self._n = n
        self._observer = observer
        self._settle = settle
        self._split_think = split_think
        self._unseen = unseen
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._decoder = self._new_decoder()
        self._timing = reply.timing
        # Since open().
        self.block: Callable[[], Awaitable[bytes]]
        self.pieces: MutableSequence[str]
        self._body: Body
        self._opened = False
        self._failure: CopilotError | None = None
        self._handed_out = False
        self._finished = False
        self.left = False

    def _new_decoder(self) -> DeltaDecoder:
        kind = ThinkDecoder if self._split_think else DeltaDecoder
        return kind(strict=self._strict, max_event_bytes=self._max_event_bytes, n=self._n)

    # ------------------------------------------------------------------ opening

    async def open(self) -> None:
        """Get a body, unless there is one; leave the reply and raise if that fails."""
        if self._opened:
            return
        if self._observer is not None:
            tell(self._observer.on_start, self.reply)
        try:
            await self._send()
        except CopilotError as error:
            self.reply.end = end_of(error)
            self.leave(self._completed(error))
            raise
        except BaseException:
            self.leave()
            raise

    async def _send(self, failure: CopilotError | None = None) -> Body:
        """Send the request, again after a failure where that may help; the one retry loop."""
        while True:
            if failure is not None:
                await self._pause(failure)
            log_request(self.reply.request, attempt=self.reply.timing.retries + 1)
            try:
                body = await self._source.open(self._replaced)
            except CopilotError as error:
                failure = error
            else:
                if self.left:  # meanwhile, by another task
                    body.close()
                self._check()
                self._take(body)
                return body

    async def _pause(self, failure: CopilotError) -> None:
        """Wait before another attempt; raise failure if there is none."""
        timing = self.reply.timing
        pause = None if self._failure else self._source.pause(failure, timing.retries)
        if pause is None:
            raise self._failure or failure
        timing.retries += 1
        timing.waits.append(pause)
        if self._observer is not None:
            tell(self._observer.on_retry, self.reply, failure, pause)
        await self._source.wait(pause)

    def _replaced(self, failure: CopilotError) -> None:
        self.reply.timing.replaced += 1
        if self._observer is not None:
            tell(self._observer.on_replace, self.reply, failure)

    def _take(self, body: Body) -> None:
        """Read on in this body; nothing is kept of one before it."""
        reply = self.reply
        if self._opened:
            reply.begin_again()
            self._decoder = self._new_decoder()
        self._opened, self._body, self.block = True, body, body.block
        self.pieces = reply.pieces
        reply.status = body.response.status
        reply.headers = body.headers
        reply.request_id = request_id(body.headers)
        reply.timing.headers = body.arrived - self._started
        self._decoder.media_type = body.headers.get("Content-Type", "")

    # ------------------------------------------------------------------ from block to block

    def broken(self, error: Exception) -> bytes:
        """Return the bytes that had arrived before the body broke."""
        return self._body.broken(error)

    async def next_block(self) -> bytes:
        """Return the next block, of another body if this one broke; b"" ends the answer."""
        return await self._body.read() or await self.again()

    async def again(self) -> bytes:
        """Return the first block of another body in place of a broken or an empty one.

        Nothing where the answer is over: it is whole, or text of it was handed out, or
        another attempt cannot help.
        """
        body = self._body
        while (failure := body.failure or self._emptiness()) and not self._decoder.complete:
            body.close()
            try:
                if self._handed_out:
                    raise failure
                body = await self._send(failure)
            except CopilotError as error:
                if error is not failure or body.failure is not None:
                    self._failure = error
                break
            if block := await body.read():
                return block
        return b""

    def _emptiness(self) -> CopilotError | None:
        """Return what is wrong with a body that held no answer: no event, or an overload."""
        if self._decoder.empty:
            return truncated_error(self.reply)
        overload = self._decoder.overload()
        if overload is not None:
            self._source.mask(overload)
        return overload

    def texts(self, block: bytes) -> Sequence[str]:
        """Return the text deltas that block completes; b"" ends the answer."""
        self._body.came(block)
        text = None if self.left else self._decoder.text_of(block)
        if text is None:
            return self._decode(block, self._decoder.texts, self._decoder.rest_of_texts)
        # The short cut for the block of one plain delta: what _decode() would come to.
        self._body.clock.progress(self._body.arrived)
        self._note_text()
        if not self._decoder.events % COMPACT_EVERY:
            self.reply.compact()
        return (text,)

    def chunks(self, block: bytes) -> list[ChatChunk]:
        """The same as chunks, of every choice."""
        self._body.came(block)
        return self._decode(block, self._decoder.chunks, self._decoder.rest_of_chunks)

    def _decode(
        self,
        block: bytes,
        decode: Callable[[bytes], list[Item]],
        rest: Callable[..., list[Item]],
    ) -> list[Item]:
        self._check()
        decoder = self._decoder
        if block:
            items = decode(block)
        else:  # the end, which is not progress; what was before it may be, see rest()
            items, decoder.progress = [], False
        if items:
            self._hand_out(told=decoder.progress or type(items[0]) is str)
        failure = decoder.failure
        if not block or (decoder.ended and not (failure and self._asks_again(failure))):
            items += rest(at_end=self._failure is None)
            self.over = True
        self._note(decoder, items)
        return items

    def _hand_out(self, *, told: bool) -> None:
        """Note that items go to the reader; once they say something, nothing is sent again."""
        # A chunk that holds no more than a role may come twice; text may not.
        if told and not self._handed_out:
            self._handed_out = True
            self._source.let_go()

    def _asks_again(self, failure: CopilotError) -> bool:
        """True for an overload told in the stream before anything else: again() is next."""
        again = isinstance(failure, StreamError) and failure.passing and not self._handed_out
        if again:
            self._source.mask(failure)
            self._body.fail(failure)
        return again

    def _absorb(self) -> None:
        """Add up what was told."""
        for chunk in self._decoder.told:
            self.reply.absorb(chunk)
        self._decoder.told.clear()

    def stop_clock(self, *, silent: bool = False) -> None:
        """The caller works now. silent: no byte came, but a batch of text is due."""
        if silent:
            self._body.came(b"")
        self._body.clock.stop(self._body.arrived, silent=silent)

    def _note(self, decoder: DeltaDecoder, items: list[Any]) -> None:
        """Update the clocks and the timing after a block."""
        reply, body = self.reply, self._body
        # At its end a reply that nobody sees is added up for an error alone; see _completed().
        if decoder.told and not (self.over and self._unseen):
            self._absorb()
        if decoder.progress:
            body.clock.progress(body.arrived)
            reply.timing.last_chunk = now = body.arrived - self._started
            if reply.timing.first_chunk is None:
                reply.timing.first_chunk = now
            if not self.over and (finished := decoder.finished) is not self._finished:
                self._finished = finished
                body.clock.finish(finished=finished)
        elif items:
            self.stop_clock()
        if not self.over:
            reply.compact()
        reply.skipped = decoder.skipped
        if items and (type(items[0]) is str or any(item.content for item in items)):
            self._note_text()
        else:
            self._timing.bytes = body.bytes
            self._timing.chunks = decoder.events

    def _note_text(self) -> None:
        """Update the timing after text that has come."""
        timing, body = self._timing, self._body
        timing.bytes = body.bytes
        timing.chunks = self._decoder.events
        timing.last_chunk = now = body.arrived - self._started
        if timing.last_text is None:
            timing.first_text = now
            if self._observer is not None:
                tell(self._observer.on_first_text, self.reply)
        elif now - timing.last_text > timing.longest_gap:
            timing.longest_gap = now - timing.last_text
        timing.last_text = now

    # ------------------------------------------------------------------ the end

    async def conclude(self) -> None:
        """Say how the reply ended; raise where that is not a good end."""
        self._check()
        reply, decoder = self.reply, self._decoder
        failure = self._failure or decoder.failure
        if failure is not None:
            reply.end = end_of(failure)
        elif decoder.complete:
            reply.end = End.COMPLETE
        elif decoder.done:
            reply.end = End.DONE
        else:
            reply.end = End.TRUNCATED
            failure = truncated_error(reply, done=decoder.ended) if self._strict else None
        reply.timing.ended = self._loop.time() - self._started
        if decoder.ended:
            await self._body.drain()
        self.leave(failure and self._completed(failure))
        if failure is not None:
            raise failure

    def _completed(self, failure: CopilotError) -> CopilotError:
        """Put what is known into an error, and return it."""
        self._absorb()
        complete_error(failure, self.reply, self._loop.time() - self._started)
        self._source.mask(failure)
        return failure

    def _check(self) -> None:
        """Raise for a reply that another task left while this one waited."""
        if self.left:
            raise self._failure or left_error()

    def abort(self, failure: CopilotError) -> None:
        """Make the reader of the reply fail with failure, now or at the next read."""
        if self.left or self.over:
            return
        if not self._decoder.complete:  # else the answer is here, whatever follows it
            self._failure = failure
        self._source.abort(failure)

    def leave(self, failure: CopilotError | None = None) -> None:
        """Give everything back, at once; the connection is closed unless its body is over."""
        if self.left:
            return
        self.left = self.over = True
        timing = self.reply.timing
        if timing.ended is None:
            timing.ended = self._loop.time() - self._started
        if self.reply.end is None:
            self.reply.end = End.CANCELLED
        if self._opened:
            self._body.close()
        log_end(self.reply)
        if self._settle is not None:
            self._settle(self.reply, failure)
        if self._observer is not None:
            tell(self._observer.on_end, self.reply, failure)
