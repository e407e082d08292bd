"""What a server says when it fails: an event or an error's body in, its words out. No I/O.

Three questions, asked of every event that could be one:

- Is it an error? (read_error)  ``{"error": …}`` in any shape and without one the forms of
  gateways and clouds, which have no ``choices``.
- Does a finish reason name a failure? (names_failure)
- May another attempt mend it, and after how long? (ServerError.passing, .retry_after)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .text import EXCERPT, json_start, visible, without_lone_surrogates

__all__ = [
    "FAILURES",
    "NO_MESSAGE",
    "ServerError",
    "choice_error",
    "names_failure",
    "read_error",
    "server_error",
]

NO_MESSAGE = "(it gave no message)"

FAILURES = frozenset(
    {
        *("error", "errors", "errored", "fail", "failed", "failure", "abort", "aborted"),
        *("cancel", "canceled", "cancelled", "cancellation", "timeout", "exception"),
        *("crash", "crashed", "malformed", "insufficient", "unavailable", "overloaded"),
        *("interrupted", "disconnected", "disconnect", "unloaded", "overload", "preempted"),
        "killed",
    }
)
"""A finish reason that holds one of these words is a failure, not an end of the answer.

| finish reason | who sends it |
|---|---|
| ``error`` | OpenRouter, Mistral, Cohere, vLLM |
| ``network_error`` | Zhipu GLM |
| ``insufficient_system_resource`` | DeepSeek |
| ``abort`` | vLLM, SGLang |
| ``cancelled``, ``canceled``, ``USER_CANCEL`` | llama.cpp, Cohere |
| ``MALFORMED_FUNCTION_CALL``, also behind ``function_call_filter:`` | Gemini |
| ``UNEXPECTED_TOOL_CALL``, ``TOO_MANY_TOOL_CALLS``, ``MALFORMED_RESPONSE`` | Gemini |
| ``MISSING_THOUGHT_SIGNATURE`` | Gemini |
| ``malformed_tool_use``, ``malformed_model_output`` | Bedrock |
| ``ERROR_TOXIC``, ``ERROR_LIMIT``, ``TIMEOUT`` | Cohere |
| ``failed``, ``modelUnloaded`` | LM Studio |

Every other one ends a whole answer: ``stop``, ``length``, ``content_filter``, ``tool_calls``,
``function_call``, ``end_turn``, ``eos``, ``SAFETY``, ``sensitive``, and unknown ones.
"""

# Of two words or more, and not of FAILURES' kind word by word.
_FAILING = frozenset(
    {
        *("unexpected_tool_call", "too_many_tool_calls", "missing_thought_signature"),
        *("timed_out", "rate_limit"),
    }
)

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def names_failure(reason: str) -> bool:
    """True for a finish reason by which the server says that it failed; see FAILURES."""
    return _names_failure(reason[:EXCERPT])


@lru_cache(maxsize=64)  # nearly every answer ends with the same few
def _names_failure(reason: str) -> bool:
    words = [word.lower() for word in _WORD.findall(reason)]
    return not FAILURES.isdisjoint(words) or "_".join(words) in _FAILING


# A server that is overloaded, or limits the rate, in the words of its type or code.
_PASSING = re.compile(
    r"overload|rate.?limit|too.?many.?requests|throttl|unavailable|resource.?exhausted|slow.?down|"
    r"try.?again|capacity|server.?busy|engine.?busy",
    re.IGNORECASE,
)
_PASSING_WORDS = re.compile(r"\b(overloaded|rate.limit|too many requests)", re.IGNORECASE)
_PASSING_CODES = frozenset({"408", "409", "429", "500", "502", "503", "504", "529"})


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error in the server's own words; type and code as text, None where not given.

    retry_after: seconds to wait, where the body says so.
    """

    message: str
    type: str | None = None
    code: str | None = None
    retry_after: float | None = None

    @property
    def passing(self) -> bool:
        """True where another attempt may do: an overload, a rate limit, by type, code or words.

        The codes are those of an HTTP status that is asked again; 500 too, since gateways
        pass on their own failures.
        """
        named = f"{self.type} {self.code}"
        return (
            self.code in _PASSING_CODES
            or _PASSING.search(named) is not None
            or _PASSING_WORDS.search(self.message) is not None
        )


# ------------------------------------------------------------------ is it an error?

# Names of the words, the plainest first; of codes; and of what an error is wrapped in.
_WORDS = (
    *("message", "msg", "detail", "error", "errors", "details", "error_description"),
    *("error_message", "error_msg", "errorMessage", "err_msg", "errmsg", "Message", "description"),
    *("status_msg", "faultstring", "reason", "title", "text", "statusText"),
)
_CODES = (
    *("code", "status_code", "statusCode", "error_code", "errorCode", "errcode", "err_code"),
    *("errorcode", "Code", "http_status", "status"),
)
_TYPES = ("type", "__type", "errorType", "error_type", "status")
_WRAPPED = (
    *("details", "metadata", "innererror", "inner_error", "innerError", "cause", "upstream_error"),
    *("upstream", "original", "original_error", "failed_generation", "raw", "reasons", "value"),
)
# OpenAI's Responses, Tencent, Apigee, Spark
_OUTER = (("response", "error"), ("Response", "Error"), ("fault", ""), ("header", ""))
_WAITS = (
    *("retry_after", "retryAfter", "retry-after", "retry_after_seconds", "retryAfterSeconds"),
    *("retryDelay", "retry_delay", "Retry-After"),
)
_EMPTY = ("", "null", "none", "None", "ok", "OK", "success")
_FINE = frozenset({"", "0", "200", "ok", "success", "none", "null", "normal"})

_HEARTBEATS = frozenset({"ok", "success", "ping", "pong", "heartbeat", "keepalive", "keep-alive"})

_DEEP = 5  # objects within one another, to look for words in
_MANY = 16  # of a list, to look for words in


def read_error(event: dict[str, Any], *, named_error: bool = False) -> ServerError | None:
    """Return the error that an event, or the body of an error status, stands for, or None.

    ``error`` in any shape, in Groq's ``x_groq`` too; MiniMax's ``base_resp``; anything at
    all in an event that is named "error"; and without choices the forms in _stands_alone().
    An empty ``error`` does not count.
    """
    error = event.get("error")
    if error is None and isinstance(groq := event.get("x_groq"), dict):
        error = groq.get("error")
    if not _is_empty(error):
        return server_error(event if _only_a_flag(error) else error, beside=event)
    base = event.get("base_resp")
    if isinstance(base, dict) and not _is_fine(base.get("status_code")):
        return server_error(base, beside=event)
    if named_error:
        return server_error(event)
    if isinstance(event.get("choices"), list | dict):
        return None
    return _stands_alone(event, error)


def choice_error(choice: dict[str, Any]) -> ServerError | None:
    """Return the error that stands in a choice (OpenRouter), or in its delta."""
    delta = choice.get("delta")
    if "error" not in choice and not (isinstance(delta, dict) and "error" in delta):
        return None  # nearly always
    for place in (choice, delta):
        if isinstance(place, dict) and place.get("error"):
            return read_error({"error": place["error"], "choices": []})
    return None


def _is_empty(error: Any) -> bool:
    """True for a value that means no error: null, false, success, or an object of these."""
    if isinstance(error, dict):
        return all(
            not value or value in _EMPTY or (name in _CODES and _is_fine(value))
            for name, value in list(error.items())[:_MANY]
        )
    return not error or error in _EMPTY


def _only_a_flag(error: Any) -> bool:
    return error is True or isinstance(error, int | float)


def _is_fine(code: Any) -> bool:
    return code is None or json_start(code).lower() in _FINE


def _stands_alone(event: dict[str, Any], error: Any) -> ServerError | None:
    """Read what is an error only where no choice is beside it."""
    for outer, inner in _OUTER:
        found = event.get(outer)
        if inner and isinstance(found, dict):
            found = found.get(inner)
        if isinstance(found, dict) and not _is_empty(found) and _says_failure(found, outer):
            return server_error(found, beside=event)
    if event.get("errors"):  # Cloudflare, ModelScope
        return server_error(event)
    if (
        error == {}
        or "error" in (event.get("object"), event.get("type"))  # vLLM before 0.9; Anthropic
        or "detail" in event  # FastAPI
        or event.get("success") is False
        or _by_its_code(event)
        or _is_a_bare_message(event)
    ):
        return server_error(event)
    return None


def _says_failure(found: dict[str, Any], outer: str) -> bool:
    return outer != "header" or not _is_fine(found.get("code"))


def _by_its_code(event: dict[str, Any]) -> bool:
    """True for a code that is not fine, with words beside it (DashScope, Qianfan, Spark)."""
    coded = any(
        isinstance(event.get(name), str | int) and not _is_fine(event[name])
        for name in _CODES
        if name != "status" or isinstance(event.get(name), int)
    )
    return coded and any(isinstance(event.get(name), str) for name in _WORDS)


def _is_a_bare_message(event: dict[str, Any]) -> bool:
    """True for ``{"message": "…"}`` with nothing but ids beside it (AWS, Kong)."""
    words = [name for name in event if name in ("message", "Message", "errorMessage", "msg")]
    others = [name for name in event if name not in words and name not in _TYPES]
    return (
        len(words) == 1
        and isinstance(text := event[words[0]], str)
        and text.lower() not in _HEARTBEATS
        and all("id" in name.lower() or name in ("timestamp", "path") for name in others[:_MANY])
    )


# ------------------------------------------------------------------ its words


def server_error(error: Any, *, beside: Mapping[str, Any] | None = None) -> ServerError:
    """Return the words of what is known to be an error, an object or a text.

    beside: the event that holds it, which may say more: how long to wait, and what a
        gateway's short ``error`` means.
    """
    fields = error if isinstance(error, dict) else {"message": error, **_explained(error, beside)}
    first = _first_of(fields.get("errors")) or _first_of(fields.get("error")) or {}
    message = _words(fields)
    if not message and not (isinstance(error, str) or error is None):
        message = visible(json_start(_without_secrets(error)))
    code = _field(_CODES, fields, first, fields.get("detail"))
    return ServerError(
        message or NO_MESSAGE,
        _text_of(_field(_TYPES, fields, first, only=str)),
        _text_of(code),
        _wait(fields, beside or {}),
    )


def _explained(error: Any, beside: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what stands beside an error that is a text: a longer text, a code (Spring)."""
    if not isinstance(error, str) or beside is None or "choices" in beside:
        return {}
    more = {name: beside[name] for name in ("code", "status", "type") if name in beside}
    said = (
        beside.get(name) for name in ("message", "error_description", "detail", "msg", "reason")
    )
    text = next((text for text in said if isinstance(text, str) and text), None)
    return more if text is None else more | {"message": f"{error}: {text}"}


def _words(fields: dict[str, Any]) -> str:
    said = _said(fields, _DEEP)
    for name in _WRAPPED:
        wrapped = fields.get(name)
        if name == "metadata" and isinstance(wrapped, dict):
            wrapped = wrapped.get("raw") or wrapped.get("reasons") or wrapped.get("error")
        if name == "value" and not isinstance(wrapped, dict):
            continue  # of an error it may be anything; an object is Vercel's
        reason = _wrapped(wrapped) if wrapped else ""
        if reason and reason not in said and len(said) < EXCERPT:
            said = f"{said} ({reason})" if said else reason
    return visible(said[:EXCERPT])


def _said(value: Any, depth: int) -> str:
    """Return the words in an object, a list or a text, cut before they are joined."""
    if isinstance(value, str):
        return without_lone_surrogates(value[:EXCERPT])
    if isinstance(value, list) and depth:
        return "; ".join(_item(item, depth) for item in value[:_MANY])[:EXCERPT]
    if not isinstance(value, dict):
        return json_start(value)
    if depth:
        for name in _WORDS:
            inner = value.get(name)
            if inner not in (None, "", [], {}, False) and (said := _said(inner, depth - 1)):
                return said
    return ""


def _item(item: Any, depth: int) -> str:
    """Return "body.messages: Field required" of one FastAPI validation error, or any words."""
    said = _said(item, depth - 1) or json_start(item)
    where = item.get("loc") if isinstance(item, dict) else None
    if not isinstance(where, list):
        return said
    return ".".join(json_start(step) for step in where[:_MANY]) + ": " + said


def _wrapped(value: Any) -> str:
    """Return what a gateway passes on: a text, or an object's words, or its JSON."""
    return _said(value, _DEEP)[:EXCERPT] or json_start(value)


def _without_secrets(error: Any) -> Any:
    """Return an error without the server's handle of the conversation."""
    if isinstance(error, dict) and "conversation" in error:
        return {name: value for name, value in error.items() if name != "conversation"}
    return error


def _first_of(value: Any) -> dict[str, Any] | None:
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) else None


def _field(names: Iterable[str], *places: Any, only: type | None = None) -> Any:
    for place in places:
        for name in names if isinstance(place, dict) else ():
            value = place.get(name)
            if type(value) in ((only,) if only else (str, int)) and value != "":
                return value
    return None


def _text_of(value: str | int | None) -> str | None:
    return None if value is None else without_lone_surrogates(str(value)[:EXCERPT])


# ------------------------------------------------------------------ how long to wait


def _wait(*places: Mapping[str, Any]) -> float | None:
    """Return the seconds a body asks to wait: ``retry_after``, or Google's RetryInfo."""
    for place in places:
        inner = [place, place.get("error"), place.get("metadata"), place.get("parameters")]
        details = place.get("details")
        inner += details[:_MANY] if isinstance(details, list) else [details]
        for fields in inner:
            if not isinstance(fields, dict):
                continue
            for name in _WAITS:
                if (seconds := _seconds(fields.get(name))) is not None:
                    return seconds
            if (milliseconds := _seconds(fields.get("retry_after_ms"))) is not None:
                return milliseconds / 1000
    return None


def _seconds(value: Any) -> float | None:
    """Return a number, "12", "12.5s" (protobuf's Duration) or {"seconds", "nanos"} in seconds."""
    if isinstance(value, dict):
        whole, nanos = _seconds(value.get("seconds")), _seconds(value.get("nanos"))
        return None if whole is None and nanos is None else (whole or 0) + (nanos or 0) / 1e9
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value[:40].strip().removesuffix("s") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None
