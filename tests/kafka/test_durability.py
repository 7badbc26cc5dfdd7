"""Durability of nodes on a log: the class `durable` of the suite, with a restart of all nodes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.command.conftest import run_conformance
from tests.kafka.control import Control
from tests.kafka.nodes import Node

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from tests.kafka.cluster import Cluster

#: Heartbeat timeout, in seconds: longer than a restart of all nodes takes on a busy machine.
TIMEOUT = "45"


def judged(cluster: Cluster, name: str, count: int, twin: str = "") -> CompletedProcess[str]:
    """The suite on so many nodes that are killed and started again."""
    options = ["--heartbeat-timeout", TIMEOUT, "--log-name", f"durable-{name}"]
    with ExitStack() as stack:
        nodes = [stack.enter_context(Node(cluster.url, options, twin=twin)) for _ in range(count)]
        control = stack.enter_context(Control(cluster, nodes))
        restart = control.command("restart all nodes")
        urls = [node.url for node in nodes]
        return run_conformance(
            *urls, "--clause", "DURABLE", "--class", "queue-http", "--effort", "quick", "--restart", restart
        )


def test_nodes_on_a_log_are_durable(cluster: Cluster, name: str) -> None:
    """They claim it, and all clauses hold after all nodes were killed."""
    done = judged(cluster, name, 2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "queue-http  ✓ 5" in done.stdout


def test_commits_that_a_node_keeps_to_itself_are_lost(cluster: Cluster, name: str) -> None:
    """One node that writes no acknowledgements conforms until it is restarted."""
    done = judged(cluster, name, 1, "a-commit-is-kept-in-the-node-only")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "DURABLE-COMMIT-1" in done.stdout
