"""The pages by which a program in any language scripts a server that runs alone. No I/O.

``GET /_fake/requests`` is what was asked so far, ``POST /_fake/script`` replaces the script,
``POST /_fake/reset`` begins it again and forgets requests and conversations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .record import Record
from .script_file import script_from_json

__all__ = ["Control", "control"]

_SHOWN = ("method", "path", "model", "provider", "stream", "messages", "body", "status", "pieces")
_LATER = ("ended", "left", "dropped", "connection")


class Control(Protocol):
    """What can be done to a running server."""

    @property
    def record(self) -> Record: ...

    def script(self, script: Any) -> None: ...

    def reset(self) -> None: ...


def control(server: Control, method: str, path: str, raw: bytes) -> tuple[int, Any] | None:
    """The answer to a control request; None for any other request."""
    actions: dict[tuple[str, str], Callable[[], tuple[int, Any]]] = {
        ("GET", "/_fake/requests"): lambda: (200, _seen(server.record)),
        ("POST", "/_fake/script"): lambda: _script(server, raw),
        ("POST", "/_fake/reset"): lambda: _reset(server),
    }
    action = actions.get((method, path.rstrip("/")))
    return None if action is None else action()


def _seen(record: Record) -> Any:
    requests = [
        {name: getattr(request, name) for name in (*_SHOWN, *_LATER)} for request in record.requests
    ]
    return {"requests": requests, "unexpected": record.unexpected}


def _script(server: Control, raw: bytes) -> tuple[int, Any]:
    try:
        server.script(script_from_json(raw))
    except (TypeError, ValueError) as error:
        return 400, {"error": {"message": str(error)}}
    return 200, {"ok": True}


def _reset(server: Control) -> tuple[int, Any]:
    server.reset()
    return 200, {"ok": True}
