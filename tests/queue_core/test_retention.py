"""Retention: records that every group has committed make room in a full partition, and in a full server."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from reference_server.queue.settings import QueueSettings
from tests.queue_core.core import Core, read, texts

ACKNOWLEDGED = QueueSettings(retention="acknowledged")


@pytest.fixture
def core() -> Core:
    """A queue that frees what everyone has acknowledged, with a topic of one partition for three records."""
    core = Core(ACKNOWLEDGED)
    small(core, "t")
    return core


def small(core: Core, name: str) -> None:
    """Add a topic of one partition for three records of one octet."""
    core.do("/topic/add-topic", topicName=name, partitions=1, partition_bytes=3)


def fill(core: Core, topic: str, messages: str) -> list[int]:
    """Publish a record of each character; returns the statuses."""
    return [core.ask(f"/publish/{topic}", messageID="l", message=m).status for m in messages]


def read_on(core: Core, name: str, count: int) -> list[str]:
    """Read and acknowledge so many records."""
    seen = []
    for _ in range(count):
        record = core.poll(name)
        assert core.acknowledge(name, record).status == 202
        seen.append(record)
    return texts(seen)


def oldest(core: Core, topic: str) -> list[tuple[int, int]]:
    """Oldest and end offset of each partition."""
    document: Any = read(core.operations.read(f"/topics/{topic}", now=core.now)).body
    return [(row["oldestOffset"], row["endOffset"]) for row in document["partitions"]]


def test_acknowledged_records_make_room(core: Core) -> None:
    """Only as many as are needed go, offsets go on, and nobody's position changes (RETENTION-ROOM-1, -COUNT-1)."""
    core.join("g", "c", "t")
    assert fill(core, "t", "abcd") == [200, 200, 200, 507]
    assert read_on(core, "c", 2) == ["a", "b"]
    assert oldest(core, "t") == [(0, 3)]
    assert core.publish("t", "d") == (0, 3)
    assert oldest(core, "t") == [(1, 4)]
    assert read_on(core, "c", 2) == ["c", "d"]
    for round_ in range(20):
        assert core.publish("t", "xyz"[round_ % 3]) == (0, 4 + round_)
        assert read_on(core, "c", 1) == ["xyz"[round_ % 3]]
    assert core.committed("g") == [24]


def test_what_one_group_has_not_committed_stays(core: Core) -> None:
    """The slowest group counts, in whatever order groups came (RETENTION-KEEP-1)."""
    core.join("g", "c", "t")
    core.join("h", "d", "t")
    fill(core, "t", "abc")
    assert read_on(core, "c", 3) == ["a", "b", "c"]
    assert fill(core, "t", "d") == [507]
    held = core.poll("d")
    assert fill(core, "t", "d") == [507]
    core.unsubscribe("d", "t")
    assert fill(core, "t", "d") == [507]
    core.subscribe("d", "t")
    assert core.acknowledge("d", held).status == 409
    assert read_on(core, "d", 1) == ["a"]
    assert fill(core, "t", "de") == [200, 507]
    core.do("/consumer-group/remove", consumer_group_name="h")
    assert fill(core, "t", "e") == [200]


def test_what_nobody_reads_stays(core: Core) -> None:
    """A group that exists, and one that was removed, don't read a topic (RETENTION-KEEP-2)."""
    core.join("g", "c")
    core.join("h", "d", "t")
    fill(core, "t", "a")
    read_on(core, "d", 1)
    core.do("/consumer-group/remove", consumer_group_name="h")
    assert fill(core, "t", "bcd") == [200, 200, 507]
    core.subscribe("c", "t")
    assert read_on(core, "c", 3) == ["a", "b", "c"]


def test_a_new_group_starts_at_the_oldest_record(core: Core) -> None:
    """Its records are new to it, and its lag counts them (RETENTION-START-1)."""
    core.join("g", "c", "t")
    fill(core, "t", "abc")
    read_on(core, "c", 3)
    fill(core, "t", "de")
    core.join("h", "d", "t")
    (row,) = core.group("h")["assignment"]
    assert (row["committed"], row["endOffset"], row["lag"]) == (2, 5, 3)
    first = core.poll("d")
    assert (first["offset"], first["redelivered"]) == (2, False)
    core.acknowledge("d", first)
    assert read_on(core, "d", 2) == ["d", "e"]
    assert core.poll("d") is None


def test_a_large_record_takes_the_room_of_several(core: Core) -> None:
    """A record frees as many as it needs, and none if it is larger than a partition."""
    core.join("g", "c", "t")
    fill(core, "t", "abc")
    read_on(core, "c", 2)
    assert core.ask("/publish/t", messageID="l", message="four").status == 507
    assert oldest(core, "t") == [(0, 3)]
    assert core.ask("/publish/t", messageID="l", message="xy").status == 200
    assert oldest(core, "t") == [(2, 4)]
    assert core.ask("/publish/t", messageID="l", message="xyz").status == 507
    assert read_on(core, "c", 2) == ["c", "xy"]


def test_many_empty_records_make_room_in_pieces(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records without octets in front of one that needs room go a piece at a time."""
    monkeypatch.setattr("reference_server.queue.room._PIECE", 10)
    core.join("g", "c", "t")
    for _ in range(25):
        core.publish("t", "")
    core.publish("t", "abc")
    read_on(core, "c", 26)
    assert fill(core, "t", "xyz") == [507, 507, 200]


def test_records_stay_unless_asked_otherwise() -> None:
    """Without the setting a full partition stays full (DELIVER-1)."""
    core = Core()
    small(core, "t")
    core.join("g", "c", "t")
    fill(core, "t", "abc")
    read_on(core, "c", 3)
    assert fill(core, "t", "d") == [507]


@pytest.mark.parametrize("bound", ["total_bytes", "records"])
def test_a_full_server_frees_records_of_other_topics(bound: str) -> None:
    """Records that everyone has acknowledged give their octets back, in whatever topic they are."""
    core = Core(
        QueueSettings(retention="acknowledged", **{bound: {"total_bytes": 2000, "records": 9}[bound]})
    )
    for name in ("a", "b", "c"):
        core.topic(name)
    core.join("g", "x", "a", "b")
    core.join("h", "y", "b")
    stored = 0
    while fill(core, "ab"[stored % 2], "m") == [200]:
        stored += 1
    read_on(core, "x", stored)
    assert stored > 4
    used = core.broker.budget.used
    # All of `a` is free to go, and nothing of `b`, which the other group has not read.
    freed = (stored + 1) // 2
    assert fill(core, "c", "m" * freed) == [200] * freed
    assert fill(core, "c", "m") == [507]
    assert core.broker.budget.used == used
    assert (oldest(core, "a"), oldest(core, "b")) == ([(freed, freed)], [(0, stored // 2)])
    read_on(core, "y", stored // 2)
    assert fill(core, "c", "m") == [200]


def test_octets_are_given_back_as_they_were_counted(core: Core) -> None:
    """Non-ASCII texts grow when they are encoded; the count does not drift."""
    core.do("/topic/add-topic", topicName="u", partitions=1, partition_bytes=30)
    core.join("g", "c", "u")
    before = core.broker.budget.used
    for _ in range(50):
        core.publish("u", "日本語" * 3, "é")
        assert read_on(core, "c", 1) == ["日本語" * 3]
        assert oldest(core, "u")[0][1] - oldest(core, "u")[0][0] == 1
        one = core.broker.budget.used - before
    assert core.broker.room.records == 1
    (partition,) = core.broker.topics["u"].partitions
    assert (partition.octets, partition.costs) == (29, array("q", [one]))


def test_a_long_run_keeps_little() -> None:
    """The lists of a partition don't grow with what was freed."""
    core = Core(ACKNOWLEDGED)
    core.do("/topic/add-topic", topicName="t", partitions=1, partition_bytes=100)
    core.join("g", "c", "t")
    for number in range(3000):
        assert core.publish("t", "x") == (0, number)
        read_on(core, "c", 1)
    (partition,) = core.broker.topics["t"].partitions
    assert len(partition.records) == len(partition.ids) <= 202
    assert oldest(core, "t") == [(2900, 3000)]
    core.join("h", "d", "t")
    assert len(read_on(core, "d", 100)) == 100
