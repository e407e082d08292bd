"""argv and the environment in, ``Options`` out. No I/O, and neither aiohttp nor asyncio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .argument_parser import CLOCKS, DEFAULT_URL, UsageProblemError, parsed, path_of

__all__ = ["Options", "parse"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line and the environment ask for.

    memory, model, provider, system: None where nothing was said.
    timeouts: the clocks that were set, in seconds; None turns one off.
    """

    messages: tuple[str, ...] = ()
    interactive: bool = False
    demo: bool = False
    url: str = DEFAULT_URL
    api_key: str | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    memory: str | None = None
    system: str | None = None
    model: str | None = None
    provider: str | None = None
    timeouts: Mapping[str, float | None] = field(default_factory=dict)
    retries: int = 2
    strict: bool = True
    save: Path | None = None
    resume: Path | None = None
    dry_run: bool = False
    json: bool = False
    stats: bool = False
    reasoning: bool = False
    verbose: bool = False
    color: bool = True
    history: Path | None = None


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Return the options; raise UsageProblemError or TextAskedError."""
    given = parsed(argv)
    clocks = {name: given.pop(f"timeout_{name}") for name in CLOCKS if f"timeout_{name}" in given}
    key_name = given.pop("api_key_env")
    key = environ.get(key_name or "ASYNC_COPILOT_API_KEY", "").strip() or None
    if key_name and key is None:
        raise UsageProblemError(f"--api-key-env {key_name}: that variable is not set")
    # What a saved conversation says goes before the environment, but not before an option.
    fallback = {} if given["resume"] else environ
    options = Options(
        **given
        | {
            "messages": tuple(given["messages"]),
            "headers": tuple(given["headers"]),
            "url": given["url"] or environ.get("ASYNC_COPILOT_URL") or DEFAULT_URL,
            "model": _first(given["model"], fallback.get("ASYNC_COPILOT_MODEL")),
            "provider": _first(given["provider"], fallback.get("ASYNC_COPILOT_PROVIDER")),
            "timeouts": clocks,
        },
        api_key=None if given["demo"] else key,
        color=not environ.get("NO_COLOR") and environ.get("TERM") != "dumb",
        history=path_of(environ.get("ASYNC_COPILOT_HISTORY")),
    )
    _check(options, url_given=given["url"] is not None)
    return options


def _check(options: Options, *, url_given: bool) -> None:
    """Refuse options that contradict each other."""
    if "" in options.messages:
        raise UsageProblemError("a message is empty")
    if options.messages.count("-") > 1:
        raise UsageProblemError("- stands for all of stdin, so it can be given once only")
    if options.interactive and "-" in options.messages:
        raise UsageProblemError("-i reads what is typed from stdin, so - cannot")
    if options.demo and url_given:
        raise UsageProblemError("--demo brings its own server, so --url has no meaning with it")
    if options.dry_run and (options.interactive or options.json or options.demo):
        raise UsageProblemError("--dry-run sends nothing: not with -i, --json or --demo")
    if options.resume and not (options.messages or options.interactive):
        raise UsageProblemError("--resume goes on with a conversation: give a message, or -i")


def _first(option: str | None, variable: str | None) -> str | None:
    """Return the option, which may be empty on purpose, or the variable, which may not."""
    return variable or None if option is None else option
