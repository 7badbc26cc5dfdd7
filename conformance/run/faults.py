"""Faults of a run with `--fault`: the clauses that it judges, and the record of the faults for the reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Clauses that every history decides, with faults or without: records are delivered, in order, and acknowledged.
HISTORY_CLAUSES = (
    "DELIVER-1",
    "DELIVER-3",
    "DELIVER-4",
    "ORDER-1",
    "ORDER-2",
    "ACK-COMMIT-1",
    "ACK-OK-1",
)


@dataclass(frozen=True)
class InjectedFault:
    """One fault: its name, when its command began, and when the server answered again, in seconds of the run.

    `in_flight` is the number of records that were in flight when the command began.
    """

    name: str
    began: float
    back: float
    in_flight: int


@dataclass(frozen=True)
class FaultRecord:
    """Faults during one test in one binding. `unknown` of its `operations` got no answer that tells their outcome."""

    test: str
    binding: str
    faults: tuple[InjectedFault, ...]
    operations: int
    unknown: int

    @property
    def sentence(self) -> str:
        """The record in one sentence."""
        names = list(dict.fromkeys(fault.name for fault in self.faults))
        counts = ", ".join(f"{self._count(name)} {name}" for name in names)
        in_flight = [fault.in_flight for fault in self.faults]
        away = max((fault.back - fault.began for fault in self.faults), default=0.0)
        return (
            f"faults ({self.binding}): {counts or 'none'}; {_span(in_flight)} records in flight when they came, up to "
            f"{away:.1f} s until all nodes answered, {self.unknown} of {self.operations} outcomes unknown"
        )

    def _count(self, name: str) -> int:
        return sum(fault.name == name for fault in self.faults)


def _span(numbers: Sequence[int]) -> str:
    if not numbers:
        return "0"
    least, most = min(numbers), max(numbers)
    return f"{least}" if least == most else f"{least} to {most}"
