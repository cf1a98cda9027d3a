"""Runs that are hit at random moments, in processes of their own, and what becomes of them."""

import subprocess
import sys
from pathlib import Path

import pytest

KILLS = Path(__file__).parents[2] / "benchmarks" / "kills.py"


@pytest.mark.slow
def test_ten_runs_hit_at_random_moments_end_with_the_bits_of_those_that_were_not(elsewhere, tmp_path):
    """Two of each published system; every kind of fault at least once. The script itself does a hundred."""
    command = [sys.executable, KILLS, "--count", "10", "--seed", "1", "--dry", "--work", tmp_path / "kills"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "\n10 of 10 end with the same bits" in ended.stdout
