"""The figures of all rounds in; Markdown tables out. No I/O.

A ratio is the median over the rounds of the ratio within a round: what slows the machine
for a while slows both sides of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from .measures import Figures
from .scenarios import Scenario, Target

__all__ = ["Rounds", "ratio", "render", "summary"]

Rounds = Mapping[str, Sequence[Figures]]


def ratio(rounds: Rounds, who: str, versus: str, key: str) -> tuple[float, float, float]:
    """Median, lowest and highest."""
    pairs = zip(rounds[who], rounds[versus], strict=True)
    all_of_them = sorted(ours[key] / theirs[key] for ours, theirs in pairs)
    return median(all_of_them), all_of_them[0], all_of_them[-1]


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---", *["--:"] * (len(heading) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def contestants(scenario: Scenario, rounds: Rounds) -> str:
    base, key = scenario.baseline, scenario.columns[0].key
    heading = ["", *(c.heading for c in scenario.columns)]
    if base in rounds:
        heading += [f"/ {base}", "lowest to highest"]
    rows = []
    for who, figures in rounds.items():
        cells = [f"{median(f[c.key] for f in figures):,.{c.digits}f}" for c in scenario.columns]
        if base in rounds:
            middle, low, high = ratio(rounds, who, base, key)
            cells += [f"{middle:.2f}", f"{low:.2f} to {high:.2f}"]
        rows.append([who, *cells])
    return table(heading, rows)


def verdict(target: Target, rounds: Rounds) -> list[str] | None:
    if target.who not in rounds or (target.versus and target.versus not in rounds):
        return None
    reached = median(f[target.key] for f in rounds[target.who])
    if not target.versus:
        what, limit = f"{target.plus:g}", target.plus
    elif target.plus:
        limit = target.factor * median(f[target.key] for f in rounds[target.versus]) + target.plus
        what = f"{target.versus} + {target.plus:g}"
    else:
        reached, limit = ratio(rounds, target.who, target.versus, target.key)[0], target.factor
        small = target.factor < 0.1 or target.factor == 1 / 2.2
        times = f"1/{1 / target.factor:.3g}" if small else f"{target.factor:g}"
        what = f"{times} of {target.versus}"
    shown = f"1/{1 / reached:.3g}" if "1/" in what else f"{reached:.3g}"
    return [f"{target.who}, {target.key}", what, shown, "yes" if reached <= limit else "**no**"]


def render(scenario: Scenario, rounds: Rounds, notes: Sequence[str]) -> str:
    """One scenario: its contestants, then what ours had to reach and what it reached."""
    parts = [f"### {scenario.title}", contestants(scenario, rounds)]
    rows = [row for t in scenario.targets if (row := verdict(t, rounds)) is not None]
    if rows:
        parts.append(table(["target", "at most", "reached", "met"], rows))
    if notes:
        parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


def summary(results: Sequence[tuple[Scenario, Rounds]], names: Sequence[str]) -> str:
    """All scenarios in one table: the floor's figure, and what each of ``names`` takes of it."""
    rows = []
    for scenario, rounds in results:
        base, first = scenario.baseline, scenario.columns[0]
        if base not in rounds or not any(name in rounds for name in names):
            continue
        floor = median(figures[first.key] for figures in rounds[base])
        ratios = [
            f"{ratio(rounds, name, base, first.key)[0]:.2f}" if name in rounds else ""
            for name in names
        ]
        rows.append([scenario.name, f"{floor:,.{first.digits}f} {first.heading}", *ratios])
    heading = ["", "floor", *(f"{name} / floor" for name in names)]
    return f"### Ratios\n\n{table(heading, rows)}\n" if rows else ""
