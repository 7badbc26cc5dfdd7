"""Start and summary of a run on pytest's command line, for `conformance.plugin`."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from conformance.command import arguments
from conformance.command.lists import asked_for_list
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
        values = _parsed([url, *shlex.split(more)])
        if values["launch"] or values["print_completion"] or asked_for_list(values) is not None:
            pytest.exit(
                "--launch, lists and completion are options of `python -m conformance` alone: leave them out of "
                "--stompliance",
                int(Exit.USAGE),
            )
        options = arguments.options_of(values)
        return Scheduler(Run(options, probe_target(options), book()), NoProgress())
    except NothingSelected as error:
        pytest.exit(str(error), int(Exit.INCONCLUSIVE))
    except SpecError as error:
        pytest.exit(f"the text of the specification is broken: {error}", int(Exit.SUITE_FAILED))
    except (BadUrl, BadTargetFile, NoServer, ValueError) as error:
        pytest.exit(str(error), int(Exit.USAGE))


def _parsed(words: list[str]) -> dict[str, Any]:
    """Values of the suite's options. Leaves pytest where their parser would leave Python."""
    try:
        return vars(arguments.parser().parse_args(words))
    except SystemExit as left:
        if left.code:
            pytest.exit("the options in --stompliance can't be read: see above", int(Exit.USAGE))
        pytest.exit("nothing was judged: --stompliance asked for a text", int(Exit.CONFORMING))


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
