"""What three generations of the g4f API server put on the wire, written by hand. No I/O.

In and out as in ``openai``. Every chunk repeats the role; the last one carries
usage and the ``conversation`` object, asked for or not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from .faults import ErrorFrame
from .memory import MemoryKind
from .openai import Envelope, OpenAI, Part, Problem, frame, to_json
from .script import FakeAnswer, FakeToolCall

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

    memory: ClassVar[MemoryKind] = "echo"
    usage_default = True
    key_headers = ("Authorization", "g4f-api-key")

    def headers(self, envelope: Envelope) -> dict[str, str]:
        return {"Server": "uvicorn", "Vary": "Origin"}

    def call_parts(self, answer: FakeAnswer) -> list[Part]:
        calls = [self.whole_call(at, call) for at, call in enumerate(answer.tool_calls)]
        return [("tool_calls", calls)] if calls else []

    def whole_call(self, at: int, call: FakeToolCall) -> dict[str, Any]:
        return super().whole_call(at, call) | {"extra_content": None}

    def finish_reason(self, answer: FakeAnswer) -> str | None:
        return "stop" if answer.finish_reason == "auto" else answer.finish_reason

    def opening(self, envelope: Envelope) -> bytes:
        return b""

    def delta(self, part: Part, *, first: bool) -> dict[str, Any]:
        kind, value = part
        empty = {"role": "assistant", "content": "", "reasoning": None, "tool_calls": None}
        return empty | {kind: value}

    def chunk(
        self, envelope: Envelope, delta: Mapping[str, Any], finish: str | None = None
    ) -> bytes:
        return frame(self.body(envelope, delta, finish))

    def body(
        self, envelope: Envelope, delta: Mapping[str, Any], finish: str | None
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return self.head(envelope) | {"choices": [choice]}

    def head(self, envelope: Envelope, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        head = {"id": envelope.id, "object": kind, "created": envelope.created}
        return head | {"model": envelope.model, "provider": envelope.provider}

    def usage_shape(self, prompt: int, completion: int) -> dict[str, Any]:
        details = {"accepted_prediction_tokens": None, "rejected_prediction_tokens": None}
        shape = super().usage_shape(prompt, completion) | {"completion_tokens_details": details}
        return shape | {"cache": None, "estimated_cost": None}

    def finish(self, envelope: Envelope, reason: str | None, usage: Any) -> bytes:
        if reason is None:
            return b""
        last = self.body(envelope, self.delta(("content", ""), first=False), reason)
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

    def unauthorized(self, envelope: Envelope) -> tuple[int, dict[str, str], bytes]:
        body = json.dumps({"error": {"message": "Not authenticated"}}).encode()
        return 401, {"WWW-Authenticate": "Basic"}, body

    def completion(
        self, envelope: Envelope, answer: FakeAnswer, texts: Mapping[str, str], usage: Any
    ) -> bytes:
        calls = [self.whole_call(at, call) for at, call in enumerate(answer.tool_calls)]
        message = {
            "role": "assistant",
            "content": texts.get("content", ""),
            "reasoning": texts.get("reasoning"),
            "tool_calls": calls or None,
            "audio": None,
        }
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason(answer)}
        whole = self.head(envelope, "chat.completion") | {"choices": [choice]}
        return to_json(whole | self.extras(envelope, usage))


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

    def call_parts(self, answer: FakeAnswer) -> list[Part]:
        return []  # this release drops them in a stream

    def delta(self, part: Part, *, first: bool) -> dict[str, Any]:
        return {"role": "assistant", "content": part[1]}

    def head(self, envelope: Envelope, kind: str = "chat.completion.cunk") -> dict[str, Any]:
        head = {"id": envelope.id, "object": kind, "created": envelope.created}
        return head | {"model": None, "provider": None}

    def usage_shape(self, prompt: int, completion: int) -> dict[str, Any]:
        shape = OpenAI.usage_shape(self, prompt, completion)  # without 8.x's further keys
        return shape | {"completion_tokens_details": {}}

    def finish(self, envelope: Envelope, reason: str | None, usage: Any) -> bytes:
        if reason is None:
            return b""
        last = self.body(envelope, self.delta(("content", None), first=False), reason)
        return frame(last if usage is None else last | {"usage": usage})

    def extras(self, envelope: Envelope, usage: Any) -> dict[str, Any]:
        return {} if usage is None else {"usage": usage}

    def unauthorized(self, envelope: Envelope) -> tuple[int, dict[str, str], bytes]:
        return 403, {}, json.dumps({"error": {"message": "Invalid G4F API key"}}).encode()

    def completion(
        self, envelope: Envelope, answer: FakeAnswer, texts: Mapping[str, str], usage: Any
    ) -> bytes:
        """With a ``conversation_id`` this release answers with that and no completion at all."""
        asked = envelope.conversation_id
        if asked is not None:
            return to_json({"conversation_id": asked})
        return super().completion(envelope, answer, texts, usage)
