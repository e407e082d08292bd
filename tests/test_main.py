"""``python -m async_copilot``: what it answers before, and without, any server."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest

from async_copilot import __version__
from async_copilot.__main__ import main
from async_copilot.client import DEFAULT_BASE_URL
from async_copilot.console.argument_parser import DEFAULT_URL
from async_copilot.console.exit_status import ExitStatus

ROOT = Path(__file__).parents[1]

# Runs the module as -m does, then tells what it has imported.
IMPORTS = """
import runpy, sys
sys.argv = ["async-copilot", {option!r}]
try:
    runpy.run_module("async_copilot", run_name="__main__", alter_sys=True)
except SystemExit as end:
    heavy = sorted({{"aiohttp", "asyncio", "orjson", "yarl"}} & set(sys.modules))
    print(end.code, heavy, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("option", "start"),
    [("--version", f"async-copilot {__version__}\n"), ("--help", "usage: async-copilot")],
)
def test_help_and_version_come_without_aiohttp(option: str, start: str) -> None:
    """Importing the package is part of ``python -m``, so it must not import aiohttp either."""
    done = subprocess.run(  # noqa: S603  # our own module
        [sys.executable, "-c", IMPORTS.format(option=option)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout.startswith(start)
    assert done.stderr == "0 []\n"


def test_help_has_examples_the_environment_and_every_exit_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert 'async-copilot "Hi, I am Ann" "Who am I?"' in text
    assert "ASYNC_COPILOT_API_KEY" in text
    for status in ExitStatus:
        assert f"\n  {status.value:<4} {status.meaning}\n" in text


def test_the_default_address_is_the_librarys() -> None:
    """Written twice, since the client's module imports aiohttp."""
    assert DEFAULT_URL == DEFAULT_BASE_URL


def test_a_wrong_command_line_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bogus"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "async-copilot: unrecognized arguments: --bogus (-o NAME=VALUE sets a request's "
        "field; a message that begins with - goes behind --); see async-copilot --help\n"
    )


def test_with_json_a_wrong_command_line_has_its_summary_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--json", "--retries", "many"]) == 2
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert (summary["event"], summary["turn"], summary["exit_status"]) == ("end", 0, 2)
    assert summary["error"]["message"] in err


@pytest.mark.parametrize("option", ["--help", "--json --bogus"])
def test_text_into_a_closed_pipe_gives_no_traceback(option: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(  # noqa: S603, PLW1510  # our own module, and any status
        [sys.executable, "-m", "async_copilot", *option.split()],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert done.returncode == (141 if option == "--help" else 2)


def test_ctrl_c_while_the_command_line_is_loaded_is_quiet() -> None:
    class Interrupted(ModuleType):
        def __getattr__(self, name: str) -> None:
            raise KeyboardInterrupt

    late = {"async_copilot.console.argument_parser": Interrupted("console")}
    with mock.patch.dict(sys.modules, late), pytest.raises(SystemExit) as left:
        importlib.reload(sys.modules["async_copilot.__main__"])
    assert left.value.code == 130


def test_ctrl_c_while_it_loads_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(ModuleType):
        def __getattr__(self, name: str) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "async_copilot.console.run", Interrupted("console"))
    assert main(["Hi"]) == 130


def test_only_this_module_prints() -> None:
    printing = {
        path.name
        for path in (ROOT / "async_copilot").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    }
    assert printing == {"__main__.py"}
