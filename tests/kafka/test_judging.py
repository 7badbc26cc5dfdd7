"""The suite on two nodes as one server: a part of it, and a run on nodes that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.command.conftest import run_conformance

if TYPE_CHECKING:
    from tests.kafka.nodes import Node

#: Prefixes of clauses whose tests wait for little, and go through all of the server.
SHORT = (
    "TOPIC-ADD",
    "PART-RR",
    "PUB",
    "POLL",
    "ACK",
    "NACK",
    "MEMBER",
    "ORDER",
    "ASSIGN",
    "REBALANCE",
    "LIVE",
)


def test_a_short_run_conforms(nodes: list[Node]) -> None:
    """Each client of a test is at another node than the one before."""
    clauses = [word for prefix in SHORT for word in ("--clause", prefix)]
    urls = [node.url for node in nodes]
    done = run_conformance(*urls, "--effort", "quick", "--class", "queue-http", "--parallel", "6", *clauses)
    assert done.returncode == 0, done.stdout
    assert nodes[1].url in done.stdout
