"""The modules of the suite, by what their tests decide."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.bench.marks import clauses_of

if TYPE_CHECKING:
    from types import ModuleType

    from conformance.run.run import Run

SUITE = Path(__file__).resolve().parents[1] / "suite"


def has_selected_test(path: Path, run: Run) -> bool:
    """Whether something at `path` may decide a selected clause.

    What is no module of tests, and what can't be imported, counts as such: pytest knows what to make of it.
    """
    if not path.name.startswith("test_") or path.suffix != ".py" or not path.is_relative_to(SUITE):
        return True
    try:
        module = _imported(path)
    except Exception:  # noqa: BLE001  pytest imports it again, and reports what was raised
        return True
    marked = (clauses_of(test) for test in vars(module).values() if callable(test))
    return any(ids and run.bindings_of(ids) for ids in marked)


def _imported(path: Path) -> ModuleType:
    names = path.relative_to(SUITE.parent).with_suffix("").parts
    return importlib.import_module(".".join(("conformance", *names)))
