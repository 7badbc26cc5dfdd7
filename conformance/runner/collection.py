"""Selection of the suite's test modules by the clauses that they decide."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.bench.marks import clauses_of, is_during_faults

if TYPE_CHECKING:
    from types import ModuleType

    from conformance.run.run import Run

SUITE = Path(__file__).resolve().parents[1] / "suite"


def has_selected_test(path: Path, run: Run) -> bool:
    """True if the module at `path` has a test of a selected clause.

    Also true for paths that are no test module of the suite, and for modules that can't be imported: pytest handles
    those.
    """
    if not path.name.startswith("test_") or path.suffix != ".py" or not path.is_relative_to(SUITE):
        return True
    try:
        module = _imported(path)
    except Exception:  # noqa: BLE001  pytest imports the module again and reports the error
        return True
    selected = [is_selected(test, run) for test in vars(module).values() if callable(test)]
    return any(selected)


def is_selected(test: object, run: Run) -> bool:
    """True if a test function decides a selected clause; records why the clauses of a test that is left out may not be
    judged.
    """
    if is_during_faults(test) != bool(run.options.faults):
        return False
    ids = clauses_of(test)
    run.leave_out(ids)
    return bool(ids and run.bindings_of(ids))


def _imported(path: Path) -> ModuleType:
    names = path.relative_to(SUITE.parent).with_suffix("").parts
    return importlib.import_module(".".join(("conformance", *names)))
