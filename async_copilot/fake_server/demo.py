"""The built-in demo: a small talker that knows names. No I/O.

In: a ``Request`` with what the server remembers of its conversation. Out: a
``FakeAnswer`` at the pace of a chat.
"""

from __future__ import annotations

import re
import zlib

from .answer import FakeAnswer, Pace
from .request import Request

__all__ = ["demo"]

# "I am fine" tells no name, so a bare "I am" wants a capital; "my name is ann" does not.
_NAME = r"(?P<name>[^\W\d_][\w'\u2019-]*(?: [A-ZÀ-ÖØ-Þ][\w'\u2019-]+){0,2})"
_TOLD = [
    re.compile(rf"\b(?i:my name is|my name's|call me|mein Name ist|ich heiße) {_NAME}"),
    re.compile(rf"\b(?i:I am|I'm|I\u2019m|ich bin) (?![a-zà-öø-þ]){_NAME}"),
    re.compile(r"\b(?i:I am|I'm|I\u2019m) (?P<name>[a-zà-öø-þ]{2,})[.!,]?\s+(?i:how are you)"),
]
_ASKED = re.compile(
    r"who am i\b|\bmy name\b|\bwer bin ich\b|\bwie heiße ich\b|\bmein(?:en)? name", re.IGNORECASE
)
# The form in which g4f turns messages into a prompt.
_ROLE = re.compile(r"^(System|User|Assistant):", re.MULTILINE)
_NOT_NAMES = frozenset(
    ("a", "an", "the", "not", "so", "what", "who", "fine", "good", "well", "here")
)
_MEANINGS = {
    "ann": "It comes from the Hebrew Hannah, grace",
    "anna": "It comes from the Hebrew Hannah, grace",
    "heiner": "It is a short form of Heinrich, an old German name: ruler of the home",
}


def demo(request: Request) -> FakeAnswer:
    """Greets by name, remembers it in the conversation, and tells something about it."""
    pace = Pace(30, jitter=0.6, seed=zlib.crc32(request.text.encode("utf-8", "replace")))
    return FakeAnswer(_reply(request), pace=pace)


def _reply(request: Request) -> str:
    *earlier, said = _user_turns(request.text)
    told = _name(said)
    if _ASKED.search(said) and not told:
        known = [name for text in (*request.known, *earlier) if (name := _name(text))]
        return _about(known[-1]) if known else "I do not know your name: you have not told me yet."
    if told:
        return f"Hello {told}! I am fine, thank you. How can I help you today?"
    if re.match(r"\s*(?:hello|hi|hey|good \w+|hallo)\b", said, re.IGNORECASE):
        return "Hello! I am fine, thank you. What is your name?"
    return f'You said: "{said}" I am only a demo, but I remember names.'


def _user_turns(text: str) -> list[str]:
    """What the user said: ``text``, or the lines of the user where it is a transcript."""
    if not _ROLE.match(text):
        return [text]
    # Split at a group, the roles and what each said alternate, after what stands before them.
    _, *rest = _ROLE.split(text)
    turns = zip(rest[::2], rest[1::2], strict=True)
    return [said.strip() for role, said in turns if role == "User"] or [text]


def _name(text: str) -> str | None:
    for pattern in _TOLD:
        for match in pattern.finditer(text):
            name = match["name"]
            if name.lower() not in _NOT_NAMES:
                return name[0].upper() + name[1:]
    return None


def _about(name: str) -> str:
    letters = sum(map(str.isalpha, name))
    fallback = f"It begins with {name[0]} and ends with {name[-1]}"
    meaning = _MEANINGS.get(name.lower(), fallback)
    return f"Your name is {name}. {meaning}, and it has {letters} letters."
