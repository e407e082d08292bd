"""A shape's name and a number of deltas in; the events of that stream, and its text, out. No I/O.

Several shapes, so that nobody wins by knowing one by heart:

openai    what OpenAI sends, every field but the content the same in each chunk.
g4f       the chunks of g4f 8.8.6, byte for byte, with its last one (usage, conversation).
padded    the first with OpenAI's ``obfuscation``, padding of another length in each chunk.
created   the first with a ``created`` that goes on.
ids       the first with another ``id`` in each chunk, as some gateways number them.
varied    two fields that change: padded and created in one.
restless  as varied, with another ``id`` and ``system_fingerprint`` in each chunk: no server
          known does that; it shows what a delta costs when nothing can be foreseen.

The pieces are the same in all of them: mostly words, and one in ten something that a JSON
string escapes or that is not ASCII.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable
from functools import cache

__all__ = ["DONE", "SHAPES", "digest", "events", "huge", "pieces", "stamped"]

DONE = b"data: [DONE]\n\n"
WORDS = """
Sure here is how the stream of tokens comes to you one after another while a model is still
thinking about what it will say next and every piece of it is a word or a part of one
"""
RARE = (
    "\n\n",
    ' "quoted"',
    "\n```python\n",
    " naïve",
    " Grüße",
    " 你好",
    " 🙂",
    "\t",
    " C:\\new",
    ".",
)
STAMP = "@" * 20
CREATED = 1795389345

Render = Callable[[random.Random, int, str], str]


def quote(text: str) -> str:
    """A JSON string, characters beyond ASCII raw, as every server recorded sends them."""
    return json.dumps(text, ensure_ascii=False)


def obfuscation(dice: random.Random) -> str:
    """OpenAI's padding: as many characters as hide how long the text is."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789"
    padding = "".join(dice.choices(letters, k=dice.randrange(1, 16)))
    return f',"obfuscation":"{padding}"'


def openai(  # each field that some server changes from chunk to chunk
    piece: str,
    *,
    name: str = "CfYz0dYlT8nQGsTkXp0m3s9WqHnVb",
    created: int = CREATED,
    fingerprint: str = "b3f1157249",
    rest: str = "",
) -> str:
    return (
        f'{{"id":"chatcmpl-{name}","object":"chat.completion.chunk","created":{created},'
        f'"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":'
        f'"fp_{fingerprint}","choices":[{{"index":0,"delta":{{"content":{quote(piece)}}},'
        f'"logprobs":null,"finish_reason":null}}]{rest}}}'
    )


def g4f(_dice: random.Random, _number: int, piece: str) -> str:
    return (
        '{"id":"chatcmpl-tzCb3BVajGr8BF8a3FEg1wngCiyO","object":"chat.completion.chunk",'
        '"created":1795389345,"model":"","provider":"Copilot","choices":[{"index":0,"delta":'
        f'{{"role":"assistant","content":{quote(piece)},"reasoning":null,"tool_calls":null}},'
        '"finish_reason":null}]}'
    )


def plain(_dice: random.Random, _number: int, piece: str) -> str:
    return openai(piece)


def padded(dice: random.Random, _number: int, piece: str) -> str:
    return openai(piece, rest=obfuscation(dice))


def created(_dice: random.Random, number: int, piece: str) -> str:
    return openai(piece, created=CREATED + number)


def ids(dice: random.Random, _number: int, piece: str) -> str:
    return openai(piece, name=f"{dice.getrandbits(96):024x}")


def varied(dice: random.Random, number: int, piece: str) -> str:
    return openai(piece, created=CREATED + number // 7, rest=obfuscation(dice))


def restless(dice: random.Random, number: int, piece: str) -> str:
    return openai(
        piece,
        name=f"{dice.getrandbits(96):024x}",
        created=CREATED + number,
        fingerprint=f"{dice.getrandbits(40):010x}",
        rest=obfuscation(dice),
    )


OPENAI_LAST = (
    '{"id":"chatcmpl-CfYz0dYlT8nQGsTkXp0m3s9WqHnVb","object":"chat.completion.chunk",'
    '"created":1795389345,"model":"gpt-4.1-2025-04-14","service_tier":"default",'
    '"system_fingerprint":"fp_b3f1157249","choices":[{"index":0,"delta":{},"logprobs":null,'
    '"finish_reason":"stop"}]}'
)
G4F_LAST = (
    '{"id":"chatcmpl-tzCb3BVajGr8BF8a3FEg1wngCiyO","object":"chat.completion.chunk",'
    '"created":1795389345,"model":"","provider":"Copilot","choices":[{"index":0,"delta":'
    '{"role":"assistant","content":"","reasoning":null,"tool_calls":null},"finish_reason":'
    '"stop"}],"usage":{"prompt_tokens":13,"completion_tokens":15,"total_tokens":28,'
    '"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":'
    '{"accepted_prediction_tokens":null,"rejected_prediction_tokens":null},"cache":null,'
    '"estimated_cost":null},"conversation":{"conversation_id":'
    '"ad2d0020-1c25-43ca-90ed-cadad3c4eebe"}}'
)

SHAPES: dict[str, tuple[Render, str]] = {
    "openai": (plain, OPENAI_LAST),
    "g4f": (g4f, G4F_LAST),
    "padded": (padded, OPENAI_LAST),
    "created": (created, OPENAI_LAST),
    "ids": (ids, OPENAI_LAST),
    "varied": (varied, OPENAI_LAST),
    "restless": (restless, OPENAI_LAST),
}


def chance() -> random.Random:
    """The same each time, in every process: all send and expect the same text."""
    return random.Random(9)  # noqa: S311  # nothing secret


@cache
def pieces(count: int) -> tuple[str, ...]:
    """The first ``count`` deltas of the one text that every stream carries."""
    dice, words = chance(), WORDS.split()
    more = (
        dice.choice(RARE) if dice.random() < 0.1 else " " + dice.choice(words)
        for _ in range(count - 1)
    )
    return ("Hello", *more)


def event(payload: str) -> bytes:
    return b"data: " + payload.encode() + b"\n\n"


def events(shape: str, count: int) -> tuple[list[bytes], list[bytes]]:
    """``count`` events with a delta each, and the events that end the stream."""
    render, last = SHAPES[shape]
    dice = chance()
    body = [event(render(dice, n, piece)) for n, piece in enumerate(pieces(count))]
    return body, [event(last), DONE]


def huge(shape: str, size: int) -> tuple[str, bytes]:
    """One delta that makes an event of ``size`` bytes, and the event: ASCII, lines of 40."""
    text = ("x" * 39 + "\n") * (size // 41)
    return text, event(SHAPES[shape][0](chance(), 0, text))


def stamped(shape: str) -> tuple[bytes, bytes]:
    """The event around a 20-digit time: what stands before it, and after it."""
    before, after = event(SHAPES[shape][0](chance(), 0, STAMP)).split(STAMP.encode())
    return before, after


def digest(texts: Iterable[str]) -> str:
    """What is compared instead of megabytes of text; how it was cut does not matter."""
    whole = "".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(whole, digest_size=12).hexdigest()
