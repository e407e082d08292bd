"""Media in the text of an answer is found, and a short line stands in its place."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_copilot.wire.media import Media, MediaText, find_media, without_media

PNG = base64.b64encode(b"\x89PNG" + bytes(96)).decode()
MP3 = base64.b64encode(bytes(2_500_000)).decode()

SHOWN = {
    f"Here: ![a cat](data:image/png;base64,{PNG}) it is.": "Here: [image/png, 100 bytes] it is.",
    f'<audio controls src="data:audio/mpeg;base64,{MP3}"></audio>\n': "[audio/mpeg, 2.5 MB]\n",
    f"<img alt='x' src='data:image/webp;base64,QUJD'/>!": "[image/webp, 3 bytes]!",  # noqa: F541
    f'<video><source src="data:video/mp4;base64,{PNG}"></video>': "<video>[video/mp4, 100 bytes]",
    f"data:image/png;base64,{PNG}": "[image/png, 100 bytes]",
    "data:audio/wav;codecs=1;base64,QUJD and": "[audio/wav, 3 bytes] and",
    "![a](data:image/png;base64,QUJD": "[image/png, 3 bytes]",
    '<audio src="data:audio/mpeg;base64,QUJD"': '[audio/mpeg, 3 bytes]"',
    '<audio src="data:audio/mpeg;base64,QUJD"></audi': "[audio/mpeg, 3 bytes]",
    "![a](data:image/png;base64,QUJD)![b](data:image/gif;base64,QUJD)": "[image/png, 3 bytes]"
    "[image/gif, 3 bytes]",
    '<audio src="data:audio/mpeg;base64,QUJD" and\nmore': '[audio/mpeg, 3 bytes]" and\nmore',
    # What is not a media stays as it is.
    "Hello! [a](b) a < b <audio> data: dat ![x](http://x/y.png)": "Hello! [a](b) a < b <audio> "
    "data: dat ![x](http://x/y.png)",
    "data:text/plain;base64,QUJD": "data:text/plain;base64,QUJD",
    "data:image/png,plain": "data:image/png,plain",
    "Wow!": "Wow!",
    "![": "![",
    "<audio src=": "<audio src=",
    "": "",
}


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_a_short_line_stands_in_its_place(number: int) -> None:
    said, shown = list(SHOWN.items())[number]
    assert without_media(said) == shown


@given(
    st.lists(
        st.sampled_from([said for said in SHOWN if len(said) < 3000] + [" ", "!", "<", "d", "\n"])
    ).map("".join),
    st.integers(1, 40),
)
@example("<audio src=\ndata:image/png;base64," + "A" * 136, 1)
def test_any_cut_gives_the_same(said: str, size: int) -> None:
    media = MediaText()
    pieces = [media.feed(said[at : at + size]) for at in range(0, len(said), size)]
    assert "".join(pieces) + media.finish() == without_media(said)


@given(st.text(alphabet="ab !<[]()\n\"'d:;,=/"))
def test_text_without_media_is_passed_on_to_the_last_character(said: str) -> None:
    assert without_media(said) == said


def test_a_payload_is_never_held() -> None:
    media = MediaText()
    assert media.feed("![a](data:image/png;base64,") == ""
    for _ in range(1000):
        assert media.feed("QUJD" * 1000) == ""
    assert media.feed(") there") == "[image/png, 3.0 MB] there"


def test_text_comes_at_once() -> None:
    media = MediaText()
    assert media.feed("Hello") == "Hello"
    assert media.feed(" there") == " there"


def test_what_an_answer_holds_is_found() -> None:
    said = (
        "![a](data:image/png;base64,QUJD) and <audio src='data:audio/mpeg;base64,QQ=='> "
        "and data:image/gif;base64,Q and data:video/mp4;base64,-_-_"
    )
    assert find_media(said) == [
        Media("image/png", b"ABC"),
        Media("audio/mpeg", b"A"),
        Media("video/mp4", b"\xfb\xff\xbf"),
    ]
    assert "ABC" not in repr(find_media(said))
    assert find_media("none") == []
