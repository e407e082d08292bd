"""The benchmark runs, compares texts before it times anything, and sends what it says it sends.

Nothing here looks at a time: how fast anything is, run.py says on an idle machine.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from bench import contestants, draw, report, shapes
from bench.contestants import Contestant, Read, Sink, find
from bench.measures import MEASURES, Job, WrongTextError, stream
from bench.replay import Replay, plan
from bench.scenarios import SCENARIOS, Column, Scenario, Target

from async_copilot.transport import connections

pytestmark = pytest.mark.bench

HERE = Path(__file__).parent
RUN = HERE / "bench" / "run.py"
OURS = ("content_deltas", "client.stream", "reply.chunks", "Conversation")
TINY: dict[str, dict[str, float]] = {
    "stream": {"count": 500},
    "requests": {"times": 3},
    "big": {},
    "latency": {"count": 50},
    "crowd": {"streams": 5, "rate": 50, "seconds": 0.1},
    "sleeper": {"count": 20_000, "seconds": 0.2},
    "counts": {"count": 5, "streams": 2},
}
BY_MEASURE = {s.measure: s for s in SCENARIOS if s.measure in MEASURES}
CHUNK = re.compile(rb"([0-9a-f]+)\r\n")


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As a user runs it: from anywhere, nothing on the path."""
    command = [sys.executable, str(RUN), "--quick", "--rounds", "1", *arguments]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(  # noqa: S603  # ours
        command, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_ours_and_the_floors_give_the_right_text_and_a_table() -> None:
    done = bench("--scenario", "bulk-varied", "--only", "floor", "--only", "ours")
    assert done.stderr == ""
    assert done.returncode == 0
    for name in ("floor", *OURS):
        assert re.search(rf"^\| {re.escape(name)} \|( +[\d.,]+ \|)+", done.stdout, re.MULTILINE)
    assert "| target | at most | reached | met |" in done.stdout
    assert "failed" not in done.stdout


@pytest.mark.parametrize("name", ["floor", *OURS])
@pytest.mark.parametrize("scenario", BY_MEASURE.values(), ids=BY_MEASURE)
async def test_each_measure_gives_the_figures_its_table_shows(
    scenario: Scenario, name: str
) -> None:
    job = {**scenario.job, **scenario.quick, **TINY[scenario.measure]}
    async with replay() as address:
        figures = await MEASURES[scenario.measure](find(name), Job(**{"address": address, **job}))
    assert {column.key for column in scenario.columns} <= set(figures)
    assert figures.get("failed", 0) == 0


def test_an_unknown_scenario_is_said_and_is_status_2() -> None:
    done = bench("--scenario", "nonsense")
    assert done.returncode == 2
    assert "--list" in done.stderr


@asynccontextmanager
async def replay() -> AsyncIterator[str]:
    """The replay server in this loop."""
    server = await asyncio.get_running_loop().create_server(Replay, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


async def test_the_floor_receives_into_buffers_as_small_as_ours() -> None:
    assert contestants.RECEIVE_BYTES == connections.RECEIVE_BYTES
    async with replay() as address:
        url = f"{address}/openai/each/50/0"
        async with contestants.session(url, contestants.SmallReceives) as post, post() as response:
            assert response.connection is not None
            received = getattr(response.connection.transport, "max_size", None)
            assert received == connections.RECEIVE_BYTES


@asynccontextmanager
async def forgetful(_url: str) -> AsyncIterator[Read]:
    async def read(sink: Sink) -> None:
        for text in shapes.pieces(100)[1:]:
            sink(text)

    yield read


async def test_a_contestant_with_another_text_is_not_timed() -> None:
    job = Job("http://127.0.0.1:9", "openai", "bulk", 100)
    with pytest.raises(WrongTextError):
        await stream(Contestant("forgetful", "ours", forgetful), job)


@pytest.mark.parametrize("mode", ["bulk", "each", "loop"])
@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_every_event_stands_in_a_chunk_of_its_own(shape: str, mode: str) -> None:
    sent = b"".join(plan(f"/{shape}/{mode}/50/0").writes()).partition(b"\r\n\r\n")[2]
    events = []
    while size := CHUNK.match(sent):
        end = size.end() + int(size[1], 16)
        events.append(sent[size.end() : end])
        sent = sent[end + 2 :]
    assert sent == b""
    deltas, last = shapes.events(shape, 50)
    assert events == [*deltas, *last, b""]


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_the_events_of_a_shape_carry_the_text(shape: str) -> None:
    deltas, _ = shapes.events(shape, 300)
    texts = [orjson.loads(e[6:-2])["choices"][0]["delta"]["content"] for e in deltas]
    assert tuple(texts) == shapes.pieces(300)


def test_the_shape_named_g4f_is_what_g4f_sent() -> None:
    """Byte for byte the recording, except the conversation's id, which is each server's own."""
    recorded = (HERE / "recordings" / "g4f-8.8.6" / "greeting.http").read_bytes()
    (first,), (last, done) = shapes.events("g4f", 1)
    assert first in recorded
    assert re.sub(rb'tion_id":"[^"]+', b"", last) in re.sub(rb'tion_id":"[^"]+', b"", recorded)
    assert done in recorded


def test_a_ratio_is_taken_within_a_round() -> None:
    """A machine that turns three times slower for a round moves no ratio."""
    rounds = {
        "floor": [{"cpu": 1.0}, {"cpu": 3.0}, {"cpu": 1.0}],
        "ours": [{"cpu": 2.0}, {"cpu": 6.0}, {"cpu": 2.5}],
    }
    assert report.ratio(rounds, "ours", "floor", "cpu") == (2.0, 2.0, 2.5)


@pytest.mark.parametrize(("factor", "met"), [(2.0, "yes"), (1.9, "**no**")])
def test_a_target_says_whether_it_was_met(factor: float, met: str) -> None:
    scenario = Scenario(
        name="s",
        title="S",
        measure="stream",
        job={},
        quick={},
        columns=(Column("cpu", "CPU"),),
        targets=(Target("ours", factor, "floor"), Target("ours", 1.0, "absent")),
    )
    table = report.render(scenario, {"floor": [{"cpu": 1.0}], "ours": [{"cpu": 2.0}]}, ["a note"])
    assert f"| ours, cpu | {factor:g} of floor | 2 | {met} |" in table
    assert "absent" not in table
    assert "- a note" in table


def test_a_line_for_each_scenario_sums_the_ratios_up() -> None:
    scenario = Scenario("s", "S", "stream", {}, {}, (Column("cpu", "CPU"),))
    rounds = {"floor": [{"cpu": 2.0}], "ours": [{"cpu": 3.0}]}
    alone = {"ours": [{"cpu": 3.0}]}
    table = report.summary([(scenario, rounds), (scenario, alone)], ["ours", "absent"])
    assert table.splitlines()[-1] == "| s | 2.00 CPU | 1.50 |  |"
    assert table.count("| s |") == 1


def test_the_ratios_of_a_report_are_drawn_paced_streams_first(tmp_path: Path) -> None:
    printed = tmp_path / "report.md"
    printed.write_text(
        "### A scenario\n\n| | cpu |\n| --- | --: |\n| floor | 1 |\n\n"
        "### Ratios\n\n"
        "|  | floor | content_deltas / floor | client.stream / floor |\n"
        "| --- | --: | --: | --: |\n"
        "| bulk-openai | 2.48 us | 0.77 | 0.79 |\n"
        "| paced-one | 9.10 us | 1.03 | 1.08 |\n"
        "| request-bulk | 209.00 us |  | 1.15 |\n"
    )
    rows = draw.ratios(printed.read_text())
    assert [row.name for row in rows] == ["paced-one", "bulk-openai", "request-bulk"]
    assert rows[2].ratios == {"client.stream": 1.15}
    command = [sys.executable, draw.__file__, str(printed)]
    pictures = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for picture in pictures:
        subprocess.run([*command, str(picture)], check=True)  # noqa: S603  # a script of ours
    first, second = (picture.read_bytes() for picture in pictures)
    assert b"<svg" in first
    assert first == second
    with pytest.raises(ValueError, match="no table of ratios"):
        draw.ratios("### A scenario\n")
