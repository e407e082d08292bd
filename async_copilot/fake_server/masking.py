"""Keys, cookies and passwords, found and masked in what is written. No I/O.

They are known by the names of headers, of parameters in a query and of fields in JSON; what such
a name holds is masked wherever it comes again.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote

__all__ = ["mask_bytes", "mask_header", "mask_json", "secrets_of"]

_MASK = "struck-out"
_SECRET = re.compile(
    r"auth|key$|token|secret|cookie|passw|pwd|credential|signature|^sig$|session|jwt|bearer",
    re.IGNORECASE,
)
# Names like max_tokens and token counts are not secrets.
_HARMLESS = re.compile(
    r"tokens|ratelimit|token_count|tokenizer|cache.?key|^authors?$", re.IGNORECASE
)
_PARAMETER = re.compile(r"(?<=[?&])([^=&#\s]+)=([^&#\s]+)")
# A shorter one is too likely to stand in a text by chance.
_LEAST = 8


def secrets_of(named: Iterable[tuple[str, str]], asked: Any = None) -> list[str]:
    """The values of keys and cookies, the longest first.

    named: headers and parameters. asked: the JSON of a request.
    """
    found = {*_named(named), *_in_json(asked, secret=False)}
    return sorted({one for one in found if len(one) >= _LEAST}, key=len, reverse=True)


def mask_bytes(body: bytes, secrets: Iterable[str]) -> bytes:
    """A body without them, as long as before, so that lengths stay true."""
    for secret in secrets:
        for form in {secret, json.dumps(secret)[1:-1], quote(secret, safe="")}:
            data = form.encode("utf-8", "surrogateescape")
            body = body.replace(data, b"x" * len(data))
    return body


def mask_header(name: str, value: str, secrets: Iterable[str]) -> str:
    """A header's value without them."""
    if _is_secret(name):
        return _MASK

    def parameter(found: re.Match[str]) -> str:
        return f"{found[1]}={_MASK}" if _is_secret(found[1]) else found[0]

    return _without(_PARAMETER.sub(parameter, value), secrets)


def mask_json(value: Any, secrets: Iterable[str], *, secret: bool = False) -> Any:
    """A JSON value without them; ``secret``: it stands under the name of one."""
    if isinstance(value, dict):
        return {
            key: mask_json(inner, secrets, secret=secret or _is_secret(key))
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [mask_json(inner, secrets, secret=secret) for inner in value]
    if secret and not isinstance(value, bool | None):
        return _MASK
    return _without(value, secrets) if isinstance(value, str) else value


def _is_secret(name: str) -> bool:
    return bool(_SECRET.search(name)) and not _HARMLESS.search(name)


def _without(value: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        value = value.replace(secret, _MASK)
    return value


def _named(named: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in named:
        query = value.partition("?")[2].partition("#")[0]
        yield from (text for key, text in parse_qsl(query) if _is_secret(key))
        if not _is_secret(name):
            continue
        kind, _, last = value.strip().rpartition(" ")
        if name.lower() == "set-cookie":
            yield value.partition(";")[0].partition("=")[2]
        elif name.lower() == "cookie":
            yield from (part.partition("=")[2].strip() for part in value.split(";"))
        else:
            yield last
        if kind.lower() == "basic":
            yield _password(last)


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode().partition(":")[2]
    except ValueError:
        return ""


def _in_json(value: Any, *, secret: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _in_json(inner, secret=secret or _is_secret(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _in_json(inner, secret=secret)
    elif secret and isinstance(value, str):
        yield value
