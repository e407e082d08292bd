"""The blocks of the fake server's README; those for the openai package run in the interop step."""

from __future__ import annotations

import unittest
from pathlib import Path

from fake_client import post
from recipes.readme import recipe

from async_copilot.fake_server import FakeAnswer, FakeServer, Recorder


async def test_conditions_answer_side_by_side() -> None:
    await recipe("fake-when").test_two_questions_side_by_side(FakeServer)


def test_a_unittest_case_has_its_server() -> None:
    case = recipe("fake-unittest").Greeting("test_the_greeting")
    result = unittest.TestResult()
    case.run(result)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])


async def test_a_cassette_is_replayed_and_broken(tmp_path: Path) -> None:
    file = tmp_path / "chat.cassette"
    async with (
        FakeServer(FakeAnswer(["Hello ", "Heiner!"], pace=20)) as upstream,
        FakeServer(Recorder(upstream.url, file)) as server,
    ):
        await post(server)
    module = recipe("fake-cassette", FILE=str(file))
    await module.test_a_recorded_answer(FakeServer)
    await module.test_the_same_answer_cut_after_its_first_piece(FakeServer)


async def test_providers_are_data() -> None:
    async with recipe("fake-providers").server as server:
        assert (await post(server))[0] == 200
