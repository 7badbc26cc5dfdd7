"""What `conformance.plugin` does once a URL is given."""

from __future__ import annotations

import shlex

import pytest

from conformance import arguments
from conformance.clauses import SpecError, book
from conformance.conductor import Conductor, Silent
from conformance.probe import NoServer, meet
from conformance.reporting import write_reports
from conformance.reporting.terminal import Presenter
from conformance.run import NothingSelected, Run
from conformance.target import BadUrl
from conformance.target_files import BadTargetFile


def conductor_for(url: str, more: str) -> Conductor:
    """Meet the server. Raises pytest.UsageError where nothing can be judged."""
    try:
        options = arguments.options_of(vars(arguments.parser().parse_args([url, *shlex.split(more)])))
        return Conductor(Run(options, meet(options), book()), Silent())
    except (BadUrl, BadTargetFile, NoServer, NothingSelected, SpecError, ValueError) as error:
        raise pytest.UsageError(str(error)) from error


def summarise(run: Run) -> None:
    """Print the table of clauses and the failures, and write the reports that were asked for."""
    result = run.result()
    with Presenter(verbose=run.options.verbose) as presenter:
        presenter.finish(result, run.book, run.target)
    if run.options.report is not None:
        write_reports(run.options.report, result, run)
