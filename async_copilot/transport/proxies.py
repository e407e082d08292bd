"""The environment and a server's address in; the proxy to go through, or none, out. No I/O.

In place of aiohttp's ``trust_env``, which also looks the server up in ``~/.netrc``, and
then sends a password that was not asked for, or refuses a request that has a key of its own.
"""

from __future__ import annotations

import ipaddress
from urllib.request import getproxies_environment

from yarl import URL

from ..errors import Hint, InvalidRequestError

__all__ = ["environment_proxy"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def environment_proxy(url: URL) -> URL | None:
    """Return what the environment names as the proxy for url; None where it names none.

    ``http_proxy`` or ``https_proxy``, by the scheme of url, go before ``all_proxy``, and
    small letters before capitals. ``no_proxy`` takes hosts out, as curl reads it: names
    with their subdomains (``example.com``, ``.example.com``), subdomains alone
    (``*.example.com``), addresses, networks (``10.0.0.0/8``), each with or without a
    port, and ``*`` for all. No proxy for loopback addresses, whatever the variables say.

    A proxy without a scheme is an HTTP one. Raises InvalidRequestError for one that
    cannot be used: SOCKS, which aiohttp does not speak, or not a URL.
    """
    named = getproxies_environment()
    variable = next((name for name in (url.scheme, "all") if named.get(name, "").strip()), None)
    if variable is None or _is_loopback(url) or _is_excepted(url, named.get("no", "")):
        return None
    text = named[variable].strip()
    try:
        proxy = URL(text if "//" in text else f"http://{text}")
    except ValueError:
        proxy = URL()
    if proxy.scheme not in ("http", "https") or not proxy.host or " " in proxy.host:
        raise _unusable(f"{variable}_proxy", proxy, url.host or "")
    return proxy


def _unusable(variable: str, proxy: URL, host: str) -> InvalidRequestError:
    # The value is not shown: a proxy's URL often has a password in it.
    if proxy.scheme.startswith("socks"):
        return InvalidRequestError(
            f"{variable} in the environment names a SOCKS proxy ({proxy.scheme}), which aiohttp "
            f"does not speak",
            hint=Hint(
                f"unset it, add {host} to no_proxy, or lend a session whose connector speaks "
                f"SOCKS (aiohttp_socks) as {{option}}",
                "session",
            ),
        )
    return InvalidRequestError(
        f"{variable} in the environment is not the URL of an HTTP proxy, which looks like "
        f"'http://proxy:3128'",
        hint=Hint(f"unset it, or add {host} to no_proxy"),
    )


def _is_excepted(url: URL, no_proxy: str) -> bool:
    address = _address(url.host or "")
    return any(
        _names(entry.lower(), (name or "").lower().rstrip("."), address, url.port)
        for entry in no_proxy.replace(",", " ").split()
        for name in {url.host, url.raw_host}  # as it is written, and in Punycode
    )


def _names(entry: str, host: str, address: Address | None, port: int | None) -> bool:
    """True where one entry of ``no_proxy`` names the host."""
    if entry == "*":
        return True
    if entry.count(":") == 1 or "]:" in entry:  # else a colon belongs to an IPv6 address
        entry, _, only_port = entry.rpartition(":")
        if only_port != str(port):
            return False
    entry = entry.strip("[]")
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    if entry.startswith("*."):
        return host.endswith(entry[1:])
    name = entry.strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _is_loopback(url: URL) -> bool:
    host = (url.host or "").lower().rstrip(".")
    address = _address(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    # A connection to 0.0.0.0 or :: is one to this machine too.
    return address.is_loopback or address.is_unspecified


def _address(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
