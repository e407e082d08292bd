"""Text, image bytes and tool results in; the parts of a message out. I/O: image_part(path=) alone.

Shapes from the OpenAI API reference ("Create chat completion": text and image content
parts, the tool message), which g4f, vLLM, llama.cpp, Ollama, OpenRouter, Mistral and
Gemini's compatible endpoint share::

    message = {"role": "user", "content": [text_part("What is this?"), image_part(path="a.png")]}
"""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

from .errors import Hint, InvalidRequestError
from .wire.choice import ToolCall

__all__ = ["MAX_IMAGE_BYTES", "image_part", "text_part", "tool_result"]

# The most that any documented server takes: OpenAI's bound for the images of one request.
MAX_IMAGE_BYTES = 50 * 10**6

# How the four image types begin that every documented vision server takes.
_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
)
_MEDIA_TYPE = re.compile(r"image/[A-Za-z0-9][A-Za-z0-9.+-]*")
_SCHEME = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+:")  # two letters: C:\ is not a scheme


def text_part(text: str) -> dict[str, Any]:
    """Return a text part. Raises InvalidRequestError if text is not a str."""
    if not isinstance(text, str):
        raise InvalidRequestError(f"text_part() takes a str, not {_kind(text)}")
    return {"type": "text", "text": text}


def image_part(
    *,
    url: str | None = None,
    data: bytes | bytearray | memoryview | None = None,
    path: str | os.PathLike[str] | None = None,
    media_type: str | None = None,
    detail: str | None = None,
) -> dict[str, Any]:
    """Return an image part, of exactly one of url, data and path.

    url: where the server fetches the image itself, or a ``data:`` URI; sent as it is.
    data: the bytes of an image file, up to MAX_IMAGE_BYTES; sent as a data URI, a third
        larger. The type is read from its first bytes (PNG, JPEG, GIF, WebP).
    path: a file of such bytes, read here and now. That blocks, for a few milliseconds
        on a local disk; from anywhere slower, inside an event loop, call
        ``await asyncio.to_thread(image_part, path=path)``.
    media_type: such as "image/avif", for data and path of another type.
    detail: "low", "high" or "auto", where the server knows it; by default not sent.

    Raises InvalidRequestError for anything else, and for a file that cannot be read.
    """
    given = {"url": url, "data": data, "path": path}
    names = [f"{name}=" for name, value in given.items() if value is not None]
    if len(names) != 1:
        raise InvalidRequestError(
            f"image_part() takes one of url=, data= and path=, not {' and '.join(names) or 'none'}"
        )
    if url is None:
        content = _bytes_of(data) if path is None else _bytes_at(path)
        encoded = base64.b64encode(content).decode("ascii")
        url = f"data:{_media_type(content, media_type)};base64,{encoded}"
    else:
        _check_url(url, media_type)
    image = {"url": url}
    if detail is not None:
        if not isinstance(detail, str):
            raise InvalidRequestError(
                f"detail is {_kind(detail)}", hint=Hint('give "low", "high" or "auto"')
            )
        image["detail"] = detail
    return {"type": "image_url", "image_url": image}


def tool_result(call: ToolCall | str, content: Any) -> dict[str, Any]:
    """Return the message that answers a tool call.

    ::

        results = [tool_result(call, run(call.name, call.arguments)) for call in reply.tool_calls]
        reply = await chat.ask(results)

    call: a ToolCall of ``reply.tool_calls``, or its id.
    content: a str is sent as it is, anything else as its JSON text.

    Raises InvalidRequestError for an id that is missing, as some servers leave it out,
    and for content that JSON cannot carry.
    """
    call_id = call.id if isinstance(call, ToolCall) else call
    if not isinstance(call_id, str) or not call_id:
        raise InvalidRequestError(
            f"tool_result() needs a tool call, or its id, not {call_id!r}",
            hint=Hint(
                "for a server that gives none, put one of your own into the call and its result"
            ),
        )
    if not isinstance(content, str):
        try:
            content = json.dumps(content, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidRequestError(
                f"the result of {call_id} cannot be written as JSON ({error})",
                hint=Hint("give a str"),
            ) from error
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def _check_url(url: str, media_type: str | None) -> None:
    if not isinstance(url, str):
        raise InvalidRequestError(f"url is {_kind(url)}", hint=Hint("give a str"))
    if not _SCHEME.match(url):
        raise InvalidRequestError(
            f"url={url[:80]!r} is not a URL that a server could fetch",
            hint=Hint("give a file of yours as {option}", "path="),
        )
    if media_type is not None:
        raise InvalidRequestError(
            "media_type goes with data= or path=",
            hint=Hint("leave it out: a url says its own type"),
        )


def _bytes_of(data: object) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise InvalidRequestError(
            f"data is {_kind(data)}",
            hint=Hint("give the bytes of an image file, or its address as {option}", "url="),
        )
    return _checked(bytes(data), "data")


def _bytes_at(path: object) -> bytes:
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidRequestError(f"path is {_kind(path)}", hint=Hint("give a str or a Path"))
    file = Path(path)
    data = b""
    try:
        # A pipe or device could block, or never end.
        regular = file.is_file()
        if regular:
            with file.open("rb") as opened:
                data = opened.read(MAX_IMAGE_BYTES + 1)
    except OSError as error:
        raise InvalidRequestError(
            f"path={str(file)!r} cannot be read ({error.strerror})"
        ) from error
    if not regular:
        raise InvalidRequestError(f"path={str(file)!r} is not a file")
    return _checked(data, f"path={str(file)!r}")


def _checked(data: bytes, what: str) -> bytes:
    if not data:
        raise InvalidRequestError(f"{what} is empty", hint=Hint("give an image"))
    if len(data) > MAX_IMAGE_BYTES:
        raise InvalidRequestError(
            f"{what} holds more than {MAX_IMAGE_BYTES:,} bytes, more than servers accept",
            hint=Hint("scale the image down, or give its address as {option}", "url="),
        )
    return data


def _media_type(data: bytes, media_type: str | None) -> str:
    if media_type is None:
        for signature, known in _SIGNATURES:
            if signature.match(data):
                return known
        raise InvalidRequestError(
            f"this is not a PNG, JPEG, GIF or WebP (it begins {data[:12]!r})",
            hint=Hint("if it is an image, give its type as {option}", "media_type="),
        )
    if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type):
        raise InvalidRequestError(
            f"media_type={media_type!r} is not an image type",
            hint=Hint('it looks like "image/png"'),
        )
    return media_type


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"
