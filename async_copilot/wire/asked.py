"""The fields of a request in; what metrics and traces may know of it out. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

__all__ = ["NOTHING_ASKED", "RequestInfo", "request_info"]

_numbers = count(1)

# Fields whose texts and structures say how to answer, not what about. Any other one may be
# text of the conversation, or a secret, as the fields that servers invent.
_SAFE = frozenset(
    {
        *("conversation_id", "format", "function_call", "functions", "logit_bias", "metadata"),
        *("modalities", "reasoning", "reasoning_effort", "response_format", "service_tier"),
        *("stop", "stream_options", "thinking", "tool_choice", "tools", "verbosity"),
    }
)


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What was asked for, without the prompt.

    number: of the requests of this process, as in the log; 0 where nothing was asked yet.
    server: the URL it goes to, without user and query.
    model, provider: as sent; None where they are not.
    options: the other fields as sent: numbers, switches, and those of the API's that hold
        no text of the conversation (``stop``, ``tools``, ``response_format``, …).
    size: bytes of the request's body.
    """

    number: int = 0
    server: str = ""
    model: str | None = None
    provider: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0


NOTHING_ASKED = RequestInfo()


def request_info(fields: Mapping[str, Any], *, server: str, size: int) -> RequestInfo:
    """Return what may be known of a request with these fields, and number it."""
    options = {
        name: value
        for name, value in fields.items()
        if (isinstance(value, (int, float)) or (name in _SAFE and value is not None))
        and name not in ("model", "provider")
    }
    model, provider = fields.get("model"), fields.get("provider")
    return RequestInfo(
        next(_numbers),
        server,
        model if isinstance(model, str) else None,
        provider if isinstance(provider, str) else None,  # OpenRouter's is an object
        options,
        size,
    )
