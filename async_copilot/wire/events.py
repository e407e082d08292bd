"""The data of an answer's events in, one at a time; chunks, and how the answer ended, out. No I/O.

This is the exact way, tolerant of everything. The short cuts before it are in deltas.
"""

from __future__ import annotations

from typing import Any

from ..errors import CopilotError, MalformedDataError, StreamError
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
from .g4f import G4FFailure, g4f_failure
from .halves import Halves
from .handle import handle_from
from .heard import Heard
from .objects import read_object
from .plain import ERRORS, PlainDelta
from .sse import Bytes
from .text import excerpt, visible

__all__ = ["EventReader", "stream_error", "with_handle"]

_DONE = "[DONE]"
_NOT_G4F = G4FFailure()
_LONGEST_WORD = 300  # bytes; what is longer is not [DONE], blanks around it or not
_BLANKS = " \t\n\r\v\f"  # what bytes.strip() strips; str.strip() strips U+001C and others too


class EventReader:
    """Reads the events of one answer.

    n: choices the request asked for.

    What a plain delta looks like is learned by DeltaDecoder, and forgotten here as soon as an
    event says something else.

    failure:  the error to raise once the deltas before it were handed out.
    done:     [DONE] was seen, and vouches for the answer; what follows it is ignored.
    ended:    no later event can change the answer.
    finished: every choice asked for has its finish reason, and something was said. More of
              the answer may come all the same, and takes that back.
    complete: the answer is whole; [DONE] vouches for choices that lack their finish reason.
    progress: something of the answer came; the caller resets it.
    events:   data events read.  skipped: malformed ones (strict=False).
    """

    __slots__ = (
        "_first",
        "_halves",
        "_heard",
        "_over",
        "_plain",
        "_strict",
        "done",
        "events",
        "failure",
        "progress",
        "skipped",
    )

    def __init__(self, *, strict: bool, n: int) -> None:
        self.failure: CopilotError | None = None
        self.done = False
        self.progress = False
        self.events = 0
        self.skipped = 0
        self._strict = strict
        self._heard = Heard(n)
        self._first: tuple[dict[str, Any], Bytes | str] | None = None  # while no choice has come
        self._over = False  # [DONE] was seen
        self._halves: Halves | None = None  # made when half a character comes
        self._plain: PlainDelta | None = None  # what is known of plain deltas, until one differs

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

    def read(self, data: Bytes | str, event: Any, name: str = "message") -> list[ChatChunk]:
        """Read the data of one event; sets done or failure where it is the end.

        event: data as orjson reads it, or None where it does not.
        """
        odd = bool(self._halves)
        try:
            if type(event) is dict:
                chunk = None if odd or name == "error" else self._common(event)
                if chunk is not None:
                    self.events += 1
                    return self._note([chunk], event, data)
            else:
                odd = True
                event = self._read_oddly(data, name)
                if event is None:
                    return []
            self.events += 1
            shown = with_handle(event, data)
            if name == "error" or not ERRORS.isdisjoint(event) or not event.get("choices"):
                reported = read_error(event, named_error=name == "error")
                if reported is not None:
                    self._fail(reported, shown, g4f_failure(event, reported.message))
                    return []
            return self._take_in(event, shown, odd=odd)
        except MalformedDataError as error:
            return self._malformed(error, name)

    def _common(self, event: dict[str, Any]) -> ChatChunk | None:
        """Read an event of the commonest form, in which there is no failure to look for."""
        return None if self._heard.several else common_chunk(event)

    def _read_oddly(self, data: Bytes | str, name: str) -> dict[str, Any] | None:
        """Return what orjson does not read as an object; None for [DONE] and for nothing."""
        text = "" if len(data) > _LONGEST_WORD else excerpt(data).strip(_BLANKS)
        if text == _DONE:
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
        chunks = self._note(chunks, event, shown)
        for chunk in chunks:
            error = choice_error(chunk.choice)
            if error or (chunk.finish_reason and names_failure(chunk.finish_reason)):
                self._fail_choice(chunk, error, shown)
        return chunks

    def _note(
        self, chunks: list[ChatChunk], event: dict[str, Any], shown: Bytes | str
    ) -> list[ChatChunk]:
        """Take note of what an event says; return its chunks, without what they only repeat."""
        heard = self._heard
        if chunks[0].choice:
            heard.progress = False
            chunks = list(map(heard.note, chunks))
            self.progress = self.progress or heard.progress
        else:
            self._first = self._first or (event, excerpt(shown))
        if self._plain is not None:
            # After a finish reason text comes so seldom that its form is not worth comparing.
            finished = any(chunk.finish_reason for chunk in chunks)
            if finished or not self._plain.agrees_with(event):
                self._plain = None
        return chunks

    def _end(self) -> None:
        """[DONE]: the answer is over, if there was one."""
        self._over = True
        self.done = not self._heard.first_is_mute
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
        self.failure = stream_error(error, shown, g4f)


def stream_error(error: ServerError, shown: Bytes | str, g4f: G4FFailure = _NOT_G4F) -> StreamError:
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


def with_handle(event: dict[str, Any], data: Bytes | str) -> Bytes | str:
    """Keep the server's handle as it came; return the data unless a handle is in it.

    A handle is not part of what an error shows.
    """
    if "conversation" not in event:
        return data
    event["conversation"] = handle_from(event["conversation"], data)
    return b""


def _without_blanks(data: Bytes | str) -> Bytes | str:
    return data.strip(_BLANKS) if isinstance(data, str) else data.strip()
