"""An open response with an error status in, its error out, read within bounds."""

from __future__ import annotations

import aiohttp
from yarl import URL

from ..errors import HTTPStatusError
from .body import Body
from .clocks import Watchdog
from .masking import Mask
from .statuses import status_error
from .urls import host_and_port, place

__all__ = ["read_status_error"]

ERROR_BODY_BYTES = 64 * 1024  # the message is in the first kilobyte, of a page in the first few
ERROR_BODY_SECONDS = 5.0  # the status matters most; its message is worth a short wait


async def read_status_error(
    response: aiohttp.ClientResponse, clock: Watchdog, mask: Mask, *, proxy: URL | None = None
) -> HTTPStatusError:
    """Read an error's body within bounds, give its connection back, return the error.

    proxy: the request went through it. Without TLS it may be what answered.
    clock: what it takes counts for ``total`` too.
    The status matters most: if the body breaks, what had come of it is used.
    """
    body = Body(response, clock)
    clock.limit(ERROR_BODY_SECONDS)
    blocks: list[bytes] = []
    try:
        while body.bytes < ERROR_BODY_BYTES and (block := await body.read()):
            body.came(block)
            blocks.append(block)
    finally:
        body.came(b"")
        clock.stop(body.arrived)
        body.close()
    url = getattr(response, "url", None)
    where = place(url) if isinstance(url, URL) else "the server"
    if response.status == 407:
        where = f"the proxy on the way to {where}"
    elif proxy is not None and isinstance(url, URL) and url.scheme == "http":
        where = f"{where} or the proxy {host_and_port(proxy)}"
    return status_error(
        response.status,
        getattr(response, "reason", None),
        body.headers,
        b"".join(blocks)[:ERROR_BODY_BYTES],
        where,
        hide=mask.text,
    )
