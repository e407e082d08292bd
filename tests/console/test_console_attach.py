"""Files sent with a message, and fields of the request."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from console_runs import events_of, free_url, inside, served

from async_copilot.console import attachments
from async_copilot.console.attachments import text_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
GIF = b"GIF89a" + bytes(10)


def content_of(body: dict[str, object]) -> object:
    messages = body["messages"]
    assert isinstance(messages, list)
    return messages[-1]["content"]


def uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def test_images_are_image_parts_and_text_is_text_under_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.dat").write_bytes(GIF)
    (tmp_path / "notes.txt").write_text("one\ntwo\n")
    (tmp_path / "wide.txt").write_text("grün\n", encoding="utf-16")
    files = [str(tmp_path / name) for name in ("a.png", "notes.txt", "b.dat", "wide.txt")]
    args = [word for file in files for word in ("-a", file)]
    with served("Hello") as server:
        done = inside("What is this?", "And?", *args, "--memory", "client", "--url", server.url)
        first, second = (request.body for request in server.requests)
    assert (done.returncode, done.stderr) == (0, "")
    assert content_of(first) == [
        {
            "type": "text",
            "text": "What is this?\n\n--- notes.txt ---\none\ntwo\n\n--- wide.txt ---\ngrün",
        },
        {"type": "image_url", "image_url": {"url": uri("image/png", PNG)}},
        {"type": "image_url", "image_url": {"url": uri("image/gif", GIF)}},
    ]
    assert content_of(second) == "And?"


def test_text_alone_stays_a_plain_message(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("one")
    with served("Hello") as server:
        file = str(tmp_path / "notes.txt")
        inside("Read", "--attach", file, "--url", server.url)
        inside("-a", file, "--url", server.url)
        assert [content_of(request.body) for request in server.requests] == [
            "Read\n\n--- notes.txt ---\none",
            "--- notes.txt ---\none",
        ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PNG, [{"type": "image_url", "image_url": {"url": uri("image/png", PNG)}}]),
        (b"one\n", "--- stdin ---\none"),
    ],
)
def test_a_dash_is_what_is_piped(data: bytes, expected: object) -> None:
    with served("Hello") as server:
        done = inside("-a", "-", "--url", server.url, typed=data)
        assert done.returncode == 0
        assert content_of(server.requests[0].body) == expected


def test_a_pipe_and_files_go_under_one_message(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    with served("Hello") as server:
        file = str(tmp_path / "a.png")
        done = inside("Hi", "-a", file, "--json", "--url", server.url, typed="piped\n")
        content = content_of(server.requests[0].body)
    assert isinstance(content, list)
    assert [part["type"] for part in content] == ["text", "image_url"]
    assert content[0]["text"] == "Hi\n\npiped"
    assert events_of(done.stdout)[0]["message"] == "Hi\n\npiped"


def test_in_a_chat_they_go_with_the_first_message(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("one")
    with served("Hello") as server:
        args = ("-i", "-a", str(tmp_path / "notes.txt"), "--url", server.url)
        inside(*args, typed="\n/help\nRead\nAgain\n")
        assert [content_of(request.body) for request in server.requests] == [
            "Read\n\n--- notes.txt ---\none",
            "Again",
        ]


def test_what_cannot_be_sent_is_refused_with_what_can(tmp_path: Path) -> None:
    odd = {"a.heic": b"\0\0\0\x18ftypheic", "empty.txt": b"", "a.zip": b"PK\x03\x04\0\0"}
    for name, data in odd.items():
        (tmp_path / name).write_bytes(data)
    for name in (*odd, "missing.txt", "."):
        done = inside("Hi", "-a", str(tmp_path / name), "--url", free_url())
        assert done.returncode == 2
        assert f"-a {tmp_path / name}: " in done.stderr
        if name in ("a.heic", "a.zip"):
            assert "PNG, JPEG, GIF, WebP" in done.stderr
            assert "UTF-8" in done.stderr


def test_a_text_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "MAX_TEXT", 10)
    (tmp_path / "long.txt").write_text("x" * 11)
    done = inside("Hi", "-a", str(tmp_path / "long.txt"), "--url", free_url())
    assert (done.returncode, "at most 10 can be sent" in done.stderr) == (2, True)


def test_the_text_of_a_message_is_that_of_its_parts() -> None:
    image = {"type": "image_url", "image_url": {"url": "x"}}
    parts = [{"type": "text", "text": "a"}, image, {"type": "text", "text": "b"}]
    assert text_of({"role": "user", "content": parts}) == "a\nb"
    assert text_of("a") == "a"


def test_fields_are_in_each_request(tmp_path: Path) -> None:
    file = str(tmp_path / "chat.json")
    fields = ("-o", "temperature=0.2", "-o", 'response_format={"type":"json_object"}')
    with served("Hello") as server:
        inside("Hi", "And", *fields, "-o", "timeout=60", "--save", file, "--url", server.url)
        inside("Then", "-o", "seed=7", "--resume", file, "--url", server.url)
        one, two, three = (request.body for request in server.requests)
    for body in (one, two):
        assert body["temperature"] == 0.2
        assert body["response_format"] == {"type": "json_object"}
        assert body["timeout"] == 60, "a field of the server's, whatever the library calls so"
    assert (three["seed"], "temperature" in three) == (7, False)


def test_fields_hold_after_a_new_conversation_too() -> None:
    with served("Hello") as server:
        inside("-i", "-o", "top_p=0.5", "--url", server.url, typed="a\n/new b\n")
        assert [request.body["top_p"] for request in server.requests] == [0.5, 0.5]


def test_a_dry_run_shows_what_is_attached(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    done = inside("Hi", "-a", str(tmp_path / "a.png"), "-o", "n=1", "--dry-run")
    body = json.loads(done.stdout.partition("\n\n")[2])
    assert body["messages"][0]["content"][1]["type"] == "image_url"
    assert body["n"] == 1
    assert inside("--dry-run", "-o", "n=1").returncode == 0


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("x")
    file.chmod(0)
    done = inside("Hi", "-a", str(file), "--url", free_url())
    assert os.geteuid() == 0 or (done.returncode, "Permission denied" in done.stderr) == (2, True)
