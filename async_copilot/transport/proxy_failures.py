"""What a proxy did, in place of the server behind it: an exception or failure in, ours out.

HTTP proxies are aiohttp's own business; SOCKS ones that of a connector of the caller's
(aiohttp_socks), whose exceptions are not aiohttp's.
"""

from __future__ import annotations

import aiohttp
from yarl import URL

from ..errors import (
    ConnectionFailedError,
    ConnectTimeoutError,
    CopilotError,
    DisconnectedError,
    Hint,
    HTTPStatusError,
    InvalidHTTPError,
)
from .statuses import status_error
from .urls import host_and_port, place

__all__ = ["from_socks", "in_tunnel", "proxy_of", "refused", "socks_failed", "way_around"]

# SOCKS replies (RFC 1928, 6) that another attempt will not change: not allowed by the rules,
# and a command or an address of a kind that the proxy does not know.
_FOR_GOOD = (2, 7, 8)


def way_around(host: str) -> Hint:
    return Hint(f"check the proxy, or add {host} to no_proxy")


def proxy_of(error: aiohttp.ClientError, url: URL | None) -> str | None:
    """Return host and port of the proxy that a connection was not made to; None for the server."""
    if not isinstance(error, aiohttp.ClientConnectorError) or url is None:
        return None
    party = (error.host, error.port)
    if isinstance(error, aiohttp.ClientProxyConnectionError) or party != (url.raw_host, url.port):
        return f"{error.host}:{error.port}"
    return None


def refused(error: aiohttp.ClientHttpProxyError, where: str, host: str) -> HTTPStatusError:
    """A proxy's own status, in place of a tunnel to the server."""
    by = f"the proxy on the way to {where}"
    failure = status_error(error.status, error.message, error.headers or {}, b"", by)
    if error.status != 407:
        failure.hint = way_around(host)
    return failure


def in_tunnel(failure: CopilotError, proxy: URL, url: URL) -> CopilotError:
    """Return the failure of the way through a proxy as the proxy's own."""
    if not isinstance(failure, DisconnectedError | InvalidHTTPError):
        return failure
    closed = isinstance(failure, DisconnectedError)
    what = "closed the connection" if closed else "answered with broken HTTP"
    where = place(url)
    return ConnectionFailedError(
        f"the proxy {host_and_port(proxy)} {what}, on the way to {where}",
        hint=way_around(url.host or where),
        passing=closed,
        party="proxy",
    )


def from_socks(error: Exception) -> bool:
    """True for what a connector of aiohttp_socks raises."""
    # It reads the proxy's answers with asyncio's streams, whose EOFError it lets through.
    library = type(error).__module__.partition(".")[0]
    return isinstance(error, EOFError) or library in ("aiohttp_socks", "python_socks")


def socks_failed(error: Exception, where: str) -> CopilotError:
    words = " ".join(str(error).split())[:160] or type(error).__name__
    what = f"the SOCKS proxy did not lead to {where} ({words})"
    kind = type(error).__name__
    if kind == "ProxyTimeoutError":
        return ConnectTimeoutError(
            what, hint=Hint("if it needs longer, raise {option}", "Timeouts(connect=...)")
        )
    code = getattr(error, "error_code", None)
    return ConnectionFailedError(
        what,
        hint=Hint("check the proxy"),
        # Without a reply's code it was not let in, or does not speak SOCKS.
        passing=kind != "ProxyError" or (code is not None and code not in _FOR_GOOD),
        party="proxy",
    )
