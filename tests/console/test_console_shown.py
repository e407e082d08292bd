"""What an answer looks like: thinking, media, tool calls, line ends, the demo's questions."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from unittest import mock

import pytest
from console_runs import (
    ROOT,
    clean_env,
    command,
    ending,
    events_of,
    hurried_demo,
    inside,
    served,
    spawned,
    terminal,
)

from async_copilot.console import media_folder
from async_copilot.console.argument_parser import UsageProblemError
from async_copilot.console.opening import Opening
from async_copilot.console.plain_view import PlainView
from async_copilot.console.run import _dry_run
from async_copilot.fake_server import Close, FakeAnswer, FakeToolCall, Stall

PNG = base64.b64encode(b"\x89PNG" + bytes(1796)).decode()
CAT = f"![a cat](data:image/png;base64,{PNG})"


# ---- thinking

THINKING = FakeAnswer(["<thi", "nk>I see", ".</th", "ink>\n\nHel", "lo"])


def test_thinking_that_opens_an_answer_is_reasoning() -> None:
    with served(THINKING) as server:
        plain = inside("Hi", "--url", server.url)
        shown = inside("Hi", "--reasoning", "--url", server.url)
        whole = inside("Hi", "--think-tags", "--url", server.url)
    assert (plain.stdout, plain.stderr) == ("Hello\n", "")
    assert (shown.stdout, shown.stderr) == ("Hello\n", "I see.\n")
    assert (whole.stdout, whole.stderr) == ("<think>I see.</think>\n\nHello\n", "")


def test_in_json_it_is_reasoning_too() -> None:
    with served(THINKING) as server:
        events = events_of(inside("Hi", "--json", "--url", server.url).stdout)
    deltas = [event["text"] for event in events if event["event"] == "delta"]
    end = events[-1]
    assert "".join(deltas) == end["text"] == "Hello"
    assert end["reasoning"] == "I see."


@pytest.mark.parametrize("fault", [None, Close(after=2)])
def test_thinking_that_is_not_closed_is_the_answer(fault: Close | None) -> None:
    answer = FakeAnswer(["<think>", "I see", " it"], fault=() if fault is None else fault)
    with served(answer) as server:
        done = inside("Hi", "--retries", "0", "--url", server.url)
    assert done.stdout == ("<think>I see it\n" if fault is None else "<think>I see\n")


def test_an_answer_of_thoughts_alone_is_empty() -> None:
    with served("<think>hm</think>\n") as server:
        done = inside("Hi", "--url", server.url)
    assert (done.stdout, done.stderr) == ("\n", "async-copilot: the answer is empty\n")


# ---- media


def test_on_a_terminal_media_is_a_short_line() -> None:
    pieces = [CAT[at : at + 50] for at in range(0, len(CAT), 50)]
    answer = FakeAnswer(["Look: ", *pieces, " there"])
    with served(answer) as server, terminal("Hi", "--url", server.url) as child:
        out, status = ending(child)
    assert out.startswith("Look: [image/png, 1.8 kB] there\r\n")
    assert (PNG[:20] in out, status) == (False, 0)


def test_in_a_pipe_it_is_whole_and_a_folder_keeps_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "media"
    answer = f"{CAT} <audio src='data:audio/mpeg;base64,QUJD'></audio>"
    with served(answer) as server:
        plain = inside("Hi", "--url", server.url)
        done = inside("Hi", "And", "--media", str(folder), "--url", server.url)
    assert plain.stdout == f"{answer}\n"
    assert done.stdout == f"{answer}\n\n{answer}\n"
    names = ["audio-2.mp3", "audio.mp3", "image-2.png", "image.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert (folder / "image.png").read_bytes() == base64.b64decode(PNG)
    assert (folder / "audio-2.mp3").read_bytes() == b"ABC"
    assert f"async-copilot: saved {folder / 'image.png'}\n" in done.stderr


def test_a_folder_that_cannot_be_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with served(CAT) as server:
        done = inside("Hi", "--media", str(tmp_path / "file"), "--url", server.url)
        assert (done.returncode, server.requests) == (2, [])
        with monkeypatch.context() as patched:
            patched.setattr(os, "access", lambda *_: False)  # the tests may run as root
            done = inside("Hi", "--media", str(tmp_path), "--url", server.url)
        assert (done.returncode, server.requests) == (2, [])
        assert "no file can be written there" in done.stderr
        monkeypatch.setattr(media_folder, "check_folder", lambda _: None)
        monkeypatch.setattr("async_copilot.console.run.check_folder", lambda _: None)
        gone = inside("Hi", "--media", str(tmp_path / "gone"), "--url", server.url)
    assert (gone.returncode, gone.stdout) == (74, f"{CAT}\n")
    assert f"cannot save the media in {tmp_path / 'gone'}" in gone.stderr


def test_that_media_does_not_go_back_to_the_server_is_told() -> None:
    with served(CAT) as server:
        done = inside("Hi", "And", "--memory", "client", "--url", server.url)
        end = events_of(inside("Hi", "--json", "--url", server.url).stdout)[-1]
        assert PNG not in server.requests[1].raw.decode()
    assert done.stderr.count("async-copilot: not in the conversation: ") == 2
    assert len(end["left_out"]) == 1


# ---- tool calls


def test_a_reply_that_is_tool_calls_is_told_in_words_and_whole_in_json() -> None:
    calls = [
        FakeToolCall("weather", {"city": "Köln"}, id="c1"),
        FakeToolCall("note", '{"text": "' + "x" * 900 + '"}', id="c2"),
    ]
    with served(FakeAnswer(tool_calls=calls), dialect="openai") as server:
        done = inside("Hi", "--memory", "client", "--url", server.url)
        events = events_of(inside("Hi", "--memory", "client", "--json", "--url", server.url).stdout)
    first, second = done.stderr.splitlines()
    assert first.startswith('async-copilot: the model calls weather({"city":')
    assert second.endswith("… (912 characters))")
    assert len(second) < 500
    assert "empty" not in done.stderr
    whole = events[-1]["tool_calls"]
    assert [(call["id"], call["name"]) for call in whole] == [("c1", "weather"), ("c2", "note")]
    assert len(whole[1]["arguments"]) == 912


# ---- line ends


def test_on_a_terminal_a_crlf_is_a_line_end_and_nothing_else_acts() -> None:
    pieces = ["one\r", "\ntwo\r\nthr\ree\x1b[2J\u202e\x0c\r"]
    with served(FakeAnswer(pieces)) as server, terminal("Hi", "--url", server.url) as child:
        out, status = ending(child)
    assert out == "one\r\ntwo\r\nthr\\x0dee\\x1b[2J\\u202e\\x0c\r\n"
    assert status == 0


def test_in_a_narrow_terminal_the_sign_leaves_no_line_behind() -> None:
    answer = FakeAnswer(status=429, retry_after=50)
    with served(answer) as server:
        line = command("Hi", "--url", server.url)
        child = spawned(line[0], line[1:], cwd=str(ROOT), env=clean_env(), preexec_fn=None)
        child.setwinsize(24, 24)
        child.expect_exact("HTTP 429; trying again ")
        child.sendintr()
        out, _ = ending(child)
    shown = [part for part in (child.before + out).split("\r\x1b[K") if part]
    assert all(len(part.replace("^C", "")) < 24 for part in shown)


def test_a_note_in_the_middle_ends_the_line_of_the_answer_once() -> None:
    answer = FakeAnswer("Hello there", fault=Stall(after=1, seconds=0.2))
    with served(answer) as server, terminal("Hi", "--verbose", "--url", server.url) as child:
        out, _ = ending(child)
    lines = out.replace("\r\n", "\n").split("\n")
    text = [line for line in lines if not line.startswith("[") and "waiting" not in line]
    assert "".join(text).endswith("Hello there")
    assert "" not in text[:-1]


# ---- the demo


def test_the_demo_shows_the_two_questions_on_a_terminal() -> None:
    with terminal("--demo", env={"TERM": "dumb"}) as child:
        out, status = ending(child)
    assert status == 0
    assert "> Hello, I am Heiner. How are you?\r\nHello Heiner!" in out
    assert "\r\n\r\n> Tell me something about my name.\r\nYour name is Heiner." in out
    with hurried_demo():
        assert "> " not in inside("--demo").stderr
        assert "> " not in inside("--demo", "Hi").stderr


def test_media_that_is_still_coming_is_not_shown_in_part() -> None:
    screen = mock.Mock(shows=True)
    view = PlainView(screen, reasoning=False, stats=False)
    for piece in ("a ", "![x](data:image/png;base64,", "aGk=", ") b"):
        view.text(piece)
    shown = "".join(call.args[0] for call in screen.write.call_args_list)
    assert shown == "a [image/png, 2 bytes] b"
    assert screen.write.call_count < 4


def test_a_dry_run_needs_a_message() -> None:
    """As -c without one, on a terminal, has none."""
    with pytest.raises(UsageProblemError, match="--dry-run shows the request of a message"):
        _dry_run(Opening((), interactive=True), mock.Mock(), mock.Mock(), mock.Mock())
