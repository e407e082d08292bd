"""Environments and processes of the real servers.

In: a ``Server`` (what to install, which of ``launchers`` to run). Out: a ``Running``
one, with its URL, version, log and journal. I/O: a cache folder of virtual environments
(made on demand by venv and pip), subprocesses on 127.0.0.1, a temporary folder a run.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "G4F",
    "LITELLM",
    "LLAMA_CPP",
    "InteropError",
    "Running",
    "Server",
    "launched",
    "prepare",
]

HERE = Path(__file__).parent
CACHE = os.environ.get("ASYNC_COPILOT_INTEROP_CACHE") or "~/.cache/async_copilot-interop"

# llama-cpp-python compiles, for eight minutes on two cores.
INSTALL_SECONDS = 1800.0
# A cold start imports some hundred modules on a shared machine.
START_SECONDS = 60.0
# Releases from 8.5 on wait ten minutes for open streams; a test does not.
STOP_SECONDS = 3.0


class InteropError(Exception):
    """A server could not be installed, started or stopped."""


@dataclass(frozen=True, slots=True)
class Server:
    """One real server: ``requirements`` for pip, ``launcher`` in the folder of that name.

    name:         what the table calls it.
    constraints:  pip's, for what the pin itself leaves open.
    pinned:       a pinned one must run; the other may fail, loudly.
    behind:       the server that this one passes requests to.
    """

    name: str
    requirements: tuple[str, ...]
    launcher: str
    constraints: Path | None = None
    pinned: bool = True
    behind: Server | None = None

    @property
    def environment(self) -> Path:
        """The folder of its virtual environment: another pin or Python is another folder."""
        limits = self.constraints.read_text("utf-8") if self.constraints else ""
        wanted = "\n".join([*self.requirements, limits, sys.version])
        digest = hashlib.sha256(wanted.encode()).hexdigest()[:8]
        label = self.name.replace(" ", "-")
        return Path(CACHE).expanduser() / f"{label}-py{platform.python_version()}-{digest}"

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return self.environment / "bin" / "python"

    def pip_arguments(self) -> list[str]:
        """What pip is asked for; the unpinned one is brought up to date each time."""
        limits = ["--constraint", str(self.constraints)] if self.constraints else []
        return [*limits, *([] if self.pinned else ["--upgrade"]), *self.requirements]


def g4f(release: str) -> Server:
    """The g4f API server of one release, or ``newest``."""
    if release == "newest":
        return Server("g4f newest", ("g4f[api]",), "g4f_server", pinned=False)
    limits = HERE / "g4f_constraints.txt"
    return Server(f"g4f {release}", (f"g4f[api]=={release}",), "g4f_server", limits)


# One release of each generation of its wire that there has been, and what came out since.
G4F = tuple(g4f(release) for release in ("0.4.9.0", "8.1.7", "8.8.6", "newest"))


# Asked for by name (see conftest): large, or long to build.
LITELLM = Server(
    "LiteLLM 1.106.2", ("litellm[proxy]==1.106.2",), "litellm_server", behind=g4f("8.8.6")
)
LLAMA_CPP = Server(
    "llama-cpp-python 0.3.36",
    ("llama-cpp-python[server]==0.3.36", "gguf==0.19.0"),
    "llama_cpp_server",
)


def prepare(server: Server) -> float:
    """Make the server's environment unless the cache has it; seconds it took.

    A stamp is written last, so an installation that broke off is done again from
    nothing; a lock keeps two runs from installing into one folder.
    """
    start = time.monotonic()
    if server.behind is not None:
        prepare(server.behind)
    folder = server.environment
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = folder / "complete"
        if not stamp.exists():
            shutil.rmtree(folder, ignore_errors=True)
            run([sys.executable, "-m", "venv", str(folder)])
        if not stamp.exists() or not server.pinned:
            pip = [str(server.python), "-m", "pip", "--disable-pip-version-check"]
            if not server.pinned:  # an old pip searches for an hour where a new one finds at once
                run([*pip, "install", "-q", "--upgrade", "pip"])
            run([*pip, "install", "-q", *server.pip_arguments()])
            stamp.touch()
    return time.monotonic() - start


def run(command: list[str]) -> str:
    """Run to the end; what it printed is the error where it fails."""
    try:
        done = subprocess.run(  # noqa: S603  # our own command
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InteropError(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        said = (done.stdout + done.stderr)[-3000:]
        raise InteropError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done.stdout


class Running:
    """A server process on a free port of 127.0.0.1, with the files it writes."""

    def __init__(self, server: Server, folder: Path, environ: dict[str, str]) -> None:
        self.server = server
        self.folder = folder
        self.port = free_port()
        self.behind: Running | None = None
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self.start_seconds = 0.0

    @property
    def url(self) -> str:
        """The base URL, as a client takes it."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def version(self) -> str:
        """The version that says it is serving, not the one that was asked for."""
        return str(self.journal("serving")[-1]["version"])

    def journal(self, event: str, **values: object) -> list[dict[str, Any]]:
        """The journal's lines of this event with these values, in order."""
        file = self.folder / "journal.jsonl"
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        found = [json.loads(line) for line in lines]
        return [e for e in found if e["event"] == event and values.items() <= e.items()]

    def log(self, lines: int = 60) -> str:
        """The end of what the server printed."""
        text = (self.folder / "log").read_text("utf-8", "replace")
        return "\n".join(text.splitlines()[-lines:])

    def start(self) -> None:
        """Start, again if it is running, and wait until it takes connections."""
        self.stop()
        began = time.monotonic()
        command = [str(self.server.python), "-m", f"launchers.{self.server.launcher}"]
        command += ["--port", str(self.port), "--folder", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own command
                command, cwd=self.folder, env=self._environ, stdout=log, stderr=log
            )
        while not accepts(self.port):
            if self._process.poll() is not None or time.monotonic() - began > START_SECONDS:
                self.stop(signal.SIGKILL)
                raise InteropError(f"{self.server.name} did not start:\n{self.log()}")
            time.sleep(0.05)
        self.start_seconds = time.monotonic() - began

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process, by force where it does not go."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts(port: int) -> bool:
    """Whether something takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def launched(server: Server, folder: Path, **environ: str) -> Iterator[Running]:
    """The server, started in ``folder`` with an environment that holds nothing of ours."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "PYTHONPATH": str(HERE),
        "PYTHONUNBUFFERED": "1",
    }
    with contextlib.ExitStack() as stack:
        behind = None
        if server.behind is not None:
            behind = stack.enter_context(launched(server.behind, folder / "behind"))
            own["INTEROP_BEHIND"] = behind.url
        running = Running(server, folder, {**own, **environ})
        running.behind = behind
        running.start()
        stack.callback(running.stop)
        yield running
