"""What three generations of the g4f API server put on the wire, written by hand. No I/O.

In and out as in ``openai``. Every chunk repeats the role; the last one carries
usage and the ``conversation`` object, asked for or not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from .answer import FakeAnswer
from .envelope import Envelope
from .faults import ErrorFrame
from .json_text import to_json
from .memory import MemoryKind
from .openai import ChoiceDelta, OpenAI, Part, Problem, frame

__all__ = ["G4F", "G4F0490", "G4F817"]

# Exceptions of a provider that have a status of their own: in every release that has statuses.
_STATUSES = {
    "MissingAuthError": 401,
    "NoValidHarFileError": 401,
    "ModelNotFoundError": 404,
    "ProviderNotFoundError": 404,
    "RateLimitError": 429,
}
# What 8.8.6 tells of them; the texts of all others it hides.
_TOLD = {
    "MissingAuthError": "MissingAuthError: Authentication required",
    "ModelNotFoundError": "ModelNotFoundError: Model not found",
    "ProviderNotFoundError": "ProviderNotFoundError: Provider not found",
}


class G4F(OpenAI):
    """g4f 8.8.6: memory by the echoed object, error texts hidden, no [DONE] after an error."""

    chat_paths = re.compile(r"(?:/v1|/api/[^/]+(?:/[^/]+)?)/chat/completions/?")
    memory: ClassVar[MemoryKind] = "echo"
    usage_default = True
    has_providers = True
    key_headers = ("Authorization", "g4f-api-key")

    def headers(self, envelope: Envelope) -> dict[str, str]:
        return {"Server": "uvicorn", "Vary": "Origin"}

    def call_parts(self, answer: FakeAnswer, envelope: Envelope, choice: int) -> Iterator[Part]:
        """All the calls in one delta."""
        if calls := self.calls(answer, envelope, choice):
            yield "tool_calls", calls

    def calls(self, answer: FakeAnswer, envelope: Envelope, choice: int) -> list[dict[str, Any]]:
        calls = super().calls(answer, envelope, choice)
        return [call | {"extra_content": None} for call in calls]

    def finish_reason(self, answer: FakeAnswer) -> str | None:
        return "stop" if answer.finish_reason == "auto" else answer.finish_reason

    def opening(self, part: Part | None) -> list[dict[str, Any]]:
        return [] if part is None else [self.delta(part)]

    def delta(self, part: Part) -> dict[str, Any]:
        kind, value = part
        empty = {"role": "assistant", "content": "", "reasoning": None, "tool_calls": None}
        return empty | {kind: value}

    def chunk(
        self, envelope: Envelope, deltas: Sequence[ChoiceDelta], finish: str | None = None
    ) -> bytes:
        """Of one choice: this server does not read ``n``."""
        return frame(self.body(envelope, deltas[0].delta, finish))

    def body(
        self, envelope: Envelope, delta: Mapping[str, Any], finish: str | None
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return self.head(envelope) | {"choices": [choice]}

    def head(self, envelope: Envelope, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        head = {"id": envelope.id, "object": kind, "created": envelope.created}
        return head | {"model": envelope.model, "provider": envelope.provider} | envelope.extra

    def usage_shape(self, prompt: int, completion: int) -> dict[str, Any]:
        shape = super().usage_shape(prompt, completion)
        shape["prompt_tokens_details"] = {"cached_tokens": 0}
        details = {"accepted_prediction_tokens": None, "rejected_prediction_tokens": None}
        return shape | {"completion_tokens_details": details, "cache": None, "estimated_cost": None}

    def finish(self, envelope: Envelope, reason: str | None, usage: Any) -> bytes:
        if reason is None:
            return b""
        last = self.body(envelope, self.delta(("content", "")), reason)
        return frame(last | self.extras(envelope, usage))

    def extras(self, envelope: Envelope, usage: Any) -> dict[str, Any]:
        """What the last chunk and a whole completion have beside the rest."""
        extras = {"usage": usage, "conversation": envelope.conversation}
        return {key: value for key, value in extras.items() if value is not None}

    def error(
        self, given: str | Mapping[str, Any] | None, status: int, envelope: Envelope
    ) -> bytes:
        """With spaces and ASCII escapes, as this server writes errors and nothing else."""
        error = given if isinstance(given, Mapping) else {"message": given or self.hidden}
        whole = {"error": error, "model": envelope.model, "provider": envelope.provider}
        return json.dumps(whole, default=dict).encode()

    hidden = "Request execution failed"
    unknown = "Provider not found: {}"

    def refused(self, problem: Problem, envelope: Envelope) -> tuple[int, bytes]:
        where: list[Any] = ["body"] + ["messages"] * (problem in ("missing", "type"))
        if problem == "json":
            where = ["body", 0]
        words = {
            "json": ("JSON decode error", "json_invalid"),
            "type": ("Input should be a valid list", "list_type"),
        }
        message, kind = words.get(problem, ("Field required", "missing"))
        return 422, to_json({"detail": [{"loc": where, "message": message, "type": kind}]})

    def failure(self, raised: str, envelope: Envelope, *, stream: bool) -> FakeAnswer:
        """Before its first piece a provider's exception is a status of its own."""
        kind = raised.partition(":")[0]
        body = self.error(self.failure_text(raised), 500, envelope)
        return FakeAnswer(status=_STATUSES.get(kind, 500), body=body)

    def failure_text(self, raised: str) -> str:
        """What this release tells of the exception "CLASS: text"."""
        return _TOLD.get(raised.partition(":")[0], self.hidden)

    def no_provider(self, name: str, envelope: Envelope) -> bytes:
        return json.dumps({"error": {"message": self.unknown.format(name)}}).encode()

    def plain_error(self, message: str, status: int) -> bytes:
        return json.dumps({"error": {"message": message}}).encode()

    def wrong_url(self, method: str, path: str) -> bytes:
        return to_json({"detail": "Not Found"})

    def wrong_method(self, method: str, path: str) -> bytes:
        return to_json({"detail": "Method Not Allowed"})

    def unauthorized(self, envelope: Envelope) -> tuple[int, dict[str, str], bytes]:
        body = json.dumps({"error": {"message": "Not authenticated"}}).encode()
        return 401, {"WWW-Authenticate": "Basic"}, body

    def completion(
        self, envelope: Envelope, answer: FakeAnswer, texts: Sequence[Mapping[str, str]], usage: Any
    ) -> dict[str, Any]:
        message = {
            "role": "assistant",
            "content": texts[0].get("content", ""),
            "reasoning": texts[0].get("reasoning"),
            "tool_calls": self.calls(answer, envelope, 0) or None,
            "audio": None,
        }
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason(answer)}
        whole = self.head(envelope, "chat.completion") | {"choices": [choice]}
        return whole | self.extras(envelope, usage)


class G4F817(G4F):
    """g4f 8.1.7: an error's own text, and [DONE] after it."""

    error_done = True
    hidden = "RuntimeError: the provider failed"

    def failure_text(self, raised: str) -> str:
        return raised if ":" in raised else f"{raised}: the provider failed"

    unknown = "Provider with label '{}' not found"


class G4F0490(G4F817):
    """g4f 0.4.9.0: memory by ``conversation_id``, no ``conversation``, no reasoning of its own."""

    memory: ClassVar[MemoryKind] = "id"
    headers_first = True

    def failure(self, raised: str, envelope: Envelope, *, stream: bool) -> FakeAnswer:
        """In a stream it is an error frame after a 200, even before the first piece."""
        if not stream:
            return super().failure(raised, envelope, stream=stream)
        return FakeAnswer(fault=ErrorFrame(self.failure_text(raised), after="headers"))

    def no_provider(self, name: str, envelope: Envelope) -> bytes:
        message = f"ProviderNotFoundError: Provider not found: {name}"
        return self.error(message, 404, replace(envelope, provider=name))

    def call_parts(self, answer: FakeAnswer, envelope: Envelope, choice: int) -> Iterator[Part]:
        return iter(())  # this release drops them in a stream

    def delta(self, part: Part) -> dict[str, Any]:
        return {"role": "assistant", "content": part[1]}

    def head(self, envelope: Envelope, kind: str = "chat.completion.cunk") -> dict[str, Any]:
        head = {"id": envelope.id, "object": kind, "created": envelope.created}
        return head | {"model": None, "provider": None} | envelope.extra

    def usage_shape(self, prompt: int, completion: int) -> dict[str, Any]:
        shape = OpenAI.usage_shape(self, prompt, completion)  # without 8.x's further keys
        shape["prompt_tokens_details"] = {"cached_tokens": 0}
        return shape | {"completion_tokens_details": {}}

    def finish(self, envelope: Envelope, reason: str | None, usage: Any) -> bytes:
        if reason is None:
            return b""
        last = self.body(envelope, self.delta(("content", None)), reason)
        return frame(last if usage is None else last | {"usage": usage})

    def extras(self, envelope: Envelope, usage: Any) -> dict[str, Any]:
        return {} if usage is None else {"usage": usage}

    def unauthorized(self, envelope: Envelope) -> tuple[int, dict[str, str], bytes]:
        return 403, {}, json.dumps({"error": {"message": "Invalid G4F API key"}}).encode()

    def completion(
        self, envelope: Envelope, answer: FakeAnswer, texts: Sequence[Mapping[str, str]], usage: Any
    ) -> dict[str, Any]:
        """With a ``conversation_id`` this release answers with that and no completion at all."""
        asked = envelope.conversation_id
        if asked is not None:
            return {"conversation_id": asked}
        return super().completion(envelope, answer, texts, usage)
