"""The pytest plugin of one run: each test once per binding, several side by side, everything recorded.

It is registered by `conformance.plugin` (pytest's command line) and by `conformance.command.cli` (ours).
"""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from conformance.bench.marks import clauses_of, is_alone, is_in_turn, wait_of
from conformance.runner.execution import Performance
from conformance.runner.pytest_items import (
    arguments,
    binding_of,
    goes_beside,
    is_ours,
    needs_only_parameters,
    shown,
)
from conformance.runner.worker_pool import Lanes

if TYPE_CHECKING:
    from collections.abc import Generator

    from conformance.bench.marks import Wait
    from conformance.run.run import Run
    from conformance.verdicts.verdicts import Waiver

#: How long a waiting test may take beyond its own waits, in patiences of the bench.
_WAITING_PATIENCES = 12
_SLICE_SECONDS = 0.2
#: The first depth of clauses at which tests that take long hold up nothing.
_AFTER_ROOTS = 2
#: How long the end of a run waits for tests that are still being performed, in seconds.
_MOMENT = 1.0


class Progress(Protocol):
    """Who is told how the run goes on."""

    def test_started(self, name: str) -> None: ...
    def test_ended(self, name: str, outcome: str) -> None: ...
    def waiting(self, seconds_left: float) -> None: ...


class Turn:
    """One test of a run, and what performed it: nothing where it was hopeless."""

    def __init__(self, conductor: Conductor, item: pytest.Function) -> None:
        self._conductor = conductor
        self._item = item
        self._ended = threading.Event()
        self.performance: Performance | None = None

    def run(self) -> None:
        """Perform the test, unless what it depends on never held so far."""
        self._conductor.tell_start(self._item)
        try:
            if not self._conductor.is_hopeless(self._item):
                self.performance = self._conductor.performance_of(self._item)
                self.performance.perform(self._item.obj, arguments(self._item, self.performance))
        finally:
            self._conductor.tell_end(self._item, self.performance)
            self._ended.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the test; whether it came in so many seconds."""
        return self._ended.wait(seconds)


class Conductor:
    """Conducts the tests of a run. One object for one pytest session."""

    def __init__(self, run: Run, progress: Progress) -> None:
        self.run = run
        self.planned: list[pytest.Function] = []
        self._progress = progress
        self._waiting: dict[pytest.Function, Performance] = {}
        self._turns: dict[pytest.Function, Turn] = {}
        self._lanes: Lanes | None = None

    # Collecting

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, obj: object) -> list[pytest.Item] | None:
        """Leave out tests of clauses that are not judged, before they are multiplied by their parameters."""
        ids = clauses_of(obj) if callable(obj) else ()
        return [] if ids and not self.run.bindings_of(ids) else None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One call for each binding in which a clause of the test is selected."""
        if "bench" in metafunc.fixturenames and (ids := clauses_of(metafunc.function)):
            metafunc.parametrize("bench", self.run.bindings_of(ids), indirect=True, scope="function")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Roots of what others depend on first; those who wait behind the others, and last who wants to be alone."""
        if self.run.options.shuffle:
            random.Random(self.run.options.seed or 0).shuffle(items)
        else:
            items.sort(key=self._depth)
        items.sort(key=lambda item: self._wait_of(item) > 0)
        items.sort(key=lambda item: isinstance(item, pytest.Function) and is_alone(item.obj))
        self.planned = [item for item in items if isinstance(item, pytest.Function) and is_ours(item)]

    def wait_seconds(self) -> float:
        """How long the tests wait for real time to pass, all side by side."""
        return max((self._wait_of(item) for item in self.planned), default=0.0)

    def _depth(self, item: pytest.Item) -> int:
        """Where in the order a test comes: what much depends on first, then what others can go on beside."""
        if isinstance(item, pytest.Function) and is_in_turn(item.obj):
            return _AFTER_ROOTS
        ids = clauses_of(item.obj) if isinstance(item, pytest.Function) else ()
        return min((self.run.book.depth(clause) for clause in ids), default=0)

    def _wait_of(self, item: pytest.Item) -> float:
        wait: Wait | None = wait_of(item.obj) if isinstance(item, pytest.Function) else None
        return wait.on(self.run.target) if wait else 0.0

    # Running

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Before the first test, start all that wait, and the first of the others."""
        if session.config.option.collectonly:
            return
        self.run.lateness.start()
        for item in self.planned:
            if self._wait_of(item) > 0:
                performance = self.performance_of(item)
                performance.start(item.obj, arguments(item, performance))
                self._waiting[item] = performance
            else:
                self._turns[item] = Turn(self, item)
        if self.run.lanes > 1:
            beside = [turn for item, turn in self._turns.items() if goes_beside(item)]
            self._lanes = Lanes(beside, self.run.lanes, lambda: self.run.ended_early)
            self._lanes.start()

    @pytest.fixture
    def bench(self, request: pytest.FixtureRequest) -> Any:
        """The bench of a test; made when it is performed."""
        return request.param

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Perform a test of the suite; others are none of our business."""
        if not is_ours(pyfuncitem):
            return None
        performance = self.perform(pyfuncitem)
        if performance is None:
            pytest.skip(self.run.ended_early or "what it depends on never held")
        self._conclude(performance)
        return True

    def needs_no_fixtures(self, item: pytest.Item) -> bool:
        """Whether `perform` can be called without pytest having set up the test."""
        return isinstance(item, pytest.Function) and is_ours(item) and needs_only_parameters(item)

    def perform(self, item: pytest.Function) -> Performance | None:
        """Perform a test, or wait until its lane has; None where nothing can come of it."""
        performance = self._waiting.get(item)
        if performance is not None:
            self.tell_start(item)
            self._await(item, performance)
            self.tell_end(item, performance)
        else:
            performance = self._take_turn(item)
        if self.run.ended_early and item.session.shouldstop is False:
            item.session.shouldstop = self.run.ended_early
        return performance

    def performance_of(self, item: pytest.Function) -> Performance:
        """What performs a test, from now on among those that the run came to."""
        return Performance(self.run, shown(item), clauses_of(item.obj), str(binding_of(item)))

    def tell_start(self, item: pytest.Function) -> None:
        """Tell the progress that a test is being performed."""
        self._progress.test_started(shown(item))

    def tell_end(self, item: pytest.Function, performance: Performance | None) -> None:
        """Tell the progress that a test has ended; None for one that was hopeless."""
        outcome = "passed"
        if performance is None or self._waivers(performance):
            outcome = "skipped"
        elif performance.error is not None:
            outcome = "failed"
            if self.run.options.fail_fast and performance.broke_a_must():
                self.run.end_early("--fail-fast ends it at the first broken requirement")
        self._progress.test_ended(shown(item), outcome)

    def is_hopeless(self, item: pytest.Function) -> bool:
        """Whether all clauses of a test depend on a root that never held so far; then the test counts as stopped."""
        ids, binding = clauses_of(item.obj), str(binding_of(item))
        root = self.run.judge.hopeless_root(ids, binding)
        if root is not None:
            self.run.judge.plan(shown(item), ids, binding)
            self.run.judge.stop(shown(item), ids, binding, root)
        return root is not None

    def _take_turn(self, item: pytest.Function) -> Performance | None:
        turn = self._turns[item]
        if self._lanes is None or not goes_beside(item):
            turn.run()
        else:
            while not turn.wait(_SLICE_SECONDS):
                if self.run.ended_early and not self._lanes.has_begun(turn):
                    break
        return turn.performance

    def _await(self, item: pytest.Function, performance: Performance) -> None:
        """Wait for a test that waits; its own deadlines end it, this one is for a mistake of the suite."""
        left = self._wait_of(item) + _WAITING_PATIENCES * self.run.target.patience
        while not performance.wait(_SLICE_SECONDS):
            left -= _SLICE_SECONDS
            self._progress.waiting(max(0.0, left - _WAITING_PATIENCES * self.run.target.patience))
            if left <= 0:
                raise RuntimeError(f"{performance.name} did not end in its time")

    def _conclude(self, performance: Performance) -> None:
        """Hand on what the test raised, so that pytest shows it as it shows any test."""
        error = performance.error
        if error is None:
            return
        if waivers := self._waivers(performance):
            pytest.xfail(waivers[0].reason)
        raise error

    def _waivers(self, performance: Performance) -> list[Waiver]:
        """The known deviations that explain why a test failed."""
        failed = performance.failed_clause()
        return [waiver for waiver in self.run.target.waivers if waiver.clause == failed]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """What breaks outside of the call of a test is the suite's fault."""
        report = yield
        if report.when != "call" and report.failed:
            self.run.suite_failures.append(f"{report.when} of {report.nodeid}: {report.longreprtext[-500:]}")
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that can't be collected is a mistake of the suite."""
        if report.failed:
            self.run.suite_failures.append(f"{report.nodeid}: {report.longreprtext[-500:]}")

    def pytest_internalerror(self, excrepr: object) -> None:
        """Pytest or the suite broke."""
        self.run.suite_failures.append(str(excrepr)[-2000:])

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Ctrl-C."""
        del excinfo
        self.run.end_early("interrupted")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Say of the tests that the run didn't come to, why."""
        self.run.lateness.stop()
        self._leave_off()
        if why := session.shouldstop or session.shouldfail:
            self.run.end_early(str(why))
        if not self.run.ended_early:
            return
        begun = {test for tally in self.run.judge.tallies.values() for test in tally.tests}
        for item in self.planned:
            ids, binding = clauses_of(item.obj), str(binding_of(item))
            if shown(item) not in begun:
                self.run.judge.never_run(ids, binding, self.run.ended_early)

    def _leave_off(self) -> None:
        """Give those that are being performed a moment to come to their end, and the others up."""
        if self._lanes is not None:
            self._lanes.end()
        begun = [*self._waiting.values(), *(turn.performance for turn in self._turns.values())]
        until = time.monotonic() + _MOMENT
        for performance in begun:
            if performance is not None and not performance.wait(max(0.0, until - time.monotonic())):
                performance.give_up(self.run.ended_early or "the run ended before it")
