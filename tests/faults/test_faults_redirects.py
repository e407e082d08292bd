"""Redirects: the POST stays a POST or it is an error, a loop ends, the key stays at home."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from fault_client import KEY, ask
from fault_script import HELLO, HOLD, Answer, Repeat, head, json_answer, stream
from fault_server import FaultServer, Request

from async_copilot import (
    AuthenticationError,
    CopilotClient,
    End,
    RedirectError,
    SilenceTimeoutError,
    UnexpectedStatusError,
)


def redirect(status: int, location: str | None, **headers: Any) -> Answer:
    """A redirect as servers send it."""
    named: dict[str, Any] = headers if location is None else {"Location": location, **headers}
    return (head(status, "X", content_type=None, length=0, **named),)


def carries_key(request: Request) -> bool:
    """Whether the key is anywhere in what the server saw."""
    return KEY.encode() in request.head + request.body


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_that_keeps_the_method_is_followed_with_body_and_key(status: int) -> None:
    async with FaultServer(redirect(status, "/elsewhere?a=1"), HELLO) as server:
        outcome = await ask(server)
    outcome.ended(End.COMPLETE, "Hello")
    first, second = server.requests
    assert second.method == "POST"
    assert second.target == "/elsewhere?a=1"
    assert second.body == first.body
    assert carries_key(second)


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_never_turns_the_question_into_a_get(status: int) -> None:
    """aiohttp would send a GET without the body, and return whatever page that gives."""
    async with FaultServer(redirect(status, "/login"), HELLO) as server:
        outcome = await ask(server, max_retries=2)
    assert {request.method for request in server.requests} == {"POST"}
    if outcome.error is None:
        outcome.ended(End.COMPLETE, "Hello")
        assert server.requests[0].body == server.requests[1].body
    else:
        outcome.failed(RedirectError, ValueError, status=status, says=["/login"])
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_without_a_target_is_an_error(status: int) -> None:
    async with FaultServer(redirect(status, None)) as server:
        outcome = await ask(server, max_retries=2)
    outcome.failed((RedirectError, UnexpectedStatusError), status=status)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [300, 304, 305, 306])
async def test_a_3xx_that_is_not_a_redirect_is_an_error(status: int) -> None:
    async with FaultServer((head(status, "X", content_type=None, length=0),)) as server:
        outcome = await ask(server, max_retries=2)
    outcome.failed(UnexpectedStatusError, status=status)
    assert len(server.requests) == 1


async def test_a_redirect_to_itself_ends() -> None:
    async with FaultServer(redirect(307, "/v1/chat/completions")) as server:
        outcome = await ask(server, max_retries=2)
    outcome.failed(RedirectError, ValueError, says=["redirect"])
    assert len(server.requests) <= 21


async def test_a_loop_of_two_ends() -> None:
    async with FaultServer(route=ping_pong) as server:
        outcome = await ask(server, max_retries=2)
    outcome.failed(RedirectError, ValueError)
    assert len(server.requests) <= 21


def ping_pong(request: Request) -> Answer:
    """/a to /b, /b to /a."""
    return redirect(308, "/b" if request.target == "/a" else "/a")


async def test_ever_new_targets_end_too() -> None:
    def onward(request: Request) -> Answer:
        return redirect(307, request.target + "x")

    async with FaultServer(route=onward) as server:
        outcome = await ask(server)
    outcome.failed(RedirectError, ValueError)
    assert len(server.requests) <= 21


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_the_key_does_not_follow_to_another_origin(status: int) -> None:
    """Nor any header that could carry one; another port of the same host is another origin."""
    secrets = {"X-Api-Key": KEY, "g4f-api-key": KEY, "Cookie": f"session={KEY}"}
    async with (
        FaultServer(HELLO) as other,
        FaultServer(redirect(status, f"{other.url}/chat/completions")) as server,
    ):
        outcome = await ask(server, headers=secrets, fields={"headers": {"X-Token": KEY}})
    assert carries_key(server.requests[0])
    assert not any(carries_key(request) for request in other.requests)
    if outcome.error is None:
        outcome.ended(End.COMPLETE, "Hello")
        assert [request.method for request in other.requests] == ["POST"]
        assert other.requests[0].body == server.requests[0].body
    else:
        outcome.failed(RedirectError, ValueError, status=status)


async def test_what_a_session_adds_by_itself_does_not_go_to_another_origin() -> None:
    async with (
        FaultServer(HELLO) as other,
        FaultServer(redirect(307, f"{other.url}/chat/completions")) as server,
        aiohttp.ClientSession(headers={"X-Mine": "token"}) as session,
    ):
        outcome = await ask(server, session=session, api_key=None)
    outcome.failed(RedirectError, ValueError, says=["headers of your session"])
    assert not other.requests


async def test_the_key_does_not_come_back_after_a_foreign_hop() -> None:
    """Home, away, home again: what comes from a foreign redirect gets no key."""
    async with FaultServer(route=lambda _: redirect(307, f"{home.url}/back")) as other:

        def at_home(request: Request) -> Answer:
            if request.target == "/v1/back":
                return HELLO
            return redirect(307, f"{other.url}/away")

        async with FaultServer(route=at_home) as home:
            outcome = await ask(home)
    assert not any(carries_key(request) for request in other.requests)
    if outcome.error is None:
        assert not carries_key(home.requests[-1])


@pytest.mark.parametrize(
    "target",
    [
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "http://a b/",
        "http://\xff\xfe/",
        "\x01\x02",
    ],
)
async def test_a_target_that_cannot_be_asked_is_an_error(target: str) -> None:
    async with FaultServer(redirect(307, target), json_answer(404, {})) as server:
        outcome = await ask(server, max_retries=2)
    assert outcome.error is not None
    if target in ("//", "\x01\x02", "http://a b/"):
        # May be read as a path, refused as a header, or looked up in vain.
        assert isinstance(outcome.error, ValueError | LookupError | ConnectionError)
    else:
        outcome.failed(RedirectError, ValueError)
        assert len(server.requests) == 1


async def test_a_redirect_with_a_body_without_end_is_followed_at_once() -> None:
    endless = (head(307, "X", Location="/elsewhere"), Repeat(b"1\r\nx\r\n", every=0.01))
    async with FaultServer(endless, HELLO) as server:
        outcome = await ask(server)
        await server.left()
    outcome.ended(End.COMPLETE, "Hello", within=0.3)
    assert len(server.connections) == 2


async def test_behind_a_redirect_an_error_status_is_still_one() -> None:
    wrong = json_answer(401, {"error": {"message": "wrong key"}})
    async with FaultServer(redirect(307, "/b"), wrong) as server:
        outcome = await ask(server)
    outcome.failed(AuthenticationError, PermissionError, status=401, says=["wrong key"])


async def test_behind_a_redirect_silence_still_rings() -> None:
    async with FaultServer(redirect(307, "/b"), (HOLD,)) as server:
        outcome = await ask(server)
        await server.left()
    outcome.failed(SilenceTimeoutError, after=0.3, within=0.3)


async def test_a_target_that_echoes_the_key_is_masked() -> None:
    async with FaultServer(redirect(303, f"ftp://x.test/?key={KEY}&again={KEY}")) as server:
        outcome = await ask(server)
    outcome.failed((RedirectError, UnexpectedStatusError))


async def test_each_question_starts_at_the_base_url_again() -> None:
    """A 308 is not remembered: the next turn asks where the user pointed."""
    answers = (redirect(308, "/b"), HELLO) * 2
    async with FaultServer(*answers) as server, CopilotClient(base_url=server.url) as client:
        for _ in range(2):
            (await ask(server, client=client)).ended(End.COMPLETE, "Hello")
    assert [request.target for request in server.requests] == ["/v1/chat/completions", "/b"] * 2
    assert len(server.connections) == 1
    assert json.loads(server.requests[3].body)["messages"][-1]["content"] == "Hello"
    assert stream("Hel", "lo") == HELLO[0]
