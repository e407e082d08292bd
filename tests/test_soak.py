"""The soak's machinery, for a second: that the long one means what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench.soak import Quiet, Soak

pytestmark = pytest.mark.bench

SOAK = Path(__file__).parent / "bench" / "soak.py"


def test_a_short_soak_finds_nothing_and_says_what_it_did() -> None:
    done = subprocess.run(  # noqa: S603  # our own file
        [sys.executable, SOAK, "--streams", "20", "--seconds", "0.5", "--pace", "0.05"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 violations" in done.stdout
    assert "whole" in done.stdout


@pytest.mark.parametrize(("blocks", "found"), [(600, 0), (10_000, 1)])
def test_an_object_that_stays_of_each_reply_is_a_leak(blocks: int, found: int) -> None:
    soak = Soak()
    soak.rounds += [Quiet(5_000, 100_000, 0, 0), Quiet(15_000, 100_000 + blocks, 0, 0)]
    soak.demand_no_growth()
    assert len(soak.violations) == found
