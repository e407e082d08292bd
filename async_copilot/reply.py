"""The line that yields a delta, and the Reply around it: text, chunks or batches out."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property, partial
from typing import Any, NoReturn, TypeVar

import aiohttp

from .errors import ClientClosedError, Hint, ReplyInUseError
from .options import check_options
from .reading import Reading
from .transport.batches import Batch
from .transport.borrowed import BorrowedResponse
from .transport.clocks import Timeouts
from .verdict import left_error
from .wire.answer import Answer
from .wire.asked import request_info
from .wire.chat import ChatChunk
from .wire.sse import MAX_EVENT_BYTES

__all__ = ["Reply", "StreamedReply", "content_deltas"]

Item = TypeVar("Item", str, ChatChunk)


async def content_deltas(
    response: aiohttp.ClientResponse | Reading,
    *,
    timeouts: Timeouts = Timeouts(),  # noqa: B008  # immutable
    strict: bool = True,
    max_event_bytes: int = MAX_EVENT_BYTES,
    n: int = 1,
    reply: Reply | None = None,
) -> AsyncGenerator[str, None]:
    """Yield the text of a streaming response of yours, delta by delta, as it arrives.

    ::

        async with session.post(url, json=body) as response:
            async for text in content_deltas(response):
                print(text, end="", flush=True)

    response: open and unread; give the request ``timeout=ClientTimeout(total=None)``,
        or aiohttp ends a long answer after five minutes. With ``read_bufsize=2**16`` a
        fast stream takes a tenth less CPU, and an unread one holds less memory.
        (A Reply that is iterated gives its own Reading here.)
    timeouts: ``silence``, ``stall`` and ``total`` count from the first read.
    strict: False accepts a cut-off answer, and skips lines that are not JSON.
    n: choices that the request asked for; the text is that of choice 0. With 1, the
        default, there is one choice, whatever index the server gives it.
    reply: a fresh ``Reply()`` to be filled with everything else the answer says: usage,
        finish reason, ``end``. It keeps the text too, which is not kept otherwise.

    Yields non-empty str. Raises, before anything is read, InvalidRequestError for options
    that cannot work, ReplyInUseError for a reply that was filled before and for a response
    that was read before, HTTPStatusError for an error status; then everything that
    iterating a Reply raises. Nothing is sent again. A generator that is left early closes
    the response as soon as it is closed itself or collected; the ``async with`` around the
    response does so in any case.
    """
    reading = response
    if not isinstance(reading, Reading):
        reading = _reading_of(
            reading, reply, timeouts, strict=strict, max_event_bytes=max_event_bytes, n=n
        )
    try:
        await reading.open()
        while not reading.over:
            try:
                block = await reading.block()
            except Exception as error:  # noqa: BLE001  # aiohttp's own coroutine, any kind
                block = reading.broken(error)
            texts, pieces = reading.texts(block or await reading.again()), reading.pieces
            for text in texts:
                pieces.append(text)
                yield text
        await reading.conclude()
    finally:
        reading.leave()


def _reading_of(
    response: aiohttp.ClientResponse, reply: Reply | None, timeouts: Timeouts, **options: Any
) -> Reading:
    """Return the reading of a response of the caller's; raise for options that cannot work."""
    check_options(response=response, reply=reply, timeouts=timeouts, **options)
    unseen, reply = reply is None, reply or Reply(keep_text=False)
    reading = Reading(BorrowedResponse(response, timeouts), reply, unseen=unseen, **options)
    reply.request = request_info({}, server="", size=0)
    return reading


class Reply(Answer):
    """One streamed reply: iterate it for the text, or chunks() for everything.

    ``async for text in reply`` yields each non-empty text delta of choice 0 as soon as
    its bytes are here. The attributes of Answer have the rest, meanwhile and afterwards.

    Raises, after every delta that had come before it was handed out, and with
    ``error.reply`` set to this reply: TruncatedError, StreamError, DisconnectedError, a
    ClockError, a ProtocolError; ClientClosedError when the client was closed meanwhile.

    Leaving early (``break``, an exception, cancellation) keeps what was handed out, and
    ``end`` is End.CANCELLED. An exception or cancellation closes the connection at once;
    after ``break`` the ``async with`` block's end does, and until then a second
    ``async for`` goes on where the first one left.
    """

    def __init__(self, *, keep_text: bool = True, response_format: object = None) -> None:
        super().__init__(keep_text=keep_text)
        if response_format is not None:
            from .structured import check_format  # noqa: PLC0415  # for those who use it

            check_format(response_format)
        self._format = response_format
        self._reading: Reading | None = None
        self._reader: _Reader[Any] | None = None
        self._way = ""
        self._begun = False
        self._left = False

    def __aiter__(self) -> AsyncIterator[str]:
        return self._read("text", content_deltas)

    def __anext__(self) -> Awaitable[str]:
        return self.__aiter__().__anext__()

    def chunks(self) -> AsyncGenerator[ChatChunk, None]:
        """Yield ChatChunks, of every choice, in place of the text. Raises as iteration does."""
        return self._read("chunks", self._read_chunks)

    def batches(
        self, *, interval: float = 1.0, min_chars: int = 1, limit: int | None = None
    ) -> AsyncGenerator[str, None]:
        """Yield the text in batches, for a sink that throttles: edits of a bot's message.

        interval: seconds from one batch to the next at the least. The first one comes with
            the first text; a caller that takes longer than this gets the next one at once.
        min_chars: a batch has at least this many characters, except the last one.
        limit: a batch has at most this many characters (code points), so that it fits into
            one message of a platform; it ends after a line or a word where one ends in its
            second half. None, the default: no limit.

        Raises as iteration does, after a last batch with all the text that had come.
        Nothing is read while the caller works on a batch, or while a full one waits, so a
        slow sink slows the server down as it does without batches. Text that waits in a
        batch counts as handed out (``reply.text``) when the batch is.
        """
        return self._read("batches", partial(self._read_batches, Batch(interval, min_chars, limit)))

    async def aclose(self) -> None:
        """Leave the reply; its connection is closed unless it was read to the end."""
        reading, self._reading = self._reading, None
        if reading is None:
            return
        self._left = True
        if self._reader is not None and self._reader.under_way:
            if self._reader.running:
                reading.abort(
                    ClientClosedError(
                        "this reply was left while a task still read it",
                        hint=Hint("await the task inside the async with"),
                    )
                )
            await self._reader.leave()
        reading.leave()

    @cached_property
    def parsed(self) -> Any:
        """The whole answer as ``response_format`` wants it: an instance, or a JSON value.

        ``response_format=Person``, a class of pydantic's or another with
        ``model_json_schema()``, gives a Person; ``pydantic.TypeAdapter(list[Person])`` a list
        of them; a JSON schema gives what fits it; ``{"type": "text"}`` and the like the text.

        Raises AnswerFormatError, with the text in ``body``, where the answer is something
        else; TruncatedError where it was cut off, by the limit of tokens
        (``finish_reason="length"``) or otherwise; UsageError where it has not ended, or no
        format was asked for.
        """
        from .structured import parsed_answer  # noqa: PLC0415  # for those who use it

        return parsed_answer(self._format, self)

    # ------------------------------------------------------------------ one reader at a time

    def begin(self) -> None:
        """A Reading begins to fill this reply. Raises ReplyInUseError for a second one."""
        if self._begun:
            raise ReplyInUseError(
                "a Reply is filled once", hint=Hint("make a new one for each response")
            )
        self._begun = True

    def read_from(self, reading: Reading) -> None:
        """Let the reply be read from an open reading; for those who open replies."""
        self._reading = reading

    def _read(
        self, way: str, begin: Callable[[Reading], AsyncGenerator[Item, None]]
    ) -> AsyncGenerator[Item, None]:
        """Return the one reader, begun here the first time. Raises for another way, or task."""
        if self._left:
            raise left_error(whole=self.end is not None and self.end.ok)
        if self._reading is None:
            raise ReplyInUseError(
                "this reply has no stream of its own",
                hint=Hint("read what content_deltas() yields"),
            )
        if self._reader is None:
            self._way, self._reader = way, _Reader(begin(self._reading))
        elif self._way != way or self._reader.running:
            raise ReplyInUseError(
                "this reply is being read already",
                hint=Hint(
                    "read it in one task, either as text (async for text in reply), as "
                    "reply.chunks() or as reply.batches()"
                ),
            )
        return self._reader

    async def _read_chunks(self, reading: Reading) -> AsyncGenerator[ChatChunk, None]:
        try:
            while not reading.over:
                block = await reading.next_block()
                for chunk in reading.chunks(block):
                    self.absorb(chunk)
                    if chunk.content and chunk.index == 0:
                        self.pieces.append(chunk.content)
                    yield chunk
            await reading.conclude()
        finally:
            reading.leave()

    async def _read_batches(self, batch: Batch, reading: Reading) -> AsyncGenerator[str, None]:
        now = asyncio.get_running_loop().time
        try:
            while (batch and not reading.left) or not reading.over:
                due = batch.due(last=reading.over)
                if due <= now():
                    text = batch.take(now())
                    self.pieces.append(text)
                    yield text
                elif reading.over or batch.full:
                    await asyncio.sleep(due - now())
                else:
                    batch.add(await _texts_until(reading, due))
            await reading.conclude()
        finally:
            reading.leave()


class _Reader(AsyncGenerator[Item, None]):
    """A generator that raises once its reply was left; a closed generator would just end.

    ``__anext__`` is the generator's own, in a slot: a method in between would be a call a
    delta, a fifth of what a delta takes in a large block.
    """

    __slots__ = ("__anext__", "_generator")

    def __init__(self, generator: AsyncGenerator[Item, None]) -> None:
        self._generator: Any = generator
        self.__anext__ = generator.__anext__  # type: ignore[method-assign]  # a slot

    @property
    def under_way(self) -> bool:
        return self._generator.ag_frame is not None

    @property
    def running(self) -> bool:
        return bool(self._generator.ag_running)

    def asend(self, _: None) -> Awaitable[Item]:  # type: ignore[override]  # as __anext__ has it
        return self.__anext__()

    def athrow(self, *error: Any) -> Awaitable[Item]:  # type: ignore[override]  # the same
        thrown: Awaitable[Item] = self._generator.athrow(*error)
        return thrown

    async def aclose(self) -> None:
        await self._generator.aclose()

    async def leave(self) -> None:
        """Close the generator, which is under way; from now on it raises."""
        self.__anext__ = _refuse  # type: ignore[method-assign]  # a slot
        if not self.running:
            await self._generator.aclose()


def _refuse() -> NoReturn:
    raise left_error()


async def _texts_until(reading: Reading, due: float) -> Sequence[str]:
    """Return the texts of the next bytes; an empty list if none come until then."""
    try:
        # Cancelling a read loses nothing: bytes leave aiohttp's buffer only at its end.
        # And it cancels nothing else: due is finite when text waits in the batch, after
        # which no request is sent again.
        async with asyncio.timeout_at(None if due == math.inf else due):
            block = await reading.next_block()
    except TimeoutError:
        reading.stop_clock(silent=True)
        return []
    return reading.texts(block)


class StreamedReply(AbstractAsyncContextManager[Reply]):
    """The ``async with`` around a reply: opens it, and leaves it at the block's end.

    under_way: the readings of a client, which closes them with itself.
    """

    __slots__ = ("_entered", "_reading", "_reply", "_under_way")

    def __init__(self, reply: Reply, reading: Reading, under_way: set[Reading]) -> None:
        self._reply = reply
        self._reading = reading
        self._under_way = under_way
        self._entered = False

    async def __aenter__(self) -> Reply:
        if self._entered:
            raise ReplyInUseError(
                "this stream was entered before", hint=Hint("call stream() again")
            )
        self._entered = True
        self._under_way.add(self._reading)
        try:
            await self._reading.open()
        except BaseException:
            self._under_way.discard(self._reading)
            raise
        self._reply.read_from(self._reading)
        return self._reply

    async def __aexit__(self, *_: object) -> None:
        self._under_way.discard(self._reading)
        await self._reply.aclose()
