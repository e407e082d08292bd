"""Servers that count, nest and write as no honest one does: the console keeps its contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from console_runs import events_of, inside, served

from async_copilot.console.deep_json import deep_nesting, line_of
from async_copilot.fake_server import FakeAnswer

DEEP = "[" * 990 + "]" * 990
LARGE = "9" * 4000


def answer(**fields: str) -> FakeAnswer:
    """An answer "Hi" with fields of the last chunk, as JSON text."""
    more = "".join(f', "{name}": {value}' for name, value in fields.items())
    chunk = f'{{"choices": [{{"delta": {{"content": "Hi"}}, "finish_reason": "stop"}}]{more}}}'
    headers = {"Content-Type": "text/event-stream"}
    return FakeAnswer(body=f"data: {chunk}\n\ndata: [DONE]\n\n", headers=headers)


USAGES = {
    "nested": f'{{"x": {DEEP}, "completion_tokens": 3}}',
    "large": f'{{"completion_tokens": {LARGE}}}',
    "true": '{"completion_tokens": true}',
    "negative": '{"completion_tokens": -5}',
    "NaN": '{"completion_tokens": NaN, "all": [Infinity, 1e999]}',
    "a text": '{"completion_tokens": "many"}',
    "half of a pair": '{"x": "\\ud83d", "\\ude00": 1}',
    "no object": "[1]",
}


@pytest.mark.parametrize("usage", USAGES)
def test_whatever_a_server_counts_the_last_line_sums_up(usage: str) -> None:
    with served(answer(usage=USAGES[usage])) as server:
        done = inside("Hi", "--json", "--stats", "--url", server.url)
        plain = inside("Hi", "--stats", "--url", server.url)
    assert (done.returncode, plain.returncode) == (0, 0)
    end = events_of(done.stdout)[-1]
    assert (end["event"], end["text"], end["exit_status"]) == ("end", "Hi", 0)
    assert plain.stdout == "Hi\n"
    assert plain.stderr.startswith("stats: headers ")
    assert plain.stderr.count("\n") == 1
    assert not [c for c in json.dumps(end, ensure_ascii=False) if "\ud800" <= c <= "\udfff"]


HANDLES = {
    "nested": f'{{"conversation_id": "c", "x": {DEEP}}}',
    "large": f'{{"conversation_id": "c", "x": {LARGE}}}',
    "NaN": '{"conversation_id": "c", "x": NaN}',
    "half of a pair": '{"conversation_id": "c", "x": "\\ud83d"}',
}


@pytest.mark.parametrize("handle", HANDLES)
def test_whatever_a_handle_holds_it_is_saved_and_sent_back(handle: str, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    with served(answer(conversation=HANDLES[handle], provider='"Copilot"')) as server:
        saved = inside("Hi", "--save", str(file), "--url", server.url)
        done = inside("And", "--resume", str(file), "--save", str(file), "--url", server.url)
        bodies = [request.raw for request in server.requests]
    assert saved.returncode == 0
    # On some Pythons the fake server itself gives up at so many levels.
    assert done.returncode in ((0, 76) if handle == "nested" else (0,))
    assert "Traceback" not in saved.stderr + done.stderr
    assert b'"conversation":{"conversation_id":"c","x":' in bodies[1].replace(b" ", b"")


FORGED = "\nasync-copilot: forged\r\nasync-copilot: forged\u2028async-copilot: forged\x85"


def test_a_servers_line_breaks_cannot_forge_a_line_of_ours() -> None:
    refusals = [
        FakeAnswer("", refusal=f"no{FORGED}"),
        FakeAnswer(status=400, error=f"no{FORGED}"),
        FakeAnswer(status=503, error=f"no{FORGED}", retry_after=0.01),
    ]
    for refusal in refusals:
        with served([refusal, FakeAnswer(status=400)]) as server:
            done = inside("Hi", "--verbose", "--url", server.url)
        assert "forged" in done.stderr
        lines = done.stderr.splitlines()
        assert not [line for line in lines if line.startswith("async-copilot: forged")]


def test_json_keeps_a_hundred_levels_and_joins_what_belongs_together() -> None:
    value: object = "x"
    for _ in range(100):
        value = [value]
    assert json.loads(line_of({"v": value})) == {"v": value}
    assert json.loads(line_of({"v": [[value, float("nan")]]}))["v"][0][1] is None
    assert line_of({"v": "\ud83d\ude00", "\udc00": "\x7f"}) == (
        '{"v": "\\ud83d\\ude00", "\\ufffd": "\\u007f"}'
    )


def test_depth_is_allowed_for_a_moment_only() -> None:
    deep = json.loads("[" * 200 + "]" * 200)
    for _ in range(5):
        deep = [[[deep]]]
    with deep_nesting():
        assert json.dumps(deep)
