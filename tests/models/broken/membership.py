"""Faults in membership, assignment and liveness."""

from typing import Any

from tests.models.broken.registry import UNDELIVERED, breaks
from tests.models.toy_queue import Choices, Consumer, Group, Refused, Shard, ToyQueue, ToyReply


@breaks("membership", "DELIVER-2", "ORDER-1", "LIVE-GONE-3", "ACK-UNKNOWN-1")
class LosesWhatTheEvictedHeld(ToyQueue):
    def leave(self, group: Group, consumer: Consumer) -> None:
        for topic in consumer.topics:
            for shard in group.shards[topic]:
                if shard.held is not None and shard.held.consumer == consumer.name:
                    shard.committed += 1
        super().leave(group, consumer)


@breaks("membership", "LIVE-GONE-3", "DELIVER-2", "ORDER-1", "ACK-UNKNOWN-1")
class CommitsLateAcknowledgements(ToyQueue):
    def __init__(self, choices: Choices) -> None:
        super().__init__(choices)
        self.late: dict[tuple[str, str], Shard] = {}

    def release(self, group: Group, topic: str, name: str) -> None:
        for shard in group.shards[topic]:
            if shard.held is not None and shard.held.consumer == name:
                self.late[name, str(shard.held.message_id)] = shard
        super().release(group, topic, name)

    def settle(self, body: dict[str, Any]) -> Shard:
        try:
            return super().settle(body)
        except Refused as refusal:
            shard = self.late.pop((body["consumer_name"], str(body["message_id"])), None)
            if refusal.status == 404 and shard is not None and shard.held is None:
                shard.committed += 1
            raise


@breaks("membership", "LIVE-KEEP-1", "LIVE-SIGN-1", "LIVE-BEAT-1", "ASSIGN-1", "DELIVER-3", "REBALANCE-2")
class EvictsALittleEarly(ToyQueue):
    def tick(self, group: Group) -> None:
        for consumer in list(group.members.values()):
            if group.now - consumer.seen >= 0.99 * self.choices.heartbeat_timeout:
                self.leave(group, consumer)
        super().tick(group)


@breaks(
    "membership",
    "LIVE-EVICT-1",
    "LIVE-GONE-1",
    "LIVE-GONE-3",
    "LIVE-GONE-4",
    "DELIVER-2",
    "ASSIGN-1",
    "REBALANCE-1",
    "ASSIGN-2",
)
class EvictsNobody(ToyQueue):
    def tick(self, group: Group) -> None:
        self.move(group)


@breaks("membership", "LIVE-SIGN-1")
class TakesOnlyHeartbeatsForLife(ToyQueue):
    def perform(self, path: str, body: dict[str, Any]) -> ToyReply:
        found = self.find(body.get("consumer_name", ""))
        seen = found[1].seen if found else 0.0
        reply = super().perform(path, body)
        if found and path not in ("/consumer/heartbeat", "/consumer/register-consumer"):
            found[1].seen = seen
        return reply


@breaks("membership", "ASSIGN-1", "LIVE-GONE-3", "REBALANCE-5", "ORDER-1", *UNDELIVERED)
class ForgetsAPartitionWhenOneLeaves(ToyQueue):
    def leave(self, group: Group, consumer: Consumer) -> None:
        super().leave(group, consumer)
        if len(group.members) >= 1:
            for topic in consumer.topics:
                group.shards[topic][-1].owner = group.shards[topic][-1].target = None


@breaks("membership", "ASSIGN-2", "REBALANCE-5")
class DealsUnevenly(ToyQueue):
    def deal(self, group: Group, topic: str) -> None:
        super().deal(group, topic)
        for shard in group.shards[topic]:
            targets = [s.target for s in group.shards[topic] if s.target]
            if len(targets) > 2:
                shard.target = targets[0]
        self.move(group)


@breaks("membership", "REBALANCE-2", "DELIVER-3", "ORDER-2")
class MovesPartitionsWithRecordsInFlight(ToyQueue):
    def move(self, group: Group) -> None:
        for shards in group.shards.values():
            for shard in shards:
                if shard.owner != shard.target:
                    shard.held = None
        super().move(group)


@breaks("membership", "REBALANCE-5", "REBALANCE-1", "ASSIGN-1", "ASSIGN-2")
class NeverTakesRecordsBack(ToyQueue):
    def move(self, group: Group) -> None:
        for shards in group.shards.values():
            for shard in shards:
                shard.taken_back_at = group.now + 1
        super().move(group)


@breaks("membership", "GROUP-REMOVE-3")
class KeepsOffsetsOfARemovedGroup(ToyQueue):
    def __init__(self, choices: Choices) -> None:
        super().__init__(choices)
        self.kept: dict[tuple[str, int], int] = {}

    def remove_group(self, body: dict[str, Any]) -> ToyReply:
        name = body["consumer_group_name"]
        for shards in self.groups[name].shards.values() if name in self.groups else []:
            for shard in shards:
                self.kept[name, id(shard.log)] = shard.committed
        return super().remove_group(body)

    def deal(self, group: Group, topic: str) -> None:
        fresh = topic not in group.shards
        super().deal(group, topic)
        name = next(name for name, known in self.groups.items() if known is group)
        for shard in group.shards[topic] if fresh else []:
            shard.committed = self.kept.get((name, id(shard.log)), 0)


@breaks("membership", "GROUP-REMOVE-2", "MEMBER-REGISTER-1", "POLL-REDELIVERED-1")
class KeepsMembersOfARemovedGroup(ToyQueue):
    def remove_group(self, body: dict[str, Any]) -> ToyReply:
        if body["consumer_group_name"] not in self.groups:
            raise Refused(404)
        return ToyReply(202)


@breaks("membership", "MEMBER-REGISTER-4")
class RegistersATakenName(ToyQueue):
    def register(self, body: dict[str, Any]) -> ToyReply:
        try:
            return super().register(body)
        except Refused as refusal:
            if refusal.status == 409:
                return ToyReply(200)
            raise


@breaks(
    "membership",
    "MEMBER-SUBSCRIBE-2",
    "POLL-NONE-1",
    "MEMBER-UNSUBSCRIBE-1",
    "DELIVER-3",
    "ASSIGN-1",
    "ASSIGN-2",
    "REBALANCE-1",
)
class SubscribesToTheKnownOfAList(ToyQueue):
    def subscribe(self, body: dict[str, Any]) -> ToyReply:
        known = [topic for topic in body["topic_list"].split(",") if topic in self.topics]
        if known:
            super().subscribe(body | {"topic_list": ",".join(known)})
        return super().subscribe(body)


@breaks("membership", "MEMBER-UNREGISTER-1", "ASSIGN-2", "ORDER-1", "ACK-UNKNOWN-1", *UNDELIVERED)
class KeepsPartitionsOfThoseWhoLeave(ToyQueue):
    def unregister(self, body: dict[str, Any]) -> ToyReply:
        group, consumer = self.named(body)
        del group.members[consumer.name]
        return ToyReply(202)


@breaks("delivery", "GROUP-ADD-2")
class RefusesAGroupThatExists(ToyQueue):
    def add_group(self, body: dict[str, Any]) -> ToyReply:
        if body["consumer_group_name"] in self.groups:
            raise Refused(409)
        return super().add_group(body)


@breaks("membership", "MEMBER-SUBSCRIBE-4")
class RefusesASecondSubscription(ToyQueue):
    def subscribe(self, body: dict[str, Any]) -> ToyReply:
        _, consumer = self.named(body)
        if set(body["topic_list"].split(",")) <= set(consumer.topics):
            raise Refused(409)
        return super().subscribe(body)


@breaks("membership", "LIVE-BEAT-1", "LIVE-KEEP-1")
class CountsHeartbeatsForAnother(ToyQueue):
    def heartbeat(self, body: dict[str, Any]) -> ToyReply:
        group, consumer = self.named(body)
        seen = consumer.seen
        super().heartbeat(body)
        others = [member for member in group.members.values() if member is not consumer]
        if others:
            consumer.seen, others[0].seen = seen, group.now
        return ToyReply(202)


@breaks("membership", "LIVE-EVICT-1", "LIVE-GONE-1", "LIVE-GONE-3")
class EvictsTooLate(ToyQueue):
    def due(self, consumer: Consumer) -> float:
        return super().due(consumer) + 1.02 * self.choices.eviction_grace


@breaks("membership", "LIVE-EVICT-1", "LIVE-GONE-1")
class RevivesTheEvicted(ToyQueue):
    """A heartbeat brings an evicted consumer back, without its subscriptions."""

    def __init__(self, choices: Choices) -> None:
        super().__init__(choices)
        self.evicted: dict[str, Group] = {}

    def tick(self, group: Group) -> None:
        before = set(group.members)
        super().tick(group)
        self.evicted.update(dict.fromkeys(before - set(group.members), group))

    def heartbeat(self, body: dict[str, Any]) -> ToyReply:
        name = body["consumer_name"]
        if self.find(name) is None and (group := self.evicted.pop(name, None)) is not None:
            group.members[name] = Consumer(name, group.now)
        return super().heartbeat(body)


@breaks(
    "membership",
    "LIVE-GONE-2",
    "MEMBER-UNREGISTER-3",
    "LIVE-BEAT-3",
    "POLL-UNKNOWN-2",
    "ACK-CONSUMER-2",
    "MEMBER-SUBSCRIBE-3",
)
class TellsTheEvictedSomethingElse(ToyQueue):
    def named(self, body: dict[str, Any]) -> tuple[Group, Consumer]:
        if self.find(body["consumer_name"]) is None:
            raise Refused(410)
        return super().named(body)


@breaks("membership", "LIVE-GONE-4")
class KeepsNamesOfTheEvicted(ToyQueue):
    def __init__(self, choices: Choices) -> None:
        super().__init__(choices)
        self.evicted: set[str] = set()

    def tick(self, group: Group) -> None:
        before = set(group.members)
        super().tick(group)
        self.evicted |= before - set(group.members)

    def register(self, body: dict[str, Any]) -> ToyReply:
        if body["consumer_name"] in self.evicted and body["consumer_group_name"] in self.groups:
            raise Refused(409)
        return super().register(body)


@breaks("membership", "MEMBER-UNSUBSCRIBE-1", "ACK-UNKNOWN-1", "LIVE-SIGN-1", *UNDELIVERED)
class GoesOnDeliveringToUnsubscribers(ToyQueue):
    def unsubscribe(self, body: dict[str, Any]) -> ToyReply:
        self.named(body)
        if any(topic not in self.topics for topic in body["topic_list"].split(",")):
            raise Refused(404)
        return ToyReply(202)


@breaks(
    "membership",
    "POLL-NONE-1",
    "MEMBER-SUBSCRIBE-2",
    "MEMBER-UNSUBSCRIBE-1",
    "ASSIGN-1",
    "ASSIGN-2",
    "REBALANCE-1",
)
class DeliversAllTopics(ToyQueue):
    def subscribe(self, body: dict[str, Any]) -> ToyReply:
        reply = super().subscribe(body)
        return (
            super().subscribe(body | {"topic_list": ",".join(list(self.topics)[-2:])})
            if reply.status == 200
            else reply
        )


@breaks("membership", "MEMBER-REGISTER-4", "LIVE-EVICT-1")
class MovesATakenName(ToyQueue):
    def register(self, body: dict[str, Any]) -> ToyReply:
        holder = self.find(body["consumer_name"])
        if holder is not None and body["consumer_group_name"] in self.groups:
            self.leave(*holder)
        return super().register(body)
