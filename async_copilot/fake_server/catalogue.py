"""What a fake server has beside the chat: models, embeddings, g4f's lists. No I/O.

In: a method, a path and a body. Out: a status and a JSON value, or None for another path.
"""

from __future__ import annotations

import base64
import hashlib
import random
import re
import struct
from collections.abc import Sequence
from typing import Any

from .openai import OpenAI
from .providers import Providers

__all__ = ["Catalogue"]

_MODELS = re.compile(r"(?:/v1|/openai/v1|/openai)?/models(?:/(.+?))?/?")
_PROVIDER_MODELS = re.compile(r"/api/([^/]+)/models/?")
_EMBEDDINGS = re.compile(r"(?:/v1|/openai/v1|/openai/deployments/[^/]+)/embeddings/?")
# As many as OpenAI's text-embedding-3-small has.
_DIMENSIONS = 1536

Page = tuple[int, Any]


_PROVIDER = {"object": "provider", "created": 0}


class Catalogue:
    """The pages of one server."""

    def __init__(self, models: Sequence[str], providers: Providers, dialect: OpenAI) -> None:
        self._models = tuple(models)
        self._providers = providers
        self._dialect = dialect

    def get(self, path: str) -> Page | None:
        """What a GET of this path is answered with."""
        if self._dialect.has_providers and (page := self._of_providers(path)) is not None:
            return 200, page
        if (asked := _MODELS.fullmatch(path)) is None:
            return None
        name = asked[1]
        if name is None:
            return 200, {"object": "list", "data": [_model(name) for name in self._models]}
        if name in self._models:
            return 200, _model(name)
        error = self._dialect.error_object(f"The model '{name}' does not exist", 404)
        return 404, {"error": error}

    def embeddings(self, path: str, body: Any) -> Page | None:
        """What a POST of this JSON to this path is answered with, where it wants embeddings.

        The vectors have the length 1 and come from a hash of their text: the same text has the
        same vector, and no two texts are near each other.
        """
        if _EMBEDDINGS.fullmatch(path) is None:
            return None
        given = body.get("input") if isinstance(body, dict) else None
        inputs = given if isinstance(given, list) and not _is_tokens(given) else [given]
        size = body.get("dimensions", _DIMENSIONS) if isinstance(body, dict) else 0
        if not given or type(size) is not int or not 1 <= size <= 2**16:
            message = "must be a text or a list; 'dimensions' a number from 1 on"
            return 400, {"error": self._dialect.error_object(f"'input' {message}", 400)}
        packed = body.get("encoding_format") == "base64"
        vectors = [_vector(repr(one), size) for one in inputs]
        data = [
            {"object": "embedding", "index": at, "embedding": _packed(one) if packed else one}
            for at, one in enumerate(vectors)
        ]
        tokens = sum(len(repr(one)) // 4 + 1 for one in inputs)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        model = body.get("model") or "text-embedding-fake"
        return 200, {"object": "list", "data": data, "model": model, "usage": usage}

    def _of_providers(self, path: str) -> Any:
        """g4f's ``/v1/providers`` and ``/api/NAME/models``; None: another path."""
        if path.rstrip("/") == "/v1/providers":
            return [
                {
                    "id": one.name,
                    "label": one.label,
                    "url": None,
                    "object": "provider",
                    "created": 0,
                }
                for one in self._providers.listed
            ]
        asked = _PROVIDER_MODELS.fullmatch(path)
        provider = self._providers.named(asked[1]) if asked else None
        if provider is None:
            return None
        can = {"image": False, "vision": False, "audio": False, "video": False}
        owner = {"owned_by": provider.label or provider.name}
        kind = {"type": "chat", "count": 0}
        data = [_model(name) | owner | can | kind for name in provider.models]
        return {"object": "list", "data": data}


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "fake"}


def _is_tokens(given: list[Any]) -> bool:
    return all(type(one) is int for one in given)


def _vector(text: str, size: int) -> list[float]:
    seed = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    numbers = random.Random(seed)  # noqa: S311  # the same vector for the same text
    raw = [numbers.gauss(0.0, 1.0) for _ in range(size)]
    length = sum(one * one for one in raw) ** 0.5
    return [one / length for one in raw]


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
