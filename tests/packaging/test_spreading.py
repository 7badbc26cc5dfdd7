"""Spread of the tests over workers: modules stay together, but for those whose tests take long."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.spreading import EARLY, LONG, scope, sort

ROOT = Path(__file__).parents[2]
A_MODULE = """
    import os, pytest
    @pytest.mark.parametrize("number", range(6))
    def test_it(number):
        with open(os.environ["SEEN"], "a") as seen:
            print(__name__, os.getpid(), file=seen)
"""


def item(nodeid: str) -> Any:
    return SimpleNamespace(nodeid=nodeid)


def test_every_module_is_there() -> None:
    assert not [module for module in (*LONG, *EARLY) if not (ROOT / module).is_file()]


def test_long_tests_start_first() -> None:
    items = [
        item(f"test_{name}") for name in ("a.py::one", "a.py::two", "b.py::one", "y.py::one", "z.py::one")
    ]
    sort(items, long=["test_z.py"], early=["test_y.py"])
    assert [one.nodeid for one in items] == [
        "test_y.py::one",
        "test_z.py::one",
        "test_a.py::one",
        "test_a.py::two",
        "test_b.py::one",
    ]


def test_tests_of_a_module_stay_together_unless_it_is_long() -> None:
    assert scope("a.py::one[x::y]", long=["z.py"]) == "a.py"
    assert scope("z.py::one[x::y]", long=["z.py"]) == "z.py::one[x::y]"


def test_a_module_runs_in_one_worker(tmp_path: Path) -> None:
    """With the xdist and the pytest that are installed, and the options of tox.ini."""
    for name in ("conftest.py", "spreading.py"):
        folder = tmp_path if name == "conftest.py" else tmp_path / "tests"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text((ROOT / "tests" / name).read_text(encoding="utf-8"), encoding="utf-8")
    for name in ("test_a.py", "test_b.py", "test_c.py", "test_d.py"):
        (tmp_path / name).write_text(textwrap.dedent(A_MODULE), encoding="utf-8")
    seen = tmp_path / "seen"
    command = re.search(r"^commands = pytest (-n .*?) --ignore", (ROOT / "tox.ini").read_text(), re.MULTILINE)
    assert command is not None
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *command[1].split(), "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        env={**os.environ, "SEEN": str(seen), "PYTHONPATH": str(tmp_path)},
        check=True,
        timeout=60,
    )
    ran = [line.split() for line in seen.read_text().splitlines()]
    assert len(ran) == 24
    workers: dict[str, set[str]] = {}
    for module, process in ran:
        workers.setdefault(module, set()).add(process)
    assert [len(processes) for processes in workers.values()] == [1, 1, 1, 1]
