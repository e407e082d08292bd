"""Other ways to a fake server: a unix socket, TLS with an authority of the test's own."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import trustme

from async_copilot.fake_server import FakeServer

__all__ = ["Authority", "copy", "forwarding"]


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def forwarding(server: FakeServer, listen: Any, *where: Any, **options: Any) -> Any:
    """Pass on to the server what comes on another socket; listen: asyncio.start_..."""
    port = int(server.url.split(":")[2].split("/")[0])
    writers = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        writers.extend([writer, inner_writer])
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    listener = await listen(forward, *where, **options)
    async with listener:
        yield listener.sockets[0].getsockname()
    for writer in writers:
        writer.close()
        with suppress(OSError):  # the client may have left without a TLS goodbye
            await writer.wait_closed()


class Authority:
    """A certificate authority of the test's own, and what it has signed, as files."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.file = str(folder / "ca.pem")
        self._authority.cert_pem.write_to_path(self.file)
        self.client_file = str(folder / "client.pem")
        client = self._authority.issue_cert("client@example.org")
        client.private_key_and_cert_chain_pem.write_to_path(self.client_file)

    def server_context(self, *, wants_a_certificate: bool) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert("localhost").configure_cert(context)
        if wants_a_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            self._authority.configure_trust(context)
        return context
