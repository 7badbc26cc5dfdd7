"""The pytest plugin of one run: each test once per binding, waiting tests side by side, everything recorded.

It is registered by `conformance.plugin` (pytest's command line) and by `conformance.cli` (ours).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from conformance.marks import clauses_of, wait_of
from conformance.performance import Performance
from conformance.wire.failures import Unreachable

if TYPE_CHECKING:
    from collections.abc import Generator

    from conformance.marks import Wait
    from conformance.run import Run

#: How long a waiting test may take beyond its own waits, in patiences of the bench.
_WAITING_PATIENCES = 12
_SLICE_SECONDS = 0.2
_PLAN = "_stompliance_binding"


class Progress(Protocol):
    """Who is told how the run goes on."""

    def test_started(self, name: str) -> None: ...
    def test_ended(self, name: str, outcome: str) -> None: ...
    def waiting(self, seconds_left: float) -> None: ...


class Conductor:
    """Conducts the tests of a run. One object for one pytest session."""

    def __init__(self, run: Run, progress: Progress) -> None:
        self.run = run
        self.planned: list[pytest.Function] = []
        self._progress = progress
        self._waiting: dict[pytest.Item, Performance] = {}

    # Collecting

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One call for each binding in which a clause of the test is selected."""
        if "bench" in metafunc.fixturenames and (ids := clauses_of(metafunc.function)):
            bindings = self.run.bindings_of(ids)
            # A test without a binding is deselected below; without any parameter pytest would call it skipped.
            metafunc.parametrize("bench", bindings or [None], indirect=True, scope="function")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what this server doesn't claim; roots of what others depend on first, those who wait last."""
        kept = [item for item in items if _binding_of(item) is not None or not _is_ours(item)]
        dropped = [item for item in items if item not in set(kept)]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
        if self.run.options.shuffle:
            random.Random(self.run.options.seed or 0).shuffle(kept)
        else:
            kept.sort(key=self._depth)
        kept.sort(key=lambda item: self._wait_of(item) > 0)
        items[:] = kept
        self.planned = [item for item in kept if isinstance(item, pytest.Function) and _is_ours(item)]

    def wait_seconds(self) -> float:
        """How long the tests wait for real time to pass, all side by side."""
        return max((self._wait_of(item) for item in self.planned), default=0.0)

    def _depth(self, item: pytest.Item) -> int:
        ids = clauses_of(item.obj) if isinstance(item, pytest.Function) else ()
        return min((self.run.book.depth(clause) for clause in ids), default=0)

    def _wait_of(self, item: pytest.Item) -> float:
        wait: Wait | None = wait_of(item.obj) if isinstance(item, pytest.Function) else None
        return wait.on(self.run.target) if wait else 0.0

    # Running

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Before the first test, start all that wait; after it come the others."""
        if session.config.option.collectonly:
            return
        self.run.lateness.start()
        for item in self.planned:
            if self._wait_of(item) > 0:
                performance = self._performance(item)
                arguments = {**item.callspec.params, "bench": performance.bench}
                performance.start(item.obj, arguments)
                self._waiting[item] = performance

    @pytest.fixture
    def bench(self, request: pytest.FixtureRequest) -> Any:
        """The bench of a test; made when it is performed."""
        return request.param

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Perform a test of the suite; others are none of our business."""
        if not _is_ours(pyfuncitem):
            return None
        self._progress.test_started(_shown(pyfuncitem))
        performance = self._waiting.pop(pyfuncitem, None)
        if performance is not None:
            self._await(pyfuncitem, performance)
        else:
            self._stop_if_hopeless(pyfuncitem)
            performance = self._performance(pyfuncitem)
            names = pyfuncitem._fixtureinfo.argnames
            arguments = {name: pyfuncitem.funcargs[name] for name in names}
            performance.perform(pyfuncitem.obj, {**arguments, "bench": performance.bench})
        self._conclude(pyfuncitem, performance)
        return True

    def _performance(self, item: pytest.Function) -> Performance:
        return Performance(self.run, _shown(item), clauses_of(item.obj), str(_binding_of(item)))

    def _stop_if_hopeless(self, item: pytest.Function) -> None:
        ids, binding = clauses_of(item.obj), str(_binding_of(item))
        root = self.run.judge.hopeless_root(ids, binding)
        if root is not None:
            self.run.judge.plan(_shown(item), ids, binding)
            self.run.judge.stop(_shown(item), ids, binding, root)
            pytest.skip(f"depends on {root}, which never held")

    def _await(self, item: pytest.Function, performance: Performance) -> None:
        """Wait for a test that waits; its own deadlines end it, this one is for a mistake of the suite."""
        left = self._wait_of(item) + _WAITING_PATIENCES * self.run.target.patience
        while not performance.wait(_SLICE_SECONDS):
            left -= _SLICE_SECONDS
            self._progress.waiting(max(0.0, left - _WAITING_PATIENCES * self.run.target.patience))
            if left <= 0:
                raise RuntimeError(f"{performance.name} did not end in its time")

    def _conclude(self, item: pytest.Function, performance: Performance) -> None:
        """Hand on what the test raised, so that pytest shows it as it shows any test."""
        error = performance.error
        if self.run.ended_early and item.session.shouldstop is False:
            item.session.shouldstop = self.run.ended_early
        if error is None:
            return
        waivers = [
            waiver for waiver in self.run.target.waivers if waiver.clause == performance.failed_clause()
        ]
        if waivers:
            pytest.xfail(waivers[0].reason)
        raise error

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Tell of the end of a test; what breaks outside of its call is the suite's fault."""
        report = yield
        if report.when == "call":
            self._progress.test_ended(_shown(item), report.outcome)
        elif report.failed:
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
        performed = {key for key, tally in self.run.judge.tallies.items() if tally.tests}
        if session.shouldstop and not self.run.ended_early:
            self.run.end_early(str(session.shouldstop))
        if not self.run.ended_early:
            return
        for item in self.planned:
            ids, binding = clauses_of(item.obj), str(_binding_of(item))
            names = {test for key in performed for test in self.run.judge.tallies[key].tests}
            if _shown(item) not in names:
                self.run.judge.never_run(ids, binding, self.run.ended_early)


def _is_ours(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and bool(clauses_of(item.obj)) and "bench" in item.fixturenames


def _binding_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("bench") if callspec is not None else None


def _shown(item: pytest.Item) -> str:
    """The name of a test with its parameters, as it goes into records."""
    return f"{item.path.stem}::{item.name}"


class Silent:
    """Tells nobody."""

    def test_started(self, name: str) -> None:
        """Nothing."""

    def test_ended(self, name: str, outcome: str) -> None:
        """Nothing."""

    def waiting(self, seconds_left: float) -> None:
        """Nothing."""


__all__ = ["Conductor", "Progress", "Silent", "Unreachable"]
