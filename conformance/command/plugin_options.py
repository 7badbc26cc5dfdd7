"""Start and summary of a run on pytest's command line, for `conformance.plugin`."""

from __future__ import annotations

import shlex

import pytest

from conformance.command import arguments
from conformance.command.results import present
from conformance.reporting.terminal import Presenter
from conformance.run.first_contact import NoServer
from conformance.run.probe import probe_target
from conformance.run.run import NothingSelected, Run
from conformance.runner.scheduler import Scheduler
from conformance.specification.clauses import book
from conformance.specification.markdown import SpecError
from conformance.targets.files import BadTargetFile
from conformance.targets.target import BadUrl
from conformance.verdicts.verdicts import Exit


def scheduler_for(url: str, more: str) -> Scheduler:
    """Scheduler of a run against the server at `url`, with further options in `more`.

    Leaves pytest with status 2 if nothing can be judged, and with 4 if no clause is selected.
    """
    try:
        options = arguments.options_of(vars(arguments.parser().parse_args([url, *shlex.split(more)])))
        return Scheduler(Run(options, probe_target(options), book()), NoProgress())
    except NothingSelected as error:
        pytest.exit(str(error), int(Exit.INCONCLUSIVE))
    except SpecError as error:
        pytest.exit(f"the text of the specification is broken: {error}", int(Exit.SUITE_FAILED))
    except (BadUrl, BadTargetFile, NoServer, ValueError) as error:
        pytest.exit(str(error), int(Exit.USAGE))


def summarise(run: Run) -> int:
    """Print the table of clauses and the failures, write the requested reports; returns the exit status."""
    with Presenter(verbose=run.options.verbose) as presenter:
        return present(run, presenter)


class NoProgress:
    """Receiver of progress events that shows nothing."""

    def test_started(self, name: str) -> None:
        """Ignore the event."""

    def test_ended(self, name: str, outcome: str) -> None:
        """Ignore the event."""

    def waiting(self, seconds_left: float) -> None:
        """Ignore the event."""
