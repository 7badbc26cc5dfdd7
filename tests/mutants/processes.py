"""Processes for a server and for a run of the suite: real ones, forked from one that has imported everything.

An interpreter of its own for each would spend more time on imports than the suite does on a chapter.
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
#: The status of a run that was ended because it took too long.
STUCK = -1
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
#: The status of a process can be read once. Whoever starts one looks whether others have ended, and of two threads that
#: look at the same time one would take 255 for the status.
_looking = threading.Lock()
_URL = re.compile(r"ws://\S+")
#: What a run imports where it first needs it.
_IMPORTED_LATE = (
    "_pytest._argcomplete",
    "encodings.idna",
    "encodings.unicode_escape",
    "hypothesis.internal.conjecture.optimiser",
    "pdb",
)
#: A character that has rich load its table of widths.
_WIDE = "\u4e00"


class NotServing(Exception):
    """A patched server did not start; the message has what it said."""


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.mutants.preloaded"])
    return context


def preload() -> None:
    """Import what servers and runs need; nothing is patched by that, and no thread is started."""
    for name in ("conformance.command.cli", "reference_server.__main__", "tests.mutants.registry"):
        importlib.import_module(name)
    registry = sys.modules["tests.mutants.registry"]
    registry.faults(), registry.variants()
    for module in pkgutil.walk_packages(conformance.suite.__path__, "conformance.suite."):
        importlib.import_module(module.name)
    for name in (*(f"_pytest.{plugin}" for plugin in default_plugins), *_IMPORTED_LATE):
        importlib.import_module(name)
    cell_len(_WIDE)
    book()
    # Hypothesis takes constants from local modules, and tries them as values. An installed suite is no such module;
    # here it would be, and with it the server and its faults, which would tell how to find them.
    providers.is_local_module_file = lambda path: False
    gc.freeze()  # what was imported stays as it is: no process has to look through it for garbage, or copy it


@contextmanager
def served(name: str, flags: Sequence[str]) -> Iterator[str]:
    """The URL of a server with a fault or an oddity, which ends with the context. Raises NotServing."""
    reader, writer = _context().Pipe(duplex=False)
    server = _context().Process(target=_serve, args=(name, tuple(flags), writer), daemon=True)
    _start(server)
    writer.close()
    try:
        line = ""
        if reader.poll(_START_SECONDS):
            with open(os.dup(reader.fileno()), encoding="utf-8", errors="replace") as output:  # noqa: PTH123
                line = output.readline()
        match = _URL.search(line)
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
    """Run the suite's command line with its output in a file; its exit status, or STUCK after so many seconds."""
    run = _context().Process(target=_judge, args=(tuple(arguments), output), daemon=True)
    _start(run)
    if _has_ended(run, seconds):
        assert run.exitcode is not None
        return run.exitcode
    run.kill()
    _has_ended(run)
    return STUCK


def _start(process: ForkServerProcess) -> None:
    with _looking:
        process.start()


def _has_ended(process: ForkServerProcess, seconds: float | None = None) -> bool:
    """Wait until it ends, and keep its status; whether it did within so many seconds."""
    if not multiprocessing.connection.wait([process.sentinel], seconds):
        return False
    with _looking:
        process.join()
    return True


def _end_with_parent() -> None:
    """End this process when the one that asked for it is gone, however that ended."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _serve(name: str, flags: tuple[str, ...], writer: multiprocessing.connection.Connection) -> None:
    from tests.mutants.serving import serve

    _end_with_parent()
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
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
