"""One Kafka broker and two nodes for all tests here; they are skipped where Kafka or its client can't be had."""

from __future__ import annotations

import importlib.util
import itertools
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kafka.client import Client
    from tests.kafka.cluster import Cluster
    from tests.kafka.nodes import Node

#: The modules of tests import the client of Kafka, which is in the group `test`.
collect_ignore_glob = [] if importlib.util.find_spec("confluent_kafka") else ["test_*.py"]

OPTIONS = ("--heartbeat-timeout", "3", "--log-timeout", "3")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A Kafka broker."""
    from tests.kafka.cluster import running, why_not

    if reason := why_not():
        pytest.skip(f"no Kafka: {reason}")
    with running() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def nodes(cluster: Cluster) -> Iterator[list[Node]]:
    """Two nodes of one server; every test leaves them running."""
    from tests.kafka.nodes import Node

    with Node(cluster.url, OPTIONS) as one, Node(cluster.url, OPTIONS) as two:
        yield [one, two]


@pytest.fixture
def clients(nodes: list[Node]) -> list[Client]:
    """A client of each node."""
    from tests.kafka.client import Client

    return [Client(node.url) for node in nodes]


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"name-{next(_numbers)}"
