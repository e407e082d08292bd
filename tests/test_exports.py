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
    *("errors", "version", "observer"),
    # bytes and meaning; no I/O
    *(
        "wire.text",
        "wire.sse",
        "wire.objects",
        "wire.copies",
        "wire.handle",
        "wire.g4f",
        "wire.request",
        "wire.failures",
        "wire.form",
    ),
    *("wire.content", "wire.chat", "wire.common", "wire.halves", "wire.heard"),
    *("wire.pieces", "wire.fields", "wire.arguments", "wire.calls", "wire.choice"),
    *("wire.asked", "wire.answer"),
    *("wire.plain", "wire.events", "wire.deltas"),
    *("wire.history", "wire.transcript", "wire.server_memory", "wire.unshared"),
    *("wire.think", "wire.think_deltas", "wire.media", "wire.schema"),
    # all that touches aiohttp, sockets or time
    *("transport.alarm", "transport.interruptible"),
    *("transport.clocks", "transport.retries", "transport.statuses", "transport.masking"),
    *("transport.batches", "transport.proxies", "transport.urls", "transport.headers"),
    *("transport.redirects", "transport.proxy_failures"),
    *("transport.connections", "transport.failures", "transport.doubles", "transport.body"),
    *("transport.error_body", "transport.near_names", "transport.borrowed"),
    *("transport.outgoing", "transport.gate", "transport.exchange", "transport.bound_session"),
    # doors
    *("options", "parts", "verdict", "reading", "structured", "reply", "turn", "saved"),
    "conversation",
    *("models", "client", "runner"),
    # packages of their own: one for tests and demonstrations, one for people
    *("fake_server", "pytest_plugin", "console", "__main__"),
]
ROOMS = ("wire", "transport")  # rooms of the core, whose modules stand in the table one by one
INSIDE = {
    "fake_server": [
        *("json_text", "checks", "faults", "request", "providers", "memory"),
        *("when", "answer", "envelope"),
        # the wire forms
        *("openai", "azure", "llama", "litellm", "g4f", "completions"),
        # what a request gets
        *("masking", "cassette", "script_file", "script", "guard", "demo", "catalogue"),
        *("strict_words", "strict_messages", "strict_tools", "strict"),
        *("steps", "striking", "plan", "options", "replay", "record", "control"),
        # sockets and files
        *("playback", "recorder", "service", "connections", "thread", "server"),
        *("__init__", "__main__"),
    ],
    "console": [
        *("__init__", "exit_status", "argument_values", "argument_parser", "kept_chats"),
        *("arguments", "plain_text", "piped_input", "attachments", "opening", "interrupts"),
        "out_stream",
        *("waiting_sign", "safe_file", "history_file", "chat_prompt", "editor", "screen"),
        *("explain", "stats", "turns", "deep_json", "dry_run", "saved_chat", "conversations"),
        *("media_folder", "talk", "chat_loop", "listing", "demo_server", "connect"),
        *("plain_view", "json_lines", "run"),
    ],
}

# Names that only annotations use, imported for type checkers alone.
FOR_TYPES = {
    ("errors", "reply"),
    ("reading", "reply"),
    ("verdict", "reply"),
    ("errors", "wire.sse"),
    ("observer", "reply"),
    ("observer", "wire.asked"),
}

PUBLIC = {
    *("Answer", "ChatChunk", "Choice", "Conversation", "CopilotClient", "End", "Model"),
    *("Observer", "Provider", "Reply", "RequestInfo", "SSEDecoder", "ServerSentEvent"),
    *("Timeouts", "Timing", "ToolCall"),
    *("ToolCallDelta", "__version__", "content_deltas", "image_part", "post_request"),
    *("text_part", "tool_result"),
}


def source(name: str) -> Path:
    return PACKAGE / f"{name.replace('.', '/')}.py"


def imports(name: str) -> Iterator[str]:
    """The module, by its name in the table, of each relative import, wherever it stands."""
    package = name.split(".")[:-1]
    for node in ast.walk(ast.parse(source(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            for found in [node.module] if node.module else [alias.name for alias in node.names]:
                yield ".".join([*base, found])


def foreign_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def test_the_table_has_every_module_once() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - set(ROOMS)
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    for room in ROOMS:
        stems = {path.stem for path in (PACKAGE / room).glob("*.py")} - {"__init__"}
        modules |= {f"{room}.{stem}" for stem in stems}
    assert sorted(ORDER) == sorted(modules | packages)
    assert sorted(INSIDE) == sorted(packages)
    for package, order in INSIDE.items():
        assert sorted(order) == sorted(path.stem for path in (PACKAGE / package).glob("*.py"))


@pytest.mark.parametrize("module", [name for name in ORDER if name not in INSIDE])
def test_a_module_imports_only_from_the_left(module: str) -> None:
    left = ORDER[: ORDER.index(module)]
    for name in imports(module):
        known = name in left or (module, name) in FOR_TYPES
        # A package of its own exports what it has.
        assert known or name.partition(".")[0] in left, f"{module} imports {name}"


@pytest.mark.parametrize("package", INSIDE)
def test_a_packages_modules_import_only_from_the_left(package: str) -> None:
    outside = ORDER[: ORDER.index(package)]
    for at, module in enumerate(INSIDE[package]):
        inside = [f"{package}.{name}" for name in INSIDE[package][:at]]
        for name in imports(f"{package}.{module}"):
            known = name in inside or name in outside or name.partition(".")[0] in outside
            assert known, f"{package}.{module} imports {name}"


def test_the_fake_server_is_another_implementation() -> None:
    """It shares no parsing with the client, so that two readings of the wire meet."""
    for module in INSIDE["fake_server"]:
        ours = set(imports(f"fake_server.{module}"))
        assert {name for name in ours if not name.startswith("fake_server.")} <= {"errors"}


SOURCES = {name: source(name).read_text("utf-8") for name in ORDER if name not in INSIDE}
CLAIMS_NO_IO = [name for name, text in SOURCES.items() if "No I/O" in text]
REACHING = {"aiohttp", "socket", "subprocess", "threading", "os", "pathlib", "io"}


def test_the_room_of_the_wire_claims_to_do_no_io() -> None:
    assert {name for name in ORDER if name.startswith("wire.")} <= set(CLAIMS_NO_IO)


@pytest.mark.parametrize("module", CLAIMS_NO_IO)
def test_a_module_that_claims_no_io_imports_nothing_that_could_do_any(module: str) -> None:
    # The wire's room knows no time either.
    reaching = REACHING | ({"time", "asyncio"} if module.startswith("wire.") else set())
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


def test_using_every_public_name_loads_no_server() -> None:
    loaded = loaded_by("from async_copilot import *")
    assert "async_copilot.client" in loaded
    assert "aiohttp" in loaded
    unwanted = ("async_copilot.fake_server", "aiohttp.web", "aiohttp.test_utils", "pytest")
    assert not [name for name in loaded if name.startswith(unwanted)]


def test_the_event_stream_alone_needs_no_network() -> None:
    loaded = loaded_by("from async_copilot.wire.sse import SSEDecoder")
    assert not {"aiohttp", "asyncio", "orjson"} & loaded


def test_nothing_but_aiohttp_and_orjson_is_needed() -> None:
    ours = loaded_by("from async_copilot import *")
    theirs = loaded_by("import aiohttp, orjson")
    roots = {name.partition(".")[0] for name in ours - theirs} - set(sys.stdlib_module_names)
    assert roots <= {"async_copilot"}


def test_the_names_of_tests_are_short() -> None:
    """A name is a claim to be read at a glance: fewer than 70 characters."""
    names = [
        node.name
        for file in Path(__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert not [name for name in names if name.startswith("test_") and len(name) >= 70]
