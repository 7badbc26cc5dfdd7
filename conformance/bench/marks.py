"""What a test says about itself: the clauses that it decides, and how long it has to wait.

    @clauses("ACK-OK-1", "ACK-UNKNOWN-1")
    def test_an_acknowledged_record_is_not_delivered_again(bench: Bench) -> None: ...

The plugin runs the test once for each binding in which one of its clauses applies.
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


class UnknownClause(Exception):
    """A test names a clause that no chapter has."""


@dataclass(frozen=True)
class Wait:
    """How long a test waits for real time to pass, in seconds, and which clock it waits for."""

    seconds: Callable[[Target], float]
    clock: Literal["queue", "wall"]

    def on(self, target: Target) -> float:
        """The seconds that the test waits on this target; 0.0 where a virtual clock spares them."""
        if self.clock == "queue" and "virtual-clock" in target.extensions:
            return 0.0
        return self.seconds(target)


def clauses(*ids: str) -> Callable[[Test], Test]:
    """Name the clauses that a test decides, the most important first.

    Raises UnknownClause at import where an id is in no chapter, and ValueError without an id.
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
    """Say how long a test waits, in seconds, so that its wait overlaps those of other tests.

    Such a test runs in a thread of its own from the start of the run, and must use nothing but `bench`. With
    clock="queue" that is only so where the server has no virtual clock; clock="wall" is for what always takes real
    time, such as the heart-beats of STOMP.
    """

    def mark(test: Test) -> Test:
        setattr(test, _WAITS, Wait(seconds, clock))
        return test

    return mark


def main_thread_only(test: Test) -> Test:
    """Have a test performed by the thread of the run: what uses Hypothesis must be.

    Hypothesis reads the source of what it is given, and the parser of Python 3.11 fails in two threads at a time.
    """
    setattr(test, _MAIN_THREAD_ONLY, True)
    return test


def is_main_thread_only(test: object) -> bool:
    """Whether a test function was marked `@main_thread_only`."""
    return getattr(test, _MAIN_THREAD_ONLY, False)


def exclusive(test: Test) -> Test:
    """Have a test performed when all others have ended: what it does to a server may keep the others waiting."""
    setattr(test, _EXCLUSIVE, True)
    return main_thread_only(test)


def is_exclusive(test: object) -> bool:
    """Whether a test function was marked `@exclusive`."""
    return getattr(test, _EXCLUSIVE, False)


def clauses_of(test: object) -> tuple[str, ...]:
    """The ids that `@clauses` gave to a test function; empty for none."""
    ids: tuple[str, ...] = getattr(test, _CLAUSES, ())
    return ids


def wait_of(test: object) -> Wait | None:
    """What `@waits` said about a test function."""
    wait: Wait | None = getattr(test, _WAITS, None)
    return wait
