"""The unknown name of a provider in, the nearest known one out.

I/O: g4f's ``/v1/providers``, read within bounds, and only after such a failure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson

from ..errors import CopilotError, Hint
from ..wire.g4f import near_name
from .body import Body
from .clocks import Timeouts

__all__ = ["LISTING", "near_provider"]

# The list of 8.8.6 is 15 kB, and made by loading every provider, which may take seconds.
LIST_BYTES = 1024 * 1024
LISTING = Timeouts(connect=5.0, silence=10.0, total=10.0)


async def near_provider(listing: Callable[[], Awaitable[Body]], wanted: str) -> Hint | None:
    """Return a hint with the nearest name that the server lists; None where there is none.

    listing: opens the body of the list. Its exceptions are ignored: the list only
        helps to explain another failure.
    """
    try:
        body = await listing()
    except CopilotError:
        return None
    blocks: list[bytes] = []
    try:
        while body.bytes < LIST_BYTES and (block := await body.read()):
            body.came(block)
            blocks.append(block)
    finally:
        body.clock.stop(body.arrived)
        body.close()
    try:
        names = [str(one["id"]) for one in orjson.loads(b"".join(blocks))]
    except (ValueError, LookupError, TypeError):
        return None
    near = near_name(wanted, names)
    return None if near is None else Hint(f"did you mean the provider {near!r}?")
