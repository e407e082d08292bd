"""``python -m async_copilot.fake_server``, as a person and a shell script use it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from fake_client import chat_body, content_of

from async_copilot.fake_server.__main__ import main

PACKAGE = Path(__file__).parents[2]


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process and its base URL, from its one line on stdout."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "async_copilot.fake_server"]
    process = subprocess.Popen(  # noqa: S603  # our own module
        [*command, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PACKAGE,
        env=os.environ | {"PYTHONPATH": str(PACKAGE)},
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def ask(url: str, text: str) -> bytes:
    data = json.dumps(chat_body(text)).encode()
    request = urllib.request.Request(  # noqa: S310  # loopback
        url + "/chat/completions", data, {"Content-Type": "application/json"}
    )  # loopback
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return bytes(response.read())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_url_serves_the_demo_and_stops_cleanly(number: signal.Signals) -> None:
    with running() as (process, url):
        assert content_of(ask(url, "Hi, I am Ann")).startswith("Hello Ann!")
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == ""
    banner, line = err.splitlines()
    assert banner == "This is a built-in demo, not Copilot. Ctrl-C stops it."
    assert re.fullmatch(r"POST /v1/chat/completions 200, \d\.\d+ s", line)


def test_where_the_loop_takes_no_signals_ctrl_c_stops_it_as_cleanly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on Windows."""

    class Person(io.StringIO):
        """Presses Ctrl-C on reading that it stops the server."""

        def write(self, text: str) -> NoReturn:
            super().write(text)
            raise KeyboardInterrupt

    def unable(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", unable)
    monkeypatch.setattr(sys, "stderr", person := Person())
    assert main(["--port", "0"]) == 0
    assert person.getvalue() == "This is a built-in demo, not Copilot. Ctrl-C stops it.\n"


def test_it_stops_at_once_with_a_stream_open(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"content": "x", "fault": {"Stall": {"after": 1}}}')
    with running("--script", str(script)) as (process, url):
        port = int(url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            data = json.dumps(chat_body()).encode()
            head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
            seen = b""
            while b"data: " not in seen:
                seen += connection.recv(65536)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=2)
    assert process.returncode == 0
    banner, line = err.splitlines()
    assert banner == "This is your script, not Copilot. Ctrl-C stops it."
    assert re.fullmatch(r"POST /v1/chat/completions -, \d\.\d+ s, cut", line)


def test_a_script_file_and_a_dialect_are_honoured(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('["first", {"content": "second"}]')
    with running("--script", str(script), "--dialect", "litellm") as (_, url):
        bodies = [ask(url, "Hi") for _ in range(2)]
    assert [content_of(body) for body in bodies] == ["first", "second"]
    assert b"conversation" not in bodies[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"contents": 1}', "the answer has no 'contents'"),
        ("{", "is not JSON"),
        (None, "No such"),
    ],
)
def test_a_wrong_script_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, words: str
) -> None:
    script = tmp_path / "script.json"
    if text is not None:
        script.write_text(text)
    with pytest.raises(SystemExit) as stopped:
        main(["--script", str(script)])
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert words in err.splitlines()[-1]
    assert "script.json" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--port", "99999"], "port=99999: must be 0 to 65535"),
        (["--host", ""], "host='': must be a name or an address"),
        (["--record", "http://127.0.0.1:9/v1"], "--record needs --cassette FILE"),
        (["--record", "nothing", "--cassette", "x"], "must be a URL such as"),
        (["--script", "a", "--cassette", "b"], "not allowed with --cassette"),
        (["--cassette", "/nonexistent"], "No such file"),
        (["--cassette", "x", "--speed", "0"], "No such file|speed"),
        (["--cassette", "x", "--speed", "fast"], "'fast': must be a number or 'all'"),
        (["--speed", "2"], "--speed and --match are for a replay"),
        (["--match", "order", "--record", "u", "--cassette", "x"], "are for a replay"),
        (["--api-key", ""], "api_key=''"),
        (["--record", "http://u", "--cassette", "/nonexistent/x"], "is not a folder that is there"),
    ],
)
def test_options_that_cannot_be_meant_are_one_sentence(
    capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2
    assert re.search(words, capsys.readouterr().err.splitlines()[-1])


def test_it_serves_without_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(asyncio.Event, "wait", lambda _: asyncio.sleep(0))
    assert main(["--port", "0"]) == 0


def test_an_option_is_not_told_as_a_fault_of_the_script(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "script.json").write_text("[]")
    with pytest.raises(SystemExit):
        main(["--script", str(tmp_path / "script.json"), "--port", "-1"])
    assert "error: port=-1" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_a_host_that_is_not_a_name_is_one_sentence(
    capsys: pytest.CaptureFixture[str], host: str
) -> None:
    assert main(["--host", host, "--port", "0"]) == 1
    assert capsys.readouterr().err.startswith(f"cannot listen on {host} port 0: ")


def test_a_recorder_that_cannot_work_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    file = str(tmp_path / "a.cassette")
    with pytest.raises(SystemExit):
        main(["--record", f"http://127.0.0.1:{port}", "--cassette", file, "--port", port])
    assert "is the recorder itself" in capsys.readouterr().err
    assert main(["--record", "http://127.0.0.1:9", "--cassette", "/proc/none"]) == 1
    assert capsys.readouterr().err.startswith("cannot write /proc/none: ")


def test_a_recorder_and_a_replay_run_alone(tmp_path: Path) -> None:
    file = str(tmp_path / "a.cassette")
    with (
        running() as (_, upstream),
        running("--record", upstream, "--cassette", file) as (process, url),
    ):
        recorded = ask(url, "Hi, I am Ann")
        process.send_signal(signal.SIGTERM)
        assert f"a recorder of {upstream} to {file}" in process.communicate(timeout=30)[1]
    with running("--cassette", file, "--speed", "all") as (process, url):
        assert ask(url, "anything") == recorded
        process.send_signal(signal.SIGTERM)
        assert f"This is a replay of {file}" in process.communicate(timeout=30)[1]


def test_a_key_and_the_control_pages_are_there() -> None:
    with running("--api-key", "k", "--models", "a", "b", "--strict", "--dialect", "openai") as (
        _,
        url,
    ):
        origin = url.removesuffix("/v1")
        for path, key, status in (
            ("/v1/models", "Bearer k", 200),
            ("/v1/models", "Bearer x", 401),
            ("/_fake/requests", "Bearer k", 200),
            ("/_fake/requests", "Bearer x", 401),
        ):
            request = urllib.request.Request(origin + path, headers={"Authorization": key})  # noqa: S310
            try:
                with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                    seen = response.status
            except urllib.error.HTTPError as error:
                seen = error.code
                error.close()
            assert seen == status


def test_a_taken_port_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith(f"cannot listen on 127.0.0.1 port {port}: ")
