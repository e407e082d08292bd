"""The environment and a server's address in; the proxy to go through, or none, out. No I/O.

In place of aiohttp's ``trust_env``, which besides looks the server up in ``~/.netrc``: it
then sends a password that nobody gave, or refuses a request that carries a key of its own.
"""

from __future__ import annotations

import ipaddress
from urllib.request import getproxies_environment, proxy_bypass

from yarl import URL

from ..errors import Hint, InvalidRequestError

__all__ = ["environment_proxy"]


def environment_proxy(url: URL) -> URL | None:
    """Return what ``http_proxy`` or ``https_proxy`` names for url, unless ``no_proxy`` does.

    No proxy for loopback addresses, whatever the variables say. A proxy without a scheme
    is an HTTP one, as curl reads it. Raises InvalidRequestError for what is none.
    """
    named = getproxies_environment().get(url.scheme)
    if not named or _is_loopback(url) or proxy_bypass(f"{url.host}:{url.port}"):
        return None
    try:
        proxy = URL(named if "//" in named else f"http://{named}")
    except ValueError:
        proxy = URL()
    if proxy.scheme not in ("http", "https") or not proxy.host:
        # Its value is not shown: a proxy's address often has a password in it.
        raise InvalidRequestError(
            f"{url.scheme}_proxy in the environment is not the URL of an HTTP proxy, which "
            f"looks like 'http://proxy:3128'",
            hint=Hint(f"unset it, or add {url.host} to no_proxy"),
        )
    return proxy


def _is_loopback(url: URL) -> bool:
    try:
        return ipaddress.ip_address(url.host or "").is_loopback
    except ValueError:
        return url.host == "localhost" or (url.host or "").endswith(".localhost")
