"""A server that runs alone, scripted over HTTP from any language."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import aiohttp
import pytest
from fake_client import chat_body, content_of, post

from async_copilot.fake_server import FakeAnswer, FakeServer, Stall


async def asked(server: FakeServer, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of one request to the server's own pages."""
    key = {"Authorization": "Bearer k"}
    async with (
        aiohttp.ClientSession(headers=key) as session,
        session.request(method, server.origin + path, json=body) as response,
    ):
        return response.status, await response.json()


async def test_a_program_scripts_the_server_and_reads_what_it_asked() -> None:
    async with FakeServer(["first"], control=True, check=False) as server:
        assert await asked(server, "POST", "/_fake/script", ["one", {"status": 429}]) == (
            200,
            {"ok": True},
        )
        assert content_of((await post(server, chat_body("Hello", model="m")))[2]) == "one"
        assert (await post(server))[0] == 429
        status, seen = await asked(server, "GET", "/_fake/requests")
        first, second = seen["requests"]
        assert (status, first["model"], second["status"]) == (200, "m", 429)
        assert first["messages"] == [{"role": "user", "content": "Hello"}]
        assert first["ended"] > 0
        assert first["body"] == chat_body("Hello", model="m")
        assert seen["unexpected"] == []
        await asked(server, "POST", "/_fake/reset")
        assert (await asked(server, "GET", "/_fake/requests"))[1]["requests"] == []
        assert content_of((await post(server))[2]) == "one", "the script begins again"


async def test_a_wrong_script_is_told_and_changes_nothing() -> None:
    async with FakeServer(["first"], control=True) as server:
        for wrong, words in (
            ([{"contents": 1}], "answer 1 has no 'contents'"),
            ({"done": "no"}, "done='no'"),
            ([{"times": None}, "never"], "answer 2 is never given"),
        ):
            status, body = await asked(server, "POST", "/_fake/script", wrong)
            assert status == 400
            assert words in body["error"]["message"]
        assert content_of((await post(server))[2]) == "first"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/_fake/script"), ("POST", "/_fake/else"), ("GET", "/_fake/")]
)
async def test_other_control_pages_are_not_found(method: str, path: str) -> None:
    async with FakeServer(control=True) as server:
        assert (await asked(server, method, path, None if method == "GET" else {}))[0] == 404


async def test_in_a_test_there_are_no_control_pages() -> None:
    async with FakeServer(check=False, dialect="openai") as server:
        status, body = await asked(server, "GET", "/_fake/requests")
    assert (status, body["error"]["message"]) == (404, "Invalid URL (GET /_fake/requests)")


async def test_the_control_pages_want_the_key_too() -> None:
    async with FakeServer(control=True, api_key="another") as server:
        assert (await asked(server, "GET", "/_fake/requests"))[0] == 401
    async with FakeServer(control=True, api_key="k") as server:
        assert (await asked(server, "GET", "/_fake/requests"))[0] == 200


async def test_each_request_is_one_line_without_its_prompt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "async_copilot.fake_server")
    script = [FakeAnswer("Hello"), FakeAnswer("x", fault=Stall())]
    async with FakeServer(script, check=False) as server:
        await post(server, chat_body("a secret prompt"))
        await post(server, {}, path="/nothing%1b?api-key=hush")
        with pytest.raises(TimeoutError):
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(0.1)) as session:
                await post(server, session=session)
        await server.until(lambda: server.disconnects == 1)
    lines = [record.getMessage() for record in caplog.records]
    expected = [
        r"POST /v1/chat/completions 200, \d\.\d{3} s",
        r"POST /v1/nothing%1B 404, \d\.\d{3} s",
        r"POST /v1/chat/completions -, \d\.\d{3} s, the client left",
    ]
    assert len(lines) == 3
    assert all(re.fullmatch(*pair) for pair in zip(expected, lines, strict=True))
    assert "secret" not in caplog.text
    assert json.dumps(lines)
