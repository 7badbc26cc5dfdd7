"""Processes for servers and for runs of the suite, forked from a process that has imported everything.

A new interpreter for each would take longer to import modules than the suite takes to judge a chapter.
"""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import multiprocessing.connection
import os
import pkgutil
import re
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from _pytest.config import default_plugins
from hypothesis.internal.conjecture import providers
from rich.cells import cell_len

import conformance.suite
from conformance.specification.clauses import book

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.context import ForkServerContext, ForkServerProcess

ROOT = Path(__file__).resolve().parents[2]
#: Status of a run that was killed because it took too long.
STUCK = -1
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
#: The status of a process can be read only once. Starting a process polls all others, and of two threads that poll at
#: the same time one would get 255 for the status.
_polling = threading.Lock()
_URLS = {"websocket": re.compile(r"ws://\S+"), "tcp": re.compile(r"stomp://\S+")}
#: Modules that a run imports only when it first needs them.
_IMPORTED_LATE = (
    "_pytest._argcomplete",
    "encodings.idna",
    "encodings.unicode_escape",
    "hypothesis.internal.conjecture.optimiser",
    "pdb",
)
#: A character that makes rich load its table of widths.
_WIDE = "\u4e00"


class NotServing(Exception):
    """A patched server did not start; the message holds its output."""


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.mutants.preloaded"])
    return context


def preload() -> None:
    """Import all that servers and runs need, without applying a patch or starting a thread."""
    for name in (
        "conformance.command.cli",
        "reference_server.__main__",
        "tests.first_server.__main__",
        "tests.mutants.registry",
    ):
        importlib.import_module(name)
    registry = sys.modules["tests.mutants.registry"]
    registry.faults(), registry.variants()
    for module in pkgutil.walk_packages(conformance.suite.__path__, "conformance.suite."):
        importlib.import_module(module.name)
    for name in (*(f"_pytest.{plugin}" for plugin in default_plugins), *_IMPORTED_LATE):
        importlib.import_module(name)
    cell_len(_WIDE)
    book()
    # Hypothesis collects constants from local modules to try them as values. For an installed suite it collects none;
    # in this checkout it would, also from the server and its faults, which would make the faults easier to find.
    providers.is_local_module_file = lambda path: False
    gc.freeze()  # keeps imported modules out of garbage collections, and their pages shared


@contextmanager
def served(
    name: str, flags: Sequence[str], transport: str = "websocket", *, log: Path | None = None
) -> Iterator[str]:
    """URL of a server with a fault or a variant, which runs as long as the context. Raises NotServing.

    `transport` is that of the URL: `websocket` or `tcp`. Standard error of the server goes to `log`.
    """
    flags = [*flags, *(("--stomp-port", "0") if transport == "tcp" else ())]
    reader, writer = _context().Pipe(duplex=False)
    server = _context().Process(target=_serve, args=(name, tuple(flags), writer, log), daemon=True)
    _start(server)
    writer.close()
    try:
        line = ""
        if reader.poll(_START_SECONDS):
            with open(os.dup(reader.fileno()), encoding="utf-8", errors="replace") as output:  # noqa: PTH123
                line = output.readline() + (output.readline() if transport == "tcp" else "")
        match = _URLS[transport].search(line)
        if match is None:
            raise NotServing(f"the server with {name} printed no URL but {line!r}")
        yield match.group()
    finally:
        reader.close()
        server.terminate()
        if not _has_ended(server, _STOP_SECONDS):
            server.kill()
            _has_ended(server)


def run_suite(arguments: Sequence[str], output: Path, seconds: float) -> int:
    """Run the suite's command line with its output in a file; returns its exit status, STUCK after `seconds`."""
    run = _context().Process(target=_judge, args=(tuple(arguments), output), daemon=True)
    _start(run)
    if _has_ended(run, seconds):
        assert run.exitcode is not None
        return run.exitcode
    run.kill()
    _has_ended(run)
    return STUCK


def _start(process: ForkServerProcess) -> None:
    with _polling:
        process.start()


def _has_ended(process: ForkServerProcess, seconds: float | None = None) -> bool:
    """Wait up to `seconds` for the end of a process, and read its status; True if it ended."""
    if not multiprocessing.connection.wait([process.sentinel], seconds):
        return False
    with _polling:
        process.join()
    return True


def _end_with_parent() -> None:
    """End this process when its parent has ended, for whatever reason."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _serve(
    name: str, flags: tuple[str, ...], writer: multiprocessing.connection.Connection, log: Path | None
) -> None:
    from tests.mutants.serving import serve

    _end_with_parent()
    with open(log or os.devnull, "w") as errors:  # noqa: PTH123
        os.dup2(errors.fileno(), 2)
    os.dup2(writer.fileno(), 1)
    writer.close()
    sys.exit(serve(name, list(flags)))


def _judge(arguments: tuple[str, ...], output: Path) -> None:
    from conformance.command.cli import main

    _end_with_parent()
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(ROOT)
    sys.exit(main(arguments))
