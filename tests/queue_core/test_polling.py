"""Polling and settling: order, one in flight, fairness, redelivery, batches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_server.queue.partitioner import partition_of
from tests.queue_core.core import Core, texts


def test_a_new_group_starts_at_the_oldest_record(core: Core) -> None:
    """A new group starts at the oldest record, even if other groups are far ahead (POLL-START-1)."""
    core.topic("news")
    core.fill("news", 1, 3)
    for group in ("g", "h"):
        core.join(group, f"{group}1", "news")
        got = []
        while (record := core.poll(f"{group}1")) is not None:
            got.append(record["message"]["message"])
            core.acknowledge(f"{group}1", record)
        assert got == ["P0-0", "P0-1", "P0-2"]


def test_one_record_of_a_partition_is_in_flight(core: Core) -> None:
    """The next record of a partition waits for the acknowledgement (ORDER-2, DELIVER-3)."""
    core.topic("news", 2)
    core.fill("news", 2, 2)
    core.join("g", "c", "news")
    first, second = core.drain("c")
    assert texts([first, second]) == ["P0-0", "P1-0"]
    assert core.acknowledge("c", second).status == 202
    assert texts(core.drain("c")) == ["P1-1"]
    assert core.acknowledge("c", first).status == 202
    assert texts(core.drain("c")) == ["P0-1"]


def test_what_was_given_back_comes_again(core: Core) -> None:
    """A returned record is redelivered first, and marked (NACK-AGAIN-1, ORDER-1, POLL-REDELIVERED-1)."""
    core.topic("news")
    core.fill("news", 1, 2)
    core.join("g", "c", "news")
    for again in (False, True, True):
        record = core.poll("c")
        assert (record["message"]["message"], record["offset"], record["redelivered"]) == ("P0-0", 0, again)
        assert core.give_back("c", record).status == 202
        assert core.give_back("c", record).status == 409
    record = core.poll("c")
    assert core.acknowledge("c", record).status == 202
    assert core.acknowledge("c", record).status == 409
    assert core.poll("c")["redelivered"] is False


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_fairness(partitions: list[int], data: st.DataObject) -> None:
    """Polls without a settlement return one record of each partition that has a free one (POLL-FAIR-1)."""
    core = Core()
    names = [f"t{index}" for index in range(len(partitions))]
    for name, count in zip(names, partitions, strict=True):
        core.topic(name, count)
        for index in range(count):
            for offset in range(data.draw(st.integers(0, 2))):
                key = next(k for k in map(str, range(99)) if partition_of(k, count) == index)
                core.publish(name, f"{name}-{index}-{offset}", key)
    core.join("g", "c", *names)
    waiting = []
    for _ in range(data.draw(st.integers(1, 4))):
        record = core.poll("c")
        if record is None:
            break
        waiting.append(record)
    for record in waiting:
        if data.draw(st.booleans()):
            core.give_back("c", record)
        elif data.draw(st.booleans()):
            core.acknowledge("c", record)
    free = {
        (row["topicName"], row["partition"])
        for row in core.group("g")["assignment"]
        if row["lag"] and row["inFlight"] is None
    }
    got = [(record["message"]["topicName"], record["partition"]) for record in core.drain("c")]
    assert len(got) == len(set(got))
    assert set(got) == free


def test_the_round_goes_on(core: Core) -> None:
    """A partition that always has a record does not starve the others."""
    core.topic("news", 3)
    core.fill("news", 3, 5)
    core.join("g", "c", "news")
    places = []
    for _ in range(9):
        record = core.poll("c")
        places.append(record["partition"])
        core.acknowledge("c", record)
    assert places == [0, 1, 2] * 3


@pytest.mark.parametrize(("asked", "expected"), [(1, 1), (2, 2), (3, 3), (100, 3)])
def test_batches(core: Core, asked: int, expected: int) -> None:
    """A batch has up to `max_messages` records of different partitions, each as in a single poll (POLL-BATCH-1)."""
    core.topic("news", 3)
    core.fill("news", 3, 2)
    core.join("g", "c", "news")
    body = core.do("/consumer/poll", consumer_name="c", max_messages=asked)
    assert texts(body["records"]) == [f"P{index}-0" for index in range(expected)]
    rest = core.do("/consumer/poll", consumer_name="c", max_messages=asked)
    assert (rest is None) == (expected == 3)
    for record in body["records"]:
        assert core.acknowledge("c", record).status == 202
    assert texts(core.drain("c"))


def test_a_consumer_without_subscription_gets_nothing(core: Core) -> None:
    """A consumer without a subscription, or without a partition, gets nothing (POLL-EMPTY-1, POLL-NONE-1, ASSIGN-3)."""
    core.topic("news")
    core.publish("news")
    core.join("g", "c", "news")
    core.join("g", "idle")
    core.join("g", "spare", "news")
    assert core.poll("idle") is None
    assert core.poll("spare") is None
    assert core.poll("c") is not None


def test_ids_are_unique_in_flight(core: Core) -> None:
    """No two records in flight share a messageId (POLL-OK-2)."""
    core.topic("a", 3)
    core.topic("b", 3)
    core.fill("a", 3, 1)
    core.fill("b", 3, 1)
    core.join("g", "c", "a", "b")
    ids = [record["messageId"] for record in core.drain("c")]
    assert len(set(ids)) == 6
