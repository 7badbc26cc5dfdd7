"""`python -m tests.kafka`: start Kafka on free ports of the loopback interface, print its address, wait for Ctrl-C.

    python -m tests.kafka
    python -m tests.kafka --brokers 3 --keep
    python -m tests.kafka --nodes 2
    python -m tests.kafka --nodes 2 --judge standard

`--nodes` starts nodes of the reference server on it, and prints their URLs, too; `--judge` runs the suite on them at
this effort in place of the wait. Options behind `--` are those of the nodes.

Exit status: 0 after Ctrl-C or SIGTERM, that of the suite with `--judge`; 2 for wrong usage, or where Kafka can't be
had or doesn't start.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.brokers.installing import CannotInstall
from tests.brokers.running import CannotStart
from tests.kafka.cluster import running
from tests.kafka.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Sequence


EFFORTS = ("quick", "standard", "thorough")
#: Options of nodes that are judged: the suite waits for the real timeout.
JUDGED = ("--heartbeat-timeout", "2")


def _judge(nodes: Sequence[Node], effort: str) -> int:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    words = [sys.executable, "-m", "conformance", *(node.url for node in nodes), "--effort", effort]
    return subprocess.run([*words, "--time-limit", "0"], check=False).returncode


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.kafka",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--brokers", type=int, default=1, choices=range(1, 6), help="brokers (default: 1)")
    parser.add_argument(
        "--nodes", type=int, default=0, choices=range(10), help="nodes of the reference server"
    )
    parser.add_argument("--keep", action="store_true", help="keep configuration, data and logs")
    parser.add_argument("--judge", metavar="EFFORT", choices=EFFORTS, help="quick, standard or thorough")
    parser.add_argument("options", nargs="*", metavar="-- OPTION", help="options of the nodes")
    values = parser.parse_args()
    if values.judge and not values.nodes:
        parser.error("--judge needs --nodes: expected a number of nodes to judge")
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(running(values.brokers, keep=values.keep))
            print(cluster.url, flush=True)
            options = [*(JUDGED if values.judge else ()), *values.options]
            nodes = [stack.enter_context(Node(cluster.url, options)) for _ in range(values.nodes)]
            for node in nodes:
                print(node.url, flush=True)
            for broker in cluster.brokers if values.keep else ():
                print(f"broker {broker.number}: {broker.folder}", file=sys.stderr)
            if values.judge:
                return _judge(nodes, values.judge)
            signal.sigwait(signals)
    except (CannotInstall, CannotStart) as error:
        print(f"tests.kafka: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
