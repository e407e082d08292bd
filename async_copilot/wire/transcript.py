"""A history in, the one user message that tells it to a server out. No I/O.

g4f turns messages into a prompt in this form too (``format_prompt``: ``User: …``, then
``Assistant: …``), so that every provider behind it gets what it gets from others. A line of
somebody's text that looks like that is indented, so that nobody can put words into another's
mouth.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from .copies import copied
from .history import Message, exchanges, without_media

__all__ = ["TRANSCRIPT_CHARS", "with_transcript"]

# A page of text is 3,000: so much fits the context of every model that g4f has, with room for
# the answer, and a browser's prompt field. Older releases cut at 10,000 and say nothing.
TRANSCRIPT_CHARS = 48_000

_CUT = " […] "

# A line in somebody's text that looks like the beginning of another message.
_SPEAKER = re.compile(r"\n(?=(?:user|assistant|system|developer|tool|function):)", re.IGNORECASE)


def with_transcript(
    message: Message, history: Sequence[Message], *, system: str | None, limit: int
) -> tuple[Message, list[str]]:
    """Return a user message that begins with the system prompt and the history, as text.

    limit: characters of both together; the oldest exchanges go first. The newest one is
        shortened where it alone is longer, and the system prompt stays whole.

    Returns also in words what was left out: exchanges, and what is not text.
    """
    told: list[str] = []
    parts: list[str] = []
    room = limit - len(system or "")
    lines: list[str] = []
    left = exchanges(history)
    while left:
        written, media = _written(left[-1])
        if not lines and len(written) > room > 0:
            written = _shortened(left[-1], room)
            told.append("parts of the last turn, which is too long")
        elif len(written) > room:
            break
        lines.insert(0, written)
        parts += media
        room -= len(written) + 1
        left.pop()
    if left:
        told.append(f"the {len(left)} oldest turns" if len(left) > 1 else "the oldest turn")
    if parts:
        told.append(f"{len(parts)} images or other parts that are not text")
    head = "\n\n".join(filter(None, [system, "\n".join(lines) + "\nUser: " if lines else ""]))
    return _with_head(head, message, joined=bool(lines)), told


def _with_head(head: str, message: Message, *, joined: bool) -> Message:
    """Return the message with a text before its own, be that text or parts."""
    content = message.get("content")
    if not head:
        return message
    if isinstance(content, list):
        return {**message, "content": [{"type": "text", "text": head}, *copied(content)]}
    return {**message, "content": f"{head}{content}" if joined else f"{head}\n\n{content}"}


def _written(exchange: Sequence[Message]) -> tuple[str, list[str]]:
    """Return an exchange as lines, and what of it is not text."""
    told: list[str] = []
    lines = [_line(message, told) for message in exchange]
    return "\n".join(filter(None, lines)), told


def _line(message: Message, told: list[str]) -> str:
    text = _text(message.get("content"), told)
    calls = [_call(call) for call in message.get("tool_calls") or ()]
    text = "\n".join(filter(None, [text, str(message.get("refusal") or ""), *calls]))
    text = _SPEAKER.sub("\n  ", text)
    return f"{str(message.get('role')).capitalize()}: {text}" if text.strip() else ""


def _text(content: Any, told: list[str]) -> str:
    """Return the text of a content, with a word for each part that is not text."""
    if isinstance(content, str):
        text, media = without_media(content)
        told += media
        return text
    texts = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif isinstance(part, dict) and "thinking" not in part:
            kind = str(part.get("type", "part")).removesuffix("_url").removeprefix("input_")
            texts.append(f"[{kind}]")
            told.append(texts[-1])
    return "\n".join(texts)


def _call(call: Any) -> str:
    """Return a tool call as a line."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return json.dumps(call, ensure_ascii=False, default=str)
    return f"{function.get('name')}({function.get('arguments') or '{}'})"


def _shortened(exchange: Sequence[Message], room: int) -> str:
    """Return an exchange in so many characters: the start and the end of each message."""
    lines = [line for line in (_line(message, []) for message in exchange) if line]
    share = max(0, (room - len(lines) + 1) // max(1, len(lines)))
    return "\n".join(_middle_cut(line, share) for line in lines)


def _middle_cut(line: str, length: int) -> str:
    if len(line) <= length:
        return line
    half = max(0, length - len(_CUT)) // 2
    return f"{line[:half]}{_CUT}{line[len(line) - half :]}"[: max(0, length)]
