"""What the processes are like in which mutants are judged."""

import subprocess
import sys

from tests.mutants.processes import ROOT

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
