"""Whatever aiohttp, asyncio or a socket raises becomes one of ours, and blames the right party."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from typing import Any

import aiohttp
import pytest
from aiohttp.client_exceptions import UnixClientConnectorError
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from async_copilot.errors import (
    AuthenticationError,
    ClientClosedError,
    ConnectionFailedError,
    ConnectTimeoutError,
    CopilotError,
    DisconnectedError,
    HTTPStatusError,
    InvalidHTTPError,
    InvalidRequestError,
    ServerStatusError,
    WrongLoopError,
)
from async_copilot.transport.failures import broken_body, translate
from async_copilot.transport.proxy_failures import from_socks, socks_failed

KEY = ConnectionKey("host", 80, False, True, None, None, None)
PROXY = ConnectionKey("proxy", 3128, False, True, None, None, None)
REQUEST: Any = aiohttp.RequestInfo(URL("http://p"), "CONNECT", {}, URL("http://p"))  # type: ignore[arg-type]  # enough of one


def connector(number: int, words: str = "words") -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(KEY, OSError(number, words))


def proxy(status: int) -> aiohttp.ClientHttpProxyError:
    return aiohttp.ClientHttpProxyError(REQUEST, (), status=status, message="No", headers={})  # type: ignore[arg-type]  # a mapping does


def tls(words: str, key: ConnectionKey = KEY) -> aiohttp.ClientConnectorSSLError:
    return aiohttp.ClientConnectorSSLError(key, ssl.SSLError(1, words))


def untrusted(words: str, key: ConnectionKey = KEY) -> aiohttp.ClientConnectorCertificateError:
    error = ssl.SSLCertVerificationError(1, f"[SSL] certificate verify failed: {words}")
    error.verify_message = words
    return aiohttp.ClientConnectorCertificateError(key, error)


TABLE: list[tuple[Exception, type[CopilotError]]] = [
    (connector(111, "refused"), ConnectionFailedError),
    (aiohttp.ClientConnectorDNSError(KEY, OSError("no such name")), ConnectionFailedError),
    (aiohttp.ClientProxyConnectionError(KEY, OSError(111, "refused")), ConnectionFailedError),
    (untrusted("self-signed certificate"), ConnectionFailedError),
    (tls("[SSL: WRONG_VERSION_NUMBER] wrong version number"), ConnectionFailedError),
    (aiohttp.ServerFingerprintMismatch(b"1", b"2", "host", 443), ConnectionFailedError),
    (aiohttp.ServerDisconnectedError(), DisconnectedError),
    (aiohttp.ClientOSError(104, "reset"), DisconnectedError),
    (aiohttp.ClientPayloadError("not completed"), DisconnectedError),
    (aiohttp.ClientPayloadError("Can not decode content-encoding: br"), InvalidHTTPError),
    (aiohttp.InvalidURL("http://"), InvalidRequestError),
    (aiohttp.ClientConnectionError("Connector is closed."), ClientClosedError),
    (ConnectionResetError(), DisconnectedError),
    (RuntimeError("Session is closed"), ClientClosedError),
    (RuntimeError("Connection closed."), DisconnectedError),
    (RuntimeError("got Future attached to a different loop"), WrongLoopError),
    (ValueError("no such header"), InvalidRequestError),
    (aiohttp.http.HttpProcessingError(code=400, message="bad chunk"), InvalidHTTPError),
    (aiohttp.ClientResponseError(REQUEST, (), status=400, message="bad"), InvalidHTTPError),
    (proxy(407), AuthenticationError),
    (proxy(503), ServerStatusError),
    (proxy(400), HTTPStatusError),
]


@pytest.mark.parametrize(("theirs", "ours"), TABLE, ids=lambda value: str(value)[:40])
def test_each_failure_is_one_of_ours(theirs: Exception, ours: type[CopilotError]) -> None:
    for url in (None, URL("http://host/v1"), URL("https://host/v1")):
        error = translate(theirs, url)
        assert isinstance(error, ours)
        assert str(error)


AGAIN = aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(socket.EAI_AGAIN, "later"))


@pytest.mark.parametrize(
    ("theirs", "passing"),
    [
        (connector(111, "refused"), True),
        (aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(socket.EAI_NONAME, "no")), False),
        (AGAIN, True),
        (untrusted("certificate has expired"), False),
        (tls("wrong version number"), False),
        (aiohttp.ServerFingerprintMismatch(b"1", b"2", "host", 443), False),
        (aiohttp.ClientProxyConnectionError(KEY, OSError(111, "refused")), True),
        (connector(errno.EMFILE), True),
    ],
)
def test_only_what_may_pass_is_worth_another_try(theirs: Exception, passing: bool) -> None:
    error = translate(theirs)
    assert isinstance(error, ConnectionFailedError)
    assert error.passing is passing


@pytest.mark.parametrize(
    ("theirs", "party", "says"),
    [
        (connector(111), "server", "host"),
        (
            aiohttp.ClientProxyConnectionError(KEY, OSError(111, "refused")),
            "proxy",
            "proxy host:80",
        ),
        (connector(errno.EMFILE), "machine", "open files"),
        (OSError(errno.EMFILE, "Too many open files"), "machine", "ulimit"),
        (connector(errno.EADDRNOTAVAIL), "machine", "free port"),
        (connector(errno.ENETUNREACH), "machine", "network"),
        (connector(errno.EPERM), "machine", "firewall"),
    ],
)
def test_the_party_that_failed_is_named(theirs: Exception, party: str, says: str) -> None:
    error = translate(theirs, URL("http://host/v1"))
    assert isinstance(error, ConnectionFailedError)
    assert error.party == party
    assert says in str(error)


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        (aiohttp.ClientConnectorDNSError(PROXY, socket.gaierror(-2, "no")), ["no_proxy"]),
        (untrusted("self-signed certificate", PROXY), ["certificate of the proxy", "ssl"]),
        (tls("wrong version number", PROXY), ["does not answer with TLS", "no_proxy"]),
    ],
)
def test_a_connection_to_another_than_the_server_is_the_proxys(
    theirs: Exception, says: list[str]
) -> None:
    error = translate(theirs, URL("https://host/v1"))
    assert isinstance(error, ConnectionFailedError)
    assert error.party == "proxy"
    for words in ["proxy:3128", "https://host/v1", *says]:
        assert words in str(error)


def socks(name: str, *args: Any, module: str = "aiohttp_socks._errors", **more: Any) -> Exception:
    error: Exception = type(name, (Exception,), {"__module__": module, **more})(*args)
    return error


@pytest.mark.parametrize(
    ("theirs", "kind", "passing"),
    [
        (socks("ProxyConnectionError", "refused"), ConnectionFailedError, True),
        (
            socks("ProxyError", "no acceptable way in", error_code=None),
            ConnectionFailedError,
            False,
        ),
        (socks("ProxyError", "host unreachable", error_code=4), ConnectionFailedError, True),
        (socks("ProxyError", "not allowed", error_code=2), ConnectionFailedError, False),
        (socks("ProxyTimeoutError", module="python_socks"), ConnectTimeoutError, None),
        (asyncio.IncompleteReadError(b"", 2), ConnectionFailedError, True),
    ],
)
def test_a_socks_proxys_failures_are_ours(
    theirs: Exception, kind: type[CopilotError], passing: bool | None
) -> None:
    assert from_socks(theirs)
    error = socks_failed(theirs, "http://host/v1")
    assert isinstance(error, kind)
    assert "the SOCKS proxy did not lead to http://host/v1" in str(error)
    assert getattr(error, "passing", None) is passing
    assert getattr(error, "party", "proxy") == "proxy"


def test_what_a_middleware_raises_is_not_socks() -> None:
    assert not from_socks(KeyError("theirs"))


def test_a_proxy_that_lets_nobody_through_says_how_to_go_around_it() -> None:
    assert "add host to no_proxy" in str(translate(proxy(403), URL("https://host/v1")))


def test_a_proxys_own_status_is_the_proxys() -> None:
    error = translate(proxy(407), URL("https://host/v1"))
    assert "the proxy on the way to https://host/v1" in str(error)
    assert error.status == 407


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        (
            untrusted("self-signed certificate in certificate chain"),
            ["self-signed", "SSL_CERT_FILE"],
        ),
        (untrusted("certificate has expired"), ["expired", "clock"]),
        (
            untrusted("Hostname mismatch, certificate is not valid for 'host'."),
            ["name", "base_url"],
        ),
        (tls("[SSL: WRONG_VERSION_NUMBER] wrong version number"), ["http://", "base_url"]),
        (tls("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED]"), ["certificate", "ssl"]),
        (tls("[SSL: SOMETHING]"), ["TLS", "SOMETHING", "http://"]),
        (tls("[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE]"), ["HANDSHAKE_FAILURE", "ciphers", "ssl"]),
        (tls("[SSL: UNSUPPORTED_PROTOCOL]"), ["allow a TLS version"]),
        (tls("[SSL: TLSV1_ALERT_UNKNOWN_CA]"), ["refuses the certificate of this client", "ssl"]),
        (aiohttp.ClientConnectorError(KEY, ConnectionResetError(104, "reset")), ["http://"]),
    ],
)
def test_a_failure_of_tls_says_whose_what_and_the_fix(theirs: Exception, says: list[str]) -> None:
    error = translate(theirs, URL("https://host:80/v1"))
    for words in ["host", *says]:
        assert words in str(error)


def test_a_certificate_asked_for_after_the_handshake_is_told_too() -> None:
    """In TLS 1.3 the alert comes when the first bytes are read."""
    theirs = aiohttp.ClientOSError(
        1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] certificate required"
    )
    theirs.__cause__ = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED]")
    error = translate(theirs, URL("https://host/v1"))
    assert isinstance(error, ConnectionFailedError)
    assert "wants a certificate" in str(error)


def test_a_unix_socket_is_named_by_its_path() -> None:
    theirs = UnixClientConnectorError("/run/g4f.sock", KEY, FileNotFoundError(2, "no"))
    assert "cannot connect to the Unix socket /run/g4f.sock" in str(
        translate(theirs, URL("http://localhost/v1"))
    )


def test_a_connection_that_closes_while_it_is_written_to_says_so() -> None:
    theirs = aiohttp.ClientOSError(None, "Can not write request body for http://host/v1?key=1")
    error = translate(theirs, URL("http://host/v1?key=1"))
    assert "(it was closed while the request was sent)" in str(error)


TLS_ALERT = "400, message:\n  Expected HTTP/, RTSP/ or ICE/:\n\n    b'\\x15\\x03\\x03\\x00'"


def test_an_answer_in_tls_to_http_says_so() -> None:
    theirs = aiohttp.ClientResponseError(REQUEST, (), status=400, message=TLS_ALERT)
    assert "https://" in str(translate(theirs, URL("http://host/v1")))
    assert "TLS" in str(translate(theirs, URL("http://host/v1")))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("<TransferEncodingError: 400, message='Not enough data'>", "mid-chunk, after 1,234 bytes"),
        ("<ContentLengthError: 400, message='Not enough data'>", "1,234 bytes of the 5000"),
        ("something else", "broke after 1,234 bytes"),
    ],
)
def test_a_body_that_broke_is_told_in_plain_words(words: str, says: str) -> None:
    theirs = aiohttp.ClientPayloadError(f"Response payload is not completed: {words}")
    error = broken_body(theirs, "http://host/v1", count=1234, length="5000")
    assert says in str(error)
    assert "Error:" not in str(error)
    assert "400" not in str(error)
