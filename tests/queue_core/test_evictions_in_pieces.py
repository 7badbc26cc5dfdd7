"""Evictions of many members in many topics: in pieces, between which every other operation has its turn."""

from __future__ import annotations

from typing import Any

import pytest

from reference_server.queue import group as group_module
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Group
from reference_server.queue.introspection import describe
from reference_server.queue.refusal import Refusal
from reference_server.queue.settings import QueueSettings
from reference_server.queue.topic import Record

TOPICS = [f"t{number}" for number in range(300)]
SILENT = [f"c{number}" for number in range(20)]
LATE = 31.0


@pytest.fixture
def broker() -> QueueBroker:
    """A broker on which all but one member of a group are silent for too long at LATE; each topic has a record."""
    broker = QueueBroker(QueueSettings(partitions=2))
    for name in TOPICS:
        broker.add_topic(name, 0, 0, now=0.0)
        broker.publish(name, Record(1, name, "k", 0), now=0.0)
    broker.add_group("g", now=0.0)
    for name in SILENT:
        broker.subscribe(broker.register("g", name, now=0.0), TOPICS)
    broker.subscribe(broker.register("g", "keeper", now=0.0), TOPICS)
    broker.consumer("keeper", now=LATE - 5)
    return broker


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the topics that are reassigned from now on."""
    rebalance, found = Group.rebalance, []

    def count(self: Group, topic: str, now: float) -> None:
        found.append(topic)
        rebalance(self, topic, now)

    monkeypatch.setattr(Group, "rebalance", count)
    return found


def finish(broker: QueueBroker) -> float:
    """Tick as the timer does until nothing is left; returns the time."""
    now = LATE
    while broker.next_deadline() < LATE + 5:
        now = max(now, broker.next_deadline())
        broker.tick(now)
    return now


def owners(broker: QueueBroker) -> set[str | None]:
    return {cursor.owner and cursor.owner.name for cursor in broker.groups["g"].all_cursors()}


def test_each_topic_once_and_few_at_a_time(broker: QueueBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many members are evicted, each topic is reassigned once, and a tick does a bounded part of that."""
    done = counted(monkeypatch)
    now, most, before = LATE, 0, 0
    broker.tick(now)
    assert set(broker.consumers) == {"keeper"}
    while broker.groups["g"].leaving:
        most, before = max(most, len(done) - before), len(done)
        now += 0.001
        broker.tick(now)
    assert sorted(done) == sorted(TOPICS)
    assert most <= group_module._PIECE // len(SILENT) + 1
    assert owners(broker) == {"keeper"}


def test_the_evicted_are_gone_at_once(broker: QueueBroker) -> None:
    """Each evicted member is refused from the first piece on, and its name is free (LIVE-GONE-1)."""
    for name in SILENT:
        with pytest.raises(Refusal, match="no consumer"):
            broker.consumer(name, now=LATE)
    again = broker.register("g", SILENT[0], now=LATE)
    assert not again.topics
    finish(broker)
    assert owners(broker) == {"keeper"}
    assert not again.assigned


@pytest.mark.parametrize("holds", [False, True])
def test_every_record_is_delivered(broker: QueueBroker, holds: bool) -> None:
    """Polls between the pieces get each record once, also those that evicted members held (DELIVER-2, ORDER-2)."""
    if holds:
        for name in SILENT:
            member = broker.consumers[name]
            while broker.poll(member) is not None:
                pass
    got: list[str] = []
    now = LATE
    while broker.groups["g"].leaving or now == LATE or broker.consumers["keeper"].next_cursor():
        keeper = broker.consumer("keeper", now=now)
        while (delivery := broker.poll(keeper)) is not None:
            got.append(delivery.record.message)
            broker.settle(keeper, delivery.message_id, commit=True)
        now += 0.002
    assert sorted(got) == sorted(TOPICS)


def joins(broker: QueueBroker) -> None:
    member = broker.register("g", "new", now=LATE)
    broker.subscribe(member, TOPICS[:100])
    broker.unsubscribe(member, TOPICS[50:100])


def leaves(broker: QueueBroker) -> None:
    broker.unregister(broker.consumer("keeper", now=LATE))


def looks(broker: QueueBroker) -> None:
    document: Any = describe(broker, "/consumer-groups/g")
    names = {row["consumer_name"] for row in document["members"]}
    assert {row["consumer_name"] for row in document["assignment"]} <= names | {None}


def removes(broker: QueueBroker) -> None:
    broker.remove_group("g", now=LATE)


@pytest.mark.parametrize("act", [joins, leaves, looks, removes])
def test_operations_between_the_pieces(broker: QueueBroker, act: Any) -> None:
    """Members join, leave and are looked at, and the group is removed, while members are being evicted."""
    broker.tick(LATE)
    act(broker)
    finish(broker)
    group = broker.groups.get("g")
    if act is removes:
        assert group is None
        return
    assert group is not None
    for topic, cursors in group.cursors.items():
        subscribed = {member for member in group.members.values() if topic in member.topics}
        held = {cursor.owner for cursor in cursors}
        assert held == (subscribed or {None})
    for member in group.members.values():
        assert all(cursor.owner is member for cursor in member.assigned)
    assert not group.leaving


def test_a_clock_that_stands_still(broker: QueueBroker) -> None:
    """An advance of one group's time ends with everything done (CLOCK-3)."""
    broker.advance_group("g", 100.0, now=LATE - 5)
    assert owners(broker) == {None}
    assert not broker.consumers
