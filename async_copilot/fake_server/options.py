"""What a fake server is told to be, checked when it is made. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from .checks import COUNT, FLAG, NAMES, Rules, check_values, is_number, is_text, optional
from .memory import MemoryKind
from .openai import OpenAI
from .plan import DIALECTS
from .providers import Providers

__all__ = ["Options", "check_options"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a server was told to be; ``FakeServer`` says what each means."""

    dialect: OpenAI
    memory: MemoryKind
    providers: Providers
    models: Sequence[str]
    api_key: str | None
    strict: bool
    host: str
    max_body: int
    control: bool


def check_options(**options: object) -> None:
    """Raises ValueError for the first option that cannot be meant."""
    check_values(options, _RULES)


_MEMORIES = get_args(MemoryKind)
_RULES: Rules = {
    "dialect": (
        lambda name: is_text(name) and name in DIALECTS,
        f"one of {', '.join(DIALECTS)}",
    ),
    "memory": (
        lambda kind: kind is None or kind in _MEMORIES,
        f"one of {', '.join(_MEMORIES)}",
    ),
    "models": NAMES,
    "api_key": optional((lambda key: is_text(key) and key != "", "the key that requests bring")),
    "strict": FLAG,
    "check": FLAG,
    "control": FLAG,
    "host": (
        lambda host: is_text(host) and host != "",
        "a name or an address; '0.0.0.0' listens on every address of this machine",
    ),
    "port": (
        lambda port: type(port) is int and 0 <= port <= 65535,
        "0 to 65535; 0 is a free one",
    ),
    "keep_alive": (lambda seconds: is_number(seconds) and seconds > 0, "a number above 0"),
    "max_body": COUNT,
    "keep": optional(COUNT),
}
