"""Times of tests: the slowest ones, and the time that each clause took."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.reporting.plan import Meta
    from conformance.verdicts.verdicts import Key


def times_of_clauses(meta: Meta) -> dict[Key, float]:
    """Seconds per clause and binding. A test's seconds are shared equally by the clauses that it is a test of."""
    clauses: dict[tuple[str, str], int] = {}
    for key, tests in meta.tests_of.items():
        for test in tests:
            clauses[test, key.binding] = clauses.get((test, key.binding), 0) + 1
    return {
        key: sum(
            meta.durations.get((test, key.binding), 0.0) / clauses[test, key.binding]
            for test in sorted(tests)
        )
        for key, tests in meta.tests_of.items()
    }


def slowest(durations: Mapping[tuple[str, str], float], most: int) -> list[tuple[float, str, str]]:
    """Seconds, name and binding of the `most` slowest tests, or of all if `most` is 0, the slowest first."""
    rows = sorted(((seconds, *test) for test, seconds in durations.items()), reverse=True)
    return rows[:most] if most else rows
