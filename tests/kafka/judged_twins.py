"""`python -m tests.kafka.judged_twins [NAME…]`: judge two nodes with each fault of `twins`, and print a table.

    python -m tests.kafka.judged_twins
    python -m tests.kafka.judged_twins ids-are-offsets

A twin is caught if the suite ends with status 1 and names one of the clauses that the fault breaks. `--serve NAME` is a
node with that fault; what follows are its flags.

Exit status: 0 if all were caught, 1 if not, 2 for wrong usage, or where Kafka can't be had.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from reference_server.__main__ import main as serve
from tests.brokers.installing import CannotInstall
from tests.brokers.running import CannotStart
from tests.kafka.cluster import Cluster, install, running
from tests.kafka.nodes import Node

if TYPE_CHECKING:
    from tests.kafka.twins import Twin

_SECONDS = 240.0
_BROKEN = re.compile(r"^✗ ([A-Z0-9-]+)", re.MULTILINE)


def main(arguments: list[str]) -> int:
    """Judge the twins of these names, or all; return the exit status."""
    try:
        install()
    except CannotInstall as error:
        print(error, file=sys.stderr)
        return 2
    # The twins import the client of Kafka, which is known to be there by now.
    from tests.kafka.twins import TWINS

    if arguments[:1] == ["--serve"]:
        TWINS[arguments[1]].apply()
        return serve(arguments[2:])
    if unknown := [name for name in arguments if name not in TWINS]:
        print(f"There is no twin {unknown[0]!r}: expected some of {', '.join(TWINS)}.", file=sys.stderr)
        return 2
    missed = 0
    try:
        with running() as cluster:
            for name in arguments or TWINS:
                began = time.monotonic()
                found = judged(TWINS[name], cluster)
                missed += not found
                said = f"caught by {found}" if found else "NOT CAUGHT"
                print(f"{name:44} {said:34} {time.monotonic() - began:5.1f} s", flush=True)
    except (CannotInstall, CannotStart) as error:
        print(error, file=sys.stderr)
        return 2
    count = len(arguments or TWINS)
    print(f"{count - missed} of {count} broken twins of the server on a log are caught")
    return 1 if missed else 0


def judged(twin: Twin, cluster: Cluster) -> str:
    """The clause of the fault that the suite finds broken at two nodes that have it, "" if it finds none."""
    options = ["--heartbeat-timeout", "2", "--log-name", twin.name]
    with ExitStack() as stack:
        nodes = [stack.enter_context(Node(cluster.url, options, twin=twin.name)) for _ in range(2)]
        words = [
            sys.executable,
            "-m",
            "conformance",
            *(node.url for node in nodes),
            "--effort",
            "quick",
            "--fail-fast",
        ]
        for clause in twin.breaks:
            words += ["--clause", clause]
        words += ["--class", twin.binding]
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode != 1:
        return ""
    return next((clause for clause in _BROKEN.findall(done.stdout) if clause in twin.breaks), "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
