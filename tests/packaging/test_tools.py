"""The tools of this folder explain themselves: a merge or a rename that breaks one is noticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
TOOLS = sorted(f"tests.{path.parent.name}" for path in TESTS.glob("*/__main__.py"))


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_has_a_help(tool: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", tool, "--help"], cwd=TESTS.parent, capture_output=True, text=True, timeout=120
    )
    assert told.returncode == 0, told.stderr
    assert "usage: " in told.stdout
