"""The older ``/v1/completions``: a prompt in, its text out. No I/O.

The script answers it as it answers a chat; of the answer this form can carry the content, the
finish reason and the usage. What it cannot carry it refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .answer import FakeAnswer, pieces_of
from .envelope import Envelope
from .openai import ChoiceDelta, OpenAI, Part

__all__ = ["Completions"]


_LACKING = ("echo", "logprobs", "suffix", "best_of")


class Completions(OpenAI):
    """The form of a text completion."""

    def lacks(self, body: Mapping[str, Any]) -> str | None:
        """Why this request cannot be answered; None where it can."""
        lacking = next((name for name in _LACKING if body.get(name) not in (None, False)), None)
        return lacking and f"the text completions of this fake server have no {lacking!r}"

    def parts(self, answer: FakeAnswer, envelope: Envelope, choice: int) -> Iterator[Part]:
        return (("content", piece) for piece in pieces_of(self.content(answer, choice)))

    def opening(self, part: Part | None) -> list[dict[str, Any]]:
        return [] if part is None else [self.delta(part)]

    def choice(
        self, index: int, delta: Mapping[str, Any], logprobs: Any, finish: str | None
    ) -> dict[str, Any]:
        text = delta.get("content", "")
        return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}

    def head(self, envelope: Envelope, kind: str = "text_completion") -> dict[str, Any]:
        head = {"id": envelope.id, "object": kind, "created": envelope.created}
        return head | {"model": envelope.model, "system_fingerprint": "fp_fake"} | envelope.extra

    def finish_reason(self, answer: FakeAnswer) -> str | None:
        return "stop" if answer.finish_reason == "auto" else answer.finish_reason

    def completion(
        self, envelope: Envelope, answer: FakeAnswer, texts: Sequence[Mapping[str, str]], usage: Any
    ) -> dict[str, Any]:
        reason = self.finish_reason(answer)
        deltas = [ChoiceDelta(index, one) for index, one in enumerate(texts)]
        choices = [self.choice(index, delta, None, reason) for index, delta, _ in deltas]
        counted = {} if usage is None else {"usage": usage}
        return self.head(envelope) | {"choices": choices} | counted
