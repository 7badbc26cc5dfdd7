"""Failures as files that `python -m conformance replay` sends again: `failures/ID-BINDING.jsonl` in the report."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.replay.record import lines_of, record_of
from conformance.reporting.plan import suite_version

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.run.run import Run
    from conformance.verdicts.verdicts import Failure, Result

FOLDER = "failures"


def file_name(failure: Failure) -> str:
    """Path of a failure's file in the folder of the report; the second failure of a clause has a 2 in its name."""
    number = f"-{failure.number}" if failure.number > 1 else ""
    stem = re.sub(r"[^A-Za-z0-9.-]", "_", f"{failure.clause}-{failure.binding}")
    return f"{FOLDER}/{stem}{number}.jsonl"


def write(folder: Path, result: Result, run: Run) -> list[Path]:
    """Write the recorded failures to the folder of a report, and remove those of an earlier run there.

    Returns their paths. Raises OSError.
    """
    for old in (folder / FOLDER).glob("*.jsonl"):
        old.unlink()
    failures = [failure for verdict in result.verdicts for failure in verdict.failures]
    written = []
    for failure in failures:
        if failure.recording is not None:
            path = folder / file_name(failure)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in _lines(failure, run)), "utf-8")
            written.append(path)
    return written


def _lines(failure: Failure, run: Run) -> list[str]:
    assert failure.recording is not None
    record = record_of(
        failure.recording,
        secrets=run.target.secrets,
        access=run.target.access,
        observed=failure.observed,
        token=run.token,
        suite=suite_version(),
        url=run.target.url,
        path=run.target.path,
        http="" if run.target.http is None else run.target.http.authority,
        clause=failure.clause,
        binding=failure.binding,
        test=failure.test,
        expected=failure.expected,
        patience=run.target.patience,
    )
    return lines_of(record)
