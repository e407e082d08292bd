"""Texts in, the same without the secrets that were sent out. No I/O."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping

from yarl import URL

from ..errors import CopilotError

__all__ = ["Mask", "Secret", "basic", "is_secret", "revealed"]

# A name is judged by its whole words: "x-portkey-provider" and "max-tokens" hold no secret.
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = frozenset(
    [
        *("apikey", "auth", "authorization", "authtoken", "bearer", "cookie", "cookies"),
        *("credential", "credentials", "hmac", "jwt", "key", "oauth", "passphrase", "passwd"),
        *("password", "pwd", "secret", "sig", "signature", "token"),
    ]
)
_SECRET_ENDS = re.compile(r"(?:api|access|auth|private|secret|session|subscription)(?:key|token)$")
# What makes a key or token of another kind, before it or behind it.
_NO_SECRET_BEFORE = frozenset(["cache", "idempotency", "partition", "public", "sort"])
_NO_SECRET_BEHIND = frozenset(["budget", "count", "email", "id", "limit", "name", "type", "user"])

_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", " ": r"\+"}

_SHORT = 8  # characters; a key such as "x" is masked only where it stands alone
_CUT = 8  # characters of a secret that an excerpt's end may have left over
_LONG_CUT = 16  # as many in the middle of a text cannot be chance


def is_secret(name: str) -> bool:
    """True for a header, or a parameter of a URL, that by its name carries credentials."""
    words = [word.lower() for word in _WORDS.findall(name) if not word.isdigit()]
    for place, word in enumerate(words):
        if word not in _SECRET_WORDS and _SECRET_ENDS.search(word) is None:
            continue
        before, behind = words[place - 1 : place], words[place + 1 : place + 2]
        if not _NO_SECRET_BEFORE.intersection(before) and not _NO_SECRET_BEHIND.intersection(
            behind
        ):
            return True
    return False


class Secret:
    """A header's value that is not shown by repr, ``vars()`` or the locals of a traceback."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "***"

    def revealed(self) -> str:
        """Return the value. It is for sending; do not keep it."""
        return self._value


def revealed(headers: Mapping[str, str | Secret]) -> dict[str, str]:
    """Return headers as they are sent. Pass them on at once; do not bind them to a name."""
    return {
        name: value.revealed() if isinstance(value, Secret) else value
        for name, value in headers.items()
    }


class Mask:
    """Replaces secrets in texts by ***: servers quote keys in their messages.

    headers: of the request; those that carry credentials, by their names, are secrets.
    urls: of the request and its proxy; their passwords, and the parameters of a query
        that by their names carry credentials, are secrets.

    A secret is found as it is, escaped for JSON, HTML or a URL, in base 64, and where an
    excerpt's end has cut it off.
    """

    def __init__(self, *headers: Mapping[str, str | Secret], urls: Iterable[URL] = ()) -> None:
        self._headers = headers
        self._urls = tuple(urls)

    def text(self, text: str) -> str:
        if not text:
            return text
        secrets = {form for secret in self._secrets() if secret for form in _forms(secret)}
        for secret in sorted(secrets, key=len, reverse=True):
            text = _strike(secret, text)
        return text

    def error(self, error: CopilotError) -> None:
        """Mask the secrets in everything an error says."""
        error.args = (self.text(error.message),)
        for name in ("body", "code", "type", "request_id"):
            value = getattr(error, name)
            if value is not None:
                setattr(error, name, self.text(value))

    def _secrets(self) -> Iterator[str]:
        for headers in self._headers:
            for name, value in headers.items():
                if isinstance(value, Secret):
                    yield from _of_header(value.revealed())
                elif is_secret(name):
                    yield from _of_header(value)
        for url in self._urls:
            if url.raw_user or url.raw_password:
                yield url.password or url.user or ""
                yield basic(url.user or "", url.password or "")
            for name, value in url.query.items():
                if is_secret(name):
                    yield value


def _of_header(value: str) -> Iterator[str]:
    """Yield the value, and what of it a server may quote alone."""
    value = value.strip()
    scheme, space, credentials = value.partition(" ")
    if not space:
        if value.lower() not in ("basic", "bearer"):  # a scheme whose key is missing
            yield value
        return
    yield value
    for part in value.split(";") if "=" in value else ():  # the cookies of one header
        cookie = part.partition("=")[2].strip()
        if len(cookie) >= _SHORT:
            yield cookie
    yield credentials.strip()
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(credentials, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return
        user, _, password = pair.partition(":")
        yield password or user


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret, and what it is in base 64 (RFC 4648, 4 and 5), without its padding."""
    yield secret
    if len(secret) >= _SHORT:
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            yield encode(secret.encode(errors="replace")).decode().rstrip("=")


def basic(user: str, password: str) -> str:
    """Return what the scheme Basic sends (RFC 7617)."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _strike(secret: str, text: str) -> str:
    """Replace secret in text, in linear time: its first characters are searched, then the rest."""
    if len(secret) < _SHORT:
        whole = "".join(map(_letter, secret))
        return re.sub(rf"(?<!\w){whole}(?!\w)", "***", text)
    start = re.compile("".join(map(_letter, secret[:_CUT])))
    if start.search(text) is None:  # nearly always; the other patterns cost ten times as much
        return text
    letters = [re.compile(_letter(letter)) for letter in secret]
    kept: list[str] = []
    done = at = 0
    while found := start.search(text, at):
        end, count = found.end(), _CUT
        while count < len(secret) and (more := letters[count].match(text, end)):
            end, count = more.end(), count + 1
        if count >= min(len(secret), _LONG_CUT) or end == len(text) or text[end] in "'\"…":
            kept += (text[done : found.start()], "***")
            done = at = end
        else:
            at = found.start() + 1
    return "".join([*kept, text[done:]])


def _letter(letter: str) -> str:
    r"""Return a pattern for a character as it is, or escaped in any of the usual ways.

    Those are ``\/``, ``\u002f``, ``\x2f``, ``%2F`` and ``&#47;``. JSON in JSON in JSON doubles its
    backslashes each time, a URL in a URL puts 25 behind each ``%``; more than eight are not read.
    """
    code = ord(letter)
    forms = [rf"\\{{1,8}}u(?i:{code:04x})"] if code < 0x10000 else []
    if code < 0x80:
        hexadecimal = f"(?i:{code:02x})"
        forms += [rf"\\{{1,8}}x{hexadecimal}", f"%(?:25){{0,8}}{hexadecimal}"]
        forms.append(f"&#(?:{code}|x{hexadecimal});")
    if letter in _NAMED:
        forms.append(_NAMED[letter])
    forms.append(rf"\\{{0,8}}{re.escape(letter)}")
    return f"(?:{'|'.join(forms)})"
