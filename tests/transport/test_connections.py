"""Connections of the client's own are probed in long silences; of anything else little is asked."""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from unittest import mock

import pytest
from fault_script import HELLO
from fault_server import FaultServer

from async_copilot import CopilotClient
from async_copilot.transport.connections import Delivery, keep_alive_socket


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_silent_connection_is_probed_before_a_router_forgets_it(family: int) -> None:
    made = keep_alive_socket((family, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1)))  # type: ignore[arg-type]  # a family's number does
    with made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert 0 < made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) < 60


async def test_the_clients_own_connections_are_such_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    probed: list[int] = []
    connect = asyncio.get_running_loop().sock_connect

    async def noted(made: socket.socket, address: Any) -> None:
        probed.append(made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        await connect(made, address)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", noted)
    async with FaultServer(HELLO) as server, CopilotClient(base_url=server.url) as client:
        await client.complete("Hi")
    assert probed == [1]


def test_a_platform_without_the_options_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL", "TCP_KEEPCNT"):
        monkeypatch.delattr(socket, name, raising=False)
    keep_alive_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))).close()


class Protocol:
    should_close = False


def used_again(transport: Any) -> Delivery:
    """A delivery on a connection that was used before."""
    writer = mock.Mock(protocol=Protocol(), transport=transport)
    session = mock.Mock()
    Delivery(session).begin(writer, asyncio.get_running_loop().time())
    again = Delivery(session)
    again.begin(writer, asyncio.get_running_loop().time())
    return again


async def test_a_connection_that_tells_nothing_of_its_socket_will_do() -> None:
    """A Unix socket has no round trip; a transport of another kind no socket and no protocol."""
    here, there = socket.socketpair()
    with here, there:
        for raw in (None, here):
            transport = mock.Mock(spec=["get_extra_info", "is_closing"])
            transport.is_closing.return_value = False
            transport.get_extra_info.return_value = raw
            delivery = used_again(transport)
            assert delivery.fresh
            assert not delivery.dropped
            for _ in range(1000):  # until a round trip is over
                if delivery.fresh:
                    await asyncio.sleep(0.01)
            assert not delivery.fresh
            delivery.over()


async def test_where_the_kernel_has_no_poll_and_no_figures_none_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("select.poll")
    monkeypatch.delattr(socket, "TCP_INFO")
    here, there = socket.socketpair()
    with here, there:
        delivery = used_again(mock.Mock(is_closing=lambda: False, get_extra_info=lambda _: here))
        assert delivery.fresh
        delivery.over()


async def test_a_writer_without_a_connection_is_a_doubles() -> None:
    delivery = Delivery(mock.Mock())
    delivery.begin(mock.Mock(spec=["write"]), 0.0)
    assert delivery.begun
    assert not delivery.reused
