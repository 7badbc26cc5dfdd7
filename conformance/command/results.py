"""Output of a finished run: terminal, reports, the file of known deviations, the summary of a CI job."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.command.once_more import once_more, resend
from conformance.reporting import failure_files, history_files, markdown_summary, write_reports
from conformance.reporting.summary import counted
from conformance.targets.writing import to_toml, with_failures
from conformance.verdicts.verdicts import Exit

if TYPE_CHECKING:
    from conformance.reporting.terminal import Presenter
    from conformance.run.run import Run
    from conformance.verdicts.verdicts import Failure, Result

#: Environment variable with the file to which a step of GitHub Actions appends its summary.
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


def present(run: Run, presenter: Presenter) -> int:
    """Print the result of the run, write what the options ask for; returns the exit status.

    A file that can't be written makes it the suite's failure, unless the server does not conform.
    """
    result = run.result()

    def again(failure: Failure) -> str:
        return once_more(run.options, failure)

    if run.options.durations is not None:
        presenter.show_durations(run.durations, run.options.durations)
    presenter.finish(
        result,
        run.book,
        run.shown_target,
        replay_command=again,
        resend_command=lambda failure: resend(run.options, failure),
    )
    _print_notes(run)
    try:
        if run.options.report is not None:
            written = write_reports(run.options.report, result, run, replay_command=again)
            for path in written:
                if path.parent == run.options.report:
                    print(f"Written: {path}")
            for folder, noun in ((history_files.FOLDER, "history"), (failure_files.FOLDER, "failure")):
                paths = [path for path in written if path.parent == run.options.report / folder]
                if paths:
                    plural = "histories" if noun == "history" else ""
                    print(f"Written: {counted(len(paths), noun, plural)} in {paths[0].parent}")
        if run.options.write_waivers is not None:
            _write_waivers(run.options.write_waivers, run, result)
    except OSError as error:
        places = " and ".join(str(each) for each in (run.options.report, run.options.write_waivers) if each)
        print(
            f"The results could not be written to {places}: {error}; what is printed above is complete",
            file=sys.stderr,
        )
        return _unless_broken(result)
    _append_step_summary(run, result)
    return int(result.exit)


def _print_notes(run: Run) -> None:
    for record in run.fault_records:
        print(f"{record.sentence[0].upper()}{record.sentence[1:]}.")
    for warning in run.warnings:
        print(f"Note: {warning}", file=sys.stderr)
    for suite_failure in run.suite_failures:
        print(f"The suite itself failed: {suite_failure}", file=sys.stderr)


def _write_waivers(path: Path, run: Run, result: Result) -> None:
    """Write the target file. A run that did not reach its end does not know all deviations: it writes none."""
    if result.ended_early or result.exit is Exit.SUITE_FAILED:
        print(f"Not written: {path}, because this run did not judge everything", file=sys.stderr)
        return
    file = with_failures(run.options.file, result, path.stem)
    path.write_text(to_toml(file), "utf-8")
    print(f"Written: {path}, a target file with {len(file.waivers)} known deviations")


def _append_step_summary(run: Run, result: Result) -> None:
    """Append to the job's summary. A failure is printed and changes no status: the verdicts do not depend on it."""
    file = os.environ.get(STEP_SUMMARY)
    if not file:
        return
    try:
        with Path(file).open("a", encoding="utf-8", errors="backslashreplace") as summary:
            summary.write(markdown_summary.build(result, run.book, run.shown_target) + "\n")
    except OSError as error:
        print(f"The summary could not be written to {STEP_SUMMARY}: {error}", file=sys.stderr)


def _unless_broken(result: Result) -> int:
    return int(Exit.NOT_CONFORMING if result.exit is Exit.NOT_CONFORMING else Exit.SUITE_FAILED)
