"""The decoder gives the events of the standard, however the bytes are cut, within its bounds.

ROWS is the specification as a table: a claim, the bytes of a body, its events. Each row
runs whole, byte by byte, in larger reads, at every cut in two and at random ones, and
also through sse_reference, so that a mistake in the table would have to agree with one in there.
"""

from __future__ import annotations

import pickle
import re
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import FrozenInstanceError
from itertools import pairwise, product
from types import FrameType
from typing import NamedTuple, Self
from unittest.mock import patch

import pytest
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st
from sse_reference import Event, reference_events

from async_copilot.errors import CopilotError, EventTooLargeError
from async_copilot.wire import sse
from async_copilot.wire.plain import plain_payloads
from async_copilot.wire.sse import ServerSentEvent, SSEDecoder


def event(
    data: str, *, kind: str = "message", last_id: str = "", retry: int | None = None
) -> ServerSentEvent:
    return ServerSentEvent(kind, data, last_id, retry)


def events(*data: str) -> list[ServerSentEvent]:
    return [event(text) for text in data]


NOTHING: list[ServerSentEvent] = []
OPENAI = '{"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":'
G4F = '{"id":"chatcmpl-2","model":"","provider":"Copilot","choices":[{"index":0,"delta":'
ERROR = '{"error": {"message": "Request execution failed"}, "model": "", "provider": "Copilot"}'

Row = tuple[str, bytes, list[ServerSentEvent]]

LINE_ENDS: list[Row] = [
    ("LF ends a line", b"data: a\n\n", events("a")),
    ("CR ends a line", b"data: a\r\r", events("a")),
    ("CRLF ends one line, not two", b"data: a\r\ndata: b\r\n\r\n", events("a\nb")),
    ("CRLF alone is not a blank line after a field", b"data: a\r\n", NOTHING),
    ("an LF after a CR is not a blank line", b"data: a\rdata: b\r\n", NOTHING),
    ("LF CR is two line ends", b"data: a\n\r", events("a")),
    ("LF CRLF is two line ends", b"data: a\n\r\ndata: b\n\n", events("a", "b")),
    ("CR CRLF is two line ends", b"data: a\r\r\ndata: b\n\n", events("a", "b")),
    ("CRLF CR is two line ends", b"data: a\r\n\rdata: b\n\n", events("a", "b")),
    ("CRLF LF is two line ends", b"data: a\r\n\ndata: b\n\n", events("a", "b")),
    ("CR CR LF ends one event, no more", b"data: a\r\r\n\r\n\n\r", events("a")),
    ("all three line ends mix", b"data: a\r\ndata: b\ndata: c\r\r\n", events("a\nb\nc")),
    (
        "events may end each in its own way",
        b"data: a\n\ndata: b\r\rdata: c\r\n\r\n",
        events(*"abc"),
    ),
    ("a last blank line ended by a CR counts", b"data: a\r\n\r", events("a")),
    ("VT is not a line end", b"data: a\x0bb\n\n", events("a\x0bb")),
    ("FF is not a line end", b"data: a\x0cb\n\n", events("a\x0cb")),
    (
        "FS, GS, RS and US are not line ends",
        b"data: \x1c\x1d\x1e\x1f\n\n",
        events("\x1c\x1d\x1e\x1f"),
    ),
    ("U+0085 is not a line end", b"data: a\xc2\x85b\n\n", events("a\x85b")),
    ("a byte 85 inside a character is not a line end", b"data: \xc4\x85\n\n", events("ą")),
    ("a bare byte 85 is an error, no line end", b"data: a\x85b\n\n", events("a\ufffdb")),
    ("U+2028 is not a line end", b"data: a\xe2\x80\xa8b\n\n", events("a\u2028b")),
    ("U+2029 is not a line end", b"data: a\xe2\x80\xa9b\n\n", events("a\u2029b")),
    ("an overlong LF is not a line end", b"data: a\xc0\x8ab\n\n", events("a\ufffd\ufffdb")),
    ("a line of U+2028 is not blank", b"data: a\n\xe2\x80\xa8\ndata: b\n\n", events("a\nb")),
    ("a line of VT is not blank", b"data: a\n\x0b\ndata: b\n\n", events("a\nb")),
    ("a line of one space is not blank", b"data: a\n \ndata: b\n\n", events("a\nb")),
]

BYTE_ORDER_MARKS: list[Row] = [
    ("a BOM is stripped", b"\xef\xbb\xbfdata: a\n\n", events("a")),
    ("a BOM is stripped before a comment", b"\xef\xbb\xbf: hi\ndata: a\n\n", events("a")),
    ("a BOM is stripped before a blank line", b"\xef\xbb\xbf\n\ndata: a\n\n", events("a")),
    ("only one BOM is stripped", b"\xef\xbb\xbf" * 2 + b"data: a\n\ndata: b\n\n", events("b")),
    ("a BOM after a line is a character", b"\n\xef\xbb\xbfdata: a\n\ndata: b\n\n", events("b")),
    (
        "a BOM in data is a character",
        b"data: \xef\xbb\xbfa\xef\xbb\xbf\n\n",
        events("\ufeffa\ufeff"),
    ),
    ("only a BOM is an empty stream", b"\xef\xbb\xbf", NOTHING),
    ("a BOM cut off by the end is nothing", b"\xef\xbb", NOTHING),
    ("two bytes of a BOM are an error", b"\xef\xbbdata: a\n\ndata: b\n\n", events("b")),
    ("one byte of a BOM is an error", b"\xefdata: a\n\ndata: b\n\n", events("b")),
    ("a broken BOM is a line of its own", b"\xef\xbb\ndata: a\n\n", events("a")),
    ("EF BB BB is not a BOM", b"\xef\xbb\xbbdata: a\n\ndata: b\n\n", events("b")),
    ("a BOM of UTF-16 is not a BOM", b"\xff\xfedata: a\n\ndata: b\n\n", events("b")),
]

DATA: list[Row] = [
    ("an empty body has no events", b"", NOTHING),
    ("data lines are joined by LF", b"data: YHOO\ndata: +2\ndata: 10\n\n", events("YHOO\n+2\n10")),
    ("a data field without colon dispatches empty data", b"data\n\n", events("")),
    ("a data field without value dispatches empty data", b"data:\n\n", events("")),
    ("a data field of one space dispatches empty data", b"data: \n\n", events("")),
    ("two empty data lines make one LF", b"data\ndata\n\n", events("\n")),
    ("three empty data lines make two LF", b"data:\ndata\ndata: \n\n", events("\n\n")),
    ("only the last LF is removed", b"data: a\ndata:\n\n", events("a\n")),
    ("an empty first line is kept", b"data:\ndata: a\n\n", events("\na")),
    ("one space after the colon is removed", b"data: a\n\ndata:a\n\n", events("a", "a")),
    ("only one space is removed", b"data:  a\n\n", events(" a")),
    ("two spaces leave one", b"data:  \n\n", events(" ")),
    ("a tab is not removed", b"data:\ta\n\n", events("\ta")),
    ("a tab behind the space is kept", b"data: \ta\n\n", events("\ta")),
    ("a no-break space is not removed", b"data:\xc2\xa0a\n\n", events("\xa0a")),
    ("trailing spaces are kept", b"data: a \t \n\n", events("a \t ")),
    ("further colons belong to the value", b"data: a:b: c\n\ndata::\n\n", events("a:b: c", ":")),
    ("NUL in data is kept", b"data: a\0b\n\n", events("a\0b")),
    (
        "control characters in data are kept",
        b"data: \x01\x1b[0m\x7f\n\n",
        events("\x01\x1b[0m\x7f"),
    ),
    (
        "other fields may stand between data lines",
        b"data: a\nid: 1\ndata: b\n\n",
        [event("a\nb", last_id="1")],
    ),
    (
        "blank lines in plenty dispatch once",
        b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n",
        events("a", "b"),
    ),
    ("JSON stays as it is", b'data: {"a": "\\n\\u2028"}\n\n', events('{"a": "\\n\\u2028"}')),
]

FIELD_NAMES: list[Row] = [
    ("an unknown field is ignored", b"date: x\ndata: a\nfoo\n\n", events("a")),
    ("an unknown field alone dispatches nothing", b"foo: bar\n\n", NOTHING),
    ("a longer name is another name", b"data1: x\ndatas\ndata: a\n\n", events("a")),
    ("a shorter name is another name", b"dat: x\nd\ndata: a\n\n", events("a")),
    (
        "names in capitals are other names",
        b"DATA: x\nData: y\nID: 1\ndata: a\nEvent: e\n\n",
        events("a"),
    ),
    (
        "Turkish capitals are not folded",
        "data: a\n\u0130d: 1\n\u0131d: 2\n\n".encode(),
        events("a"),
    ),
    ("a space before the name is part of it", b" data: x\ndata: a\n\n", events("a")),
    ("a space before the colon is part of the name", b"data : x\ndata: a\n\n", events("a")),
    ("a tab before the colon is part of the name", b"data\t: x\ndata: a\n\n", events("a")),
    ("a NUL in the name is part of it", b"data\0: x\n\0data: y\ndata: a\n\n", events("a")),
    ("an invalid byte in the name is part of it", b"data\xff: x\ndata: a\n\n", events("a")),
    ("an overlong colon is not a colon", b"data\xc0\xba x\ndata: a\n\n", events("a")),
    (
        "an error field is unknown to the standard",
        b"error: x\n\nerror: y\ndata: a\n\n",
        events("a"),
    ),
]

COMMENTS: list[Row] = [
    ("an empty field name is a comment", b":\n\n:x\n\n: x: y\n\n", NOTHING),
    ("a comment splits no event", b"data: a\n: note\ndata: b\n\n", events("a\nb")),
    ("a comment does not end an event", b"data: a\n:\n", NOTHING),
    ("fields in a comment are not fields", b":data: x\n: event: y\ndata: a\n\n", events("a")),
    ("a comment may hold anything", b":\0\xff\xe2\x80\xa8\xc2\x85\x0b\ndata: a\n\n", events("a")),
    (
        "a comment and a blank line repeat no event",
        b"id: 1\ndata: a\n\n:\n\n:\n\n",
        [event("a", last_id="1")],
    ),
    ("a long comment is skipped", b":" + b"x" * 300 + b"\n\ndata: a\n\n", events("a")),
]

EVENT_TYPES: list[Row] = [
    ("an event has a type", b"event: add\ndata: a\n\n", [event("a", kind="add")]),
    ("the type may follow the data", b"data: a\nevent: add\n\n", [event("a", kind="add")]),
    (
        "a type holds for one event",
        b"event: x\ndata: a\n\ndata: b\n\n",
        [event("a", kind="x"), event("b")],
    ),
    ("the last type counts", b"event: x\nevent: y\ndata: a\n\n", [event("a", kind="y")]),
    ("an empty type is message", b"event:\ndata: a\n\nevent\ndata: b\n\n", events("a", "b")),
    ("an empty type undoes one before it", b"event: x\nevent\ndata: a\n\n", events("a")),
    ("an event without data is not dispatched", b"event: x\n\n", NOTHING),
    ("an undispatched event leaves no type", b"event: x\n\ndata: a\n\n", events("a")),
    ("an event with empty data is dispatched", b"event: x\ndata\n\n", [event("", kind="x")]),
    ("a type keeps its second space", b"event:  x \ndata: a\n\n", [event("a", kind=" x ")]),
    ("a type may be any text", "event: é\0☃\ndata: a\n\n".encode(), [event("a", kind="é\0☃")]),
]

IDS: list[Row] = [
    ("an event has an id", b"id: 1\ndata: a\n\n", [event("a", last_id="1")]),
    ("the id may follow the data", b"data: a\nid: 1\n\n", [event("a", last_id="1")]),
    (
        "an id persists",
        b"id: 1\ndata: a\n\ndata: b\n\n",
        [event("a", last_id="1"), event("b", last_id="1")],
    ),
    (
        "the next id replaces it",
        b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n",
        [event("a", last_id="1"), event("b", last_id="2")],
    ),
    ("the last id of an event counts", b"id: 1\nid: 2\ndata: a\n\n", [event("a", last_id="2")]),
    ("an event without data still sets the id", b"id: 1\n\ndata: a\n\n", [event("a", last_id="1")]),
    ("an id alone dispatches nothing", b"id: 1\n\n", NOTHING),
    (
        "an id without colon resets",
        b"id: 1\ndata: a\n\nid\ndata: b\n\n",
        [event("a", last_id="1"), event("b")],
    ),
    (
        "an empty id resets",
        b"id: 1\ndata: a\n\nid:\ndata: b\n\n",
        [event("a", last_id="1"), event("b")],
    ),
    (
        "an id of one space resets",
        b"id: 1\ndata: a\n\nid: \ndata: b\n\n",
        [event("a", last_id="1"), event("b")],
    ),
    ("an id with NUL is ignored", b"id: \0\ndata: a\n\n", events("a")),
    (
        "an id with NUL leaves the one before",
        b"id: 1\nid: 2\x003\ndata: a\n\n",
        [event("a", last_id="1")],
    ),
    ("an id keeps its second space", b"id:  1 \ndata: a\n\n", [event("a", last_id=" 1 ")]),
    ("an id may be any text", "id: …☃:7\ndata: a\n\n".encode(), [event("a", last_id="…☃:7")]),
    (
        "invalid bytes in an id are replaced",
        b"id: \xff\ndata: a\n\n",
        [event("a", last_id="\ufffd")],
    ),
]

RETRIES: list[Row] = [
    ("retry is a number", b"retry: 3000\ndata: a\n\n", [event("a", retry=3000)]),
    ("retry needs no space", b"retry:0\ndata: a\n\n", [event("a", retry=0)]),
    ("retry is decimal with leading zeros", b"retry: 0010\ndata: a\n\n", [event("a", retry=10)]),
    ("retry may follow the data", b"data: a\nretry: 1\n\n", [event("a", retry=1)]),
    (
        "retry goes with its own event",
        b"retry: 1\ndata: a\n\ndata: b\n\n",
        [event("a", retry=1), event("b")],
    ),
    ("retry without data is not carried on", b"retry: 1\n\ndata: a\n\n", events("a")),
    ("retry alone dispatches nothing", b"retry: 1\n\n", NOTHING),
    ("the last retry counts", b"retry: 1\nretry: 2\ndata: a\n\n", [event("a", retry=2)]),
    ("a bad retry leaves the good one", b"retry: 1\nretry: x\ndata: a\n\n", [event("a", retry=1)]),
    (
        "retry beyond 64 bits is exact",
        b"retry: " + b"9" * 40 + b"\ndata: a\n\n",
        [event("a", retry=10**40 - 1)],
    ),
    ("an empty retry is ignored", b"retry\nretry:\nretry: \ndata: a\n\n", events("a")),
    ("a signed retry is ignored", b"retry: +1\nretry: -1\ndata: a\n\n", events("a")),
    (
        "a retry with a space is ignored",
        b"retry:  1\nretry: 1 \nretry: 1 0\ndata: a\n\n",
        events("a"),
    ),
    ("a retry with a tab is ignored", b"retry:\t1\nretry: 1\t\ndata: a\n\n", events("a")),
    (
        "a retry with a letter is ignored",
        b"retry: 1x\nretry: 0x10\nretry: 1e3\ndata: a\n\n",
        events("a"),
    ),
    (
        "a retry with a point or underscore is ignored",
        b"retry: 1.5\nretry: 1_0\ndata: a\n\n",
        events("a"),
    ),
    ("Arabic digits are not ASCII", "retry: ٣\ndata: a\n\n".encode(), events("a")),
    ("fullwidth digits are not ASCII", "retry: \uff11\uff10\ndata: a\n\n".encode(), events("a")),
    ("a superscript two is not ASCII", "retry: ²\ndata: a\n\n".encode(), events("a")),
    ("a retry with NUL is ignored", b"retry: 7\0\ndata: a\n\n", events("a")),
]

ENDS: list[Row] = [
    ("a line without its end is discarded", b"data: a", NOTHING),
    ("an event without its blank line is discarded", b"data: a\n", NOTHING),
    ("the events before it are not", b"data: a\n\ndata: b\n", events("a")),
    ("a blank line needs its end too", b"data: a\n\ndata: b\r\n", events("a")),
    ("half a character at the end is discarded", b"data: a\n\ndata: \xf0\x9f", events("a")),
]

UTF8: list[Row] = [
    ("characters of two, three and four bytes", "data: é€😀\n\n".encode(), events("é€😀")),
    ("a noncharacter is a character", b"data: \xef\xbf\xbf\n\n", events("\uffff")),
    ("U+FFFD itself is kept", b"data: \xef\xbf\xbd\n\n", events("\ufffd")),
    ("FF and FE are one error each", b"data: \xff\xfe\n\n", events("\ufffd\ufffd")),
    ("a lone continuation is one error each", b"data: \x80\xbf\n\n", events("\ufffd\ufffd")),
    ("a cut sequence is one error", b"data: \xe2\x82a\n\n", events("\ufffda")),
    ("a longer cut sequence is one error", b"data: \xf0\x9f\x98a\n\n", events("\ufffda")),
    (
        "a sequence cut by a line end is one error",
        b"data: \xf0\x9f\x98\ndata: a\n\n",
        events("\ufffd\na"),
    ),
    ("two cut sequences are two errors", b"data: \xe2\x82\xe2\x82\n\n", events("\ufffd\ufffd")),
    ("a character after a cut sequence stands", b"data: \xe2\x82\xc3\xa9\n\n", events("\ufffdé")),
    ("an overlong slash is two errors", b"data: \xc0\xaf\n\n", events("\ufffd" * 2)),
    ("an overlong form is an error a byte", b"data: \xf0\x80\x80\xaf\n\n", events("\ufffd" * 4)),
    ("a surrogate is an error a byte", b"data: \xed\xa0\x80\n\n", events("\ufffd" * 3)),
    ("beyond U+10FFFF is an error a byte", b"data: \xf4\x90\x80\x80\n\n", events("\ufffd" * 4)),
    ("the last code point is none", b"data: \xf4\x8f\xbf\xbf\n\n", events("\U0010ffff")),
]

STANDARD: list[Row] = [
    (
        "the standard's four blocks fire three events",
        (
            b": test stream\n\ndata: first event\nid: 1\n\n"
            b"data:second event\nid\n\ndata:  third event\n\n"
        ),
        [event("first event", last_id="1"), *events("second event", " third event")],
    ),
    (
        "the standard's data blocks fire two events",
        b"data\n\ndata\ndata\n\ndata:",
        events("", "\n"),
    ),
    (
        "the standard's add and remove",
        b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n",
        [event("73857293", kind="add"), event("2153", kind="remove"), event("113411", kind="add")],
    ),
]

SERVERS: list[Row] = [
    (
        "OpenAI: chunks and [DONE]",
        f'data: {OPENAI}{{"content":"Hi"}}}}]}}\n\ndata: [DONE]\n\n'.encode(),
        events(f'{OPENAI}{{"content":"Hi"}}}}]}}', "[DONE]"),
    ),
    (
        "g4f: raw U+2028, U+2029, U+0085 and U+FEFF inside the JSON",
        f'data: {G4F}{{"content":"\u2028\u2029\x85\ufeff"}}}}]}}\n\ndata: [DONE]\n\n'.encode(),
        events(f'{G4F}{{"content":"\u2028\u2029\x85\ufeff"}}}}]}}', "[DONE]"),
    ),
    ("g4f: an error frame, then the end", f"data: {ERROR}\n\n".encode(), events(ERROR)),
    (
        "llama-server: a bare colon before and between, two events in a write",
        f":\n\ndata: {OPENAI}null}}]}}\n\ndata: {OPENAI}{{}}}}]}}\n\n:\n\n".encode(),
        events(f"{OPENAI}null}}]}}", f"{OPENAI}{{}}}}]}}"),
    ),
    ("older llama-server: an error line", b'error: {"code":500,"message":"x"}\n\n', NOTHING),
    (
        "llama-cpp-python and sse-starlette: CRLF and pings in comments",
        (
            b": ping - 2026-11-22 23:12:11.346909+00:00\r\n\r\ndata: {}\r\n\r\n"
            b": ping - 2026-11-22 23:12:26.346909+00:00\r\n\r\ndata: [DONE]\r\n\r\n"
        ),
        events("{}", "[DONE]"),
    ),
    (
        "sse-starlette: all fields",
        b"id: 7\r\nevent: update\r\nretry: 15000\r\ndata: a\r\ndata: b\r\n\r\n",
        [event("a\nb", kind="update", last_id="7", retry=15000)],
    ),
    (
        "a router that queues in comments",
        b": OPENROUTER PROCESSING\n\n" * 2 + b"data: {}\n\n",
        events("{}"),
    ),
    ("a gateway that pings with empty events", b"event: ping\n\ndata: {}\n\n", events("{}")),
    (
        "typed events, a ping among them",
        b'event: message_start\ndata: {"a":1}\n\nevent: ping\ndata: {"type": "ping"}\n\n',
        [event('{"a":1}', kind="message_start"), event('{"type": "ping"}', kind="ping")],
    ),
    (
        "an error event",
        b'event: error\ndata: {"error":{"type":"overloaded_error"}}\n\n',
        [event('{"error":{"type":"overloaded_error"}}', kind="error")],
    ),
    ("no space after data:", b"data:{}\n\ndata:[DONE]\n\n", events("{}", "[DONE]")),
    (
        "JSON over many data lines",
        b'data: {\ndata:   "a": 1\ndata: }\n\n',
        events('{\n  "a": 1\n}'),
    ),
    (
        "[DONE] without its blank line is not dispatched",
        b"data: {}\n\ndata: [DONE]\n",
        events("{}"),
    ),
    (
        "HTML is an event stream without events",
        b"<html>\r\n<body>502: bad\r\n</html>\r\n\r\n",
        NOTHING,
    ),
    ("JSON is an event stream without events", b'{\n  "error": {"data": 1}\n}\n\n', NOTHING),
]

ROWS = [
    *LINE_ENDS,
    *BYTE_ORDER_MARKS,
    *DATA,
    *FIELD_NAMES,
    *COMMENTS,
    *EVENT_TYPES,
    *IDS,
    *RETRIES,
    *ENDS,
    *UTF8,
    *STANDARD,
    *SERVERS,
]
# -- reading -------------------------------------------------------------------------------


def decode(blocks: Iterable[bytes], *, error_field: bool = False) -> list[ServerSentEvent]:
    return feed_all(SSEDecoder(error_field=error_field), blocks)


def feed_all(decoder: SSEDecoder, blocks: Iterable[bytes]) -> list[ServerSentEvent]:
    return [found for block in blocks for found in decoder.feed(block)]


def reference(body: bytes, *, error_field: bool = False) -> list[ServerSentEvent]:
    found: list[Event] = reference_events(body, error_field=error_field)
    return [ServerSentEvent(*values) for values in found]


def every(size: int, body: bytes) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    """`body` cut at `places`, with empty blocks where places repeat or lie outside."""
    edges = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


# -- the table -----------------------------------------------------------------------------


def test_the_table_covers_the_standard_with_distinct_claims() -> None:
    assert len({claim for claim, _, _ in ROWS}) == len(ROWS) >= 90


def test_the_reference_agrees_with_the_table() -> None:
    assert [claim for claim, body, expected in ROWS if reference(body) != expected] == []


@pytest.mark.parametrize(
    ("body", "expected"), [pytest.param(body, expected, id=claim) for claim, body, expected in ROWS]
)
def test_a_body_gives_its_events_however_it_is_cut(
    body: bytes, expected: list[ServerSentEvent]
) -> None:
    assert decode([body]) == expected, "in one read"
    for size in range(1, 20):
        assert decode(every(size, body)) == expected, f"in reads of {size}"
    for place in range(len(body) + 1):
        assert decode(cut(body, [place])) == expected, f"cut at {place}"


@examples(1000)
@given(row=st.sampled_from(ROWS), parts=st.lists(st.integers(0, 100), max_size=12))
def test_a_body_gives_its_events_cut_at_random(row: Row, parts: list[int]) -> None:
    _, body, expected = row
    assert decode(cut(body, [len(body) * part // 100 for part in parts])) == expected


def test_an_event_comes_with_the_byte_that_completes_it() -> None:
    """What has come of a stream is a stream: no event waits for the bytes behind it."""
    for claim, body, _ in ROWS:
        decoder = SSEDecoder()
        found: list[ServerSentEvent] = []
        for end in range(1, len(body) + 1):
            found += decoder.feed(body[end - 1 : end])
            assert found == reference(body[:end]), f"{claim}: after {end} bytes"


# -- any bytes -----------------------------------------------------------------------------

FRAGMENTS = [
    *[b"data", b"event", b"id", b"retry", b"error", b"message"],
    *[b"data: ", b"data:", b"event: ", b"id: ", b"retry: ", b"error: ", b": ping"],
    *[b":", b" ", b"\t", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n"],
    *[
        b"\xef\xbb\xbf",
        b"\xef",
        b"\xef\xbb",
        b"\xe2\x80\xa8",
        b"\xc2\x85",
        b"\x85",
        b"\x0b",
        b"\x0c",
    ],
    *[b"\0", b"\xff", b"\xf0\x9f\x98\x80", b"\xf0\x9f", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\x8a"],
    *[b"data: a\n\n", b"data: {}\n\ndata: \n\n", b"data: a\r\n\r\n"],
    *[b"0", b"10", b"-1", "٣".encode(), b"a", b"{}", b"[DONE]", "é".encode()],
]
bodies = st.one_of(
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=3)), max_size=40).map(
        b"".join
    ),
    st.binary(max_size=120),
)
places = st.lists(st.integers(0, 160), max_size=10)


@examples(500)
@given(body=bodies, places=places, error_field=st.booleans())
def test_any_bytes_cut_anywhere_give_the_events_of_the_reference(
    body: bytes, places: list[int], error_field: bool
) -> None:
    expected = reference(body, error_field=error_field)
    assert decode(cut(body, places), error_field=error_field) == expected
    assert decode(every(1, body), error_field=error_field) == expected


@examples(200)
@given(body=bodies, places=places)
def test_flush_gives_what_a_blank_line_would_have_given(body: bytes, places: list[int]) -> None:
    decoder = SSEDecoder()
    for block in cut(body, places):
        decoder.feed(block)
    assert decoder.flush() == reference(body + b"\n\n")[len(reference(body)) :]
    assert decoder.flush() == []


@examples(300)
@given(body=st.one_of(bodies, st.binary(max_size=2000)), limit=st.integers(1, 60))
def test_any_bytes_raise_nothing_but_our_errors(body: bytes, limit: int) -> None:
    decoder = SSEDecoder(max_event_bytes=limit, error_field=True)
    for block in every(7, body):
        with suppress(CopilotError):
            decoder.feed(block)
    with suppress(CopilotError):
        decoder.flush()


@examples(600)
@given(body=bodies, places=places, large=st.sampled_from([1, 8, 64 * 1024]))
@example(body=b"data: a\n\n\n\ndata: b\n\n", places=[], large=1)
@example(body=b"data: a\n\ndata: b\ndata: \n\n", places=[], large=1)
@example(body=b"data: data: \n\ndata: \n\n", places=[13], large=64 * 1024)
@example(body=b"data: data: \n\ndata: \n\n", places=[13], large=1)
@example(body=b"data: a\n\ndata: b\n\ndata: c\n\n", places=[3], large=1)
@example(body=b"data: a\n\n: b\n\n", places=[3], large=1)
@example(body=b"data: a\ndata: b\n\n", places=[3], large=1)
@example(body=b"event: x\ndata: a\n\n", places=[9], large=1)
@example(body=b"data: a\ndata: b\n\n", places=[8], large=1)
def test_plain_payloads_are_the_data_that_interpret_gives(
    body: bytes, places: list[int], large: int
) -> None:
    found: list[tuple[str, str]] = []
    with patch.object(sse, "_LARGE", large):  # of an unfinished line, which then is never copied
        decoder = SSEDecoder()
        for block in cut(body, places):
            lines = decoder.take_lines(block)
            payloads = plain_payloads(decoder, lines)
            if payloads is None:
                found += [(each.event, each.data) for each in decoder.interpret(lines)]
            else:
                found += [("message", payload.decode(errors="replace")) for payload in payloads]
    assert found == [(each.event, each.data) for each in reference(body)]


def test_plain_payloads_are_there_for_what_servers_send() -> None:
    decoder = SSEDecoder()
    assert plain_payloads(decoder, decoder.take_lines(b"data: {}\n\ndata: x")) == [b"{}"]
    assert plain_payloads(decoder, decoder.take_lines(b"y\r\n\r\ndata: \r\n\r\n")) == [b"xy", b""]
    assert plain_payloads(decoder, decoder.take_lines(b": ping\n\n")) is None
    lines = decoder.take_lines(b"data: a\n")
    assert (plain_payloads(decoder, lines), decoder.interpret(lines)) == (None, [])
    assert plain_payloads(decoder, decoder.take_lines(b"data: b\n\n")) is None


@pytest.mark.parametrize("digits", [4_300, 4_301, 100_000])
def test_a_retry_of_any_length_is_a_number_or_ignored(digits: int) -> None:
    """The standard lets an implementation limit a number, int() stops at 4,300 digits."""
    found = decode([b"retry: " + b"9" * digits + b"\ndata: a\n\n"])
    assert found in (events("a"), [event("a", retry=10**digits - 1)])


def test_an_empty_read_is_nothing() -> None:
    assert SSEDecoder().feed(b"") == []


def test_two_decoders_share_nothing() -> None:
    first, second = SSEDecoder(), SSEDecoder()
    first.feed(b"id: 1\nevent: x\nretry: 1\ndata: a")
    assert second.feed(b"\xef\xbb\xbfdata: b\n\n") == events("b")
    assert first.feed(b"\n\n") == [event("a", kind="x", last_id="1", retry=1)]


def test_an_event_is_a_frozen_value() -> None:
    found = event("a", kind="x", last_id="1", retry=2)
    assert found == ServerSentEvent(event="x", data="a", id="1", retry=2)
    assert hash(found) == hash(event("a", kind="x", last_id="1", retry=2))
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301  # our own bytes
    assert not hasattr(found, "__dict__")
    with pytest.raises(FrozenInstanceError):
        found.data = "b"  # type: ignore[misc]  # the claim is that this fails


# -- flush and error_field -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"", NOTHING, id="an empty body has no unfinished event"),
        pytest.param(b"data: [DONE]", events("[DONE]"), id="the line end is missing"),
        pytest.param(b"data: [DONE]\n", events("[DONE]"), id="the blank line is missing"),
        pytest.param(
            b"data: [DONE]\r", events("[DONE]"), id="the blank line after a CR is missing"
        ),
        pytest.param(
            b"data: [DONE]\r\n", events("[DONE]"), id="the blank line after CRLF is missing"
        ),
        pytest.param(b"data: a\n\n", NOTHING, id="a finished event does not come twice"),
        pytest.param(b"data: a\ndata: b", events("a\nb"), id="the lines before count"),
        pytest.param(b"data: a\nid: 4", [event("a", last_id="4")], id="an unfinished field counts"),
        pytest.param(b"data", events(""), id="a name without colon is a field"),
        pytest.param(b"dat", NOTHING, id="an unfinished name is another name"),
        pytest.param(b"event: x\nid: 1\nretry: 1\n: y", NOTHING, id="no data, no event"),
        pytest.param(b"data: \xf0\x9f", events("\ufffd"), id="half a character is replaced"),
        pytest.param(b"\xef\xbb\xbfdata: a", events("a"), id="a BOM is stripped"),
        pytest.param(b"\xef\xbb", NOTHING, id="half a BOM is nothing"),
    ],
)
def test_flush_gives_the_event_the_end_left_unfinished(
    body: bytes, expected: list[ServerSentEvent]
) -> None:
    for blocks in ([body], every(1, body)):
        decoder = SSEDecoder()
        for block in blocks:
            decoder.feed(block)
        assert decoder.flush() == expected
        assert decoder.flush() == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b'error: {"code":500}\n\n', [event('{"code":500}', kind="error")], id="alone"),
        pytest.param(
            b"error:x\r\rdata: a\r\r", [event("x", kind="error"), event("a")], id="for one event"
        ),
        pytest.param(b"error: a\nerror: b\n\n", [event("a\nb", kind="error")], id="over two lines"),
        pytest.param(
            b"id: 1\nerror: a\n\n", [event("a", kind="error", last_id="1")], id="with an id"
        ),
        pytest.param(b"error\n\n", [event("", kind="error")], id="without a value"),
        pytest.param(b"Error: a\nerrors: b\n error: c\n\n", NOTHING, id="by its exact name only"),
        pytest.param(b"event: error\ndata: a\n\n", [event("a", kind="error")], id="or as an event"),
    ],
)
def test_error_field_reads_an_error_line_as_an_error_event(
    body: bytes, expected: list[ServerSentEvent]
) -> None:
    assert reference(body, error_field=True) == expected
    assert decode([body], error_field=True) == expected
    assert decode(every(1, body), error_field=True) == expected


def test_error_field_is_off_by_default_and_kept_by_flush() -> None:
    assert SSEDecoder().feed(b"error: a\n\n") == []
    decoder = SSEDecoder(error_field=True)
    assert decoder.feed(b"error: a") == []
    assert decoder.flush() == [event("a", kind="error")]


# -- max_event_bytes -----------------------------------------------------------------------


class Outcome(NamedTuple):
    """All events that came, those with the error included, and the limit it named."""

    events: list[ServerSentEvent]
    limit: int | None


def outcome(blocks: Iterable[bytes], limit: int, *, error_field: bool = False) -> Outcome:
    decoder = SSEDecoder(max_event_bytes=limit, error_field=error_field)
    found: list[ServerSentEvent] = []
    for block in blocks:
        try:
            found += decoder.feed(block)
        except EventTooLargeError as error:
            return Outcome([*found, *error.events], error.limit)
    return Outcome(found, None)


ENDLESS = {
    "a data line": (b"data: ", b"x"),
    "a comment": (b":", b"x"),
    "a field name": (b"", b"x"),
    "an event type": (b"event: ", b"x"),
    "an id": (b"id: ", b"x"),
    "a retry": (b"retry: ", b"9"),
    "a line of NUL": (b"", b"\0"),
    "a line of half characters": (b"data: ", b"\xe2"),
    "data lines": (b"", b"data: xxxx\n"),
    "data lines ended by CR": (b"", b"data: xxxx\r"),
    "data lines ended by CRLF": (b"", b"data: xxxx\r\n"),
    "data lines among comments": (b"", b"data: xxxx\n: ping\nfoo: bar\n"),
    "tiny data lines": (b"", b"data:xx\n"),
    "empty data lines": (b"", b"data\n"),
}
endless = pytest.mark.parametrize(
    ("head", "more"), [pytest.param(*parts, id=name) for name, parts in ENDLESS.items()]
)


@endless
def test_what_never_ends_is_an_error_that_says_what_to_raise(head: bytes, more: bytes) -> None:
    decoder = SSEDecoder(max_event_bytes=100)
    with pytest.raises(EventTooLargeError, match=r"\b100\b") as caught:
        decoder.feed(b"data: before\n\n" + head + more * 500)
    error = caught.value
    assert (error.limit, list(error.events)) == (100, events("before"))
    assert "max_event_bytes" in str(error)
    assert isinstance(error, CopilotError)
    assert isinstance(error, ValueError)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert (str(again), again.limit, list(again.events)) == (str(error), 100, events("before"))


@endless
def test_what_never_ends_ends_the_same_however_it_is_cut(head: bytes, more: bytes) -> None:
    body = b"id: 1\ndata: before\n\ndata: two\n\n" + head + more * 500 + b"\n\ndata: after\n\n"
    expected = Outcome([event("before", last_id="1"), event("two", last_id="1")], 100)
    for size in (1, 2, 3, 7, 64, 99, 100, 101, len(body)):
        assert outcome(every(size, body), 100) == expected, f"reads of {size}"


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("field", [b"data: ", b":", b"foo: "])
def test_a_line_of_just_the_limit_passes_and_one_byte_more_does_not(
    field: bytes, line_end: bytes
) -> None:
    """The line end is not counted: it does not have to be held."""
    for limit, mark in product((20, 100, 3000), (b"", b"\xef\xbb\xbf")):
        fits = mark + field.ljust(limit, b"x") + line_end * 2
        bursts = mark + field.ljust(limit + 1, b"x") + line_end * 2
        for size in (1, 1000, len(bursts)):
            assert outcome(every(size, fits), limit) == Outcome(reference(fits), None)
            assert outcome(every(size, bursts), limit) == Outcome([], limit)


def test_the_limit_holds_for_the_data_lines_of_an_event_together() -> None:
    """Whether names and line ends count is left open here, the values do in any case."""
    fits = b"data: 1234\n" * 9
    assert outcome(every(5, fits + b"\n"), len(fits)) == Outcome(reference(fits + b"\n"), None)
    assert outcome(every(5, fits + b"\n"), 9 * 4 - 1) == Outcome([], 35)


def test_the_limit_is_for_one_event_not_for_the_stream() -> None:
    body = b"data: 1234\n\n: comment\n\n" * 200
    assert outcome([body], 20) == Outcome(reference(body), None)


def test_lines_that_hold_nothing_may_go_on_for_ever() -> None:
    idle = b": ping\nfoo: bar\nevent: x\nid: 7\nretry: 1\n" * 2000
    found = outcome(every(999, b"data: a\n" + idle + b"\n" + b"\r\n" * 2000), 20)
    assert found == Outcome([event("a", kind="x", last_id="7", retry=1)], None)


@examples(600)
@given(
    body=bodies, places=places, some=st.tuples(*[st.integers(0, 12)] * 2), more=st.integers(-2, 4)
)
@example(body=b"data\n\n", places=[5], some=(0, 1), more=0)
@example(body=b"data: a\n\ndata:\xef", places=[10], some=(2, 3), more=-1)
@example(body=b"\xef\xbb\xbf\xef\xbb\xbf", places=[4], some=(0, 0), more=3)
@example(body=b"\xef\xbb", places=[1], some=(0, 0), more=1)
@example(body=b"\xef\xbb\xbf", places=[], some=(0, 0), more=1)
def test_the_limit_strikes_at_the_same_event_however_it_is_cut(
    body: bytes, places: list[int], some: tuple[int, int], more: int
) -> None:
    """Limits lie about the size of some of the lines, where a miscount would show."""
    lines = re.split(rb"\r\n|\n|\r", body)
    limit = max(1, sum(map(len, lines[slice(*sorted(some))])) + more)
    whole = outcome([body], limit)
    assert outcome(cut(body, places), limit) == whole
    assert outcome(every(1, body), limit) == whole
    expected = reference(body)
    assert whole.events == (expected if whole.limit is None else expected[: len(whole.events)])
    if len(body) <= limit:
        assert whole.limit is None
    elif max(map(len, lines)) > limit + len(b"\xef\xbb\xbf"):
        assert whole.limit == limit


@examples(200)
@given(body=bodies, places=places, limit=st.integers(1, 40))
def test_after_the_error_nothing_is_read_as_an_event(
    body: bytes, places: list[int], limit: int
) -> None:
    """The tail of a line that was too long may hold anything: it is not a new stream."""
    decoder = SSEDecoder(max_event_bytes=limit)
    with pytest.raises(EventTooLargeError):
        decoder.feed(b"data: " + b"x" * limit)
    for block in filter(None, cut(body + b"\n\ndata: a\n\n", places)):
        with pytest.raises(EventTooLargeError) as caught:
            decoder.feed(block)
        assert list(caught.value.events) == []


def test_after_the_error_there_is_no_unfinished_event() -> None:
    decoder = SSEDecoder(max_event_bytes=20)
    with pytest.raises(EventTooLargeError):
        decoder.feed(b"event: x\ndata: a\ndata: " + b"x" * 20)
    with suppress(EventTooLargeError):
        assert decoder.flush() == []


def test_a_megabyte_is_one_line_by_default() -> None:
    body = b"data: " + b"x" * 1_200_000 + b"\n\n"
    assert decode(every(65_536, body)) == events("x" * 1_200_000)


# -- memory and work -----------------------------------------------------------------------

LIMIT = 32 * 1024

#: Tracing lines would take most of the time here and allocate within the measurement.
uncovered = pytest.mark.no_cover


def bound(read: int) -> int:
    """The event, a copy or two of it, and what splitting one read into tiny lines takes."""
    return 4 * LIMIT + 8 * read + 32 * 1024


@uncovered
@endless
def test_what_never_ends_is_not_held_beyond_the_limit(head: bytes, more: bytes) -> None:
    body = more * (16 * LIMIT // len(more))
    for size in (1, 64, 2048):
        decoder = SSEDecoder(max_event_bytes=LIMIT)
        decoder.feed(head)
        with Traced() as used:
            with pytest.raises(EventTooLargeError):
                feed_all(decoder, every(size, body))
            assert used.peak() < bound(size), f"reads of {size}"


@uncovered
@endless
def test_after_the_error_nothing_more_is_held(head: bytes, more: bytes) -> None:
    """A reader that goes on regardless costs no memory."""
    body = more * (2 * LIMIT // len(more))
    for size in (32, 2048):
        decoder = SSEDecoder(max_event_bytes=LIMIT)
        with pytest.raises(EventTooLargeError):
            feed_all(decoder, [head, *every(size, body * 8)])
        with Traced() as used:
            for block in every(size, body):
                with suppress(EventTooLargeError):
                    decoder.feed(block)
            assert used.now() < LIMIT // 2, f"reads of {size}"


@uncovered
def test_one_large_read_is_not_held_after_the_error() -> None:
    block = b"x" * (32 * LIMIT)
    decoder = SSEDecoder(max_event_bytes=LIMIT)
    with Traced() as used:
        with pytest.raises(EventTooLargeError):
            decoder.feed(block)
        assert used.now() < bound(0)


@uncovered
def test_lines_that_hold_nothing_are_not_held() -> None:
    decoder = SSEDecoder()
    block = b": ping\nfoo: bar\nevent: x\nid: 7\nretry: 1\n" * 100
    with Traced() as used:
        for _ in range(100):
            decoder.feed(block)
        assert used.now() < len(block) + 65_536


@uncovered
def test_eight_megabytes_in_small_reads_take_under_four_times_that() -> None:
    size = 8 * 2**20
    body = b"data: " + b"x" * size + b"\n\n"
    decoder = SSEDecoder()
    with Traced() as used:
        found = feed_all(decoder, hurried(every(64, body)))
        assert used.peak() < 4 * size
    assert [len(each.data) for each in found] == [size]


SHAPES = {
    "one line": b"x",
    "data lines": b"data: abcdefgh\n",
    "comments": b": ping\n",
    "events": b"data: a\n\n",
    "CR": b"\r",
    "blank CRLF lines": b"\r\n",
}
shapes = pytest.mark.parametrize("shape", [pytest.param(SHAPES[name], id=name) for name in SHAPES])


@uncovered
@shapes
def test_four_times_the_bytes_take_four_times_the_calls(shape: bytes) -> None:
    def run(size: int) -> int:
        body = (shape * size)[:size]
        decoder = SSEDecoder()
        return calls(lambda: feed_all(decoder, every(1, body)))

    assert run(8_000) <= 5 * run(2_000)


@uncovered
@shapes
def test_four_times_the_bytes_allocate_four_times_the_memory(shape: bytes) -> None:
    """Adding up each read's own peak shows a buffer that is copied at every read."""

    def run(size: int) -> int:
        body = (shape * size)[:size]
        decoder = SSEDecoder()
        total = 0
        with Traced() as used:
            for block in every(1, body):
                before = used.now()
                tracemalloc.reset_peak()
                decoder.feed(block)
                total += used.peak() - before
        return total

    assert run(20_000) <= 8 * run(5_000)


HOSTILE = {
    "a long line in small reads": (b"data: " + b"x" * 2**23 + b"\n\n", 64, 1),
    "many data lines in small reads": ((b"data: " + b"x" * 100 + b"\n") * 2**16 + b"\n", 64, 1),
    "many data lines in one read": (b"data\n" * 2**19 + b"\n", 2**22, 1),
    "many comments in one read": (b":\n" * 2**20, 2**22, 0),
    "many blank lines in one read": (b"\r\n" * 2**20, 2**22, 0),
    "many CR in small reads": (b"\r" * 2**19, 3, 0),
    "CR lines with the only LF at the end": (b"x\r" * 2**20 + b"\n", 2**22, 0),
    "LF lines with the only CR at the end": (b"x\n" * 2**20 + b"\r", 2**22, 0),
    "a value full of colons": (b"data:" + b" :" * 2**20 + b"\n\n", 4096, 1),
}


@uncovered
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_take_linear_time(name: str) -> None:
    """Each takes a second at most; what rescans or recopies takes minutes and is stopped."""
    body, size, expected = HOSTILE[name]
    assert len(feed_all(SSEDecoder(), hurried(every(size, body)))) == expected


def hurried(reads: Iterable[bytes], seconds: float = 20.0) -> Iterator[bytes]:
    """`reads`, until this process has computed for `seconds`: a failure, not a hang.

    Processor time, so a busy machine does not count; a linear decoder needs a twentieth.
    """
    start = time.process_time()
    for read in reads:
        yield read
        assert time.process_time() - start < seconds, "the work is not linear in the bytes"


def calls(work: Callable[[], object]) -> int:
    """How many functions, Python's and C's, `work` calls."""
    count = 0

    def tick(_frame: FrameType, what: str, _arg: object) -> None:
        nonlocal count
        count += what in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(tick)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


class Traced:
    """Counts the bytes allocated inside its block."""

    def __enter__(self) -> Self:
        tracemalloc.start()
        self.base = tracemalloc.get_traced_memory()[0]
        return self

    def __exit__(self, *_: object) -> None:
        tracemalloc.stop()

    def now(self) -> int:
        return tracemalloc.get_traced_memory()[0] - self.base

    def peak(self) -> int:
        return tracemalloc.get_traced_memory()[1] - self.base
