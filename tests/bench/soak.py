"""The soak: thousands of streams at once, two in five of them going wrong, for a minute.

::

    python tests/bench/soak.py [--streams 2000] [--seconds 60] [--pace 0.5]

Of ten requests one is killed by the server (RST), one cut (FIN), one stalls, one is left
early by the client, and six are whole; each client asks again as soon as its reply has
ended. The server runs in a process of its own on a loopback port. What it sends follows
from the request's number alone, so that both sides know every character.

Checked, of every reply: the right End (and the right error), and the text, exactly what
was sent. Checked in the end: memory and file descriptors of the client's process did
not grow between the second and the last quarter, nothing is left open on either side.
Prints a summary; exits with 1 if anything was violated, with 2 if it cannot run here.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import os
import resource
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

from fault_script import DONE as DONE_EVENT  # noqa: E402  # after the path is set
from fault_script import (  # noqa: E402  # after the path is set
    FIN,
    HOLD,
    LAST_CHUNK,
    RST,
    SSE,
    STOP,
    Answer,
    Step,
    chunk,
    said,
)
from fault_server import FaultServer, Request  # noqa: E402  # after the path is set

from async_copilot import (  # noqa: E402  # after the path is set
    CopilotClient,
    CopilotError,
    DisconnectedError,
    End,
    Reply,
    SilenceTimeoutError,
    Timeouts,
)

KINDS = ("killed", "cut", "stalled", "left", *["whole"] * 6)
PIECES = 12  # deltas of a whole answer
PATIENCE = 16  # paces without a byte are silence; a busy machine is late, not silent

EXPECTED: dict[str, tuple[End, type[CopilotError] | None]] = {
    "killed": (End.DISCONNECTED, DisconnectedError),
    "cut": (End.DISCONNECTED, DisconnectedError),
    "stalled": (End.STALLED, SilenceTimeoutError),
    "left": (End.CANCELLED, None),
    "whole": (End.COMPLETE, None),
}


def kind_of(number: int) -> str:
    """What becomes of request `number`."""
    return KINDS[number % len(KINDS)]


def pieces_of(number: int) -> list[str]:
    """What the server sends for it, as far as it gets; "left" is endless but for this."""
    count = PIECES if kind_of(number) in ("whole", "left") else 1 + number % PIECES
    return [f"{number}:{place} \N{SNOWMAN} " for place in range(count)]


# The server's process.


def answer(request: Request, pace: float) -> Answer:
    """The steps for a request that says its number."""
    number = int(request.json["messages"][-1]["content"])
    first = pace * (number % 7) / 7  # so that not all of them write in the same moment
    steps: list[Step] = [SSE, first]
    for piece in pieces_of(number):
        steps += [said(piece), pace]
    ends: dict[str, list[Step]] = {
        "killed": [RST],
        "cut": [FIN],
        "stalled": [HOLD],
        "left": [HOLD],
        "whole": [chunk(STOP) + chunk(DONE_EVENT) + LAST_CHUNK],
    }
    return steps + ends[kind_of(number)]


async def serve(pace: float) -> None:
    """Serve until stdin ends, as it does when the parent dies; then say what was seen, as JSON."""
    async with FaultServer(route=lambda request: answer(request, pace)) as server:
        print(server.url, flush=True)  # noqa: T201  # the parent reads it
        await asyncio.to_thread(sys.stdin.read)
        await asyncio.sleep(min(1.0, 4 * pace))  # the client's FINs are on their way
        seen = {
            "requests": len(server.requests),
            "connections": len(server.connections),
            "open": server.open(),
        }
    print(json.dumps(seen), flush=True)  # noqa: T201  # the parent reads it


# The client's process.


@dataclass
class Soak:
    """What the clients have seen so far."""

    numbers: int = 0
    replies: collections.Counter[str] = field(default_factory=collections.Counter)
    characters: int = 0
    violations: list[str] = field(default_factory=list)
    samples: list[tuple[float, int, int]] = field(default_factory=list)

    def next_number(self) -> int:
        """A number nobody has had."""
        self.numbers += 1
        return self.numbers

    def judge(self, number: int, reply: Reply | None, error: CopilotError | None) -> None:
        """Compare a reply that has ended with what its number says about it."""
        kind = kind_of(number)
        end, expected = EXPECTED[kind]
        sent = "".join(pieces_of(number)[: 1 + number % 5 if kind == "left" else None])
        self.replies[kind] += 1
        if reply is None:
            self.violations.append(f"{number} ({kind}): no reply, {error!r}")
            return
        self.characters += len(reply.text)
        if type(error) is not (expected or type(None)) or reply.end is not end:
            self.violations.append(f"{number} ({kind}): {reply.end}, {error!r}")
        if reply.text != sent:
            self.violations.append(f"{number} ({kind}): got {reply.text!r}, sent {sent!r}")
        if error is not None and error.reply is not reply:
            self.violations.append(f"{number} ({kind}): the error does not carry the reply")

    def sample(self) -> None:
        """Note memory and descriptors of this process."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory = pages * resource.getpagesize()
        self.samples.append((time.monotonic(), memory, len(os.listdir("/proc/self/fd"))))  # noqa: PTH208  # a name each is enough

    def growth(self) -> tuple[float, float]:
        """Memory (bytes) and descriptors: median of the last quarter above the second's."""
        quarter = max(1, len(self.samples) // 4)
        before, after = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        memory, files = (
            statistics.median(sample[place] for sample in after)
            - statistics.median(sample[place] for sample in before or after)
            for place in (1, 2)
        )
        return memory, files


async def ask(client: CopilotClient, soak: Soak) -> None:
    """One request, to its end; every fifth reader is a slow one."""
    number = soak.next_number()
    reply: Reply | None = None
    failure: CopilotError | None = None
    try:
        async with client.stream(str(number)) as reply:
            wanted = 1 + number % 5 if kind_of(number) == "left" else None
            taken = 0
            async for _ in reply:
                taken += 1
                if taken == wanted:
                    break
                if number % 5 == 0:
                    await asyncio.sleep(0.01)
    except CopilotError as error:
        failure = error
    except Exception as error:  # noqa: BLE001  # what is not ours must not get out
        soak.violations.append(f"{number} ({kind_of(number)}): {error!r} got out")
        return
    soak.judge(number, reply, failure)


async def load(url: str, streams: int, seconds: float, pace: float, soak: Soak) -> None:
    """Keep `streams` requests under way for `seconds`; then let them end."""
    over = time.monotonic() + seconds

    async def worker(place: int) -> None:
        await asyncio.sleep(place / streams * min(2.0, seconds / 4))
        while time.monotonic() < over:
            await ask(client, soak)

    async def watch() -> None:
        while True:
            soak.sample()
            await asyncio.sleep(min(1.0, seconds / 20))

    clocks = Timeouts(connect=60, silence=PATIENCE * pace, stall=None)
    async with CopilotClient(base_url=url, timeouts=clocks, max_retries=0) as client:
        watching = asyncio.create_task(watch())
        workers = [asyncio.create_task(worker(place)) for place in range(streams)]
        await asyncio.sleep(seconds)
        # Sampling ends with the load: what drains afterwards is no steady state.
        watching.cancel()
        await asyncio.gather(*workers)


async def run(streams: int, seconds: float, pace: float) -> int:
    """The whole soak; 0 when nothing was violated."""
    command = (__file__, "--serve", "--pace", str(pace))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    soak = Soak()
    started = time.monotonic()
    files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a name each is enough
    await load(url, streams, seconds, pace, soak)
    await asyncio.sleep(0.1)
    took = time.monotonic() - started
    left_files = len(os.listdir("/proc/self/fd")) - files  # noqa: PTH208  # a name each is enough
    left_tasks = len(asyncio.all_tasks()) - 1
    seen = json.loads((await process.communicate(b""))[0])
    memory, grown_files = soak.growth()
    # Medians of a busy process wobble; a leak of 1 KiB a reply would be far beyond this.
    for name, value, limit in (
        ("memory grew by MiB", memory / 2**20, 4 + 0.05 * soak.samples[-1][1] / 2**20),
        ("descriptors grew by", grown_files, 0.05 * streams + 8),
        ("descriptors left over", left_files, 0),
        ("tasks left over", left_tasks, 0),
        ("connections the server still sees", seen["open"], 0),
    ):
        if value > limit:
            soak.violations.append(f"{name}: {value:.1f} (at most {limit:.1f})")
    report(soak, seen, streams, took)
    return 1 if soak.violations else 0


def report(soak: Soak, seen: dict[str, int], streams: int, took: float) -> None:
    """Print the summary."""
    memory, files = soak.growth()
    lines = [
        f"{sum(soak.replies.values())} replies of {streams} concurrent streams in {took:.1f} s",
        "  " + ", ".join(f"{count} {kind}" for kind, count in sorted(soak.replies.items())),
        f"  {soak.characters:,} characters, each compared with what was sent",
        f"  memory {soak.samples[-1][1] / 2**20:.0f} MiB, growth {memory / 2**20:+.1f} MiB",
        f"  descriptors {soak.samples[-1][2]}, growth {files:+.0f}",
        f"  server: {seen['requests']} requests, {seen['connections']} connections",
        f"{len(soak.violations)} violations",
        *soak.violations[:20],
    ]
    print("\n".join(lines))  # noqa: T201  # its report


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--streams", type=int, default=2000, help="at once (2000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of load (60)")
    parser.add_argument("--pace", type=float, default=0.5, help="seconds between deltas (0.5)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    wanted = options.streams + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        print(f"{wanted} descriptors are needed, {hard} allowed (ulimit -n)", file=sys.stderr)  # noqa: T201  # its report
        return 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    if options.serve:
        asyncio.run(serve(options.pace))
        return 0
    return asyncio.run(run(options.streams, options.seconds, options.pace))


if __name__ == "__main__":
    sys.exit(main())
