"""Pytest plugin that schedules the tests of one run: each once per binding, several concurrently.

`conformance.plugin` registers it for pytest's command line, `conformance.command.cli` for the suite's own.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from conformance.bench.marks import clauses_of, is_exclusive, is_main_thread_only, wait_of
from conformance.run.options import Effort
from conformance.run.time_limit import TimeLimit, limit_seconds
from conformance.runner.collection import is_selected
from conformance.runner.examples import draw_no_program_constants
from conformance.runner.execution import Execution
from conformance.runner.process_pool import ProcessPool, processes_for
from conformance.runner.pytest_items import (
    arguments,
    binding_of,
    full_name,
    is_suite_test,
    needs_only_parameters,
    runs_apart,
    runs_concurrently,
)
from conformance.runner.scheduled_test import ScheduledTest
from conformance.runner.serial_waits import beyond_bound, total, why_left_out
from conformance.runner.worker_pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Generator

    from conformance.bench.marks import Wait
    from conformance.run.run import Run
    from conformance.verdicts.verdicts import Waiver

#: Time that a waiting test may take beyond its declared wait, in multiples of the target's patience.
_WAITING_PATIENCES = 12
_SLICE_SECONDS = 0.2
#: Depth in the dependency graph from which a long test delays no test that depends on it.
_AFTER_ROOTS = 2
#: Models and properties of quick effort that take longer than a process of their own needs to start.
_WORTH_A_PROCESS = 8
#: Longest wait of a test for real time, in seconds; a test that would wait longer is skipped.
LONGEST_WAIT = 600.0
#: Seconds that the end of a run waits for tests that are still running.
_GRACE_SECONDS = 1.0


class Progress(Protocol):
    """Receiver of progress events."""

    def test_started(self, name: str) -> None: ...
    def test_ended(self, name: str, outcome: str) -> None: ...
    def waiting(self, seconds_left: float) -> None: ...


class Scheduler:
    """Orders and runs the tests of a run. One object per pytest session."""

    def __init__(self, run: Run, progress: Progress) -> None:
        self.run = run
        self.planned: list[pytest.Function] = []
        self._progress = progress
        self._waiting: dict[pytest.Function, Execution] = {}
        self._scheduled: dict[pytest.Function, ScheduledTest] = {}
        self._pool: WorkerPool | None = None
        self._processes: ProcessPool | None = None
        self._apart: WorkerPool | None = None
        self._time_limit = TimeLimit(run)

    # Collecting

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, obj: object) -> list[pytest.Item] | None:
        """Leave out tests without a selected clause, before they are parametrized."""
        is_left_out = callable(obj) and clauses_of(obj) and not is_selected(obj, self.run)
        return [] if is_left_out else None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrize a test by the bindings in which one of its clauses is selected."""
        if "bench" in metafunc.fixturenames and (ids := clauses_of(metafunc.function)):
            metafunc.parametrize("bench", self.run.bindings_of(ids), indirect=True, scope="function")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Order: dependency roots, ordinary tests, waiting tests, exclusive tests."""
        if self.run.options.shuffle:
            random.Random(self.run.options.seed or 0).shuffle(items)
        else:
            items.sort(key=self._depth)
        items.sort(key=lambda item: self._wait_of(item) > 0)
        items.sort(key=lambda item: isinstance(item, pytest.Function) and is_exclusive(item.obj))
        items[:] = [item for item in items if not self._is_skipped(item)]
        self._leave_out_serial_waits(items)
        self.planned = [item for item in items if isinstance(item, pytest.Function) and is_suite_test(item)]

    def wait_seconds(self) -> float:
        """Seconds that the run waits for real time to pass: the waits that overlap, and all others."""
        overlapping, others = self._waits()
        return total(overlapping, self._waits_at_once) + others

    @property
    def waits_overlap(self) -> bool:
        """True unless a limit of connections makes tests that wait for real time wait for one another."""
        overlapping, _ = self._waits()
        return total(overlapping, self._waits_at_once) <= max(overlapping, default=0.0)

    @property
    def _waits_at_once(self) -> int | None:
        admission = self.run.target.access.admission
        return admission.run.places.waits_at_once if admission is not None else None

    def _waits(self) -> tuple[list[float], float]:
        """Seconds of each wait that overlaps, and of all others together."""
        overlapping = [self._wait_of(item) for item in self.planned if self._overlaps(item)]
        return overlapping, sum(self._wait_of(item) for item in self.planned if not self._overlaps(item))

    def _is_skipped(self, item: pytest.Item) -> bool:
        """True for a test whose wait is longer than LONGEST_WAIT; records why its clauses can't be judged."""
        wait = self._wait_of(item)
        if wait <= LONGEST_WAIT or not isinstance(item, pytest.Function):
            return False
        reason = (
            f"by the timings of this server its test waits for {wait:.0f} s, longer than {LONGEST_WAIT:.0f} s: "
            "set the server to shorter ones"
        )
        self.run.recorder.skip(full_name(item), clauses_of(item.obj), str(binding_of(item)), reason)
        return True

    def _leave_out_serial_waits(self, items: list[pytest.Item]) -> None:
        """Leave out tests whose waits can't overlap at the declared limit of connections, beyond a bound."""
        at_once = self._waits_at_once
        waiting = {item: self._wait_of(item) for item in items if isinstance(item, pytest.Function)}
        waiting = {item: wait for item, wait in waiting.items() if wait > 0 and self._overlaps(item)}
        groups = {item: (item.obj, str(binding_of(item))) for item in waiting}
        left_out = beyond_bound(waiting, groups, at_once, self.run.options.effort)
        reason = why_left_out(waiting.values(), at_once)
        for item in left_out:
            self.run.recorder.never_run(clauses_of(item.obj), str(binding_of(item)), reason)
        items[:] = [item for item in items if item not in left_out]

    def _overlaps(self, item: pytest.Function) -> bool:
        """True for a waiting test that may run beside all others: not if it has consumers whose clock others move."""
        has_consumers = str(binding_of(item)).startswith("queue-")
        return self._wait_of(item) > 0 and not (has_consumers and self.run.has_one_clock)

    def _depth(self, item: pytest.Item) -> int:
        """Sort key: depth of the test's clauses, with tests for the main thread behind the roots."""
        if isinstance(item, pytest.Function) and is_main_thread_only(item.obj):
            return _AFTER_ROOTS
        ids = clauses_of(item.obj) if isinstance(item, pytest.Function) else ()
        return min((self.run.book.depth(clause) for clause in ids), default=0)

    def _wait_of(self, item: pytest.Item) -> float:
        wait: Wait | None = wait_of(item.obj) if isinstance(item, pytest.Function) else None
        return wait.on(self.run.target) if wait else 0.0

    # Running

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Start the waiting tests and the workers before pytest's loop begins."""
        draw_no_program_constants()
        if session.config.option.collectonly:
            return
        self.run.scheduling_delay.start()
        self._time_limit.start(limit_seconds(self.run, *self._waits()))
        for item in self.planned:
            if self._overlaps(item):
                execution = self.execution_of(item)
                execution.start(item.obj, arguments(item, execution))
                self._waiting[item] = execution
        self._schedule([item for item in self.planned if item not in self._waiting])
        if self.run.workers > 1:
            concurrent = [test for item, test in self._scheduled.items() if runs_concurrently(item)]
            self._pool = WorkerPool(concurrent, self.run.workers, lambda: self.run.ended_early)
            self._pool.start()

    def _schedule(self, items: list[pytest.Function]) -> None:
        """Prepare the tests, and processes for models if these take longer than a process needs to start."""
        apart = {item for item in items if runs_apart(item)}
        if self.run.options.effort is Effort.QUICK and len(apart) < _WORTH_A_PROCESS:
            apart.clear()
        if count := processes_for(self.run, len(apart)):
            self._processes = ProcessPool(self.run, count, [item.obj.__module__ for item in apart])
        for item in items:
            self._scheduled[item] = ScheduledTest(self, item, self._processes if item in apart else None)
        if self._processes is not None:
            tests = [test for item, test in self._scheduled.items() if item in apart]
            self._apart = WorkerPool(tests, count, lambda: self.run.ended_early)

    @pytest.fixture
    def bench(self, request: pytest.FixtureRequest) -> Any:
        """Binding of the test; the execution replaces it by a bench."""
        return request.param

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Execute a test of the suite; leave other tests to pytest."""
        if not is_suite_test(pyfuncitem):
            return None
        execution = self.execute(pyfuncitem)
        if execution is None:
            pytest.skip(self.run.ended_early or "a clause that it depends on never held")
        self._show_outcome(execution)
        return True

    def needs_no_fixtures(self, item: pytest.Item) -> bool:
        """True if `execute` can be called without pytest's setup of the test."""
        return isinstance(item, pytest.Function) and is_suite_test(item) and needs_only_parameters(item)

    def execute(self, item: pytest.Function) -> Execution | None:
        """Execute a test, or wait until its thread has; None if the test is blocked by a failed dependency."""
        execution = self._waiting.get(item)
        if execution is not None:
            self.report_start(item)
            self._wait_for(item, execution)
            self.report_end(item, execution)
        else:
            execution = self._run_or_wait(item)
        if self.run.ended_early and item.session.shouldstop is False:
            item.session.shouldstop = self.run.ended_early
        return execution

    def execution_of(self, item: pytest.Function) -> Execution:
        """New execution of a test, which plans the test in the record of the run."""
        return Execution(self.run, full_name(item), clauses_of(item.obj), str(binding_of(item)))

    def report_start(self, item: pytest.Function) -> None:
        """Report that a test has started."""
        self._progress.test_started(full_name(item))

    def report_end(self, item: pytest.Function, execution: Execution | None) -> None:
        """Report that a test has ended; `execution` is None for a blocked test."""
        outcome = "passed"
        if execution is None or self._waivers(execution):
            outcome = "skipped"
        elif execution.error is not None:
            outcome = "failed"
            if self.run.options.fail_fast and execution.has_broken_must():
                self.run.end_early("--fail-fast ends it at the first broken requirement")
        self._progress.test_ended(full_name(item), outcome)

    def is_blocked(self, item: pytest.Function) -> bool:
        """True if all clauses of a test depend on a root that failed and never held; records the test as stopped."""
        ids, binding = clauses_of(item.obj), str(binding_of(item))
        root = self.run.recorder.failed_root(ids, binding)
        if root is not None:
            self.run.recorder.plan(full_name(item), ids, binding)
            self.run.recorder.stop(full_name(item), ids, binding, root)
        return root is not None

    def _run_or_wait(self, item: pytest.Function) -> Execution | None:
        scheduled = self._scheduled[item]
        pool = self._pool if runs_concurrently(item) else None
        if scheduled.is_apart:
            # Models begin when the first of them has its turn: the roots of the dependencies are judged by then.
            assert self._apart is not None
            pool = self._apart
            pool.start()
        if pool is None:
            scheduled.run()
            return scheduled.execution
        while not scheduled.wait(_SLICE_SECONDS):
            if self.run.ended_early and not pool.has_started(scheduled):
                break
        if scheduled.is_handed_back:
            scheduled.run_here()
        return scheduled.execution

    def _wait_for(self, item: pytest.Function, execution: Execution) -> None:
        """Wait for the end of a waiting test. Raises RuntimeError if the test misses its own deadlines."""
        wait, extra = self._wait_of(item), _WAITING_PATIENCES * self.run.target.patience
        while not execution.wait(_SLICE_SECONDS):
            so_far = execution.seconds_so_far()
            self._progress.waiting(max(0.0, wait - so_far))
            if so_far > wait + extra:
                raise RuntimeError(f"{execution.name} did not end in its time")

    def _show_outcome(self, execution: Execution) -> None:
        """Raise the test's error, as pytest expects; xfail if a waiver explains it."""
        error = execution.error
        if error is None:
            return
        if waivers := self._waivers(execution):
            pytest.xfail(waivers[0].reason)
        raise error

    def _waivers(self, execution: Execution) -> list[Waiver]:
        """Waivers of the clause at which a test failed."""
        failed = execution.failed_clause()
        return [waiver for waiver in self.run.target.waivers if waiver.clause == failed]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Record an error in setup or teardown as a failure of the suite."""
        report = yield
        if report.when != "call" and report.failed:
            self.run.fail_suite(f"{report.when} of {report.nodeid}: {self._end_of(report.longreprtext, 500)}")
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record a module that can't be collected as a failure of the suite."""
        if report.failed:
            self.run.fail_suite(f"{report.nodeid}: {self._end_of(report.longreprtext, 500)}")

    def pytest_internalerror(self, excrepr: object) -> None:
        """Record an internal error of pytest or the suite as a failure of the suite."""
        self.run.fail_suite(self._end_of(str(excrepr), 2000))

    def _end_of(self, text: str, length: int) -> str:
        """The last `length` characters of a text, whose secrets are hidden before the cut."""
        return self.run.target.secrets.text(text)[-length:]

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """End the run early on Ctrl-C."""
        del excinfo
        self.run.end_early("interrupted")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Record why the tests that never started did not run."""
        self.run.scheduling_delay.stop()
        self.run.presence.stop()
        self._time_limit.stop()
        self._wind_down()
        if why := session.shouldstop or session.shouldfail:
            self.run.end_early(str(why))
        if not self.run.ended_early:
            return
        begun = {test for tally in self.run.recorder.tallies.values() for test in tally.tests}
        for item in self.planned:
            ids, binding = clauses_of(item.obj), str(binding_of(item))
            if full_name(item) not in begun:
                self.run.recorder.never_run(ids, binding, self.run.ended_early)

    def _wind_down(self) -> None:
        """Start no more tests, wait _GRACE_SECONDS for running ones, and give the rest up."""
        for pool in (self._pool, self._apart):
            if pool is not None:
                pool.stop()
        begun = [*self._waiting.values(), *(scheduled.execution for scheduled in self._scheduled.values())]
        until = time.monotonic() + _GRACE_SECONDS
        for execution in begun:
            if execution is not None and not execution.wait(max(0.0, until - time.monotonic())):
                execution.give_up(self.run.ended_early or "the run ended before it")
        if self._processes is not None:
            self._processes.close()
