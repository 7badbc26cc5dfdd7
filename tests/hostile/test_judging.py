"""The measurement of a program's memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.judging import MIB, most_memory

#: Programs that have had their most memory when they print a line, and then wait for the end of their input.
SMALL = "import sys; print(flush=True); sys.stdin.read()"
LARGE = "import sys; text = b'x' * (300 << 20); del text; print(flush=True); sys.stdin.read()"


def memory_of(program: str) -> int:
    """The most memory of a program, in bytes."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = most_memory(process.pid)
        process.communicate()
    return found


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system has no /proc")
def test_memory_is_that_of_the_program_and_not_of_its_parent() -> None:
    own = b"x" * (600 * MIB)
    assert 0 < memory_of(SMALL) < 200 * MIB
    assert 300 * MIB <= memory_of(LARGE) < 500 * MIB
    assert len(own) == 600 * MIB
