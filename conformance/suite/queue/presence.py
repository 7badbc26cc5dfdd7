"""Presence of all nodes after a fault or a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.suite.queue.fixture import publish_path
from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.wire.failures import PeerFailure, Unreachable, Violation

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Longest wait for the answers that show a node to be back, in seconds.
PROMPT = 2.0


def every_node_answers(bench: Bench, topic: str) -> bool:
    """True if every node stores a record, and answers for a consumer that does not exist."""
    label = bench.fresh("probe")
    for node in bench.target.nodes:
        with bench.at_node(node):
            try:
                client = bench.queue()
                try:
                    body = {"messageID": label, "message": label, "timestamp": 0}
                    stored = client.call(publish_path(topic), body, PROMPT)
                    unknown = client.call(HEARTBEAT, {"consumer_name": label}, PROMPT)
                finally:
                    client.operations.close()
            except (Unreachable, PeerFailure, Violation):
                return False
            if stored.status >= 500 or unknown.status >= 500:
                return False
    return True
