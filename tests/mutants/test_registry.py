"""The faulty and the odd brokers fit the server and the text, and the way from a patch to a verdict works."""

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
#: MUSTs that no fault breaks though they are judged, and why.
UNBROKEN: dict[str, str] = {}


def test_every_patch_applies() -> None:
    """What a patch replaces is there: a server that was changed may leave patches without a hold."""
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
    """A name says which of them is meant, faults and oddities together."""
    names = [mutant.name for mutant in (*FAULTS, *VARIANTS)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_breaks_clauses_that_are_judged_where_it_is_looked_for(fault: Fault) -> None:
    """Its clauses are in the text, and the first of them is judged in each of its bindings."""
    assert fault.breaks
    assert all(clause in book() for clause in fault.breaks)
    assert set(fault.bindings) <= set(book()[fault.breaks[0]].columns(CLASSES, EXTENSIONS))
    assert fault.effort in ("quick", "standard", "thorough")


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_an_oddity_says_what_leaves_it_open(variant: Variant) -> None:
    """It names its freedom, and what of it is judged."""
    assert variant.freedom.endswith(".")
    assert variant.bindings
    assert set(variant.bindings) <= set(BINDINGS)
    assert all(any(clause.id.startswith(prefix) for clause in book()) for prefix in variant.near)


@pytest.mark.parametrize("part", ["queue/", "stomp/", "websocket.md"])
def test_every_requirement_is_broken_by_a_fault(part: str) -> None:
    """A MUST that nothing breaks is one of which nobody knows whether the suite would notice."""
    broken = {clause for fault in FAULTS for clause in fault.breaks}
    musts = {
        clause.id
        for clause in book()
        if clause.source.startswith(part) and clause.level is Level.MUST and not clause.not_judged
    }
    assert not musts - broken - set(UNBROKEN)
    assert not broken & set(UNBROKEN)


def test_there_are_as_many_as_were_promised() -> None:
    """At least 120 faults and 30 oddities; the queue has its share."""
    assert len(FAULTS) >= 120
    assert len(VARIANTS) >= 30


def test_a_fault_is_judged_from_end_to_end() -> None:
    """A server with a fault is started, judged over the wire, and blamed for the clause that it breaks."""
    fault = faults()["endpoints-are-a-list"]
    outcome = judge(fault, effort="quick")
    assert is_caught(fault, outcome), outcome
    assert is_named(fault, outcome, book()), outcome
    assert outcome.failed == ("CAP-1",)
    assert outcome.status == 1


def test_an_oddity_is_judged_from_end_to_end() -> None:
    """A server with an oddity is started and passes; here in one chapter only, to save time."""
    variant = dataclasses.replace(variants()["json-is-written-wide"], near=("CAP", "INTRO"))
    outcome = judge(variant, effort="quick")
    assert is_left_alone(outcome), outcome


def test_a_fault_is_looked_for_in_its_chapters() -> None:
    """The chapters of all clauses that it breaks, or everything."""
    options = selection(faults()["endpoints-are-a-list"])
    assert options[:2] == ["--clause", "CAP-1"]
    assert "INTRO-TOPIC-1" not in options


def test_an_oddity_of_stomp_is_judged_in_one_version() -> None:
    """The choice is always the same for one oddity, and each version has its share."""
    judged = {variant.name: judged_bindings(variant) for variant in VARIANTS}
    for variant in VARIANTS:
        dropped = set(variant.bindings) - set(judged[variant.name])
        assert judged[variant.name]
        assert all(binding.startswith("stomp-") for binding in dropped)
    versions = [[b for b in bindings if b.startswith("stomp-")] for bindings in judged.values()]
    assert max(map(len, versions)) == 1
    for version in ("stomp-1.0", "stomp-1.1", "stomp-1.2"):
        assert versions.count([version]) >= 10
