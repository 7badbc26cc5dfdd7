"""Room in a server that runs: a full topic and a full server go on where everyone has acknowledged, or a topic goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.server.test_command_line import running
from tests.server.test_memory import resident
from tests.server.wire import Http, Stomp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.test_command_line import Running

MIB = 1 << 20
BOUND = 32 * MIB
TEXT = "x" * (MIB // 2)


@pytest.fixture
def server() -> Iterator[Running]:
    """A server that may keep 32 MiB, and frees what everyone has acknowledged."""
    with running("--port", "0", "--total-bytes", str(BOUND), "--retention", "acknowledged") as started:
        yield started


def publish(server: Running, topic: str) -> int:
    """Publish half a MiB on a connection of its own, which a full server may close; returns the status."""
    with Http.to(server) as client:
        return client.ask(f"/publish/{topic}", messageID="l", message=TEXT).status


def fill(server: Running, topic: str) -> int:
    """Publish until the server is full; returns the number of records."""
    with Http.to(server) as client:
        client.ask("/topic/add-topic", topicName=topic, partitions=1)
    count = 0
    while publish(server, topic) == 200:
        count += 1
        assert count < 2 * BOUND // len(TEXT)
    assert count > BOUND // len(TEXT) // 2
    return count


def join(client: Http, group: str, name: str, topic: str) -> None:
    client.ask("/consumer-group/add", consumer_group_name=group)
    client.ask("/consumer/register-consumer", consumer_group_name=group, consumer_name=name)
    assert client.ask("/consumer/subscribe-topic", consumer_name=name, topic_list=topic).status == 200


def read_all(client: Http, name: str) -> int:
    """Read and acknowledge; returns the number of records."""
    count = 0
    while (reply := client.ask("/consumer/poll", consumer_name=name)).status == 200:
        message_id = reply.json["messageId"]
        acknowledged = client.ask("/consumer/acknowledgement", consumer_name=name, message_id=message_id)
        assert acknowledged.status == 202
        count += 1
    return count


def test_a_full_server_goes_on_with_what_was_acknowledged(server: Running) -> None:
    """Several times the bound goes through a topic, and then through one beside it, in the memory of one."""
    stored = fill(server, "a")
    assert publish(server, "a") in {503, 507}
    with Http.to(server) as client:
        join(client, "g", "c", "a")
        read = read_all(client, "c")
        for _ in range(4 * stored):
            assert publish(server, "a") == 200
            read += read_all(client, "c")
        assert read == 5 * stored
        fill(server, "b")
        assert publish(server, "a") in {503, 507}
        (row,) = client.get("/topics/a").json["partitions"]
        assert row["oldestOffset"] == row["endOffset"] == 5 * stored
    assert resident(server) < 4 * BOUND


def test_a_full_server_goes_on_when_a_topic_is_removed(server: Running) -> None:
    """A removed topic gives its octets back, over HTTP and over STOMP, whatever its readers hold."""
    with Http.to(server) as client, Stomp.connected(server) as session:
        session.subscribe("/user/queue/replies")
        for turn in range(6):
            assert fill(server, "a") > 50
            join(client, f"g{turn}", f"c{turn}", "a")
            assert client.ask("/consumer/poll", consumer_name=f"c{turn}").status == 200
            if turn % 2:
                assert session.ask("/topic/remove-topic", topicName="a")["status"] == "202"
            else:
                assert client.ask("/topic/remove-topic", topicName="a").status == 202
    assert resident(server) < 4 * BOUND
