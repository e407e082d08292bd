"""``import async_copilot`` is light: what it offers is imported when first asked for."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import typing
from importlib import import_module
from pathlib import Path

import pytest

import async_copilot

ROOT = Path(__file__).parents[1]


def test_the_import_alone_loads_nothing_heavy() -> None:
    code = "import sys, async_copilot; print({'aiohttp', 'asyncio', 'orjson'} & set(sys.modules))"
    done = subprocess.run(  # noqa: S603  # our own package
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "set()\n"


def test_every_public_name_is_there() -> None:
    assert len(set(async_copilot.__all__)) == len(async_copilot.__all__)
    for name in async_copilot.__all__:
        assert getattr(async_copilot, name) is not None
        assert name in dir(async_copilot)
        assert name in vars(async_copilot), "asked for once, it is kept"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    name = "Nothing"
    with pytest.raises(AttributeError, match="module 'async_copilot' has no attribute 'Nothing'"):
        getattr(async_copilot, name)


def test_a_type_checker_sees_the_names_where_they_are_loaded_from() -> None:
    """The imports under TYPE_CHECKING, and the table by which names are really imported."""
    tree = ast.parse(Path(async_copilot.__file__).read_text(encoding="utf-8"))
    checked = {
        alias.name: part.module
        for branch in tree.body
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for part in branch.body
        if isinstance(part, ast.ImportFrom)
        for alias in part.names
    }
    modules = [import_module(f"async_copilot.{home}") for home in async_copilot._HOMES.split()]
    assert set(checked) == set(async_copilot.__all__) - {"__version__"}
    for name, home in checked.items():
        found = next(module for module in modules if name in module.__all__)
        assert found.__name__ == f"async_copilot.{home}"


@pytest.mark.parametrize("name", ["CopilotClient", "Conversation", "Reply", "Answer"])
def test_the_types_of_public_methods_can_be_looked_up(name: str) -> None:
    """Documentation tools and frameworks do so at run time."""
    for method in vars(getattr(async_copilot, name)).values():
        function = method.fget if isinstance(method, property) else method
        if inspect.isfunction(function):
            typing.get_type_hints(function)
