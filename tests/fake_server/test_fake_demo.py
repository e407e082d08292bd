"""The built-in demo: it greets, remembers a name by the echoed handle, and keeps a human pace."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest
from fake_client import chat_body, content_of, events_of, post

from async_copilot.fake_server import FakeServer
from async_copilot.fake_server.answer import Pace, pieces_of
from async_copilot.fake_server.demo import demo
from async_copilot.fake_server.request import Request, read_request

UNKNOWN = "I do not know your name: you have not told me yet."
QUESTIONS = ["Who am I?", "What is my name?", "Tell me something about my name."]


def asked(text: str, *known: str) -> str:
    request: Request = read_request("POST", "/v1/chat/completions", {}, b"{}")
    request.text, request.known = text, known
    content = demo(request).content
    assert isinstance(content, str)
    return content


@pytest.mark.parametrize(
    ("greeting", "name"),
    [
        ("Hello, I am Heiner. How are you?", "Heiner"),
        ("Hello, i am Heiner. How are you?", "Heiner"),
        ("hello, i am heiner. how are you?", "Heiner"),
        ("Hi, I am Ann", "Ann"),
        ("I'm Ann!", "Ann"),
        ("I\u2019m Ann.", "Ann"),
        ("My name is X", "X"),
        ("my name is ann", "Ann"),
        ("Please call me O'Neill.", "O'Neill"),
        ("My name is Mary Ann Smith and I am fine.", "Mary Ann Smith"),
        ("I am fine. My name is Jean-Luc.", "Jean-Luc"),
        ("Hallo, ich heiße Jürgen", "Jürgen"),
        ("我 am here; my name is 小明", "小明"),
        ("You are kind.\n\nHello, I am Heiner. How are you?", "Heiner"),
    ],
)
def test_a_told_name_is_greeted_and_remembered(greeting: str, name: str) -> None:
    assert asked(greeting).startswith(f"Hello {name}!")
    for question in QUESTIONS:
        assert asked(question, greeting).startswith(f"Your name is {name}.")


@pytest.mark.parametrize("question", [*QUESTIONS, "who am i", "Tell me somethings about my name"])
def test_without_memory_the_name_is_not_known(question: str) -> None:
    assert asked(question) == UNKNOWN
    assert asked(question, "Hello, how are you?", "I am fine.") == UNKNOWN


@pytest.mark.parametrize("text", ["I am fine", "I'm not sure", "i am here", "my name is what?"])
def test_not_every_i_am_tells_a_name(text: str) -> None:
    assert not asked(text).startswith("Hello ")


def test_the_last_name_told_is_the_name() -> None:
    assert asked("Who am I?", "I am Ann", "Call me Bob").startswith("Your name is Bob.")


def test_a_greeting_without_a_name_is_answered() -> None:
    assert asked("Hello!").endswith("What is your name?")


def test_anything_else_is_repeated() -> None:
    assert 'You said: "Why?"' in asked("Why?")


async def turn(
    server: FakeServer, session: aiohttp.ClientSession, text: str, handle: object = None
) -> tuple[str, object]:
    body = chat_body(text, provider="Copilot", conversation_id="same", conversation=handle)
    _, _, stream = await post(server, body, session=session)
    *_, last, _ = events_of(stream)
    return content_of(stream), last["conversation"]


async def test_the_main_job_knows_the_name_by_the_echo_alone() -> None:
    start = time.monotonic()
    async with FakeServer() as server, aiohttp.ClientSession() as session:
        greeting, handle = await turn(server, session, "Hello, I am Heiner. How are you?")
        assert greeting == "Hello Heiner! I am fine, thank you. How can I help you today?"
        knows, same = await turn(server, session, "Tell me something about my name.", handle)
        assert knows.startswith("Your name is Heiner. It is a short form of Heinrich")
        assert same == handle
        forgot, other = await turn(server, session, "Tell me something about my name.")
        assert (forgot, other == handle) == (UNKNOWN, False)
    assert time.monotonic() - start < 6, "a demo of a few seconds"


async def test_conversations_do_not_mix() -> None:
    async with FakeServer() as server, aiohttp.ClientSession() as session:

        async def talk(name: str) -> None:
            _, handle = await turn(server, session, f"Hi, I am {name}")
            answer, _ = await turn(server, session, "Who am I?", handle)
            assert answer.startswith(f"Your name is {name}.")

        await asyncio.gather(*(talk(name) for name in ("Ann", "Bob", "Cleo", "Dan")))


@pytest.mark.parametrize("text", ["Hello, I am Heiner. How are you?", "Why?"])
def test_the_pace_is_that_of_a_chat_and_the_same_each_time(text: str) -> None:
    request = read_request("POST", "/v1/chat/completions", {}, b"{}")
    request.text = text
    answer = demo(request)
    assert answer == demo(request)
    assert isinstance(answer.pace, Pace)
    assert 20 <= answer.pace.per_second <= 40
    assert answer.pace.jitter > 0
    assert len(list(pieces_of(answer.content))) >= 15
