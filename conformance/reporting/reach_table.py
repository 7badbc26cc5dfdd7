"""Coverage of the stateful models: the pairs of rule and class of state that a run reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.reporting.summary import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.models.rule_coverage import RuleCoverage
    from conformance.reporting.screen import Screen


def print_reach(screen: Screen, machines: Sequence[RuleCoverage]) -> None:
    """Print for each model the share of pairs (rule, class of state) that it reached, and the missed pairs."""
    if not machines:
        return
    screen.heading("Coverage of the models: rules, each in the classes of state in which it can run")
    width = max(len(reach.machine) for reach in machines)
    for reach in machines:
        screen.line(
            f"{reach.machine:{width}}  {reach.share():4.0%} of {counted(len(reach.possible()), 'pair')}, "
            f"{counted(reach.steps(), 'step')}"
        )
        if missed := reach.missed():
            screen.paragraph(", ".join(f"{rule} ({state})" for rule, state in missed), 4, "    not: ")
