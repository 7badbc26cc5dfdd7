"""Start and summary of a run on pytest's command line, for `conformance.plugin`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from conformance.command import arguments
from conformance.reporting import write_reports
from conformance.reporting.terminal import Presenter
from conformance.run.probe import NoServer, probe_target
from conformance.run.run import NothingSelected, Run
from conformance.runner.scheduler import Scheduler
from conformance.specification.clauses import book
from conformance.specification.markdown import SpecError
from conformance.targets.files import BadTargetFile
from conformance.targets.target import BadUrl

if TYPE_CHECKING:
    from conformance.verdicts.verdicts import Failure


def scheduler_for(url: str, more: str) -> Scheduler:
    """Scheduler of a run against the server at `url`, with further options in `more`.

    Raises pytest.UsageError if nothing can be judged.
    """
    try:
        options = arguments.options_of(vars(arguments.parser().parse_args([url, *shlex.split(more)])))
        return Scheduler(Run(options, probe_target(options), book()), NoProgress())
    except (BadUrl, BadTargetFile, NoServer, NothingSelected, SpecError, ValueError) as error:
        raise pytest.UsageError(str(error)) from error


def summarise(run: Run) -> None:
    """Print the table of clauses and the failures, and write the requested reports."""
    result = run.result()

    def once_more(failure: Failure) -> str:
        return arguments.replay_command(run.options, failure)

    with Presenter(verbose=run.options.verbose) as presenter:
        presenter.finish(
            result,
            run.book,
            run.target,
            replay_command=once_more,
            resend_command=lambda failure: arguments.resend_command(run.options, failure),
        )
    if run.options.report is not None:
        write_reports(run.options.report, result, run, replay_command=once_more)


class NoProgress:
    """Receiver of progress events that shows nothing."""

    def test_started(self, name: str) -> None:
        """Ignore the event."""

    def test_ended(self, name: str, outcome: str) -> None:
        """Ignore the event."""

    def waiting(self, seconds_left: float) -> None:
        """Ignore the event."""
