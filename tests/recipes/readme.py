"""A recipe's name in, its code out: taken from the README by the comment above its block."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

__all__ = ["code", "names", "recipe"]

README = Path(__file__).parents[2] / "README.md"

_BLOCK = re.compile(r"<!-- recipe: ([\w-]+) -->\n```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def names() -> list[str]:
    return [name for name, _, _ in _blocks()]


def code(name: str) -> str:
    """Return the block below ``<!-- recipe: name -->``."""
    found = [code for each, _, code in _blocks() if each == name]
    assert len(found) == 1, f"{README.name} has {len(found)} recipes called {name}, not one"
    return found[0]


def recipe(name: str, *, main: bool = False, **constants: object) -> ModuleType:
    """Run a recipe's code as a module of its own and return it.

    main: as a script, with what stands below ``if __name__ == "__main__"``.
    constants: capitals of the recipe, set to what the test needs.
    """
    module = ModuleType("__main__" if main else "recipe_" + name.replace("-", "_"))
    if not main:
        sys.modules[module.__name__] = module  # where annotations are looked up
    exec(compile(code(name), f"{README.name}: {name}", "exec"), module.__dict__)  # noqa: S102
    for constant, value in constants.items():
        assert hasattr(module, constant), f"the recipe {name} has no {constant}"
        setattr(module, constant, value)
    return module


def _blocks() -> list[tuple[str, str, str]]:
    return _BLOCK.findall(README.read_text(encoding="utf-8"))
