"""The end of the search for a shorter program."""

from __future__ import annotations

import pytest

from conformance.models import minimizer
from conformance.models.minimizer import BRIEF, Minimizer, StopExamples
from conformance.wire.failures import Violation

FAILURE = Violation("ORDER-1", "one order", "another")


class Clock:
    """A clock that only tests advance, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(minimizer, "time", clock)
    return clock


def test_the_time_begins_with_the_first_failure(clock: Clock) -> None:
    """The time for shrinking starts with the first failure, however late that is."""
    minimized = Minimizer(10.0)
    clock.now += 1000
    minimized.check_time()
    minimized.keep_shortest(FAILURE, ["a step"])
    clock.now += 9
    minimized.check_time()
    clock.now += 2
    with pytest.raises(StopExamples):
        minimized.check_time()


def test_a_failure_that_others_show_too_is_shrunk_briefly(clock: Clock) -> None:
    """Shrinking stops once another test has shown the failure, but not before `BRIEF` seconds."""
    known: list[str] = []
    minimized = Minimizer(10.0, lambda failure: isinstance(failure, Violation) and failure.clause in known)
    minimized.keep_shortest(FAILURE, ["a step"])
    clock.now += BRIEF + 1
    minimized.check_time()
    known.append("ORDER-1")
    with pytest.raises(StopExamples):
        minimized.check_time()


def test_what_is_known_already_has_a_little_time(clock: Clock) -> None:
    """A known failure is shrunk for `BRIEF` seconds."""
    minimized = Minimizer(10.0, lambda _failure: True)
    minimized.keep_shortest(FAILURE, ["a step", "another"])
    clock.now += BRIEF / 2
    minimized.check_time()
    minimized.keep_shortest(FAILURE, ["a step"])
    assert minimized.program == ["a step"]


def test_a_run_that_has_ended_ends_the_search() -> None:
    """At the end of the run a machine stops at its next rule, even without a failure."""
    ended = False
    minimized = Minimizer(10.0, has_run_ended=lambda: ended)
    minimized.check_time()
    ended = True
    with pytest.raises(StopExamples):
        minimized.check_time()
