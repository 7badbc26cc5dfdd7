"""The two command lines of the first users against the stand-in."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.first_server.clients import Queue
from tests.first_server.conftest import ROOT
from tests.scripts.test_scripts import finish, script
from tests.server.wire import DEADLINE

if TYPE_CHECKING:
    from tests.first_server.conftest import Process, Serve


def test_a_producer_without_connect_and_a_consumer(server: Process) -> None:
    """Three records are acknowledged to the producer of the first users, and come to the sample consumer."""
    with Queue.to(server) as queue:
        queue.topic("orders")
    command = [sys.executable, "-m", "tests.first_server.sample_producer", "orders", "0"]
    ran = subprocess.run(
        [*command, "--count", "3", "--url", server.url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == ["ACK order 0", "ACK order 1", "ACK order 2"]
    with script(
        "consumer.py", "alice", "billing", "orders", "0", "--count", "3", "--url", server.url
    ) as process:
        status, output, complaints = finish(process)
    assert (status, complaints) == (0, "")
    assert sorted(line.split("'")[1] for line in output.splitlines() if "acknowledged" in line) == [
        "order 0",
        "order 1",
        "order 2",
    ]


def test_the_sample_producer_under_its_own_spellings(serve: Serve) -> None:
    """`scripts/producer.py` registers, publishes and reads ACKs on a server that has its spellings."""
    server = serve("--publish-at", "producer/publish", "--acknowledge-at", "acknowledgment")
    with script("producer.py", "orders", "0", "--count", "3", "--url", server.url) as process:
        status, output, complaints = finish(process)
    assert (status, complaints) == (0, "")
    assert output.count("sent ") == output.count("acknowledged ") == 3
