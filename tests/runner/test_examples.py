"""Examples do not depend on the programs that are imported beside the suite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: Numbers that nobody draws by chance.
NUMBERS = range(10**15 + 7, 10**15 + 207)
PROGRAM = """
import hypothesis, numbers_of_a_program
from hypothesis import strategies as st
from conformance.runner.examples import draw_no_program_constants

draw_no_program_constants()
drawn = set()

@hypothesis.settings(max_examples=500, database=None, derandomize=True)
@hypothesis.given(st.integers())
def draw(number):
    drawn.add(number)

draw()
assert len(drawn) > 100
print(len(drawn & set(numbers_of_a_program.NUMBERS)))
"""


def test_numbers_of_other_programs_are_not_drawn(tmp_path: Path) -> None:
    (tmp_path / "numbers_of_a_program.py").write_text(f"NUMBERS = {list(NUMBERS)}\n", encoding="ascii")
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])},
        capture_output=True,
        check=True,
        timeout=60,
        text=True,
    )
    assert ended.stdout == "0\n"
