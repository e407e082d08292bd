"""A recording of a real server, as a file that can be read and compared.

In: the file's text. Out: ``Take`` objects, one for each recorded answer; and the other way
round. The only I/O is reading the file.

The file is UTF-8 text, one JSON value a line. The first line is ``{"cassette": 1}``, its
version; it may come again, so that files can be joined. Each recording follows as::

    {"request": {"method": "POST", "path": "/v1/chat/completions", "headers": {...}, "body": {...}}}
    {"response": {"status": 200, "headers": [["Content-Type", "text/event-stream"]], "at": 0.104}}
    [0.105, "data: {...}\\n\\n"]
    {"end": "complete", "at": 1.32}

Times are seconds since the request. Each line with a time and a text is one read, so that two
recordings differ where the servers do. A byte that is not UTF-8 stands as the lone surrogate
that Python's ``surrogateescape`` gives it. The end is "complete", "cut" (the connection ended
before the body) or "left" (the client went away).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from .checks import HEADERS, is_number
from .faults import FAULTS, Fault
from .masking import mask_json, secrets_of
from .request import Request

__all__ = ["VERSION", "Cassette", "CassetteError", "Take", "kind_of", "lines_of"]

VERSION = 1
ENDS = ("complete", "cut", "left")
# A cassette is read whole. The longest recorded here has 2 MB; more is a mistake or an attack.
MAX_BYTES = 256 * 2**20


class CassetteError(ValueError):
    """A file that is not a cassette, or not one of this version."""


@dataclass(frozen=True, slots=True)
class Take:
    """One recorded answer, and how it is replayed.

    asked:   the method, the path and the JSON body (or the text) of the request.
    headers: of the response, as pairs; ``at`` and the times of ``reads`` are seconds since the
             request.
    speed:   how many times as fast as recorded; None: at once.
    """

    method: str
    path: str
    asked: Any = field(repr=False)
    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    at: float
    reads: tuple[tuple[float, bytes], ...] = field(repr=False)
    end: str
    sent: Mapping[str, str] = field(default_factory=dict, repr=False)
    number: int = 1
    speed: float | None = 1.0
    by_request: bool = False
    fault: tuple[Fault, ...] = ()
    times: int | None = 1

    def fits(self, request: Request) -> bool:
        """Whether this is the recorded request; by order, every request of its kind is."""
        if not self.by_request:
            return kind_of(self.path) == kind_of(request.path)
        same = (self.method, self.path) == (request.method, request.path)
        return same and _compared(self.asked) == _masked(request)

    def summary(self) -> str:
        """The recording in a few words."""
        messages = self.asked.get("messages") if isinstance(self.asked, dict) else None
        last = messages[-1] if isinstance(messages, list) and messages else None
        text = last.get("content") if isinstance(last, dict) else None
        shown = f" {text[:40]!r}" if isinstance(text, str) else ""
        return f"the recorded {self.method} {self.path}{shown}"

    @property
    def body(self) -> bytes:
        """All that was read."""
        return b"".join(data for _, data in self.reads)


def kind_of(path: str) -> str:
    """What is asked for at this path: "completions", "embeddings", ..."""
    return path.rstrip("/").rpartition("/")[2]


@lru_cache(maxsize=1)  # each recording of a cassette is compared with the same request
def _masked(request: Request) -> Any:
    """What is compared of a request: it is masked as the recorded one was."""
    secrets = secrets_of(request.headers.items(), request.asked)
    return _compared(mask_json(request.asked, secrets))


def _compared(asked: Any) -> Any:
    """Without g4f's ``conversation_id``, which clients make up anew for each conversation."""
    if not isinstance(asked, dict):
        return asked
    return {key: value for key, value in asked.items() if key != "conversation_id"}


class Cassette:
    """A recorded file as a script.

    file:  as ``--record URL --cassette FILE`` wrote it.
    speed: 1 is the pace of the recording, 10 is ten times as fast; None: all at once.
    match: "order": the recordings answer one request each, in their order, whatever it asks
           (where embeddings or other pages were recorded too, each kind in its own order).
           "request": each answers the request it was recorded with (the same path and the same
           JSON except ``conversation_id``); the first that was not replayed yet.
    fault: one fault or several, laid over each recording. A position counts the recorded events.

    Raises CassetteError (a ValueError) with the line where the file is wrong, OSError where it
    cannot be read.
    """

    def __init__(
        self,
        file: str | Path,
        *,
        speed: float | None = 1.0,
        match: Literal["order", "request"] = "order",
        fault: Fault | Sequence[Fault] = (),
    ) -> None:
        if speed is not None and not (is_number(speed) and speed > 0):
            raise ValueError(f"speed={speed!r}: must be None or a number above 0")
        if match not in ("order", "request"):
            raise ValueError(f"match={match!r}: must be 'order' or 'request'")
        faults = tuple(fault) if isinstance(fault, list | tuple) else (fault,)
        if not all(isinstance(one, Fault) for one in faults):
            raise ValueError(f"fault={fault!r}: must be one or more of {', '.join(FAULTS)}")
        how = {"speed": speed, "by_request": match == "request", "fault": faults}
        recorded = [replace(take, **how) for take in _read(Path(file))]  # type: ignore[arg-type]
        self.takes = [take for take in recorded if take.method == "POST"]
        self.pages = {
            (take.method, take.path): replace(take, times=None)
            for take in recorded
            if take.method != "POST"
        }


# ---- writing

_SURROGATES = re.compile("[\ud800-\udfff]")


def _line(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    # A file of UTF-8 cannot hold a surrogate, only its escape.
    return _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def lines_of(take: Take) -> Iterator[str]:
    """The lines of one recording."""
    request = {"method": take.method, "path": take.path, "headers": take.sent, "body": take.asked}
    yield _line({"request": request})
    response = {"status": take.status, "headers": take.headers, "at": round(take.at, 6)}
    yield _line({"response": response})
    last = take.at
    for at, data in take.reads:
        last = at
        yield _line([round(at, 6), data.decode("utf-8", "surrogateescape")])
    yield _line({"end": take.end, "at": round(last, 6)})


# ---- reading


@dataclass(slots=True)
class _Lines:
    """The lines of a file, with the place for a message about it."""

    path: Path
    _: KW_ONLY
    number: int = 0

    def wrong(self, what: str) -> CassetteError:
        return CassetteError(f"{self.path}, line {self.number}: {what}")

    def values(self) -> Iterator[Any]:
        # An editor may have put a BOM before its text.
        with self.path.open(encoding="utf-8-sig", newline="\n") as file:
            try:
                for line in file:
                    self.number += 1
                    if line.strip():
                        yield self._value(line)
            except UnicodeDecodeError as error:
                self.number += 1
                raise self.wrong(f"is not UTF-8 text: {error.reason}") from None

    def _value(self, line: str) -> Any:
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            cut = "" if line.endswith("\n") else "; the file ends in the middle of a line"
            raise self.wrong(f"is not JSON{cut}") from None


def _read(path: Path) -> list[Take]:
    if path.exists() and not path.is_file():
        raise CassetteError(f"{path}: is not a file")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise CassetteError(f"{path}: {size} bytes, at most {MAX_BYTES} can be replayed")
    lines = _Lines(path)
    values = lines.values()
    first = next(values, None)
    if not _is_start(lines, first):
        raise lines.wrong('is not the start of a cassette: {"cassette": 1}')
    takes: list[Take] = []
    for value in values:
        if not _is_start(lines, value):
            takes.append(_take(lines, values, value, len(takes) + 1))
    return takes


def _is_start(lines: _Lines, value: Any) -> bool:
    if not isinstance(value, dict) or "cassette" not in value:
        return False
    if value["cassette"] != VERSION or value["cassette"] is True:
        raise lines.wrong(f"version {value['cassette']!r}: this release reads version {VERSION}")
    return True


def _take(lines: _Lines, values: Iterator[Any], opening: Any, number: int) -> Take:
    request = _part(lines, opening, "request")
    response = _part(lines, next(values, None), "response")
    status, headers = response.get("status"), _headers(lines, response.get("headers"))
    if type(status) is not int or not 200 <= status < 600:
        raise lines.wrong(f"status {status!r}: must be 200 to 599")
    at = last = _time(lines, response.get("at"), 0.0)
    reads: list[tuple[float, bytes]] = []
    for value in values:
        if isinstance(value, dict):
            if value.get("end") not in ENDS:
                raise lines.wrong(f"must be a read or an end of {', '.join(ENDS)}")
            return Take(
                method=_text(lines, request, "method"),
                path=_text(lines, request, "path"),
                asked=request.get("body"),
                status=status,
                headers=headers,
                at=at,
                reads=tuple(reads),
                end=value["end"],
                number=number,
            )
        last, data = _one_read(lines, value, last)
        reads.append((last, data))
    raise lines.wrong(f"recording {number} has no end: the file was cut off")


def _part(lines: _Lines, value: Any, name: str) -> dict[str, Any]:
    part = value.get(name) if isinstance(value, dict) else None
    if not isinstance(part, dict):
        raise lines.wrong(f"must be the {name} of a recording")
    return part


def _text(lines: _Lines, part: dict[str, Any], name: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        raise lines.wrong(f"the request's {name} is {value!r}, not a text")
    return value


def _headers(lines: _Lines, value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list | None):
        raise lines.wrong(f"the headers are {value!r}, not a list of pairs")
    pairs = [tuple(pair) if isinstance(pair, list) else pair for pair in value or ()]
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and HEADERS[0](_as_header(pair))):
            raise lines.wrong(f"header {pair!r}: must be a name and a text of one line")
    return tuple(pairs)


def _as_header(pair: tuple[Any, Any]) -> Any:
    return {pair[0]: pair[1]} if isinstance(pair[0], str) else None


def _time(lines: _Lines, value: Any, earliest: float) -> float:
    if not is_number(value) or value < earliest:
        raise lines.wrong(f"time {value!r}: must be a number of seconds, {earliest:g} or more")
    return float(value)


def _one_read(lines: _Lines, value: Any, earliest: float) -> tuple[float, bytes]:
    if not (isinstance(value, list) and len(value) == 2 and isinstance(value[1], str)):
        raise lines.wrong("must be a read: [seconds, text]")
    try:
        data = value[1].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise lines.wrong("the text has a surrogate that stands for no byte") from None
    return _time(lines, value[0], earliest), data
