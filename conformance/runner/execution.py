"""Execution of one test in one binding: its bench, its record, its error."""

from __future__ import annotations

import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from conformance.bench.bench import Bench
from conformance.specification.clauses import Level
from conformance.verdicts.case import Case, find_failure
from conformance.wire.failures import RunEnded, TooSlow, Unreachable, WaitTooLong

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.run.run import Run

#: Attempts at a test on a machine that is too slow for its timers.
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
        """Run the test; repeat it if this machine was too slow for its timers; finally skip its clauses."""
        for _ in range(ATTEMPTS):
            try:
                test(**arguments)
            except WaitTooLong as wait:
                reason = str(wait)
                break
            except TooSlow as slow:
                reason = str(slow)
            else:
                return
        for clause in case.clauses:
            case.skip(clause, reason)

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
