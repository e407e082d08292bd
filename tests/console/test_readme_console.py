"""The console's README: its sessions are replayed, its tables compared."""

from __future__ import annotations

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from console_runs import ROOT, clean_env, ending, spawned

from async_copilot.console.argument_parser import TextAskedError, parsed
from async_copilot.console.exit_status import ExitStatus
from async_copilot.console.json_lines import summary

PAGES = [ROOT / "async_copilot" / "console" / "README.md", ROOT / "README.md"]
TEXTS = [page.read_text(encoding="utf-8") if page.exists() else "" for page in PAGES]
README = TEXTS[0]

Block = list[tuple[str, str]]


def sessions() -> list[Block]:
    """The blocks, each with its commands and what the README says of their output."""
    found = []
    for text in TEXTS:
        for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
            split = (part.partition("\n") for part in parts)
            # pip and g4f speak of other programs.
            found.append([(a, b) for a, _, b in split if not a.startswith(("pip ", "g4f "))])
    return found


def test_the_readme_shows_sessions() -> None:
    assert len(sessions()) >= 3


def test_each_session_runs_as_it_is_written(tmp_path: Path) -> None:
    """On a terminal, the commands of a block in one folder; the blocks side by side."""

    def run(number: int, block: Block) -> Block:
        folder = tmp_path / str(number)
        folder.mkdir()
        return [(command, replayed(command, output, folder)) for command, output in block]

    with ThreadPoolExecutor() as pool:
        shown = pool.map(run, range(len(sessions())), sessions())
    assert list(shown) == sessions()


def replayed(command: str, output: str, tmp_path: Path) -> str:
    """What a command shows; lines of its output that begin with the prompt are typed."""
    program = tmp_path / "async-copilot"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m async_copilot "$@"\n')
    program.chmod(0o755)
    env = {
        "TERM": "dumb",
        "PYTHONPATH": str(ROOT),
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
    }
    child = spawned("/bin/sh", ["-c", command], cwd=str(tmp_path), env=clean_env(env))
    shown = ""
    typed = re.findall(r"^> (.*)\n", output, re.MULTILINE) if " -i" in command else []
    for line in typed:
        child.expect_exact("> ")
        shown += child.before + child.after
        child.sendline(line)
    rest, _ = ending(child)
    return (shown + rest).replace("\r\n", "\n").replace("\r", "")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    part = README.partition(f"\n## {heading}\n")[2].partition("\n#")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def help_text() -> str:
    with pytest.raises(TextAskedError) as asked:
        parsed(["--help"])
    return str(asked.value)


def test_the_table_of_options_is_that_of_help() -> None:
    pattern = r"(?<![\w-])(--?[a-z][a-z-]*)"
    listed = {name for row in rows("Options") for name in re.findall(pattern, row[0])}
    options = help_text().partition("options")[2].partition("examples:")[0]
    offered = set(re.findall(r"^  (-.*?)(?:  |$)", options, re.MULTILINE))
    assert listed == {name for line in offered for name in re.findall(pattern, line)}


def test_the_table_of_variables_is_that_of_help() -> None:
    variables = help_text().partition("environment")[2].partition("exit status:")[0]
    offered = re.findall(r"^  ([A-Z_]+)  ", variables, re.MULTILINE)
    assert [row[0].strip("`") for row in rows("Environment")] == offered


def test_the_table_of_exit_statuses_is_the_contract() -> None:
    assert [(int(row[0]), row[1]) for row in rows("Exit status")] == [
        (status.value, status.meaning) for status in ExitStatus
    ]


def test_the_table_of_the_summary_has_each_of_its_fields() -> None:
    table = rows("The summary of `--json`")
    assert [name for row in table for name in re.findall(r"`(\w+)`", row[0])] == list(summary(1, 0))
