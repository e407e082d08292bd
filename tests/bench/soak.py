"""The soak: thousands of streams at once, two in five of them going wrong, for a minute.

::

    python tests/bench/soak.py [--streams 2000] [--seconds 60] [--pace 0.5]

Of ten requests one is killed by the server (RST), one cut (FIN), one stalls, one is left
early by the client, and six are whole, one of them with a second answer right behind it that
nobody asked for; each client asks again as soon as its reply has ended. The server runs in a
process of its own on a loopback port. What it sends follows from the request's number alone,
so that both sides know every character.

Checked, of every reply: the right End (and the right error), and the text, exactly what
was sent. The load comes in rounds. Between two of them nothing is under way, and the server
hangs up on every connection: what the client's process holds then is counted, in blocks of
memory. An object that stays of each reply is a block a reply, or more; half of that is a
violation. It is a count, which no busy machine changes. No descriptor, task or connection may
be left at all.
Prints a summary; exits with 1 if anything was violated, with 2 if it cannot run here.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import gc
import json
import os
import resource
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
    stream,
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

KINDS = ("killed", "cut", "stalled", "left", "followed", *["whole"] * 5)
PIECES = 12  # deltas of a whole answer
ROUNDS = 4
SLACK = 1000  # blocks; what is on its way out when they are counted, 500 at most as measured
PATIENCE = 16  # paces without a byte are silence; a busy machine is late, not silent

EXPECTED: dict[str, tuple[End, type[CopilotError] | None]] = {
    "killed": (End.DISCONNECTED, DisconnectedError),
    "cut": (End.DISCONNECTED, DisconnectedError),
    "stalled": (End.STALLED, SilenceTimeoutError),
    "left": (End.CANCELLED, None),
    "followed": (End.COMPLETE, None),
    "whole": (End.COMPLETE, None),
}


def kind_of(number: int) -> str:
    """What becomes of request `number`."""
    return KINDS[number % len(KINDS)]


def pieces_of(number: int) -> list[str]:
    """What the server sends for it, as far as it gets; "left" goes on until the client leaves."""
    broken = kind_of(number) in ("killed", "cut", "stalled")
    count = 1 + number % PIECES if broken else PIECES
    return [f"{number}:{place} \N{SNOWMAN} " for place in range(count)]


# The server's process.


def answer(request: Request, pace: float) -> Answer:
    """The steps for a request that says its number."""
    number = int(request.json["messages"][-1]["content"])
    first = pace * (number % 7) / 7  # so that not all of them write in the same moment
    steps: list[Step] = [SSE, first]
    for piece in pieces_of(number):
        steps += [said(piece), pace]
    whole = chunk(STOP) + chunk(DONE_EVENT) + LAST_CHUNK
    ends: dict[str, list[Step]] = {
        "killed": [RST],
        "cut": [FIN],
        "stalled": [HOLD],
        "left": [HOLD],
        "followed": [whole + stream("what nobody asked for")],
        "whole": [whole],
    }
    return steps + ends[kind_of(number)]


async def serve(pace: float) -> None:
    """Hang up and say what was seen, as JSON, for every line of stdin; until that ends."""
    async with FaultServer(route=lambda request: answer(request, pace)) as server:
        print(server.url, flush=True)  # noqa: T201  # the parent reads it
        while await asyncio.to_thread(sys.stdin.readline):
            await asyncio.sleep(min(1.0, 4 * pace))  # FINs of streams left are on their way
            seen = {
                "requests": len(server.requests),
                "connections": len(server.connections),
                "open": server.open(),
            }
            server.hang_up()
            print(json.dumps(seen), flush=True)  # noqa: T201  # the parent reads it


# The client's process.


@dataclass(frozen=True, slots=True)
class Quiet:
    """What this process holds while nothing is under way: of memory, blocks and bytes."""

    replies: int
    blocks: int
    memory: int
    files: int

    @classmethod
    def now(cls, replies: int) -> Quiet:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(replies, sys.getallocatedblocks(), pages * resource.getpagesize(), files())


def files() -> int:
    """Descriptors that are open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a name each is enough


@dataclass
class Soak:
    """What the clients have seen so far."""

    numbers: int = 0
    replies: collections.Counter[str] = field(default_factory=collections.Counter)
    characters: int = 0
    violations: list[str] = field(default_factory=list)
    rounds: list[Quiet] = field(default_factory=list)

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

    def demand(self, name: str, value: float, limit: float) -> None:
        if value > limit:
            self.violations.append(f"{name}: {value:g} (at most {limit:g})")

    def growth(self) -> tuple[int, int]:
        """Blocks of memory more than after the first round, and replies since then."""
        first, last = self.rounds[0], self.rounds[-1]
        return last.blocks - first.blocks, last.replies - first.replies

    def demand_no_growth(self) -> None:
        blocks, replies = self.growth()
        self.demand("blocks of memory left behind", blocks, SLACK + replies / 2)


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


async def load(client: CopilotClient, streams: int, seconds: float, soak: Soak) -> None:
    """Keep `streams` requests under way for `seconds`; then let them end."""
    over = time.monotonic() + seconds

    async def worker(place: int) -> None:
        await asyncio.sleep(place / streams * min(2.0, seconds / 4))
        while time.monotonic() < over:
            await ask(client, soak)

    async with asyncio.TaskGroup() as workers:
        for place in range(streams):
            workers.create_task(worker(place))


async def hang_up(server: asyncio.subprocess.Process) -> dict[str, int]:
    """Let the server close every connection; return what it saw until then."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(b"\n")
    seen: dict[str, int] = json.loads(await server.stdout.readline())
    return seen


async def files_within(seconds: float, wanted: int) -> int:
    """Return the descriptors that are open once there are no more than wanted, or in the end."""
    over = time.monotonic() + seconds
    while files() > wanted and time.monotonic() < over:  # noqa: ASYNC110  # the kernel's, no event
        await asyncio.sleep(0.05)
    return files()


async def run(streams: int, seconds: float, pace: float) -> int:
    """The whole soak; 0 when nothing was violated."""
    pipe = asyncio.subprocess.PIPE
    command = (__file__, "--serve", "--pace", str(pace))
    server = await asyncio.create_subprocess_exec(sys.executable, *command, stdin=pipe, stdout=pipe)
    assert server.stdout is not None
    url = (await server.stdout.readline()).decode().strip()
    soak, started, before = Soak(), time.monotonic(), files()
    clocks = Timeouts(connect=60, silence=PATIENCE * pace, stall=None)
    async with CopilotClient(base_url=url, timeouts=clocks, max_retries=0) as client:
        for number in range(ROUNDS):
            await load(client, streams, seconds / ROUNDS, soak)
            await hang_up(server)
            left = await files_within(30, before)
            soak.demand(f"descriptors left over by round {number + 1}", left, before)
            soak.rounds.append(Quiet.now(sum(soak.replies.values())))
    soak.demand_no_growth()
    soak.demand("tasks left over", len(asyncio.all_tasks()), 1)
    seen = await hang_up(server)
    soak.demand("connections the server still sees", seen["open"], 0)
    await server.communicate(b"")
    report(soak, seen, streams, time.monotonic() - started)
    return 1 if soak.violations else 0


def report(soak: Soak, seen: dict[str, int], streams: int, took: float) -> None:
    """Print the summary."""
    blocks, replies = soak.growth()
    memory = ", ".join(f"{quiet.memory / 2**20:.1f}" for quiet in soak.rounds)
    lines = [
        f"{sum(soak.replies.values())} replies of {streams} concurrent streams in {took:.1f} s",
        "  " + ", ".join(f"{count} {kind}" for kind, count in sorted(soak.replies.items())),
        f"  {soak.characters:,} characters, each compared with what was sent",
        f"  memory between rounds: {memory} MiB, {blocks:+} blocks in {replies} replies",
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
