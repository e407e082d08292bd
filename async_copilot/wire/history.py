"""What a turn leaves in a history, and what of a history its server takes back. No I/O.

A server takes a history only where it is in order: no answer without content (Anthropic's
API: nor one of blanks), tool calls with one result each right after them, results that name
a call, arguments that are a JSON object (OpenAI, Anthropic's and vLLM's compatible APIs
answer 400 to anything else). And it takes only names it knows: Groq and Mistral answer 400
to another vendor's field.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from .copies import copied

__all__ = [
    "Echo",
    "Message",
    "counted",
    "exchanges",
    "in_order",
    "newest",
    "remembered_message",
    "without_media",
]

Message: TypeAlias = dict[str, Any]

Echo: TypeAlias = Literal["tools", "always", "never"]
"""When a server gets its reasoning back: with tool calls, with every answer, or never."""

# What of an answer goes back in any case; "name" is of messages that a caller makes.
_PLAIN = ("role", "content", "refusal", "tool_calls", "function_call")

# Reasoning, under the names that servers give it and want it back under: DeepSeek's, vLLM's
# and Moonshot's reasoning_content, OpenRouter's and Groq's reasoning and reasoning_details,
# GitHub's reasoning_opaque and reasoning_text, LiteLLM's thinking_blocks and
# provider_specific_fields, Gemini's extra_content and thought_signature.
_REASONING = re.compile(
    r".*(reasoning|thinking|thought|signature).*|extra_content|provider_specific_fields"
)

# Stands for calls that never got their results, after the results of earlier ones: Mistral
# refuses a user's message right after a tool's.
_UNANSWERED = "…"

_DATA_URI = r"data:[\w.+/-]+(?:;[\w.=+-]+)*;base64,[A-Za-z0-9+/=_\s-]*+"
_MEDIA = re.compile(
    rf"!\[(?P<alt>[^\]]{{0,200}})\]\({_DATA_URI}\)"
    rf"|<(?P<kind>audio|video|img|source)\b[^<>]{{0,300}}?{_DATA_URI}[^<>]{{0,300}}>"
    r"(?:\s{0,9}</(?:audio|video)>)?"
    rf"|{_DATA_URI}"
)


def counted(number: int, what: str, more: str = "") -> str:
    """Return "1 tool call", "2 tool calls", and what is to be said of them."""
    return " ".join(filter(None, [str(number), what + "s" * (number != 1), more]))


# ------------------------------------------------------------------ an answer


def remembered_message(
    message: Message, *, echo: Echo, finish_reason: str | None, whole: bool
) -> tuple[Message | None, list[str]]:
    """Return an answer's message as the history keeps it, and in words what that leaves out.

    message: as the reply has it, complete.
    whole: False for an answer that broke or was left; it keeps its text alone.
    None where nothing is left: a turn of nothing, which no server takes back.
    """
    told: list[str] = []
    kept: Message = {"role": "assistant", "content": _text_of(message, told)}
    if message.get("refusal"):
        kept["refusal"] = message["refusal"]
    given = message.get("tool_calls") or []
    calls = [_call(call, told) for call in given if whole and _goes_back(call, finish_reason)]
    if calls:
        kept["tool_calls"] = calls
    if whole and message.get("function_call"):
        kept["function_call"] = message["function_call"]  # the form before tool_calls
    if len(calls) < len(given):
        told.append(counted(len(given) - len(calls), "unfinished tool call"))
    if not (kept["content"] or kept.keys() & {"tool_calls", "function_call", "refusal"}):
        told.append(_nothing(message, finish_reason))
        return None, told
    if whole and (echo == "always" or (echo == "tools" and calls)):
        kept |= {name: value for name, value in message.items() if _is_reasoning(name, value)}
        if isinstance(message["content"], list):
            kept["content"] = message["content"]  # thinking parts, with their signatures
    return _writable(kept, told), told


def _goes_back(call: Mapping[str, Any], finish_reason: str | None) -> bool:
    """True for a call with a name whose arguments were not cut by the limit of tokens.

    Where an answer was cut, missing arguments (none, or ``{}``) count as cut.
    """
    function = call.get("function") or {}
    if finish_reason not in ("length", "content_filter"):
        return bool(function.get("name")) or "function" not in call
    try:
        return bool(json.loads(function.get("arguments") or "null"))
    except (ValueError, TypeError, RecursionError):
        return False


def _call(call: Mapping[str, Any], told: list[str]) -> Message:
    """Return a call with arguments that are a JSON object: others, or none, are an empty one.

    Most servers read them as JSON again, and refuse each later request where that fails,
    those that wrote them too.
    """
    function = call.get("function")
    if not isinstance(function, Mapping) or _is_object(function.get("arguments")):
        return dict(call)
    if (function.get("arguments") or "null") != "null":
        told.append(f"the arguments of {function.get('name')!r:.80}, which are not a JSON object")
    return {**call, "function": {**function, "arguments": "{}"}}


def _is_object(arguments: Any) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, TypeError, RecursionError):
        return False


def _is_reasoning(name: str, value: Any) -> bool:
    # An empty text goes back too: a server that demands the field takes no message without it.
    return name not in _PLAIN and value not in (None, [], {}) and bool(_REASONING.match(name))


def _text_of(message: Message, told: list[str]) -> str | None:
    """Return the text of an answer without its media, which no server takes back in one."""
    content, audio, images = (message.get(name) for name in ("content", "audio", "images"))
    media = [image for image in images if image] if isinstance(images, list) else []
    if isinstance(content, str):
        content, found = without_media(content)
        media += found
    elif isinstance(content, list):
        content, others = _text_parts(content)
        told += [f"{others} of the answer's parts that are not text"] * bool(others)
    if isinstance(audio, Mapping) and audio:
        media.append(audio)
        content = content or audio.get("transcript")
    told += [f"{len(media)} of the answer's images or sounds"] * bool(media)
    return content if isinstance(content, str) and content.strip() else None


def _text_parts(parts: list[Any]) -> tuple[str, int]:
    """Return the text of a content in parts (Mistral's), and how many parts are neither
    text nor reasoning: no server takes an image back in an answer.
    """
    parts = [part if isinstance(part, dict) else {"text": part} for part in parts]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    thoughts = sum(any(map(_REASONING.match, part)) for part in parts if "text" not in part)
    return "".join(texts), len(parts) - len(texts) - thoughts


def _nothing(message: Message, finish_reason: str | None) -> str:
    what = "reasoning and no answer" if any(map(_REASONING.match, message)) else "no answer"
    why = f" (finish_reason {finish_reason!r})" if finish_reason not in (None, "stop") else ""
    return f"the turn: {what}{why}"


def _writable(message: Message, told: list[str]) -> Message:
    """Return the message without fields that JSON cannot carry, such as a NaN among them."""
    kept = {}
    for name, value in message.items():
        try:
            json.dumps(value, allow_nan=False)
        except (ValueError, TypeError, RecursionError):
            told.append(f"{name}, which JSON cannot carry")
        else:
            kept[name] = copied(value)
    return kept


def without_media(text: str) -> tuple[str, list[str]]:
    """Return text with images and sounds in data URIs replaced by a word, and those words.

    g4f puts media into the text: ``![alt](data:…)``, ``<audio src="data:…">``. Sent back
    they would be megabytes that no model can read.
    """
    found: list[str] = []

    def word(media: re.Match[str]) -> str:
        kind = media["kind"] or ("image" if media["alt"] is not None else "media")
        alt = f": {media['alt']}" if media["alt"] else ""
        found.append(f"[{'image' if kind == 'img' else kind}{alt}]")
        return found[-1]

    return (_MEDIA.sub(word, text), found) if "data:" in text else (text, found)


# ------------------------------------------------------------------ a history


def in_order(messages: Iterable[Message], *, echo: Echo) -> tuple[list[Message], list[str]]:
    """Return messages in which each tool call has its result, and each result its call.

    And in words what that leaves out: the calls of a turn whose results never arrived,
    results whose call is not there, answers without content.
    """
    kept: list[Message] = []
    calls = results = empty = 0
    waiting: list[Message] = []  # a message with tool calls, and the results after it
    for message in [*_results_first(messages), {"role": "end"}]:
        if waiting and message.get("role") == "tool":
            waiting.append(message)
            continue
        pair, unanswered, uncalled = _paired(waiting, echo)
        kept += pair
        role = message.get("role")
        after_results = bool(kept) and kept[-1].get("role") == "tool"
        if after_results and unanswered and not pair and role != "assistant":
            kept.append({"role": "assistant", "content": _UNANSWERED})
        calls, results = calls + unanswered, results + uncalled
        waiting = [message] if message.get("tool_calls") else []
        if role == "tool":
            results += 1
        elif not waiting and _says_nothing(message):
            empty += 1
        elif not waiting:
            kept.append(message)
    told = [counted(calls, "tool call", "without a result")] * bool(calls)
    told += [counted(results, "tool result", "without a call")] * bool(results)
    told += [counted(empty, "answer", "without content")] * bool(empty)
    return kept[:-1], told


def _results_first(messages: Iterable[Message]) -> list[Message]:
    """Return messages with the results of tool calls right after these."""
    ordered: list[Message] = []
    place: int | None = None
    for message in messages:
        if message.get("role") == "tool" and place is not None:
            ordered.insert(place, message)
            place += 1
            continue
        ordered.append(message)
        if message.get("tool_calls"):
            place = len(ordered)
        elif message.get("role") == "assistant":
            place = None
    return ordered


def _says_nothing(message: Message) -> bool:
    if message.get("role") != "assistant":
        return False
    said = (message.get(name) for name in _PLAIN if name != "role")
    return not any(value.strip() if isinstance(value, str) else value for value in said)


def _paired(waiting: list[Message], echo: Echo) -> tuple[list[Message], int, int]:
    """Return the calls that have results, with them; how many calls and results are left."""
    if not waiting:
        return [], 0, 0
    asked, results = waiting[0], waiting[1:]
    open_calls = Counter(call.get("id") for call in asked["tool_calls"])
    answers: list[Message] = []
    for result in reversed(results):  # of two results of one call the later one counts
        if open_calls[result.get("tool_call_id")]:
            open_calls[result.get("tool_call_id")] -= 1
            answers.insert(0, result)
    ids = {result.get("tool_call_id") for result in answers}
    calls = [call for call in asked["tool_calls"] if call.get("id") in ids]
    left = len(asked["tool_calls"]) - len(calls), len(results) - len(answers)
    if calls:
        return [{**asked, "tool_calls": calls} if left[0] else asked, *answers], *left
    alone = {
        name: value
        for name, value in asked.items()
        if name != "tool_calls" and (echo == "always" or not _is_reasoning(name, value))
    }
    return [alone] if alone.get("content") or alone.get("refusal") else [], *left


def exchanges(messages: Sequence[Message]) -> list[list[Message]]:
    """Return the messages in exchanges: what was asked, tool calls and results, the answer."""
    parts: list[list[Message]] = []
    before = "assistant"
    for message in messages:
        role = message.get("role")
        if role not in ("assistant", "tool") and before in ("assistant", "tool"):
            parts.append([])
        if not parts:
            parts.append([])
        parts[-1].append(message)
        before = str(role)
    return parts


def newest(messages: Sequence[Message], most: int) -> list[Message]:
    """Return at most so many messages, the newest, in whole exchanges."""
    kept: list[Message] = []
    for exchange in reversed(exchanges(messages)):
        if len(kept) + len(exchange) > most:
            break
        kept = [*exchange, *kept]
    return kept
