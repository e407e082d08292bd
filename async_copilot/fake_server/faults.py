"""What can go wrong in an answer, as data. No I/O.

Each fault is a frozen dataclass with ``after``, the place where it strikes. Truncate,
Close, Reset, BrokenFraming and ErrorFrame end the answer; after the others it goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, TypeAlias

from .checks import COUNT, FLAG, OBJECT, TEXT, Rules, check, check_seconds, optional

__all__ = [
    "FAULTS",
    "BrokenFraming",
    "Close",
    "ErrorFrame",
    "Fault",
    "HugeEvent",
    "Position",
    "Raw",
    "Repeat",
    "Reset",
    "Stall",
    "Truncate",
]

Position: TypeAlias = int | Literal["request", "headers", "content", "finish", "done"]
"""Where a fault strikes. A number n: after n pieces (after all of them when there are
fewer). "request": before the headers. "headers": the same as 0. "content": after the
last piece. "finish": after the chunk with the finish reason. "done": after [DONE]."""

_AFTER_HEADERS = ("headers", "content", "finish", "done")


def _check_position(after: object, *, before_headers: bool = False) -> None:
    names = ("request", *_AFTER_HEADERS) if before_headers else _AFTER_HEADERS
    if isinstance(after, int) and not isinstance(after, bool) and after >= 0:
        return
    if after not in names:
        raise ValueError(
            f"after={after!r}: must be a number of pieces, or one of {', '.join(names)}"
        )


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing more for ``seconds`` (None: until the client leaves); then the answer goes on.

    heartbeat: seconds between SSE comments meanwhile; None: as the dialect does.
    """

    _: KW_ONLY
    after: Position = "content"
    seconds: float | None = None
    heartbeat: float | None = None

    def __post_init__(self) -> None:
        _check_position(self.after, before_headers=True)
        if self.seconds is not None:
            check_seconds("seconds", self.seconds)
        if self.heartbeat is not None:
            check_seconds("heartbeat", self.heartbeat, zero=False)


@dataclass(frozen=True, slots=True)
class Truncate:
    """The body ends here, in good HTTP order: no finish reason, no [DONE]."""

    _: KW_ONLY
    after: Position = "content"

    def __post_init__(self) -> None:
        _check_position(self.after)


@dataclass(frozen=True, slots=True)
class Close:
    """The connection is closed (FIN) without the body's end.

    torn: half of the next event is sent first, so that event and HTTP chunk are cut.
    """

    _: KW_ONLY
    after: Position = "content"
    torn: bool = False

    def __post_init__(self) -> None:
        _check_position(self.after, before_headers=True)
        check(self, {"torn": FLAG})


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset (RST); ``torn`` as in ``Close``.

    As any reset does, it may take along what was sent just before and not yet received.
    """

    _: KW_ONLY
    after: Position = "content"
    torn: bool = False

    def __post_init__(self) -> None:
        _check_position(self.after, before_headers=True)
        check(self, {"torn": FLAG})


@dataclass(frozen=True, slots=True)
class BrokenFraming:
    """Bytes that are not an HTTP chunk; the connection then stays open until the client leaves."""

    _: KW_ONLY
    after: Position = "content"

    def __post_init__(self) -> None:
        _check_position(self.after)


_ERROR_RULES: Rules = {
    "message": optional((lambda value: TEXT[0](value) or OBJECT[0](value), "a text or an object")),
    "done": optional(FLAG),
    "event": FLAG,
}


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """An error inside the stream, after its 200; the body ends with it.

    message: its text, or the whole ``error`` object; None: what the dialect says.
    done: whether ``[DONE]`` follows; None: as the dialect does.
    event: True puts ``event: error`` before the data.
    """

    message: str | Mapping[str, Any] | None = None
    _: KW_ONLY
    after: Position = "content"
    done: bool | None = None
    event: bool = False

    def __post_init__(self) -> None:
        _check_position(self.after)
        check(self, _ERROR_RULES)


_RAW_RULES: Rules = {
    "data": (lambda value: isinstance(value, str | bytes), "a text or bytes"),
}


@dataclass(frozen=True, slots=True)
class Raw:
    """These bytes as they are, in the body; then on. The default is a data line cut in its JSON."""

    data: str | bytes = 'data: {"choices": [{"index": 0, "del\n\n'
    _: KW_ONLY
    after: Position = "content"

    def __post_init__(self) -> None:
        _check_position(self.after)
        check(self, _RAW_RULES)


@dataclass(frozen=True, slots=True)
class HugeEvent:
    """One event whose content is ``size`` times the letter x; then on."""

    size: int = 2**20
    _: KW_ONLY
    after: Position = "content"

    def __post_init__(self) -> None:
        _check_position(self.after)
        check(self, {"size": COUNT})


@dataclass(frozen=True, slots=True)
class Repeat:
    """All pieces again, ``times`` more times (None: until the client leaves); then on."""

    times: int | None = None
    _: KW_ONLY
    after: Position = "content"

    def __post_init__(self) -> None:
        _check_position(self.after)
        check(self, {"times": optional(COUNT)})


Fault: TypeAlias = (
    Stall | Truncate | Close | Reset | BrokenFraming | ErrorFrame | Raw | HugeEvent | Repeat
)
FAULTS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Stall, Truncate, Close, Reset, BrokenFraming, ErrorFrame, Raw, HugeEvent, Repeat)
}
