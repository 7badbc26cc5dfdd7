"""Search for the shortest program that shows a failure.

Hypothesis shrinks a failing program for minutes, and may switch to another failure with a shorter program. The
minimizer keeps to the first failure and stops after a fixed time, because every attempt costs round trips to the
server.
"""

import functools
import time
from typing import TYPE_CHECKING

from hypothesis.errors import UnsatisfiedAssumption

from conformance.wire.failures import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from conformance.models.driver_calls import DriverCall

#: Seconds for shrinking a failure that another test shows, too.
BRIEF = 0.3


class StopExamples(BaseException):
    """Stops Hypothesis: the time for shrinking is over, or the run has ended.

    It is no `Exception`, so that Hypothesis does not take it for a failure.
    """


class Minimizer:
    """Failure of one run and its shortest program. `seconds`: time for shrinking, counted from the first failure.

    The time is cut to `BRIEF` if `is_known` says that another test shows the same failure: that test is an example of
    it, and many tests would shrink the same fault of a server.
    """

    def __init__(
        self,
        seconds: float,
        is_known: "Callable[[Exception], bool]" = lambda _failure: False,
        has_run_ended: "Callable[[], bool]" = lambda: False,
    ) -> None:
        self.failure: Exception | None = None
        self.program: list[str] = []
        self.calls: tuple[DriverCall, ...] = ()
        self.replies: list[object] = []
        self._seconds = seconds
        self.is_known = is_known
        self.has_run_ended = has_run_ended
        self._began = float("inf")

    def check_time(self) -> None:
        """Raises StopExamples if the time for shrinking is over or the run has ended.

        A KeyboardInterrupt would not do: Hypothesis may take it for a flaky strategy and go on.
        """
        if self.has_run_ended():
            raise StopExamples
        if self.failure is None:
            return
        spent = time.monotonic() - self._began
        if spent > self._seconds or (spent > BRIEF and self.is_known(self.failure)):
            raise StopExamples

    def keep_shortest(
        self, failure: Exception, program: "Iterable[object]", calls: "Sequence[DriverCall]" = ()
    ) -> Exception:
        """Note a failure, its program, and the calls from which that can be run again.

        Returns the exception that the machine must raise to Hypothesis instead. Each clause has an exception type of
        its own, so that Hypothesis tells failures apart. A failure of another kind than the first rejects the example.
        """
        if self.failure is None:
            self._began = time.monotonic()
        elif _kind(failure) != _kind(self.failure):
            return UnsatisfiedAssumption("another failure than the one that is being shrunk")
        steps = list(program)
        lines = [str(step) for step in steps]
        if self.failure is None or len(lines) <= len(self.program):
            self.failure, self.program, self.calls = failure, lines, tuple(calls)
            self.replies = [step.reply.body for step in steps if hasattr(step, "reply")]
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
