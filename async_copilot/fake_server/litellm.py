"""What LiteLLM's proxy puts on the wire, by hand. In and out as in ``openai``; no I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .envelope import Envelope
from .json_text import to_json
from .openai import ChoiceDelta, OpenAI, Part, frame

__all__ = ["LiteLLM"]


class LiteLLM(OpenAI):
    """LiteLLM's proxy 1.106.2: ``finish_reason`` absent until it is known, codes as strings."""

    chat_paths = re.compile(r"(?:/v1|/openai/deployments/[^/]+)?/chat/completions/?")
    usage_default = False

    def headers(self, envelope: Envelope) -> dict[str, str]:
        return {
            "x-litellm-call-id": envelope.request_id,
            "x-litellm-version": "1.106.2",
            "x-litellm-model-region": "None",
            "x-litellm-response-cost": "0.0",
            "llm_provider-content-length": "0",
            "llm_provider-transfer-encoding": "chunked",
        }

    def opening(self, part: Part | None) -> list[dict[str, Any]]:
        return [] if part is None else [{"role": "assistant"} | self.delta(part)]

    def chunk(
        self, envelope: Envelope, deltas: Sequence[ChoiceDelta], finish: str | None = None
    ) -> bytes:
        """All choices in one frame."""
        reason = {} if finish is None else {"finish_reason": finish}
        choices = [reason | {"index": index, "delta": delta} for index, delta, _ in deltas]
        return frame(self.head(envelope) | {"choices": choices})

    def head(self, envelope: Envelope, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        head = {"id": envelope.id, "created": envelope.created, "model": envelope.model}
        return head | {"object": kind} | envelope.extra

    def usage_chunk(self, envelope: Envelope, usage: Any) -> bytes:
        choices = [{"index": 0, "delta": {}}]
        return frame(self.head(envelope) | {"choices": choices, "usage": usage})

    def error_object(self, message: str, status: int) -> dict[str, Any]:
        kinds = {401: "auth_error", 429: "throttling_error", 500: None}
        kind = kinds.get(
            status, "internal_server_error" if status > 500 else "invalid_request_error"
        )
        return {"message": message, "type": kind, "param": None, "code": str(status)}

    def wrong_url(self, method: str, path: str) -> bytes:
        return to_json({"detail": "Not Found"})

    def wrong_method(self, method: str, path: str) -> bytes:
        return to_json({"detail": "Method Not Allowed"})
