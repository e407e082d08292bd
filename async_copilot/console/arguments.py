"""argv and the environment in, ``Options`` out. No I/O, and neither aiohttp nor asyncio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .argument_parser import CLOCKS, DEFAULT_URL, UsageProblemError, parsed
from .argument_values import path_of
from .kept_chats import chats_folder

__all__ = ["Options", "parse"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line and the environment ask for.

    attach: paths, or "-" for stdin.
    stdin: False leaves a pipe on stdin unread.
    fields: of each request, beside those that have an option of their own.
    memory, model, provider, system: None where nothing was said.
    timeouts: the clocks that were set, in seconds; None turns one off.
    goes_on: go on with the last chat that was kept.
    keep: keep the conversation in the folder ``chats``.
    think: <think>...</think> that opens an answer is reasoning.
    """

    messages: tuple[str, ...] = ()
    interactive: bool = False
    attach: tuple[str, ...] = ()
    stdin: bool = True
    fields: Mapping[str, Any] = field(default_factory=dict)
    demo: bool = False
    models: bool = False
    providers: bool = False
    url: str = DEFAULT_URL
    api_key: str | None = field(default=None, repr=False)
    cacert: Path | None = None
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
    goes_on: bool = False
    keep: bool = False
    chats: Path | None = None
    dry_run: bool = False
    json: bool = False
    stats: bool = False
    reasoning: bool = False
    think: bool = True
    media: Path | None = None
    verbose: bool = False
    color: bool = True
    history: Path | None = None


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Return the options; raise UsageProblemError or TextAskedError."""
    given = parsed(argv)
    del given["api_key"]
    clocks = {name: given.pop(f"timeout_{name}") for name in CLOCKS if f"timeout_{name}" in given}
    key_name = given.pop("api_key_env")
    key = environ.get(key_name or "ASYNC_COPILOT_API_KEY", "").strip() or None
    if key_name and key is None:
        raise UsageProblemError(f"--api-key-env {key_name}: that variable is not set")
    # What a saved conversation says goes before the environment, but not before an option.
    fallback = {} if given["resume"] or given["goes_on"] else environ
    keep = _keeps(given, environ)
    options = Options(
        **given
        | {
            "messages": tuple(given["messages"]),
            "attach": tuple(given["attach"]),
            "headers": tuple(given["headers"]),
            "fields": dict(given["fields"]),
            "url": given["url"] or environ.get("ASYNC_COPILOT_URL") or DEFAULT_URL,
            "model": _first(given["model"], fallback.get("ASYNC_COPILOT_MODEL")),
            "provider": _first(given["provider"], fallback.get("ASYNC_COPILOT_PROVIDER")),
            "timeouts": clocks,
            "keep": keep,
        },
        api_key=None if given["demo"] else key,
        color=not environ.get("NO_COLOR") and environ.get("TERM") != "dumb",
        history=path_of(environ.get("ASYNC_COPILOT_HISTORY")),
        chats=chats_folder(environ) if keep or given["goes_on"] else None,
    )
    _check(options, url_given=given["url"] is not None)
    return options


def _keeps(given: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    """True for a conversation to go on with later; one in a file of its own is kept there."""
    if given["save"]:
        return False
    if given["keep"] is not None:
        return bool(given["keep"])
    return environ.get("ASYNC_COPILOT_KEEP") != "0" and (given["interactive"] or given["goes_on"])


def _check(options: Options, *, url_given: bool) -> None:
    """Refuse options that contradict each other."""
    reads = options.messages.count("-") + options.attach.count("-")
    lists = options.models or options.providers
    asks = options.messages or options.interactive
    if not all(message.strip() for message in options.messages):
        raise UsageProblemError("a message is empty")
    if reads > 1:
        raise UsageProblemError("- stands for all of stdin, so it can be given once only")
    if reads and not options.stdin:
        raise UsageProblemError("--no-stdin and - cannot be used together")
    if options.demo and url_given:
        raise UsageProblemError("--demo starts its own server: leave --url out")
    if options.dry_run and (options.interactive or options.json or options.demo):
        raise UsageProblemError("--dry-run cannot be used with -i, --json or --demo")
    if lists and (asks or options.attach or options.dry_run or options.resume or options.goes_on):
        raise UsageProblemError("--models and --providers take no message")
    if options.goes_on and options.resume:
        raise UsageProblemError("give either -c, for the last chat, or --resume FILE")


def _first(option: str | None, variable: str | None) -> str | None:
    """Return the option, which may be empty on purpose, or the variable, which may not."""
    return variable or None if option is None else option
