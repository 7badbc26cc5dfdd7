"""Marks of tests: the clauses that a test decides, how long it waits, which thread runs it.

    @clauses("ACK-OK-1", "ACK-UNKNOWN-1")
    def test_an_acknowledged_record_is_not_delivered_again(bench: Bench) -> None: ...

The scheduler runs a test once for each binding in which one of its clauses is selected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from conformance.specification.clauses import book

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from conformance.targets.target import Target

    Test = TypeVar("Test", bound=Callable[..., Any])

_CLAUSES = "_stompliance_clauses"
_WAITS = "_stompliance_waits"
_MAIN_THREAD_ONLY = "_stompliance_main_thread_only"
_EXCLUSIVE = "_stompliance_exclusive"
_DURING_FAULTS = "_stompliance_during_faults"


class UnknownClause(Exception):
    """A test names an unknown clause."""


@dataclass(frozen=True)
class Wait:
    """Declared wait of a test: its length in seconds, and the clock that it waits for."""

    seconds: Callable[[Target], float]
    clock: Literal["queue", "wall"]

    def on(self, target: Target) -> float:
        """Seconds of real time that the test waits on this target; 0.0 if a virtual clock replaces the wait."""
        if self.clock == "queue" and "virtual-clock" in target.extensions:
            return 0.0
        return self.seconds(target)


def clauses(*ids: str) -> Callable[[Test], Test]:
    """Mark a test with the clauses that it decides, the most important first.

    Raises UnknownClause for an id that no chapter has, ValueError without an id.
    """
    if not ids:
        raise ValueError("@clauses needs at least one id")
    if unknown := [clause for clause in ids if clause not in book()]:
        raise UnknownClause(f"no chapter of the specification has {', '.join(unknown)}")

    def mark(test: Test) -> Test:
        setattr(test, _CLAUSES, tuple(dict.fromkeys([*ids, *clauses_of(test)])))
        return test

    return mark


def waits(
    seconds: Callable[[Target], float], *, clock: Literal["queue", "wall"] = "queue"
) -> Callable[[Test], Test]:
    """Mark a test with the time that it waits, in seconds, so that its wait overlaps those of other tests.

    Such a test runs in a thread of its own from the start of the run, and must use no fixture but `bench`. With
    clock="queue" that applies only to servers without a virtual clock; clock="wall" is for tests that always take real
    time, such as those of STOMP heart-beats.
    """

    def mark(test: Test) -> Test:
        setattr(test, _WAITS, Wait(seconds, clock))
        return test

    return mark


def main_thread_only(test: Test) -> Test:
    """Mark a test that must run in the main thread, one at a time: all tests that use Hypothesis.

    Hypothesis parses the source of the functions it is given, and the parser of Python 3.11 is not thread-safe.
    """
    setattr(test, _MAIN_THREAD_ONLY, True)
    return test


def is_main_thread_only(test: object) -> bool:
    """True if a test function is marked `@main_thread_only` or `@exclusive`."""
    return getattr(test, _MAIN_THREAD_ONLY, False)


def exclusive(test: Test) -> Test:
    """Mark a test that runs after all others have ended, because its load would delay them."""
    setattr(test, _EXCLUSIVE, True)
    return main_thread_only(test)


def is_exclusive(test: object) -> bool:
    """True if a test function is marked `@exclusive`."""
    return getattr(test, _EXCLUSIVE, False)


def during_faults(test: Test) -> Test:
    """Mark a test that injects the faults of `--fault`: it runs alone, and only where these are given."""
    setattr(test, _DURING_FAULTS, True)
    return exclusive(test)


def is_during_faults(test: object) -> bool:
    """True if a test function is marked `@during_faults`."""
    return getattr(test, _DURING_FAULTS, False)


def clauses_of(test: object) -> tuple[str, ...]:
    """Ids that `@clauses` gave to a test function; empty if there are none."""
    ids: tuple[str, ...] = getattr(test, _CLAUSES, ())
    return ids


def wait_of(test: object) -> Wait | None:
    """Wait that `@waits` declared for a test function, if any."""
    wait: Wait | None = getattr(test, _WAITS, None)
    return wait
