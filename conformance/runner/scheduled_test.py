"""One test of a run that waits for its turn, and the process in which it runs."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Protocol

from conformance.bench.marks import clauses_of
from conformance.runner.messages import Task
from conformance.runner.process_pool import Lost
from conformance.runner.pytest_items import arguments, binding_of, full_name

if TYPE_CHECKING:
    import pytest

    from conformance.run.run import Run
    from conformance.runner.execution import Execution
    from conformance.runner.process_pool import ProcessPool


class Plan(Protocol):
    """The part of a scheduler that a test needs."""

    run: Run

    def is_blocked(self, item: pytest.Function) -> bool: ...
    def execution_of(self, item: pytest.Function) -> Execution: ...
    def report_start(self, item: pytest.Function) -> None: ...
    def report_end(self, item: pytest.Function, execution: Execution | None) -> None: ...


class ScheduledTest:
    """One test of a run and its execution, None for a test that is blocked.

    `processes` is None for a test that runs in this process.
    """

    def __init__(self, plan: Plan, item: pytest.Function, processes: ProcessPool | None = None) -> None:
        self._plan = plan
        self._item = item
        self._processes = processes
        self._ended = threading.Event()
        self.execution: Execution | None = None
        self.is_handed_back = False
        """True if the process that ran the test was lost, or got no connection: `run_here` then runs it."""

    @property
    def is_apart(self) -> bool:
        """True for a test that runs in another process."""
        return self._processes is not None

    def run(self) -> None:
        """Execute the test unless it is blocked by a failed root."""
        self._plan.report_start(self._item)
        try:
            if not self._plan.is_blocked(self._item):
                self.execution = self._plan.execution_of(self._item)
                if self._processes is None:
                    self._execute(self.execution)
                else:
                    self._adopt(self.execution, self._processes)
        finally:
            if not self.is_handed_back:
                self._plan.report_end(self._item, self.execution)
            self._ended.set()

    def run_here(self) -> None:
        """Execute a test that was handed back."""
        self.is_handed_back = False
        assert self.execution is not None
        try:
            self._execute(self.execution)
        finally:
            self._plan.report_end(self._item, self.execution)

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the end of the test; True if it ended, or was handed back."""
        return self._ended.wait(seconds)

    def _execute(self, execution: Execution) -> None:
        execution.execute(self._item.obj, arguments(self._item, execution))

    def _adopt(self, execution: Execution, processes: ProcessPool) -> None:
        run = self._plan.run
        try:
            with _turn(run):
                outcome = processes.perform(task_of(self._item, run))
        except Lost as lost:
            self.is_handed_back = True
            run.warn(f"a process that ran models beside the other tests was lost ({lost}): this one ran them")
        else:
            if outcome.had_no_room:
                self.is_handed_back = True
            else:
                execution.adopt(outcome)


def _turn(run: Run) -> contextlib.AbstractContextManager[None]:
    admission = run.target.access.admission
    return admission.run.places.turn_elsewhere() if admission is not None else contextlib.nullcontext()


def task_of(item: pytest.Function, run: Run) -> Task:
    """A test as another process gets it, with what the run knows by now."""
    recorder = run.recorder
    with recorder.lock:
        failed = frozenset(key for key, tally in recorder.tallies.items() if tally.failures)
    return Task(
        module=item.obj.__module__,
        function=item.obj.__name__,
        parameters={name: value for name, value in item.callspec.params.items() if name != "bench"},
        name=full_name(item),
        clauses=clauses_of(item.obj),
        binding=str(binding_of(item)),
        elapsed=recorder.elapsed(),
        failed=failed,
        findings=frozenset(run.findings),
    )
