"""Several nodes are one server, and nothing is lost with a node."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, TopicPartition
from websocket import create_connection

if TYPE_CHECKING:
    from tests.kafka.client import Client
    from tests.kafka.cluster import Cluster
    from tests.kafka.nodes import Node


def test_what_one_node_did_the_other_knows(clients: list[Client], name: str) -> None:
    """Each step at the other node, from the reply on: topic, record, group, consumer, poll, acknowledgement."""
    one, two = clients
    assert one.post("/topic/add-topic", topicName=name).status == 200
    assert two.post("/topic/add-topic", topicName=name).status == 409
    assert two.publish(name, "first").body == {"topicName": name, "partition": 0, "offset": 0}
    assert one.publish(name, "second").body["offset"] == 1
    assert one.consumer(name, topic=name).status == 200
    assert two.consumer(name).status == 409
    found = two.poll(name)
    assert found.body["message"]["message"] == "first"
    assert one.poll(name).status == 204
    assert one.acknowledge(name, found.body["messageId"]).status == 202
    assert two.acknowledge(name, found.body["messageId"]).status == 409
    assert two.poll(name).body["message"]["message"] == "second"
    assert one.get(f"/consumer-groups/{name}") == two.get(f"/consumer-groups/{name}")
    assert two.post("/topic/remove-topic", topicName=name).status == 202
    assert one.publish(name, "third").status == 404
    assert one.poll(name).status == 204


def test_a_name_is_taken_on_all_nodes(clients: list[Client], name: str) -> None:
    """At one moment at two nodes, in two groups: one gets the name (MEMBER-REGISTER-4)."""
    for round_ in range(5):
        consumer = f"{name}-{round_}"
        for number in range(2):
            clients[0].post("/consumer-group/add", consumer_group_name=f"{consumer}-{number}")
        statuses: list[int] = []

        def register(
            client: Client, group: str, consumer: str = consumer, into: list[int] = statuses
        ) -> None:
            body = {"consumer_group_name": group, "consumer_name": consumer}
            into.append(client.post("/consumer/register-consumer", **body).status)

        threads = [
            threading.Thread(target=register, args=(client, f"{consumer}-{number}"))
            for number, client in enumerate(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200, 409]


def test_a_name_is_free_when_its_consumer_is_gone(clients: list[Client], name: str) -> None:
    """In another group, at another node: after it left, with its group, and after its eviction."""
    one, two = clients
    one.consumer(name, group=f"{name}-1")
    one.post("/consumer/unregister-consumer", consumer_name=name)
    assert two.consumer(name, group=f"{name}-2").status == 200
    two.post("/consumer-group/remove", consumer_group_name=f"{name}-2")
    assert one.consumer(name, group=f"{name}-3").status == 200
    deadline = time.monotonic() + 10
    while two.consumer(name, group=f"{name}-4").status != 200:
        # The attempt is a sign of life of the one who holds the name: only its silence ends it.
        assert time.monotonic() < deadline
        assert one.poll(name, wait_seconds=0).status in {204, 404}
        one.post("/consumer-group/remove", consumer_group_name=f"{name}-3")


def test_a_long_poll_gets_what_another_node_stores(clients: list[Client], name: str) -> None:
    """POLL-WAIT-1 across nodes, soon after the record is stored."""
    one, two = clients
    one.post("/topic/add-topic", topicName=name)
    one.consumer(name, topic=name)
    found: list[float] = []

    def wait() -> None:
        assert one.poll(name, wait_seconds=10).body["message"]["message"] == "awaited"
        found.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    # The other node serves the consumer too while it waits.
    assert two.post("/consumer/heartbeat", consumer_name=name).status == 202
    stored = two.publish(name, "awaited")
    published = time.monotonic()
    thread.join()
    assert stored.status == 200
    assert found[0] - published < 3


def test_an_acknowledgement_goes_to_subscribers_at_all_nodes(
    nodes: list[Node], clients: list[Client], name: str
) -> None:
    """PUB-ACK-1, PUB-ACK-3 and PUB-ACK-4 across nodes."""
    clients[0].post("/topic/add-topic", topicName=name)
    session = create_connection(nodes[0].url.replace("http", "ws") + "/stomp", timeout=10)
    session.send("CONNECT\naccept-version:1.2\nhost:a\n\n\0")
    session.recv()
    session.send(f"SUBSCRIBE\nid:1\nreceipt:r\ndestination:/topic/acknowledgment/{name}\n\n\0")
    assert session.recv().startswith("RECEIPT")
    for client in (clients[1], clients[0]):
        client.publish(name, "stored")
        client.post(f"/producer/publish/{name}", messageID="bad")
    bodies = [json.loads(session.recv().rstrip("\0").partition("\n\n")[2]) for _ in range(4)]
    session.close()
    assert sorted(body["acknowledgementMessage"] for body in bodies) == ["ACK", "ACK", "FAILED", "FAILED"]
    assert {body["messageId"] for body in bodies} == {"stored", "bad"}


def test_a_node_that_is_killed_loses_nothing(nodes: list[Node], clients: list[Client], name: str) -> None:
    """Records, offsets, members and what is in flight are there after `kill -9` and a new start."""
    one, two = clients
    one.post("/topic/add-topic", topicName=name, partitions=1)
    one.consumer(name, topic=name)
    for number in range(5):
        assert one.publish(name, str(number)).status == 200
    one.acknowledge(name, one.poll(name).body["messageId"])
    in_flight = one.poll(name).body
    nodes[0].kill()
    assert two.acknowledge(name, in_flight["messageId"]).status == 202
    assert two.poll(name).body["offset"] == 2
    nodes[0].start()
    group = one.get(f"/consumer-groups/{name}")
    assert group["assignment"][0]["committed"] == 2
    assert one.publish(name, "5").body["offset"] == 5


def test_all_nodes_may_be_restarted(nodes: list[Node], clients: list[Client], name: str) -> None:
    """A start reads all from the log: names, positions and committed offsets stay."""
    one, two = clients
    one.post("/topic/add-topic", topicName=name, partitions=1)
    one.consumer(name, topic=name)
    one.publish(name, "0")
    one.acknowledge(name, one.poll(name).body["messageId"])
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start()
    assert two.post("/topic/add-topic", topicName=name).status == 409
    assert two.publish(name, "1").body["offset"] == 1
    assert two.get(f"/consumer-groups/{name}")["assignment"][0]["committed"] == 1


def test_tools_of_kafka_read_the_records(cluster: Cluster, clients: list[Client], name: str) -> None:
    """A record is an ordinary one: key and message are texts, and its label and timestamp are headers."""
    clients[0].post("/topic/add-topic", topicName=name, partitions=2)
    position = clients[0].publish(name, "hello", key="schlüssel").body
    reader = Consumer(
        {"bootstrap.servers": cluster.addresses, "group.id": "any", "auto.offset.reset": "earliest"}
    )
    (store,) = [
        each for each in reader.list_topics(timeout=10).topics if each.startswith(f"stompliance-{name}-")
    ]
    reader.assign([TopicPartition(store, position["partition"], position["offset"])])
    message = reader.poll(10)
    reader.close()
    assert message is not None
    assert (message.key(), message.value()) == ("schlüssel".encode(), b"hello")
    assert dict(message.headers())["messageID"] == b'"hello"'


def test_plain_destinations_are_refused(nodes: list[Node]) -> None:
    """The ERROR says what this server is, for SEND and for SUBSCRIBE (QSTOMP-DEST-1)."""
    for frame in ("SEND\ndestination:/queue/a\n\nx\0", "SUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0"):
        session = create_connection(nodes[0].url.replace("http", "ws") + "/stomp", timeout=10)
        session.send("CONNECT\naccept-version:1.2\nhost:a\n\n\0")
        session.recv()
        session.send(frame)
        answer = session.recv()
        assert answer.startswith("ERROR\nmessage:no plain destinations")
        assert "--log" in answer
        session.close()
