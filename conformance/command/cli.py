"""Command line `python -m conformance`, also installed as `stompliance`."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from conformance.command import replay
from conformance.command.arguments import (
    LAUNCH_VARIABLE,
    PROGRAM,
    options_of,
    parser,
    replay_command,
    resend_command,
    with_url,
)
from conformance.models.rule_coverage import collected_coverage
from conformance.reporting import write_reports
from conformance.reporting.failure_files import FOLDER
from conformance.reporting.terminal import Plan, Presenter
from conformance.run.options import Effort
from conformance.run.probe import NoServer, probe_target
from conformance.run.run import NothingSelected, Run
from conformance.runner.collection import SUITE, has_selected_test
from conformance.runner.scheduler import Scheduler
from conformance.specification.clauses import BINDINGS, book, with_prefix
from conformance.specification.markdown import SpecError
from conformance.targets.files import BadTargetFile, known_targets
from conformance.targets.server_process import LaunchFailed, running_server
from conformance.targets.target import BadUrl
from conformance.verdicts.verdicts import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from conformance.run.options import Options

_WRONG_USAGE = (BadUrl, BadTargetFile, NoServer, LaunchFailed, ValueError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge a server; returns the exit status."""
    with contextlib.suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == [replay.NAME]:
        return replay.main(arguments[1:])
    values = vars(parser().parse_args(arguments))
    try:
        if values["list_targets"]:
            return _list_targets()
        if values["list_clauses"]:
            return _list_clauses(values["clauses"])
        options = options_of(values)
        command = values["launch"] or ("" if options.url else os.environ.get(LAUNCH_VARIABLE, ""))
        if not command and not options.url:
            return _wrong_usage(f"which server? Give its URL, as in: {PROGRAM} ws://127.0.0.1:8080/stomp")
        with _server(command, options) as reachable:
            return _judge(reachable)
    except NothingSelected as error:
        print(error, file=sys.stderr)
        return Exit.INCONCLUSIVE
    except SpecError as error:
        print(f"The text of the specification is broken: {error}", file=sys.stderr)
        return Exit.SUITE_FAILED
    except _WRONG_USAGE as error:
        return _wrong_usage(str(error))
    except KeyboardInterrupt:
        print("Interrupted before anything was judged.", file=sys.stderr)
        return Exit.INCONCLUSIVE


@contextlib.contextmanager
def _server(command: str, options: Options) -> Iterator[Options]:
    """Options with the URL of the server; if `command` is given, it runs as long as the context."""
    if not command:
        yield options
        return
    with running_server(command) as url:
        yield with_url(options, url)


def _judge(options: Options) -> int:
    target = probe_target(options)
    run = Run(options, target, book())
    presenter = Presenter(verbose=options.verbose)
    scheduler = Scheduler(run, presenter)
    # Imported modules live for the whole run: keep them out of garbage collections and of Hypothesis' gc.get_referrers.
    gc.freeze()
    with presenter, _interruptible(run):
        status = pytest.main(
            _pytest_arguments(options), plugins=[scheduler, _CommandLine(scheduler, presenter)]
        )
    if status == pytest.ExitCode.USAGE_ERROR:
        run.suite_failures.append("pytest did not take the arguments that it was given")
    result = run.result()
    if options.effort is Effort.THOROUGH or options.verbose:
        presenter.show_reach(collected_coverage())
    presenter.finish(
        result,
        run.book,
        target,
        replay_command=lambda failure: replay_command(options, failure),
        resend_command=lambda failure: resend_command(options, failure),
    )
    for failure in run.suite_failures:
        print(f"The suite itself failed: {failure}", file=sys.stderr)
    if options.report is not None:
        written = write_reports(
            options.report, result, run, replay_command=lambda failure: replay_command(options, failure)
        )
        for path in written:
            if path.parent == options.report:
                print(f"Written: {path}")
        if failures := sum(path.parent != options.report for path in written):
            print(f"Written: {failures} failures in {options.report / FOLDER}")
    return int(result.exit)


@contextlib.contextmanager
def _interruptible(run: Run) -> Iterator[None]:
    """End the run on Ctrl-C, even if the KeyboardInterrupt is swallowed, as Hypothesis does in some places."""

    def interrupt(_number: int, _frame: object) -> None:
        run.end_early("interrupted")
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _CommandLine:
    """Pytest plugin of the suite's own command line: announces the run, and skips pytest's report of each test."""

    def __init__(self, scheduler: Scheduler, presenter: Presenter) -> None:
        self._scheduler = scheduler
        self._presenter = presenter

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Execute a test without pytest's setup and report, which take longer than most tests and are not shown."""
        if not self._scheduler.needs_no_fixtures(item):
            return None
        assert isinstance(item, pytest.Function)
        self._scheduler.execute(item)
        return True

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave out modules without a test of a selected clause, which pytest would collect in full."""
        return None if has_selected_test(collection_path, self._scheduler.run) else True

    def pytest_collection_finish(self) -> None:
        """Announce the run."""
        run, options = self._scheduler.run, self._scheduler.run.options
        plan = Plan(
            tests=len(self._scheduler.planned),
            clauses=len({key.clause for key in run.selected}),
            effort=options.effort.value,
            seed=options.seed,
            wait_seconds=self._scheduler.wait_seconds(),
            bindings=tuple(name for name in BINDINGS if any(key.binding == name for key in run.selected)),
        )
        self._presenter.announce(run.target, plan)


def _pytest_arguments(options: Options) -> list[str]:
    """Arguments that keep configuration, plugins and output of the user's pytest out of the run."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTEST_ADDOPTS", None)
    arguments = [
        str(SUITE),
        f"--rootdir={SUITE}",
        f"--config-file={os.devnull}",
        "--assert=plain",
        "-p",
        "no:terminal",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:faulthandler",
        "-p",
        "no:unraisableexception",
        "-p",
        "no:threadexception",
        "-p",
        "no:logging",
    ]
    if options.seed is not None:
        arguments += ["-p", "_hypothesis_pytestplugin", f"--hypothesis-seed={options.seed}"]
    return arguments


def _list_targets() -> int:
    for file in known_targets():
        waived = f"{len(file.waivers)} known deviations" if file.waivers else "no known deviations"
        print(f"{file.name:20} {file.title} ({', '.join(file.classes) or 'as declared'}; {waived})")
        print(f"{'':20} {PROGRAM} --target {file.name} {file.url or 'ws://…'}")
    return Exit.CONFORMING


def _list_clauses(prefixes: Sequence[str]) -> int:
    clauses = with_prefix(book(), prefixes) if prefixes else list(book())
    chapter = ""
    for clause in clauses:
        if clause.chapter != chapter:
            chapter = clause.chapter
            print(f"\n{chapter} (spec/{clause.source})")
        print(f"  {clause.id}: {clause.text}")
    if not clauses:
        return _wrong_usage(f"no clause has an id that begins with {' or '.join(prefixes)}")
    return Exit.CONFORMING


def _wrong_usage(message: str) -> int:
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    return Exit.USAGE
