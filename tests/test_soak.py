"""The soak's machinery, for a second: that the long one means what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
