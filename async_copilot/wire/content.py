"""A content or reasoning of any type in, its text out. No I/O.

Text is a str nearly always. A number is a token that became one on its way; lists and
objects are parts; Mistral, Gemini, LiteLLM and OpenRouter each have their own kinds.
What cannot be read as text raises MalformedDataError: skipped, it would be lost silently.
"""

from __future__ import annotations

import math
from typing import Any

from .objects import malformed
from .text import as_json, json_start

__all__ = ["REASONING", "read_content", "read_reasoning", "read_text"]

# Pieces of content in one event; a model's whole answer was never seen to have a hundred.
MAX_PARTS = 4096

# Where a part has its text.
_TEXTS = ("text", "value", "content", "summary")

_EXACT = 2.0**53  # from here on a float need not be the number that was written

# Parts of a message that are not text: they stay in the message. An unknown kind beside
# text stays there as well; alone it may be a text in an unknown form.
_NO_TEXT = frozenset(
    {
        *("image", "image_url", "input_image", "output_image", "audio", "audio_url"),
        *("input_audio", "output_audio", "video", "video_url", "input_video", "file"),
        *("input_file", "document", "resource", "reference", "citation", "source"),
        *("tool_use", "tool_call", "tool_result", "redacted_thinking", "refusal"),
    }
)


def read_content(content: Any) -> tuple[str, str]:
    """Return text and reasoning of a ``content`` that is not a str.

    A number is a token that became one; a list has parts (Mistral), an object is one part,
    or holds the parts (Gemini's own form).
    """
    if content is False:
        return "", ""
    if isinstance(content, bool):
        raise malformed(json_start(content), "an event whose content is not a text")
    if isinstance(content, float) and _EXACT <= abs(content) < math.inf:
        raise malformed(
            json_start(content), "an event whose content is a number of too many digits"
        )
    if isinstance(content, int | float):
        return as_json(content), ""
    if isinstance(content, dict) and isinstance(content.get("parts"), list):
        content = content["parts"]
    parts = content if isinstance(content, list) else [content]
    if len(parts) > MAX_PARTS:
        raise malformed("", f"an event of {len(parts):,} parts; {MAX_PARTS:,} are the most")
    texts: list[str] = []
    thoughts: list[str] = []
    unknown = False
    for part in parts:
        if isinstance(part, dict) and part:
            text, thought = _part(part)
            unknown = unknown or not (text or thought or _may_have_no_text(part))
            thoughts.append(thought)
        else:
            text = _plain_text(part)
            unknown = unknown or not (text or part in (None, "", False, {}))
        texts.append(text)
    text, thought = "".join(texts), "".join(thoughts)
    if unknown and not (text or thought):
        raise malformed(json_start(content), "an event whose content is not a text")
    return text, thought


def _part(part: dict[str, Any]) -> tuple[str, str]:
    """Return the text and the reasoning of a part."""
    thinking = part.get("thinking")
    if thinking:
        return "", read_text(thinking)
    text = _first_text(part, _TEXTS[:3])
    if part.get("type") in ("thinking", "reasoning") or part.get("thought") is True:
        return "", text or read_text(part.get("reasoning"))
    return text, ""


def _may_have_no_text(part: dict[str, Any]) -> bool:
    """True for a part of a kind that is not text, and for an empty one that is."""
    if part.get("type") in _NO_TEXT:
        return True
    return any(name in part for name in ("text", "thinking")) and not any(
        part.get(name) for name in ("text", "thinking")
    )


def read_text(value: Any) -> str:
    """Return the text of a text, a number, a part, or a list of these; "" for anything else."""
    if isinstance(value, dict):
        value = next((text for name in _TEXTS if (text := value.get(name))), None)
    if isinstance(value, list):
        if len(value) > MAX_PARTS:
            raise malformed("", f"an event of {len(value):,} parts; {MAX_PARTS:,} are the most")
        return "".join(_plain_text(_inner(part)) for part in value)
    return _plain_text(value)


def _inner(part: Any) -> Any:
    return (part.get("text") or part.get("summary")) if isinstance(part, dict) else part


def _plain_text(value: Any) -> str:
    """Return a text, or the text of a number; "" for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return as_json(value)


# Where servers put reasoning, the first that has some: g4f, OpenRouter, Ollama, Groq;
# DeepSeek, vLLM, LiteLLM, SGLang; GitHub Copilot; others. Then in parts: OpenRouter, LiteLLM.
_REASONING_TEXTS = ("reasoning", "reasoning_content", "reasoning_text", "thinking", "thought")
_REASONING_PARTS = ("reasoning_details", "thinking_blocks")
_THOUGHTS = ("text", "summary", "thinking")  # where such a part has its text
REASONING = frozenset((*_REASONING_TEXTS, *_REASONING_PARTS))


def read_reasoning(delta: dict[str, Any]) -> str:
    for name in _REASONING_TEXTS:
        value = delta.get(name)
        if value and not isinstance(value, bool) and (text := read_text(value)):
            return text
    for name in _REASONING_PARTS:
        parts = delta.get(name)
        if isinstance(parts, list) and len(parts) <= MAX_PARTS:
            thoughts = (_first_text(part, _THOUGHTS) for part in parts if isinstance(part, dict))
            text = "".join(thoughts)
            if text:
                return text
    return ""


def _first_text(part: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := read_text(part.get(name)))), "")
