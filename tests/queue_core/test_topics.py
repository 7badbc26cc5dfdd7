"""Topics: the partition of each record, and full partitions."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_server.queue.partitioner import partition_of
from reference_server.queue.settings import QueueSettings
from tests.queue_core.core import Core

VECTORS = Path(__file__).parents[2] / "spec" / "vectors" / "partitioner.json"


@given(st.text(max_size=300), st.integers(1, 1000))
def test_the_partition_of_a_key(key: str, partitions: int) -> None:
    """A key is placed by the first four octets of the MD5 of its UTF-8, as a little-endian number (PART-KEY-2)."""
    digest = hashlib.md5(key.encode()).digest()
    number = digest[0] + 256 * (digest[1] + 256 * (digest[2] + 256 * digest[3]))
    assert partition_of(key, partitions) == number % partitions


def test_the_example_of_the_text() -> None:
    """`sport` is the number 726999864 (PART-KEY-2)."""
    assert [partition_of("sport", n) for n in (2**32, 4, 7)] == [726999864, 0, 3]


def test_keys_stay(core: Core) -> None:
    """A key always has the same partition (PART-KEY-1)."""
    core.topic("news", 5)
    keys = [f"k{number}" for number in range(20)]
    places = {key: core.publish("news", key=key)[0] for key in keys}
    core.topic("other", 3)
    for number in range(50):
        core.publish("news")
        core.publish("other", key=keys[number % 20])
        assert core.publish("news", key=keys[-number % 20])[0] == places[keys[-number % 20]]


def test_records_without_key_take_turns(core: Core) -> None:
    """The round-robin starts at partition 0; keyed and refused records do not advance it (PART-RR-1, -2, -3)."""
    core.topic("news", 3)
    places = []
    for number in range(7):
        places.append(core.publish("news", key=[None, ""][number % 2])[0])
        core.publish("news", key="k")
        assert core.ask("/publish/news", messageID=1).status == 400
    assert places == [0, 1, 2, 0, 1, 2, 0]


def test_offsets_have_no_gaps(core: Core) -> None:
    """Each partition counts offsets from 0 (PUB-POSITION-1)."""
    core.topic("news", 3)
    seen: dict[int, list[int]] = {}
    for number in range(60):
        partition, offset = core.publish("news", key=f"k{number % 7}" if number % 3 else None)
        seen.setdefault(partition, []).append(offset)
    assert all(offsets == list(range(len(offsets))) for offsets in seen.values())


@pytest.mark.parametrize(("key", "message"), [("kk", "x" * 8), ("", "x" * 10), ("é", "日" + "x" * 5)])
def test_a_full_partition(core: Core, key: str, message: str) -> None:
    """A partition accepts records up to its bound in UTF-8 octets, refuses others, and still delivers.

    PUB-FULL-1, -2.
    """
    core.do("/topic/add-topic", topicName="small", partitions=1, partition_bytes=20)
    for number in range(2):
        assert core.ask("/publish/small", messageID=number, message=message, key=key).status == 200
    before = core.picture()
    reply = core.ask("/publish/small", messageID="last", message="y", key=key)
    assert (reply.status, reply.cause) == (507, "partition-full")
    assert reply.outcome.acknowledgement is not None
    assert json.loads(reply.outcome.acknowledgement.body)["acknowledgementMessage"] == "FAILED"
    assert core.picture() == before
    core.join("g", "c", "small")
    for _ in range(2):
        core.acknowledge("c", core.poll("c"))
    assert core.poll("c") is None
    assert core.ask("/publish/small", messageID="last", message="y", key=key).status == 507


def test_a_full_partition_keeps_its_turn(core: Core) -> None:
    """A record that is refused for its size does not advance the round-robin."""
    core.do("/topic/add-topic", topicName="small", partitions=2, partition_bytes=4)
    assert core.publish("small", "xxxx") == (0, 0)
    assert core.publish("small", "x") == (1, 0)
    assert core.ask("/publish/small", messageID=1, message="x").status == 507
    assert core.publish("small", "") == (0, 1)
    assert core.publish("small", "xxx") == (1, 1)


@pytest.mark.parametrize(
    ("settings", "room"),
    [
        (QueueSettings(total_bytes=1600), 5),
        (QueueSettings(records=7), 7),
        (QueueSettings(partition_bytes=33), 3),
    ],
)
def test_a_full_server(settings: QueueSettings, room: int) -> None:
    """Bounds of the whole server refuse records and drop none (PUB-FULL-4)."""
    core = Core(settings)
    core.topic("news")
    core.topic("other")
    body = {"messageID": "l", "message": "x" * 9, "key": "k", "timestamp": "t" * 9}
    for _ in range(room):
        assert core.ask("/publish/news", **body).status == 200
    before = core.picture()
    assert core.ask("/publish/news", **body).status == 507
    assert core.picture() == before


def test_bounds_of_numbers() -> None:
    """Topics, groups, consumers, partitions and cursors past the bound are refused by 409, without effect."""
    core = Core(
        QueueSettings(topics=3, groups=2, consumers=2, topic_partitions=5, all_partitions=7, cursors=9)
    )

    def is_too_many(path: str, **members: object) -> None:
        before = core.picture()
        reply = core.ask(path, **members)
        assert (reply.status, reply.cause) == (409, "too-many"), path
        assert core.picture() == before

    core.topic("a", 5)
    is_too_many("/topic/add-topic", topicName="b", partitions=3)
    core.topic("b", 1)
    core.topic("c", 1)
    is_too_many("/topic/add-topic", topicName="d", partitions=1)
    core.join("g", "x", "a")
    core.join("h", "y", "b", "c")
    is_too_many("/consumer-group/add", consumer_group_name="i")
    is_too_many("/consumer/register-consumer", consumer_group_name="g", consumer_name="z")
    is_too_many("/consumer/subscribe-topic", consumer_name="y", topic_list="a")
    core.do("/consumer-group/add", consumer_group_name="g")  # an existing one needs no room
    core.do("/consumer-group/remove", consumer_group_name="g")
    core.subscribe("y", "a")
    core.join("i", "z")


def test_the_vectors_of_the_text() -> None:
    """The server places keys as the test vectors do (PART-KEY-2)."""
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]
    assert vectors
    for vector in vectors:
        for partitions, index in vector["partitions"].items():
            assert partition_of(vector["key"], int(partitions)) == index, vector
