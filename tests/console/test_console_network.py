"""What stands between the console and a server: certificates, proxies, a full disk."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from console_runs import ROOT, clean_env, command, free_url, inside

CHUNK = b'data: {"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
ANSWER = HEAD + CHUNK + b"data: [DONE]\n\n"
REFUSAL = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def listening(answer: bytes, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port at which every request gets this answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listener.accept()
                    with accepted, plain(accepted) as connection:
                        connection.recv(65536)
                        connection.sendall(answer)
                except ssl.SSLError:
                    continue  # a client that does not trust us has left
                except OSError:
                    return

        def plain(accepted: socket.socket) -> socket.socket:
            if context is None:
                return accepted
            return context.wrap_socket(accepted, server_side=True)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(30)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def context(authority: trustme.CA) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(made)
    return made


def test_a_certificate_that_is_not_trusted_is_told_with_the_fix(context: ssl.SSLContext) -> None:
    with listening(ANSWER, context) as port:
        done = inside("Hi", "--url", f"https://localhost:{port}/v1")
    assert (done.returncode, done.stdout) == (69, "")
    assert "certificate" in done.stderr
    assert "localhost" in done.stderr
    assert "trust it with --cacert FILE" in done.stderr
    assert "nothing answers" not in done.stderr


def test_a_private_authority_is_trusted_with_its_file(
    authority: trustme.CA, context: ssl.SSLContext, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    with listening(ANSWER, context) as port:
        done = inside("Hi", "--cacert", str(file), "--url", f"https://localhost:{port}/v1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello\n", "")


def test_a_file_without_a_certificate_is_a_usage_problem(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    for name, words in (("empty.pem", "no certificate in PEM"), ("missing.pem", "No such file")):
        done = inside("Hi", "--cacert", str(tmp_path / name), "--url", free_url())
        assert done.returncode == 2
        assert f"--cacert {tmp_path / name}: " in done.stderr
        assert words in done.stderr


def test_a_proxy_that_is_not_there_is_named() -> None:
    proxy = free_url().removesuffix("/v1")
    done = inside("Hi", "--retries", "0", "--url", "http://chat.test/v1", env={"http_proxy": proxy})
    assert done.returncode == 69
    assert "proxy" in done.stderr
    assert "start a server" not in done.stderr


def test_a_proxy_that_wants_a_login_is_status_77() -> None:
    with listening(REFUSAL) as port:
        env = {"https_proxy": f"http://127.0.0.1:{port}"}
        done = inside("Hi", "--retries", "0", "--url", "https://chat.test/v1", env=env)
    assert done.returncode == 77
    assert "the proxy on the way to https://chat.test/v1" in done.stderr


@pytest.mark.parametrize("args", ["--version", "--help", "--json --bogus", "--json --url nonsense"])
def test_a_full_disk_is_told_whatever_is_written(args: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(  # noqa: S603  # our own module
            [*command(*args.split())],
            stdout=full,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=clean_env(),
            timeout=30,
            check=False,
        )
    assert done.returncode == (2 if "--bogus" in args else 74)
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert sys.executable not in done.stderr
