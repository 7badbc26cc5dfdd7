"""Tests that run in another process: what comes back, and how such a process ends."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from conformance.run import parallelism
from conformance.run.options import Options
from conformance.run.parallelism import (
    FAR,
    FAR_ROUND_TRIP,
    MOST_FAR_PROCESSES,
    MOST_PROCESSES,
    NEAR,
    parallel_tests,
)
from conformance.run.run import Run
from conformance.runner import process_pool
from conformance.runner.execution import Execution
from conformance.runner.messages import Job, SentTarget, Task
from conformance.runner.process_pool import Lost, ProcessPool, processes_for
from conformance.runner.second_process import whole_target
from conformance.specification.clauses import book
from conformance.targets.target import Target
from conformance.verdicts.verdicts import Key
from conformance.wire.access import Access
from conformance.wire.admission import Admission
from conformance.wire.failures import PeerFailure, RunEnded, Violation
from conformance.wire.places import ROOMY
from reference_server.config import Settings
from reference_server.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conformance.runner.messages import Outcome

KEY = Key("ACK-OK-1", "queue-http")
TARGET = Target(
    "generic", "ws://127.0.0.1:1/stomp", "127.0.0.1", 1, "/stomp", classes=frozenset({"queue-http"})
)
DEADLINE = 20.0
#: Round trip to a server on the same machine, in seconds.
NEAR_BY = 0.001


@contextmanager
def opened(**options: Any) -> Iterator[tuple[Run, ProcessPool]]:
    """A run, and one process for it."""
    with Server(Settings(port=0)) as server:
        target = replace(TARGET, url=server.url, port=server.port)
        run = Run(Options(server.url, **options), target, book())
        pool = ProcessPool(run, 1)
        try:
            yield run, pool
        finally:
            pool.close()


def task(run: Run, function: str, failed: frozenset[Key] = frozenset(), **parameters: Any) -> Task:
    """A test of tests.runner.apart_examples."""
    module, elapsed = "tests.runner.apart_examples", run.recorder.elapsed()
    findings = frozenset(run.findings)
    return Task(module, function, parameters, function, (KEY.clause,), KEY.binding, elapsed, failed, findings)


def adopted(run: Run, outcome: Outcome) -> Execution:
    """Execution that has taken over an outcome."""
    execution = Execution(run, "test", (KEY.clause,), KEY.binding)
    execution.adopt(outcome)
    assert execution.wait(0)
    return execution


def test_what_held_is_counted_here() -> None:
    """Assertions, findings and the coverage of models come back."""
    with opened() as (run, pool):
        execution = adopted(run, pool.perform(task(run, "holds")))
    assert execution.error is None
    assert run.recorder.tally(KEY).held == 1
    assert run.recorder.tally(KEY).tests == {"test", "holds"}
    assert run.findings == {"a finding"}
    assert run.durations[("test", KEY.binding)] > 0


def test_a_failure_comes_back_with_its_evidence(tmp_path: Path) -> None:
    """Steps, frames and the recording for `replay` are those of the test, numbered with those of the run."""
    with opened(report=tmp_path) as (run, pool):
        for _ in range(2):
            execution = adopted(run, pool.perform(task(run, "fails")))
    assert isinstance(execution.error, Violation)
    assert execution.has_broken_must()
    assert execution.failed_clause() == KEY.clause
    tally = run.recorder.tally(KEY)
    assert (tally.broken, [failure.number for failure in tally.failures]) == (2, [1, 2])
    failure = tally.failures[1]
    assert failure.steps == ("a step",)
    assert [frame.octets for frame in failure.frames] == [b"octets", b"octets"]
    assert failure.recording is not None
    assert [event.facts for event in failure.recording.events if event.what == "send"] == [{"opcode": 1}]
    assert 0 < failure.at <= run.recorder.elapsed()


def test_a_test_knows_what_the_run_knows() -> None:
    """A model searches less for a failure that another test has shown, and findings shorten waits."""
    with opened() as (run, pool):
        run.findings.add("a finding")
        adopted(run, pool.perform(task(run, "knows_failures")))
        adopted(run, pool.perform(task(run, "knows_failures", frozenset({KEY}))))
    assert run.recorder.tally(KEY).observations == ["False True", "True True"]


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        ("gets_no_answer", PeerFailure, "expected an answer; observed nothing"),
        ("is_wrong", RuntimeError, "ValueError: a mistake"),
    ],
)
def test_other_errors_come_back(function: str, error: type[Exception], text: str) -> None:
    """The clause of a missing answer fails; a mistake of the suite is one."""
    with opened() as (run, pool):
        execution = adopted(run, pool.perform(task(run, function)))
    assert type(execution.error) is error
    assert str(execution.error) == text
    tally = run.recorder.tally(KEY)
    assert (len(tally.failures), len(tally.errors)) == ((1, 0) if error is PeerFailure else (0, 1))


def test_output_of_a_test_is_no_message() -> None:
    """A test may print, and so may libraries."""
    with opened() as (run, pool):
        for _ in range(2):
            adopted(run, pool.perform(task(run, "prints")))
    assert run.recorder.tally(KEY).held == 2


def test_parameters_go_along() -> None:
    """A parametrized test gets its parameters."""
    with opened() as (run, pool):
        adopted(run, pool.perform(task(run, "takes", word="a word")))
    assert run.recorder.tally(KEY).observations == ["a word"]


def test_the_seed_chooses_the_examples() -> None:
    """Examples are the same for a seed, and without one; another seed has other ones."""
    drawn = []
    for seed in (None, None, 1, 1, 2):
        with opened(seed=seed) as (run, pool):
            adopted(run, pool.perform(task(run, "draws")))
        drawn += run.recorder.tally(KEY).observations
    assert drawn[0] == drawn[1]
    assert drawn[2] == drawn[3]
    assert len(set(drawn)) == 3


def test_a_process_that_dies_is_lost_with_all_its_tests() -> None:
    """Each test is handed back, with the status of the process; none waits for ever."""
    with opened() as (run, pool):
        with pytest.raises(Lost, match="status 9"):
            pool.perform(task(run, "dies"))
        with pytest.raises(Lost, match="status 9"):
            pool.perform(task(run, "holds"))
    assert not run.recorder.tally(KEY).held


def test_a_process_that_cannot_start_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without room for another process still judges."""
    monkeypatch.setattr(process_pool.sys, "executable", "/nonexistent/python")
    with opened() as (run, pool), pytest.raises(Lost, match="could not be started"):
        pool.perform(task(run, "holds"))


def test_the_end_of_the_run_ends_its_test() -> None:
    """Ctrl-C or the time limit in the one process ends the wait of a test in the other; its clauses never ran."""
    with opened() as (run, pool):
        came: list[Outcome] = []
        thread = threading.Thread(target=lambda: came.append(pool.perform(task(run, "waits"))), daemon=True)
        thread.start()
        run.end_early("the reason")
        thread.join(DEADLINE)
        execution = adopted(run, came[0])
    assert isinstance(execution.error, RunEnded)
    assert run.recorder.tally(KEY).never_run == ["the reason"]


def test_a_closed_pool_leaves_no_process() -> None:
    """A process ends with its pool, though a test is running."""
    with opened() as (run, pool):
        thread = threading.Thread(target=_perform, args=(pool, task(run, "waits")), daemon=True)
        thread.start()
        process = pool._processes[0]._popen
        assert process is not None
        began = time.monotonic()
    assert process.returncode is not None
    assert time.monotonic() - began < DEADLINE / 2
    thread.join(DEADLINE)
    assert not thread.is_alive()


def _perform(pool: ProcessPool, given: Task) -> None:
    with suppress(Lost):  # a process that is quick still says how its test ended
        pool.perform(given)


@pytest.mark.parametrize(
    ("workers", "limit", "tests", "processors", "round_trip", "count"),
    [
        (4, None, 20, 2, NEAR_BY, 1),
        (4, None, 20, 3, NEAR_BY, 2),
        (4, None, 20, 64, NEAR_BY, MOST_PROCESSES),
        (2, None, 20, 64, NEAR_BY, 1),
        (4, None, 1, 64, NEAR_BY, 1),
        (4, 1000, 20, 2, NEAR_BY, 1),
        (4, ROOMY + 1, 20, 2, NEAR_BY, 1),
        (4, ROOMY, 20, 2, NEAR_BY, 0),
        (4, 3, 20, 2, NEAR_BY, 0),
        (1, None, 20, 2, NEAR_BY, 0),  # --parallel 1, or one clock for all groups
        (4, None, 0, 2, NEAR_BY, 0),
        (4, None, 20, 1, NEAR_BY, 0),
        (FAR, None, 20, 1, FAR_ROUND_TRIP, MOST_FAR_PROCESSES),
        (FAR, None, 5, 2, FAR_ROUND_TRIP, 5),
        (4, None, 20, 64, FAR_ROUND_TRIP, 2),
        (1, None, 20, 64, FAR_ROUND_TRIP, 0),
    ],
)
def test_the_number_of_processes(
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    limit: int | None,
    tests: int,
    processors: int,
    round_trip: float,
    count: int,
) -> None:
    """A near server leaves one processor to the other tests; with few connections, or tests alone, there is none."""
    monkeypatch.setattr(parallelism, "_processors", lambda: processors)
    admission = Admission()
    admission.open_for_run(limit)
    run: Any = SimpleNamespace(
        workers=workers,
        target=SimpleNamespace(access=SimpleNamespace(admission=admission), round_trip=round_trip),
    )
    assert processes_for(run, tests) == count


@pytest.mark.parametrize(
    ("asked", "round_trip", "count"),
    [(None, NEAR_BY, NEAR), (None, FAR_ROUND_TRIP, FAR), (3, NEAR_BY, 3), (3, FAR_ROUND_TRIP, 3)],
)
def test_the_number_of_tests_at_a_time(asked: int | None, round_trip: float, count: int) -> None:
    """A distant server answers many tests in the time of one; --parallel is obeyed."""
    assert parallel_tests(asked, round_trip) == count


def test_processes_share_a_limit_of_connections() -> None:
    """All processes together stay below the limit that the server declares."""
    run, shared = Admission().run.places, Admission().run.places
    run.most = 999
    shares = [run.give_share() for _ in range(MOST_FAR_PROCESSES)]
    assert run.most is not None
    assert run.most + sum(share or 0 for share in shares) == 999
    assert run.most > ROOMY
    target = replace(TARGET, access=Access())
    sent = SentTarget(target, has_tls=False, http_has_tls=False, connections=shares[0])
    job = Job(Options(TARGET.url), (sent,))
    admission = whole_target(job).access.admission
    assert admission is not None
    assert admission.run.places.most == shares[0]
    assert shared.give_share() is None
