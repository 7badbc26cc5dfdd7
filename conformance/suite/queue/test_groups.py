"""Consumer groups: GROUP-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import ADD_GROUP, REGISTER, REMOVE_GROUP, QueueFixture
from conformance.suite.queue.freed_records import keep_everything
from conformance.suite.queue.timeouts import eviction_seconds, timed, wait_past_eviction

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


def _remove(queue: QueueFixture, group: str) -> None:
    reply = queue.call(REMOVE_GROUP, {"consumer_group_name": group})
    expect_status(queue.bench, reply, 202, "GROUP-REMOVE-1", "the group exists")


def _add_again(queue: QueueFixture, group: str) -> None:
    reply = queue.call(ADD_GROUP, {"consumer_group_name": group})
    expect_status(queue.bench, reply, 200, "GROUP-ADD-2", "adding a group that exists succeeds")


@clauses("GROUP-ADD-1")
def test_consumers_can_register_in_a_new_group(bench: Bench) -> None:
    """Add a group; expect 200, and that a consumer can register in it and read."""
    queue = QueueFixture(bench)
    topic, group = queue.new_topic(), queue.new_group()
    consumer = queue.new_consumer(group, topic)
    queue.publish(topic, "m")
    queue.poll_until_record(consumer, "GROUP-ADD-1")


@clauses("GROUP-ADD-2")
def test_adding_a_group_again_changes_nothing(bench: Bench) -> None:
    """Add a group that exists; expect 200, and members, subscriptions, the record in flight and committed offsets as
    before.
    """
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    for number in range(3):
        queue.publish(topic, f"m{number}")
    queue.read_and_acknowledge(consumer, 1)
    held = queue.poll_until_record(consumer)
    _add_again(queue, group)
    queue.expect_no_record(consumer, "GROUP-ADD-2", "no record: m1 is in flight as before")
    queue.acknowledge(consumer, held.message_id)
    following = queue.poll_record(consumer, "GROUP-ADD-2")
    bench.judge(
        "GROUP-ADD-2",
        (held.message, following.message) == ("m1", "m2"),
        expected="m1, then m2",
        observed=[held.message, following.message],
    )


@clauses("GROUP-ADD-2")
def test_adding_a_group_again_brings_no_acknowledged_record_back(bench: Bench) -> None:
    """Add a group that exists while no member is subscribed; expect the next subscriber to continue at the committed
    offset.
    """
    queue = QueueFixture(bench)
    topic, group, consumer = _half_read(queue)
    queue.unsubscribe(consumer, topic)
    _expect_the_rest(queue, topic, group)


@clauses("GROUP-ADD-2")
@waits(eviction_seconds)
def test_adding_a_group_again_that_has_lost_its_members_keeps_its_offsets(bench: Bench) -> None:
    """Add a group that has no members any more; expect the next subscriber to continue at the committed offset."""
    queue = QueueFixture(bench)
    topic, group, consumer = _half_read(queue)
    sign = timed(queue, group, lambda: queue.heartbeat(consumer))
    wait_past_eviction(queue, group, sign, consumer)
    _expect_the_rest(queue, topic, group)


def _half_read(queue: QueueFixture) -> tuple[str, str, str]:
    """Topic with two records, a group that has acknowledged the first, and its consumer."""
    topic, group, (consumer,) = queue.topic_with_consumers()
    for number in range(2):
        queue.publish(topic, f"m{number}")
    queue.read_and_acknowledge(consumer, 1)
    return topic, group, consumer


def _expect_the_rest(queue: QueueFixture, topic: str, group: str) -> None:
    _add_again(queue, group)
    record = queue.poll_until_record(queue.new_consumer(group, topic), "GROUP-ADD-2")
    queue.bench.judge("GROUP-ADD-2", record.message == "m1", expected="m1", observed=record.whole)


@clauses("GROUP-REMOVE-1", "GROUP-REMOVE-2")
def test_the_members_of_a_removed_group_are_registered_no_more(bench: Bench) -> None:
    """Remove a group with members; expect 202, refusals (4xx) for its members, and their names free for others."""
    queue = QueueFixture(bench)
    topic, group, consumers = queue.topic_with_consumers(2)
    idle = queue.new_consumer(group)
    queue.publish(topic, "m")
    _remove(queue, group)
    for consumer in (*consumers, idle):
        beat, poll = queue.heartbeat(consumer), queue.poll(consumer)
        expect_refusal(bench, beat, "GROUP-REMOVE-2", "the group of the consumer was removed")
        expect_refusal(bench, poll, "GROUP-REMOVE-2", "the group of the consumer was removed")
    other = queue.new_group()
    reply = queue.call(REGISTER, {"consumer_group_name": other, "consumer_name": idle})
    expect_status(bench, reply, 200, "GROUP-REMOVE-2", "the name is free")
    # A name that is registered again has nothing of what it had: no subscription, no record.
    for name in (group, other):
        expect_status(
            bench, queue.call(ADD_GROUP, {"consumer_group_name": name}), 200, "GROUP-ADD-1", "a name"
        )
    for consumer, name in zip(consumers, (group, other), strict=True):
        again = queue.call(REGISTER, {"consumer_group_name": name, "consumer_name": consumer})
        expect_status(bench, again, 200, "GROUP-REMOVE-2", "the name is free")
        queue.expect_no_record(consumer, "GROUP-REMOVE-2", "no record: it has not subscribed again")


@clauses("GROUP-REMOVE-1", "GROUP-REMOVE-4")
def test_a_removed_group_takes_no_members(bench: Bench) -> None:
    """Register in a removed group and remove it again; expect refusals (4xx), until the group is added once more."""
    queue = QueueFixture(bench)
    group = queue.new_group()
    _remove(queue, group)
    name = bench.fresh("consumer")
    reply = queue.call(REGISTER, {"consumer_group_name": group, "consumer_name": name})
    expect_refusal(bench, reply, "GROUP-REMOVE-1", "the group was removed")
    again = queue.call(REMOVE_GROUP, {"consumer_group_name": group})
    expect_refusal(bench, again, "GROUP-REMOVE-4", "the group was removed")
    back = queue.call(ADD_GROUP, {"consumer_group_name": group})
    expect_status(bench, back, 200, "GROUP-REMOVE-1", "the name is free")


@clauses("GROUP-REMOVE-3")
def test_a_group_that_is_added_after_its_removal_starts_at_the_oldest_record(bench: Bench) -> None:
    """Remove a group and add it again; expect its consumer to get every record from the oldest on. The offsets and the
    record in flight went with the group.
    """
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    keep_everything(queue, topic)
    texts = [f"m{number}" for number in range(3)]
    for text in texts:
        queue.publish(topic, text)
    queue.read_and_acknowledge(consumer, 1)
    queue.poll_until_record(consumer)
    _remove(queue, group)
    back = queue.call(ADD_GROUP, {"consumer_group_name": group})
    expect_status(bench, back, 200, "GROUP-ADD-1", "the name is free")
    reader = queue.new_consumer(group, topic)
    observed = [record.message for record in queue.read_and_acknowledge(reader, 3, "GROUP-REMOVE-3")]
    bench.judge("GROUP-REMOVE-3", observed == texts, expected="m0 to m2", observed=observed)


@clauses("GROUP-REMOVE-4", "GROUP-REMOVE-5")
def test_a_group_that_does_not_exist_cannot_be_removed(bench: Bench) -> None:
    """Remove a group that was never added; expect a refusal (4xx)."""
    queue = QueueFixture(bench)
    reply = queue.call(REMOVE_GROUP, {"consumer_group_name": bench.fresh("group")})
    expect_refusal(bench, reply, "GROUP-REMOVE-4", "no such group")
    expect_status(bench, reply, 404, "GROUP-REMOVE-5", "no such group")
