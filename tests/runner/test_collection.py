"""Selection of the suite's modules by the clauses of a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import pytest

from conformance.run.options import Options
from conformance.runner import collection
from conformance.runner.collection import SUITE, has_selected_test
from conformance.specification.clauses import book

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from conformance.run.run import Run

MODULES = sorted(SUITE.rglob("test_*.py"))
_IDS = re.compile(r"^@clauses\((.*?)\)$", re.MULTILINE | re.DOTALL)


class _Selection:
    """Run in which these clauses are selected, in one binding."""

    options = Options(url="")

    def __init__(self, clauses: Iterable[str]) -> None:
        self._clauses = frozenset(clauses)

    def bindings_of(self, clauses: tuple[str, ...]) -> list[str]:
        return ["queue-http"] if self._clauses.intersection(clauses) else []

    def leave_out(self, clauses: tuple[str, ...]) -> None:
        """Nothing is excluded."""


def _run(*clauses: str) -> Run:
    return cast("Run", _Selection(clauses))


def test_modules_that_name_a_selected_clause_are_looked_at() -> None:
    sources = {path: path.read_text("utf-8") for path in MODULES}
    for clause in book():
        naming = [path for path, source in sources.items() if _decorates_with(clause.id, source)]
        assert all(has_selected_test(path, _run(clause.id)) for path in naming)


@pytest.mark.parametrize(("clause", "elsewhere"), [("POLL-WAIT-1", "stomp"), ("STOMP-TX-002", "queue")])
def test_modules_of_what_is_not_judged_are_left_out(clause: str, elsewhere: str) -> None:
    others = [path for path in MODULES if path.is_relative_to(SUITE / elsewhere)]
    assert others
    assert not any(has_selected_test(path, _run(clause)) for path in others)


def test_nothing_is_left_out_of_a_whole_run() -> None:
    run = _run(*(clause.id for clause in book()))
    left_out = [path.name for path in MODULES if not has_selected_test(path, run)]
    assert left_out == ["test_faults.py"]  # for runs with --fault only


def test_what_is_no_module_of_tests_is_left_to_pytest(tmp_path: Path) -> None:
    for path in (SUITE, SUITE / "queue", SUITE / "__init__.py", tmp_path / "test_of_somebody_else.py"):
        assert has_selected_test(path, _run())


def test_what_cannot_be_imported_is_left_to_pytest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "test_broken.py"
    broken.write_text("raise RuntimeError\n")
    monkeypatch.setattr(collection, "SUITE", tmp_path)
    assert has_selected_test(broken, _run())


def _decorates_with(clause: str, source: str) -> bool:
    return any(f'"{clause}"' in ids for ids in _IDS.findall(source))
