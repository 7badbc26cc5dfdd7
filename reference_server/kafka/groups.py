"""The operations of the queue on groups, consumers and their records: each is a command in the log of its group."""

from collections.abc import Callable
from typing import Any

from reference_server.kafka import commands as c
from reference_server.kafka.cluster import Cluster
from reference_server.kafka.directory import Held
from reference_server.kafka.replica import Replica
from reference_server.kafka.shard import Free, Given, Nothing, Shard, Stale
from reference_server.kafka.topics import TopicOperations
from reference_server.queue.broker import Delivery
from reference_server.queue.group import Consumer
from reference_server.queue.names import check_name
from reference_server.queue.outcomes import NOTHING, Outcome, batch, one_record
from reference_server.queue.refusal import Refusal
from reference_server.queue.topic import Partition

_TRIES = 10
"""Attempts of an operation whose node knew an old state: each comes after reading on."""


class GroupOperations:
    """Groups of a cluster. Methods raise Refusal, Unavailable and OutcomeUnknown."""

    def __init__(self, cluster: Cluster, topics: TopicOperations) -> None:
        self._cluster = cluster
        self._topics = topics

    def add(self, name: str) -> None:
        """Add a group (GROUP-ADD-1)."""
        check_name(name, "consumer_group_name", self._cluster.settings.name_length)
        self._cluster.shard(name).run(c.AddGroup(name))

    def remove(self, name: str) -> None:
        """Remove a group with its members and offsets (GROUP-REMOVE-1)."""
        self._cluster.shard(name).run(c.RemoveGroup(name))

    def register(self, group: str, name: str) -> None:
        """Register a consumer (MEMBER-REGISTER-1): claim its name on all nodes, then add it to its group.

        A claim that is in the way counts if its consumer is alive; if not, it is revoked where it would come alive.
        """
        check_name(name, "consumer_name", self._cluster.settings.name_length)
        instead = -1
        for _ in range(_TRIES):
            granted, held = self._cluster.claims_log.run(c.Claim(name, group, instead))
            if granted:
                try:
                    self._cluster.shard(group).run(c.Register(group, name, held.number, held.time))
                except Stale:
                    instead = -1
                    continue
                except Refusal:
                    self._cluster.release(name, held.number)
                    raise
                return
            if self._cluster.shard(held.group).run(c.Revoke(name, held.number)):
                break
            instead = held.number
        raise Refusal("consumer-exists", f"a consumer {name!r} is registered already", "consumer_name")

    def unregister(self, name: str) -> None:
        """Remove a consumer from its group (MEMBER-UNREGISTER-1)."""
        self._of_member(name, c.Unregister(name))

    def touch(self, name: str) -> None:
        """Note a sign of life (LIVE-BEAT-1)."""
        self._of_member(name, c.Touch(name))

    def subscribe(self, name: str, names: Callable[[], list[str]]) -> list[str]:
        """Subscribe to the topics of `names`, all or none (MEMBER-SUBSCRIBE-1)."""
        return self._with_topics(name, names, lambda refs: c.Subscribe(name, refs))

    def unsubscribe(self, name: str, names: Callable[[], list[str]]) -> None:
        """Unsubscribe from topics (MEMBER-UNSUBSCRIBE-1)."""
        self._with_topics(name, names, lambda refs: c.Unsubscribe(name, [ref.serial for ref in refs]))

    def _with_topics(
        self, name: str, names: Callable[[], list[str]], command: Callable[[list[c.TopicRef]], c.Command]
    ) -> list[str]:
        for _ in range(_TRIES):
            try:
                found = names()
                refs = [self._topics.find(each, "topic_list") for each in found]
            except Refusal:
                self.touch(name)
                raise
            try:
                self._of_member(name, command(refs))
            except Stale:
                self._cluster.topics_log.catch_up()
                continue
            return found
        raise Refusal("topic-unknown", "the topics come and go", "topic_list")

    def settle(self, name: str, number: Callable[[], int], *, commit: bool) -> None:
        """Acknowledge a record, or give it back (ACK-OK-1, NACK-OK-1)."""
        try:
            message_id = number()
        except Refusal:
            self.touch(name)
            raise
        self._of_member(name, c.Settle(name, message_id, commit))

    # Polling

    def poll(self, name: str, limit: int) -> Outcome:
        """Hand out records (POLL-OK-1, POLL-BATCH-1)."""
        given = self._poll(name, limit)
        if not given:
            return NOTHING
        deliveries = [self._delivery(each) for each in given]
        return batch(deliveries) if limit else one_record(deliveries[0])

    def _poll(self, name: str, limit: int) -> list[Given]:
        """Poll until records come, or until the ends that Kafka told since the beginning show that there are none."""
        cluster = self._cluster
        asked: set[tuple[int, int]] = set()
        for _ in range(_TRIES):
            free = self.free_of(cluster.shard(self.group_of(name)), name)
            if not any(each.committed < max(each.end, self._known(each)) for each in free):
                asked |= self._ask(free)
            news = [
                (each.topic.serial, each.partition, known)
                for each in free
                if (known := self._known(each)) > each.end
            ]
            found: list[Given] | Nothing = self._of_member(name, c.Poll(name, limit, news))
            if not isinstance(found, Nothing):
                return found
            asked |= self._ask(
                [each for each in found.looked_at if (each.topic.serial, each.partition) not in asked]
            )
            if not any(self._known(each) > each.end for each in found.looked_at):
                break
        return []

    def _known(self, free: Free) -> int:
        return self._cluster.ends.get((free.topic.serial, free.partition), 0)

    def _ask(self, partitions: list[Free]) -> set[tuple[int, int]]:
        self._cluster.ask_ends((each.topic, each.partition) for each in partitions)
        return {(each.topic.serial, each.partition) for each in partitions}

    def free_of(self, shard: Replica[Shard], name: str) -> list[Free]:
        """Partitions of which a consumer would get a record, in this node's copy."""
        with shard.lock:
            consumer = shard.machine.broker.consumers.get(name)
            return [] if consumer is None else shard.machine.free_partitions(consumer)

    def is_ready(self, consumer: Consumer, machine: Shard) -> bool:
        """Return whether a poll of the consumer would get a record, by the ends that this node knows."""
        ends = self._cluster.ends
        for cursor in consumer.assigned:
            if cursor.in_flight is None:
                topic = machine.broker.topics[cursor.partition.topic]
                serial = topic.ref.serial  # type: ignore[attr-defined]
                known = ends.get((serial, cursor.partition.index), 0)
                if cursor.committed < max(known, cursor.partition.end):
                    return True
        return False

    def _delivery(self, given: Given) -> Delivery:
        record = self._cluster.reader.read((given.topic.store, given.partition), given.offset)
        partition = Partition(given.topic.name, given.partition, 0)
        return Delivery(given.message_id, partition, given.offset, record, given.redelivered)

    # Introspection

    def describe(self, name: str) -> bytes:
        """Introspection of a group (INTRO-GROUP-1)."""
        shard = self._cluster.shard(name)
        shard.run(c.Tick())
        with shard.lock:
            partitions = shard.machine.partitions_of(name)
        self._cluster.ask_ends(partitions)
        ends = [(ref.serial, i, self._cluster.ends.get((ref.serial, i), 0)) for ref, i in partitions]
        with shard.lock:
            return shard.machine.describe(name, ends)

    # Members

    def group_of(self, name: str) -> str:
        """The group of a consumer. Raises Refusal (consumer-unknown), Unavailable."""
        return self._held(name).group

    def _held(self, name: str) -> Held:
        """The claim of a name. Raises Refusal (consumer-unknown)."""
        held = self._cluster.claims.by_name.get(name)
        if held is None:
            self._cluster.claims_log.catch_up()
            held = self._cluster.claims.by_name.get(name)
        if held is None:
            timeout = self._cluster.settings.heartbeat_timeout
            detail = (
                f"no consumer {name!r} is registered; it may have been evicted after {timeout:g} s of silence"
            )
            raise Refusal("consumer-unknown", detail, "consumer_name")
        return held

    def _of_member(self, name: str, command: c.Command) -> Any:
        """Run a command in the shard of a consumer; another one if the name moved meanwhile."""
        for _ in range(_TRIES):
            held = self._held(name)
            try:
                return self._cluster.shard(held.group).run(command)
            except Refusal as refusal:
                if refusal.cause != "consumer-unknown":
                    raise
                self._cluster.claims_log.catch_up()
                now = self._cluster.claims.by_name.get(name)
                if now is None or now.number == held.number:
                    raise
        raise Refusal("consumer-unknown", f"the consumer {name!r} comes and goes", "consumer_name")
