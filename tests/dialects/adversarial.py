"""Event streams made to fool a reader that takes short cuts: strategies for hypothesis.

In: nothing. Out: bodies, ways to cut them, options of the decoder. No I/O.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

__all__ = [
    "CHANGES",
    "CUTS",
    "DONE",
    "ENDS",
    "EVERYTHING",
    "JSON",
    "OPTIONS",
    "cut",
    "event",
    "said",
    "streams",
]


def event(payload: bytes | str | dict[str, Any]) -> bytes:
    """One data line and its blank line."""
    if isinstance(payload, dict):
        payload = json.dumps(payload)
    if isinstance(payload, str):
        payload = payload.encode()
    return b"data: " + payload + b"\n\n"


def said(text: str, **more: Any) -> bytes:
    """A plain text delta, with further fields of the event."""
    return event({"choices": [{"index": 0, "delta": {"content": text}}], **more})


DONE = event("[DONE]")
ENDS = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})

# ------------------------------------------------------------------ the pieces

# What stands before and after the JSON string of a content. First of all each field that
# anybody reads, saying nothing:
EVERYTHING = (
    (
        b'{"id":null,"object":"o","created":1,"model":null,"provider":null,"usage":null,'
        b'"x_groq":null,"error":null,"detail":null,"conversation":null,"choices":[{"index":0,'
        b'"finish_reason":null,"delta":{"role":"assistant","content":'
    ),
    b',"reasoning":null,"refusal":null,"tool_calls":null}}]}',
)

G4F = (
    (
        b'{"id":"c-1","object":"chat.completion.chunk","created":1,"model":"","provider":"Copilot",'
        b'"choices":[{"index":0,"delta":{"role":"assistant","content":'
    ),
    b',"reasoning":null,"tool_calls":null},"finish_reason":null}]}',
)

AROUND = [
    EVERYTHING,
    EVERYTHING,
    EVERYTHING,
    G4F,
    (b'{"choices":[{"index":0,"delta":{"content":', b"}}]}"),
    (b'{"choices":[{"index":0,"delta":{"content":', b',"reasoning":"r","refusal":"no"}}]}'),
    (b'{"choices":[{"delta":{"content":', b',"tool_calls":[{"id":"c","arguments":"1"}]}}]}'),
    (b'{"id": "c", "choices": [{"delta": {"content": ', b'}, "index": 0}], "usage": null}'),
    (b'{"choices":[{"index":0,"delta":{"content":', b'},"logprobs":{"content":["x"]}}]}'),
    (b'{"x":{"content":"decoy"},"choices":[{"delta":{"content":', b'}}],"created":1}'),
    (b'{"x":"\\"content\\":","choices":[{"delta":{"content":', b'},"error":"no"}],"error":""}'),
    (b'{"choices":[{"delta":{"content":"old","content":', b"}}]}"),
    (b'{"choices":[{"delta":{"content":', b',"content":"new"}}]}'),
    (b'{"choices":[{"delta":{"content":', b"}},null]}"),
    (b'{"choices":[{"delta":{"content":', b'}}],"usage":{"total_tokens":1}}'),
    (b'{"choices":[{"index":1,"delta":{"content":', b"}}]}"),
    (b'{"choices":[{"message":{"content":', b"}}]}"),
]

# What may stand in the place of the string.
LITERALS = [
    *(b'"a"', b'"b c"', b'""', b'"\\n"', b'"\\\\"', b'"\\""', b'"\\u0000"', b'"\xc3\xa9"'),
    *(b'"\\ud83d"', b'"\\ude00"', b'"\\ud83d\\ude00"', b'"x\\ud83d"', b'"\xe2\x80\xa8"'),
    *(b'"\xff"', b'"a\tb"', b'"a","b"', b'"a","content":"b"', b'"\\",\\"content\\":\\""'),
    *(b'"}}]}"', b'"},{"', b'"data: "', b'"[DONE]"', b' "a"', b'"a" ', b'"a"\n', b'\n"a"'),
    *(b'"a\nb"', b'"a"\n\n', b'"a",\n"b"', b'"a",\n\n"b"', b"null", b"5", b"true", b"[]"),
    *(b'["a"]', b'[{"text":"a"}]', b'{"text":"a"}', b"", b'"', b'"a', b'a"', b'"a"],["b"'),
    *(b'"a"}}]}]', b'"a"}}]}\n\ndata: {"choices":[{"index":0,"delta":{"content":"b"'),
]

# What may stand between two plain deltas.
OTHERS = [
    *(DONE, ENDS, b"\n", b": comment\n\n", b": comment\n", b"event: error\n", b"event: ping\n"),
    *(b"id: 1\n", b"retry: 5\n\n", b"data\n\n", b"data:\n\n", b"data: \n\n", b"data: {\n"),
    *(b"error: gone\n", b"data: {oops\n\n", event({"error": {"message": "broken"}})),
    *(event({"error": None}), event({"detail": "Not Found"}), event({"usage": {"n": 8}})),
    *(event({"choices": [], "usage": {"n": 9}}), event({"object": "error", "message": "old"})),
    event({"conversation": {"conversation_id": "7"}}),
    event({"choices": [], "x_groq": {"error": "over capacity"}}),
    event({"choices": [{"index": 1, "delta": {"content": "other"}}]}),
    event({"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]}),
    event({"choices": [{"index": 0, "delta": {"reasoning": "hm"}}]}),
    event({"choices": [{"index": 0, "delta": {"tool_calls": [{"function": {"name": "f"}}]}}]}),
    *(said("x", model="m"), said("x", provider="p"), said("x", id="i"), said("x", created=2)),
    *(said("x", usage={"n": 3}), said("x", error={"message": "e"}), said("x", error=0)),
    *(said("x", conversation={"a": 1}), said("x", object="error")),
    said("x", x_groq={"usage": {"n": 1}}),
    *(said("x", conversation={"a": 2}), said("x", citations=["a"]), said("x", citations=["b"])),
    event({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]}),
    event({"choices": [{"index": 0, "delta": {}, "finish_reason": "network_error"}]}),
    event({"choices": [{"index": 0, "message": {"content": "tt"}, "finish_reason": "stop"}]}),
    event({"object": "chat.completion", "choices": [{"message": {"content": "t", "a": ["b"]}}]}),
    event({"choices": [{"delta": {"content": "t"}, "message": {"content": "tt"}}]}),
    event(
        {"choices": [{"delta": {"content": [{"type": "text", "text": "p"}, {"type": "image"}]}}]}
    ),
    event({"choices": [{"delta": {"content": [{"type": "thinking", "thinking": "p"}]}}]}),
    *(event({"choices": [{"index": 3, "delta": "s"}]}), event({"choices": [{"delta": 7}]})),
    event({"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]}),
    event({"choices": None, "base_resp": {"status_code": 1002, "status_msg": "no"}}),
    event({"choices": [{"delta": {"annotations": [{"n": 1}], "audio": {"data": "AA"}}}]}),
    event({"choices": [{"delta": {}, "logprobs": {"content": [{"token": "t"}]}, "seed": 1}]}),
    event({"choices": [{"delta": {"reasoning_details": [{"index": 0, "text": "r"}]}}]}),
    *(
        event({"choices": [{"delta": {"tool_calls": [call]}}]})
        for call in (
            {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a":'}},
            {"index": 0, "function": {"arguments": "1}"}},
            {"index": 0, "function": {"name": "f", "arguments": '{"a":1}'}},
            {"index": 1, "id": "c", "function": {"arguments": "{}"}},
        )
    ),
]

# One field of an event says something else, while the fields and their order stay.
CHANGES = [
    (b'"id":null', b'"id":"i"'),
    (b'"model":null', b'"model":"m"'),
    (b'"provider":null', b'"provider":"p"'),
    (b'"usage":null', b'"usage":{"n":1}'),
    (b'"x_groq":null', b'"x_groq":{"usage":{"n":2}}'),
    (b'"x_groq":null', b'"x_groq":{"error":"e"}'),
    (b'"error":null', b'"error":"e"'),
    (b'"detail":null', b'"detail":"d"'),
    (b'"object":"o"', b'"object":"error"'),
    (b'"conversation":null', b'"conversation":{"c":1}'),
    (b'"created":1', b'"created":2'),
    (b'"index":0', b'"index":1'),
    (b'"finish_reason":null', b'"finish_reason":"stop"'),
    (b'"reasoning":null', b'"reasoning":"r"'),
    (b'"refusal":null', b'"refusal":"no"'),
    (b'"tool_calls":null', b'"tool_calls":[{"id":"c"}]'),
    (b'"role":"assistant"', b'"role":null'),
    (b'"choices":[', b'"choices":[null,'),
    (b'"choices":[', b'"choices":null,"x":['),
    (b'"delta":{', b'"delta":null,"message":{'),
    (b'"content":', b'"content2":'),
    (b'"conversation":null', b'"conversation":{"c":2}'),
    (b'"created":1', b'"created":1,"citations":["c"]'),
    (b'"created":1', b'"created":1,"seq":2'),
]

# What may fall into an event anywhere.
SPLICES = [
    *(b'"', b"\\", b",", b"{", b"}", b"[", b"]", b":", b"\n", b"\n\n", b"\r", b" ", b"\t", b"\0"),
    *(b"\xff", b"\\ud83d", b'"content":"x",', b',"content":"x"', b'"index":1,', b'"error":1,'),
    *(b'"usage":{"n":1},', b'"finish_reason":"stop",', b'"model":"z",', b'"id":"z",', b"null"),
    *(b"0", b"data: ", b"\n\ndata: ", b'"conversation":{"c":1},'),
]


# ------------------------------------------------------------------ the strategies


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Plain deltas, nearly all alike, with something among them that is not."""
    around = draw(st.sampled_from(AROUND))
    texts = st.text(max_size=5).map(lambda text: json.dumps(text).encode())
    literals = st.sampled_from(LITERALS) | texts
    body = b""
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.integers(0, 9))
        part = event((b'"t"' if kind < 4 else draw(literals)).join(around))
        if kind == 9:
            part = draw(st.sampled_from(OTHERS))
        elif kind == 8:
            at = draw(st.integers(0, len(part)))
            until = draw(st.sampled_from((at, at, at + 1, at + 5)))
            part = part[:at] + draw(st.sampled_from(SPLICES)) + part[until:]
        elif kind >= 6:
            fit = [change for change in CHANGES if change[0] in part]
            part = part.replace(*draw(st.sampled_from(fit)), 1)
        body += part
    body = body.replace(b"\n", draw(st.sampled_from((b"\n", b"\n", b"\n", b"\r\n", b"\r"))))
    return body + draw(st.sampled_from((b"", b"", ENDS, DONE, ENDS + DONE)))


# Places to cut at; True moves the cut to the end of an event, as a server's writes do.
CUTS = st.lists(st.tuples(st.integers(0, 3000), st.booleans()), max_size=8)


def cut(body: bytes, cuts: list[tuple[int, bool]]) -> list[bytes]:
    places = {0, len(body)}
    for place, at_end in cuts:
        start = place % (len(body) + 1)
        end = body.find(b"\n\n", start) if at_end else -1
        places.add(start if end < 0 else end + 2)
    return [body[start:stop] for start, stop in pairwise(sorted(places))]


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "strict": st.booleans(),
        "n": st.integers(1, 3),
        "max_event_bytes": st.sampled_from((40, 100, 130, 300, 700)),
        "media_type": st.sampled_from(("text/plain", "application/json")),
    },
)

NAMES = [
    *("arguments", "choices", "code", "content", "conversation", "delta", "detail", "error"),
    *("finish_reason", "function", "function_call", "id", "index", "loc", "message", "model"),
    *("msg", "name", "object", "reasoning", "reasoning_content", "reasoning_details", "refusal"),
    *("summary", "text", "thinking", "tool_calls", "type", "usage", "x_groq"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
