"""What pytest's items are to the suite: the tests of a binding, with their parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.bench.marks import clauses_of, is_main_thread_only

if TYPE_CHECKING:
    from conformance.runner.execution import Execution


def is_suite_test(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and bool(clauses_of(item.obj)) and "bench" in item.fixturenames


def binding_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("bench") if callspec is not None else None


def needs_only_parameters(item: pytest.Function) -> bool:
    return set(item._fixtureinfo.argnames) <= set(item.callspec.params)


def runs_concurrently(item: pytest.Function) -> bool:
    """Whether a test can be performed before its turn: what fixtures make for it is there only then."""
    return not is_main_thread_only(item.obj) and needs_only_parameters(item)


def arguments(item: pytest.Function, execution: Execution) -> dict[str, Any]:
    known = {**item.callspec.params, **item.funcargs, "bench": execution.bench}
    return {name: known[name] for name in item._fixtureinfo.argnames}


def full_name(item: pytest.Item) -> str:
    """The name of a test with its parameters, as it goes into records."""
    return f"{item.path.stem}::{item.name}"
