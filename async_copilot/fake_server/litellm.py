"""What LiteLLM's proxy puts on the wire, by hand. In and out as in ``openai``; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .openai import Envelope, OpenAI, Part, frame

__all__ = ["LiteLLM"]


class LiteLLM(OpenAI):
    """LiteLLM's proxy 1.106.2: ``finish_reason`` absent until it is known, codes as strings."""

    usage_default = False

    def headers(self, envelope: Envelope) -> dict[str, str]:
        return {
            "x-litellm-call-id": envelope.id[9:],
            "x-litellm-version": "1.106.2",
            "x-litellm-model-region": "None",
            "x-litellm-response-cost": "0.0",
            "llm_provider-content-length": "0",
            "llm_provider-transfer-encoding": "chunked",
        }

    def opening(self, envelope: Envelope) -> bytes:
        return b""

    def delta(self, part: Part, *, first: bool) -> dict[str, Any]:
        role = {"role": "assistant"} if first else {}
        return role | super().delta(part, first=first)

    def chunk(
        self, envelope: Envelope, delta: Mapping[str, Any], finish: str | None = None
    ) -> bytes:
        choices: list[dict[str, Any]] = []
        for index in range(envelope.choices):
            reason = {} if finish is None else {"finish_reason": finish}
            choices.append(reason | {"index": index, "delta": delta})
        return frame(self.head(envelope) | {"choices": choices})

    def head(self, envelope: Envelope, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        head = {"id": envelope.id, "created": envelope.created, "model": envelope.model}
        return head | {"object": kind}

    def usage_chunk(self, envelope: Envelope, usage: Any) -> bytes:
        choices = [{"index": 0, "delta": {}}]
        return frame(self.head(envelope) | {"choices": choices, "usage": usage})

    def error_object(self, message: str, status: int) -> dict[str, Any]:
        kinds = {401: "auth_error", 429: "throttling_error", 500: None}
        kind = kinds.get(
            status, "internal_server_error" if status > 500 else "invalid_request_error"
        )
        return {"message": message, "type": kind, "param": None, "code": str(status)}
