"""What a run is going to do, and what it was: the facts that stand at the head of every report."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from conformance.models.rule_coverage import RuleCoverage


@dataclass(frozen=True)
class Plan:
    """What the run is going to do.

    `seed` is None where every run tries the same examples. `wait_seconds` is the real time that passes in waits,
    which overlap.
    """

    tests: int
    clauses: int
    effort: str
    seed: int | None
    wait_seconds: float = 0.0
    bindings: tuple[str, ...] = ()


def suite_version() -> str:
    """The version of the installed suite; `unknown` where it runs without being installed."""
    try:
        return importlib.metadata.version("stompliance")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True)
class Meta:
    """What the run was: its plan, when it began (with a time zone), and how long it took, in seconds.

    `suite_failures` says what broke in the suite outside of all tests, `reach` what the stateful models reached.
    """

    plan: Plan
    started: datetime
    duration: float
    suite_failures: tuple[str, ...] = ()
    reach: tuple[RuleCoverage, ...] = ()
    suite_version: str = field(default_factory=suite_version)
