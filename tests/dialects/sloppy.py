"""Servers and proxies that nobody names: every way in which a stream was seen to be odd."""

from __future__ import annotations

import json
from typing import Any

from async_copilot.errors import MalformedDataError, StreamError, UnexpectedContentError
from async_copilot.wire.answer import End
from async_copilot.wire.choice import Choice, ToolCall

from .row import DONE, Row, call, frames, usage

__all__ = ["ROWS"]

STANDARD = "WHATWG HTML, 9.2.6 Interpreting an event stream"
SEEN = "hand-made after proxies seen"


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}} | more]}


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


def calls(*deltas: Any) -> dict[str, Any]:
    return delta(tool_calls=list(deltas))


ENDS = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
HI = frames(said("Hi"))
END = frames(ENDS, DONE)

FRAMING = [
    Row(
        claim="CRLF ends lines",
        source=STANDARD,
        body=frames(said("a"), said("b"), said("c"), ENDS, DONE, ends="\r\n"),
        texts=("a", "b", "c"),
        chunks=4,
    ),
    Row(
        claim="CR alone ends lines",
        source=STANDARD,
        body=frames(said("a"), said("b"), said("c"), ENDS, DONE, ends="\r"),
        texts=("a", "b", "c"),
        chunks=4,
    ),
    Row(
        claim="a byte order mark is dropped",
        source=STANDARD,
        body=b"\xef\xbb\xbf" + HI + END,
        texts=("Hi",),
        chunks=2,
    ),
    Row(
        claim="no blank after the colon of data",
        source=STANDARD,
        body=(HI + HI + END).replace(b"data: ", b"data:"),
        texts=("Hi", "Hi"),
        chunks=3,
    ),
    Row(
        claim="JSON over several data lines is joined",
        source=STANDARD,
        body=b'data: {"choices": [\ndata: {"index": 0,\ndata: "delta": {"content":'
        b'\ndata: "Hi"}}]}\n\n' + END,
        texts=("Hi",),
        chunks=2,
    ),
    Row(
        claim="ids, retry times, pings and empty data are not events of the answer",
        source=STANDARD,
        body=frames("id: 1", "retry: 1000", said("a"), "event: ping", "data:", "data: ", "id")
        + frames(said("b"), "event: ping\nid: 7", "data", ENDS, DONE),
        texts=("a", "b"),
        chunks=3,
    ),
    Row(
        claim="an event's own name does not matter, unless it is error",
        source=SEEN,
        body=frames(f"event: delta\ndata: {json.dumps(said('a'))}")
        + frames(f"event: completion\nid: 3\ndata: {json.dumps(ENDS)}", f"event: done\n{DONE}"),
        texts=("a",),
        chunks=2,
    ),
    Row(
        claim="[DONE] needs no blank line, nor a line end",
        source=SEEN,
        body=frames(said("Hi"), ENDS) + b"data: [DONE]",
        texts=("Hi",),
        chunks=2,
    ),
    Row(
        claim="[DONE] may have blanks around it",
        source=SEEN,
        body=frames(said("Hi"), ENDS, "data:  [DONE] "),
        texts=("Hi",),
        chunks=2,
    ),
    Row(
        claim="events that end in a single line end are events",
        source="gateways that are read line by line by other clients",
        body=frames(said("a"), said("b"), ENDS, DONE).replace(b"\n\n", b"\n"),
        texts=("a", "b"),
        chunks=3,
    ),
    Row(
        claim="of events that end in a single line end the last one needs no [DONE]",
        source=SEEN,
        body=frames(said("a"), said("{"), said("b", finish_reason="stop")).replace(b"\n\n", b"\n"),
        texts=("a", "{", "b"),
        chunks=3,
    ),
    Row(
        claim="text without its blank line at the end of the body is not lost",
        source=SEEN,
        body=HI + frames(said(" all", finish_reason="stop")).rstrip(),
        texts=("Hi", " all"),
        chunks=2,
    ),
    Row(
        claim="half an event at the end of the body: cut off",
        source=SEEN,
        body=HI + frames(said(" all", finish_reason="stop"))[:-20],
        texts=("Hi",),
        chunks=1,
        finish=None,
        end=End.TRUNCATED,
    ),
    Row(
        claim="what follows [DONE] is not read",
        source=SEEN,
        body=HI + END + HI + b"data: {no JSON}\n\n",
        texts=("Hi",),
        chunks=2,
    ),
    Row(
        claim="a finish and no [DONE] is complete",
        source=SEEN,
        body=frames(said("Hi"), ENDS),
        texts=("Hi",),
        chunks=2,
    ),
    Row(
        claim="[DONE] and no finish is told apart",
        source=SEEN,
        body=frames(said("Hi"), said("!"), DONE),
        texts=("Hi", "!"),
        chunks=2,
        finish=None,
        end=End.DONE,
    ),
    Row(
        claim="neither finish nor [DONE] is cut off",
        source=SEEN,
        body=frames(said("Hi"), said("!")),
        texts=("Hi", "!"),
        chunks=2,
        finish=None,
        end=End.TRUNCATED,
    ),
    Row(
        claim="only [DONE]",
        source=SEEN,
        body=frames(DONE),
        chunks=0,
        finish=None,
        end=End.DONE,
    ),
    Row(
        claim="only comments: cut off",
        source=SEEN,
        body=frames(": one", ": two"),
        chunks=0,
        finish=None,
        end=End.TRUNCATED,
    ),
]

LABELS = [
    Row(
        claim="a stream labelled as plain text is read for what it is",
        source=SEEN,
        body=HI + HI + END,
        media_type="text/plain",
        texts=("Hi", "Hi"),
        chunks=3,
    ),
    Row(
        claim="a stream labelled as JSON is read for what it is",
        source=SEEN,
        body=HI + END,
        media_type="application/json",
        texts=("Hi",),
        chunks=2,
    ),
    Row(
        claim="a stream without a label is read for what it is",
        source=SEEN,
        body=frames(": hello") + HI + END,
        media_type="",
        texts=("Hi",),
        chunks=2,
    ),
    Row(
        claim="a completion labelled as a stream is read for what it is",
        source=SEEN,
        body=b' \r\n{"choices":[{"message":{"role":"assistant","content":"Hi"},'
        b'"finish_reason":"stop"}],"usage":{"total_tokens":3}}\n',
        texts=("Hi",),
        chunks=1,
        usage={"total_tokens": 3},
    ),
    Row(
        claim="an older completion has its text outside of any message",
        source="OpenAI API reference, completions (legacy)",
        body=b'{"object":"text_completion","choices":[{"text":"Hi","index":0,"finish_reason":"stop"}]}',
        media_type="application/json",
        texts=("Hi",),
        chunks=1,
    ),
    Row(
        claim="a web page is not an answer",
        source=SEEN,
        body=b"<!DOCTYPE html><html><body>Sign in</body></html>",
        media_type="text/html",
        chunks=0,
        finish=None,
        end=End.ERROR,
        error=UnexpectedContentError,
        says="HTML",
    ),
    Row(
        claim="a web page longer than anybody wants to read is not an answer",
        source=SEEN,
        body=b"\xef\xbb\xbf\n<html>" + b"<p>Sign in</p>" * 100,
        media_type="text/html",
        chunks=0,
        finish=None,
        end=End.ERROR,
        error=UnexpectedContentError,
        says="HTML",
    ),
    Row(
        claim="JSON that is not a completion is not an answer",
        source="g4f 0.4.9.0 without stream, with a conversation_id",
        body=b'{"conversation_id":"ee93d271-41eb-4d95-83f3-9fe869949796"}',
        media_type="application/json",
        chunks=0,
        finish=None,
        end=End.ERROR,
        error=UnexpectedContentError,
        says="JSON that is not a completion",
    ),
    Row(
        claim="a list is not an answer",
        source=SEEN,
        body=b'["Hi"]',
        media_type="application/json",
        chunks=0,
        finish=None,
        end=End.ERROR,
        error=UnexpectedContentError,
    ),
    Row(
        claim="half a document is not an answer",
        source=SEEN,
        body=b'{"choices":[{"message":{"content":"Hi"',
        media_type="application/json",
        chunks=0,
        finish=None,
        end=End.ERROR,
        error=UnexpectedContentError,
    ),
]

FIELDS = [
    Row(
        claim="no index, no object, no model: text all the same",
        source=SEEN,
        body=frames(
            {"choices": [{"delta": {"content": "Hi"}}]},
            {"choices": [{"delta": {"content": "!"}, "finish_reason": "stop"}]},
        ),
        texts=("Hi", "!"),
        chunks=2,
    ),
    Row(
        claim="two choices without an index are told apart by their place",
        source=SEEN,
        body=frames(
            {"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]},
            {"choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}]},
        ),
        texts=("a",),
        others=(Choice(1, "b", "", "", [], "length"),),
        chunks=4,
    ),
    Row(
        claim="an index that is not a number counts as none",
        source=SEEN,
        body=frames(
            {"choices": [{"index": "0", "delta": {"content": "a"}}]},
            {"choices": [{"index": True, "delta": {"content": "b"}}]},
            {"choices": [{"index": 0.0, "delta": {"content": "c"}, "finish_reason": "stop"}]},
        ),
        texts=("a", "b", "c"),
        chunks=3,
    ),
    Row(
        claim="an empty finish_reason is none",
        source=SEEN,
        body=frames(said("Hi", finish_reason=""), said("!", finish_reason="stop"), DONE),
        texts=("Hi", "!"),
        chunks=2,
    ),
    Row(
        claim="fields of any other type count as absent",
        source=SEEN,
        body=frames(
            {"choices": None},
            {"choices": {}},
            {"choices": [None]},
            {"choices": [{"index": 0, "delta": None}]},
            {"choices": [{"index": [], "delta": {}}]},
            delta(content=False),
            delta(content=[], reasoning={}, refusal=[], tool_calls=False),
            delta(content="Hi"),
            {"choices": [{"index": 0, "delta": {}, "finish_reason": True}]},
            {"id": 7, "model": ["m"], "provider": {}, "usage": [1], "choices": []},
            {"x_groq": "no", "usage": {}, "choices": []},
            ENDS,
            DONE,
        ),
        texts=("Hi",),
        chunks=12,
    ),
    Row(
        claim="a null beside a choice is not a choice",
        source=SEEN,
        body=frames(
            *({"choices": [{"index": 0, "delta": {"content": text}}, None]} for text in "abc"),
            ENDS,
            DONE,
        ),
        texts=("a", "b", "c"),
        chunks=4,
    ),
    Row(
        claim="a message in place of a delta is read",
        source=SEEN,
        body=frames(
            {"choices": [{"index": 0, "message": {"content": "Hi"}, "delta": None}]},
            {"choices": [{"index": 0, "text": "!", "finish_reason": "stop"}]},
            DONE,
        ),
        texts=("Hi", "!"),
        chunks=2,
    ),
    Row(
        claim="the same field twice: the last one counts",
        source="RFC 8259, 4: names should be unique; every decoder here takes the last",
        body=b'data: {"choices":[{"index":0,"delta":{"content":"no","content":"yes"}}]}\n\n' * 3
        + END,
        texts=("yes", "yes", "yes"),
        chunks=4,
    ),
    Row(
        claim="a server's own object that looks like content is none",
        source=SEEN,
        body=frames(
            *(
                {
                    "citations": [{"content": "a page"}],
                    "choices": [{"index": 0, "delta": {"content": text}}],
                }
                for text in "abc"
            ),
            ENDS,
            DONE,
        ),
        texts=("a", "b", "c"),
        chunks=4,
    ),
    Row(
        claim="the first id, model and provider count, the last usage",
        source=SEEN,
        body=frames(
            said("a") | {"id": "", "model": "m1", "usage": usage(1, 1)},
            said("b") | {"id": "id2", "model": "m2", "provider": "P2"},
            said("c") | {"id": "id3", "usage": usage(1, 3)},
            ENDS | {"provider": "P3", "usage": None},
            DONE,
        ),
        texts=("a", "b", "c"),
        chunks=4,
        id="id2",
        model="m1",
        provider="P2",
        usage=usage(1, 3),
    ),
]

CHARACTERS = [
    Row(
        claim="a character cut in two escapes over two deltas is joined",
        source="seen of servers that cut text by UTF-16 units",
        body=b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n'
        b'data: {"choices":[{"delta":{"content":"\\ude00b"}}]}\n\n' + END,
        texts=("a", "😀b"),
        chunks=3,
    ),
    Row(
        claim="half a character that stays alone becomes U+FFFD",
        source=SEEN,
        body=b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n'
        b'data: {"choices":[{"delta":{"content":"b\\ude00c"}}]}\n\n' + END,
        texts=("a", "\ufffdb\ufffdc"),
        chunks=3,
    ),
    Row(
        claim="half a character at the very end becomes U+FFFD, a delta of its own",
        source=SEEN,
        body=b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n' + END,
        texts=("a", "\ufffd"),
        chunks=3,
    ),
    Row(
        claim="half a character of the reasoning waits apart from the text's",
        source=SEEN,
        body=b'data: {"choices":[{"delta":{"reasoning":"\\ud83d"}}]}\n\n'
        b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n'
        b'data: {"choices":[{"delta":{"reasoning":"\\ude00"}}]}\n\n'
        b'data: {"choices":[{"delta":{"content":"\\ude01"}}]}\n\n' + END,
        texts=("😁",),
        reasoning="😀",
        chunks=5,
    ),
    Row(
        claim="half characters in arguments, ids and names become U+FFFD",
        source=SEEN,
        body=b'data: {"id":"i\\ud83d","model":"m\\ud83d","provider":"p\\ud83d","choices":[{"delta":'
        b'{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"\\ud83d"}}]},'
        b'"finish_reason":"\\ud83d"}]}\n\n',
        calls=(call("f", "\ufffd", id="c"),),
        chunks=1,
        id="i\ufffd",
        model="m\ufffd",
        provider="p\ufffd",
        finish="\ufffd",
    ),
    Row(
        claim="raw line separators of Unicode stand inside a line",
        source="g4f as measured: U+2028, U+2029, U+0085 and U+FEFF come raw",
        body=frames(*(said(text) for text in ("a\u2028b", "\u2029", "\x85", "\ufeff", "\x0b")))
        + END,
        texts=("a\u2028b", "\u2029", "\x85", "\ufeff", "\x0b"),
        chunks=6,
    ),
    Row(
        claim="raw control characters and invalid UTF-8 in a string are read",
        source=SEEN,
        body=b'data: {"choices":[{"delta":{"content":"a\tb"}}]}\n\n'
        b'data: {"choices":[{"delta":{"content":"\x00\x1b"}}]}\n\n'
        b'data: {"choices":[{"delta":{"content":"\xff\xc3"}}]}\n\n' + END,
        texts=("a\tb", "\x00\x1b", "\ufffd\ufffd"),
        chunks=4,
    ),
    Row(
        claim="NaN, Infinity and integers of any size are read",
        source="Python's json module writes NaN where a log probability is minus infinity",
        body=b'data: {"choices":[{"delta":{"content":"a"},"logprobs":NaN}],"t":-Infinity}\n\n'
        b'data: {"choices":[{"delta":{"content":"b"},"index":0}],"created":1e999}\n\n'
        b'data: {"choices":[{"delta":{"content":"c"}}],"seed":340282366920938463463374607431}\n\n'
        + END,
        texts=("a", "b", "c"),
        chunks=4,
    ),
    Row(
        claim="JSON after a byte order mark of its own is read",
        source=SEEN,
        body=b"data: \xef\xbb\xbf" + HI[6:] + END,
        texts=("Hi",),
        chunks=2,
    ),
]

CALLS = [
    Row(
        claim="arguments that are an object become JSON text",
        source="Ollama's own API, behind proxies",
        body=frames(calls({"id": "c", "function": {"name": "f", "arguments": {"a": "ö"}}}), ENDS),
        calls=(call("f", '{"a": "ö"}', id="c"),),
        chunks=2,
    ),
    Row(
        claim="one call that is not a list is read",
        source=SEEN,
        body=frames(delta(tool_calls={"id": "c", "function": {"name": "f"}}), ENDS),
        calls=(call("f", "", id="c"),),
        chunks=2,
    ),
    Row(
        claim="a flat call, name and arguments beside the id, is read",
        source=SEEN,
        body=frames(calls({"id": "c", "name": "f", "arguments": "{}"}, "no call"), ENDS),
        calls=(call("f", "{}", id="c"),),
        chunks=2,
    ),
    Row(
        claim="a name that is repeated with each piece is one name",
        source=SEEN,
        body=frames(
            *(
                calls({"index": 0, "id": "c", "function": {"name": "look", "arguments": piece}})
                for piece in ("", "{", "}")
            ),
            ENDS,
        ),
        calls=(call("look", "{}", id="c"),),
        chunks=4,
    ),
    Row(
        claim="a name that is cut in two is joined",
        source=SEEN,
        body=frames(
            calls({"index": 0, "id": "c", "function": {"name": "get_"}}),
            calls({"index": 0, "function": {"name": "time", "arguments": "{}"}}),
            ENDS,
        ),
        calls=(call("get_time", "{}", id="c"),),
        chunks=3,
    ),
    Row(
        claim="indexes may begin at 1 and leave gaps",
        source=SEEN,
        body=frames(
            calls({"index": 1, "id": "a", "function": {"name": "f", "arguments": "1"}}),
            calls({"index": 5, "id": "b", "function": {"name": "g", "arguments": "2"}}),
            calls({"index": 1, "function": {"arguments": "1"}}),
            ENDS,
        ),
        calls=(call("f", "11", id="a"), call("g", "2", id="b", index=1)),
        chunks=4,
    ),
    Row(
        claim="pieces without an index find their call by its id",
        source=SEEN,
        body=frames(
            calls({"id": "a", "function": {"name": "f", "arguments": "1"}}),
            calls({"id": "b", "function": {"name": "g", "arguments": "2"}}),
            calls({"id": "a", "function": {"arguments": "3"}}),
            ENDS,
        ),
        calls=(call("f", "13", id="a"), call("g", "2", id="b", index=1)),
        chunks=4,
    ),
    Row(
        claim="a call's own type is handed on",
        source="OpenAI API reference, custom tools",
        body=frames(
            calls({"index": 0, "id": "c", "type": "custom", "function": {"name": "f"}}), ENDS
        ),
        calls=(ToolCall(0, "c", "f", "", "custom"),),
        chunks=2,
    ),
]


def error_row(claim: str, body: bytes, says: str, **more: Any) -> Row:
    return Row(
        claim=claim,
        source=SEEN,
        body=HI + body + END,
        texts=("Hi",),
        end=End.ERROR,
        error=StreamError,
        says=says,
        **{"chunks": 1, "finish": None, **more},
    )


ERRORS = [
    error_row("an error that is a text", frames({"error": "out of memory"}), ": out of memory"),
    error_row(
        "an error that only its type tells",
        frames({"type": "error", "message": "overloaded"}),
        ": overloaded",
        type="error",
    ),
    error_row(
        "an error inside the choice, with the finish reason error",
        frames(
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {"content": ""},
                        "finish_reason": "error",
                        "error": {"message": "upstream is gone"},
                    }
                ]
            }
        ),
        ": upstream is gone",
        finish="error",
        chunks=2,
    ),
    error_row(
        "the finish reason error alone",
        frames({"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]}),
        'finish_reason is "error"',
        finish="error",
        chunks=2,
    ),
    error_row("an error that is true", frames({"error": True}), ": true"),
    error_row("an error without a word", frames({"error": {}}), ': {"error": {}}'),
    error_row(
        "an error inside an error",
        frames({"error": {"error": {"message": "deep"}, "code": 1.5}}),
        ": deep",
    ),
    error_row(
        "an error beside choices",
        frames(said("no") | {"error": {"message": "late", "type": "t", "code": None}}),
        ": late",
        type="t",
    ),
    error_row(
        "an event named error without an error key",
        frames('event: error\ndata: {"message": "bye", "code": 429}'),
        "(code 429): bye",
        code="429",
    ),
    error_row("an event named error with plain text", frames("event: error\ndata: bye"), ": bye"),
    error_row("an event named error and no data", frames("event: error\ndata:"), "no message"),
    error_row(
        "FastAPI's detail",
        frames({"detail": [{"loc": ["body", "n"], "msg": "too large"}, "odd", {}]}),
        "body.n: too large; odd; {}",
    ),
    error_row("a detail that is a text", frames({"detail": "Not Found"}), ": Not Found"),
    error_row(
        "an error with half a character in it",
        b'data: {"error":{"message":"\\ud83d","type":"\\ude00","code":"\\ud83d"}}\n\n',
        ": \ufffd",
        type="\ufffd",
        code="\ufffd",
    ),
    Row(
        claim="an error that is null, false or empty is none",
        source=SEEN,
        body=frames(
            said("a") | {"error": None}, said("b") | {"error": False}, said("c") | {"error": ""}
        )
        + END,
        texts=("a", "b", "c"),
        chunks=4,
    ),
    Row(
        claim="a line that is not JSON is an error",
        source=SEEN,
        body=HI + b"data: {oops\n\n" + END,
        texts=("Hi",),
        chunks=1,
        finish=None,
        end=End.ERROR,
        error=MalformedDataError,
        says="strict=False",
    ),
    Row(
        claim="a line that is JSON and no object is an error",
        source=SEEN,
        body=HI + b'data: "[DONE]"\n\n' + END,
        texts=("Hi",),
        chunks=1,
        finish=None,
        end=End.ERROR,
        error=MalformedDataError,
        says="a JSON str, not an object",
    ),
]

ROWS = FRAMING + LABELS + FIELDS + CHARACTERS + CALLS + ERRORS
