"""The recorder: what a real server sent is passed on and written, without keys and cookies."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from fake_client import chat_body, content_of, get, joined, post, raw_bytes
from tls import authority_file, server_context

from async_copilot.fake_server import (
    Cassette,
    CassetteError,
    Close,
    FakeAnswer,
    FakeServer,
    HugeEvent,
    Recorder,
    Stall,
)
from async_copilot.fake_server.recorder import MAX_BYTES

RECORDINGS = Path(__file__).parents[1] / "recordings"


async def recorded(
    upstream: FakeServer, file: Path, *bodies: Any, headers: dict[str, str] | None = None
) -> list[bytes]:
    """What a client gets through the recorder for each of these requests."""
    async with FakeServer(Recorder(upstream.url, file), check=False) as server:
        return [(await post(server, body, headers=headers))[2] for body in bodies]


async def test_a_recording_replays_what_was_sent(tmp_path: Path) -> None:
    file = tmp_path / "a.cassette"
    script: Any = [FakeAnswer(["Grü", "ße"], pace=50), FakeAnswer(status=429, error="slow")]
    bodies = [chat_body("one"), chat_body("two")]
    async with FakeServer(script) as upstream:
        passed = await recorded(upstream, file, *bodies)
    async with FakeServer(Cassette(file, match="request", speed=None)) as server:
        replayed = [await post(server, body) for body in reversed(bodies)]
    assert [body for _, _, body in replayed] == [*reversed(passed)]
    assert [status for status, _, _ in replayed] == [429, 200]
    assert replayed[1][1]["Server"] == "uvicorn"
    assert '"Grü' not in file.read_text("utf-8").splitlines()[0]


async def test_a_recording_keeps_reads_and_their_times(tmp_path: Path) -> None:
    file = tmp_path / "a.cassette"
    async with FakeServer(FakeAnswer(["a", "b", "c"], pace=20)) as upstream:
        await recorded(upstream, file, chat_body())
    (take,) = Cassette(file).takes
    times = [at for at, _ in take.reads]
    assert len(times) >= 3
    assert times[2] - times[0] > 0.05


async def test_recordings_are_added_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.cassette"
    async with FakeServer("Hello") as upstream:
        for _ in range(2):
            await recorded(upstream, file, chat_body())
    assert len(Cassette(file).takes) == 2
    assert file.read_text("utf-8").count('"cassette"') == 1


KEY = "sk-very-secret-key"


async def test_keys_and_cookies_are_struck_out(tmp_path: Path) -> None:
    file = tmp_path / "a.cassette"
    answer = FakeAnswer(
        status=401,
        error=f"Incorrect API key provided: {KEY}",
        headers={"Set-Cookie": "session=abcdefgh12345", "X-Request-Id": "kept"},
    )
    body = chat_body("Hi", max_tokens=5, api_key=KEY, extra={"list": [KEY]})
    headers = {"Authorization": f"Bearer {KEY}", "Cookie": "a=bcdefghijkl", "X-Api-Key": "short"}
    async with FakeServer(answer) as upstream:
        (passed,) = await recorded(upstream, file, body, headers=headers)
        assert upstream.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    text = file.read_text("utf-8")
    for secret in (KEY, "abcdefgh12345", "bcdefghijkl", "short"):
        assert secret not in text
    assert KEY.encode() in passed, "the client itself sees all of it"
    (take,) = Cassette(file).takes
    assert len(take.body) == len(passed)
    assert take.asked["max_tokens"] == 5
    assert dict(take.headers)["X-Request-Id"] == "kept"


async def test_other_pages_are_recorded_too(tmp_path: Path) -> None:
    file = tmp_path / "a.cassette"
    async with FakeServer(models=["a"]) as upstream:
        async with FakeServer(Recorder(upstream.url, file)) as server:
            first = await get(server, "/models")
            server.url = server.origin
            assert (await get(server, "/health"))[0] == 404
        upstream.unexpected.clear()
    async with FakeServer(Cassette(file)) as server:
        assert await get(server, "/models") == first


async def test_a_cut_upstream_is_a_cut_for_the_client_and_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.cassette"
    async with (
        FakeServer(FakeAnswer(["a", "b"], fault=Close(after=1))) as upstream,
        FakeServer(Recorder(upstream.url, file)) as server,
    ):
        raw = await raw_bytes(server)
    assert not raw.endswith(b"0\r\n\r\n")
    (take,) = Cassette(file).takes
    assert take.end == "cut"
    assert content_of(take.body) == "a"


async def test_a_client_that_leaves_leaves_what_came_so_far(tmp_path: Path) -> None:
    file = tmp_path / "a.cassette"
    async with (
        FakeServer(FakeAnswer(["a", "b"], fault=Stall(after=1))) as upstream,
        FakeServer(Recorder(upstream.url, file)) as server,
    ):
        timeout = aiohttp.ClientTimeout(total=0.3)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            with pytest.raises(TimeoutError):
                await post(server, session=session)
        await server.until(lambda: server.disconnects == 1)
        await upstream.until(lambda: upstream.disconnects == 1)
    (take,) = Cassette(file).takes
    assert (take.end, content_of(take.body)) == ("left", "a")


async def test_a_server_that_is_not_there_is_a_502(tmp_path: Path) -> None:
    recorder = Recorder("http://127.0.0.1:9/v1", tmp_path / "a.cassette")
    async with FakeServer(recorder) as server:
        status, _, body = await post(server)
    assert status == 502
    assert "cannot reach http://127.0.0.1:9" in json.loads(body)["error"]["message"]
    assert Cassette(recorder.file).takes == []


async def test_an_answer_without_end_is_passed_on_but_not_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_BYTES == 2**26
    monkeypatch.setattr("async_copilot.fake_server.recorder.MAX_BYTES", 10_000)
    file = tmp_path / "a.cassette"
    async with FakeServer(FakeAnswer(["a", "b"], fault=HugeEvent(20_000, after=1))) as upstream:
        (passed,) = await recorded(upstream, file, chat_body())
    (take,) = Cassette(file).takes
    assert len(passed) > 20_000 > len(take.body)
    assert take.end == "cut"


@pytest.mark.parametrize(
    "url", ["localhost:1337", "ftp://x/v1", "http://", "http://x:99999", "http://[x", 5]
)
def test_what_is_not_a_server_url_is_refused(tmp_path: Path, url: Any) -> None:
    with pytest.raises(ValueError, match="must be a URL such as"):
        Recorder(url, tmp_path / "a.cassette")


def test_a_query_is_not_part_of_a_base_url(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no query"):
        Recorder("http://[::1]:1337/v1?key=x", tmp_path / "a.cassette")
    assert Recorder("https://[::1]/v1", tmp_path / "a.cassette").origin == "https://[::1]"


def test_a_file_that_is_there_must_be_a_cassette(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("my notes\n")
    with pytest.raises(CassetteError):
        Recorder("http://localhost:1337/v1", file)
    assert file.read_text() == "my notes\n"


async def test_a_recorder_that_never_ran_stops(tmp_path: Path) -> None:
    await Recorder("http://localhost:1337/v1", tmp_path / "a.cassette").stop()


# ---- any server


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def upstream_of(answer: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The origin of a plain aiohttp server that answers so."""
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_the_recorded_bytes_of_g4f_come_back_exactly(tmp_path: Path) -> None:
    """Served by a plain aiohttp server as g4f 8.8.6 sent it, recorded, replayed."""
    raw = (RECORDINGS / "g4f-8.8.6" / "greeting.http").read_bytes()
    body = joined(raw.split(b"\r\n\r\n", 1)[1])

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for block in body.split(b"\n\n"):
            if block:
                await response.write(block + b"\n\n")
        return response

    file = tmp_path / "g4f.cassette"
    async with upstream_of(answer) as origin, FakeServer(Recorder(f"{origin}/v1", file)) as server:
        _, _, passed = await post(server)
    async with FakeServer(Cassette(file)) as server:
        _, _, replayed = await post(server)
    assert body == passed == replayed


async def test_a_compressed_answer_comes_back_byte_for_byte(tmp_path: Path) -> None:
    packed = gzip.compress(b"{}" * 500)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        kind = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        return web.Response(body=packed, headers=kind)

    file = tmp_path / "a.cassette"
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        async with upstream_of(answer) as origin, FakeServer(Recorder(origin, file)) as server:
            assert (await post(server, session=session))[2] == packed
        async with FakeServer(Cassette(file)) as server:
            assert (await post(server, session=session))[2] == packed


async def test_https_is_recorded_with_the_certificates_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({})

    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file(tmp_path)))
    file = tmp_path / "a.cassette"
    async with (
        upstream_of(answer, tls=server_context()) as origin,
        FakeServer(Recorder(f"{origin}/v1", file)) as server,
    ):
        assert (await post(server))[0] == 200
    assert len(Cassette(file).takes) == 1


@pytest.mark.parametrize("base", ["", "/v1", "/api/v2"])
async def test_a_redirect_to_the_server_itself_stays_at_the_recorder(
    tmp_path: Path, base: str
) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path.endswith("/"):
            return web.Response(text=request.path)
        elsewhere = {"Location": f"http://{request.host}{request.path}/?token=abcdefgh"}
        return web.Response(status=307, headers=elsewhere)

    file = tmp_path / "a.cassette"
    async with (
        upstream_of(answer) as origin,
        FakeServer(Recorder(origin + base, file)) as server,
    ):
        passed = await post(server)
    async with FakeServer(Cassette(file)) as server:
        replayed = await post(server)
    assert passed[2] == replayed[2] == f"{base}/chat/completions/".encode()
    assert "abcdefgh" not in file.read_text("utf-8")
    assert "http://127" not in file.read_text("utf-8")


async def test_a_redirect_to_another_server_is_passed_on(tmp_path: Path) -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "http://elsewhere.example/v1/x"})

    async with (
        upstream_of(answer) as origin,
        FakeServer(Recorder(origin, tmp_path / "a.cassette")) as server,
        aiohttp.ClientSession() as session,
        session.get(server.url + "/x", allow_redirects=False) as response,
    ):
        assert response.headers["Location"] == "http://elsewhere.example/v1/x"


async def test_headers_are_text_whatever_their_bytes(tmp_path: Path) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        head = b"HTTP/1.1 200 OK\r\nX-A: \xc3\xa9\r\nX-B: \xe9\r\nContent-Length: 2\r\n\r\n{}"
        request.transport.write(head)
        request.transport.close()
        raise asyncio.CancelledError

    file = tmp_path / "a.cassette"
    async with upstream_of(answer) as origin, FakeServer(Recorder(origin, file)) as server:
        assert (await post(server))[0] == 200
    (take,) = Cassette(file).takes
    assert (dict(take.headers)["X-A"], dict(take.headers)["X-B"]) == ("é", "é")


async def test_a_user_of_the_url_is_sent_and_never_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        return web.json_response({"error": "wrong: a-password"})

    file = tmp_path / "a.cassette"
    async with upstream_of(answer) as origin:
        url = origin.replace("//", "//me:a%2Dpassword@")
        async with FakeServer(Recorder(f"{url}/v1", file)) as server:
            await post(server, headers={"Authorization": "Bearer another"})
    async with FakeServer(Recorder(f"{url}/v1", file)) as server:
        status, _, body = await post(server)
    assert (status, server.requests[0].status) == (502, 502)
    assert base64.b64decode(seen[0].removeprefix("Basic ")) == b"me:a-password"
    for text in (file.read_text("utf-8"), body.decode(), caplog.text):
        assert "password" not in text
        assert "%2Dpass" not in text


# ---- the file


async def test_two_recorders_may_write_one_file(tmp_path: Path) -> None:
    file = tmp_path / "a.cassette"
    async with (
        FakeServer(FakeAnswer(["x" * 10_000] * 5)) as upstream,
        FakeServer(Recorder(upstream.url, file)) as one,
        FakeServer(Recorder(upstream.url, file)) as two,
    ):
        await asyncio.gather(*(post(server) for server in (one, two) * 5))
    assert len(Cassette(file).takes) == 10


async def test_files_may_be_joined_and_edited(tmp_path: Path) -> None:
    file, other = tmp_path / "a.cassette", tmp_path / "b.cassette"
    async with FakeServer("x") as upstream:
        await recorded(upstream, file, chat_body())
        text = file.read_text("utf-8") * 2
        other.write_text("\ufeff" + text.replace("\n", "\r\n").rstrip(), "utf-8", newline="")
        assert len(Cassette(other).takes) == 2
        await recorded(upstream, other, chat_body())
    assert len(Cassette(other).takes) == 3


async def test_a_recorder_of_itself_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = FakeServer(Recorder(f"http://localhost:{port}/v1", tmp_path / "a"), port=port)
    with pytest.raises(ValueError, match="is the recorder itself"):
        await server.__aenter__()
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port)):  # noqa: PT011
        raise AssertionError("it does not listen")


def test_a_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not a folder that is there"):
        Recorder("http://localhost:1337/v1", tmp_path / "no" / "a.cassette")


async def test_a_recorder_wants_the_servers_key_and_takes_no_other_script(tmp_path: Path) -> None:
    async with FakeServer("Hi") as upstream:
        recorder = Recorder(upstream.url, tmp_path / "a.cassette")
        async with FakeServer(recorder, api_key="k") as server:
            assert (await post(server))[0] == 401
            assert (await post(server, headers={"Authorization": "Bearer k"}))[0] == 200
            with pytest.raises(TypeError, match="from beginning to end"):
                server.script("another")
    assert len(Cassette(recorder.file).takes) == 1
