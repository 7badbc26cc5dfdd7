"""`python -m conformance.runner.second_process`: runs tests that another process of the suite asks for.

Models spend their time in the interpreter, of which a process has one. The messages of `messages` come on the standard
input and leave on the standard output; whatever tests print is dropped. The end of the input ends the process, with the
test that it is running: a run that is killed leaves nothing behind.
"""

from __future__ import annotations

import importlib
import os
import pickle
import queue
import signal
import sys
import threading
import time
from dataclasses import replace
from typing import IO, TYPE_CHECKING

import hypothesis.core

from conformance.models.rule_coverage import COVERAGE_BY_MACHINE
from conformance.run.run import Run
from conformance.run.tls import tls_of
from conformance.runner.examples import draw_no_program_constants
from conformance.runner.execution import Execution
from conformance.runner.garbage import collect_rarely
from conformance.runner.messages import Job, Outcome, Stop, Task, problem_of, receive, send
from conformance.specification.clauses import book
from conformance.verdicts.recorder import Recorder
from conformance.wire.admission import Admission

if TYPE_CHECKING:
    from conformance.run.options import Options
    from conformance.runner.messages import SentTarget
    from conformance.targets.target import Target


def main() -> int:
    """Run the tests that are asked for, up to the end of the input."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches all processes of a terminal: the run decides
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123  a device, not a file
        os.dup2(nowhere.fileno(), 1)
    job: Job = receive(requests)
    run = Run(job.options, whole_target(job), book())
    if job.options.seed is not None:
        # The plugin of Hypothesis sets it, too: it is not there without pytest.
        hypothesis.core.global_force_seed = job.options.seed  # type: ignore[assignment]
    draw_no_program_constants()
    collect_rarely()
    run.scheduling_delay.start()
    for module in job.modules:
        importlib.import_module(module)
    tasks: queue.Queue[Task | None] = queue.Queue()
    threading.Thread(target=_listen, args=(requests, tasks, run), name="requests", daemon=True).start()
    while (task := tasks.get()) is not None:
        send(replies, perform(run, task))
    return 0


def whole_target(job: Job) -> Target:
    """Target of the job, with TLS and an admission of this process's own."""
    first, *others = [_whole(sent, job.options) for sent in job.nodes]
    return replace(first, others=tuple(others))


def _whole(sent: SentTarget, options: Options) -> Target:
    target = sent.target
    tls = None
    if sent.has_tls or sent.http_has_tls:
        tls = tls_of(options)
    if target.http is not None and sent.http_has_tls:
        target = replace(target, http=replace(target.http, tls=tls))
    admission = Admission()
    admission.open_for_run(None if sent.connections is None else sent.connections + 1)
    admission.run.places.elsewhere = 1
    return replace(
        target, tls=tls if sent.has_tls else None, access=replace(target.access, admission=admission)
    )


def perform(run: Run, task: Task) -> Outcome:
    """Run one test, in the main thread, as Hypothesis wants it."""
    run.recorder = Recorder(run.book, run.columns, run.target.waivers)
    run.recorder.continue_from(task.elapsed, task.failed)
    run.findings |= task.findings
    test = getattr(importlib.import_module(task.module), task.function)
    began = time.monotonic()
    execution = Execution(run, task.name, task.clauses, task.binding, hands_back=True)
    execution.execute(test, {**task.parameters, "bench": execution.bench})
    coverage = dict(COVERAGE_BY_MACHINE)
    COVERAGE_BY_MACHINE.clear()
    failures = tuple(run.suite_failures)
    run.suite_failures.clear()
    histories = tuple(run.histories)
    run.histories.clear()
    return Outcome(
        run.recorder.tallies,
        problem_of(execution.error),
        execution.bench.case.ended_at if execution.bench.case else None,
        time.monotonic() - began,
        frozenset(run.findings),
        run.ended_early,
        failures,
        histories,
        coverage,
        had_no_room=execution.is_handed_back,
    )


def _listen(requests: IO[bytes], tasks: queue.Queue[Task | None], run: Run) -> None:
    """Queue the tasks that come; end the run where the other side does, or says so."""
    try:
        while True:
            message = receive(requests)
            if isinstance(message, Stop):
                run.end_early(message.reason)
            else:
                tasks.put(message)
    except (EOFError, OSError, pickle.UnpicklingError):
        run.end_early("the process that asked for the test is gone")
        tasks.put(None)


if __name__ == "__main__":
    sys.exit(main())
