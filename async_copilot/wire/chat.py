"""The chat-completions wire form: messages to a request body, data to ``ChatChunk``. No I/O.

Shapes from the OpenAI API reference ("Create chat completion", "The chat completion
chunk object") and from what g4f, LiteLLM, llama.cpp, vLLM, Ollama, OpenRouter,
DeepSeek, Groq, Mistral, Azure and Gemini's compatible endpoint are documented or were
measured to send. Reading is tolerant: a field of an odd type counts as absent, and
only data that is no JSON object at all is an error (MalformedDataError).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from ..errors import Hint, InvalidRequestError, MalformedDataError
from .handle import Handle
from .sse import Bytes
from .text import visible

__all__ = [
    "NO_MESSAGE",
    "ChatChunk",
    "Messages",
    "ServerError",
    "ToolCallDelta",
    "read_chunks",
    "read_error",
    "read_object",
    "request_body",
    "request_messages",
    "server_error",
    "without_lone_surrogates",
]

Messages: TypeAlias = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""A user's text, one message, or the whole list, in the wire's own form."""

NO_MESSAGE = "(it gave no message)"

_EXCERPT = 300  # characters of a server's text that a message or an attribute quotes


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call.

    index: the call's place as the server numbers it, None where it does not.
    arguments: a piece of JSON text, to be joined with the others of the same call.
    extra_content: what else the server wants back with the call (Gemini's signatures).
    """

    index: int | None = None
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    type: str | None = None
    extra_content: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ChatChunk:
    """What one event says about one choice; absent text is "", all else absent is None.

    content, reasoning, refusal: pieces of text.
    index: the choice, 0 for the first; chunks about no choice (usage alone) have 0 too.
    usage: the server's own object, token counts in it.
    raw: the whole event as decoded, shared by the chunks made from it.
    """

    content: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: str | None = None
    index: int = 0
    usage: dict[str, Any] | None = None
    model: str | None = None
    provider: str | None = None
    id: str | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class _Draft:
    """A ChatChunk before it is frozen: the same slots, in the same order."""

    content: str
    reasoning: str
    refusal: str
    tool_calls: tuple[ToolCallDelta, ...]
    finish_reason: str | None
    index: int
    usage: dict[str, Any] | None
    model: str | None
    provider: str | None
    id: str | None
    raw: dict[str, Any]


def _frozen(draft: Any) -> ChatChunk:
    """Return a draft as the ChatChunk it is, at a tenth of what ChatChunk(...) costs.

    A frozen dataclass fills its fields with object.__setattr__, a call each; filling the
    same slots of a class that is not frozen, and then changing the class, does without.
    """
    draft.__class__ = ChatChunk
    return draft  # type: ignore[no-any-return]  # it is one now


# ------------------------------------------------------------------ the request


def request_messages(messages: Messages) -> list[dict[str, Any]]:
    """Return the list the wire wants; a str is one user message."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    if isinstance(messages, Mapping):
        messages = [messages]
    if not isinstance(messages, Iterable) or isinstance(messages, bytes):
        raise InvalidRequestError(
            f"messages is a {type(messages).__name__}",
            hint=Hint(
                "give a str, one message as a dict, or a list of such: "
                '[{"role": "user", "content": "Hello"}]'
            ),
        )
    listed = list(messages)
    for message in listed:
        if not isinstance(message, Mapping):
            raise InvalidRequestError(
                f"a message is a {type(message).__name__}",
                hint=Hint('each one is a dict such as {"role": "user", "content": "Hello"}'),
            )
    return [dict(message) for message in listed]


def request_body(messages: Messages, *, stream: bool, **fields: Any) -> bytes:
    """Return the JSON body; fields that are None are left out.

    Lone surrogates in a prompt become U+FFFD, since no server accepts them. Raises
    InvalidRequestError for what JSON cannot carry.
    """
    handle = fields.get("conversation")
    if isinstance(handle, Handle):
        body = request_body(messages, stream=stream, **fields | {"conversation": None})
        raw = without_lone_surrogates(handle.raw).encode()
        return b'%b,"conversation":%b}' % (body[:-1], raw)
    given: dict[str, Any] = {"messages": request_messages(messages), "stream": stream}
    given |= {name: value for name, value in fields.items() if value is not None}
    try:
        written = orjson.dumps(given)
    except TypeError:  # a lone surrogate, a large integer, or no JSON at all
        return _slow_dumps(given)
    if b"null" in written:
        _refuse_odd_numbers(given)
    return bytes(memoryview(written))  # orjson's own keeps up to ten times the room


def _refuse_odd_numbers(body: dict[str, Any]) -> None:
    """Raise for NaN and infinity, which orjson writes as null."""
    for name, value in body.items():
        try:
            json.dumps(value, allow_nan=False, default=str)
        except ValueError as error:
            raise InvalidRequestError(
                f"{name} holds a number that JSON does not have: {error}"
            ) from error


def _slow_dumps(body: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequestError(f"the request cannot be written as JSON: {error}") from error
    return without_lone_surrogates(text).encode()


# ------------------------------------------------------------------ the answer


def read_object(data: Bytes | str) -> dict[str, Any]:
    """Decode one JSON object, as leniently as it can be done without guessing.

    orjson refuses NaN, raw control characters, lone surrogates and invalid UTF-8, all
    of which were seen on the wire; the standard library reads them, at a tenth of the
    speed. Lone surrogates stay in the strings. Raises MalformedDataError.
    """
    try:
        value = orjson.loads(data)
    except ValueError:
        value = _slow_loads(data)
    if not isinstance(value, dict):
        raise _malformed(data, f"a JSON {type(value).__name__}, not an object")
    return value


def _slow_loads(data: Bytes | str) -> Any:
    text = data if isinstance(data, str) else data.decode(errors="replace")
    try:
        return json.loads(text.removeprefix("\ufeff"), strict=False)
    except (ValueError, RecursionError) as error:
        raise _malformed(data, f"not JSON ({error})") from error


def _malformed(data: Bytes | str, why: str) -> MalformedDataError:
    text = data if isinstance(data, str) else data[: 4 * _EXCERPT].decode(errors="replace")
    return MalformedDataError(
        f"a data line of the stream is {why}: {text[:80]!r}",
        hint=Hint("{option} skips and counts such lines", "strict=False"),
        body=text[:_EXCERPT],
    )


def read_chunks(event: dict[str, Any]) -> list[ChatChunk]:
    """Return what an event says, a ChatChunk for each of its choices.

    An event without a choice gives one chunk that holds the rest (usage, ids).
    ``message`` in place of ``delta`` is read too: a completion that was not streamed.
    """
    usage = event.get("usage")
    if usage is not None or "x_groq" in event:
        usage = _usage(event)
    model, provider, id_ = event.get("model"), event.get("provider"), event.get("id")
    about = (
        usage,
        model if model and type(model) is str else None,
        provider if provider and type(provider) is str else None,
        id_ if id_ and type(id_) is str else None,
        event,
    )
    choices = event.get("choices")
    if type(choices) is list and len(choices) == 1 and type(choices[0]) is dict:
        return [_read_choice(choices[0], 0, *about)]
    chunks = [
        _read_choice(choice, position, *about)
        for position, choice in enumerate(choices if isinstance(choices, list) else ())
        if isinstance(choice, dict)
    ]
    return chunks or [_frozen(_Draft("", "", "", (), None, 0, *about))]


def _read_choice(  # noqa: PLR0917  # by place, since this is on the way of every chunk
    choice: dict[str, Any],
    position: int,
    usage: dict[str, Any] | None,
    model: str | None,
    provider: str | None,
    id_: str | None,
    event: dict[str, Any],
) -> ChatChunk:
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        delta = choice.get("message")
    if not isinstance(delta, dict):
        delta = {"content": choice.get("text")}
    get = delta.get
    content, reasoning = get("content") or "", ""
    if type(content) is not str:
        content, reasoning = _content(content)
    if get("reasoning") or get("reasoning_content") or get("reasoning_details"):
        reasoning = reasoning or _reasoning(delta)
    refusal, finish_reason = get("refusal"), choice.get("finish_reason")
    index = choice.get("index")
    if type(index) is not int:
        index = int(index) if isinstance(index, float) and math.isfinite(index) else position
    return _frozen(
        _Draft(
            content,
            reasoning,
            refusal if type(refusal) is str else "",
            _tool_calls(delta) if get("tool_calls") or "function_call" in delta else (),
            finish_reason if finish_reason and type(finish_reason) is str else None,
            index,
            usage,
            model,
            provider,
            id_,
            event,
        )
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _content(content: Any) -> tuple[str, str]:
    """Return text and reasoning of a ``content``: a str, or a list of parts (Mistral)."""
    thoughts = [part.get("thinking") for part in _parts(content)]
    return _joined(content), "".join(_joined(thinking) for thinking in thoughts)


def _joined(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(_text(part.get("text")) for part in _parts(content))


def _parts(content: Any) -> list[dict[str, Any]]:
    """Return the parts of a list; a str among them is a text."""
    parts = content if isinstance(content, list) else []
    named = ({"text": part} if isinstance(part, str) else part for part in parts)
    return [part for part in named if isinstance(part, dict)]


def _reasoning(delta: dict[str, Any]) -> str:
    """Return the reasoning: g4f, OpenRouter, Ollama; DeepSeek, vLLM, LiteLLM; details."""
    text = _text(delta.get("reasoning")) or _text(delta.get("reasoning_content"))
    details = delta.get("reasoning_details")
    if text or not isinstance(details, list):
        return text
    parts = [detail for detail in details if isinstance(detail, dict)]
    return "".join(_text(part.get("text")) or _text(part.get("summary")) for part in parts)


def _tool_calls(delta: dict[str, Any]) -> tuple[ToolCallDelta, ...]:
    calls = delta.get("tool_calls")
    if isinstance(calls, dict):
        calls = [calls]
    if not isinstance(calls, list):
        legacy = delta.get("function_call")
        calls = [{"index": 0, "function": legacy}] if isinstance(legacy, dict) else []
    return tuple(_tool_call(call) for call in calls if isinstance(call, dict))


def _tool_call(call: dict[str, Any]) -> ToolCallDelta:
    function = call.get("function")
    if not isinstance(function, dict):
        function = call  # a flat call: name and arguments beside the id
    arguments = function.get("arguments")
    if arguments is not None and not isinstance(arguments, str):
        arguments = _as_text(arguments)
    index = call.get("index")
    return ToolCallDelta(
        index=index if type(index) is int else None,
        id=_text(call.get("id")) or None,
        name=_text(function.get("name")) or None,
        arguments=arguments or "",
        type=_text(call.get("type")) or None,
        extra_content=extra if isinstance(extra := call.get("extra_content"), dict) else None,
    )


def _usage(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return usage from its place, or from Groq's ``x_groq``."""
    usage = event.get("usage")
    if not usage and isinstance(groq := event.get("x_groq"), dict):
        usage = groq.get("usage")
    return usage if isinstance(usage, dict) and usage else None


# ------------------------------------------------------------------ errors in either


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error in the server's own words; type and code as text, None where not given."""

    message: str
    type: str | None = None
    code: str | None = None


def read_error(event: dict[str, Any], *, named_error: bool = False) -> ServerError | None:
    """Return the error that an event, or the body of an error status, stands for, or None.

    ``{"error": …}`` in any shape, in Groq's ``x_groq`` too; without choices,
    ``{"object": "error", …}`` (vLLM before 0.9), ``{"type": "error", …}`` and
    ``{"detail": …}`` (FastAPI); and anything at all in an event that is named "error".
    """
    error = event.get("error")
    if error is None and isinstance(groq := event.get("x_groq"), dict):
        error = groq.get("error")
    if error in (None, False, ""):
        if named_error:
            error = event
        elif "choices" in event:
            return None
        elif "error" in (event.get("object"), event.get("type")):
            error = event
        elif "detail" in event:
            error = {"message": event["detail"]}
        else:
            return None
    return server_error(error)


def server_error(error: Any) -> ServerError:
    """Return the words of what is known to be an error, an object or a text."""
    fields = error if isinstance(error, dict) else {"message": error}
    code = fields.get("code")
    return ServerError(
        _error_text(fields)[:_EXCERPT] or NO_MESSAGE,
        without_lone_surrogates(_text(fields.get("type")))[:_EXCERPT] or None,
        without_lone_surrogates(str(code))[:_EXCERPT] if type(code) in (str, int) else None,
    )


def _error_text(fields: dict[str, Any]) -> str:
    for name in ("message", "detail", "msg", "error"):
        value = fields.get(name)
        if isinstance(value, list):
            value = "; ".join(_validation_text(item) for item in value)
        elif isinstance(value, dict) and value.get("message"):
            value = value["message"]
        if value not in (None, ""):
            return visible(_as_text(value))
    return ""


def _validation_text(item: Any) -> str:
    """Return "body.messages: Field required" of one FastAPI validation error."""
    if not isinstance(item, dict):
        return _as_text(item)
    where = item.get("loc")
    path = ".".join(_as_text(step) for step in where) if isinstance(where, list) else ""
    text = _as_text(item.get("msg") or item.get("message") or item)
    return f"{path}: {text}" if path else text


def _as_text(value: Any) -> str:
    """Return a str as it is, anything else as JSON."""
    if not isinstance(value, str):
        try:
            value = json.dumps(value, ensure_ascii=False)
        except RecursionError:
            return "(nested too deeply to show)"
    return without_lone_surrogates(value)


def without_lone_surrogates(text: str) -> str:
    """Join surrogate halves that meet; replace those that do not by U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
