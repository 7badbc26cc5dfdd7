"""The table of a run's processor time."""

from __future__ import annotations

import subprocess
import sys

from tests.run_time.shares import Spent, table


def test_shares_add_up() -> None:
    """Each part is a share of the suite and the server together, largest first."""
    spent = Spent(suite=6.0, server=4.0, kinds={"models": 3.5, "others": 1.5}, wall=7.0)
    assert table(spent).splitlines() == [
        " 40.0%  the server",
        " 35.0%  models",
        " 15.0%  others",
        " 10.0%  the suite without its tests",
        " 10.0 s of processor time in 7.0 s",
    ]


def test_a_run_is_measured() -> None:
    """A run of one clause has a share of the server, and the exit status of the run."""
    command = [sys.executable, "-m", "tests.run_time", "--effort", "quick", "--clause", "ACK-OK-1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert any(line.endswith("%  the server") for line in lines)
    assert "s of processor time in" in lines[-1]
