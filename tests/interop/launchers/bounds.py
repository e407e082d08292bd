"""Keeps a server process on this machine, and no longer there than its test run.

In: a function that hears of each refusal. Out: from then on every address that is not
loopback is refused in this process, by name and by number, and the process ends with
the one that started it, even where that was killed. I/O: none.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["end_with_parent", "stay_offline"]


def stay_offline(refused: Callable[[str], None]) -> None:
    """Patch the socket module: offline by construction, not by luck."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def refuse(host: object) -> OSError:
        refused(str(host))
        return OSError(f"offline: {host}")

    def guarded_connect(self: socket.socket, address: Any, /) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not is_here(address[0]):
            raise refuse(address[0])
        connect(self, address)

    def guarded_look_up(host: Any, *args: Any, **options: Any) -> Any:
        if not is_here(host):
            raise refuse(host)
        return look_up(host, *args, **options)

    socket.socket.connect = guarded_connect  # type: ignore[method-assign,assignment]
    socket.getaddrinfo = guarded_look_up


def is_here(host: object) -> bool:
    """Whether a host, by name or number, is this machine."""
    text = host.decode() if isinstance(host, bytes) else host
    if text in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(text)).is_loopback
    except ValueError:
        return False


def end_with_parent() -> None:
    """End this process within a second of its parent's end."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
