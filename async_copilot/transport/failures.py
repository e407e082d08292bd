"""An exception of aiohttp, asyncio or the socket in; one of ours out.

Each says which party failed: the server, the proxy in between, or this machine.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl

import aiohttp
from aiohttp.client_exceptions import UnixClientConnectorError
from yarl import URL

from ..errors import (
    ClientClosedError,
    ConnectionFailedError,
    CopilotError,
    DisconnectedError,
    Hint,
    InvalidHTTPError,
    InvalidRequestError,
    ReplyInUseError,
    WrongLoopError,
)
from .proxy_failures import proxy_of, refused, way_around
from .urls import place

__all__ = ["broken_body", "translate"]

# What this machine has run out of, or does not allow: no server can help it.
_LOCAL = {
    errno.EMFILE: ("this process has too many open files", "raise the limit (ulimit -n)"),
    errno.ENFILE: ("this machine has too many open files", "close some, or raise fs.file-max"),
    errno.EADDRNOTAVAIL: ("this machine has no free port left", "use fewer connections at once"),
    errno.ENOBUFS: ("this machine has no network buffers left", "use fewer connections at once"),
    errno.ENOMEM: ("this machine has no memory left", "use fewer connections at once"),
    errno.ENETUNREACH: ("this machine has no network there", "check its network"),
    errno.EACCES: ("this machine does not allow it", "check its firewall or sandbox"),
    errno.EPERM: ("this machine does not allow it", "check its firewall or sandbox"),
}
# What OpenSSL says to an answer that is not TLS.
_NO_TLS = re.compile(
    "WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|HTTP_REQUEST|UNKNOWN_PROTOCOL|PACKET_LENGTH_TOO_LONG"
    "|UNEXPECTED_MESSAGE|INVALID_ALERT|wrong version number|record layer failure"
)
_WANTS_CERTIFICATE = re.compile("CERTIFICATE_REQUIRED|certificate required", re.IGNORECASE)
_REFUSES_CERTIFICATE = re.compile(
    "ALERT_(?:UNKNOWN_CA|(?:BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_(?:REVOKED|EXPIRED|UNKNOWN))"
)
# What it says to a server that does speak TLS, in a way that the context does not allow.
_NOTHING_IN_COMMON = re.compile(
    "ALERT|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS|KEY_TOO_SMALL|LEGACY_RENEGOTIATION|SIGNATURE_TYPE"
    "|UNRECOGNIZED_NAME"
)
_WRITING = "Can not write request body"
_FRAMING = re.compile(r"Transfer ?Encoding|chunk", re.IGNORECASE)
_CONTENT_LENGTH = re.compile("Content ?Length", re.IGNORECASE)
_TLS_RECORD = re.compile(r"\\x1[4-7]\\x03|\\x03\\x0[0-4]|[\x14-\x17]\x03")


def translate(error: Exception, url: URL | None = None) -> CopilotError:
    """Return ours for an exception met on the way to url, or on the way back.

    Raise it ``from`` the original, except for aiohttp.ClientResponseError, whose repr shows
    the request's headers, and the key in them.
    """
    where = "the server" if url is None else place(url)
    # Connector errors first: the one about a certificate is a ValueError too.
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return refused(error, where, (url and url.host) or where)
    if isinstance(error, aiohttp.ClientResponseError):
        return _not_http(error, where, url)
    if isinstance(
        error,
        aiohttp.ClientConnectorError | aiohttp.ClientSSLError | aiohttp.ServerFingerprintMismatch,
    ):
        return _unreachable(error, where, url)
    if isinstance(error, ValueError | AssertionError):  # aiohttp.InvalidURL is one too
        return InvalidRequestError(f"the request to {where} cannot be sent: {_brief(error)}")
    if isinstance(error, RuntimeError):
        return _misused(str(error).lower(), where)
    if isinstance(error, aiohttp.ClientPayloadError):
        return broken_body(error, where)
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return _disconnected(error, where, url)
    return InvalidHTTPError(
        f"{where} answered with broken HTTP ({type(error).__name__}: {_brief(error)})"
    )


def broken_body(
    error: Exception, where: str = "the server", *, count: int = 0, length: str | None = None
) -> CopilotError:
    """Return ours for a body that broke; count: bytes that had come; length: of how many."""
    words = str(error)
    if "content-encoding" in words:
        return InvalidHTTPError(f"{where} sent a body that cannot be decompressed ({words[:160]})")
    came = f"after {count:,} bytes" if count else "before any byte"
    how = "reset" if "ConnectionReset" in words else "closed"
    if _CONTENT_LENGTH.search(words):
        promised = f" of the {length} it had promised" if length else ""
        return DisconnectedError(f"{where} {how} the connection {came}{promised} of its answer")
    if _FRAMING.search(words):
        return DisconnectedError(f"{where} {how} the connection in mid-chunk, {came} of its answer")
    return DisconnectedError(
        f"the connection to {where} broke {came} of its answer ({_brief(error)})"
    )


def _not_http(error: aiohttp.ClientResponseError, where: str, url: URL | None) -> InvalidHTTPError:
    words = " ".join(error.message.split())
    if url is not None and url.scheme == "http" and _TLS_RECORD.search(words):
        return InvalidHTTPError(
            f"{where} answered with TLS, not HTTP",
            hint=Hint("begin {option} with https://", "base_url"),
        )
    return InvalidHTTPError(
        f"{where} answered with broken HTTP ({words[:160] or type(error).__name__})"
    )


def _misused(words: str, where: str) -> CopilotError:
    """Return ours for a RuntimeError; only its text says what it is about."""
    if "session is closed" in words:
        return ClientClosedError(
            "the session is closed", hint=Hint("make the request before closing it")
        )
    if "loop" in words:
        return WrongLoopError(
            "the session belongs to another event loop", hint=Hint("make one in this loop")
        )
    return DisconnectedError(f"{where} closed the connection before the end of its answer")


def _disconnected(error: Exception, where: str, url: URL | None) -> CopilotError:
    if type(error) is aiohttp.ClientConnectionError and str(error) == "Connection closed":
        # What aiohttp's response says of its content once it was closed on this side.
        return ReplyInUseError("the response was left", hint=Hint("read it inside its async with"))
    if "connector is closed" in str(error).lower():
        return ClientClosedError(
            "the session is closed", hint=Hint("make the request before closing it")
        )
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return _tls_failed(error, where)
    if local := _local(error):
        return local
    hint = None
    if (
        url is not None
        and url.scheme == "http"
        and isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
    ):
        hint = Hint("if it is an https server, begin {option} with https://", "base_url")
    return DisconnectedError(
        f"the connection to {where} broke before the end of its answer ({_brief(error)})",
        hint=hint,
    )


def _unreachable(error: aiohttp.ClientError, where: str, url: URL | None) -> ConnectionFailedError:
    """Return ours for a connection that was not made: who failed, why, and what to do."""
    proxy = proxy_of(error, url)
    if proxy is not None:
        failure = _unreachable(error, f"the proxy {proxy} on the way to {where}", None)
        if failure.party == "server":
            failure.party = "proxy"
            if not isinstance(error, aiohttp.ClientConnectorCertificateError):
                failure.hint = way_around((url and url.host) or where)
        return failure
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _untrusted(error, where)
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return ConnectionFailedError(
            f"the certificate of {where} does not have the fingerprint it should have",
            hint=Hint("give the right one as {option}", "ssl"),
            passing=False,
        )
    if isinstance(error, aiohttp.ClientSSLError):
        return _tls_failed(error, where)
    if local := _local(error):
        return local
    if isinstance(error, UnixClientConnectorError):
        where = f"the Unix socket {error.path}"
    hint = Hint("check that the server runs there")
    if url is not None and url.scheme == "https" and isinstance(_reason(error), ConnectionError):
        was_refused = isinstance(_reason(error), ConnectionRefusedError)
        hint = hint if was_refused else _BEGIN_WITH_HTTP
    unknown = isinstance(error, aiohttp.ClientConnectorDNSError)
    return ConnectionFailedError(
        f"cannot connect to {where} ({_brief(error)})",
        hint=hint,
        # A name that a resolver cannot look up now (EAI_AGAIN) may be there in a moment.
        passing=not unknown or getattr(_reason(error), "errno", None) == socket.EAI_AGAIN,
    )


_BEGIN_WITH_HTTP = Hint("if it is an http server, begin {option} with http://", "base_url")


def _untrusted(error: aiohttp.ClientConnectorCertificateError, where: str) -> ConnectionFailedError:
    cause = error.certificate_error
    reason = str(getattr(cause, "verify_message", "") or cause)
    if "expired" in reason or "not yet valid" in reason:
        hint = Hint("check the clock of this machine, and have the certificate renewed")
    elif "ismatch" in reason or "not valid for" in reason:
        hint = Hint("use a name that the certificate has in {option}", "base_url")
    else:
        hint = Hint(
            "if its authority is a private one, trust it with {option}",
            "ssl=..., or SSL_CERT_FILE in the environment",
        )
    return ConnectionFailedError(
        f"the certificate of {where} cannot be verified: {reason.rstrip('.')}",
        hint=hint,
        passing=False,
    )


def _tls_failed(error: Exception, where: str) -> ConnectionFailedError:
    words = f"{_reason(error)!r} {_reason(error)} {error.__cause__}"
    if _WANTS_CERTIFICATE.search(words):
        return ConnectionFailedError(
            f"{where} wants a certificate of this client",
            hint=Hint("give a context with a certificate as {option}", "ssl"),
            passing=False,
        )
    if _NO_TLS.search(words):
        return ConnectionFailedError(
            f"{where} does not answer with TLS", hint=_BEGIN_WITH_HTTP, passing=False
        )
    what, hint = f"no TLS connection to {where}", _BEGIN_WITH_HTTP
    if _REFUSES_CERTIFICATE.search(words):
        what = f"{where} refuses the certificate of this client"
        hint = Hint("give a context with one that it trusts as {option}", "ssl")
    elif _NOTHING_IN_COMMON.search(words):
        hint = Hint("allow a TLS version and ciphers that the server has in {option}", "ssl")
    return ConnectionFailedError(f"{what} ({_brief(error)})", hint=hint, passing=False)


def _local(error: Exception) -> ConnectionFailedError | None:
    """Return ours for a failure of this machine; another attempt may succeed."""
    found = _LOCAL.get(getattr(_reason(error), "errno", None) or 0)
    if found is None:
        return None
    what, fix = found
    return ConnectionFailedError(
        f"{what} ({_brief(error)}); no connection was made", hint=Hint(fix), party="machine"
    )


def _reason(error: Exception) -> BaseException:
    return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error


def _brief(error: Exception) -> str:
    """Return an exception's own words on one line, its kind where it has none."""
    reason = _reason(error)
    text = " ".join(str(reason).split())
    if _WRITING in text:
        return "it was closed while the request was sent"
    return text[:160] or type(reason).__name__
