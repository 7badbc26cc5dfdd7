"""A rebalance under way: one consumer owns and holds everything when another one joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import ADD_GROUP, SUBSCRIBE, QueueFixture
from conformance.suite.queue.onlookers import look_around
from conformance.suite.queue.ownership_probe import OwnershipProbe, partition_count

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.queue.fixture import DeliveredRecord

#: Shortest rebalance timeout, in seconds of real time, within which the state of a rebalance can be observed.
SHORTEST_REBALANCE = 2.0
#: Partitions of the topic, where the server lets clients choose.
PARTITIONS = 4


class RebalanceInProgress:
    """A topic of which `owner` holds a record in each partition, at the moment when `newcomer` subscribes.

    At least half of the partitions, rounded down, must move, and at least as many must stay. `held` has the records by
    partition; `started` is the group's time, in seconds, before and after the subscription.
    """

    def __init__(self, bench: Bench, *, subscribe: bool = True) -> None:
        """Without `subscribe` the newcomer is registered only, and the test subscribes it."""
        self.queue = QueueFixture(bench)
        self.probe = OwnershipProbe(self.queue, few_partitions(bench))
        self.group = self.queue.new_group()
        self.owner = self.queue.new_consumer(self.group, self.probe.topic)
        self.probe.settled_owners([self.owner])
        for _ in range(3):
            self.probe.publish_round()
        self.held: dict[int, DeliveredRecord] = {
            self.probe.partition_of(record): record for _, record in self.queue.poll_all(self.owner)
        }
        bench.judge(
            "POLL-FAIR-1",
            len(self.held) == self.probe.partitions,
            expected="one record of each partition",
            observed=sorted(self.held),
        )
        before = self.queue.now(self.group)
        self.newcomer = self.queue.new_consumer(self.group)
        self.started = before, self.queue.now(self.group)
        if subscribe:
            self.begin()

    def begin(self) -> None:
        """Subscribe the newcomer."""
        before = self.queue.now(self.group)
        self.queue.subscribe(self.newcomer, self.probe.topic)
        self.started = before, self.queue.now(self.group)

    def change_nothing(self) -> None:
        """Look at the topic and the group, add the group again, subscribe both members again and send their heartbeats:
        none of this starts a rebalance or ends one.
        """
        queue = self.queue
        if queue.bench.declares("introspection"):
            look_around(queue, self.probe.topic, self.group, self.owner, self.newcomer)
        reply = queue.call(ADD_GROUP, {"consumer_group_name": self.group})
        expect_status(queue.bench, reply, 200, "GROUP-ADD-2", "the group exists")
        for member in (self.owner, self.newcomer):
            body = {"consumer_name": member, "topic_list": self.probe.topic}
            again = queue.call(SUBSCRIBE, body)
            expect_status(queue.bench, again, 200, "MEMBER-SUBSCRIBE-4", "the consumer is subscribed already")
            beat = queue.heartbeat(member)
            why = "the consumer is a member, also while partitions move"
            expect_status(queue.bench, beat, 202, "LIVE-BEAT-1", why)

    @property
    def half(self) -> int:
        """Smallest number of partitions that move, and of those that stay."""
        return self.probe.partitions // 2

    def is_over(self) -> bool:
        """True if the rebalance may have reached its timeout by now."""
        return self.queue.now(self.group) - self.started[0] >= self.queue.timings.rebalance_timeout

    def release(self) -> None:
        """Let the owner acknowledge the records that it holds; replies don't matter."""
        for record in self.held.values():
            self.queue.client.acknowledge(self.owner, record.message_id)

    def acknowledge_all(self) -> dict[int, DeliveredRecord | None]:
        """Let the owner acknowledge each record and poll after each.

        Returns the record of each poll by the partition that was acknowledged before it; None for an empty poll.
        """
        came: dict[int, DeliveredRecord | None] = {}
        for partition, record in self.held.items():
            self.queue.acknowledge(self.owner, record.message_id)
            reply = self.queue.poll(self.owner)
            came[partition] = self.queue.record_of(reply) if reply.status == 200 else None
        return came

    def expect_all(self, consumer: str) -> None:
        """Judge REBALANCE-1 by a record of every partition for the only consumer that is left."""
        found: set[int] = set()
        for _ in self.queue.retry_until_rebalanced():
            for name, record in self.queue.poll_all(consumer):
                found.add(self.probe.partition_of(record))
                self.queue.acknowledge(name, record.message_id)
            if len(found) == self.probe.partitions:
                break
        self.queue.bench.judge(
            "REBALANCE-1",
            len(found) == self.probe.partitions,
            expected=f"records of all {self.probe.partitions} partitions for the only member that is left",
            observed=f"records of {sorted(found)}",
        )


def few_partitions(bench: Bench) -> int | None:
    """Partitions of the topic: enough for two to stay, of which one is acknowledged before the last that moves."""
    if not bench.declares("topic-partitions"):
        return None
    return min(PARTITIONS, int(bench.limit("partitions") or PARTITIONS))


def begin_rebalance(bench: Bench, *ids: str, subscribe: bool = True) -> RebalanceInProgress | None:
    """Begin a rebalance; None if it cannot be observed on this server, and the clauses are skipped then.

    Without `subscribe` all is prepared, and the subscription of the newcomer is left to the test.
    """
    timeout = bench.target.timings.rebalance_timeout
    why = ""
    if not bench.clock.is_virtual and timeout < SHORTEST_REBALANCE:
        why = f"a rebalance may be over after {timeout:g} s: too short to observe it"
    elif (
        not bench.declares("topic-partitions")
        and partition_count(queue := QueueFixture(bench), queue.new_topic()) < 2
    ):
        why = "a topic has one partition here, so none has to move"
    for clause in ids if why else ():
        bench.skip(clause, why)
    return None if why else RebalanceInProgress(bench, subscribe=subscribe)
