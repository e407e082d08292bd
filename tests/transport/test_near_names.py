"""The list of providers is help with another failure: whatever it is, it raises nothing."""

from __future__ import annotations

from typing import Any

import pytest

from async_copilot import NotFoundError
from async_copilot.transport.near_names import LIST_BYTES, near_provider


class Listing:
    """A body as near_provider() reads it: these blocks, then the end."""

    arrived = 0.0

    def __init__(self, *blocks: bytes) -> None:
        self.bytes = 0
        self.closed = False
        self.clock = self
        self._blocks = list(blocks)

    async def read(self) -> bytes:
        return self._blocks.pop(0) if self._blocks else b""

    def came(self, block: bytes) -> None:
        self.bytes += len(block)

    def stop(self, arrived: float) -> None:
        """The clock's."""

    def close(self) -> None:
        self.closed = True


async def near(listing: Listing) -> str | None:
    async def opened() -> Any:
        return listing

    hint = await near_provider(opened, "Copliot")
    assert listing.closed
    return hint and str(hint)


async def test_the_nearest_name_is_offered() -> None:
    listing = Listing(b'[{"id":"Qwen"},', b'{"id":"Copilot"}]')
    assert await near(listing) == "did you mean the provider 'Copilot'?"


@pytest.mark.parametrize(
    "blocks",
    [
        [],
        [b"<html>"],
        [b"{}"],
        [b"[1]"],
        [b'[{"name":"Copilot"}]'],
        [b'[{"id":"Nobody"}]'],
        [b'[{"id":null}]'],
        [b" " * LIST_BYTES, b'[{"id":"Copilot"}]'],
    ],
    ids=lambda blocks: repr(blocks)[:30],
)
async def test_any_other_list_offers_nothing(blocks: list[bytes]) -> None:
    assert await near(Listing(*blocks)) is None


async def test_a_list_that_cannot_be_got_offers_nothing() -> None:
    async def refused() -> Any:
        raise NotFoundError("there is no such page")

    assert await near_provider(refused, "Copliot") is None
