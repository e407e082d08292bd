"""Certificates for the tests, of an authority that is made when they run. I/O: a folder's files.

In: nothing. Out: contexts for servers and clients that trust each other and nobody else.
"""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import trustme

__all__ = ["authority", "authority_file", "client_context", "server_context"]


@cache
def authority() -> trustme.CA:
    """One authority for the whole run, which no machine trusts."""
    return trustme.CA()


@cache
def server_context(*names: str, client_certificate: bool = False) -> ssl.SSLContext:
    """A server's context with a certificate for names, localhost by default."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(*(names or ("localhost", "127.0.0.1"))).configure_cert(context)
    if client_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        authority().configure_trust(context)
    return context


@cache
def client_context() -> ssl.SSLContext:
    """A client's context that trusts the authority."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


def authority_file(folder: Path) -> Path:
    """The authority's certificate as a file in folder."""
    file = folder / "ca.pem"
    authority().cert_pem.write_to_path(file)
    return file
