"""What a g4f server's failure means: who failed, of what kind, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from async_copilot.wire.g4f import G4FFailure, acts_as, g4f_failure, near_name, unknown_provider


def failed(message: Any, **beside: Any) -> dict[str, Any]:
    return {"error": {"message": message}, **beside}


COPILOT = {"model": "", "provider": "Copilot"}


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("RateLimitError: slowly", "RateLimitError"),
        ("MissingAuthError: Authentication required", "MissingAuthError"),
        ("ReadTimeout: HTTPSConnectionPool(...)", "ReadTimeout"),
        ("KeyError: 'text'", "KeyError"),
        ("JSONDecodeError: Expecting value: line 1", "JSONDecodeError"),
        ("Request execution failed", None),
        ("A RateLimitError: slowly", None),
        ("error: slowly", None),
        ("https://example.org: slowly", None),
    ],
)
def test_the_class_before_the_message_is_the_type(message: str, kind: str | None) -> None:
    about = g4f_failure(failed(message, **COPILOT), message)
    assert (about.provider, about.type) == ("Copilot", kind)


@pytest.mark.parametrize(
    ("message", "status", "beside"),
    [
        ("MissingAuthError: Authentication required", 401, COPILOT),  # 8.8.6
        ("Request execution failed", 401, COPILOT),  # 8.8.6, NoValidHarFileError
        ("NoValidHarFileError: No .har file found", 401, COPILOT),  # 8.1.7
        ("MissingAuthError: Add a .har file", None, COPILOT),  # 0.4.9.0, in the stream
        ("MissingAuthError: Add a .har file", 500, {}),
    ],
)
def test_a_login_that_a_provider_wants_is_told_as_that(
    message: str, status: int | None, beside: dict[str, Any]
) -> None:
    hint = str(g4f_failure(failed(message, **beside), message, status).hint)
    assert "needs a login" in hint
    assert "where the g4f server runs" in hint
    assert "key" not in hint
    assert ("the provider Copilot" in hint) == bool(beside)


def test_a_login_that_a_pools_providers_want_is_told_too() -> None:
    message = (
        "RetryProviderError: RetryProvider failed:\nCopilot: MissingAuthError: Add a .har file\n"
        "You: RateLimitError: slowly\nGrok: NoValidHarFileError: none"
    )
    hint = str(g4f_failure(failed(message, provider="Any"), message, 500).hint)
    assert "the provider Copilot or Grok needs a login" in hint
    other = message.replace("MissingAuthError", "KeyError").replace("NoValid", "No")
    assert g4f_failure(failed(other, provider="Any"), other, 500).hint is None


def test_what_is_missing_is_missing_at_the_server() -> None:
    message = 'MissingRequirementsError: Install "nodriver" package | pip install -U nodriver'
    assert "where the g4f server runs" in str(g4f_failure(failed(message), message, 500).hint)


@pytest.mark.parametrize(
    ("message", "status", "beside"),
    [
        ("Not authenticated", 401, {}),
        ("Not authenticated", 401, COPILOT),  # of a server started with --provider
        ("G4F API key required", 401, COPILOT),
        ("Invalid G4F API key", 403, COPILOT),
        ("you shall not pass", 401, {}),
    ],
)
def test_a_refusal_of_the_servers_own_key_is_not_a_login(
    message: str, status: int, beside: dict[str, Any]
) -> None:
    assert g4f_failure(failed(message, **beside), message, status).hint is None


@pytest.mark.parametrize("status", [500, None])
def test_where_a_reason_is_hidden_is_told(status: int | None) -> None:
    message = "Request execution failed"
    hint = str(g4f_failure(failed(message, **COPILOT), message, status).hint)
    assert "g4f api --debug" in hint
    assert g4f_failure(failed(message, **COPILOT), message, 429).hint is None


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"error": "Request execution failed"},
        {"error": {"message": "MissingAuthError: x", "type": "t"}},  # another server's
        {"error": None},
        {"detail": "MissingAuthError: x"},
    ],
)
def test_another_servers_error_says_nothing_more(event: dict[str, Any]) -> None:
    assert g4f_failure(event, "MissingAuthError: x", 401) == G4FFailure()


def test_a_provider_beside_any_error_is_named() -> None:
    event = {"error": {"message": "x", "code": 502}, "provider": "OpenAI"}  # OpenRouter's form
    assert g4f_failure(event, "x") == G4FFailure(provider="OpenAI")


@pytest.mark.parametrize(
    ("kind", "status", "acts"),
    [
        ("RateLimitError", 500, 429),
        ("RateLimitError", None, 429),
        ("RateLimitError", 503, 503),
        ("MissingAuthError", 500, 401),
        ("ModelNotFoundError", 500, 404),
        ("RuntimeError", 500, 500),
        (None, 500, 500),
        (None, None, None),
    ],
)
def test_the_class_decides_where_the_status_says_nothing(
    kind: str | None, status: int | None, acts: int | None
) -> None:
    assert acts_as(kind, status) == acts


NAMES = ["Copilot", "CopilotSession", "Qwen", "OpenaiChat", "HuggingFace"]


@pytest.mark.parametrize(
    ("message", "near"),
    [
        ("Provider not found: Copliot", "Copilot"),
        ("HTTP 404 from x: ProviderNotFoundError: Provider not found: copilot", "Copilot"),
        ("Provider not found: openai-chat", "OpenaiChat"),
        ("Provider not found: HugingFace", "HuggingFace"),
        ("ValueError: Provider with label 'Copliot' not found", "Copilot"),
        ("Provider not found: Nobody", None),
        ("ProviderNotFoundError: Provider not found", None),
        ("Model not found: Copliot", None),
    ],
)
def test_the_near_name_of_a_mistyped_provider_is_found(message: str, near: str | None) -> None:
    wanted = unknown_provider(message)
    assert (wanted and near_name(wanted, NAMES)) == near
