"""Spread of the tests over workers: modules stay together, but for those whose tests take long."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.spreading import EARLY, LONG, spread

ROOT = Path(__file__).parents[2]


def item(nodeid: str) -> Any:
    marks: list[Any] = []
    return SimpleNamespace(nodeid=nodeid, marks=marks, add_marker=marks.append)


def test_every_module_is_there() -> None:
    assert not [module for module in (*LONG, *EARLY) if not (ROOT / module).is_file()]


def test_long_tests_start_first_and_alone() -> None:
    items = [
        item(f"test_{name}") for name in ("a.py::one", "a.py::two", "b.py::one", "y.py::one", "z.py::one")
    ]
    spread(items, long=["test_z.py"], early=["test_y.py"])
    assert [one.nodeid for one in items] == [
        "test_y.py::one",
        "test_z.py::one",
        "test_a.py::one",
        "test_a.py::two",
        "test_b.py::one",
    ]
    groups = [[mark.args[0] for mark in one.marks] for one in items]
    assert groups == [["test_y.py"], [], ["test_a.py"], ["test_a.py"], ["test_b.py"]]
