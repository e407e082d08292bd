"""An error in, one sentence for the person at the console out. No I/O.

The errors name arguments, for programmers; here are the options that mean the same.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from ..errors import ConnectionFailedError, CopilotError, EventTooLargeError
from .argument_parser import CLOCKS, clock_option

__all__ = ["explain"]

_OPTIONS = {
    **{f"Timeouts({clock}=...)": clock_option(clock) for clock in CLOCKS},
    "api_key": "the key (ASYNC_COPILOT_API_KEY)",
    "base_url": "--url",
    "headers": "--header",
    "session": "session=... of a program of your own",
    "ssl": "ssl=... of a program of your own",
    "ssl=..., or SSL_CERT_FILE in the environment": "--cacert FILE",
    "strict=False": "--no-strict",
}


def explain(error: CopilotError, url: str) -> str:
    """Return what happened and what to do; url is the server's, fit to be shown."""
    if isinstance(error, ConnectionFailedError) and error.passing and error.party == "server":
        return (
            f"nothing answers at {url}; start a server there (for g4f: "
            f"pip install 'g4f[api]', then {_g4f_command(url)}), or try the built-in demo "
            f"with --demo"
        )
    text = error.message
    # No option of the console's sets the bound of an event.
    if error.hint is not None and not isinstance(error, EventTooLargeError):
        option = error.hint.option
        text += f"; {error.hint.spelled(_OPTIONS.get(option, option))}"
    if isinstance(error, ConnectionFailedError):
        text += ". The built-in demo needs no server: --demo"
    return text


def _g4f_command(url: str) -> str:
    """Return the command that makes g4f listen at url, and only for this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if host == "localhost":
        host = "127.0.0.1"
    try:
        if not ipaddress.ip_address(host).is_loopback:
            return "g4f api"
    except ValueError:
        return "g4f api"
    if ":" in host:  # g4f's --bind takes no address that has colons of its own
        return f"python3 -c 'from g4f.api import run_api; run_api(\"{host}\", {port})'"
    return f"g4f api --bind {host}:{port}"
