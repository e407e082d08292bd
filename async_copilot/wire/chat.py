"""What one event of a chat-completions stream says: a JSON object in, ``ChatChunk`` out. No I/O.

Shapes from the OpenAI API reference ("The chat completion chunk object") and from what
g4f, LiteLLM, llama.cpp, vLLM, Ollama, OpenRouter, DeepSeek, Groq, Mistral, Azure and
Gemini's compatible endpoint are documented or were measured to send. Reading is tolerant:
an odd type is read where its meaning is plain. Text that cannot be read raises
MalformedDataError, since skipped text would be lost silently; everything else
of an odd type counts as absent, and stays in ``raw``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

from .content import REASONING, read_content, read_reasoning, read_text
from .objects import malformed
from .text import as_json, json_start

__all__ = [
    "ChatChunk",
    "ToolCallDelta",
    "delta_of",
    "read_chunks",
    "says_something",
    "tool_call_deltas",
]

T = TypeVar("T")

# A request's n is at most 128 (OpenAI). One event of 8 MiB could hold three million choices.
MAX_CHOICES = 128
# A tool list has at most 128 functions (OpenAI); a model may call each of them twice.
MAX_CALLS = 256


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call.

    index: the call's place as the server numbers it, None where it does not.
    arguments: a piece of JSON text, to be joined with the others of the same call.
    extra_content: what else the server wants back with the call (Gemini's signatures).
    raw: the piece as decoded, known fields and unknown.
    """

    index: int | None = None
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    type: str | None = None
    extra_content: dict[str, Any] | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def _read_only(cls: type[T]) -> type[T]:
    """Make a dataclass that type checkers take for frozen.

    At run time it is not: a stream is made of chunks, and filling a frozen one, with a call
    of object.__setattr__ for each field, takes six times as long (2.1 µs against 0.37).
    """
    return dataclass(slots=True)(cls)


@_read_only
class ChatChunk:
    """What one event says about one choice; absent text is "", all else absent is None.

    content, reasoning, refusal: new pieces of text; repeated ones are left out.
    index: the choice, 0 for the first; chunks about no choice (usage alone) have 0 too.
        With one choice asked for it is 0, whatever index the server gives it.
    usage: the server's own object, token counts in it.
    raw: the whole event as decoded, shared by the chunks made from it.
    choice: the part of raw that this chunk is made from, known fields and unknown.
    at: of content that came in parts, the characters of this choice's text before it.
    whole: the event repeats, as a whole message, what the deltas before it said.
    plain: every field but the text had been told before, with the same value.
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
    choice: dict[str, Any] = field(default_factory=dict, repr=False)
    at: int = field(default=0, compare=False)
    whole: bool = False
    plain: bool = field(default=False, compare=False)

    @property
    def logprobs(self) -> dict[str, Any] | None:
        """The log probabilities of this piece, as the server gives them."""
        found = self.choice.get("logprobs")
        return found if isinstance(found, dict) else None


def read_chunks(event: dict[str, Any], *, several: bool = False) -> list[ChatChunk]:
    """Return what an event says, a ChatChunk for each of its choices.

    several: the index of a choice says which one it is. Otherwise the one choice of an
        event is choice 0: servers count it up, begin at 1, or send -1.

    An event without a choice gives one chunk that holds the rest (usage, ids).
    ``message`` in place of ``delta`` is read too: a completion that was not streamed.
    Raises MalformedDataError for text of a type that cannot be read as text, and for more
    choices, calls or parts than a bound allows.
    """
    choices = event.get("choices")
    if type(choices) is list and len(choices) == 1 and type(choices[0]) is dict:
        choice = choices[0]
        return [_read_choice(event, choice, _index(choice, 0) if several else 0)]
    found = _choices(choices)
    if not found:
        return [_read_choice(event, {}, 0)]
    indexes = [_index(choice, position) for position, choice in found]
    if not several and (len(found) == 1 or 0 not in indexes):
        indexes = list(range(len(found)))
    return [
        _read_choice(event, choice, index)
        for index, (_, choice) in zip(indexes, found, strict=True)
    ]


_CHOICE_NAMES = frozenset({"delta", "message", "text", "content", "finish_reason", "index"})


def _choices(choices: Any) -> list[tuple[int, dict[str, Any]]]:
    """Return the choices and their places: of a list, or of an object that stands for one."""
    if isinstance(choices, Mapping):
        choices = list(choices.values()) if _CHOICE_NAMES.isdisjoint(choices) else [choices]
    if not choices:
        return []
    if not isinstance(choices, list):
        raise malformed(
            json_start(choices), "an event whose choices are neither a list nor an object"
        )
    if len(choices) > MAX_CHOICES:
        raise malformed("", f"an event of {len(choices):,} choices; {MAX_CHOICES} is the most")
    found = [pair for pair in enumerate(choices) if isinstance(pair[1], dict)]
    if not found and any(choice is not None for choice in choices):
        raise malformed(json_start(choices), "an event whose choices are not objects")
    return found


def _index(choice: dict[str, Any], position: int) -> int:
    index = choice.get("index")
    if type(index) is int:
        return index
    if isinstance(index, float) and math.isfinite(index):
        return int(index)
    if isinstance(index, str) and len(index) < 10 and index.isdecimal():
        return int(index)
    return position


def _read_choice(event: dict[str, Any], choice: dict[str, Any], index: int) -> ChatChunk:
    delta = choice.get("delta")
    if type(delta) is not dict or "message" in choice or "text" in choice or "text" in delta:
        delta, _ = delta_of(choice)
    get = delta.get
    content, reasoning = get("content"), ""
    if content is None:
        content = ""
    elif type(content) is not str:
        content, reasoning = read_content(content)
    if not REASONING.isdisjoint(delta):
        reasoning = reasoning or read_reasoning(delta)
    refusal, finish_reason = get("refusal"), choice.get("finish_reason")
    model, provider, id_ = event.get("model"), event.get("provider"), event.get("id")
    return ChatChunk(  # by place, since this is on the way of many chunks
        content,
        reasoning,
        "" if refusal is None else read_text(refusal),
        tool_call_deltas(delta) if get("tool_calls") or "function_call" in delta else (),
        None if finish_reason is None else _finish(finish_reason),
        index,
        _usage(event, choice),
        model if model and type(model) is str else None,
        provider if provider and type(provider) is str else None,
        id_ if id_ and type(id_) is str else None,
        event,
        choice,
    )


def delta_of(choice: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return what a choice says, and True where that is a whole message.

    A message counts where no delta, or an empty one, stands beside it: some servers
    send both, the delta with the piece and the message with everything so far. A ``text``,
    in the delta or beside it, is the content where there is no other.
    """
    delta = choice.get("delta")
    plainly = "message" not in choice and "text" not in choice
    if plainly and type(delta) is dict and "text" not in delta:
        return delta, False  # nearly always
    message = choice.get("message")
    if isinstance(delta, dict) and (not message or says_something(delta)):
        if "text" in delta or "text" in choice:
            delta = _with_text(delta, choice)
        return delta, False
    if isinstance(message, dict):
        return message, True
    if isinstance(delta, dict) and not isinstance(message, str):
        return delta, False
    for found in (delta, message, choice.get("text"), choice.get("content")):
        if found not in (None, "", {}):
            return {"content": found}, False
    return {}, False


def _with_text(delta: dict[str, Any], choice: dict[str, Any]) -> dict[str, Any]:
    text = delta.get("text") or choice.get("text")
    if delta.get("content") or not isinstance(text, str) or not text:
        return delta
    return {name: value for name, value in delta.items() if name != "text"} | {"content": text}


def says_something(delta: dict[str, Any]) -> bool:
    """True for a delta, or a message, that holds more than a role."""
    for name, value in delta.items():  # noqa: SIM110  # any() takes three times as long
        if value and name != "role":
            return True
    return False


def _finish(reason: Any) -> str | None:
    """Return a finish reason; "null" in quotes, and nothing, are none."""
    if type(reason) is dict:
        reason = reason.get("type") or reason.get("reason")
    if type(reason) is not str:
        if not reason or isinstance(reason, bool) or not isinstance(reason, str | int):
            return None
        reason = str(reason)
    return None if reason.strip().lower() in _NO_REASON else reason


_NO_REASON = frozenset({"", "null", "none", "nil", "undefined"})


# ------------------------------------------------------------------ tool calls


def tool_call_deltas(delta: dict[str, Any]) -> tuple[ToolCallDelta, ...]:
    """Return the tool calls of a delta or message, its older ``function_call`` too."""
    calls = delta.get("tool_calls")
    if isinstance(calls, dict):
        calls = [calls] if any(name in calls for name in _CALL_NAMES) else list(calls.values())
    if not calls:
        legacy = delta.get("function_call")
        if not isinstance(legacy, dict) or not legacy:
            return ()
        return (_tool_call({"index": 0, "function": legacy, "function_call": legacy}),)
    if isinstance(calls, list) and len(calls) > MAX_CALLS:
        raise malformed("", f"an event of {len(calls):,} tool calls; {MAX_CALLS} are the most")
    found = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    if not found and not (isinstance(calls, list) and not any(calls)):
        raise malformed(json_start(calls), "an event whose tool_calls are not objects")
    return tuple(_tool_call(call) for call in found)


_CALL_NAMES = ("function", "name", "arguments", "id", "custom")


def _tool_call(call: dict[str, Any]) -> ToolCallDelta:
    function = call.get("function")
    if isinstance(function, str):
        function = {"name": function, "arguments": call.get("arguments")}
    if not isinstance(function, dict):
        function = call.get("custom")
    if not isinstance(function, dict):
        function = call  # a flat call: name and arguments beside the id
    arguments = function.get("arguments")
    if arguments is None:  # "input" of a custom tool, and of Anthropic's
        arguments = function.get("input", function.get("parameters"))
    extra = call.get("extra_content")
    id_, name, type_ = call.get("id"), function.get("name"), call.get("type")
    return ToolCallDelta(
        _call_index(call.get("index")),
        str(id_) if id_ and isinstance(id_, str | int) and id_ is not True else None,
        name if name and isinstance(name, str) else None,
        "" if arguments is None else as_json(arguments),
        type_ if type_ and isinstance(type_, str) else None,
        extra if isinstance(extra, dict) else None,
        call,
    )


def _call_index(index: Any) -> int | None:
    if type(index) is int:
        return index
    if isinstance(index, str) and len(index) < 10 and index.isdecimal():
        return int(index)
    return None


# ------------------------------------------------------------------ usage


def _usage(event: dict[str, Any], choice: dict[str, Any]) -> dict[str, Any] | None:
    """Return usage from its place, from Groq's ``x_groq``, or from the choice (Kimi)."""
    usage = event.get("usage")
    if "x_groq" in event or "usage" in choice:
        groq = event.get("x_groq")
        elsewhere = (isinstance(groq, dict) and groq.get("usage"), choice.get("usage"))
        if not _counts(usage):
            usage = next(filter(_counts, elsewhere), usage)
    return usage if usage and isinstance(usage, dict) else None


def _counts(usage: Any) -> bool:
    return isinstance(usage, dict) and any(usage.values())
