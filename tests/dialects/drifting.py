"""Streams whose events drift: a time goes on, padding and ids change, and now and then more does.

A random generator in; bodies out. They try to fool the short cut that leaves such values open.
No I/O.
"""

from __future__ import annotations

import json
from random import Random

from .adversarial import CHANGES, DONE, ENDS, LITERALS, OTHERS, SPLICES, event

__all__ = ["drifting"]

Shape = tuple[str, ...]

# {name} is a value that drifts; {literal} is the place of the content.
SHAPES = [
    (
        '{{"id":{id},"object":"o","created":{created},"model":{model},"choices":[{{"index":0,'
        '"delta":{{"content":{literal}}},"finish_reason":null}}],"obfuscation":{obfuscation}}}'
    ),
    '{{"choices":[{{"index":0,"delta":{{"content":{literal}}}}}],"p":{p},"created":{created}}}',
    '{{"id": {id}, "choices": [{{"delta": {{"content": {literal}}}}}], "provider": {provider}}}',
    '{{"id":{id},"choices":[{{"id":{other},"delta":{{"id":{other},"content":{literal}}}}}]}}',
    '{{"\\u0069d":{id},"choices":[{{"delta":{{"id":{other},"content":{literal}}}}}]}}',
    '{{"created":{created},"created":{created},"choices":[{{"delta":{{"content":{literal}}}}}]}}',
    '{{"x":{{"id":{other}}},"id" :{id},"choices":[{{"delta":{{"content":{literal}}}}}]}}',
    (
        '{{"model":{model},"system_fingerprint":{id},"usage":{usage},"choices":[{{"delta":'
        '{{"content":{literal}}}}}],"service_tier":{other}}}'
    ),
    (
        '{{"id":{id},"choices":[{{"index":0,"delta":{{"content":{literal},"reasoning":null}},'
        '"logprobs":{other}}}],"created":{created}}}'
    ),
]
USUAL = {
    "id": ('"c-1"', '"c-2"', '"c-3"'),
    "created": ("1", "22", "333"),
    "model": ('"m"',),
    "provider": ('"P"', '"Q"'),
    "obfuscation": ('"a"', '"bcd"', '""', '"x-_9"'),
    "p": ('"a"', '"bcd"'),
    "other": ("null", "null", '"c-9"'),
    "usage": ("null",),
}
ODD = [
    *('"\\u0063"', '"a\\"b"', '"é"', '"\\ud83d"', '""', "null", "0", "007", "-1", "1.5", "1e3"),
    *("true", "[]", "{}", '["a"]', '{"n":1}', '"a","content":"b"', '"a"\n', '"a\tb"', '"', "12x"),
    *('"a" ', "9" * 18, "9" * 25, '"},\\"logprobs', '"a","error":{"message":"e"}', ""),
]


def drifting(dice: Random) -> bytes:
    """One body: plain deltas of one shape, whose open values change, and some that are not."""
    shape = dice.choice(SHAPES)
    still = {name: dice.choice(values) for name, values in USUAL.items()}
    moving = dice.sample(sorted(USUAL), k=dice.choice((0, 1, 1, 2, 3)))
    oddness = dice.choice((0.0, 0.02, 0.05, 0.1))
    body = b""
    for _ in range(dice.randrange(2, 30)):
        values = still | {name: dice.choice(USUAL[name]) for name in moving}
        if dice.random() < oddness:
            values[dice.choice(sorted(USUAL))] = dice.choice(ODD)
        literal = json.dumps(dice.choice(("a", "b c", "é", '"q"', "\n", "")), ensure_ascii=False)
        part = event(shape.format(literal="\0", **values).encode().replace(b"\0", literal.encode()))
        body += odd(dice, part) if dice.random() < oddness else part
    if dice.random() < 0.1:
        body = body.replace(b"\n", b"\r\n")
    return body + dice.choice((b"", ENDS, DONE, ENDS + DONE))


def odd(dice: Random, part: bytes) -> bytes:
    """Something else in the place of an event: another one, or the same with a fault in it."""
    kind = dice.randrange(4)
    if kind == 0:
        return dice.choice(OTHERS)
    if kind == 1:
        return part.replace(*dice.choice(CHANGES), 1)
    if kind == 2:
        return part.replace(b'"a"', dice.choice(LITERALS), 1)
    at = dice.randrange(len(part))
    return part[:at] + dice.choice(SPLICES) + part[at + dice.choice((0, 0, 1, 5)) :]
