"""Processes in which mutants are judged."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.processes import ROOT, run_suite

CONSTANTS = """
import tests.mutants.preloaded
from hypothesis.internal.conjecture import providers
print(len(providers._get_local_constants()))
"""


def test_hypothesis_takes_no_constants_from_the_tree():
    found = subprocess.run(
        [sys.executable, "-c", CONSTANTS], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout == "0\n"


def test_the_status_of_a_run_is_not_lost_where_threads_start_others(tmp_path: Path):
    def run(number: int) -> int:
        return run_suite(["--list-targets"], tmp_path / str(number), seconds=60.0)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(run, range(300))) == {0}
