"""Lists of models and providers: typed, bounded, with a request's errors and clocks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wire_server import WireServer, http, recording

from async_copilot import (
    AuthenticationError,
    ConnectionFailedError,
    CopilotClient,
    CopilotError,
    DisconnectedError,
    InvalidRequestError,
    Model,
    NotFoundError,
    Provider,
    SilenceTimeoutError,
    Timeouts,
    TotalTimeoutError,
    UnexpectedContentError,
)
from async_copilot import models as models_module
from async_copilot.fake_server import FakeProvider, FakeServer


def answered(document: object) -> bytes:
    return http(json.dumps(document).encode(), media_type="application/json")


async def test_the_models_of_a_server_are_listed() -> None:
    async with FakeServer() as server, CopilotClient(base_url=server.url) as client:
        listed = await client.models()
    assert [model.id for model in listed] == ["default"]
    assert listed[0].raw["object"] == "model"


async def test_the_providers_of_a_g4f_server_and_the_models_of_one_are_listed() -> None:
    providers = [FakeProvider("Copilot", label="Microsoft Copilot", models=("a", "b"))]
    async with (
        FakeServer(providers=providers, check=False) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        listed = await client.providers()
        models = await client.models(provider="Copilot")
        with pytest.raises(NotFoundError):
            await client.models(provider="Copliot")
    assert [(one.id, one.label) for one in listed] == [("Copilot", "Microsoft Copilot")]
    assert [model.id for model in models] == ["a", "b"]


async def test_g4fs_recorded_list_is_read_without_the_providers_in_it() -> None:
    async with (
        WireServer([recording("g4f-8.8.6", "models")]) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        listed = await client.models()
    assert "gpt-4o" in [model.id for model in listed]
    assert "Copilot" not in [model.id for model in listed]
    assert server.heads[0].startswith(b"GET /v1/models HTTP/1.1\r\n")


SHAPES: dict[str, tuple[object, list[Model]]] = {
    "OpenAI": (
        {"object": "list", "data": [{"id": "m", "owned_by": "x"}]},
        [Model("m", "x", {"id": "m", "owned_by": "x"})],
    ),
    "a bare list": ([{"id": "m"}], [Model("m", "", {"id": "m"})]),
    "Ollama": ({"models": [{"name": "m"}]}, [Model("m", "", {"name": "m"})]),
    "names alone": (["m"], [Model("m", "", {"id": "m"})]),
    "entries without a name": ({"data": [{}, None, 7, {"id": None}, {"id": "m"}]}, [
        Model("m", "", {"id": "m"})
    ]),
    "nothing": ({"data": []}, []),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
async def test_each_form_of_a_list_is_read(shape: str) -> None:
    document, expected = SHAPES[shape]
    async with (
        WireServer([answered(document)]) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        assert await client.models() == expected


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"data": 1}', b"null", b"[" * 5000])
async def test_what_is_not_a_list_is_told(body: bytes) -> None:
    async with (
        WireServer([http(body, media_type="application/json")]) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        with pytest.raises(UnexpectedContentError, match="did not answer with a list") as caught:
            await client.models()
    assert caught.value.body is not None


async def test_an_error_in_place_of_a_list_is_quoted() -> None:
    async with (
        WireServer([answered({"error": {"message": "no models today"}})]) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        with pytest.raises(UnexpectedContentError, match="a list; it says: no models today"):
            await client.models()


async def test_a_list_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models_module, "MAX_LIST_BYTES", 100)
    async with (
        WireServer([answered(["m" * 200])]) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        with pytest.raises(UnexpectedContentError, match="more than 100 bytes"):
            await client.models()


async def test_a_refusal_is_the_error_of_a_request_and_shows_no_key() -> None:
    key = "sk-wrong-0123456789"
    refusal = http(json.dumps({"error": {"message": f"{key} is not known"}}).encode())
    async with (
        WireServer([refusal.replace(b"200 OK", b"401 Unauthorized")]) as server,
        CopilotClient(base_url=server.url, api_key=key) as client,
    ):
        with pytest.raises(AuthenticationError) as caught:
            await client.models()
    assert b"Authorization: Bearer " + key.encode() in server.heads[0]
    assert key not in str(caught.value)
    assert key not in str(caught.value.body)


async def test_a_passing_trouble_is_asked_again() -> None:
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
    async with (
        WireServer([busy, answered([{"id": "m"}])]) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        assert [model.id for model in await client.models()] == ["m"]
    async with (
        WireServer([busy]) as server,
        CopilotClient(base_url=server.url, max_retries=1) as client,
    ):
        with pytest.raises(CopilotError) as caught:
            await client.models()
    assert (caught.value.status, caught.value.retries) == (503, 1)


async def test_nothing_listening_is_told_as_for_a_request() -> None:
    async with CopilotClient(base_url="http://127.0.0.1:9/v1", max_retries=0) as client:
        with pytest.raises(ConnectionFailedError):
            await client.models()


@pytest.mark.parametrize(
    ("timeouts", "kind"),
    [(Timeouts(silence=0.2), SilenceTimeoutError), (Timeouts(total=0.2), TotalTimeoutError)],
)
async def test_the_clocks_hold(timeouts: Timeouts, kind: type[CopilotError]) -> None:
    body = answered([{"id": "m"}])
    cut = body.replace(b"Content-Length: ", b"Content-Length: 9")
    async with (
        WireServer([cut]) as server,
        CopilotClient(base_url=server.url, timeouts=timeouts) as client,
    ):
        with pytest.raises(kind):
            await client.models()


async def test_a_query_is_kept_and_a_name_is_one_part_of_the_path() -> None:
    async with (
        WireServer([answered([])]) as server,
        CopilotClient(base_url=f"{server.url}?api-version=7") as client,
    ):
        assert await client.models(provider="a/b c") == []
    assert server.heads[0].startswith(b"GET /api/a%2Fb%20c/models?api-version=7 HTTP/1.1\r\n")


async def test_a_list_follows_a_redirect_that_a_post_would_not() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /v2/models\r\nContent-Length: 0\r\n\r\n"
    async with (
        WireServer([moved, answered([{"id": "m"}])]) as server,
        CopilotClient(base_url=server.url) as client,
    ):
        assert [model.id for model in await client.models()] == ["m"]
    assert server.heads[1].startswith(b"GET /v2/models ")


@pytest.mark.parametrize("wrong", ["", 5, b"Copilot"])
async def test_a_provider_is_a_name(wrong: Any) -> None:
    async with CopilotClient() as client:
        with pytest.raises(InvalidRequestError, match="give its name"):
            await client.models(provider=wrong)


def test_a_providers_entry_shows_its_names_alone() -> None:
    assert repr(Provider("a", "A", "u", {"x": 1})) == "Provider(id='a', label='A', url='u')"


async def test_a_list_that_breaks_off_is_a_lost_connection() -> None:
    cut = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"data":\r\n'
    async with (
        WireServer([cut]) as server,
        CopilotClient(base_url=server.url, max_retries=0) as client,
    ):
        with pytest.raises(DisconnectedError, match="after 8 bytes of its answer"):
            await client.models()
