"""Cassettes: what a real server sent is written as it came, and comes again as it was written."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fake_client import chat_body, content_of, events_of, get, joined, post, raw_bytes
from hypothesis import given
from hypothesis import strategies as st

from async_copilot.fake_server import (
    BrokenFraming,
    Cassette,
    CassetteError,
    Close,
    ErrorFrame,
    FakeServer,
    HugeEvent,
    Raw,
    Repeat,
    Reset,
    ScriptError,
    Stall,
    Truncate,
)
from async_copilot.fake_server.cassette import Take, lines_of
from async_copilot.fake_server.envelope import Envelope
from async_copilot.fake_server.plan import DIALECTS
from async_copilot.fake_server.replay import replay
from async_copilot.fake_server.steps import Drop

RECORDINGS = Path(__file__).parents[1] / "recordings"

# ---- the file


def take_of(*reads: tuple[float, bytes], **fields: Any) -> Take:
    defaults: dict[str, Any] = {
        "method": "POST",
        "path": "/v1/chat/completions",
        "asked": {"messages": [{"role": "user", "content": "Hi"}]},
        "status": 200,
        "headers": (("Content-Type", "text/event-stream"),),
        "at": 0.0,
        "reads": reads,
        "end": "complete",
    }
    return Take(**(defaults | fields))


def written(folder: Path, *takes: Take) -> Path:
    """A cassette with these recordings, with empty lines between its own."""
    file = folder / "a.cassette"
    lines = ['{"cassette": 1}', *(line for take in takes for line in lines_of(take))]
    file.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    return file


def frames(*texts: str, finish: bool = True) -> list[bytes]:
    """The events of a stream with these pieces."""
    deltas = [{"choices": [{"delta": {"content": text}}]} for text in texts]
    end = [{"choices": [{"delta": {}, "finish_reason": "stop"}]}] if finish else []
    events = [f"data: {json.dumps(event)}\n\n" for event in [*deltas, *end]]
    return [event.encode() for event in [*events, "data: [DONE]\n\n"]]


def stream_of(*texts: str, every: float = 0.0, **fields: Any) -> Take:
    reads = [(every * number, data) for number, data in enumerate(frames(*texts), 1)]
    return take_of(*reads, **fields)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_come_back_from_the_file(blocks: list[bytes]) -> None:
    take = take_of(*((number / 1000, block) for number, block in enumerate(blocks)))
    lines = "".join(lines_of(take)).encode("utf-8").decode("utf-8")
    values = [json.loads(line) for line in lines.splitlines() if line.startswith("[")]
    assert [text.encode("utf-8", "surrogateescape") for _, text in values] == blocks


def test_each_read_is_one_line_of_readable_text(tmp_path: Path) -> None:
    reads = [(0.5, "data: Grüße\n\n".encode()), (1.25, b"\xff\x00")]
    file = written(tmp_path, take_of(*reads, at=0.25))
    assert file.read_text("utf-8").split("\n")[5::2] == [
        '[0.5, "data: Grüße\\n\\n"]',
        '[1.25, "\\udcff\\u0000"]',
        '{"end": "complete", "at": 1.25}',
    ]


WRONG: list[tuple[str, str]] = [
    ("", "line 0: is not the start of a cassette"),
    ("{}", "line 1: is not the start of a cassette"),
    ('{"cassette": 2}', "line 1: version 2: this release reads version 1"),
    ('{"cassette": "1"}', "version '1'"),
    ('{"cassette": 1}\n{"request": 5}', "line 2: must be the request of a recording"),
    ('{"cassette": 1}\n{"request": {}}', "line 2: must be the response of a recording"),
    ('{"cassette": 1}\nHTTP/1.1', "line 2: is not JSON; the file ends in the middle of a line"),
    ('{"cassette": 1}\n' + "[" * 100_000 + "\n", "line 2: is not JSON"),
]
HEAD = '{"cassette": 1}\n{"request": {"method": "POST", "path": "/v1/chat/completions"}}\n'
OK = '{"response": {"status": 200, "headers": [], "at": 0.1}}\n'
WRONG += [
    (HEAD + '{"response": {"status": 99, "at": 0}}', "line 3: status 99: must be 200 to 599"),
    (HEAD + '{"response": {"status": 200, "at": -1}}', "line 3: time -1: must be a number"),
    (HEAD + '{"response": {"status": 200, "at": 1e999}}', "line 3: time inf"),
    (HEAD + '{"response": {"status": 200, "at": 0, "headers": [["a", "b\\r\\nc: d"]]}}', "header"),
    (HEAD + '{"response": {"status": 200, "at": 0, "headers": [[5, "b"]]}}', "header"),
    (HEAD + '{"response": {"status": 200, "at": 0, "headers": ["ab"]}}', "header 'ab'"),
    (
        HEAD + '{"response": {"status": 200, "at": 0, "headers": 5}}',
        "the headers are 5, not a list",
    ),
    (HEAD + '{"response": {"status": 200, "at": 1' + "0" * 400 + "}}", "line 3: time 1000"),
    ('{"cassette": true}', "version True"),
    (HEAD + OK, "line 3: recording 1 has no end: the file was cut off"),
    (HEAD + OK + '[0.05, "x"]', "line 4: time 0.05: must be a number of seconds, 0.1 or more"),
    (HEAD + OK + "[0.2]", r"line 4: must be a read: \[seconds, text\]"),
    (HEAD + OK + "[0.2, 5]", "line 4: must be a read"),
    (HEAD + OK + '[0.2, "\\ud800"]', "line 4: the text has a surrogate that stands for no byte"),
    (HEAD + OK + '{"end": "well"}', "line 4: must be a read or an end of complete, cut, left"),
    (HEAD.replace('"POST"', "5") + OK + '{"end": "cut"}', "the request's method is 5, not a text"),
]


@pytest.mark.parametrize(("text", "words"), WRONG, ids=[words for _, words in WRONG])
def test_a_file_that_is_not_a_cassette_is_told_with_its_line(
    tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "wrong.cassette"
    file.write_text(text)
    with pytest.raises(CassetteError, match=words) as caught:
        Cassette(file)
    assert "wrong.cassette" in str(caught.value)


def test_bytes_that_are_not_utf_8_are_told(tmp_path: Path) -> None:
    file = tmp_path / "wrong.cassette"
    file.write_bytes(b'{"cassette": 1}\n\xff\n')
    with pytest.raises(CassetteError, match="is not UTF-8 text"):
        Cassette(file)


def test_what_is_not_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match="is not a file"):
        Cassette(tmp_path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.cassette"
    with file.open("wb") as sparse:
        sparse.truncate(2**34)
    with pytest.raises(CassetteError, match="17179869184 bytes, at most"):
        Cassette(file)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"speed": 0}, "speed=0"),
        ({"speed": "fast"}, "speed='fast'"),
        ({"match": "text"}, "match='text'"),
        ({"fault": "Stall"}, "fault='Stall'"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Cassette(written(tmp_path, stream_of("a")), **options)


# ---- the replay


async def test_a_replay_has_the_same_bytes_status_and_headers(tmp_path: Path) -> None:
    headers = (("Content-Type", "text/event-stream"), ("X-A", "1"), ("X-A", "2"), ("Server", "uv"))
    take = stream_of("Hel", "lo", headers=headers)
    async with FakeServer(Cassette(written(tmp_path, take))) as server:
        status, seen, body = await post(server)
        assert server.all_used()
    assert (status, body, seen.getall("X-A"), seen["Server"]) == (200, take.body, ["1", "2"], "uv")


async def test_a_body_of_a_length_keeps_its_length(tmp_path: Path) -> None:
    headers = (("Content-Type", "application/json"), ("Content-Length", "2"))
    take = take_of((0.0, b"{}"), status=429, headers=headers)
    async with FakeServer(Cassette(written(tmp_path, take))) as server:
        status, seen, body = await post(server)
    assert (status, body, seen["Content-Length"]) == (429, b"{}", "2")
    assert "Transfer-Encoding" not in seen


async def arrivals(server: FakeServer) -> list[tuple[float, bytes]]:
    """What came of one answer, and when after the request."""
    async with aiohttp.ClientSession() as session:
        start = time.monotonic()
        async with session.post(server.url + "/chat/completions", json=chat_body()) as response:
            return [
                (time.monotonic() - start, block) async for block in response.content.iter_any()
            ]


async def test_a_replay_keeps_the_recorded_times(tmp_path: Path) -> None:
    take = stream_of(*"abcdefgh", every=0.03)
    async with FakeServer(Cassette(written(tmp_path, take))) as server:
        seen = await arrivals(server)
    assert b"".join(data for _, data in seen) == take.body
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(seen)]
    off = statistics.median(abs(gap - 0.03) for gap in gaps)
    assert off < 0.02, "on a busy machine; the interop step holds it to 5 ms"
    assert seen[-1][0] >= take.reads[-1][0]


@pytest.mark.parametrize(("speed", "most"), [(10, 0.9), (None, 0.5)])
async def test_a_replay_may_be_faster(tmp_path: Path, speed: Any, most: float) -> None:
    take = stream_of("a", "b", every=0.4)
    async with FakeServer(Cassette(written(tmp_path, take), speed=speed)) as server:
        seen = await arrivals(server)
    assert b"".join(data for _, data in seen) == take.body
    assert seen[-1][0] < most


async def test_a_recorded_cut_is_a_cut(tmp_path: Path) -> None:
    for end in ("cut", "left"):
        take = stream_of("a", end=end)
        async with FakeServer(Cassette(written(tmp_path, take))) as server:
            raw = await raw_bytes(server)
        assert take.body.split(b"\n\n")[0] in raw
        assert not raw.endswith(b"0\r\n\r\n")


async def test_replayed_by_order_each_request_gets_the_next(tmp_path: Path) -> None:
    cassette = Cassette(written(tmp_path, stream_of("one"), stream_of("two")))
    told = r"used up: .* the recorded POST /v1/chat/completions 'Hi'"
    with pytest.raises(ScriptError, match=told):  # noqa: PT012  # the block's end raises
        async with FakeServer([cassette, "three"]) as server:
            texts = [content_of((await post(server))[2]) for _ in range(3)]
            assert texts == ["one", "two", "three"]
            assert (await post(server))[0] == 410


async def test_replayed_by_request_each_gets_its_own(tmp_path: Path) -> None:
    takes = [stream_of(text, asked=chat_body(text, stream=True)) for text in ("one", "two", "two")]
    file = written(tmp_path, *takes)
    with pytest.raises(ScriptError, match="is used up"):  # noqa: PT012  # see above
        async with FakeServer(Cassette(file, match="request")) as server:
            for text in ("two", "one", "two"):
                assert content_of((await post(server, chat_body(text)))[2]) == text
            assert server.all_used()
            assert (await post(server, chat_body("three")))[0] == 410


async def test_a_request_is_found_by_what_stays_the_same(tmp_path: Path) -> None:
    asked = chat_body("Hi", api_key="struck-out", conversation_id="a")  # as they are written
    file = written(tmp_path, stream_of("a", asked=asked), stream_of("b", asked="no JSON"))
    async with FakeServer(Cassette(file, match="request", speed=None)) as server:
        assert content_of((await post(server, b"no JSON"))[2]) == "b"
        again = chat_body("Hi", api_key="another one", conversation_id="b")
        assert content_of((await post(server, again))[2]) == "a"


async def test_what_a_real_server_refused_is_refused_as_it_did(tmp_path: Path) -> None:
    refused = take_of((0.0, b"no!"), status=422, headers=())
    file = written(tmp_path, refused, stream_of("a"))
    async with FakeServer(Cassette(file, speed=None), dialect="openai", strict=True) as server:
        assert (await post(server, b"[]"))[::2] == (422, b"no!")
        assert content_of((await post(server))[2]) == "a"
        assert server.all_used()


async def test_other_kinds_of_requests_have_an_order_of_their_own(tmp_path: Path) -> None:
    kinds = ("responses", "embeddings", "responses", "completions")
    takes = [
        take_of((0.0, str(number).encode()), path=f"/v1/{kind}", headers=())
        for number, kind in enumerate(kinds)
    ]
    async with FakeServer(Cassette(written(tmp_path, *takes))) as server:
        paths = ("/chat/completions", "/responses", "/embeddings", "/responses")
        assert [(await post(server, path=path))[2] for path in paths] == [b"3", b"0", b"1", b"2"]
        assert server.all_used()


async def test_a_recorded_path_needs_no_dialect(tmp_path: Path) -> None:
    path = "/openai/deployments/d/chat/completions"
    file = written(tmp_path, stream_of("a", path=path))
    async with FakeServer(Cassette(file, match="request", speed=None)) as server:
        server.url = server.origin
        asked = {"messages": [{"role": "user", "content": "Hi"}]}
        assert content_of((await post(server, asked, path=path))[2]) == "a"


async def test_other_pages_come_from_the_cassette_too(tmp_path: Path) -> None:
    page = take_of((0.0, b'{"data":[]}'), method="GET", path="/v1/models", headers=(), asked="")
    async with FakeServer([Cassette(written(tmp_path, page, stream_of("a"))), "b"]) as server:
        for _ in range(2):
            assert await get(server, "/models") == (200, b'{"data":[]}')


# ---- faults laid over it

PIECES = frames("a", "b")


@pytest.mark.parametrize(
    ("fault", "body", "ends"),
    [
        (Truncate(after=1), PIECES[0], True),
        (Truncate(after="headers"), b"", True),
        (Truncate(after=9), b"".join(PIECES[:2]), True),
        (Truncate(), b"".join(PIECES[:2]), True),
        (Truncate(after="finish"), b"".join(PIECES[:3]), True),
        (Close(after=1), PIECES[0], False),
        (Close(after=1, torn=True), PIECES[0] + PIECES[1][: len(PIECES[1]) // 2], False),
        (Close(after="done"), b"".join(PIECES), False),
        (BrokenFraming(after=2), b"".join(PIECES[:2]) + b"this is not a chunk size\r\n", False),
        (Raw(b"!", after=1), PIECES[0] + b"!" + b"".join(PIECES[1:]), True),
        (Repeat(1, after=2), b"".join([*PIECES[:2], *PIECES[:2], *PIECES[2:]]), True),
        (Stall(after=1, seconds=0.01), b"".join(PIECES), True),
    ],
)
@pytest.mark.parametrize("cut", [None, 7, 1000])
async def test_a_fault_strikes_where_it_would_in_a_script(
    tmp_path: Path, fault: Any, body: bytes, ends: bool, cut: int | None
) -> None:
    whole = b"".join(PIECES)
    size = cut or 10**6
    blocks = PIECES if cut is None else [whole[at : at + size] for at in range(0, len(whole), size)]
    file = written(tmp_path, take_of(*((0.0, block) for block in blocks)))
    async with FakeServer(Cassette(file, fault=fault, speed=None)) as server:
        if isinstance(fault, BrokenFraming):
            await server_stalls(server, body)
            return
        raw = await raw_bytes(server)
    chunked = raw.split(b"\r\n\r\n", 1)[1]
    assert joined(chunked) == body
    assert raw.endswith(b"0\r\n\r\n") is ends


async def server_stalls(server: FakeServer, body: bytes) -> None:
    port = int(server.origin.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = json.dumps(chat_body()).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}"
    writer.write(f"{head}\r\n\r\n".encode() + data)
    seen = b""
    while not seen.endswith(b"this is not a chunk size\r\n"):
        seen += await asyncio.wait_for(reader.read(65536), 5)
    assert joined(seen.split(b"\r\n\r\n", 1)[1]) == body
    writer.close()


async def test_errors_and_huge_events_are_the_dialects(tmp_path: Path) -> None:
    file = written(tmp_path, stream_of("a", "b"))
    faults = [HugeEvent(5, after=1), ErrorFrame("boom", after=2)]
    async with FakeServer(Cassette(file, fault=faults, speed=None)) as server:
        events = events_of((await post(server))[2])
    texts = [event["choices"][0]["delta"]["content"] for event in events[:3]]
    assert texts == ["a", "xxxxx", "b"]
    assert events[3]["error"]["message"] == "boom"


def test_a_fault_before_the_headers_is_all_there_is() -> None:
    envelope = Envelope("c", 1, "", None, None, include_usage=False, prompt_tokens=1)
    take = replace(stream_of("a"), fault=(Reset(after="request"),))
    assert [*replay(take, DIALECTS["openai"], envelope)] == [Drop(reset=True)]


async def test_before_the_headers_a_fault_needs_no_stream(tmp_path: Path) -> None:
    file = written(tmp_path, stream_of("a"))
    async with FakeServer(Cassette(file, fault=Close(after="request"))) as server:
        assert await raw_bytes(server) == b""


async def test_a_body_that_is_not_a_stream_breaks_in_its_middle(tmp_path: Path) -> None:
    headers = (("Content-Type", "application/json"), ("Content-Length", "4"))
    file = written(tmp_path, take_of((0.0, b"1234"), headers=headers))
    async with FakeServer(Cassette(file, fault=Close())) as server:
        raw = await raw_bytes(server)
    assert joined(raw.split(b"\r\n\r\n", 1)[1]) == b"12"


@pytest.mark.parametrize(
    "event", [b"data: no json\n\n", b": comment\n\n", b'data: {"choices": []}\n\n', b"data: 5\n\n"]
)
async def test_odd_events_are_replayed_as_they_are(tmp_path: Path, event: bytes) -> None:
    take = take_of((0.0, event + b"".join(PIECES)))
    cassette = Cassette(written(tmp_path, take), fault=Truncate(after="done"), speed=None)
    async with FakeServer(cassette) as server:
        assert (await post(server))[2] == take.body


async def test_a_stream_without_an_end_is_replayed_to_its_last_byte(tmp_path: Path) -> None:
    take = take_of((0.0, PIECES[0] + b"data: tor"))
    for fault in (Truncate(), Truncate(after="finish")):
        file = written(tmp_path, take)
        async with FakeServer(Cassette(file, fault=fault, speed=None)) as server:
            assert (await post(server))[2] == PIECES[0]
    empty = written(tmp_path, take_of())
    async with FakeServer(Cassette(empty, fault=Truncate())) as server:
        assert (await post(server))[2] == b""
