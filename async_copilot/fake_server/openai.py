"""What OpenAI's API puts on the wire, written by hand. No I/O.

In: a ``FakeAnswer`` and the ``Envelope`` its frames repeat. Out: SSE frames and JSON
bodies as bytes. ``OpenAI`` is also the base of the other dialects, which say where they differ.
Nothing of our own parsing is used, so that two independent implementations meet. The shapes are
those of the answers that the openai package's own tests have recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from http.client import responses
from typing import Any, ClassVar, NamedTuple, TypeAlias

from .answer import FakeAnswer, FakeToolCall, pieces_of
from .envelope import Envelope
from .json_text import to_json
from .memory import MemoryKind

__all__ = ["ChoiceDelta", "OpenAI", "Part", "Problem", "frame"]

Part: TypeAlias = tuple[str, Any]
"""What one delta carries: ("content" | "reasoning" | "refusal" | "tool_calls", value)."""

Problem: TypeAlias = str
"""Why a request is not a chat request: "empty", "json", "missing" or "type"."""


class ChoiceDelta(NamedTuple):
    """One choice's share of a chunk."""

    choice: int
    delta: Mapping[str, Any]
    logprobs: Mapping[str, Any] | None = None


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
    base_path: ClassVar[str] = "/v1"
    chat_paths: ClassVar[re.Pattern[str]] = re.compile(r"/v1/chat/completions/?")
    headers_first: ClassVar[bool] = False
    heartbeat: ClassVar[float | None] = None
    comment: ClassVar[bytes] = b": ping\n\n"
    closes: ClassVar[bool] = False
    error_done: ClassVar[bool] = False
    usage_default: ClassVar[bool] = False
    has_providers: ClassVar[bool] = False
    key_headers: ClassVar[tuple[str, ...]] = ("Authorization",)

    def headers(self, envelope: Envelope) -> dict[str, str]:
        """Response headers of every answer, beside the content type."""
        return {
            "x-request-id": f"req_{envelope.request_id}",
            "openai-organization": "org-fake",
            "openai-processing-ms": "1",
            "openai-version": "2020-10-01",
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-limit-tokens": "1000000",
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-remaining-tokens": "999999",
            "x-ratelimit-reset-requests": "6ms",
            "x-ratelimit-reset-tokens": "0s",
        }

    def chat_path(self, path: str, query: str) -> bool:
        """Whether chat requests go to this URL."""
        return self.chat_paths.fullmatch(path) is not None

    # ---- the parts of an answer

    def parts(self, answer: FakeAnswer, envelope: Envelope, choice: int) -> Iterator[Part]:
        """The deltas of one choice, in order."""
        texts = (
            ("reasoning", answer.reasoning),
            ("content", self.content(answer, choice)),
            ("refusal", answer.refusal),
        )
        for kind, text in texts:
            for piece in pieces_of(text):
                yield kind, piece
        yield from self.call_parts(answer, envelope, choice)

    def content(self, answer: FakeAnswer, choice: int) -> str | Sequence[str]:
        """The content of one choice."""
        return answer.choices[choice] if answer.choices else answer.content

    def call_parts(self, answer: FakeAnswer, envelope: Envelope, choice: int) -> Iterator[Part]:
        """A call's name in one delta, its arguments in fragments after it."""
        for call in self.calls(answer, envelope, choice):
            text = call["function"]["arguments"]
            at = call["index"]
            yield "tool_calls", [call | {"function": call["function"] | {"arguments": ""}}]
            for start in range(0, len(text), 8):
                fragment = {"arguments": text[start : start + 8]}
                yield "tool_calls", [{"index": at, "function": fragment}]

    def calls(self, answer: FakeAnswer, envelope: Envelope, choice: int) -> list[dict[str, Any]]:
        """The tool calls of one choice as whole objects, each with an id of its own."""
        first = envelope.first_call + choice * len(answer.tool_calls)
        return [
            {
                "index": at,
                "id": f"call_{first + at}" if call.id is None else call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call)},
            }
            for at, call in enumerate(answer.tool_calls)
        ]

    # ---- a stream

    def opening(self, part: Part | None) -> list[dict[str, Any]]:
        """The deltas a choice begins with: up to its first part, or of an empty answer (None)."""
        kind, value = part or ("content", None)
        if kind == "tool_calls":
            role = {"role": "assistant", "content": None, "tool_calls": value, "refusal": None}
            return [role]
        refused = kind == "refusal"
        role = {
            "role": "assistant",
            "content": None if refused else "",
            "refusal": "" if refused else None,
        }
        return [role] if part is None else [role, self.delta(part)]

    def delta(self, part: Part) -> dict[str, Any]:
        """The wire form of a later part."""
        kind, value = part
        return {"reasoning_content" if kind == "reasoning" else kind: value}

    def chunk(
        self, envelope: Envelope, deltas: Sequence[ChoiceDelta], finish: str | None = None
    ) -> bytes:
        """The frames with these deltas: one for each choice."""
        usage = {"usage": None} if envelope.include_usage else {}
        frames = []
        for index, delta, logprobs in deltas:
            choice = self.choice(index, delta, logprobs, finish)
            frames.append(frame(self.head(envelope) | {"choices": [choice]} | usage))
        return b"".join(frames)

    def choice(
        self, index: int, delta: Mapping[str, Any], logprobs: Any, finish: str | None
    ) -> dict[str, Any]:
        """One choice of a chunk."""
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}

    def head(self, envelope: Envelope, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        """The keys each object begins with."""
        head = {"id": envelope.id, "object": kind, "created": envelope.created}
        head |= {"model": envelope.model, "service_tier": "default"}
        return head | {"system_fingerprint": "fp_fake"} | envelope.extra

    def preface(self, envelope: Envelope) -> bytes:
        """What comes in the same write as the first frame, before it."""
        return b""

    def finish_reason(self, answer: FakeAnswer) -> str | None:
        """What "auto" means here."""
        if answer.finish_reason != "auto":
            return answer.finish_reason
        return "tool_calls" if answer.tool_calls else "stop"

    def finish(self, envelope: Envelope, reason: str | None, usage: Any) -> bytes:
        """The frames after the last piece and before [DONE]; no reason, no finish chunk."""
        deltas = [ChoiceDelta(index, {}) for index in range(envelope.choices)]
        last = self.chunk(envelope, deltas, reason) if reason is not None else b""
        return last if usage is None else last + self.usage_chunk(envelope, usage)

    def usage_chunk(self, envelope: Envelope, usage: Any) -> bytes:
        return frame(self.head(envelope) | {"choices": [], "usage": usage})

    # ---- usage

    def usage(
        self, envelope: Envelope, answer: FakeAnswer, text_bytes: int, *, whole: bool = False
    ) -> Any:
        """The usage object to send, or None; a whole completion always has one."""
        if isinstance(answer.usage, Mapping):
            return dict(answer.usage)
        wanted = whole or self.usage_default or envelope.include_usage
        if not (wanted if answer.usage is None else answer.usage):
            return None
        return self.usage_shape(envelope.prompt_tokens, text_bytes // 4 + 1)

    def usage_shape(self, prompt: int, completion: int) -> dict[str, Any]:
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    # ---- a whole completion

    def completion(
        self, envelope: Envelope, answer: FakeAnswer, texts: Sequence[Mapping[str, str]], usage: Any
    ) -> dict[str, Any]:
        """The JSON of an answer that is not streamed; ``texts`` by choice and kind."""
        choices = [
            {
                "index": index,
                "message": self.message(answer, envelope, index, of_choice),
                "logprobs": envelope.logprobs.of_texts(of_choice) if envelope.logprobs else None,
                "finish_reason": self.finish_reason(answer),
            }
            for index, of_choice in enumerate(texts)
        ]
        counted = {} if usage is None else {"usage": usage}
        return self.head(envelope, "chat.completion") | {"choices": choices} | counted

    def message(
        self, answer: FakeAnswer, envelope: Envelope, choice: int, texts: Mapping[str, str]
    ) -> dict[str, Any]:
        refusal = texts.get("refusal") or None
        message: dict[str, Any] = {"role": "assistant", "content": texts.get("content") or None}
        if message["content"] is None and not answer.tool_calls and refusal is None:
            message["content"] = ""
        if texts.get("reasoning"):
            message["reasoning_content"] = texts["reasoning"]
        if answer.tool_calls:
            message["tool_calls"] = [
                {key: call[key] for key in call if key != "index"}
                for call in self.calls(answer, envelope, choice)
            ]
        return message | {"refusal": refusal, "annotations": []}

    # ---- errors

    def error(
        self, given: str | Mapping[str, Any] | None, status: int, envelope: Envelope
    ) -> bytes:
        """The JSON body of an answer with an error status."""
        if isinstance(given, Mapping):
            return to_json({"error": given})
        return to_json({"error": self.error_object(given or self.words(status, envelope), status)})

    def words(self, status: int, envelope: Envelope) -> str:
        """What an error says for which the script has no words."""
        model = envelope.model
        return {
            401: "Incorrect API key provided.",
            404: f"The model `{model}` does not exist or you do not have access to it.",
            429: f"Rate limit reached for {model}. Please try again in 20s.",
            500: "The server had an error while processing your request. Sorry about that!",
            503: "The engine is currently overloaded, please try again later.",
        }.get(status, responses.get(status, f"Error {status}"))

    def error_object(self, message: str, status: int) -> dict[str, Any]:
        kind = "server_error" if status >= 500 else "invalid_request_error"
        codes = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
        kind = "requests" if status == 429 else kind
        return {"message": message, "type": kind, "param": None, "code": codes.get(status)}

    def error_frame(self, given: str | Mapping[str, Any] | None, envelope: Envelope) -> bytes:
        """The data of an error inside the stream."""
        return self.error(given, 500, envelope)

    def refused(self, problem: Problem, envelope: Envelope) -> tuple[int, bytes]:
        """Status and body for a body that is not a chat request."""
        texts = {
            "missing": "Missing required parameter: 'messages'.",
            "type": "Invalid type for 'messages': expected an array of objects.",
        }
        unread = "We could not parse the JSON body of your request."
        return 400, self.error(texts.get(problem, unread), 400, envelope)

    def unauthorized(self, envelope: Envelope) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body where the key is missing or wrong."""
        return 401, {}, self.error(None, 401, envelope)

    def plain_error(self, message: str, status: int) -> bytes:
        """The body of an error that belongs to no chat request."""
        return to_json({"error": self.error_object(message, status) | {"code": None}})

    def wrong_url(self, method: str, path: str) -> bytes:
        """The body of the 404 to a URL that the server does not have."""
        return self.plain_error(f"Invalid URL ({method} {path})", 404)

    def wrong_method(self, method: str, path: str) -> bytes:
        """The body of the 405 to another method than POST."""
        return self.plain_error(f"Not allowed to {method} on {path}.", 405)

    # ---- g4f's providers, for the dialects that have them

    def failure(self, raised: str, envelope: Envelope, *, stream: bool) -> FakeAnswer:
        """The answer where a g4f provider raises "CLASS: text" instead of answering."""
        raise NotImplementedError  # pragma: no cover  # only g4f has providers

    def no_provider(self, name: str, envelope: Envelope) -> bytes:
        """The body of the 404 where a g4f server has no provider of this name."""
        raise NotImplementedError  # pragma: no cover  # only g4f has providers
