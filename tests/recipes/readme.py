"""A recipe's name in, its code out: taken from the README files by the comment above its block."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

__all__ = ["ROOT", "Block", "blocks", "code", "names", "recipe"]

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(
    r"(?:^<!-- recipe: (?P<name>[\w-]+) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a README; name: that of a recipe, None for any other block."""

    page: Path
    name: str | None
    language: str
    code: str


def blocks() -> list[Block]:
    """Return the blocks of every README.md of the project."""
    pages = [ROOT / "README.md"]
    for folder in ("async_copilot", "tests"):
        pages += sorted((ROOT / folder).rglob("README.md"))
    return [
        Block(page, *found.group("name", "language", "code"))
        for page in pages
        for found in _BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]


def names() -> list[str]:
    return [block.name for block in blocks() if block.name]


def code(name: str) -> str:
    """Return the block below ``<!-- recipe: name -->``."""
    found = [block.code for block in blocks() if block.name == name]
    assert len(found) == 1, f"there are {len(found)} recipes called {name}, not one"
    return found[0]


def recipe(name: str, *, main: bool = False, **constants: object) -> ModuleType:
    """Run a recipe's code as a module of its own and return it.

    main: as a script, with what stands below ``if __name__ == "__main__"``.
    constants: capitals of the recipe, set to what the test needs.
    """
    module = ModuleType("__main__" if main else "recipe_" + name.replace("-", "_"))
    if not main:
        sys.modules[module.__name__] = module  # where annotations are looked up
    exec(compile(code(name), f"README.md: {name}", "exec"), module.__dict__)  # noqa: S102
    for constant, value in constants.items():
        assert hasattr(module, constant), f"the recipe {name} has no {constant}"
        setattr(module, constant, value)
    return module
