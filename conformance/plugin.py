"""The suite on pytest's own command line: `pytest --pyargs conformance --url ws://127.0.0.1:8080/stomp`.

Pytest loads this module in every project that has the suite installed. Without `--url` the module does nothing and
imports as little as possible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses_of

if TYPE_CHECKING:
    from conformance.run.run import Run

_SCHEDULER = "stompliance-scheduler"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options, in a group of their own."""
    group = parser.getgroup("stompliance", "conformance of STOMP brokers and partitioned queues")
    group.addoption("--url", metavar="URL", default="", help="the server to judge")
    group.addoption(
        "--stompliance",
        metavar="OPTIONS",
        default="",
        help='further options of `python -m conformance`, in one string: "--target rabbitmq --effort quick"',
    )


def pytest_configure(config: pytest.Config) -> None:
    """With `--url`, probe the server and register the scheduler of the run."""
    if config.getoption("url", ""):
        from conformance.command.plugin_options import scheduler_for

        config.pluginmanager.register(
            scheduler_for(config.getoption("url"), config.getoption("stompliance")), _SCHEDULER
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Raises pytest.UsageError if tests of the suite were collected without `--url`."""
    ours = any(clauses_of(getattr(item, "obj", None)) for item in items)
    if ours and not any(hasattr(plugin, "planned") for plugin in config.pluginmanager.get_plugins()):
        raise pytest.UsageError("the conformance suite needs a server: --url ws://127.0.0.1:8080/stomp")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Set pytest's exit status to that of the verdicts."""
    run = _run_of(session.config)
    if run is not None:
        session.exitstatus = int(run.result().exit)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table of clauses and the failures, and write the requested reports."""
    run = _run_of(config)
    if run is not None:
        from conformance.command.plugin_options import summarise

        terminalreporter.section("conformance")
        summarise(run)


def _run_of(config: pytest.Config) -> Run | None:
    scheduler = config.pluginmanager.getplugin(_SCHEDULER)
    return None if scheduler is None or config.option.collectonly else scheduler.run
