"""Faults in registrations and in the assignment of partitions."""

from typing import Any

from tests.models.toy_queue import Choices, Consumer, Group, ToyQueue, ToyReply


class ForgetsWhoWasEvicted(ToyQueue):
    """An evicted consumer is refused once, and then served as before."""

    def __init__(self, choices: Choices) -> None:
        super().__init__(choices)
        self.evicted: dict[str, tuple[Group, Consumer]] = {}
        self.told: set[str] = set()

    def leave(self, group: Group, consumer: Consumer) -> None:
        if group.now >= self.due(consumer):
            self.evicted[consumer.name] = (group, consumer)
        super().leave(group, consumer)

    def named(self, body: dict[str, Any]) -> tuple[Group, Consumer]:
        name = body["consumer_name"]
        if self.find(name) is None and name in self.evicted:
            if name in self.told:
                group, consumer = self.evicted.pop(name)
                consumer.seen = group.now
                group.members[name] = consumer
                for topic in consumer.topics:
                    self.deal(group, topic)
            self.told.add(name)
        return super().named(body)


class ServesWhoHasLeft(ToyQueue):
    """Heartbeats of unregistered consumers are accepted."""

    def __init__(self, choices: Choices) -> None:
        super().__init__(choices)
        self.left: set[str] = set()

    def unregister(self, body: dict[str, Any]) -> ToyReply:
        reply = super().unregister(body)
        self.left.add(body["consumer_name"])
        return reply

    def heartbeat(self, body: dict[str, Any]) -> ToyReply:
        return ToyReply(202) if body["consumer_name"] in self.left else super().heartbeat(body)


class ServesStrangers(ToyQueue):
    """Heartbeats of consumers that were never registered are accepted."""

    def heartbeat(self, body: dict[str, Any]) -> ToyReply:
        if body["consumer_name"].startswith("stranger"):
            return ToyReply(202)
        return super().heartbeat(body)


class LetsTwoOwn(ToyQueue):
    """A poll that would be empty returns a free record of another member's partition."""

    def poll(self, body: dict[str, Any]) -> ToyReply:
        reply = super().poll(body)
        group, consumer = self.named(body)
        if reply.status != 200 and "max_messages" not in body:
            for topic in consumer.topics:
                for shard in group.shards[topic]:
                    if shard.owner and shard.held is None and shard.committed < len(shard.log):
                        return ToyReply(200, self.hand_out(shard, consumer))
        return reply


class LeavesAPartitionAlone(ToyQueue):
    """The last partition of a topic has no owner once two members are subscribed."""

    def poll(self, body: dict[str, Any]) -> ToyReply:
        group, consumer = self.named(body)
        for topic in consumer.topics:
            last = group.shards[topic][-1]
            if last.owner is not None and sum(topic in m.topics for m in group.members.values()) > 1:
                last.owner = last.target = None
        return super().poll(body)


class GivesAllToOne(ToyQueue):
    """The first subscriber owns all partitions."""

    def deal(self, group: Group, topic: str) -> None:
        super().deal(group, topic)
        subscribers = sorted(name for name, member in group.members.items() if topic in member.topics)
        for shard in group.shards[topic] if subscribers else []:
            shard.target = subscribers[0]
        self.move(group)


class MovesUnderTheHolder(ToyQueue):
    """The next record of a partition that is to move goes to its next owner while the old one holds one."""

    def poll(self, body: dict[str, Any]) -> ToyReply:
        reply = super().poll(body)
        group, consumer = self.named(body)
        if reply.status != 200 and "max_messages" not in body:
            for topic in consumer.topics:
                for shard in group.shards[topic]:
                    moving = shard.held and shard.target == consumer.name != shard.owner
                    if moving and shard.committed + 1 < len(shard.log):
                        record = shard.log[shard.committed + 1]
                        return ToyReply(200, {"messageId": record["id"], "message": record["message"]})
        return reply
