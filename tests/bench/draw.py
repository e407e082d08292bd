"""A printed report in, a picture of its ratios out; paced streams first, since users have those.

    python tests/bench/run.py > report.md
    python tests/bench/draw.py report.md tests/bench/ratios.svg

Needs matplotlib: ``pip install '.[bench]'``. The picture shows what the report's last table
says, and nothing is left out: a bar beyond the floor's line is slower than the floor.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Row", "draw", "ratios"]

SHOWN = ("content_deltas", "client.stream")
COLORS = ("#3b6ea5", "#e08a3c")


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario: its name, and the ratio to the floor by contestant."""

    name: str
    ratios: dict[str, float]


def ratios(report: str) -> list[Row]:
    """Return the rows of the table "Ratios" of a report, the paced ones first."""
    table = report.partition("### Ratios")[2].strip().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line]
    if len(cells) < 3:
        raise ValueError("the report has no table of ratios; was it made without the floor?")
    names = [heading.removesuffix(" / floor") for heading in cells[0][2:]]
    rows = []
    for name, _, *values in cells[2:]:
        pairs = zip(names, values, strict=True)
        rows.append(Row(name, {who: float(value) for who, value in pairs if value}))
    return sorted(rows, key=lambda row: not row.name.startswith("paced"))


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the picture as SVG."""
    import matplotlib as mpl  # noqa: PLC0415  # of the extra "bench"

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  # after its backend was chosen

    # The same figures give the same file: no date in it, no random ids.
    mpl.rcParams["svg.hashsalt"] = "async_copilot"
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.42 * len(rows)), layout="constrained")
    height = 0.8 / len(SHOWN)
    for place, (who, color) in enumerate(zip(SHOWN, COLORS, strict=True)):
        bars = [(y, row.ratios[who]) for y, row in enumerate(rows) if who in row.ratios]
        positions = [y + (place - (len(SHOWN) - 1) / 2) * height for y, _ in bars]
        drawn = axes.barh(positions, [value for _, value in bars], height, label=who, color=color)
        axes.bar_label(drawn, fmt="%.2f", padding=3, fontsize=8)
    axes.axvline(1.0, color="black", linewidth=1, label="floor: aiohttp, split, orjson")
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel("CPU time, as a multiple of the floor; less is better")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    report, picture = map(Path, sys.argv[1:])
    draw(ratios(report.read_text(encoding="utf-8")), picture)
