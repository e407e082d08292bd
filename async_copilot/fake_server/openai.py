"""What OpenAI's API puts on the wire, written by hand. No I/O.

In: an ``FakeAnswer`` and the ``Envelope`` its frames repeat. Out: SSE frames and JSON
bodies as bytes. ``OpenAI`` is also the base of the other dialects, which say where they differ.
Nothing of our own parsing is used, so that two independent implementations meet.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import responses
from typing import Any, ClassVar, TypeAlias
from uuid import uuid4

import orjson

from .memory import MemoryKind, Turn
from .request import Request
from .script import FakeAnswer, FakeToolCall, pieces_of

__all__ = ["Envelope", "OpenAI", "Part", "Problem", "envelope_of", "frame", "to_json"]

Part: TypeAlias = tuple[str, Any]
"""What one delta carries: ("content" | "reasoning" | "refusal" | "tool_calls", value)."""

Problem: TypeAlias = str
"""Why a request is no chat request: "empty", "json", "missing" or "type"."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every frame of one reply repeats.

    conversation_id: the request's own. choices: its ``n``.
    """

    id: str
    created: int
    model: str
    provider: str | None
    conversation: Mapping[str, Any] | None
    include_usage: bool
    prompt_bytes: int
    conversation_id: str | None = None
    choices: int = 1


def envelope_of(request: Request, turn: Turn) -> Envelope:
    """The envelope of the answer to this request, made up now."""
    body = request.body
    options, number = body.get("stream_options"), body.get("n")
    return Envelope(
        id=f"chatcmpl-{uuid4().hex[:28]}",
        created=int(time.time()),
        model=request.model or "",
        provider=turn.provider,
        conversation=turn.handle,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        prompt_bytes=len(request.text.encode("utf-8", "replace")),
        conversation_id=request.conversation_id,
        choices=number if isinstance(number, int) and 1 <= number <= 128 else 1,
    )


def to_json(value: object) -> bytes:
    """Compact JSON; a lone surrogate, which orjson refuses, goes out as its escape."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def frame(value: object) -> bytes:
    """One event: a data line with this JSON value."""
    return b"data: %b\n\n" % to_json(value)


def _arguments(call: FakeToolCall) -> str:
    if isinstance(call.arguments, str):
        return call.arguments
    return json.dumps(dict(call.arguments), ensure_ascii=False)


class OpenAI:
    """api.openai.com: a role-only first chunk, usage in a chunk of its own when asked for."""

    memory: ClassVar[MemoryKind] = "messages"
    headers_first: ClassVar[bool] = False
    heartbeat: ClassVar[float | None] = None
    comment: ClassVar[bytes] = b": ping\n\n"
    closes: ClassVar[bool] = False
    error_done: ClassVar[bool] = False
    usage_default: ClassVar[bool] = False
    key_headers: ClassVar[tuple[str, ...]] = ("Authorization",)

    def headers(self, envelope: Envelope) -> dict[str, str]:
        """Response headers of every answer, beside the content type."""
        return {"x-request-id": f"req_{envelope.id[9:]}", "openai-version": "2020-10-01"}

    def parts(self, answer: FakeAnswer) -> list[Part]:
        """The answer's deltas, in order."""
        texts = (
            ("reasoning", answer.reasoning),
            ("content", answer.content),
            ("refusal", answer.refusal),
        )
        found: list[Part] = [(kind, piece) for kind, text in texts for piece in pieces_of(text)]
        return found + self.call_parts(answer)

    def call_parts(self, answer: FakeAnswer) -> list[Part]:
        """A call's name in one delta, its arguments in fragments after it."""
        found: list[Part] = []
        for at, call in enumerate(answer.tool_calls):
            head = self.whole_call(at, call)
            head["function"]["arguments"] = ""
            found.append(("tool_calls", [head]))
            text = _arguments(call)
            for start in range(0, len(text), 8):
                fragment = {"arguments": text[start : start + 8]}
                found.append(("tool_calls", [{"index": at, "function": fragment}]))
        return found

    def whole_call(self, at: int, call: FakeToolCall) -> dict[str, Any]:
        """A tool call as one object."""
        function = {"name": call.name, "arguments": _arguments(call)}
        name = call.id or f"call_{at + 1}"
        return {"index": at, "id": name, "type": "function", "function": function}

    def opening(self, envelope: Envelope) -> bytes:
        """What comes in the same write as the first piece, before it."""
        delta = {"role": "assistant", "content": "", "refusal": None}
        return self.chunk(envelope, delta)

    def delta(self, part: Part, *, first: bool) -> dict[str, Any]:
        """The wire form of a part; ``first`` for the reply's first."""
        kind, value = part
        return {"reasoning_content" if kind == "reasoning" else kind: value}

    def chunk(
        self, envelope: Envelope, delta: Mapping[str, Any], finish: str | None = None
    ) -> bytes:
        """The frame (one for each choice) with this delta."""
        frames = []
        for index in range(envelope.choices):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
            usage = {"usage": None} if envelope.include_usage else {}
            frames.append(frame(self.head(envelope) | {"choices": [choice]} | usage))
        return b"".join(frames)

    def head(self, envelope: Envelope, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        """The keys each object begins with."""
        head = {"id": envelope.id, "object": kind, "created": envelope.created}
        return head | {"model": envelope.model, "system_fingerprint": "fp_fake"}

    def finish_reason(self, answer: FakeAnswer) -> str | None:
        """What "auto" means here."""
        if answer.finish_reason != "auto":
            return answer.finish_reason
        return "tool_calls" if answer.tool_calls else "stop"

    def usage(self, envelope: Envelope, answer: FakeAnswer, text_bytes: int) -> Any:
        """The usage object to send, or None."""
        if isinstance(answer.usage, Mapping):
            return dict(answer.usage)
        wanted = self.usage_default or envelope.include_usage
        if not (wanted if answer.usage is None else answer.usage):
            return None
        prompt, completion = envelope.prompt_bytes // 4 + 1, text_bytes // 4 + 1
        return self.usage_shape(prompt, completion)

    def usage_shape(self, prompt: int, completion: int) -> dict[str, Any]:
        total = prompt + completion
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": total,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }

    def finish(self, envelope: Envelope, reason: str | None, usage: Any) -> bytes:
        """The frames after the last piece and before [DONE]; no reason, no finish chunk."""
        last = self.chunk(envelope, {}, reason) if reason is not None else b""
        return last if usage is None else last + self.usage_chunk(envelope, usage)

    def usage_chunk(self, envelope: Envelope, usage: Any) -> bytes:
        return frame(self.head(envelope) | {"choices": [], "usage": usage})

    def error(
        self, given: str | Mapping[str, Any] | None, status: int, envelope: Envelope
    ) -> bytes:
        """The JSON body of an answer with an error status."""
        if isinstance(given, Mapping):
            return to_json({"error": given})
        return to_json(
            {"error": self.error_object(given or responses.get(status, f"Error {status}"), status)}
        )

    def error_object(self, message: str, status: int) -> dict[str, Any]:
        kinds = {401: "invalid_request_error", 429: "rate_limit_exceeded"}
        kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
        code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status)
        return {"message": message, "type": kind, "param": None, "code": code}

    def error_frame(self, given: str | Mapping[str, Any] | None, envelope: Envelope) -> bytes:
        """The data of an error inside the stream."""
        return self.error(given, 500, envelope)

    def refused(self, problem: Problem, envelope: Envelope) -> tuple[int, bytes]:
        """Status and body for a body that is no chat request."""
        texts = {
            "missing": "Missing required parameter: 'messages'.",
            "type": "Invalid type for 'messages': expected an array of objects.",
        }
        unread = "We could not parse the JSON body of your request."
        return 400, self.error(texts.get(problem, unread), 400, envelope)

    def failure(self, raised: str, envelope: Envelope, *, stream: bool) -> FakeAnswer:
        """The answer where a g4f provider raises "CLASS: text" instead of answering."""
        raise NotImplementedError  # pragma: no cover  # only g4f has providers

    def no_provider(self, name: str, envelope: Envelope) -> bytes:
        """The body of the 404 where a g4f server has no provider of this name."""
        raise NotImplementedError  # pragma: no cover  # only g4f has providers

    def unauthorized(self, envelope: Envelope) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body where the key is missing or wrong."""
        return 401, {}, self.error("Incorrect API key provided.", 401, envelope)

    def completion(
        self, envelope: Envelope, answer: FakeAnswer, texts: Mapping[str, str], usage: Any
    ) -> bytes:
        """The body of an answer that is not streamed; ``texts`` by the kind of its parts."""
        message = self.message(answer, texts)
        choices = [
            {"index": index, "message": message, "finish_reason": self.finish_reason(answer)}
            for index in range(envelope.choices)
        ]
        counted = {} if usage is None else {"usage": usage}
        return to_json(self.head(envelope, "chat.completion") | {"choices": choices} | counted)

    def message(self, answer: FakeAnswer, texts: Mapping[str, str]) -> dict[str, Any]:
        refusal = texts.get("refusal") or None
        message: dict[str, Any] = {"role": "assistant", "content": texts.get("content") or None}
        message["refusal"] = refusal
        if message["content"] is None and not answer.tool_calls and refusal is None:
            message["content"] = ""
        if texts.get("reasoning"):
            message["reasoning_content"] = texts["reasoning"]
        if answer.tool_calls:
            calls = [self.whole_call(at, call) for at, call in enumerate(answer.tool_calls)]
            message["tool_calls"] = [
                {key: call[key] for key in call if key != "index"} for call in calls
            ]
        return message
