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

from .alarm import Appointment, alarm_here

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


class Listener(asyncio.Protocol):
    """In the place of a connection's protocol while it waits: it notes the bytes that come.

    aiohttp reads half a head that nobody asked for and says nothing of it; nor does it say,
    of a connection that was reset, whether an answer had begun. It leaves with the first
    bytes of an answer, so that the others take no call more.

    asked: a request went out, so what comes is its answer. Else the connection is idle.
    heard: bytes came.
    """

    __slots__ = ("_protocol", "_transport", "asked", "heard")

    def __init__(self, protocol: Any, transport: Any) -> None:
        self._protocol = protocol
        self._transport = transport
        self.asked = False
        self.heard = False

    def enter(self) -> None:
        """Listen from now on: the connection is idle."""
        if not self._transport.is_closing():
            self.asked = self.heard = False
            self._transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        self.heard = True
        if self.asked:
            self._leave()
        self._protocol.data_received(data)
        # A whole head is the protocol's to tell of, or answers another user of the session.
        if not self.asked and self._protocol.should_close:
            self._leave()

    def _leave(self) -> None:
        if not self._transport.is_closing():
            self._transport.set_protocol(self._protocol)

    def eof_received(self) -> bool | None:
        keep_open: bool | None = self._protocol.eof_received()
        return keep_open

    def connection_lost(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


def _listener(transport: Any) -> Listener | None:
    """Return the listener of a connection that idles, which is open; None: nobody listens."""
    found = transport.get_protocol() if hasattr(transport, "set_protocol") else None
    return found if isinstance(found, Listener) else None


class Delivery:
    """How one request went out on a connection.

    begun: the request was about to be written.
    reused: onto a connection that an earlier one had gone out on.
    dropped: the connection had been closed by the server, or held bytes that nobody asked
        for. Nothing was written; the connection is closed.
    """

    __slots__ = (
        "_in_time",
        "_listener",
        "_protocol",
        "_session",
        "_timer",
        "_transport",
        "begun",
        "dropped",
        "reused",
    )

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._protocol: Any = None
        self._transport: Any = None
        self._listener: Listener | None = None
        self._timer: Appointment | asyncio.Handle | None = None
        self._in_time = False
        self.begun = False
        self.reused = False
        self.dropped = False

    def begin(self, writer: AbstractStreamWriter, now: float) -> None:
        """Look at the connection. Raises ConnectionResetError if it cannot be used."""
        if self.begun:  # where a middleware sends the request twice
            self.over()
        self.begun = True
        # The protocol, since transports cannot always be referenced weakly (uvloop's TLS).
        self._protocol = protocol = getattr(writer, "protocol", None)
        self._transport = transport = getattr(writer, "transport", None)
        if protocol is None or transport is None:
            return
        closing = transport.is_closing()
        listener = None if closing else _listener(transport)
        self.reused = listener is not None or self._was_used(protocol)
        if not self.reused:
            used_connections(self._session).add(protocol)
            receive_less(transport)
            return
        if listener is None and not closing and hasattr(transport, "set_protocol"):
            listener = Listener(protocol, transport)
            listener.enter()
        if closing or _holds_bytes(protocol, transport, listener):
            self.drop(transport)
            raise ConnectionResetError("the pooled connection could not be used")
        if listener is not None:
            listener.asked = True
        self._listener = listener
        self._in_time = True
        self._timer = alarm_here().call_at(now + WINDOW, self._passed)

    def _was_used(self, protocol: Any) -> bool:
        return protocol in used_connections(self._session)

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
        if protocol is None or not self._was_used(protocol):
            return False
        self.drop(protocol.transport)
        return True

    def answered(self, response: aiohttp.ClientResponse) -> None:
        """The answer begins. From its end on, the connection is listened to while it idles."""
        on_eof, transport = getattr(response.content, "on_eof", None), self._transport
        if on_eof is None or not hasattr(transport, "set_protocol"):
            return
        listener = self._listener or Listener(self._protocol, transport)
        on_eof(listener.enter)

    def over(self) -> None:
        """There is an answer or a failure; nothing more is to be found out."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._protocol = self._transport = None

    @property
    def fresh(self) -> bool:
        """True for a used connection that ended at once, before any byte of an answer.

        At once: within a round trip, so that its end may have crossed the request.
        """
        return self._in_time and (self._listener is None or not self._listener.heard)

    def _passed(self) -> None:
        """The window is over; where a round trip takes longer, that is waited for too."""
        due = asyncio.get_running_loop().time() + 2 * _round_trip(self._transport)
        self._timer = alarm_here().call_at(due, self._settle)

    def _settle(self, turns: int = TURNS) -> None:
        """A round trip is over: an end that came meanwhile is noticed in the loop's next turns."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_soon(self._settle, turns - 1) if turns else None
        self._in_time = bool(turns) or self._transport.is_closing()


def _holds_bytes(protocol: Any, transport: Any, listener: Listener | None) -> bool:
    """True if there are bytes that do not answer a request: parsed, or in the socket.

    protocol: aiohttp's, whose ``should_close`` tells of whole heads; of less the listener does.
    """
    if getattr(protocol, "should_close", False) or (listener is not None and listener.heard):
        return True
    raw = transport.get_extra_info("socket")
    number = -1 if raw is None else raw.fileno()
    if number < 0 or not hasattr(select, "poll"):
        return False
    poll = select.poll()  # not select(): that one ends at file descriptor 1,023
    poll.register(number, select.POLLIN)
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
