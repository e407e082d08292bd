"""The client under fault: one request against a server, and everything that must then be true.

In: a server, options of the client. Out: an `Outcome`, whose checks fail with the
whole story. Whatever a test is about, every error it provokes must also keep the
promises that hold for all errors (`assert_presentable`).
"""

from __future__ import annotations

import asyncio
import pickle
import traceback
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fault_server import FaultServer

from async_copilot import CopilotClient, CopilotError, End, Reply, Timeouts

__all__ = [
    "FAST",
    "KEY",
    "SLACK",
    "Outcome",
    "ask",
    "assert_presentable",
    "causes",
    "leaves",
    "together",
]

KEY = "the-key-of-the-fault-tests"

# Clocks short enough for a test, far enough apart to tell which one rang.
FAST = Timeouts(connect=0.3, silence=0.3, stall=0.6)

# What a busy machine may add to any time; a hang is far beyond it.
SLACK = 15.0

# Beyond this a request hangs: its outcome is then a bare TimeoutError, and no test takes that.
HANG = 30.0


def leaves(kind: type[CopilotError] = CopilotError) -> Iterator[type[CopilotError]]:
    """The classes of the error tree that have no subclass in the package."""
    children = [child for child in kind.__subclasses__() if child.__module__ == kind.__module__]
    if not children:
        yield kind
    for child in children:
        yield from leaves(child)


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it is chained to, as a traceback would print it."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo.append(one.__cause__)
        if not one.__suppress_context__:
            todo.append(one.__context__)


def assert_presentable(error: CopilotError) -> None:
    """Promise 7 for one error: readable, picklable with its attributes, free of the key."""
    message = str(error)
    assert message
    message.encode()  # no lone surrogates: it can be printed and logged
    assert not any(ord(letter) < 32 for letter in message.replace("\n", "").replace("\t", ""))
    assert len(message) < 2000, "a message is to be read"
    printed = "".join(traceback.format_exception(error))
    for text in (message, repr(error), printed, repr(error.__dict__), error.body or ""):
        assert KEY not in text
    for one in causes(error):
        assert KEY not in f"{one} {one!r}", f"a {type(one).__name__} in the chain holds the key"
    pickled = pickle.dumps(error)
    assert KEY.encode() not in pickled
    copy: CopilotError = pickle.loads(pickled)  # noqa: S301  # our own bytes
    assert type(copy) is type(error)
    assert str(copy) == message
    for name in ("status", "code", "type", "body", "request_id", "retry_after", "retries"):
        assert getattr(copy, name) == getattr(error, name)
    if error.reply is not None:
        assert copy.reply is not None
        assert copy.reply.text == error.reply.text
        assert copy.reply.end is error.reply.end


@dataclass(slots=True)
class Outcome:
    """How one request went, seen by its caller."""

    pieces: list[str] = field(default_factory=list)
    reply: Reply | None = None
    error: BaseException | None = None
    seconds: float = 0.0
    entered: bool = False

    @property
    def text(self) -> str:
        """What the caller was handed, piece by piece."""
        return "".join(self.pieces)

    def failed(
        self,
        kind: type[CopilotError] | tuple[type[CopilotError], ...],
        standard: type[BaseException] = Exception,
        *,
        text: str = "",
        end: End | None = None,
        after: float = 0.0,
        within: float = 0.0,
        says: Sequence[str] = (),
        **attributes: Any,
    ) -> CopilotError:
        """It failed with exactly this class, after this text, at this time; the error is returned.

        after, within: seconds; `within` is a clock, to which the machine's slack is added.
        """
        error = self.error
        assert isinstance(error, CopilotError), f"ended with {error!r}, text {self.text[:200]!r}"
        kinds = kind if isinstance(kind, tuple) else (kind,)
        assert type(error) in kinds, f"{error!r}, text {self.text[:200]!r}"
        assert isinstance(error, standard)
        assert_presentable(error)
        assert self.text == text
        assert after - 0.02 <= self.seconds < within + SLACK, f"{self.seconds:.3f} s"
        for name, value in attributes.items():
            assert getattr(error, name) == value, f"{name}: {getattr(error, name)!r}"
        for words in says:
            assert words in str(error)
        if self.entered:
            assert error.reply is not None, "an error in the body carries the reply"
            assert error.reply.text == text
            assert error.reply is self.reply
        if end is not None:
            assert error.reply is not None
            assert error.reply.end is end
        return error

    def ended(self, end: End, text: str, *, within: float = 0.0) -> Reply:
        """It ended without an error in this way, with this text; the reply is returned."""
        if self.error is not None:
            raise AssertionError(f"failed with {self.error!r}") from self.error
        assert self.reply is not None
        assert self.reply.end is end, f"{self.reply.end}, text {self.text[:200]!r}"
        assert self.text == text == self.reply.text
        assert self.seconds < within + SLACK, f"{self.seconds:.3f} s"
        return self.reply


async def ask(
    server: FaultServer | str,
    *,
    client: CopilotClient | None = None,
    pace: float = 0.0,
    fields: dict[str, Any] | None = None,
    **options: Any,
) -> Outcome:
    """Stream one answer to its end and tell how it went. Nothing is raised.

    Without `client` one is made from `options` (short clocks, a key, no retries
    unless said otherwise), used once and closed; that it could not be made is an
    outcome too. `pace` is the caller's own time per delta; `fields` go to ``stream()``.
    """
    outcome = Outcome()
    if client is None:
        url = server if isinstance(server, str) else server.url
        options = {"timeouts": FAST, "api_key": KEY, "max_retries": 0, **options}
        try:
            async with CopilotClient(base_url=url, **options) as own:
                return await ask(server, client=own, pace=pace, fields=fields)
        except CopilotError as error:
            outcome.error = error
            return outcome
    loop = asyncio.get_running_loop()
    start = loop.time()
    try:
        async with asyncio.timeout(HANG), client.stream("Hello", **(fields or {})) as reply:
            outcome.entered, outcome.reply = True, reply
            async for text in reply:
                outcome.pieces.append(text)
                if pace:
                    await asyncio.sleep(pace)
    except Exception as error:  # noqa: BLE001  # that none of another kind comes is the test
        outcome.error = error
    outcome.seconds = loop.time() - start
    return outcome


async def together(rows: Mapping[str, Awaitable[None]]) -> None:
    """Run the rows of a table at once, since they mostly wait; fail with the names that failed."""
    results = await asyncio.gather(*rows.values(), return_exceptions=True)
    failures = []
    for name, result in zip(rows, results, strict=True):
        if isinstance(result, BaseException):
            result.add_note(f"in the row {name!r}")
            failures.append(result)
    if failures:
        raise BaseExceptionGroup(f"{len(failures)} of {len(rows)} rows failed", failures)
