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

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.run.run import Run
    from conformance.runner.messages import Outcome

#: Attempts at a test on a machine that is too slow for its timers, and at a server that is away or has no room.
ATTEMPTS = 3
#: Longest wait for a connection, in seconds, that spoils no timer of a test.
LONG_WAIT_SECONDS = 2.0


class Execution:
    """Runs a test function with a bench, and records its assertions."""

    def __init__(self, run: Run, name: str, clauses: tuple[str, ...], binding: str) -> None:
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
            is_last = number == ATTEMPTS - 1
            try:
                reason = self._attempt_once(case, test, arguments, alone=bool(reason), is_last=is_last)
            except TooSlow as late:
                slow = late
                if isinstance(late, WaitTooLong):
                    break
                continue
            if not reason:
                return
            case.forget_failure()
        if slow is None:
            case.not_asked(reason)
            return
        for clause in case.clauses:
            case.skip(clause, str(slow))

    def _attempt_once(
        self, case: Case, test: Callable[..., Any], arguments: dict[str, Any], *, alone: bool, is_last: bool
    ) -> str:
        """Run the test once; returns the reason why it showed nothing, "" if it ended well.

        A server that goes away in each attempt at a test does so because of the test: the last failure counts.
        """
        self._run.presence.start()
        admission = self._run.target.access.admission
        with admission.turn_of_test(alone=alone) if admission else contextlib.nullcontext():
            began = time.monotonic()
            if admission:
                admission.take_longest_wait()
            try:
                test(**arguments)
                reason = self._run.presence.outage_since(began, check=False)
            except Crowded as crowded:
                reason = str(crowded)
            except Exception as error:
                outage = self._outage(case, began, error)
                reason = outage or self._delay(error)
                if not reason or (outage and is_last and not isinstance(error, Unreachable)):
                    raise
            if reason or admission:
                self.bench.close()
            return reason

    def _delay(self, error: Exception) -> str:
        """Reason why a failure shows nothing if the test had to wait long for a connection, "" if it did not."""
        admission = self._run.target.access.admission
        waited = admission.take_longest_wait() if admission else 0.0
        if find_failure(error) is None or waited < LONG_WAIT_SECONDS:
            return ""
        return f"the test had to wait {waited:.1f} s for a connection, and failed: {error}"

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
        threading.Thread(
            target=self.execute, args=(test, arguments), name=f"waiting-{self.name}", daemon=True
        ).start()

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the end of a started test; True if it ended."""
        return self._done.wait(seconds)

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
