"""Execution of one test in one binding: its bench, its record, its error."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from conformance.bench.bench import Bench
from conformance.models.rule_coverage import COVERAGE_BY_MACHINE
from conformance.specification.clauses import Level
from conformance.verdicts.case import Case, find_failure
from conformance.verdicts.merging import merge
from conformance.wire.failures import Crowded, RunEnded, TooSlow, Unreachable, WaitTooLong
from conformance.wire.places import ORDINARY

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.run.run import Run
    from conformance.runner.messages import Outcome

#: Attempts at a test on a machine that is too slow for its timers, and at a server that is away or has no room.
ATTEMPTS = 3
#: Longest wait for a connection, in seconds, that spoils no timer of a test, while other tests run and while none does.
SHORT_WAIT_SECONDS, LONG_WAIT_SECONDS = 0.2, 2.0


class Execution:
    """Runs a test function with a bench, and records its assertions."""

    def __init__(
        self, run: Run, name: str, clauses: tuple[str, ...], binding: str, *, hands_back: bool = False
    ) -> None:
        """`hands_back` is true where the caller, not this object, repeats a test that got no connection."""
        self._run = run
        self.name = name
        self.clauses = clauses
        self.bench = Bench(run, binding)
        self.bench.case = Case(
            run.recorder, name, clauses, binding, version=self.bench.version, evidence=self.bench.evidence
        )
        self.error: BaseException | None = None
        self._done = threading.Event()
        self._recording = threading.Lock()
        self._recorded = False
        self._hands_back = hands_back
        self._crowded = 0
        self._waits = False
        self._attempt_began: float | None = None
        run.recorder.plan(name, clauses, binding)

    def execute(self, test: Callable[..., Any], arguments: dict[str, Any]) -> None:
        """Run the test to its end, record its assertions, and keep the exception it raised in `error`.

        Raises only what is no Exception, such as KeyboardInterrupt; that ends the run, as does Unreachable.
        """
        case = self.bench.case
        assert case is not None
        began = time.monotonic()
        try:
            self._attempt(case, test, arguments)
        except Unreachable as error:
            self.error = error
            self._run.end_early(f"the server went away during {self.name}: {error}")
        except RunEnded as error:
            self.error = error
        except Exception as error:  # noqa: BLE001  the recorder tells the peer's failures from the suite's errors
            self.error = error
        except BaseException as error:
            self.error = error
            self._run.end_early(f"interrupted during {self.name}")
            raise
        finally:
            with self._recording:
                if not self._recorded:
                    self._recorded = True
                    self._record(case)
            self.bench.close()
            if self.error is not None:
                forget_locals(self.error)
            self._run.durations[self.name, self.bench.binding] = time.monotonic() - began
            self._done.set()

    def _attempt(self, case: Case, test: Callable[..., Any], arguments: dict[str, Any]) -> None:
        """Run the test; repeat it if this machine was too slow for its timers, or the server away or without room.

        Finally skip its clauses, or leave inconclusive what could not be asked. Raises Unreachable if the server does
        not come back.
        """
        slow: TooSlow | None = None
        reason = ""
        for number in range(ATTEMPTS):
            slow = None
            try:
                reason = self._attempt_once(case, test, arguments, is_last=number == ATTEMPTS - 1)
            except TooSlow as late:
                slow = late
                if isinstance(late, WaitTooLong):
                    break
                continue
            if not reason:
                return
            case.forget_failure()
            if self.is_handed_back or (self.bench.admission and self.bench.admission.is_hopeless):
                break
        if slow is None:
            case.not_asked(reason)
            return
        for clause in case.clauses:
            case.skip(clause, str(slow))

    @property
    def is_handed_back(self) -> bool:
        """True if the test showed nothing since it got no connection, and the caller is to repeat it."""
        return self._hands_back and self._crowded > 0

    def _attempt_once(
        self, case: Case, test: Callable[..., Any], arguments: dict[str, Any], *, is_last: bool
    ) -> str:
        """Run the test once; returns the reason why it showed nothing, "" if it ended well.

        A server that goes away in each attempt at a test does so because of the test: the last failure counts.
        """
        self._run.presence.start()
        admission = self.bench.admission
        alone = self._is_alone(is_last)
        with self._turn(alone):
            began = self._attempt_began = time.monotonic()
            if admission:
                admission.forget()
                admission.is_alone = alone
            outage = crowding = ""
            try:
                test(**arguments)
                if not self.bench.outlasts_outages:
                    outage = self._run.presence.outage_since(began, check=False)
                crowding = admission.refusal if admission else ""
            except Crowded as crowded:
                crowding = str(crowded)
            except Exception as error:
                if self.bench.outlasts_outages:
                    raise
                outage = self._outage(case, began, error)
                crowding = self._crowding(error, alone=alone)
                is_its_own = outage and is_last and not isinstance(error, Unreachable)
                if not crowding and (is_its_own or not outage):
                    raise
            self._crowded += bool(crowding)
            self._attempt_began = None
            if outage or crowding or admission:
                self.bench.close()
            return crowding or outage

    def _turn(self, alone: bool) -> contextlib.AbstractContextManager[None]:
        if self.bench.admission is None:
            return contextlib.nullcontext()
        return self.bench.admission.run.places.turn(waits=self._waits, attempt=self._crowded, alone=alone)

    def _is_alone(self, is_last: bool) -> bool:
        """True for a test that got no connection while others ran, and that more places would not help."""
        if not self._crowded or self.bench.admission is None:
            return False
        return is_last or self.bench.admission.run.places.most is None

    def _crowding(self, error: Exception, *, alone: bool) -> str:
        """Reason why a failure shows nothing if a connection came late or not at all, "" if all came.

        A test that has the server for itself, and no more connections than an ordinary test, has room.
        """
        admission = self.bench.admission
        if find_failure(error) is None or admission is None:
            return ""
        if admission.refusal:
            return f"{admission.refusal}; then the test failed: {error}"
        if admission.crowd > (ORDINARY if alone else 0):
            return f"with {admission.crowd} connections open, a new one got no answer, and the test failed: {error}"
        if admission.longest_wait >= (LONG_WAIT_SECONDS if alone else SHORT_WAIT_SECONDS):
            return (
                f"the test had to wait {admission.longest_wait:.1f} s for a connection, and failed: {error}"
            )
        return ""

    def _outage(self, case: Case, began: float, error: Exception) -> str:
        """Reason why the error of a test shows nothing, "" if it does. Raises Unreachable if the server is gone."""
        failure = find_failure(error)
        if failure is None and not isinstance(error, Unreachable):
            return ""
        if failure is not None and failure.evidence is None:
            failure.evidence = self.bench.evidence()
        frames = (failure.evidence if failure is not None else None) or self.bench.evidence()
        # A server that the test itself keeps from answering is not away.
        self.bench.close()
        try:
            if isinstance(error, Unreachable):
                if not self._run.presence.answers():
                    raise error
                return str(error)
            return self._run.presence.outage_since(began, check=True)
        except Unreachable as gone:
            case.forget_failure()
            raise Unreachable(f"{gone}{self._run.presence.last_sent(frames[1])}") from error

    def adopt(self, outcome: Outcome) -> None:
        """End the test as another process has run it: take over what it recorded."""
        with self._recording:
            if not self._recorded:
                self._recorded = True
                merge(self._run.recorder, outcome.tallies)
        self.error = outcome.problem.error() if outcome.problem is not None else None
        if self.bench.case is not None:
            self.bench.case.ended_at = outcome.ended_at
        self._run.durations[self.name, self.bench.binding] = outcome.seconds
        self._run.findings |= outcome.findings
        self._run.suite_failures += outcome.suite_failures
        self._run.histories += outcome.histories
        COVERAGE_BY_MACHINE.update(outcome.coverage)
        if outcome.ended_early:
            self._run.end_early(outcome.ended_early)
        self._done.set()

    def start(self, test: Callable[..., Any], arguments: dict[str, Any]) -> None:
        """Run the test in a thread of its own, so that its waits overlap those of other tests."""
        self._waits = True
        threading.Thread(
            target=self.execute, args=(test, arguments), name=f"waiting-{self.name}", daemon=True
        ).start()

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the end of a started test; True if it ended."""
        return self._done.wait(seconds)

    def seconds_so_far(self) -> float:
        """Seconds of the present attempt at the test, without those in which it waited for connections."""
        began, admission = self._attempt_began, self.bench.admission
        if began is None:
            return 0.0
        return time.monotonic() - began - (admission.waited if admission else 0.0)

    def give_up(self, reason: str) -> None:
        """Record a test that is still running as never run, since the run doesn't wait for it."""
        with self._recording:
            if not self._recorded:
                self._recorded = True
                self._run.recorder.never_run(self.clauses, self.bench.binding, reason)

    def has_broken_must(self) -> bool:
        """True if the test ended at a broken MUST that no waiver covers."""
        key = self.bench.case.ended_at if self.bench.case else None
        if key is None or any(waiver.covers(key) for waiver in self._run.target.waivers):
            return False
        if key.clause in self._run.excluded:
            return False
        return self._run.book[key.clause].level is Level.MUST

    def failed_clause(self) -> str | None:
        """Clause of the failure that ended the test, if any."""
        failure = find_failure(self.error) if self.error is not None else None
        return getattr(failure, "clause", None)

    def _record(self, case: Case) -> None:
        """Record the assertions; the clauses that an interrupted test had not yet asserted count as never run."""
        if self._run.ended_early and self.error is not None and find_failure(self.error) is None:
            self._run.recorder.never_run(self.clauses, self.bench.binding, self._run.ended_early)
            case.finish_cut_short()
        else:
            case.finish(self.error)


def forget_locals(error: BaseException) -> None:
    """Drop the local variables that an exception's traceback keeps, and with them what the test has received.

    The run keeps the exception to its end. Those that it came from are treated likewise.
    """
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        traceback.clear_frames(one.__traceback__)
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
