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
            request.add_header("Content-Type", "application/json")
            request.add_header("Content-Type", "application/json")
            body = await asyncio.to_thread(lambda: urllib.request.urlopen(request).read())
            assert json.loads(body)["choices"][0]["message"]["content"] == "Hello"
            assert server.requests[0].text == "Hi"
    asyncio.run(run())
"""

USES_SYNC = """
import json, os, urllib.request

def ask(url):
    data = json.dumps({"messages": [{"role": "user", "content": "Hi"}]}).encode()
    key = os.environ.get("OPENAI_API_KEY", "")
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(url + "/chat/completions", data, headers)
    answer = json.loads(urllib.request.urlopen(request).read())
    return answer["choices"][0]["message"]["content"]

def test_blocking_code(fake_chat_server_sync):
    with fake_chat_server_sync("Hello") as server:
        assert ask(server.url) == "Hello"

def test_code_that_reads_the_environment(fake_openai):
    fake_openai.script(["Hello", "Again"])
    assert [ask(os.environ["OPENAI_BASE_URL"]) for _ in range(2)] == ["Hello", "Again"]
    assert fake_openai.all_used()

def test_the_environment_is_as_before():
    assert not any("OPENAI" in name for name in os.environ)

def test_no_proxy_and_no_older_address_stands_before_it(monkeypatch, request):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9")
    server = request.getfixturevalue("fake_openai")
    server.script("Hello")
    assert ask(os.environ["OPENAI_API_BASE"]) == "Hello"

def test_the_demo_answers_before_there_is_a_script(fake_openai):
    assert ask(fake_openai.url).startswith("Hello!")
"""

FAILS = """
import urllib.request

def test_a_wrong_url_fails_its_test(fake_openai):
    try:
        urllib.request.urlopen(fake_openai.origin + "/wrong")
    except OSError:
        pass
"""

TRIO = """
import pytest

@pytest.fixture(params=["asyncio", "trio", ("asyncio", {"debug": True}), ("trio", {})])
def anyio_backend(request):  # as anyio has it
    return request.param

@pytest.mark.usefixtures("anyio_backend")  # as anyio does with tests marked as its own
def test_it(fake_chat_server):
    assert fake_chat_server("Hello") is not None
"""

IGNORES = """
import sys

def test_nothing():
    assert "aiohttp.web" not in sys.modules
    assert "async_copilot.fake_server" not in sys.modules
"""


def pytest_run(folder: Path, test: str, *options: str) -> str:
    """What a pytest prints that has this plugin and none that is installed."""
    (folder / "test_it.py").write_text(test, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "async_copilot.pytest_plugin"]
    environment = {name: os.environ[name] for name in os.environ if "OPENAI" not in name}
    process = subprocess.run(  # noqa: S603  # our own plugin
        [*command, "-p", "no:cacheprovider", "-W", "error", str(folder), *options],
        capture_output=True,
        text=True,
        cwd=PACKAGE,
        # Where the package is installed its entry point would load the plugin a second time.
        env=environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        check=False,
    )
    return process.stdout


def test_the_fixture_makes_servers(tmp_path: Path) -> None:
    assert "1 passed" in pytest_run(tmp_path, USES)


def test_the_blocking_fixtures_need_no_event_loop(tmp_path: Path) -> None:
    assert "5 passed" in pytest_run(tmp_path, USES_SYNC)


def test_what_was_not_expected_fails_the_test_at_its_end(tmp_path: Path) -> None:
    out = pytest_run(tmp_path, FAILS)
    assert "1 passed, 1 error" in out
    assert "GET /wrong: the server has no such URL" in out


def test_under_trio_the_asynchronous_fixture_is_a_clear_skip(tmp_path: Path) -> None:
    out = pytest_run(tmp_path, TRIO, "-rs")
    assert "2 passed, 2 skipped" in out
    assert "FakeServer runs in asyncio, not in trio: use fake_chat_server_sync" in out


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
