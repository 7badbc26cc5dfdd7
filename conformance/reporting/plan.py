"""Facts of a run at the head of every report: its plan, its times, its suite failures."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from conformance.models.rule_coverage import RuleCoverage
    from conformance.run.faults import FaultRecord
    from conformance.run.run import RecordedHistory
    from conformance.verdicts.verdicts import Key


@dataclass(frozen=True)
class Plan:
    """Plan of a run.

    `seed` is None if every run tries the same examples. `wait_seconds` is the time that the run waits for real time.
    `waits_overlap` is false where a limit of connections lets only some tests wait at once. `restarts` are the bindings
    in which a command of the user restarts the server; None without a command.
    """

    tests: int
    clauses: int
    effort: str
    seed: int | None
    wait_seconds: float = 0.0
    waits_overlap: bool = True
    bindings: tuple[str, ...] = ()
    restarts: tuple[str, ...] | None = None


def suite_version() -> str:
    """Version of the installed suite; `unknown` if the package is not installed."""
    try:
        return importlib.metadata.version("stompliance")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True)
class Meta:
    """Facts of a finished run: its plan, its start (with a time zone), its duration in seconds.

    `suite_failures` are failures of the suite outside of all tests, `reach` is the coverage of the stateful models.
    `durations` are the seconds of each test by its name and binding, `tests_of` the names of the tests of each clause.
    `histories` are those of concurrent clients, `faults` those that the run injected.
    """

    plan: Plan
    started: datetime
    duration: float
    suite_failures: tuple[str, ...] = ()
    reach: tuple[RuleCoverage, ...] = ()
    durations: Mapping[tuple[str, str], float] = field(default_factory=dict)
    tests_of: Mapping[Key, frozenset[str]] = field(default_factory=dict)
    histories: tuple[RecordedHistory, ...] = ()
    faults: tuple[FaultRecord, ...] = ()
    suite_version: str = field(default_factory=suite_version)
