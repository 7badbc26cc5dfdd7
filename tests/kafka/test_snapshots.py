"""Snapshots bound what a node reads at its start, and tools of Kafka see committed offsets."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING

from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from reference_server.config import Settings
from reference_server.kafka import snapshots
from reference_server.kafka.application import LogApplication
from reference_server.kafka.cluster import shard_of
from reference_server.kafka.log import Log
from reference_server.server.long_poll import LongPoll

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from tests.kafka.client import Client
    from tests.kafka.cluster import Cluster

WITHIN = 30.0


@contextlib.contextmanager
def application(cluster: Cluster, name: str) -> Iterator[LogApplication]:
    """A node without sockets."""
    made = LogApplication(Settings(log=cluster.url, log_name=name, heartbeat_timeout=60.0), "test")
    try:
        yield made
    finally:
        made.close()


def perform(node: LogApplication, path: str, **members: object) -> int:
    """The status of an operation."""
    outcome = node.perform(path, json.dumps(members).encode(), LongPoll())
    assert outcome is not None
    return outcome.status


def test_a_node_begins_with_a_snapshot(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The commands before it are deleted, and the state is that of the node which wrote it."""
    monkeypatch.setattr(snapshots, "EVERY", 40)
    log = Log(cluster.addresses, 5.0)
    shard = (f"{name}.groups", shard_of("g"))
    with application(cluster, name) as one:
        assert perform(one, "/topic/add-topic", topicName="news") == 200
        assert perform(one, "/consumer-group/add", consumer_group_name="g") == 200
        assert perform(one, "/consumer/register-consumer", consumer_group_name="g", consumer_name="a") == 200
        assert perform(one, "/consumer/subscribe-topic", consumer_name="a", topic_list="news") == 200
        for number in range(6):
            body = {"messageID": number, "message": f"m{number}", "key": "k"}
            assert perform(one, "/producer/publish/news", **body) == 200
            outcome = one.perform("/consumer/poll", b'{"consumer_name": "a"}', LongPoll())
            assert outcome is not None
            held = json.loads(outcome.body)["messageId"]
            if number < 5:
                assert perform(one, "/consumer/acknowledgement", consumer_name="a", message_id=held) == 202
        deadline = time.monotonic() + WITHIN
        while log.ends([shard], first=True) == [0]:
            assert time.monotonic() < deadline
            assert perform(one, "/consumer/heartbeat", consumer_name="a") == 202
        expected = json.loads(one.read("/consumer-groups/g").body)
        with application(cluster, name) as two:
            assert json.loads(two.read("/consumer-groups/g").body) == expected
            assert perform(two, "/topic/add-topic", topicName="news") == 409
            assert perform(two, "/consumer/acknowledgement", consumer_name="a", message_id=held) == 202


def test_tools_of_kafka_see_what_was_committed(cluster: Cluster, clients: list[Client], name: str) -> None:
    """Some seconds later, the group has its offset in Kafka."""
    one, _ = clients
    one.post("/topic/add-topic", topicName=name, partitions=1)
    one.consumer(name, topic=name)
    one.publish(name, "m")
    assert one.acknowledge(name, one.poll(name).body["messageId"]).status == 202
    admin = AdminClient({"bootstrap.servers": cluster.addresses})
    pause = threading.Event()
    deadline = time.monotonic() + WITHIN
    found: list[int] = []
    while found != [1]:
        assert time.monotonic() < deadline, found
        asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(f"stompliance-{name}")])
        (future,) = asked.values()
        found = [each.offset for each in future.result(timeout=10).topic_partitions]
        pause.wait(0.2)
