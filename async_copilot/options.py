"""Options in; the same checked, or refused with the right spelling.

A client, a conversation and a call check their options here, so that one that cannot work
is reported where it is given, and an option never becomes a field of the request.
"""

from __future__ import annotations

import enum
import re
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import aiohttp

from .errors import Hint, InvalidRequestError
from .observer import Observer
from .transport.clocks import Timeouts
from .wire.history import Echo

__all__ = [
    "UNSET",
    "Defaults",
    "Memory",
    "Unset",
    "check_call",
    "check_messages",
    "check_options",
    "refuse_options",
    "request_fields",
]

Memory: TypeAlias = Literal["server", "client"]
"""Who remembers: a g4f server, or the conversation, which sends the history each time."""


class Unset(enum.Enum):
    """The type of UNSET."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return self.name


UNSET: Final = Unset.UNSET
"""Nothing was said, so the client's setting counts; None says that nothing is to be sent."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a client's requests ask for, unless a call or its conversation says otherwise.

    provider: UNSET means "Copilot" where the server remembers, None where the client does.
    """

    model: str | None = ""
    provider: str | Unset | None = UNSET
    memory: Memory = "server"

    def provider_with(self, memory: Memory) -> str | None:
        """Return the provider of a conversation that is remembered in this way."""
        if self.provider is not UNSET:
            return self.provider
        return "Copilot" if memory == "server" else None


# ------------------------------------------------------------------ what each one must be


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_truth(value: object) -> bool:
    return isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_session(value: object) -> bool:
    # Not isinstance: doubles and wrappers of a session do as well, as long as they can post.
    return not isinstance(value, type) and callable(getattr(value, "post", None))


def _is_response(value: object) -> bool:
    return hasattr(value, "content") and hasattr(value, "status")  # what is needed of a double


def _is_fillable(value: object) -> bool:
    return hasattr(value, "begin_again")  # a Reply, which this module cannot import


def _is_tls(value: object) -> bool:
    if isinstance(value, ssl.SSLContext):
        return value.protocol is not ssl.PROTOCOL_TLS_SERVER
    return isinstance(value, bool | aiohttp.Fingerprint)


def _is_extra(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, value)) and "messages" not in value


_RULES: dict[str, tuple[Callable[[object], bool], str]] = {
    "api_key": (lambda key: bool(key) and _is_text(key), "a str that is not empty, or None"),
    "model": (_is_text, "a name, or None to send none"),
    "provider": (
        lambda value: value is UNSET or _is_text(value),
        'a name, or None to send none; OpenRouter\'s object goes into extra={"provider": {...}}',
    ),
    "memory": (lambda value: value in get_args(Memory), '"server" (g4f) or "client"'),
    "system": (_is_text, "a str"),
    "keep_partial": (_is_truth, "True or False"),
    "echo_reasoning": (lambda value: value in get_args(Echo), '"tools", "always" or "never"'),
    "max_transcript": (_is_count, "a number of characters, 0 for no transcript"),
    "session": (_is_session, "an aiohttp.ClientSession"),
    "timeouts": (lambda value: isinstance(value, Timeouts), "such as Timeouts(total=30)"),
    "max_retries": (_is_count, "a whole number, 0 for no retries"),
    "max_event_bytes": (lambda value: _is_count(value) and bool(value), "a whole number above 0"),
    "strict": (_is_truth, "True or False"),
    "headers": (lambda value: isinstance(value, Mapping), 'a dict such as {"X-Team": "us"}'),
    "max_connections": (_is_count, "a whole number, 0 for no limit"),
    "observer": (lambda value: isinstance(value, Observer), "an instance of an Observer"),
    "ssl": (_is_tls, "an ssl.SSLContext for clients, an aiohttp.Fingerprint, True or False"),
    "n": (lambda value: _is_count(value) and bool(value), "the n of the request, 1 or more"),
    "response": (_is_response, "an open response: async with session.post(...) as response"),
    "reply": (_is_fillable, "a fresh Reply()"),
    "unshared": (_is_truth, "True or False"),
    "split_think": (_is_truth, "True or False"),
    "stream": (_is_truth, "True, or False for the answer in one piece"),
    "extra": (_is_extra, 'the fields to send, such as {"timeout": 5}, without the messages'),
}

# Client's and conversation's options for which None has a meaning; on a call it always has:
# the client's own setting counts.
_MAY_BE_NONE = {
    *("api_key", "model", "provider", "system", "session", "headers", "observer", "reply"),
}


def check_options(**given: Any) -> None:
    """Check options of a client or a conversation. Raises InvalidRequestError."""
    for name, value in given.items():
        if (value is not None or name not in _MAY_BE_NONE) and not _RULES[name][0](value):
            raise _unfit(name, value)


def _unfit(name: str, value: object) -> InvalidRequestError:
    shown = f"a {type(value).__name__}"
    if name not in ("api_key", "headers", "extra"):  # which hold secrets
        shown = repr(value)[:80]
    elif not value:
        shown = "empty"
    return InvalidRequestError(f"{name} is {shown}", hint=Hint(f"give {_RULES[name][1]}"))


# ------------------------------------------------------------------ what is not a call's

# And the fields of the request whose types are known here.
_OF_A_CALL = {
    *("timeouts", "max_retries", "strict", "headers", "observer", "unshared", "split_think"),
    *("extra", "model", "provider", "stream"),
}

# What to do instead, and the names it is for: options of the client and of a conversation,
# then how openai, litellm, httpx, aiohttp and requests spell what is an option here.
_INSTEAD = {
    "give it to CopilotClient({name}=...)": (
        "api_key base_url max_connections max_event_bytes session ssl"
    ),
    "give it to client.conversation({name}=...)": (
        "echo_reasoning keep_partial max_transcript memory"
    ),
    'give it to client.conversation(system=...), or as a message {"role": "system", ...}': (
        "instructions system system_message system_prompt"
    ),
    "Conversation.from_dict() goes on with a saved one; client.stream() takes a list": "history",
    "use timeouts=, such as timeouts=Timeouts(total=30)": (
        "after_finish conn_timeout connect connect_timeout first_text read_timeout request_timeout "
        "silence sock_connect sock_read stall stream_timeout timeout timeout_seconds total "
        "total_timeout"
    ),
    "use max_retries=": (
        "max_attempts max_retry num_retries retries retry retry_attempts retry_on retry_policy"
    ),
    "use headers=": "default_headers extra_headers header idempotency_key user_agent",
    'use headers={"OpenAI-Organization": ..., "OpenAI-Project": ...}': "organization project",
    "use observer=": "callback callbacks event_hooks hooks on_token trace_configs",
    "use response_format=": "response_model",
    "give fields by name, or extra={...}": "body data extra_body json",
    "put a query into base_url": "api_version default_query extra_query params query",
    "give it as the first argument of a call": "message messages",
    "give it to CopilotClient(api_key=...)": (
        "access_token azure_ad_token azure_ad_token_provider bearer bearer_token token"
    ),
    "give it to CopilotClient(base_url=...)": (
        "api_base azure_deployment azure_endpoint endpoint host openai_api_base url"
    ),
    "give it to CopilotClient(ssl=...)": (
        "ca_bundle cafile cert fingerprint insecure server_hostname ssl_context ssl_verify verify "
        "verify_ssl"
    ),
    "give it to CopilotClient(max_connections=...)": "limit_per_host limits pool_limits",
    "use the logger async_copilot, by logging.getLogger()": "log_level logger",
    "give it to an aiohttp.ClientSession, and give that to CopilotClient(session=...)": (
        "allow_redirects auth auto_decompress client connector connector_owner cookie_jar cookies "
        "follow_redirects http1 http2 http_client keepalive_timeout local_addr loop max_field_size "
        "max_line_size max_redirects middlewares mounts proxies proxy proxy_auth proxy_headers "
        "raise_for_status read_bufsize request_class response_class skip_auto_headers "
        "trace_request_ctx transport trust_env use_proxy"
    ),
}
_NOT_ON_A_CALL = {name: fix for fix, names in _INSTEAD.items() for name in names.split()}
_OF_A_CLIENT = re.compile(r"give (?:it|that) to CopilotClient\((\w+=)\.\.\.\)")


def check_call(options: Mapping[str, Any]) -> None:
    """Check the options of a call, or of a conversation for each of its calls.

    Raises InvalidRequestError for one that cannot work, and for one that belongs elsewhere,
    which would go to the server as a field.
    """
    for name, value in options.items():
        if name in _OF_A_CALL:
            if value is not None and value is not UNSET and not _RULES[name][0](value):
                raise _unfit(name, value)
        elif name in _NOT_ON_A_CALL:
            fix = _NOT_ON_A_CALL[name].replace("{name}", name)
            raise InvalidRequestError(
                f"{name} is not an option of a request",
                hint=Hint(f'{fix}. A field of this name is sent by extra={{"{name}": ...}}'),
            )


def refuse_options(names: Iterable[str]) -> None:
    """Raise InvalidRequestError for the first of what a client has no option for."""
    for name in names:
        import difflib  # noqa: PLC0415  # for this mistake alone

        fix = "give a field of the request to each call, or to client.conversation()"
        if name in _NOT_ON_A_CALL:
            fix = _OF_A_CLIENT.sub(r"use \1", _NOT_ON_A_CALL[name].replace("{name}", name))
        elif near := difflib.get_close_matches(name, ["base_url", *_RULES], n=1):
            fix = f"did you mean {near[0]}=?"
        raise InvalidRequestError(f"CopilotClient() has no option {name}", hint=Hint(fix))


def check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    """Raise InvalidRequestError for an empty list, and for a message without a role."""
    if not messages:
        raise InvalidRequestError(
            "messages is empty", hint=Hint("give a str, or a list of at least one message")
        )
    for place, message in enumerate(messages):
        role = message.get("role")
        if not isinstance(role, str) or not role:
            what = f"the role {role!r:.80}" if "role" in message else "no role"
            raise InvalidRequestError(
                f"message {place} has {what}",
                hint=Hint('it is "user", "assistant", "system" or "tool", beside "content"'),
            )


def request_fields(
    defaults: Defaults,
    model: str | Unset | None,
    provider: str | Unset | None,
    fields: Mapping[str, Any],
    extra: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return all fields of a request but its messages; those of extra win."""
    return {
        "stream": True,
        "model": defaults.model if model is UNSET else model,
        "provider": defaults.provider_with(defaults.memory) if provider is UNSET else provider,
        **fields,
        **(extra or {}),
    }
