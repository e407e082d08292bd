"""The fixture, in a pytest of its own, and what it costs a run that does not use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

USES = """
import asyncio, json, urllib.request

def test_streaming(fake_chat_server):
    async def run():
        async with fake_chat_server("Hello") as server:
            data = json.dumps({"messages": [{"role": "user", "content": "Hi"}]}).encode()
            request = urllib.request.Request(server.url + "/chat/completions", data)
            body = await asyncio.to_thread(lambda: urllib.request.urlopen(request).read())
            assert json.loads(body)["choices"][0]["message"]["content"] == "Hello"
            assert server.requests[0].text == "Hi"
    asyncio.run(run())
"""

IGNORES = """
import sys

def test_nothing():
    assert "aiohttp.web" not in sys.modules
    assert "async_copilot.fake_server" not in sys.modules
"""


def pytest_run(folder: Path, test: str) -> str:
    """What a pytest prints that has this plugin and none that is installed."""
    (folder / "test_it.py").write_text(test, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "async_copilot.pytest_plugin"]
    process = subprocess.run(  # noqa: S603  # our own plugin
        [*command, "-p", "no:cacheprovider", "-W", "error", str(folder)],
        capture_output=True,
        text=True,
        cwd=PACKAGE,
        # Where the package is installed its entry point would load the plugin a second time.
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        check=False,
    )
    return process.stdout


def test_the_fixture_makes_servers(tmp_path: Path) -> None:
    assert "1 passed" in pytest_run(tmp_path, USES)


def test_a_run_without_it_imports_no_server(tmp_path: Path) -> None:
    assert "1 passed" in pytest_run(tmp_path, IGNORES)


def test_importing_the_package_imports_no_server() -> None:
    code = (
        "import sys, async_copilot as _; "
        "print([m for m in sys.modules if m == 'aiohttp.web' or 'fake' in m or 'pytest' in m])"
    )
    process = subprocess.run(  # noqa: S603  # our own package
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE, check=True
    )
    assert process.stdout == "[]\n"
