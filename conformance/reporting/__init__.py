"""Reports of a run: terminal, JSON, JUnit XML, HTML, a badge."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from conformance.models.rule_coverage import collected_coverage
from conformance.reporting import badge, failure_files, history_files, html_report, json_report, junit
from conformance.reporting.plan import Meta, Plan
from conformance.specification.clauses import BINDINGS

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.reporting.summary import ReplayCommand
    from conformance.run.run import Run
    from conformance.verdicts.verdicts import Result

__all__ = ["REPORTS", "Meta", "Plan", "meta_of", "write_reports"]

#: Files that `write_reports` writes.
REPORTS = ("report.json", "junit.xml", "report.html", "badge.json")


def write_reports(
    folder: Path, result: Result, run: Run, *, replay_command: ReplayCommand | None = None
) -> list[Path]:
    """Write `REPORTS` and the files of `failures/` and `histories/` to a folder, which is created if missing.

    Returns their paths. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    meta = meta_of(run)
    written = []
    for name, report in zip(REPORTS, (json_report, junit, html_report, badge), strict=True):
        path = folder / name
        report.write(path, result, run.book, run.shown_target, meta, replay_command=replay_command)
        written.append(path)
    histories = history_files.write(folder, run)
    failures = failure_files.write(folder, result, run)
    return [*written, *histories, *failures]


def meta_of(run: Run) -> Meta:
    """Facts of a run that ends now, for the head of its reports."""
    tests = {(test, key.binding) for key, tally in run.recorder.tallies.items() for test in tally.tests}
    bindings = {key.binding for key in run.selected}
    plan = Plan(
        tests=len(tests),
        clauses=len({key.clause for key in run.selected}),
        effort=run.options.effort.value,
        seed=run.options.seed,
        bindings=tuple(name for name in BINDINGS if name in bindings),
    )
    return Meta(
        plan=plan,
        started=datetime.fromtimestamp(run.started, UTC),
        duration=max(time.time() - run.started, 0.0),
        suite_failures=tuple(run.suite_failures),
        reach=tuple(collected_coverage()),
        durations=dict(run.durations),
        histories=history_files.shown(run),
        faults=tuple(run.fault_records),
        tests_of={key: frozenset(tally.tests) for key, tally in run.recorder.tallies.items()},
    )
