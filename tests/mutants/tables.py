"""Tables of faults and variants, for the terminal and as JSON."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from tests.mutants.families import FamilyCount, count_families, family_of
from tests.mutants.judging import Outcome, is_blamed, is_caught, is_left_alone, is_named

if TYPE_CHECKING:
    from rich.console import Console

    from conformance.specification.clauses import Book
    from tests.mutants.registry import Fault, Variant

#: Required share of faults that are reported first on their clause or a declared root of it, and limit of the median
#: number of broken clauses.
NAMED_SHARE = 0.9
#: Faults of which a share can be required. Of fewer, each has to be reported on its clause, first or not.
LEAST_FOR_A_SHARE = 100
MEDIAN_CLAUSES = 3.0


def print_faults(console: Console, faults: list[Fault], outcomes: dict[str, Outcome], book: Book) -> None:
    """Print for each fault: broken clauses, transport, verdict, first failed clause, number of failures, time, steps.

    The column `caught` names the effort of faults that need more than quick.
    """
    table = Table(
        "fault",
        "breaks",
        "over",
        "caught",
        "first",
        "clauses",
        "seconds",
        "steps",
        box=box.SIMPLE,
        pad_edge=False,
    )
    for fault in faults:
        outcome = outcomes[fault.name]
        caught, named = is_caught(fault, outcome), is_named(fault, outcome, book)
        word = "[red]NO[/]" if not caught else "yes" if named else "[yellow]elsewhere[/]"
        if caught and fault.effort != "quick":
            word += f", {fault.effort}"
        seconds = "" if outcome.detected is None else f"{outcome.detected:.1f}"
        first = outcome.first or ("trouble" if outcome.trouble else "")
        table.add_row(
            fault.name,
            " ".join(fault.breaks),
            outcome.transport,
            word,
            first,
            str(len(outcome.found)),
            seconds,
            str(outcome.steps or ""),
        )
    console.print(table)


def print_families(console: Console, rows: list[FamilyCount]) -> None:
    """Print for each family of faults how many there are, how many are caught, and how many on the right clause."""
    table = Table("family", "faults", "caught", "named rightly", box=box.SIMPLE, pad_edge=False)
    for row in rows:
        table.add_row(row.family, str(row.faults), str(row.caught), str(row.named))
    console.print(table)


def print_variants(console: Console, variants: list[Variant], outcomes: dict[str, Outcome]) -> None:
    """Print for each variant the freedom that it uses and its verdict."""
    table = Table(
        "odd but conforming broker", "left open by", "over", "verdict", box=box.SIMPLE, pad_edge=False
    )
    for variant in variants:
        outcome = outcomes[variant.name]
        if is_left_alone(outcome):
            verdict = "passes"
        else:
            what = (
                " ".join(outcome.found + outcome.unjudged)
                or outcome.trouble[-200:]
                or f"exit {outcome.status}"
            )
            verdict = f"[red]FALSE ALARM[/] {what}"
        table.add_row(variant.name, variant.freedom, outcome.transport, verdict)
    console.print(table)


def summary(
    faults: list[Fault], variants: list[Variant], outcomes: dict[str, Outcome], book: Book
) -> tuple[list[str], bool]:
    """Totals in sentences, and True if they meet the requirements on the suite."""
    sentences = []
    good = True
    if faults:
        caught = [fault for fault in faults if is_caught(fault, outcomes[fault.name])]
        named = [fault for fault in faults if is_named(fault, outcomes[fault.name], book)]
        counts = [len(outcomes[fault.name].found) for fault in caught]
        median = statistics.median(counts) if counts else 0.0
        is_table = len(faults) >= LEAST_FOR_A_SHARE
        blamed = named if is_table else [f for f in faults if is_blamed(f, outcomes[f.name], book)]
        good = (
            len(caught) == len(faults)
            # In a small sample, one fault caught on other clauses alone is allowed.
            and len(faults) - len(blamed) <= max(1, (1 - NAMED_SHARE) * len(faults))
            and median <= MEDIAN_CLAUSES
        )
        sentences.append(
            f"{len(caught)} of {len(faults)} faults caught, {len(named)} reported first on the clause that they break "
            f"or a root of it; the median fault fails {median:g} clauses."
        )
    if variants:
        alarms = [variant.name for variant in variants if not is_left_alone(outcomes[variant.name])]
        good = good and not alarms
        sentences.append(f"{len(variants)} odd but conforming brokers, {len(alarms)} false alarms.")
    return sentences, good


def as_document(
    faults: list[Fault], variants: list[Variant], outcomes: dict[str, Outcome], book: Book
) -> dict[str, Any]:
    """Both tables as a JSON object."""
    return {
        "faults": [
            {
                "breaks": fault.breaks,
                "summary": fault.summary,
                "hard": fault.hard,
                "effort": fault.effort,
                "family": family_of(fault),
                "caught": is_caught(fault, outcomes[fault.name]),
                "named": is_named(fault, outcomes[fault.name], book),
                **_plain(outcomes[fault.name]),
            }
            for fault in faults
        ],
        "families": [asdict(row) for row in count_families(faults, outcomes, book)],
        "variants": [
            {
                "freedom": variant.freedom,
                "summary": variant.summary,
                "left_alone": is_left_alone(outcomes[variant.name]),
                **_plain(outcomes[variant.name]),
            }
            for variant in variants
        ],
    }


def _plain(outcome: Outcome) -> dict[str, Any]:
    values = asdict(outcome)
    del values["report"]
    return values
