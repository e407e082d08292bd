"""What Azure's OpenAI service puts on the wire. In and out as in ``openai``; no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .answer import FakeAnswer
from .envelope import Envelope
from .openai import OpenAI, frame

__all__ = ["Azure"]

_SAFE = {"filtered": False, "severity": "safe"}
_FILTERS = dict.fromkeys(("hate", "self_harm", "sexual", "violence"), _SAFE)
_PROMPT = [{"prompt_index": 0, "content_filter_results": _FILTERS}]


class Azure(OpenAI):
    """Azure: a first chunk without choices, filter results, paths by deployment, ``api-key``."""

    base_path = "/openai/v1"
    chat_paths = re.compile(r"/openai/(?:v1|deployments/[^/]+)/chat/completions/?")
    key_headers = ("api-key", "Authorization")

    def chat_path(self, path: str, query: str) -> bool:
        """A deployment's URL must have an ``api-version``."""
        versioned = "/deployments/" not in path or "api-version=" in query
        return versioned and super().chat_path(path, query)

    def headers(self, envelope: Envelope) -> dict[str, str]:
        return {
            "apim-request-id": envelope.request_id,
            "x-ms-region": "Fake",
            "x-request-id": envelope.request_id,
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-remaining-tokens": "999999",
        }

    def preface(self, envelope: Envelope) -> bytes:
        """The filter's verdict on the prompt: no choices, no id, before anything else."""
        empty = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
        return frame(empty | {"prompt_filter_results": _PROMPT})

    def choice(
        self, index: int, delta: Mapping[str, Any], logprobs: Any, finish: str | None
    ) -> dict[str, Any]:
        results = _FILTERS if delta.get("content") else {}
        return super().choice(index, delta, logprobs, finish) | {"content_filter_results": results}

    def head(self, envelope: Envelope, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        head = super().head(envelope, kind)
        return {key: value for key, value in head.items() if key != "service_tier"}

    def completion(
        self, envelope: Envelope, answer: FakeAnswer, texts: Sequence[Mapping[str, str]], usage: Any
    ) -> dict[str, Any]:
        whole = super().completion(envelope, answer, texts, usage)
        whole["choices"] = [
            choice | {"content_filter_results": _FILTERS} for choice in whole["choices"]
        ]
        return whole | {"prompt_filter_results": _PROMPT}

    def error_object(self, message: str, status: int) -> dict[str, Any]:
        codes = {401: "401", 404: "DeploymentNotFound", 429: "429"}
        kind = None if status < 500 else "server_error"
        return {"code": codes.get(status), "message": message, "param": None, "type": kind}

    def words(self, status: int, envelope: Envelope) -> str:
        if status == 404:
            return "The API deployment for this resource does not exist."
        return super().words(status, envelope)

    def wrong_url(self, method: str, path: str) -> bytes:
        return b'{"error":{"code":"404","message":"Resource not found"}}'
