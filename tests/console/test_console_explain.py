"""What a person is told to start depends on where they look for it."""

from __future__ import annotations

import pytest

from async_copilot.console.explain import explain
from async_copilot.errors import ConnectionFailedError, RateLimitError

COMMANDS = {
    "http://localhost:1337/v1": "g4f api --bind 127.0.0.1:1337",
    "http://127.0.0.2:80/v1": "g4f api --bind 127.0.0.2:80",
    "http://[::1]:8080/v1": ("python3 -c 'from g4f.api import run_api; run_api(\"::1\", 8080)'"),
    "https://localhost/v1": "g4f api --bind 127.0.0.1:443",
    "http://192.0.2.1:1337/v1": "g4f api",
    "http://chat.test/v1": "g4f api",
}


@pytest.mark.parametrize("url", COMMANDS)
def test_the_command_makes_g4f_listen_there_and_for_this_machine_only(url: str) -> None:
    text = explain(ConnectionFailedError("refused"), url)
    assert f"nothing answers at {url};" in text
    assert f"pip install 'g4f[api]', then {COMMANDS[url]})" in text
    assert "--demo" in text


def test_a_servers_own_words_stay_as_they_are() -> None:
    said = "HTTP 429: check api_key and base_url in Timeouts"
    assert explain(RateLimitError(said), "http://x.test/v1") == said
