"""Registry of mutants: patches fit the server and the text, and a patch leads to a verdict."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from conformance.specification.clauses import BINDINGS, CLASSES, EXTENSIONS, Level, book
from tests.mutants.judging import is_caught, is_left_alone, is_named, judge, judged_bindings, selection
from tests.mutants.processes import ROOT
from tests.mutants.registry import Fault, Variant, faults, variants

FAULTS = list(faults().values())
VARIANTS = list(variants().values())
#: Judged MUSTs that no fault breaks, with the reason.
UNBROKEN: dict[str, str] = {}


def test_every_patch_applies() -> None:
    """Every patch finds the attributes that it replaces in the server."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.mutants.applying"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr[-3000:]


def test_names_are_unique() -> None:
    """Faults and variants have different names."""
    names = [mutant.name for mutant in (*FAULTS, *VARIANTS)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_breaks_clauses_that_are_judged_where_it_is_looked_for(fault: Fault) -> None:
    """The broken clauses exist, and the first of them is judged in each binding of the fault."""
    assert fault.breaks
    assert all(clause in book() for clause in fault.breaks)
    assert set(fault.bindings) <= set(book()[fault.breaks[0]].columns(CLASSES, EXTENSIONS))
    assert fault.effort in ("quick", "standard", "thorough")


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_an_oddity_says_what_leaves_it_open(variant: Variant) -> None:
    """A variant names its freedom, its bindings, and only prefixes that select clauses."""
    assert variant.freedom.endswith(".")
    assert variant.bindings
    assert set(variant.bindings) <= set(BINDINGS)
    assert all(any(clause.id.startswith(prefix) for clause in book()) for prefix in variant.near)


@pytest.mark.parametrize("part", ["queue/", "stomp/", "websocket.md"])
def test_every_requirement_is_broken_by_a_fault(part: str) -> None:
    """Every judged MUST has a fault that breaks it, which shows that the suite can detect it."""
    broken = {clause for fault in FAULTS for clause in fault.breaks}
    musts = {
        clause.id
        for clause in book()
        if clause.source.startswith(part)
        and clause.level is Level.MUST
        and not clause.not_judged
        # A faulty broker here is never restarted: tests/faults has servers that break these clauses.
        and "durable" not in clause.classes
    }
    assert not musts - broken - set(UNBROKEN)
    assert not broken & set(UNBROKEN)


def test_there_are_as_many_as_were_promised() -> None:
    """There are at least 120 faults and 30 variants."""
    assert len(FAULTS) >= 120
    assert len(VARIANTS) >= 30


def test_a_fault_is_judged_from_end_to_end() -> None:
    """A server with a fault is started, judged over the wire, and fails on the clause that the fault breaks."""
    fault = faults()["endpoints-are-a-list"]
    outcome = judge(fault, effort="quick")
    assert is_caught(fault, outcome), outcome
    assert is_named(fault, outcome, book()), outcome
    assert outcome.failed == ("CAP-1",)
    assert outcome.status == 1


def test_an_oddity_is_judged_from_end_to_end() -> None:
    """A variant is started, judged over the wire, and passes; in two chapters only, to save time."""
    variant = dataclasses.replace(variants()["json-is-written-wide"], near=("CAP", "INTRO"))
    outcome = judge(variant, effort="quick")
    assert is_left_alone(outcome), outcome


def test_a_fault_is_looked_for_in_its_chapters() -> None:
    """A fault is judged by the chapters of the clauses that it breaks."""
    options = selection(faults()["endpoints-are-a-list"])
    assert options[:2] == ["--clause", "CAP-1"]
    assert "INTRO-TOPIC-1" not in options


def test_an_oddity_of_stomp_is_judged_in_one_version() -> None:
    """A variant's STOMP version is fixed, and each version gets at least ten variants."""
    judged = {variant.name: judged_bindings(variant) for variant in VARIANTS}
    for variant in VARIANTS:
        dropped = set(variant.bindings) - set(judged[variant.name])
        assert judged[variant.name]
        assert all(binding.startswith("stomp-") for binding in dropped)
    versions = [[b for b in bindings if b.startswith("stomp-")] for bindings in judged.values()]
    assert max(map(len, versions)) == 1
    for version in ("stomp-1.0", "stomp-1.1", "stomp-1.2"):
        assert versions.count([version]) >= 10
