"""Execution of one test in one binding: its bench, its record, its error."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from conformance.bench.bench import Bench
from conformance.run.presence import last_sent
from conformance.specification.clauses import Level
from conformance.verdicts.recorder import Case, find_failure
from conformance.wire.failures import Crowded, TooSlow, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.run.run import Run

#: Attempts at a test on a machine that is too slow for its timers, and at a server that is away or has no room.
ATTEMPTS = 3


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
        try:
            self._attempt(case, test, arguments)
        except Unreachable as error:
            self.error = error
            self._run.end_early(f"the server went away during {self.name}: {error}")
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
            self._done.set()

    def _attempt(self, case: Case, test: Callable[..., Any], arguments: dict[str, Any]) -> None:
        """Run the test; repeat it if this machine was too slow for its timers, or the server away or without room.

        Finally skip its clauses, or leave inconclusive what could not be asked. Raises Unreachable if the server does
        not come back.
        """
        slow: TooSlow | None = None
        for _ in range(ATTEMPTS):
            began = time.monotonic()
            slow = None
            try:
                test(**arguments)
            except TooSlow as late:
                slow = late
                continue
            except Crowded as crowded:
                reason = str(crowded)
            except Exception as error:
                reason = self._outage(case, began, error)
                if not reason:
                    raise
            else:
                reason = self._run.presence.outage_since(began, check=False)
                if not reason:
                    return
            case.forget_failure()
            self.bench.close()
        if slow is None:
            case.not_asked(reason)
            return
        for clause in case.clauses:
            case.skip(clause, str(slow))

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
            raise Unreachable(f"{gone}{last_sent(frames[1])}") from error

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
