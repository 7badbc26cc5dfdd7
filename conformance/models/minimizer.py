"""The search for the shortest program that shows a failure.

Hypothesis shrinks a failing program for minutes, and lets another failure slip in where it is shorter. Here
the first failure stays the one that is looked for, and the search ends when its time is up: over a wire every
attempt costs its round trips.
"""

import functools
import time
from typing import TYPE_CHECKING

from hypothesis.errors import UnsatisfiedAssumption

from conformance.wire.failures import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Seconds for shrinking where another test shows the same failure already.
BRIEF = 0.3


class StopExamples(BaseException):
    """The time for shrinking is up. No `Exception`, so that Hypothesis takes it for no failure of its own."""


class Minimizer:
    """What one run of a machine found. `seconds` is the time for shrinking, from the first failure on.

    It is cut short where `is_known` says that another test shows the failure too: that one is an example, as short
    as it was written, and many tests would otherwise shrink one and the same mistake of a server.
    """

    def __init__(
        self,
        seconds: float,
        is_known: "Callable[[Exception], bool]" = lambda _failure: False,
        has_run_ended: "Callable[[], bool]" = lambda: False,
    ) -> None:
        self.failure: Exception | None = None
        self.program: list[str] = []
        self._seconds = seconds
        self._is_known = is_known
        self._has_run_ended = has_run_ended
        self._began = float("inf")

    def check_time(self) -> None:
        """Raises `StopExamples` when the time for shrinking is up, or the run has ended.

        Hypothesis may take a KeyboardInterrupt for a strategy that is flaky, and go on.
        """
        if self._has_run_ended():
            raise StopExamples
        if self.failure is None:
            return
        spent = time.monotonic() - self._began
        if spent > self._seconds or (spent > BRIEF and self._is_known(self.failure)):
            raise StopExamples

    def keep_shortest(self, failure: Exception, program: "Iterable[object]") -> Exception:
        """Take note of a failure; returns what the machine shall raise, to Hypothesis, in its place.

        Failures of different clauses are of different types there. What is not the failure that was found
        first counts as a program of no interest.
        """
        if self.failure is None:
            self._began = time.monotonic()
        elif _kind(failure) != _kind(self.failure):
            return UnsatisfiedAssumption("another failure than the one that is being shrunk")
        lines = [str(step) for step in program]
        if self.failure is None or len(lines) <= len(self.program):
            self.failure, self.program = failure, lines
        return _typed(failure)


def _kind(failure: Exception) -> str:
    return failure.clause if isinstance(failure, Violation) else type(failure).__name__


@functools.cache
def _type_for(clause: str) -> type[Violation]:
    return type(f"Violation of {clause}", (Violation,), {})


def _typed(failure: Exception) -> Exception:
    if not isinstance(failure, Violation):
        return failure
    return _type_for(failure.clause)(failure.clause, failure.expected, failure.observed)
