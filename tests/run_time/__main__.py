"""`python -m tests.run_time --effort quick`: processor time of a run against the reference server, by who takes it.

Other options are those of `python -m conformance`. Seconds depend on the machine, and shares hardly do:
docs/performance.md has them. The report of the run is not shown. Exit status: that of the run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import sys
import time
from typing import TYPE_CHECKING, Any

from conformance.bench.marks import is_main_thread_only, wait_of
from conformance.command.entry import main as judge
from conformance.runner import scheduler
from conformance.runner.execution import Execution
from tests.run_time.shares import Spent, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SERVER = "python -m reference_server --port 0 --virtual-clock"


def kind_of(test: object) -> str:
    """Kind of a test function, as the table has it."""
    if is_main_thread_only(test):
        return "models and properties, one after another"
    wait = wait_of(test)
    return (
        "tests that wait, all at once"
        if wait is not None and wait.clock == "wall"
        else "other tests, four at a time"
    )


@contextlib.contextmanager
def counted_by_kind() -> Iterator[dict[str, float]]:
    """Processor seconds of the threads in which tests run, by kind of test, during the context.

    All tests run in this process, where their time can be told from that of the server.
    """
    seconds: dict[str, float] = {}
    execute = Execution.execute

    def counted(self: Execution, test: Callable[..., Any], arguments: dict[str, Any]) -> None:
        began = time.thread_time()
        try:
            execute(self, test, arguments)
        finally:
            kind = kind_of(test)
            seconds[kind] = seconds.get(kind, 0.0) + time.thread_time() - began

    processes_for = scheduler.processes_for
    Execution.execute = counted  # type: ignore[method-assign]
    scheduler.processes_for = lambda _run, _tests: 0
    try:
        yield seconds
    finally:
        Execution.execute = execute  # type: ignore[method-assign]
        scheduler.processes_for = processes_for


def main(arguments: Sequence[str]) -> int:
    """Run the suite, print the table, return the exit status of the run."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.run_time",
        usage="%(prog)s [options of python -m conformance]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _, arguments = parser.parse_known_args(arguments)
    began = time.monotonic()
    with counted_by_kind() as kinds, contextlib.redirect_stdout(io.StringIO()):
        status = judge(["--launch", SERVER, *arguments])
    suite, server = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = Spent(
        suite=suite.ru_utime + suite.ru_stime,
        server=server.ru_utime + server.ru_stime,
        kinds=kinds,
        wall=time.monotonic() - began,
    )
    print(table(spent))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
