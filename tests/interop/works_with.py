"""What ran against which server, as Markdown for the README.

In: rows, one a server, filled while the tests run. Out: lines of text. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["FAILED", "Row", "known_table", "tables"]

FAILED = "**failed**"


@dataclass(slots=True)
class Row:
    """What one server did in this run.

    checks:  the claim of each test, and "yes", a figure or FAILED.
    differs: sentences that tests of this server found to be true.
    notes:   how it was got to run.
    known:   what became of a name, by what happened before and the kind of provider.
    """

    version: str = "did not start"
    checks: dict[str, str] = field(default_factory=dict)
    differs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    known: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def passed(self) -> str:
        """The count for the table."""
        good = sum(outcome != FAILED for outcome in self.checks.values())
        return f"{good} of {len(self.checks)} checks"


def tables(rows: Mapping[str, Row]) -> Iterator[str]:
    """The table of servers, then the table of checks."""
    yield "| Server | Version that ran | Passed | What differs |"
    yield "|---|---|---|---|"
    for name, row in rows.items():
        differs = "; ".join(row.differs) or ("nothing" if row.notes else "")
        yield f"| {name} | {row.version} | {row.passed} | {differs} |"
    yield ""
    yield "| Check | " + " | ".join(rows) + " |"
    yield "|---" * (len(rows) + 1) + "|"
    for claim in dict.fromkeys(claim for row in rows.values() for claim in row.checks):
        outcomes = (row.checks.get(claim, "") for row in rows.values())
        yield f"| {claim} | " + " | ".join(outcomes) + " |"
    yield ""
    for name, row in rows.items():
        if row.notes:
            yield f"{name}: {'; '.join(row.notes)}"


def known_table(rows: Mapping[str, Row]) -> Iterator[str]:
    """The table "Known or told": one outcome a cell, and which release has another one."""
    cells: dict[tuple[str, str], dict[str, list[str]]] = {}
    for name, row in rows.items():
        for cell, outcome in row.known.items():
            cells.setdefault(cell, {}).setdefault(outcome, []).append(name.removeprefix("g4f "))
    if not cells:
        return
    kinds = list(dict.fromkeys(kind for _, kind in cells))
    yield "| Before | " + " | ".join(kinds) + " |"
    yield "|---" * (len(kinds) + 1) + "|"
    for before in dict.fromkeys(before for before, _ in cells):
        outcomes = (cells.get((before, kind), {}) for kind in kinds)
        yield f"| {before} | " + " | ".join(map(_cell, outcomes)) + " |"
    yield ""


def _cell(outcomes: Mapping[str, list[str]]) -> str:
    if len(outcomes) == 1:
        return next(iter(outcomes))
    return "; ".join(f"{outcome} ({', '.join(names)})" for outcome, names in outcomes.items())
