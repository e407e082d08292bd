"""What is known of a session's connections: which were used, and whether one is still fit.

An idle connection in a pool may be stale, or hold bytes that no request asked for: a late
408, a second answer. aiohttp hands either out with the next request. From Python 3.12 on
such bytes would be taken for the answer to it, and every later answer on that connection
would belong to the question before. So a used connection is looked at when a request is
about to go out on it.
"""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import sys
from collections.abc import MutableSet
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import aiohttp
from aiohttp.abc import AbstractStreamWriter

__all__ = ["Delivery", "keep_alive_socket", "receive_less", "used_connections"]

RECEIVE_BYTES = 120 * 1024  # at most, from the socket at a time
WINDOW = 0.01  # seconds, beside the round trip: what a server takes to close what it has closed
TURNS = 8  # of the loop; a server in the same loop takes four to close a connection
KEEP_ALIVE_IDLE = 45  # seconds; home routers and cloud NATs forget a silent connection after 60
KEEP_ALIVE_EVERY = 15  # seconds
KEEP_ALIVE_COUNT = 4  # probes without an answer

_USED: WeakKeyDictionary[Any, MutableSet[Any]] = WeakKeyDictionary()


def used_connections(session: aiohttp.ClientSession) -> MutableSet[Any]:
    """Return the connections of a session that requests went out on, from any client."""
    try:
        found = _USED.get(session)
        if found is None:
            found = _USED[session] = WeakSet()
    except TypeError:  # a double of a session, which cannot be referenced weakly
        return set()
    return found


class Delivery:
    """How one request went out on a connection.

    begun: the request was about to be written.
    reused: onto a connection that an earlier one had gone out on.
    dropped: the connection had been closed by the server, or held bytes that nobody asked
        for. Nothing was written; the connection is closed.
    fresh: written onto a used connection no longer than a round trip ago, so that its end
        may have crossed the request.
    """

    __slots__ = (
        "_timer",
        "_transport",
        "_used",
        "begun",
        "dropped",
        "fresh",
        "reused",
    )

    def __init__(self, used: MutableSet[Any]) -> None:
        self._used = used
        self._transport: Any = None
        self._timer: asyncio.Handle | None = None
        self.begun = False
        self.reused = False
        self.dropped = False
        self.fresh = False

    def begin(self, writer: AbstractStreamWriter) -> None:
        """Look at the connection. Raises ConnectionResetError if it cannot be used."""
        self.begun = True
        # The protocol, since transports cannot always be referenced weakly (uvloop's TLS).
        protocol = getattr(writer, "protocol", None)
        self._transport = transport = getattr(writer, "transport", None)
        if protocol is None or transport is None:
            return
        self.reused = protocol in self._used
        if not self.reused:
            self._used.add(protocol)
            receive_less(transport)
        elif transport.is_closing() or _holds_bytes(protocol, transport):
            self.drop(transport)
            raise ConnectionResetError("the pooled connection could not be used")
        else:
            self.fresh = True
            seconds = WINDOW + 2 * _round_trip(transport)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._settle, TURNS)

    def drop(self, transport: Any) -> None:
        self.dropped = True
        transport.abort()

    def took_another(self, response: aiohttp.ClientResponse) -> bool:
        """True for a response that was there before the request was: it answers another one.

        Before Python 3.12 the body is written by a task, which such a response overtakes.
        """
        if self.dropped:
            return True
        if self.begun or sys.version_info >= (3, 12):
            return False
        # Else a middleware's own, or one whose request got another body from a middleware.
        connection = getattr(response, "connection", None)
        protocol = connection and connection.protocol
        if protocol is None or protocol not in self._used:
            return False
        self.drop(protocol.transport)
        return True

    def over(self) -> None:
        """There is an answer, or a failure: nothing more to find out."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport = None

    def _settle(self, turns: int) -> None:
        """A round trip is over: an end that came meanwhile is noticed in the loop's next turns."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_soon(self._settle, turns - 1) if turns else None
        self.fresh = bool(turns) or self._transport.is_closing()


def _holds_bytes(protocol: Any, transport: Any) -> bool:
    """True if bytes wait that do not answer a request: parsed, or in the socket.

    protocol: aiohttp's, whose ``should_close`` tells of the parsed ones.
    """
    if getattr(protocol, "should_close", False):
        return True
    raw = transport.get_extra_info("socket")
    if raw is None or raw.fileno() < 0 or not hasattr(select, "poll"):
        return False
    poll = select.poll()  # not select(): that one ends at file descriptor 1,023
    poll.register(raw.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _round_trip(transport: Any) -> float:
    """Return seconds to the server and back, as the kernel measures it; 0 where it does not."""
    raw = transport.get_extra_info("socket")
    if raw is None or not hasattr(socket, "TCP_INFO"):
        return 0.0
    try:
        information = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 72)
    except OSError:  # a Unix socket
        return 0.0
    (microseconds,) = struct.unpack_from("I", information, 68)  # tcpi_rtt of linux/tcp.h
    return float(microseconds) / 1e6


def receive_less(transport: object) -> None:
    """Let a connection receive into smaller buffers.

    asyncio's selector transport asks for 256 KiB at each read. That is above malloc's
    threshold for mapping memory, so that a read of one delta costs a mmap, a page fault
    and a munmap; 120 KiB is below it. Public by name, undocumented, and where a
    transport has no such attribute (TLS, uvloop) nothing happens.
    """
    if hasattr(transport, "max_size"):
        transport.max_size = RECEIVE_BYTES


def keep_alive_socket(address: aiohttp.connector.AddrInfoType) -> socket.socket:
    """Return a socket for address with TCP keep-alive: it probes its peer in long silences.

    A model thinks for minutes, and what stands in between (a NAT, a firewall) forgets a
    connection that says nothing. How often is set where the platform lets it be.
    """
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEP_ALIVE_IDLE),
        ("TCP_KEEPALIVE", KEEP_ALIVE_IDLE),  # macOS's name for it
        ("TCP_KEEPINTVL", KEEP_ALIVE_EVERY),
        ("TCP_KEEPCNT", KEEP_ALIVE_COUNT),
    ):
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
