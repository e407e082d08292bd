"""A g4f server's failure in; which provider, of what kind, and what to do out. No I/O.

Measured on 0.4.9.0, 8.1.7 and 8.8.6. A provider's failure has ``provider`` and ``model``
beside ``error``; a refusal of the server's own key has not, or says so. The first two put
the class of the exception before its message ("RateLimitError: …"); 8.8.6 hides both but
for three classes ("Request execution failed") and writes them to its terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import Hint

__all__ = ["G4FFailure", "acts_as", "g4f_failure", "near_name", "unknown_provider"]

_CLASS = re.compile(r"([A-Z]\w*(?:Error|Exception|Timeout)): ")
_OWN_KEY = re.compile(r"not authenticated|g4f api key", re.IGNORECASE)
_UNKNOWN = re.compile(r"\bProviders? not found: ([^\s:]+)$|label '([^'\s]+)' not found$")
_HIDDEN = "Request execution failed"
_LOGIN = frozenset({"MissingAuthError", "NoValidHarFileError"})
# What a pool says of each of its providers when all have failed.
_IN_A_POOL = re.compile(rf"^(\w+): (?:{'|'.join(sorted(_LOGIN))})\b", re.MULTILINE)

# The status that the newest release gives to a class; older ones give 200 or 500 to all.
_STATUS = {
    "MissingAuthError": 401,
    "NoValidHarFileError": 401,
    "PaymentRequiredError": 402,
    "ModelNotFoundError": 404,
    "ProviderNotFoundError": 404,
    "RateLimitError": 429,
}


@dataclass(frozen=True, slots=True)
class G4FFailure:
    """What g4f's form of an error says besides its message; None where it does not.

    provider: who failed.  type: the class of the exception.  hint: what to do.
    """

    provider: str | None = None
    type: str | None = None
    hint: Hint | None = None


def g4f_failure(event: Mapping[str, Any], message: str, status: int | None = None) -> G4FFailure:
    """Return what an error says besides; nothing of one in another server's form.

    event: the body of an error status, or the event of a stream.
    message: what it says, as read from it.  status: of the response, where it is an error.
    """
    error = event.get("error")
    if not isinstance(error, dict) or error.keys() != {"message"}:
        return G4FFailure(_text(event.get("provider")) if error else None)
    provider, message = _text(event.get("provider")), message.strip()
    found = _CLASS.match(message)
    kind = found[1] if found else None
    own_key = _OWN_KEY.search(message) is not None
    hint = None
    if kind in _LOGIN or (status == 401 and provider and not own_key):
        hint = _login(f"the provider {provider}" if provider else "this provider")
    elif kind == "RetryProviderError" and (names := _IN_A_POOL.findall(message)):
        hint = _login(f"the provider {' or '.join(names[:5])}")
    elif kind == "MissingRequirementsError":
        hint = Hint("install that where the g4f server runs, or use another provider")
    elif message == _HIDDEN and status in (None, 500):  # another one says enough
        hint = Hint(
            "g4f hides the reason from its clients; it is in the server's own terminal "
            "(start it with: g4f api --debug)"
        )
    return G4FFailure(provider, kind, hint)


def _login(who: str) -> Hint:
    return Hint(
        f"{who} needs a login: log in where the g4f server runs, in the browser that it opens or "
        f"by a .har file in its folder har_and_cookies, or use a provider that needs no login"
    )


def acts_as(kind: str | None, status: int | None) -> int | None:
    """Return the status that decides: that of the class where the server gave 500 to all."""
    return _STATUS.get(kind or "", status) if status in (None, 200, 500) else status


def unknown_provider(message: str) -> str | None:
    """Return the name of a provider that the server does not have, or None."""
    found = _UNKNOWN.search(message.strip())
    return (found[1] or found[2]) if found else None


def near_name(wanted: str, names: Iterable[str]) -> str | None:
    """Return the name that was most likely meant, or None."""
    import difflib  # noqa: PLC0415  # for this failure alone

    known = {name.lower(): name for name in names}
    near = difflib.get_close_matches(wanted.lower(), known, n=1, cutoff=0.6)
    return known[near[0]] if near else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
