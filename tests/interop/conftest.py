"""Fixtures of the interop run, and the tables it prints at its end.

In: a test module's ``SERVERS``. Out: the fixture ``server``, each of them running for
the whole session, and Markdown for the README made from what really ran. I/O: see
``servers``.

A pinned server that cannot be installed or started fails its tests. The unpinned one is
a look-out: its failures are counted apart and printed loudly, and fail nothing.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Generator, Iterator
from importlib.metadata import version

import pytest

from .servers import Running, Server, launched, prepare
from .works_with import FAILED, Row, known_table, tables

OPT_IN = {"litellm": "test_litellm.py", "llama_cpp": "test_llama_cpp.py"}
CHOSEN = os.environ.get("ASYNC_COPILOT_INTEROP", "").replace(",", " ").split()

# Installing these takes many minutes: they are there for whoever asks.
collect_ignore = [file for name, file in OPT_IN.items() if name not in CHOSEN]

ROWS = pytest.StashKey[dict[str, Row]]()
FOUND = pytest.StashKey["Found"]()
LOST = pytest.StashKey[list[tuple[str, str]]]()
LOOK_OUT = "look-out failed"


class Found:
    """What a test measured, and what it found to differ on its server."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self.figure = "yes"

    def known(self, kind: str, before: str, outcome: str) -> None:
        """What became of a name, at a provider of this kind, after this."""
        self._row.known[before, kind] = outcome

    def differs(self, sentence: str) -> None:
        """A sentence for the table, once."""
        if sentence not in self._row.differs:
            self._row.differs.append(sentence)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = {}
    config.stash[LOST] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        servers: tuple[Server, ...] = metafunc.module.SERVERS
        names = [server.name.replace(" ", "-") for server in servers]
        metafunc.parametrize("server", servers, indirect=True, scope="session", ids=names)


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One real server after the other, on a free port of loopback."""
    wanted: Server = request.param
    row = request.config.stash[ROWS].setdefault(wanted.name, Row())
    seconds = prepare(wanted)
    with launched(wanted, tmp_path_factory.mktemp("server")) as running:
        row.version = running.version
        row.notes.append(f"installed in {seconds:.1f} s, up in {running.start_seconds:.1f} s")
        yield running
        outward = sorted({entry["host"] for entry in running.journal("outward")})
        if outward:
            row.notes.append(f"kept from reaching {', '.join(outward)}")


@pytest.fixture
def found(request: pytest.FixtureRequest, server: Running) -> Found:
    """This test's place in the tables."""
    found = Found(request.config.stash[ROWS][server.server.name])
    request.node.stash[FOUND] = found
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    params = item.callspec.params if hasattr(item, "callspec") else {}
    wanted = params.get("server", params.get("clients"))
    if not isinstance(wanted, Server) or (report.when != "call" and report.passed):
        return report
    if "server" in params:
        row = item.config.stash[ROWS].setdefault(wanted.name, Row())
        figure = item.stash[FOUND].figure if FOUND in item.stash else "yes"
        row.checks[claim_of(item)] = FAILED if report.failed else figure
    if report.failed:
        running = getattr(item, "funcargs", {}).get("server")
        if isinstance(running, Running):
            report.sections.append((f"log of {wanted.name}", running.log()))
        if not wanted.pinned:
            item.config.stash[LOST].append((report.nodeid, report.longreprtext))
            report.outcome = "skipped"
            report.longrepr = (str(item.path), 0, f"{LOOK_OUT}: {wanted.name}")
    return report


def claim_of(item: pytest.Item) -> str:
    """The first line of the test's docstring."""
    text = getattr(item.obj, "__doc__", None) if isinstance(item, pytest.Function) else None
    return (text or item.name).strip().splitlines()[0].rstrip(".")


def pytest_report_teststatus(
    report: pytest.TestReport, config: pytest.Config
) -> tuple[str, str, str] | None:
    lost = {nodeid for nodeid, _ in config.stash[LOST]}
    if report.skipped and report.nodeid in lost:
        return LOOK_OUT, "N", LOOK_OUT.upper()
    return None


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    write = terminalreporter.write_line
    if rows := config.stash[ROWS]:
        write_tables(terminalreporter, rows)
    told = set()
    for nodeid, text in config.stash[LOST]:
        terminalreporter.section(f"{LOOK_OUT}: {nodeid}", sep="!", red=True)
        # Where it did not even start, every test says the same.
        write("as above" if text in told else text)
        told.add(text)


def write_tables(terminalreporter: pytest.TerminalReporter, rows: dict[str, Row]) -> None:
    """The tables for the README, made from what really ran."""
    write = terminalreporter.write_line
    terminalreporter.section("Works with: what really ran")
    write(f"Python {platform.python_version()}, aiohttp {version('aiohttp')}\n")
    for line in tables(rows):
        write(line)
    for line in known_table(rows):
        write(line)
    for name in OPT_IN.keys() - CHOSEN:
        write(f"not run: {name} (opt in with ASYNC_COPILOT_INTEROP={name})")
