"""Parts of a message: sent as the wire wants them, or refused before anything is sent."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_copilot import parts
from async_copilot.errors import InvalidRequestError
from async_copilot.parts import image_part, text_part, tool_result
from async_copilot.wire.choice import ToolCall
from async_copilot.wire.request import request_body

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF"
GIF = b"GIF89a\1\0\1\0"
WEBP = b"RIFF\x24\n\0\0WEBPVP8 "


def decoded(part: dict[str, Any]) -> tuple[str, bytes]:
    """Media type and bytes of a data URI."""
    kind, _, data = part["image_url"]["url"].removeprefix("data:").partition(";base64,")
    return kind, base64.b64decode(data, validate=True)


# ------------------------------------------------------------------ text


def test_a_text_part() -> None:
    assert text_part("Hello") == {"type": "text", "text": "Hello"}


@pytest.mark.parametrize("text", [None, 5, b"Hello", ["Hello"]])
def test_a_text_part_takes_text(text: Any) -> None:
    with pytest.raises(InvalidRequestError, match=f"not a {type(text).__name__}"):
        text_part(text)


# ------------------------------------------------------------------ images


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (GIF, "image/gif"),
        (GIF.replace(b"9", b"7"), "image/gif"),
        (WEBP, "image/webp"),
    ],
)
def test_an_images_bytes_become_a_data_uri_of_their_own_type(data: bytes, kind: str) -> None:
    for like in (data, bytearray(data), memoryview(data)):
        part = image_part(data=like)
        assert part["type"] == "image_url"
        assert list(part["image_url"]) == ["url"]
        assert decoded(part) == (kind, data)


def test_another_type_is_taken_at_the_callers_word() -> None:
    assert decoded(image_part(data=b"\0\0", media_type="image/avif")) == ("image/avif", b"\0\0")
    assert decoded(image_part(data=PNG, media_type="image/svg+xml"))[0] == "image/svg+xml"


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "ä b.png"
    file.write_bytes(PNG)
    for path in (file, str(file)):
        assert decoded(image_part(path=path)) == ("image/png", PNG)
    assert decoded(image_part(path=file, media_type="image/x"))[0] == "image/x"


@pytest.mark.parametrize(
    "url",
    ["https://example.invalid/a.png", "http://[::1]/", "data:image/png;base64,AAAA", "gs://b/o"],
)
def test_an_address_is_sent_as_it_is(url: str) -> None:
    assert image_part(url=url) == {"type": "image_url", "image_url": {"url": url}}


def test_detail_is_sent_where_given() -> None:
    part = image_part(url="https://example.invalid/", detail="low")
    assert part["image_url"]["detail"] == "low"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "one of url=, data= and path=, not none"),
        ({"url": "http://x/", "data": PNG}, "not url= and data="),
        ({"data": PNG, "path": "a.png"}, "not data= and path="),
        ({"url": 5}, "url is a int"),
        ({"url": "a.png"}, "path="),
        ({"url": "/tmp/a.png"}, "path="),  # noqa: S108  # never opened
        ({"url": "C:\\a.png"}, "path="),
        ({"url": "file:///a.png"}, "path="),
        ({"url": ""}, "path="),
        ({"url": "http://x/", "media_type": "image/png"}, "media_type goes with"),
        ({"url": "http://x/", "detail": 5}, "detail is a int"),
        ({"data": "text"}, "data is a str"),
        ({"data": b""}, "data is empty"),
        ({"data": b"BM no known image"}, "not a PNG, JPEG, GIF or WebP"),
        ({"data": b"<svg/>"}, "media_type="),
        ({"data": PNG, "media_type": "png"}, "not an image type"),
        ({"data": PNG, "media_type": "image/"}, "not an image type"),
        ({"data": PNG, "media_type": "image/png;base64,AAAA"}, "not an image type"),
        ({"data": PNG, "media_type": "text/html"}, "not an image type"),
        ({"data": PNG, "media_type": 5}, "not an image type"),
        ({"path": 5}, "path is a int"),
        ({"path": b"a.png"}, "path is a bytes"),
    ],
)
def test_anything_else_is_not_an_image(options: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        image_part(**options)
    assert why in str(caught.value)


def test_what_cannot_be_read_is_not_an_image(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    for name, why in (
        ("missing", "is not a file"),
        (".", "is not a file"),
        ("pipe", "is not a file"),
        ("nul\0", "is not a file"),
        ("empty", "is empty"),
        ("x" * 5000, "cannot be read|is not a file"),
    ):
        with pytest.raises(InvalidRequestError, match=why):
            image_part(path=tmp_path / name)


def test_a_file_that_fails_when_read_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidRequestError, match="Permission denied") as caught:
        image_part(path=file)
    assert isinstance(caught.value.__cause__, PermissionError)


def test_an_image_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_IMAGE_BYTES", len(PNG))
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    image_part(data=PNG)
    image_part(path=file)
    file.write_bytes(PNG + b"\0")
    for options in ({"data": PNG + b"\0"}, {"path": file}):
        with pytest.raises(InvalidRequestError, match="more than"):
            image_part(**options)


# ------------------------------------------------------------------ tool results


@pytest.mark.parametrize(
    ("content", "sent"),
    [("12 °C", "12 °C"), ("", ""), ({"t": "ö"}, '{"t": "ö"}'), ([1], "[1]"), (None, "null")],
)
def test_a_tools_result_is_text_or_becomes_json(content: Any, sent: str) -> None:
    assert tool_result("call_1", content) == {
        "role": "tool",
        "tool_call_id": "call_1",
        "content": sent,
    }


async def test_a_tool_call_itself_says_what_its_result_is_for() -> None:
    call = ToolCall(0, "call_7", "weather", "{}")
    assert tool_result(call, {"celsius": 12}) == {
        "role": "tool",
        "tool_call_id": "call_7",
        "content": '{"celsius": 12}',
    }


@pytest.mark.parametrize("call_id", [None, "", 5, [], {"id": "call_1"}])
def test_a_result_needs_the_id_of_its_call(call_id: Any) -> None:
    with pytest.raises(InvalidRequestError, match="a tool call, or its id"):
        tool_result(call_id, "12 °C")


@pytest.mark.parametrize("content", [object(), float("nan"), {(1,): 2}, b"bytes"])
def test_a_result_json_cannot_carry_is_refused(content: Any) -> None:
    with pytest.raises(InvalidRequestError, match="result of call_1"):
        tool_result("call_1", content)


@given(st.text(), st.binary(min_size=1, max_size=50))
def test_parts_make_a_message_that_can_be_sent(text: str, data: bytes) -> None:
    image = image_part(data=data, media_type="image/x", detail="auto")
    assert decoded(image) == ("image/x", data)
    request_body([{"role": "user", "content": [text_part(text), image]}], stream=True)
