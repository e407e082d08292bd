"""What llama-server puts on the wire, written by hand. In and out as in ``openai``; no I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .envelope import Envelope
from .json_text import to_json
from .openai import ChoiceDelta, OpenAI, Part, Problem, frame

__all__ = ["Llama"]


class Llama(OpenAI):
    """llama-server: comments while it is busy; closes each connection it said it would keep."""

    chat_paths = re.compile(r"(?:/v1)?/chat/completions/?")
    headers_first = True
    heartbeat = 30.0
    comment = b":\n\n"
    closes = True

    def headers(self, envelope: Envelope) -> dict[str, str]:
        return {"Keep-Alive": "timeout=5, max=100", "Server": "llama.cpp"}

    def opening(self, part: Part | None) -> list[dict[str, Any]]:
        role: dict[str, Any] = {"role": "assistant", "content": None}
        return [role] if part is None else [role, self.delta(part)]

    def chunk(
        self, envelope: Envelope, deltas: Sequence[ChoiceDelta], finish: str | None = None
    ) -> bytes:
        last = {} if finish is None else {"timings": {"prompt_n": 1, "predicted_n": 1}}
        frames = []
        for index, delta, _ in deltas:
            choice = {"finish_reason": finish, "index": index, "delta": delta}
            frames.append(frame({"choices": [choice]} | self.head(envelope) | last))
        return b"".join(frames)

    def head(self, envelope: Envelope, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        head = {"created": envelope.created, "id": envelope.id, "model": envelope.model}
        return head | {"system_fingerprint": "b1-fake", "object": kind} | envelope.extra

    def usage_chunk(self, envelope: Envelope, usage: Any) -> bytes:
        return frame({"choices": []} | self.head(envelope) | {"usage": usage})

    def error_object(self, message: str, status: int) -> dict[str, Any]:
        kinds = {401: "authentication_error", 404: "not_found_error", 503: "unavailable_error"}
        kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
        return {"code": status, "message": message, "type": kind}

    def refused(self, problem: Problem, envelope: Envelope) -> tuple[int, bytes]:
        status = 500 if problem in ("empty", "json") else 400
        return status, self.error(_llama_words(problem), status, envelope)

    def wrong_url(self, method: str, path: str) -> bytes:
        return self.plain_error("File Not Found", 404)

    def plain_error(self, message: str, status: int) -> bytes:
        return to_json({"error": self.error_object(message, status)})


def _llama_words(problem: Problem) -> str:
    """llama-server's words for a body it cannot use."""
    return {
        "missing": "'messages' is required",
        "type": "Expected 'messages' to be an array",
    }.get(problem, "[json.exception.parse_error.101] parse error: syntax error")
