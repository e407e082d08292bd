"""A proxy that writes what a server really sent. I/O: aiohttp, and one file.

In: requests, and the URL of a real server. Out: that server's answers, byte for byte, and a
cassette of them (see ``cassette``). Keys and cookies are masked in what is written: by
header, by name in a query and in a JSON body, and by their value wherever it comes again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from .cassette import VERSION, Cassette, Take, lines_of
from .request import Request

__all__ = ["Recorder"]

_LOG = logging.getLogger("async_copilot.fake_server")
_STRUCK = "struck-out"
_SECRET = re.compile(
    r"auth|api.?key|token|secret|cookie|password|credential|signature", re.IGNORECASE
)
# Names like max_tokens and token counts are not secrets.
_HARMLESS = re.compile(r"tokens|ratelimit|token_count|tokenizer", re.IGNORECASE)
# Of one connection (RFC 9110 section 7.6.1), or made anew for the other one.
_HOP = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
        *("upgrade", "host", "content-length", "accept-encoding"),
    )
)
# Beyond this an answer is still passed on, but no longer written.
MAX_BYTES = 64 * 2**20


class Recorder:
    """A script that asks a real server and writes down what it sends.

    url:  its base URL, as a client would be given it: ``http://localhost:1337/v1``.
    file: the cassette; recordings are added to one that is there.

    The real server is asked for an uncompressed body, so that the cassette can be read.
    Raises ValueError for a URL that is not one of HTTP, CassetteError where the file is there
    and is not a cassette.
    """

    def __init__(self, url: str, file: str | Path) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r}: must be a URL such as http://localhost:1337/v1")
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._base = parts.path.rstrip("/")
        self.file = Path(file)
        if self.file.exists() and self.file.stat().st_size:
            Cassette(self.file)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Opens the file and a session of its own."""
        with self.file.open("a", encoding="utf-8", newline="\n") as file:
            if not file.tell():
                file.write(json.dumps({"cassette": VERSION}) + "\n")
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30.0),
        )

    async def stop(self) -> None:
        """Closes the session."""
        if self._session is not None:
            await self._session.close()

    async def pass_on(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        """The real server's answer to this request."""
        if self._session is None:  # pragma: no cover  # FakeServer starts it first
            raise RuntimeError("the recorder is not started")
        url = self._origin + self._path(http.path_qs)
        headers = CIMultiDict(
            (name, value) for name, value in http.headers.items() if name.lower() not in _HOP
        )
        headers["Accept-Encoding"] = "identity"
        started = time.monotonic()
        try:
            upstream = await self._session.request(
                http.method,
                url,
                data=request.raw or None,
                headers=headers,
                skip_auto_headers=("Accept", "Content-Type", "User-Agent"),
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError) as error:
            _LOG.warning("cannot reach %s: %s", self._origin, error)
            text = f"the recorder cannot reach {self._origin}: {error}"
            return web.json_response({"error": {"message": text}}, status=502)
        async with upstream:
            taken = _Taking(http, request, upstream, started)
            try:
                return await taken.pass_on()
            finally:
                self._write(taken.take())

    def _path(self, path: str) -> str:
        """The path at the real server: its own base in place of ours."""
        return self._base + path.removeprefix("/v1") if path.startswith("/v1") else path

    def _write(self, take: Take) -> None:
        with self.file.open("a", encoding="utf-8", newline="\n") as file:
            file.writelines(lines_of(take))


class _Taking:
    """One answer while it passes."""

    def __init__(
        self,
        http: web.BaseRequest,
        request: Request,
        upstream: aiohttp.ClientResponse,
        started: float,
    ) -> None:
        self._http = http
        self._request = request
        self._upstream = upstream
        self._started = started
        self._at = time.monotonic() - started
        self._reads: list[tuple[float, bytes]] = []
        self._size = 0
        self._end = "left"
        # As they came: the parsed ones have their well-known names rewritten.
        sent = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in upstream.raw_headers
        ]
        kept = _HOP - {"content-length"}
        self._headers = [(name, value) for name, value in sent if name.lower() not in kept]

    async def pass_on(self) -> web.StreamResponse:
        headers = CIMultiDict(self._headers)
        response = web.StreamResponse(status=self._upstream.status, headers=headers)
        self._request.status = self._upstream.status
        await response.prepare(self._http)
        try:
            while block := await self._upstream.content.readany():
                self._keep(block)
                await response.write(block)
        except (aiohttp.ClientError, asyncio.IncompleteReadError):
            self._end = "cut"
            if self._http.transport is not None:  # pragma: no branch  # None: it has left just now
                self._http.transport.close()
            return response
        await response.write_eof()
        self._end = "complete"
        return response

    def _keep(self, block: bytes) -> None:
        self._size += len(block)
        if self._size <= MAX_BYTES:
            self._reads.append((time.monotonic() - self._started, block))
        else:
            _LOG.warning("an answer is longer than %d bytes: its rest is not written", MAX_BYTES)

    def take(self) -> Take:
        """What came, without its secrets."""
        secrets = _secrets(self._http, self._upstream)
        sizes = [len(data) for _, data in self._reads]
        body = b"".join(data for _, data in self._reads)
        for secret in secrets:  # as long as before, so that lengths stay true
            body = body.replace(secret.encode(), b"x" * len(secret.encode()))
        reads, start = [], 0
        for (at, _), size in zip(self._reads, sizes, strict=True):
            reads.append((at, body[start : start + size]))
            start += size
        return Take(
            method=self._http.method,
            path=self._http.path,
            asked=_harmless(self._request.asked, secrets),
            sent={
                name: _harmless(value, secrets, name)
                for name, value in self._http.headers.items()
                if name.lower() not in _HOP
            },
            status=self._upstream.status,
            headers=tuple((name, _harmless(value, secrets, name)) for name, value in self._headers),
            at=self._at,
            reads=tuple(reads),
            end=self._end if self._size <= MAX_BYTES else "cut",
        )


def _is_secret(name: str) -> bool:
    return bool(_SECRET.search(name)) and not _HARMLESS.search(name)


def _secrets(http: web.BaseRequest, upstream: aiohttp.ClientResponse) -> list[str]:
    """The values of keys and cookies, which may come again in a body."""
    named = [*http.headers.items(), *upstream.headers.items(), *http.query.items()]
    values = [value.split()[-1] for name, value in named if _is_secret(name) and value.strip()]
    return sorted({value for value in values if len(value) >= 8}, key=len, reverse=True)


def _harmless(value: Any, secrets: list[str], name: str = "") -> Any:
    """A header, or the JSON of a request, with its secrets masked."""
    if isinstance(value, dict):
        return {key: _harmless(inner, secrets, str(key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_harmless(inner, secrets) for inner in value]
    if not isinstance(value, str):
        return value
    if name and _is_secret(name):
        return _STRUCK
    for secret in secrets:
        value = value.replace(secret, _STRUCK)
    return value
