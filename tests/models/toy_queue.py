"""A small conforming queue in memory, in which every freedom of the text is a choice.

The models must accept every combination of choices. The queue shares no code with the reference server, so that the
models are not fitted to that server.
"""

import math
import random
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class ToyReply(NamedTuple):
    status: int
    body: Any = None


@dataclass(frozen=True)
class Choices:
    """Choices open to a conforming queue. Times are fractions of the declared grace or timeout.

    `evict`: "late" by `evict_after` of the grace, "anywhere" in it, or at a "sweep" once in every grace.
    `settle_after`: the part of rebalance_timeout for which a moving partition rests; None for a random part each
    time. `lazy`: True if partitions move only when a member of the group polls.
    """

    seed: int = 0
    partitions: int = 3
    evict: str = "late"
    evict_after: float = 0.0
    settle_after: float | None = 0.0
    lazy: bool = False
    empty_status: int = 204
    refused_status: int = 0  # in place of 404 and 409
    deal: str = "in order"  # "in order", "reversed", "sticky", "shuffled"
    poll_from: str = "first"  # "first", "last", "random"
    ids: str = "counter"  # "counter", "large", "per delivery"
    tells_positions: bool = True
    refused_counts_as_sign: bool = False
    not_subscribed_is_refused: bool = False
    frees: bool = False  # records that all groups have committed, at once
    heartbeat_timeout: float = 30.0
    eviction_grace: float = 1.0
    rebalance_timeout: float = 30.0


class Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(eq=False)
class Held:
    consumer: str
    message_id: int


@dataclass(eq=False)
class Shard:
    """One partition in one group."""

    log: list[dict[str, Any]]
    committed: int = 0
    held: Held | None = None
    handed: int = 0
    owner: str | None = None
    target: str | None = None
    moves_at: float = 0.0
    taken_back_at: float = 0.0


@dataclass(eq=False)
class Consumer:
    name: str
    seen: float
    topics: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Group:
    now: float = 0.0
    members: dict[str, Consumer] = field(default_factory=dict)
    shards: dict[str, list[Shard]] = field(default_factory=dict)


class ToyQueue:
    """Performs operations; `advance` moves the clock of one group."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.random = random.Random(choices.seed)
        self.topics: dict[str, list[list[dict[str, Any]]]] = {}
        self.keyless: dict[str, int] = {}
        self.oldest: dict[str, list[int]] = {}
        self.groups: dict[str, Group] = {}
        self.count = 0
        self.paths: dict[str, Callable[[dict[str, Any]], ToyReply]] = {
            "/topic/add-topic": self.add_topic,
            "/addTopic": self.add_topic,
            "/topic/remove-topic": self.remove_topic,
            "/consumer-group/add": self.add_group,
            "/consumer-group/remove": self.remove_group,
            "/consumer/register-consumer": self.register,
            "/consumer/unregister-consumer": self.unregister,
            "/consumer/subscribe-topic": self.subscribe,
            "/consumer/unsubscribe-topic": self.unsubscribe,
            "/consumer/heartbeat": self.heartbeat,
            "/consumer/poll": self.poll,
            "/consumer/acknowledgement": self.acknowledge,
            "/consumer/negative-acknowledgement": self.give_back,
        }

    def perform(self, path: str, body: dict[str, Any]) -> ToyReply:
        for group in self.groups.values():
            self.tick(group)
        try:
            if path.startswith("/producer/publish/"):
                return self.publish(path.removeprefix("/producer/publish/"), body)
            return self.paths[path](body)
        except Refused as refusal:
            return ToyReply(self.choices.refused_status or refusal.status, {"type": "about:blank"})

    def advance(self, group: str, seconds: float) -> None:
        self.groups[group].now += seconds
        self.tick(self.groups[group])

    # Topics

    def add_topic(self, body: dict[str, Any]) -> ToyReply:
        name = body["topicName"]
        if name in self.topics:
            raise Refused(409)
        self.topics[name] = [[] for _ in range(body.get("partitions", self.choices.partitions))]
        self.keyless[name] = self.choices.seed
        self.oldest[name] = [0] * len(self.topics[name])
        return ToyReply(200, {"topicName": name})

    def remove_topic(self, body: dict[str, Any]) -> ToyReply:
        name = body["topicName"]
        if self.topics.pop(name, None) is None:
            raise Refused(404)
        del self.oldest[name]
        for group in self.groups.values():
            group.shards.pop(name, None)
            for member in group.members.values():
                if name in member.topics:
                    member.topics.remove(name)
        return ToyReply(202)

    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        logs = self.topics.get(topic)
        if logs is None:
            raise Refused(404)
        if not isinstance(body.get("message"), str) or not isinstance(body.get("messageID"), str | int):
            raise Refused(400)
        key = body.get("key")
        if not isinstance(key, str | None):
            raise Refused(400)
        if key:
            partition = zlib.crc32(f"{self.choices.seed}/{topic}/{key}".encode()) % len(logs)
        else:
            partition = self.keyless[topic] % len(logs)
            self.keyless[topic] += 1
        self.count += 1
        message = {"message": body["message"], "key": key, "topicName": topic, "timestamp": body["timestamp"]}
        record = {
            "id": self.count,
            "message": message,
            "partition": partition,
            "offset": len(logs[partition]),
        }
        logs[partition].append(record)
        return ToyReply(200, {"partition": partition, "offset": record["offset"]})

    # Groups and members

    def add_group(self, body: dict[str, Any]) -> ToyReply:
        self.groups.setdefault(body["consumer_group_name"], Group())
        return ToyReply(200)

    def remove_group(self, body: dict[str, Any]) -> ToyReply:
        if self.groups.pop(body["consumer_group_name"], None) is None:
            raise Refused(404)
        if self.choices.frees:
            self.free()
        return ToyReply(202)

    def find(self, name: str) -> tuple[Group, Consumer] | None:
        for group in self.groups.values():
            if name in group.members:
                return group, group.members[name]
        return None

    def named(self, body: dict[str, Any]) -> tuple[Group, Consumer]:
        found = self.find(body["consumer_name"])
        if found is None:
            raise Refused(404)
        group, consumer = found
        if self.choices.refused_counts_as_sign:
            consumer.seen = group.now
        return group, consumer

    def register(self, body: dict[str, Any]) -> ToyReply:
        group = self.groups.get(body["consumer_group_name"])
        if group is None:
            raise Refused(404)
        holder = self.find(body["consumer_name"])
        if holder is not None:
            if self.choices.refused_counts_as_sign:
                holder[1].seen = holder[0].now
            raise Refused(409)
        group.members[body["consumer_name"]] = Consumer(body["consumer_name"], group.now)
        return ToyReply(200)

    def unregister(self, body: dict[str, Any]) -> ToyReply:
        group, consumer = self.named(body)
        self.leave(group, consumer)
        return ToyReply(202)

    def subscribe(self, body: dict[str, Any]) -> ToyReply:
        group, consumer = self.named(body)
        topics = body["topic_list"].split(",")
        if any(topic not in self.topics for topic in topics):
            raise Refused(404)
        consumer.seen = group.now
        for topic in topics:
            if topic not in consumer.topics:
                consumer.topics.append(topic)
                self.deal(group, topic)
        return ToyReply(200)

    def unsubscribe(self, body: dict[str, Any]) -> ToyReply:
        group, consumer = self.named(body)
        topics = body["topic_list"].split(",")
        if any(topic not in self.topics for topic in topics):
            raise Refused(404)
        if self.choices.not_subscribed_is_refused and any(topic not in consumer.topics for topic in topics):
            raise Refused(409)
        consumer.seen = group.now
        for topic in topics:
            if topic in consumer.topics:
                consumer.topics.remove(topic)
                self.release(group, topic, consumer.name)
                self.deal(group, topic)
        return ToyReply(202)

    def leave(self, group: Group, consumer: Consumer) -> None:
        del group.members[consumer.name]
        for topic in consumer.topics:
            self.release(group, topic, consumer.name)
            self.deal(group, topic)

    def release(self, group: Group, topic: str, name: str) -> None:
        for shard in group.shards[topic]:
            if shard.held is not None and shard.held.consumer == name:
                shard.held = None
            if shard.owner == name:
                shard.owner = None

    def heartbeat(self, body: dict[str, Any]) -> ToyReply:
        group, consumer = self.named(body)
        consumer.seen = group.now
        return ToyReply(202)

    # Assignment

    def deal(self, group: Group, topic: str) -> None:
        """Choose new owners; a partition moves once it has no record in flight and its rest is over."""
        if topic not in group.shards:
            group.shards[topic] = [
                Shard(log, self.start(topic, place)) for place, log in enumerate(self.topics[topic])
            ]
        shards = group.shards[topic]
        subscribers = sorted(name for name, member in group.members.items() if topic in member.topics)
        order = list(range(len(shards)))
        if self.choices.deal == "reversed":
            subscribers.reverse()
        elif self.choices.deal == "shuffled":
            self.random.shuffle(subscribers)
            self.random.shuffle(order)
        targets = {p: subscribers[i % len(subscribers)] if subscribers else None for i, p in enumerate(order)}
        if self.choices.deal == "sticky" and subscribers:
            targets = self.deal_sticky(shards, subscribers)
        for partition, shard in enumerate(shards):
            shard.target = targets[partition]
            rest = self.random.random() if self.choices.settle_after is None else self.choices.settle_after
            shard.moves_at = group.now + rest * self.choices.rebalance_timeout
            shard.taken_back_at = group.now + self.choices.rebalance_timeout
        if not self.choices.lazy:
            self.move(group)

    def start(self, topic: str, partition: int) -> int:
        """Return the offset at which a group that is new in the topic starts."""
        return self.oldest[topic][partition]

    def deal_sticky(self, shards: list[Shard], subscribers: list[str]) -> dict[int, str | None]:
        share, extra = divmod(len(shards), len(subscribers))
        targets: dict[int, str | None] = {}
        counts = dict.fromkeys(subscribers, 0)
        for most in (share, share + 1):
            for partition, shard in enumerate(shards):
                owner = shard.owner
                if (
                    partition in targets
                    or owner not in counts
                    or counts[owner] >= most
                    or (most > share and not extra)
                ):
                    continue
                extra -= most > share
                targets[partition] = owner
                counts[owner] += 1
        for partition in range(len(shards)):
            if partition not in targets:
                name = min(subscribers, key=lambda n: counts[n])
                targets[partition] = name
                counts[name] += 1
        return targets

    def tick(self, group: Group) -> None:
        for consumer in list(group.members.values()):
            if self.is_due(consumer, group.now):
                self.leave(group, consumer)
        if not self.choices.lazy:
            self.move(group)

    def is_due(self, consumer: Consumer, now: float) -> bool:
        """True if the consumer must be evicted by now; the first comparison answers most calls."""
        return now >= consumer.seen + self.choices.heartbeat_timeout and now >= self.due(consumer)

    def due(self, consumer: Consumer) -> float:
        """Return the group's time at which the consumer is evicted, unless it gives another sign of life."""
        timeout, grace = self.choices.heartbeat_timeout, self.choices.eviction_grace
        if self.choices.evict == "sweep":
            return math.ceil((consumer.seen + timeout) / grace) * grace
        part = self.choices.evict_after
        if self.choices.evict == "anywhere":
            part = zlib.crc32(f"{consumer.name}{consumer.seen}".encode()) / 2**32
        return consumer.seen + timeout + part * grace

    def move(self, group: Group) -> None:
        for shards in group.shards.values():
            for shard in shards:
                if shard.owner == shard.target or group.now < shard.moves_at:
                    continue
                if shard.held is not None and group.now >= shard.taken_back_at:
                    shard.held = None
                if shard.held is None:
                    shard.owner = shard.target

    # Deliveries

    def poll(self, body: dict[str, Any]) -> ToyReply:
        group, consumer = self.named(body)
        consumer.seen = group.now
        self.move(group)
        free = [
            shard
            for topic in consumer.topics
            for shard in group.shards[topic]
            if shard.owner == shard.target == consumer.name
            and shard.held is None
            and shard.committed < len(shard.log)
        ]
        if not free:
            return ToyReply(self.choices.empty_status)
        if self.choices.poll_from == "last":
            free.reverse()
        elif self.choices.poll_from == "random":
            self.random.shuffle(free)
        if (most := body.get("max_messages")) is not None:
            return ToyReply(200, {"records": [self.hand_out(shard, consumer) for shard in free[:most]]})
        return ToyReply(200, self.hand_out(free[0], consumer))

    def hand_out(self, shard: Shard, consumer: Consumer) -> dict[str, Any]:
        record = shard.log[shard.committed]
        message_id = record["id"]
        if self.choices.ids == "large":
            message_id += 2**61
        elif self.choices.ids == "per delivery":
            self.count += 1
            message_id = self.count * 1000
        shard.held = Held(consumer.name, message_id)
        body = {"messageId": message_id, "message": record["message"]}
        if self.choices.tells_positions:
            body |= {"partition": record["partition"], "offset": record["offset"]}
            body["redelivered"] = shard.committed < shard.handed
        shard.handed = max(shard.handed, shard.committed + 1)
        return body

    def settle(self, body: dict[str, Any]) -> Shard:
        group, consumer = self.named(body)
        for topic in consumer.topics:
            for shard in group.shards[topic]:
                held = shard.held
                if (
                    held
                    and held.consumer == consumer.name
                    and str(held.message_id) == str(body["message_id"])
                ):
                    consumer.seen = group.now
                    shard.held = None
                    return shard
        raise Refused(409)

    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        shard = self.settle(body)
        shard.committed += 1
        if self.choices.frees:
            self.free()
        return ToyReply(202)

    def free(self) -> None:
        """Note what every group that reads a topic has committed: none of them gets it, and no group to come."""
        for topic, oldest in self.oldest.items():
            reading = [group.shards[topic] for group in self.groups.values() if topic in group.shards]
            for partition in range(len(oldest)) if reading else ():
                committed = min(shards[partition].committed for shards in reading)
                oldest[partition] = max(oldest[partition], committed)

    def give_back(self, body: dict[str, Any]) -> ToyReply:
        self.settle(body)
        return ToyReply(202)
