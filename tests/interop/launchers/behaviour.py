"""What the remote behind every real server does: remembers names, and fails when told to.

In: the user's messages, of which the last counts, and the conversation's id. Out: pieces, small
values that a launcher turns into its server's own classes. I/O: two files in
the run's folder, ``memory.jsonl`` (so that a restart does not forget) and
``journal.jsonl`` (so that a test can see what the server's side saw). Imports nothing
but the standard library: it runs inside the servers' own environments.

A message holding ``!word [argument]`` is an instruction:

=================== ==============================================================
``!reasoning``      two pieces of reasoning, then text
``!tools``          text, then two tool calls
``!raise-first X``  raises X before the first piece
``!raise-mid X``    raises X after three pieces
``!slow S``         S seconds of silence, then text
``!stall S``        one piece, S seconds of silence, another piece
``!count N``        N pieces
``!huge``           one piece of 1.2 million characters
``!strange``        one piece of everything that a line reader might trip over
``!clock N``        N pieces, each the time it was made
``!flood N``        N pieces of 64 Ki characters; the journal says when all are gone
``!recall``         the name out of the messages sent, not out of memory
``!abort``          three pieces, then the task is cancelled
``!endless T``      pieces until the client leaves; the journal says when, under T
``!quiet T``        one piece, then silence until the client leaves
``!hush T``         silence from the start, until the client leaves or 2 s have gone by
=================== ==============================================================

Anything else is talk: an introduction is remembered, "my name" is answered from memory.
A message may begin with a transcript, as prompts do (``User: …``, ``Assistant: …``): what
it says is remembered, what stands after the last ``User:`` is answered.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["STRANGE", "Memory", "Piece", "Remote", "Text", "Think", "Tools"]

INSTRUCTION = re.compile(r"!([a-z][a-z-]*)(?:[ ]+(\S+))?")
INTRODUCTION = re.compile(r"\b(?:i am|i'm|my name is) ([\w-]+)", re.IGNORECASE)
# Our own lines of a transcript.
ANSWERED = re.compile(r"^Assistant: .*$", re.MULTILINE)

# A forgotten stream must not outlive the test run by much.
LONGEST_STREAM = 60.0


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Think:
    """A piece of reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class Tools:
    """Whole tool calls, in the wire form of chat completions."""

    calls: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """The remote's handle for this conversation."""

    conversation_id: str


Piece = Text | Think | Tools | Memory

TOOL_CALLS: tuple[dict[str, Any], ...] = (
    {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Köln"}'},
    },
    {"id": "call_2", "type": "function", "function": {"name": "get_time", "arguments": "{}"}},
)

NOT_TOLD = "You have not told me your name."

# Separators that str.splitlines() knows and the event stream does not, what JSON must
# escape, what looks like an event's end, and letters of one to four bytes.
STRANGE = "a\u2028b\u2029c\u0085d\ufeffe\x00f\r\ng\n\ndata: [DONE]\n\nh é ☕ 😀"

FIXED: dict[str, tuple[Piece, ...]] = {
    "reasoning": (Think("The user greets. "), Think("I greet back."), Text("Hello!")),
    "tools": (Text("Let me look. "), Tools(TOOL_CALLS)),
    "strange": (Text(STRANGE),),
    "huge": (Text("x" * 1_200_000),),
}


class Remote:
    """The far end that a provider of g4f would reach over the net; here it is two files."""

    def __init__(self, folder: Path) -> None:
        """Read what an earlier process of this folder remembered.

        A launcher adds to ``errors``: what ``!raise-first`` and ``!raise-mid`` may name.
        """
        self._memory = folder / "memory.jsonl"
        self._journal = folder / "journal.jsonl"
        self.errors: dict[str, type[Exception]] = {"RuntimeError": RuntimeError}
        self._names: dict[str, str] = {}
        if self._memory.exists():
            for line in self._memory.read_text("utf-8").splitlines():
                self._names.update(json.loads(line))

    def note(self, event: str, **values: object) -> None:
        """Append one line to the journal, with the clock that the test reads too."""
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, "time": time.time(), **values}) + "\n")

    async def answer(
        self, messages: list[str], conversation_id: str | None, prefix: str = ""
    ) -> AsyncIterator[Piece]:
        """The pieces of one answer, the conversation's handle first.

        ``messages``: the user's, of which only ``!recall`` looks beyond the last.
        ``prefix``: of the handle of a new conversation.
        """
        message = messages[-1]
        found = INSTRUCTION.search(message.rpartition("User: ")[2])
        word, argument = (found[1], found[2] or "") if found else ("", "")
        if word == "raise-first":
            raise self._failure(argument)
        handle = conversation_id or f"{prefix}{uuid.uuid4()}"
        yield Memory(handle)
        for name in INTRODUCTION.findall(ANSWERED.sub("", message)):
            self._remember(handle, name)
        if word == "recall":
            told = [name for text in messages for name in INTRODUCTION.findall(text)]
            pieces = self._say(f"Your name is {told[-1]}." if told else NOT_TOLD)
        else:
            pieces = self._obey(word, argument) if word else self._talk(message, handle)
        async for piece in pieces:
            yield piece

    async def _talk(self, message: str, handle: str) -> AsyncIterator[Piece]:
        introduction = INTRODUCTION.search(message.rpartition("User: ")[2])
        if introduction:
            words = f"Hello {introduction[1]}! I am fine, thank you."
        elif "my name" in message.lower():
            name = self._names.get(handle)
            words = f"Your name is {name}." if name else NOT_TOLD
        else:
            words = "I am here."
        async for piece in self._say(words):
            yield piece

    async def _say(self, words: str) -> AsyncIterator[Piece]:
        for word in re.findall(r"\S+\s*", words):
            yield Text(word)
            await asyncio.sleep(0)

    def _remember(self, handle: str, name: str) -> None:
        self._names[handle] = name
        with self._memory.open("a", encoding="utf-8") as file:
            file.write(json.dumps({handle: name}) + "\n")

    async def _obey(self, word: str, argument: str) -> AsyncIterator[Piece]:
        if word in FIXED:
            for piece in FIXED[word]:
                yield piece
        elif word in ("endless", "quiet", "hush"):
            async for piece in self._until_left(argument, word):
                yield piece
        elif word in ("raise-mid", "abort"):
            for text in ("One ", "two ", "three "):
                yield Text(text)
                await asyncio.sleep(0.01)
            raise asyncio.CancelledError if word == "abort" else self._failure(argument)
        else:
            async for text in self._measured(word, float(argument)):
                yield Text(text)

    async def _measured(self, word: str, amount: float) -> AsyncIterator[str]:
        if word in ("slow", "stall"):
            if word == "stall":
                yield "One "
            await asyncio.sleep(amount)
            yield "two."
            return
        for number in range(int(amount)):
            if word == "clock":
                await asyncio.sleep(0.02)
                yield f"{time.time()} "
            else:
                yield f"{number} " if word == "count" else "x" * 2**16
        if word == "flood":
            self.note("flooded")

    async def _until_left(self, tag: str, word: str) -> AsyncIterator[Piece]:
        self.note("began", tag=tag)
        end = time.monotonic() + (2.0 if word == "hush" else LONGEST_STREAM)
        try:
            if word != "hush":
                yield Text("0 ")
            number = 0
            while time.monotonic() < end:
                await asyncio.sleep(0.02)
                if word == "endless":
                    number += 1
                    yield Text(f"{number} ")
        except (GeneratorExit, asyncio.CancelledError) as left:
            self.note("left", tag=tag, how=type(left).__name__)
            raise
        self.note("nobody left", tag=tag)

    def _failure(self, name: str) -> Exception:
        return self.errors[name](f"the remote raised {name}, café ☕")
