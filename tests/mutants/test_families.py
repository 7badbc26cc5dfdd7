"""Families of faults: every fault has one, and the counts add up."""

from __future__ import annotations

import pytest

from conformance.specification.clauses import book
from tests.mutants.families import (
    BLAME,
    FIRST_SERVER,
    FROM_THE_TEXT,
    REPORTS,
    REWRITTEN,
    all_families,
    count_families,
    family_of,
    listed_names,
)
from tests.mutants.judging import Outcome, is_named
from tests.mutants.registry import faults
from tests.mutants.tables import as_document

FAULTS = list(faults().values())


def test_every_listed_name_is_that_of_a_fault() -> None:
    """A fault that is renamed takes its place in a family along."""
    assert not listed_names() - set(faults())


def test_every_fault_has_a_family() -> None:
    """Every family of a fault is listed, and each family from elsewhere has faults."""
    found = {family_of(fault) for fault in FAULTS}
    assert found <= set(all_families())
    assert {REPORTS, FIRST_SERVER, FROM_THE_TEXT, BLAME, REWRITTEN} <= found


def test_families_add_up_to_all_faults() -> None:
    """The counts of all families together are those of all faults, in the table and in its document."""
    outcomes = {
        fault.name: Outcome(fault.name, 1, 1.0, (fault.breaks[0],), first=fault.breaks[0]) for fault in FAULTS
    }
    rows = count_families(FAULTS, outcomes, book())
    assert sum(row.faults for row in rows) == sum(row.caught for row in rows) == len(FAULTS)
    assert sum(row.named for row in rows) == len(FAULTS)
    document = as_document(FAULTS, [], outcomes, book())
    assert [row["family"] for row in document["families"]] == [row.family for row in rows]
    assert {fault["family"] for fault in document["faults"]} == {row.family for row in rows}


@pytest.mark.parametrize(
    ("first", "named"), [("POLL-WAIT-5", True), ("CLOCK-1", True), ("ACK-COMMIT-2", False), ("", False)]
)
def test_a_fault_is_named_by_what_is_reported_first(first: str, named: bool) -> None:
    """A fault is named rightly if the first clause of the report is its own or a declared root, whatever follows."""
    fault = faults()["one-flag-for-all-waits"]
    outcome = Outcome(fault.name, 1, 1.0, ("POLL-WAIT-5", "ACK-COMMIT-2"), first=first)
    assert is_named(fault, outcome, book()) is named
