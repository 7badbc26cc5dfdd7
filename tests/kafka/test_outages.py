"""Kafka is away, or a node is paused: bounded waits, honest answers, and work afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.kafka.conftest import OPTIONS

if TYPE_CHECKING:
    from tests.kafka.client import Client
    from tests.kafka.cluster import Cluster
    from tests.kafka.nodes import Node

#: Seconds within which a node has answered, or closed the connection: twice its --log-timeout, and some.
BOUND = 11.0


def test_while_kafka_is_away_nothing_is_acknowledged(
    cluster: Cluster, clients: list[Client], name: str
) -> None:
    """Each operation ends within a bounded time: by 503 where nothing was done, else without an answer."""
    one, two = clients
    one.post("/topic/add-topic", topicName=name, partitions=1)
    one.consumer(name, topic=name)
    assert one.publish(name, "0").status == 200
    cluster.brokers[0].send(signal.SIGSTOP)
    try:
        answers = []
        for _ in range(3):
            for ask in (
                lambda: one.publish(name, "maybe"),
                lambda: two.poll(name),
                lambda: one.get("/topics"),
            ):
                began = time.monotonic()
                answers.append(ask())
                assert time.monotonic() - began < BOUND
    finally:
        cluster.brokers[0].send(signal.SIGCONT)
    published = answers[::3]
    assert {each.status for each in published} <= {0, 503}
    # Once it is known that Kafka does not answer, nothing is sent, so that the answer can say so.
    assert published[-1].status == 503
    assert published[-1].headers["Retry-After"]
    deadline = time.monotonic() + 30
    for client in clients:
        while (answer := client.publish(name, "after")).status != 200:
            assert time.monotonic() < deadline, answer.body
        while (answer := client.consumer(name)).status not in {200, 409}:
            assert time.monotonic() < deadline, answer.body
    assert two.get(f"/topics/{name}")["partitions"][0]["endOffset"] >= 3


def test_a_node_that_was_paused_serves_on(nodes: list[Node], clients: list[Client], name: str) -> None:
    """Longer than the timeout of its consumers: it reads what came meanwhile, and commits nothing of those evicted."""
    one, two = clients
    one.post("/topic/add-topic", topicName=name, partitions=1)
    one.consumer(name, topic=name)
    one.publish(name, "0")
    held = one.poll(name).body
    nodes[0].send(signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 15
        two.consumer(f"{name}-2", group=name, topic=name)
        while (found := two.poll(f"{name}-2", wait_seconds=1)).status == 204:
            assert time.monotonic() < deadline
    finally:
        nodes[0].send(signal.SIGCONT)
    assert found.status == 200, found
    assert found.body["redelivered"] is True
    assert one.acknowledge(name, held["messageId"]).status == 404
    assert one.acknowledge(f"{name}-2", found.body["messageId"]).status == 202
    assert one.poll(f"{name}-2").status == 204


def test_a_node_with_other_settings_does_not_start(cluster: Cluster, nodes: list[Node]) -> None:
    """Every node evicts by the same timeout: exit 2, with both values and what to do."""
    assert nodes, "the nodes that began"
    words = [sys.executable, "-m", "reference_server", "--port", "0", "--log", cluster.url, *OPTIONS]
    done = subprocess.run(
        [*words, "--heartbeat-timeout", "7"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "heartbeat_timeout is 7 here, and 3 on the nodes that began" in done.stderr
    assert "--log-name" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_kafka_a_node_does_not_start() -> None:
    """Exit 2 within a bounded time, with the address."""
    words = [sys.executable, "-m", "reference_server", "--port", "0", "--log-timeout", "1"]
    done = subprocess.run(
        [*words, "--log", "kafka://127.0.0.1:9"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "kafka://127.0.0.1:9 cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
