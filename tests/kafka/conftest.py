"""One Kafka broker and two nodes for all tests here; they are skipped where Kafka or its client can't be had."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

pytest.importorskip(
    "confluent_kafka", reason="the client of Kafka is not installed: pip install confluent-kafka"
)

from tests.kafka.client import Client
from tests.kafka.cluster import running, why_not
from tests.kafka.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kafka.cluster import Cluster

OPTIONS = ("--heartbeat-timeout", "3", "--log-timeout", "3")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A Kafka broker."""
    if reason := why_not():
        pytest.skip(f"no Kafka: {reason}")
    with running() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def nodes(cluster: Cluster) -> Iterator[list[Node]]:
    """Two nodes of one server; every test leaves them running."""
    with Node(cluster.url, OPTIONS) as one, Node(cluster.url, OPTIONS) as two:
        yield [one, two]


@pytest.fixture
def clients(nodes: list[Node]) -> list[Client]:
    """A client of each node."""
    return [Client(node.url) for node in nodes]


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"name-{next(_numbers)}"
