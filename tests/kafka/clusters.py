"""`python -m tests.kafka.clusters`: the concurrent scenario while nodes and brokers are killed and stopped.

    python -m tests.kafka.clusters --runs 20
    python -m tests.kafka.clusters --brokers 1 --nodes 2 --runs 1 --faults "kill a node"

Three Kafka brokers (replication 3, `min.insync.replicas` 2) and three nodes are started. Each run takes the next three
of the faults, another order and other moments by its seed, and is judged by `python -m conformance --fault …`. A line
for each run says what came, what was in flight, and how many outcomes were unknown.

Exit status: 0 if no run shows an anomaly, 1 if one does, 2 for wrong usage, or where Kafka can't be had; 4 if a run
could not be judged.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.brokers.installing import CannotInstall
from tests.brokers.running import CannotStart
from tests.kafka.cluster import running
from tests.kafka.control import Control
from tests.kafka.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTIONS = ("--heartbeat-timeout", "4", "--rebalance-timeout", "4")
#: Faults of one run, where none are named.
FAULTS_OF_A_RUN = 3
#: Longest time of one run, in seconds.
RUN_SECONDS = 900.0


def run_once(control: Control, nodes: Sequence[Node], faults: Sequence[str], seed: int, folder: Path) -> int:
    """Judge the nodes while these faults come; print a line; return the exit status of the suite."""
    words = [sys.executable, "-m", "conformance", *(node.url for node in nodes), "--class", "queue-http"]
    words += ["--effort", "quick", "--seed", str(seed), "--report", str(folder), "--time-limit", "0"]
    for fault in faults:
        words += ["--fault", f"{fault}={control.command(fault)}"]
    words += ["--heal", control.command("heal")]
    began = time.monotonic()
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        print(f"run {seed}: not over within {RUN_SECONDS:g} s", flush=True)
        return 4
    sentence = next(
        (line for line in done.stdout.splitlines() if line.startswith("Faults (")), "no fault came"
    )
    anomalies = _anomalies(folder)
    print(
        f"run {seed}: status {done.returncode}, {anomalies} anomalies. {sentence} "
        f"[{time.monotonic() - began:.0f} s]",
        flush=True,
    )
    if done.returncode:
        print(done.stdout[-6000:] + done.stderr[-2000:], flush=True)
        print(f"    report: {folder}", flush=True)
    return done.returncode


def _anomalies(folder: Path) -> int:
    """Failures of clauses in the report of a run."""
    with contextlib.suppress(OSError, ValueError):
        report = json.loads((folder / "report.json").read_text("utf-8"))
        return sum(len(verdict["failures"]) for verdict in report["verdicts"])
    return 0


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.kafka.clusters",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=20, help="runs (default: 20)")
    parser.add_argument("--first", type=int, default=1, help="seed of the first run (default: 1)")
    parser.add_argument("--brokers", type=int, default=3, choices=range(1, 6), help="brokers (default: 3)")
    parser.add_argument("--nodes", type=int, default=3, choices=range(1, 10), help="nodes (default: 3)")
    parser.add_argument("--faults", default="", metavar="NAME,NAME", help="these faults in each run")
    parser.add_argument("options", nargs="*", metavar="-- OPTION", help="options of the nodes")
    values = parser.parse_args()
    statuses = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end the processes, as at Ctrl-C
    try:
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(running(values.brokers))
            nodes = [
                stack.enter_context(Node(cluster.url, [*OPTIONS, *values.options]))
                for _ in range(values.nodes)
            ]
            control = stack.enter_context(Control(cluster, nodes))
            chosen = [name.strip() for name in values.faults.split(",") if name.strip()]
            if unknown := [name for name in chosen if name not in control.faults]:
                parser.error(
                    f"there is no fault {unknown[0]!r}: expected some of {', '.join(control.faults)}"
                )
            kinds = itertools.cycle(control.faults)
            for seed in range(values.first, values.first + values.runs):
                faults = chosen or list(itertools.islice(kinds, FAULTS_OF_A_RUN))
                folder = Path(tempfile.mkdtemp(prefix=f"cluster-run-{seed}-"))
                statuses.append(run_once(control, nodes, faults, seed, folder))
    except (CannotInstall, CannotStart) as error:
        print(f"tests.kafka.clusters: {error}", file=sys.stderr)
        return 2
    print(f"{statuses.count(0)} of {len(statuses)} runs without an anomaly")
    return 1 if 1 in statuses else max(statuses, default=4)


if __name__ == "__main__":
    sys.exit(main())
