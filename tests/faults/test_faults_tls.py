"""TLS: who is trusted, what is said where it fails, and what never goes out unencrypted."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fault_client import KEY, ask
from fault_script import HELLO, head
from fault_server import FaultServer, Request
from tls import authority, client_context, server_context

import async_copilot
from async_copilot import (
    ConnectionFailedError,
    CopilotClient,
    CopilotError,
    DisconnectedError,
    End,
    InvalidHTTPError,
    InvalidRequestError,
    RedirectError,
    Timeouts,
)

PATIENT = Timeouts(connect=30, silence=30, stall=30)


async def asked(server: FaultServer | str, **options: Any) -> Any:
    return await ask(server, **{"timeouts": PATIENT, **options})


def own_certificate() -> ssl.SSLContext:
    """A client that has a certificate of the authority's."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    authority().issue_cert("client@test").configure_cert(context)
    return context


async def test_a_context_that_trusts_the_authority_is_all_it_takes() -> None:
    async with FaultServer(HELLO, tls=server_context()) as server:
        for options in ({"ssl": client_context()}, {"ssl": False}):
            (await asked(server, **options)).ended(End.COMPLETE, "Hello", within=10)


async def test_a_borrowed_session_is_asked_with_it_too() -> None:
    async with (
        FaultServer(HELLO, tls=server_context()) as server,
        aiohttp.ClientSession() as session,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client_context())) as trusting,
    ):
        outcome = await asked(server, session=session, ssl=client_context())
        outcome.ended(End.COMPLETE, "Hello", within=10)
        (await asked(server, session=trusting)).ended(End.COMPLETE, "Hello", within=10)


@pytest.mark.parametrize("wrong", [None, "yes", 1.5, server_context(), object()])
async def test_what_is_none_of_it_is_refused(wrong: object) -> None:
    outcome = await asked("https://127.0.0.1:9/v1", ssl=wrong)
    outcome.failed(InvalidRequestError, ValueError, says=["ssl"])


def expired() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    authority().issue_cert("127.0.0.1", not_after=yesterday).configure_cert(context)
    return context


UNTRUSTED: dict[str, tuple[Callable[[], ssl.SSLContext], ssl.SSLContext | bool, list[str]]] = {
    "a private authority": (server_context, True, ["SSL_CERT_FILE", "ssl"]),
    "another name": (lambda: server_context("elsewhere.test"), client_context(), ["name"]),
    "expired": (expired, client_context(), ["expired", "clock"]),
}


@pytest.mark.parametrize("name", UNTRUSTED)
async def test_a_certificate_that_cannot_be_verified_names_host_reason_and_fix(name: str) -> None:
    make, trusted, says = UNTRUSTED[name]
    async with FaultServer(HELLO, tls=make()) as server:
        outcome = await asked(server, ssl=trusted, max_retries=2)
    outcome.failed(
        ConnectionFailedError,
        ConnectionError,
        passing=False,
        retries=0,
        within=10,
        says=["127.0.0.1", "certificate", *says],
    )
    assert not server.requests


async def test_a_server_may_want_a_certificate_of_the_client() -> None:
    async with FaultServer(HELLO, tls=server_context(client_certificate=True)) as server:
        outcome = await asked(server, ssl=own_certificate())
        outcome.ended(End.COMPLETE, "Hello", within=10)
        refused = await asked(server, ssl=client_context())
    assert isinstance(refused.error, ConnectionFailedError | DisconnectedError)
    if isinstance(refused.error, ConnectionFailedError):
        assert "certificate" in str(refused.error)
        assert not refused.error.passing


async def test_https_typed_for_an_http_server_says_so() -> None:
    async with FaultServer(
        (head(400, length=0),), on_connect=[(head(400, length=0),)] * 9
    ) as server:
        outcome = await asked(server.url.replace("http:", "https:"), max_retries=2)
    outcome.failed(ConnectionFailedError, says=["http://", "base_url"], passing=False, within=10)


async def test_http_typed_for_an_https_server_says_so() -> None:
    async with FaultServer(HELLO, tls=server_context()) as server:
        outcome = await asked(server.url.replace("https:", "http:"))
    outcome.failed((InvalidHTTPError, DisconnectedError), says=["https://", "base_url"], within=10)


async def test_a_redirect_from_https_to_http_is_refused() -> None:
    """The messages and the key would go with it, for everybody to read."""

    def away(request: Request) -> Any:
        return (head(307, "X", length=0, Location=f"{plain.url}/chat/completions"),)

    async with (
        FaultServer(HELLO) as plain,
        FaultServer(route=away, tls=server_context()) as server,
    ):
        outcome = await asked(server, ssl=client_context())
    outcome.failed(RedirectError, says=["unencrypted", "base_url"], within=10)
    assert not plain.requests


# ------------------------------------------------------------------ what may show


@pytest.mark.parametrize("url", ["http:/me:the-password@host/v1", "ftp://me:the-password@host/v1"])
async def test_a_password_in_a_url_with_a_typing_error_does_not_show(url: str) -> None:
    outcome = await asked(url, api_key=None)
    outcome.failed(InvalidRequestError, says=["host"])
    assert "the-password" not in str(outcome.error)


async def test_a_password_in_a_redirect_that_goes_nowhere_does_not_show() -> None:
    away = head(307, "X", length=0, Location="ftp://me:the-password@host/?key=the-password")
    async with FaultServer((away,)) as server:
        outcome = await asked(server)
    outcome.failed(RedirectError, says=["ftp://", "host"], within=10)
    assert "the-password" not in str(outcome.error)


async def test_a_key_in_the_url_that_a_server_echoes_is_masked() -> None:
    def echo(request: Request) -> Any:
        said = f"who is {request.target} with {request.headers.get('authorization')}?".encode()
        return (head(401, "X", content_type="text/plain", length=len(said)) + said,)

    async with FaultServer(route=echo) as server:
        query = await asked(f"{server.url}?api-key=a-key-in-the-query&api-version=1", api_key=None)
        password = await asked(server.url.replace("//", "//me:open-sesame@"), api_key=None)
    for outcome, secret in ((query, "a-key-in-the-query"), (password, "bWU6b3Blbi1zZXNhbWU=")):
        assert isinstance(outcome.error, CopilotError)
        assert secret not in str(outcome.error) + (outcome.error.body or "")
        assert "***" in str(outcome.error)
    assert "api-version=1" in str(query.error)
    assert server.requests[1].headers["authorization"] == "Basic bWU6b3Blbi1zZXNhbWU="


async def test_no_frame_and_no_attribute_of_ours_shows_the_key() -> None:
    """Sentry's and rich's tracebacks show the locals of each frame."""
    package = Path(async_copilot.__file__).parent
    frames: list[str] = []

    class Tattling(Exception):  # noqa: N818  # what a middleware of the caller's may raise
        pass

    async def tattle(*_: object) -> aiohttp.ClientResponse:
        raise Tattling

    headers = {"X-Api-Key": f"{KEY}-too", "Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession(middlewares=[tattle]) as session,
        CopilotClient(base_url="http://127.0.0.1:9/v1", session=session, headers=headers) as client,
    ):
        shown = repr(
            {
                name: vars(value) if hasattr(value, "__dict__") else value
                for name, value in vars(client).items()
            }
        )
        try:
            await client.complete("Hello")
        except Tattling:
            trace = sys.exc_info()[2]
            while trace is not None:
                if Path(trace.tb_frame.f_code.co_filename).is_relative_to(package):
                    frames.append(repr(trace.tb_frame.f_locals))
                trace = trace.tb_next
    assert len(frames) > 3
    for text in [shown, *frames]:
        assert KEY not in text


# ------------------------------------------------------------------ headers, as they are


@pytest.mark.parametrize("size", [9_000, 40_000, 120_000])
async def test_a_long_header_is_read(size: int) -> None:
    policy = {"Content_Security_Policy": "x" * size}
    answer = HELLO[0]
    assert isinstance(answer, bytes)
    body = answer.partition(b"\r\n\r\n")[2]
    async with FaultServer((head(**policy) + body,)) as server:
        (await asked(server)).ended(End.COMPLETE, "Hello", within=10)


async def test_many_headers_are_read_and_there_is_a_bound() -> None:
    answer = HELLO[0]
    assert isinstance(answer, bytes)
    body = answer.partition(b"\r\n\r\n")[2]
    for count, whole in ((150, True), (900, True), (2000, False)):
        many = {f"X_{number}": "1" for number in range(count)}
        async with FaultServer((head(**many) + body,)) as server:
            outcome = await asked(server)
        if whole:
            outcome.ended(End.COMPLETE, "Hello", within=10)
        else:
            outcome.failed(InvalidHTTPError, within=10)


def test_the_authority_is_written_where_a_recipe_finds_it(tmp_path: Path) -> None:
    from tls import authority_file  # noqa: PLC0415  # used by the README's test

    assert authority_file(tmp_path).read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
