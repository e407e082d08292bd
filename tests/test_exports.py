"""Modules import only from the left, export what they say, and cost no more than they must."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import async_copilot
from async_copilot import errors

PACKAGE = Path(async_copilot.__file__).parent

# The import table: a module imports only from modules that stand before it. A new module
# takes its place here first.
ORDER = [
    *("errors", "version", "terminal"),
    # bytes to deltas, and what they add up to; no I/O
    *("sse", "chat", "plain", "deltas", "answer", "parts"),
    # rules of a request; no I/O
    *("clocks", "retries", "statuses", "masking", "observer", "batches", "proxies"),
    # the network
    *("body", "reply", "exchange"),
    # turns
    *("conversation", "client", "runner"),
    # packages: one for tests and demonstrations, one for people
    *("fake_server", "pytest_plugin", "console", "__main__"),
]
INSIDE = {
    "fake_server": [
        *("faults", "request", "script", "openai", "demo", "llama", "litellm", "g4f"),
        *("plan", "exchange", "server", "__init__", "__main__"),
    ],
    "console": [
        *("__init__", "exit_status", "argument_parser", "arguments", "prompts", "interrupts"),
        *("waiting_sign", "chat_prompt", "screen", "explain", "stats", "turns", "dry_run"),
        *("chat_loop", "saved_chat", "plain_view", "json_lines", "run"),
    ],
}

# Names that only annotations use, imported for type checkers alone.
FOR_TYPES = {("errors", "reply"), ("errors", "sse"), ("observer", "reply")}

WITHOUT_IO = ["errors", "sse", "chat", "plain", "deltas", "answer", "retries", "statuses"]

PUBLIC = {
    *("Answer", "ChatChunk", "Choice", "Conversation", "CopilotClient", "End", "Observer"),
    *("Reply", "SSEDecoder", "ServerSentEvent", "Timeouts", "Timing", "ToolCall"),
    *("ToolCallDelta", "__version__", "content_deltas", "image_part", "post_request"),
    *("text_part", "tool_result"),
}


def source(module: str, package: str = "") -> Path:
    return PACKAGE / package / f"{module}.py"


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Level and module of each relative import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            for name in [node.module] if node.module else [alias.name for alias in node.names]:
                yield node.level, name.partition(".")[0]


def foreign_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def test_the_table_has_every_module_once() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert sorted(ORDER) == sorted(modules | packages)
    assert sorted(INSIDE) == sorted(packages)
    for package, order in INSIDE.items():
        assert sorted(order) == sorted(path.stem for path in (PACKAGE / package).glob("*.py"))


@pytest.mark.parametrize("module", [name for name in ORDER if name not in INSIDE])
def test_a_module_imports_only_from_the_left(module: str) -> None:
    left = ORDER[: ORDER.index(module)]
    for _, name in imports(source(module)):
        assert name in left or (module, name) in FOR_TYPES, f"{module} imports {name}"


@pytest.mark.parametrize("package", INSIDE)
def test_a_packages_modules_import_only_from_the_left(package: str) -> None:
    outside = ORDER[: ORDER.index(package)]
    for at, module in enumerate(INSIDE[package]):
        for level, name in imports(source(module, package)):
            left = INSIDE[package][:at] if level == 1 else outside
            assert name in left, f"{package}.{module} imports {name}"


def test_the_fake_server_is_another_implementation() -> None:
    """It shares no parsing with the client, so that two readings of the wire meet."""
    for module in INSIDE["fake_server"]:
        found = imports(source(module, "fake_server"))
        assert {name for level, name in found if level > 1} <= {"errors"}


@pytest.mark.parametrize("module", WITHOUT_IO)
def test_a_stage_without_io_imports_nothing_that_could_do_any(module: str) -> None:
    reaching = {"aiohttp", "asyncio", "socket", "subprocess", "threading", "os", "pathlib", "io"}
    assert not reaching & {name.partition(".")[0] for name in foreign_imports(source(module))}


# ------------------------------------------------------------------ exports


# The console's parts are for __main__ alone: the package itself exports nothing.
@pytest.mark.parametrize("name", [name for name in ORDER if name not in ("__main__", "console")])
def test_each_module_exports_names_of_its_own(name: str) -> None:
    module = import_module(f"async_copilot.{name}")
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    for exported in module.__all__:
        assert getattr(module, exported) is not None


def test_the_package_exports_the_public_names() -> None:
    assert set(async_copilot.__all__) == PUBLIC | set(errors.__all__)
    assert len(async_copilot.__all__) == len(set(async_copilot.__all__))
    for name in async_copilot.__all__:
        assert getattr(async_copilot, name) is not None
    assert set(async_copilot.__all__) <= set(dir(async_copilot))


def test_a_public_name_is_the_one_of_its_module() -> None:
    for name in async_copilot.__all__:
        value = getattr(async_copilot, name)
        if name != "__version__":
            home = import_module(value.__module__)
            assert getattr(home, name) is value
            assert name in home.__all__


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    package: Any = async_copilot
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense


def test_a_star_import_gives_the_public_names() -> None:
    names: dict[str, Any] = {}
    exec("from async_copilot import *", names)  # noqa: S102  # what a user may write
    assert set(async_copilot.__all__) <= set(names)


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


# ------------------------------------------------------------------ what an import loads


def loaded_by(statement: str) -> set[str]:
    """The modules loaded in a fresh interpreter after a statement."""
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run(  # noqa: S603  # our own interpreter
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n{program}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


def test_using_every_public_name_loads_neither_the_fake_server_nor_aiohttps() -> None:
    loaded = loaded_by("from async_copilot import *")
    assert "async_copilot.client" in loaded
    assert "aiohttp" in loaded
    unwanted = ("async_copilot.fake_server", "aiohttp.web", "aiohttp.test_utils", "pytest")
    assert not [name for name in loaded if name.startswith(unwanted)]


def test_the_event_stream_alone_needs_no_network() -> None:
    loaded = loaded_by("from async_copilot.sse import SSEDecoder")
    assert not {"aiohttp", "asyncio", "orjson"} & loaded


def test_nothing_but_aiohttp_and_orjson_is_needed() -> None:
    ours = loaded_by("from async_copilot import *")
    theirs = loaded_by("import aiohttp, orjson")
    roots = {name.partition(".")[0] for name in ours - theirs} - set(sys.stdlib_module_names)
    assert roots <= {"async_copilot"}
