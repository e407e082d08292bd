"""An error in, one sentence for the person at the console out. No I/O.

The errors speak to programmers, of arguments and attributes; here stand the options that
mean the same.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from ..errors import ConnectionFailedError, CopilotError

__all__ = ["explain"]

# Whole phrases of ours, lest a server's own words are changed.
_PHRASES = {
    "raise Timeouts(connect=...)": "raise --timeout-connect",
    "raise Timeouts(silence=...)": "raise --timeout-silence",
    "raise Timeouts(stall=...)": "raise --timeout-stall",
    "raise Timeouts(total=...)": "raise --timeout-total",
    "; what came is in error.reply.text, and strict=False accepts such answers": "; --no-strict "
    "accepts such answers",
    "strict=False skips and counts such lines": "--no-strict passes over such lines",
    "; check api_key": "; check the key (ASYNC_COPILOT_API_KEY)",
    "; check base_url (it usually": "; check --url (it usually",
    "; check that base_url leads": "; check that --url leads",
    "; does base_url lead to": "; does --url lead to",
    "give the right address as base_url": "give the right address as --url",
    "give the final address as base_url": "give the final address as --url",
    "give it as base_url": "give it as --url",
    "api_key is no str, or holds": "the key (ASYNC_COPILOT_API_KEY) holds",
    "base_url=": "--url ",
    "; if the server means it, raise max_event_bytes": ", which this program does not take",
}


def explain(error: CopilotError, url: str) -> str:
    """Return what happened and what to do; url is the server's, fit to be shown."""
    if isinstance(error, ConnectionFailedError) and error.passing:
        return (
            f"nothing answers at {url}; start a server there (for g4f: "
            f"pip install 'g4f[api]', then {_g4f_command(url)}), or see the built-in demo "
            f"with --demo"
        )
    text = error.message
    for ours, options in _PHRASES.items():
        text = text.replace(ours, options)
    if isinstance(error, ConnectionFailedError):
        text += " The built-in demo needs no server: --demo"
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
    return f"g4f api --bind {f'[{host}]' if ':' in host else host}:{port}"
