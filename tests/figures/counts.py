"""Figures that are counted in the work tree."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from conformance.specification.clauses import book
from tests.figures.store import ROOT
from tests.mutants.registry import faults, variants
from tests.stability.__main__ import AT_A_TIME

SUITE = ROOT / "conformance" / "suite"
TWINS = ROOT / "tests" / "kafka" / "twins.py"


@dataclass(frozen=True)
class Counts:
    """Sizes of the specification, of the suite, and of the brokers that test the suite."""

    clauses: int
    judged_clauses: int
    tests: int
    faults: int
    hard_faults: int
    odd_brokers: int
    log_twins: int
    runs_at_a_time: int


def counted() -> Counts:
    """Count everything anew."""
    return Counts(
        clauses=len(book()),
        judged_clauses=sum(not clause.not_judged for clause in book()),
        tests=sum(_tests_of(path.read_text("utf-8")) for path in SUITE.rglob("test_*.py")),
        faults=len(faults()),
        hard_faults=sum(fault.hard for fault in faults().values()),
        odd_brokers=len(variants()),
        # The module imports the client of Kafka, which may not be here.
        log_twins=TWINS.read_text("utf-8").count("\n@twin("),
        runs_at_a_time=max(AT_A_TIME.values()),
    )


def _tests_of(source: str) -> int:
    """Test functions of a module; one with parameters counts once."""
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
    return sum(function.name.startswith("test_") for function in functions)
