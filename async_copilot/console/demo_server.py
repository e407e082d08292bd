"""The server behind ``--demo``. It remembers with both kinds of ``--memory``.

Imports aiohttp.web with the fake server, so it is imported for the demo alone.
"""

from __future__ import annotations

import re

from ..fake_server import FakeAnswer, FakeServer, Request
from ..fake_server.demo import demo
from ..fake_server.request import user_texts

__all__ = ["demo_server"]

_QUESTION = re.compile(r"(?:\A|\n)User: ")  # in a history that is told in one message


def demo_server() -> FakeServer:
    """Return a server that is new in each run, so that it must be told what was said before."""
    return FakeServer(_answer, check=False)


def _answer(request: Request) -> FakeAnswer:
    *told, last = user_texts(request.messages) or [""]
    _, *questions = _QUESTION.split(last)
    if questions:
        *told, request.text = questions
    request.known = request.known or tuple(told)
    return demo(request)
