"""A proxy that writes what a server really sent. I/O: aiohttp, and one file.

In: requests, and the URL of a real server. Out: that server's answers, byte for byte, and a
cassette of them (see ``cassette``). Keys and cookies are masked in what is written (see
``masking``).
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from .cassette import VERSION, Cassette, Take, lines_of
from .guard import is_loopback
from .masking import mask_bytes, mask_header, mask_json, secrets_of
from .request import Request

__all__ = ["Recorder"]

_LOG = logging.getLogger("async_copilot.fake_server")
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

    url:  its base URL, as a client would be given it: ``http://localhost:1337/v1``. A user and
          a password in it are sent in place of the client's own ``Authorization``.
    file: the cassette; recordings are added to one that is there.

    The real server is asked for an uncompressed body, so that the cassette can be read. A
    redirect to the server's own origin is passed on as a path, so that the client stays here.
    Raises ValueError for a URL that is not one of HTTP, CassetteError where the file is there
    and is not a cassette, OSError where it cannot be written.
    """

    def __init__(self, url: str, file: str | Path) -> None:
        self.origin, self._base, self._auth = _parts(url)
        self.url = self.origin + self._base
        self.file = Path(file)
        if self.file.exists() and self.file.stat().st_size:
            Cassette(self.file)
        elif not self.file.parent.is_dir():
            raise FileNotFoundError(f"{self.file.parent}: is not a folder that is there")
        self._session: aiohttp.ClientSession | None = None

    async def start(self, port: int) -> None:
        """Opens the file and a session of its own; ``port`` is where its own server listens.

        Raises ValueError where that is the server to record.
        """
        parts = urlsplit(self.origin)
        if parts.port == port and is_loopback(parts.hostname or ""):
            raise ValueError(f"{self.origin}: is the recorder itself; give it another port")
        self._open()
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            # No limit, so that a client waits for the server alone; and the certificates that the
            # environment names now, not those of aiohttp's import.
            connector=aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context()),
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
        url = self.origin + self._path(http.path_qs)
        headers = CIMultiDict(
            (name, value) for name, value in http.headers.items() if name.lower() not in _HOP
        )
        headers["Accept-Encoding"] = "identity"
        if self._auth is not None:
            headers["Authorization"] = self._auth
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
            _LOG.warning("cannot reach %s: %s", self.origin, error)
            request.status = 502
            text = f"the recorder cannot reach {self.origin}: {error}"
            return web.json_response({"error": {"message": text}}, status=502)
        async with upstream:
            secrets = secrets_of(
                [*headers.items(), *upstream.headers.items(), *http.query.items()], request.asked
            )
            taken = _Taking(
                http, request, upstream, started=started, secrets=secrets, here=self._here
            )
            try:
                return await taken.pass_on()
            finally:
                self._write(taken.take())

    def _path(self, path: str) -> str:
        """The path at the real server: its own base in place of ours."""
        return self._base + path.removeprefix("/v1") if path.startswith("/v1") else path

    def _here(self, location: str) -> str:
        """A redirect's URL as the client of this proxy must ask for it."""
        if not location.startswith(f"{self.origin}/"):
            return location
        path = location.removeprefix(self.origin)
        inside = path.removeprefix(self._base)
        return f"/v1{inside}" if self._base and path.startswith(f"{self._base}/") else path

    def _open(self) -> None:
        """Makes the file, or ends the last line of one that was written by hand."""
        with self.file.open("a+b", buffering=0) as file:
            if not file.seek(0, os.SEEK_END):
                file.write(json.dumps({"cassette": VERSION}).encode() + b"\n")
                return
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.write(b"\n")

    def _write(self, take: Take) -> None:
        """In one write, so that two recorders on one file do not mix their lines."""
        with self.file.open("ab", buffering=0) as file:
            file.write("".join(lines_of(take)).encode())


class _Taking:
    """One answer while it passes."""

    def __init__(
        self,
        http: web.BaseRequest,
        request: Request,
        upstream: aiohttp.ClientResponse,
        *,
        started: float,
        secrets: Sequence[str],
        here: Callable[[str], str],
    ) -> None:
        self._http = http
        self._request = request
        self._upstream = upstream
        self._started = started
        self._secrets = secrets
        self._at = time.monotonic() - started
        self._reads: list[tuple[float, bytes]] = []
        self._size = 0
        self._end = "left"
        # As they came: the parsed ones have their well-known names rewritten.
        sent = [(_decoded(name), _decoded(value)) for name, value in upstream.raw_headers]
        kept = _HOP - {"content-length"}
        self._headers = [
            (name, here(value) if name.lower() == "location" else value)
            for name, value in sent
            if name.lower() not in kept
        ]

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
        secrets = self._secrets
        # As one: a secret may lie across two reads.
        body = mask_bytes(b"".join(data for _, data in self._reads), secrets)
        reads, start = [], 0
        for at, data in self._reads:
            reads.append((at, body[start : start + len(data)]))
            start += len(data)
        return Take(
            method=self._http.method,
            path=mask_header("", self._http.path, secrets),
            asked=mask_json(self._request.asked, secrets),
            sent={
                name: mask_header(name, value, secrets)
                for name, value in self._http.headers.items()
                if name.lower() not in _HOP
            },
            status=self._upstream.status,
            headers=tuple(
                (name, mask_header(name, value, secrets)) for name, value in self._headers
            ),
            at=self._at,
            reads=tuple(reads),
            end=self._end if self._size <= MAX_BYTES else "cut",
        )


def _parts(url: object) -> tuple[str, str, str | None]:
    """The origin of a base URL, its path, and the Authorization that its user stands for."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r}: must be a URL such as http://localhost:1337/v1")
    if parts.query or parts.fragment:
        raise ValueError(f"{url!r}: must be a base URL, which has no query and no fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    origin = f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")
    if parts.username is None:
        return origin, parts.path.rstrip("/"), None
    user, password = unquote(parts.username), unquote(parts.password or "")
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return origin, parts.path.rstrip("/"), f"Basic {pair}"


def _decoded(header: bytes) -> str:
    """A header as text; in RFC 9110 its bytes beyond ASCII are opaque."""
    try:
        return header.decode()
    except UnicodeDecodeError:
        return header.decode("latin-1")
