"""The steps of an answer: what to send, when to wait, how to end. No I/O.

``plan`` makes them of a script's answer, ``replay`` of a recorded one; ``Playback`` does them.
When they are exhausted the response ends in good HTTP order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Drop", "Head", "Pause", "Send", "Step", "Until"]


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers, as pairs; ``length`` of the body, or None for a stream."""

    status: int
    headers: Sequence[tuple[str, str]]
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes of the body. ``piece``: how many pieces of the answer end with them.

    torn: they stand for an HTTP chunk of twice their length. naked: not in an HTTP chunk.
    """

    data: bytes
    piece: int = 0
    torn: bool = False
    naked: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for ``seconds`` (None: until the client leaves) but ``comment`` each ``every``."""

    seconds: float | None
    every: float | None = None
    comment: bytes = b""


@dataclass(frozen=True, slots=True)
class Until:
    """Nothing until ``at`` seconds after the first ``Until``, pauses between them not counted.

    A plan that says when each piece is due keeps its pace; one that says how long to wait
    between them loses by each wait what the sending took.
    """

    at: float
    every: float | None = None
    comment: bytes = b""


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection ends here: FIN, or RST."""

    reset: bool


Step: TypeAlias = Head | Send | Pause | Until | Drop
