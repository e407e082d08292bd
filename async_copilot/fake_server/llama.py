"""What llama-server puts on the wire, written by hand. In and out as in ``openai``; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .openai import Envelope, OpenAI, Problem, frame

__all__ = ["Llama"]


class Llama(OpenAI):
    """llama-server: comments while it is busy; closes each connection it said it would keep."""

    headers_first = True
    heartbeat = 30.0
    comment = b":\n\n"
    closes = True

    def headers(self, envelope: Envelope) -> dict[str, str]:
        return {"Keep-Alive": "timeout=5, max=100", "Server": "llama.cpp"}

    def opening(self, envelope: Envelope) -> bytes:
        return self.chunk(envelope, {"role": "assistant", "content": None})

    def chunk(
        self, envelope: Envelope, delta: Mapping[str, Any], finish: str | None = None
    ) -> bytes:
        choice = {"finish_reason": finish, "index": 0, "delta": delta}
        last = {} if finish is None else {"timings": {"prompt_n": 1, "predicted_n": 1}}
        return frame({"choices": [choice]} | self.head(envelope) | last)

    def head(self, envelope: Envelope, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        head = {"created": envelope.created, "id": envelope.id, "model": envelope.model}
        return head | {"system_fingerprint": "b1-fake", "object": kind}

    def usage_chunk(self, envelope: Envelope, usage: Any) -> bytes:
        return frame({"choices": []} | self.head(envelope) | {"usage": usage})

    def error_object(self, message: str, status: int) -> dict[str, Any]:
        kinds = {401: "authentication_error", 404: "not_found_error", 503: "unavailable_error"}
        kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
        return {"code": status, "message": message, "type": kind}

    def refused(self, problem: Problem, envelope: Envelope) -> tuple[int, bytes]:
        status = 500 if problem in ("empty", "json") else 400
        return status, self.error(_llama_words(problem), status, envelope)


def _llama_words(problem: Problem) -> str:
    """llama-server's words for a body it cannot use."""
    return {
        "missing": "'messages' is required",
        "type": "Expected 'messages' to be an array",
    }.get(problem, "[json.exception.parse_error.101] parse error: syntax error")
