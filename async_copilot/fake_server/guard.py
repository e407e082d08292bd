"""Which requests are answered: those of a foreign web page are not. No I/O.

A page in a browser can send requests to a server on loopback: from its own address without
asking (a form, a "simple" request), and under a name of its own that resolves to 127.0.0.1.
The first cannot have a JSON content type and has an ``Origin``; the second has a ``Host`` that
is not a name of this machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["is_loopback", "refusal"]


def is_loopback(host: str) -> bool:
    """Whether this name or address is of this machine alone."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def refusal(method: str, headers: Mapping[str, str], listening: str) -> tuple[int, str] | None:
    """Status and message for a request that a foreign page may have sent; None: it may pass.

    listening: the host this server listens on. Only on loopback are names checked: whoever
    listens on a network has chosen to be reached under other ones.
    """
    host = headers.get("Host", "")
    if is_loopback(listening) and host and not is_loopback(_hostname(f"//{host}")):
        told = f"this server listens on {listening} and does not answer for the host {host!r}"
        return 403, f"{told}: use localhost or 127.0.0.1, or start it with another host"
    origin = headers.get("Origin", "")
    if origin and not is_loopback(_hostname(origin)):
        return 403, f"this server does not answer the web page of {origin}"
    empty = headers.get("Content-Length", "0") == "0" and "Transfer-Encoding" not in headers
    if method != "POST" or empty:
        return None
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind.endswith(("/json", "+json")) or (not kind and not origin):
        return None
    return 415, f"the content type is {kind or 'missing'!r}: send the body as application/json"


def _hostname(url: str) -> str:
    """The host of a URL; "" where it has none, or is not one."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
