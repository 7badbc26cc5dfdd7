"""Two nodes with one fault of `twins` each, judged by the suite; `python -m tests.mutants --log` prints them.

A twin is caught if the suite ends with status 1 and names one of the clauses that the fault breaks.
"""

from __future__ import annotations

import re
import secrets
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.kafka.cluster import Cluster, install, running
from tests.kafka.control import Control
from tests.kafka.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.kafka.twins import Twin

_SECONDS = 600.0
_SHOWN = 4000
_BROKEN = re.compile(r"^✗ ([A-Z0-9-]+)", re.MULTILINE)


@dataclass(frozen=True)
class Judged:
    """One twin: the exit status of the suite, the clauses that it finds broken, the end of its output, and its time."""

    twin: Twin
    status: int
    broken: tuple[str, ...]
    said: str
    seconds: float

    @property
    def clause(self) -> str:
        """The clause of the fault that was found broken, "" if none was."""
        found = [clause for clause in self.broken if clause in self.twin.breaks]
        return found[0] if found and self.status == 1 else ""


def judge_all(names: Sequence[str] = ()) -> Iterator[Judged]:
    """Judge the twins of these names, or all, on a broker for them. Raises CannotInstall, CannotStart."""
    install()
    from tests.kafka.twins import TWINS

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end the processes, as at Ctrl-C
    with running() as cluster:
        for name in names or TWINS:
            yield judged(TWINS[name], cluster)


def judged(twin: Twin, cluster: Cluster, *, is_faulty: bool = True) -> Judged:
    """Judge nodes with the fault, or without it, as that twin is judged."""
    began = time.monotonic()
    name = f"{twin.name}-{secrets.token_hex(3)}"
    options = ["--heartbeat-timeout", "2", "--log-name", name]
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(Node(cluster.url, options, twin=f"{twin.name}:{number}" if is_faulty else ""))
            for number in range(twin.nodes)
        ]
        words = [sys.executable, "-m", "conformance", *(node.url for node in nodes)]
        words += ["--effort", "quick", "--fail-fast", "--class", twin.binding]
        if twin.fault:
            control = stack.enter_context(Control(cluster, nodes))
            words += ["--fault", f"{twin.fault}={control.command(twin.fault)}"]
            words += ["--heal", control.command(twin.heal), "--time-limit", "0"]
        else:
            words += [word for clause in twin.breaks for word in ("--clause", clause)]
        status, said = _output(words)
    return Judged(twin, status, tuple(_BROKEN.findall(said)), said[-_SHOWN:], time.monotonic() - began)


def _output(words: list[str]) -> tuple[int, str]:
    """Exit status and output of a run; 4 for one that does not end."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return 4, f"the run was not over within {_SECONDS:g} s"
    return done.returncode, done.stdout + done.stderr
