"""Command line `python -m conformance`, also installed as `stompliance`."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import pytest

from conformance.command import compare, drive, judge, replay
from conformance.command.arguments import LAUNCH_VARIABLE, launched, options_of, parser
from conformance.command.interruption import Interruption
from conformance.command.lists import asked_for_list, print_completion
from conformance.command.once_more import PROGRAM
from conformance.command.results import present
from conformance.models.rule_coverage import collected_coverage
from conformance.reporting.octets import printable
from conformance.reporting.terminal import Plan, Presenter
from conformance.run.first_contact import NoServer
from conformance.run.options import Effort
from conformance.run.probe import probe_target
from conformance.run.run import NothingSelected, Run
from conformance.runner.collection import SUITE, has_selected_test
from conformance.runner.garbage import collect_rarely
from conformance.runner.scheduler import Scheduler
from conformance.specification.clauses import BINDINGS, book
from conformance.specification.markdown import SpecError
from conformance.targets.files import BadTargetFile
from conformance.targets.server_process import LaunchFailed, running_server
from conformance.targets.target import BadUrl
from conformance.verdicts.verdicts import Exit
from conformance.wire.failures import RunEnded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from conformance.run.options import Options
    from conformance.verdicts.verdicts import Key

#: Commands by their first argument; without one of these words a server is judged.
_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "compare": compare.main,
    judge.NAME: judge.main,
    replay.NAME: replay.main,
}
_WRONG_USAGE = (BadUrl, BadTargetFile, NoServer, LaunchFailed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge a server, or run the command that the first argument names; returns the exit status."""
    with contextlib.suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and (command := _COMMANDS.get(arguments[0])):
        return command(arguments[1:])
    if drive.is_asked_for(arguments):
        return drive.main(arguments)
    values = vars(parser().parse_args(arguments))
    try:
        if values["print_completion"]:
            return print_completion(values["print_completion"], parser())
        if (print_list := asked_for_list(values)) is not None:
            return print_list()
        options = options_of(values)
    except SpecError as error:
        return _text_is_broken(error)
    except (BadTargetFile, ValueError) as error:
        return _wrong_usage(str(error))
    interruption = Interruption()
    try:
        launch = values["launch"] or ("" if options.url else os.environ.get(LAUNCH_VARIABLE, ""))
        if not launch and not options.url:
            return _wrong_usage(f"which server? Give its URL, as in: {PROGRAM} ws://127.0.0.1:8080/stomp")
        with interruption, _server(launch, options) as reachable:
            return _judge(reachable, interruption)
    except NothingSelected as error:
        print(error, file=sys.stderr)
        return Exit.INCONCLUSIVE
    except SpecError as error:
        return _text_is_broken(error)
    except _WRONG_USAGE as error:
        return _wrong_usage("\n".join([str(error), *getattr(error, "__notes__", ())]))
    except (KeyboardInterrupt, RunEnded):
        what = "before anything was judged" if interruption.run is None else "once more: not all is printed"
        print(f"Interrupted {what}.", file=sys.stderr)
        return Exit.INCONCLUSIVE


@contextlib.contextmanager
def _server(command: str, options: Options) -> Iterator[Options]:
    """Options with the URL of the server; if `command` is given, it runs as long as the context."""
    if not command:
        yield options
        return
    with running_server(command) as url:
        yield launched(options, command, url)


def _judge(options: Options, interruption: Interruption) -> int:
    target = probe_target(options, interruption.event)
    run = interruption.run = Run(options, target, book(), interruption.event)
    presenter = Presenter(verbose=options.verbose)
    scheduler = Scheduler(run, presenter)
    collect_rarely()
    with presenter:
        status = pytest.main(
            _pytest_arguments(options), plugins=[scheduler, _CommandLine(scheduler, presenter)]
        )
    if status == pytest.ExitCode.USAGE_ERROR:
        run.suite_failures.append("pytest did not take the arguments that it was given")
    if options.effort is Effort.THOROUGH or options.verbose:
        presenter.show_reach(collected_coverage())
    return present(run, presenter)


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
            waits_overlap=self._scheduler.waits_overlap,
            bindings=_bindings_of(run.selected),
            restarts=_bindings_of(key for key in run.selected if "durable" in run.book[key.clause].classes)
            if options.restart
            else None,
        )
        self._presenter.announce(run.shown_target, plan)


def _bindings_of(keys: Iterable[Key]) -> tuple[str, ...]:
    names = {key.binding for key in keys}
    return tuple(name for name in BINDINGS if name in names)


def _pytest_arguments(options: Options) -> list[str]:
    """Arguments that keep configuration, plugins and output of the user's pytest out of the run."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    arguments = [
        str(SUITE),
        f"--rootdir={SUITE}",
        f"--config-file={os.devnull}",
        "--assert=plain",
        "--capture=sys",  # capturing of descriptors needs a temporary file, which a full disk refuses
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


def _text_is_broken(error: SpecError) -> int:
    print(f"The text of the specification is broken: {error}", file=sys.stderr)
    return Exit.SUITE_FAILED


def _wrong_usage(message: str) -> int:
    print(f"{PROGRAM}: {printable(message)}", file=sys.stderr)  # it may have words of the server
    return Exit.USAGE
