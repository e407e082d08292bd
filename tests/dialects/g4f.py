"""g4f of three generations, recorded: tests/recordings holds every byte that the servers sent."""

from __future__ import annotations

import re
from typing import Any

from wire_server import recorded_body

from async_copilot.errors import StreamError, UnexpectedContentError
from async_copilot.wire.answer import End

from .row import Row, call, usage

__all__ = ["ROWS"]

FIRST, MIDDLE, LAST = "g4f-0.4.9.0", "g4f-8.1.7", "g4f-8.8.6"
EACH = (FIRST, MIDDLE, LAST)
LATER = (MIDDLE, LAST)

GREETING = (
    *("Hello", " Heiner!", " I", " am", " fine,", " thank", " you."),
    *(" How", " can", " I", " help", " you", " today?"),
)
NAME = ("Your", " name", " is", " Heiner.", " It", " is", " our", " turn", " number", " 2.")
UNKNOWN = ("I", " do", " not", " know", " your", " name", " yet.")
THOUGHT = ("Thinking\n", "First ", "I think, ", "then I speak.")
ANSWER = ("The", " answer", " is", " 42.")
EMOJI = (
    "👨",
    "\u200d",
    "👩\u200d",
    "👧",
    " e",
    "\u0301",
    " ",
    "🇩",
    "🇪",
    " 日",
    "本語",
    " ",
    "שלום",
    " 👍",
    "🏽",
    " ß",
    "éßÿ",
)
CONTROLS = (
    "a\rb", "c\nd", "e\r\nf", "g\n\nh", "i\0j", "k\u2028l\u2029m", "\ufeffn", "o\x85p",
    "\n\ndata: [DONE]\n\n", 'data: {"error": 1}\n\n', ": comment\n", "event: error\n", "[DONE]",
    '"quotes" \\ backslash', "\t", "end",
)  # fmt: skip
IMAGES = "<!-- generated images %s -->"
PICTURE = "[![a picture](https://example.invalid/a.png)](https://example.invalid/a.png)"


def counted(server: str, prompt: int, completion: int) -> dict[str, Any]:
    """The usage object as each generation writes it."""
    counts = usage(prompt, completion, prompt_tokens_details={"cached_tokens": 0})
    if server == FIRST:
        return counts | {"completion_tokens_details": {}}
    nothing = {"accepted_prediction_tokens": None, "rejected_prediction_tokens": None}
    counts |= {"completion_tokens_details": nothing, "cache": None}
    return counts if server == MIDDLE else counts | {"estimated_cost": None}


def row(server: str, scenario: str, claim: str, **expected: Any) -> Row:
    body = recorded_body(server, scenario)
    found = re.search(rb'"id":"(chatcmpl-\w+)"', body)
    handle = re.search(rb'"conversation":\{"conversation_id":"([\w-]+)"\}', body)
    if "tokens" in expected:
        expected["usage"] = counted(server, *expected.pop("tokens"))
    return Row(
        claim=f"{server.removeprefix('g4f-')}, {scenario}: {claim}",
        source=f"recorded: wire/{server}/{scenario}.http",
        body=body,
        id=found[1].decode() if found else None,
        provider=None if server == FIRST or found is None else "Copilot",
        conversation={"conversation_id": handle[1].decode()} if handle else None,
        **expected,
    )


def rows(scenario: str, claim: str, servers: tuple[str, ...] = EACH, **expected: Any) -> list[Row]:
    """The same answer by several generations; tokens differ between the first and the rest."""
    if "tokens" not in expected:
        return [row(server, scenario, claim, **expected) for server in servers]
    later = expected.pop("tokens")
    first = expected.pop("first_tokens", later)
    return [
        row(server, scenario, claim, tokens=first if server == FIRST else later, **expected)
        for server in servers
    ]


def failed(server: str, scenario: str, says: str, texts: tuple[str, ...], **more: Any) -> Row:
    return row(
        server,
        scenario,
        "an error frame ends the answer, with [DONE] after it or not",
        texts=texts,
        chunks=len(texts),
        finish=None,
        end=End.ERROR,
        error=StreamError,
        says=says,
        **more,
    )


CAFE = "RuntimeError: offline Copilot raised RuntimeError on request, status 503, café ☕"

ANSWERS = [
    *rows(
        "greeting", "text, then usage with the finish",
        texts=GREETING, chunks=14, tokens=(13, 15), first_tokens=(0, 13),
    ),
    row(FIRST, "name", "remembered by its id", texts=NAME, chunks=11, tokens=(0, 10)),
    *rows("name", "the id alone is forgotten", LATER, texts=UNKNOWN, chunks=8, tokens=(13, 6)),
    row(FIRST, "name_echo", "the echo is not read", texts=UNKNOWN, chunks=8, tokens=(0, 7)),
    *rows("name_echo", "remembered by the echo", LATER, texts=NAME, chunks=11, tokens=(13, 12)),
    row(
        FIRST, "reasoning", "reasoning is mixed into the text",
        texts=THOUGHT + ANSWER, chunks=9, tokens=(0, 8),
    ),
    *rows(
        "reasoning", "reasoning has a field of its own", LATER,
        texts=ANSWER, reasoning="".join(THOUGHT), chunks=9, tokens=(7, 5),
    ),
    row(
        FIRST, "reasoning_only", "reasoning is the text", texts=THOUGHT, chunks=5, tokens=(0, 4),
    ),
    *rows(
        "reasoning_only", "an answer without text is complete", LATER,
        reasoning="".join(THOUGHT), chunks=5, tokens=(8, 0),
    ),
    *rows(
        "think_tags", "tags in the text are text",
        texts=("<think>", "inner ", "voice", "</think>", "\n\n", "Outer ", "voice."),
        chunks=8, tokens=(6, 11), first_tokens=(0, 7),
    ),
    *rows(
        "usage", "the provider's own usage and finish reason",
        texts=("This", " answer", " was", " cut", " because", " it", " grew", " too"),
        chunks=9, finish="length", tokens=(11, 7),
    ),
    row(FIRST, "early_finish", "a finish ends it", texts=("Before. ",), chunks=2, tokens=(0, 1)),
    *rows(
        "early_finish", "pieces after the provider's finish still come", LATER,
        texts=("Before. ", "Right after. "), chunks=3, tokens=(0, 2),
    ),
    *rows(
        "empty_answer", "no piece at all is complete",
        chunks=1, tokens=(6, 0), first_tokens=(0, 0),
    ),
    row(
        FIRST, "falsy_pieces", "None is a word",
        texts=("None", "Real", "None", " text."), chunks=5, tokens=(0, 4),
    ),
    *rows(
        "falsy_pieces", "None and '' are dropped", LATER,
        texts=("Real", " text."), chunks=3, tokens=(6, 3),
    ),
    *rows(
        "emoji", "graphemes cut between their code points",
        texts=EMOJI, chunks=18, tokens=(6, 17), first_tokens=(0, 17),
    ),
    *rows(
        "controls", "line ends and look-alikes of the event stream are text",
        texts=CONTROLS, chunks=17, tokens=(7, 31), first_tokens=(0, 16),
    ),
    row(
        FIRST, "sources", "images are Markdown",
        texts=("See", f"\n{IMAGES % 'start'}\n{PICTURE}\n{IMAGES % 'end'}\n\n"),
        chunks=3, tokens=(0, 2),
    ),
    *rows(
        "sources", "images and sources are Markdown", LATER,
        texts=("See", PICTURE, "\n\n\n\n> [0] [One](https://example.invalid/1)"),
        chunks=4, tokens=(0, 3),
    ),
    *rows(
        "max_tokens", "max_tokens counts pieces",
        texts=("You", " said:", " a"), chunks=4, finish="length", tokens=(0, 3),
    ),
]  # fmt: skip

CALLS = [
    row(FIRST, "tool_calls", "are dropped", texts=("Let me look. ",), chunks=2, tokens=(0, 1)),
    *rows(
        "tool_calls", "whole in one delta, and the finish is stop", LATER,
        texts=("Let me look. ",),
        calls=(
            call("get_weather", '{"city": "Köln"}', id="call_1"),
            call("get_time", "{}", id="call_2", index=1),
        ),
        chunks=3, tokens=(6, 3),
    ),
    row(
        FIRST, "tool_calls_emulated", "are text",
        texts=('{"tool_calls": [{"name": "get_weather", ', '"arguments": {"city": "Köln"}}]}'),
        chunks=3, tokens=(0, 2),
    ),
    *rows(
        "tool_calls_emulated", "g4f makes the call, and the finish is tool_calls", LATER,
        calls=(call("get_weather", '{"city": "K\\u00f6ln"}', id="call_0"),),
        chunks=2, finish="tool_calls", tokens=(0, 2),
    ),
]  # fmt: skip

FAILURES = [
    *rows(
        "abort", "a cancelled provider ends in perfect order: cut off",
        texts=("One ", "two ", "three "), chunks=3, finish=None, end=End.TRUNCATED,
    ),
    *(
        row(
            server, "shutdown_mid", "SIGTERM: the body breaks off",
            texts=("Wait",), chunks=1, finish=None, end=End.TRUNCATED,
        )
        for server in (FIRST, LAST)
    ),
    failed(FIRST, "raise_mid_RuntimeError", CAFE, ("One ", "two ", "three "), type="RuntimeError"),
    failed(MIDDLE, "raise_mid_RuntimeError", CAFE, ("One ", "two ", "three "), type="RuntimeError"),
    failed(LAST, "raise_mid_RuntimeError", "Request execution failed", ("One ", "two ", "three ")),
    failed(FIRST, "raise_first_RuntimeError", CAFE, (), type="RuntimeError"),
    failed(
        FIRST, "surrogate", "PydanticSerializationError", ("before ",),
        type="PydanticSerializationError",
    ),
    failed(MIDDLE, "surrogate", "UnicodeEncodeError", ("before ",), type="UnicodeEncodeError"),
    failed(LAST, "surrogate", "Request execution failed", ("before ",)),
]  # fmt: skip

WHOLE = [
    row(
        FIRST, "no_stream", "without stream there is no completion at all",
        media_type="application/json", chunks=0, finish=None,
        end=End.ERROR, error=UnexpectedContentError, says="JSON that is not a completion",
    ),
    *rows(
        "no_stream", "without stream a completion", LATER,
        media_type="application/json", texts=("You said: Hello",), chunks=1, tokens=(6, 5),
    ),
]  # fmt: skip

# One HTTP chunk of 1.2 MB, and 5,000 events: run whole and at random cuts, not byte by byte.
LARGE = [
    row(
        LAST, "big", "a piece of any size is one line",
        texts=("0123456789abcdef" * 73728,), chunks=2, tokens=(8, 294912),
    ),
    row(
        LAST, "many", "five thousand pieces",
        texts=tuple(f"{number} " for number in range(5000)), chunks=5001, tokens=(7, 4990),
    ),
]  # fmt: skip

ROWS = ANSWERS + CALLS + FAILURES + WHOLE
