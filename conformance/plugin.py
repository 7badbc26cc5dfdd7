"""The suite on pytest's own command line: `pytest --pyargs conformance --stompliance-url ws://127.0.0.1:8080/stomp`.

Pytest loads this module in every project that has the suite installed. Without `--stompliance-url` the module does
nothing and imports as little as possible. Its options begin with `--stompliance`, so that they can't clash with options
of that project.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses_of

if TYPE_CHECKING:
    from conformance.run.run import Run

_SCHEDULER = "stompliance-scheduler"
#: The session, whose exit status a report that can't be written changes once more.
_SESSION = pytest.StashKey[pytest.Session]()
#: Exit status of the suite for wrong usage; pytest's own, 4, would say that the run is inconclusive.
_USAGE = 2


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options, in a group of their own."""
    group = parser.getgroup("stompliance", "conformance of STOMP brokers and partitioned queues")
    group.addoption("--stompliance-url", metavar="URL", default="", help="the server to judge")
    group.addoption(
        "--stompliance",
        metavar="OPTIONS",
        default="",
        help='further options of `python -m conformance`, in one string: "--target rabbitmq --effort quick"',
    )


def pytest_configure(config: pytest.Config) -> None:
    """With `--stompliance-url`, probe the server and register the scheduler of the run.

    Leaves pytest with status 2 if pytest-xdist would spread the tests over processes: each would judge a part of them.
    """
    url = config.getoption("stompliance_url", "")
    if not url:
        return
    if config.getoption("dist", "no") != "no" or config.getoption("tx", None) or _is_worker(config):
        pytest.exit(
            "the conformance suite runs its tests side by side in one process, and a verdict needs all of them: "
            "leave out -n and the other options of pytest-xdist; --stompliance='--parallel N' sets how many tests "
            "run at a time",
            _USAGE,
        )
    from conformance.command.entry import hypothesis_storage
    from conformance.command.plugin_options import scheduler_for

    storage = contextlib.ExitStack()
    storage.enter_context(hypothesis_storage())
    config.add_cleanup(storage.close)
    config.pluginmanager.register(scheduler_for(url, config.getoption("stompliance")), _SCHEDULER)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave pytest with status 2 if tests of the suite were collected without `--stompliance-url`."""
    ours = any(clauses_of(getattr(item, "obj", None)) for item in items)
    if ours and not any(hasattr(plugin, "planned") for plugin in config.pluginmanager.get_plugins()):
        pytest.exit(
            "the conformance suite needs a server: --stompliance-url ws://127.0.0.1:8080/stomp", _USAGE
        )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Set pytest's exit status to that of the verdicts."""
    run = _run_of(session.config)
    if run is not None:
        session.exitstatus = int(run.result().exit)
        session.config.stash[_SESSION] = session
        if not session.config.pluginmanager.has_plugin("terminalreporter"):
            session.exitstatus = _summarised(run)  # there will be no summary of pytest's


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table of clauses and the failures, and write the requested reports."""
    run = _run_of(config)
    if run is not None:
        terminalreporter.section("conformance")
        config.stash[_SESSION].exitstatus = _summarised(run)


def _summarised(run: Run) -> int:
    from conformance.command.plugin_options import summarise

    return summarise(run)


def _is_worker(config: pytest.Config) -> bool:
    """True in a worker process of pytest-xdist."""
    return hasattr(config, "workerinput")


def _run_of(config: pytest.Config) -> Run | None:
    scheduler = config.pluginmanager.getplugin(_SCHEDULER)
    return None if scheduler is None or config.option.collectonly else scheduler.run
