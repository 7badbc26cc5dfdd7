"""Helpers for pytest items that are tests of the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.bench.marks import clauses_of, is_exclusive, is_main_thread_only

if TYPE_CHECKING:
    from conformance.runner.execution import Execution


def is_suite_test(item: pytest.Item) -> bool:
    """True for a test that is marked with clauses and takes a bench."""
    return isinstance(item, pytest.Function) and bool(clauses_of(item.obj)) and "bench" in item.fixturenames


def binding_of(item: pytest.Item) -> str | None:
    """Binding in which the item runs; None if it has no parameter `bench`."""
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("bench") if callspec is not None else None


def needs_only_parameters(item: pytest.Function) -> bool:
    """True if all arguments of the test are parameters, so that pytest needs to set up no fixture."""
    return set(item._fixtureinfo.argnames) <= set(item.callspec.params)


def runs_concurrently(item: pytest.Function) -> bool:
    """True if a worker may run the test: any thread will do, and no fixture has to be set up."""
    return not is_main_thread_only(item.obj) and needs_only_parameters(item)


def runs_apart(item: pytest.Function) -> bool:
    """True if another process may run the test: it uses Hypothesis, and need not be alone."""
    return is_main_thread_only(item.obj) and not is_exclusive(item.obj) and needs_only_parameters(item)


def arguments(item: pytest.Function, execution: Execution) -> dict[str, Any]:
    """Arguments of the test function by name, with the bench of the execution."""
    known = {**item.callspec.params, **item.funcargs, "bench": execution.bench}
    return {name: known[name] for name in item._fixtureinfo.argnames}


def full_name(item: pytest.Item) -> str:
    """Name of a test with its module and parameters, as records and reports show it."""
    return f"{item.path.stem}::{item.name}"
