"""A redirect in; where to send the request next, and with what, out. No I/O."""

from __future__ import annotations

from yarl import URL

from ..errors import Hint, RedirectError
from .headers import Headers
from .masking import Secret
from .urls import parse_url, place, shown

__all__ = ["MAX_REDIRECTS", "headers_for_strangers", "target_of", "too_many"]

MAX_REDIRECTS = 10  # as browsers and aiohttp itself; a chain that long is a loop

_FOR_ANYBODY = frozenset(["accept", "accept-encoding", "content-type", "user-agent"])


def target_of(url: URL, location: str, status: int) -> URL:
    """Return where a redirect leads. Raises RedirectError where none may go."""
    target = parse_url(location, url)
    if target is None:
        raise RedirectError(f"{place(url)} redirects to {shown(location)}, which is not a URL")
    if url.scheme == "https" and target.scheme == "http":
        raise RedirectError(
            f"{place(url)} redirects to {place(target)}, which would send the messages unencrypted",
            hint=Hint("if that is wanted, give it as {option}", "base_url"),
            status=status,
        )
    if status not in (307, 308):
        raise RedirectError(
            f"{place(url)} redirects with {status} to {place(target)}, which would turn the "
            f"POST into a GET",
            hint=Hint("give the right URL as {option}", "base_url"),
            status=status,
        )
    return target


def headers_for_strangers(headers: Headers, url: URL, target: URL, *, own: bool) -> Headers:
    """Return headers for another origin, without any that the caller gave.

    own: the session adds headers of its own to every request, which cannot be held back.
    """
    if own:
        raise RedirectError(
            f"{place(url)} redirects to another origin, {place(target)}, where "
            f"the headers of your session must not go",
            hint=Hint("if you trust it, give it as {option}", "base_url"),
        )
    kept: dict[str, str | Secret] = {
        name: value for name, value in headers.items() if name.lower() in _FOR_ANYBODY
    }
    return kept


def too_many(url: URL, last: URL) -> RedirectError:
    return RedirectError(
        f"{place(url)} redirects more than {MAX_REDIRECTS} times, the last one to {place(last)}",
        hint=Hint("give the final URL as {option}", "base_url"),
    )
