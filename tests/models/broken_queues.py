"""Queues in memory with one fault each, and the clauses on which a model may catch it.

The first clause is the one that the fault breaks; others are what the same fault looks like in the reply that
happens to come first.
"""

from typing import Any, NamedTuple

from tests.models.toy_queue import Choices, Consumer, Group, Refused, Shard, ToyQueue, ToyReply


class Fault(NamedTuple):
    queue: type[ToyQueue]
    machine: str
    clauses: frozenset[str]


FAULTS: dict[str, Fault] = {}


def breaks(machine: str, *clauses: str) -> Any:
    def register(queue: type[ToyQueue]) -> type[ToyQueue]:
        FAULTS[queue.__name__] = Fault(queue, machine, frozenset(clauses))
        return queue

    return register


@breaks("delivery", "ORDER-2")
class HandsOutTheNextBeforeTheAcknowledgement(ToyQueue):
    def poll(self, body: dict[str, Any]) -> ToyReply:
        reply = super().poll(body)
        if reply.status == 204:
            group, consumer = self.named(body)
            for topic in consumer.topics:
                for shard in group.shards[topic]:
                    if shard.owner == consumer.name and shard.held and shard.committed + 1 < len(shard.log):
                        record = shard.log[shard.committed + 1]
                        return ToyReply(200, {"messageId": record["id"], "message": record["message"]})
        return reply


@breaks("delivery", "ORDER-1")
class SwapsTwoRecords(ToyQueue):
    def hand_out(self, shard: Shard, consumer: Consumer) -> dict[str, Any]:
        at = shard.committed
        if at % 3 == 1 and at + 1 < len(shard.log) and shard.handed <= at:
            shard.log[at], shard.log[at + 1] = shard.log[at + 1], shard.log[at]
        return super().hand_out(shard, consumer)


@breaks("delivery", "ORDER-1", "ACK-COMMIT-2")
class LosesARecord(ToyQueue):
    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        shard = self.settle(body)
        shard.committed += 2 if shard.committed % 4 == 2 and shard.committed + 1 < len(shard.log) else 1
        return ToyReply(202)


@breaks("delivery", "NACK-AGAIN-1")
class DropsWhatIsGivenBack(ToyQueue):
    def give_back(self, body: dict[str, Any]) -> ToyReply:
        return self.acknowledge(body)


@breaks("delivery", "ACK-OTHER-1")
class AcceptsAnothersAcknowledgement(ToyQueue):
    def settle(self, body: dict[str, Any]) -> Shard:
        try:
            return super().settle(body)
        except Refused:
            for group in self.groups.values():
                for shards in group.shards.values():
                    for shard in shards:
                        if shard.held and str(shard.held.message_id) == str(body["message_id"]):
                            shard.held = None
                            return shard
            raise


@breaks("delivery", "ACK-OTHER-1")
class CommitsAnothersRefusedAcknowledgement(ToyQueue):
    def settle(self, body: dict[str, Any]) -> Shard:
        try:
            return super().settle(body)
        except Refused:
            group, _ = self.named(body)
            for shards in group.shards.values():
                for shard in shards:
                    if shard.held and str(shard.held.message_id) == str(body["message_id"]):
                        shard.committed += 1
                        shard.held = None
            raise


@breaks("delivery", "ISOLATE-1", "ORDER-1", "ACK-UNKNOWN-1", "ACK-OK-1", "DELIVER-3", "ACK-COMMIT-1")
class SharesOffsetsAmongGroups(ToyQueue):
    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        shard = self.settle(body)
        for group in self.groups.values():
            for shards in group.shards.values():
                for other in shards:
                    if other.log is shard.log:
                        other.committed = max(other.committed, shard.committed + 1)
        return ToyReply(202)


@breaks("delivery", "GROUP-ADD-2")
class ResetsAGroupThatIsAddedAgain(ToyQueue):
    def add_group(self, body: dict[str, Any]) -> ToyReply:
        group = self.groups.get(body["consumer_group_name"])
        for shards in group.shards.values() if group else []:
            for shard in shards:
                shard.committed = 0 if shard.held is None else shard.committed
        return super().add_group(body)


@breaks("delivery", "MEMBER-UNSUBSCRIBE-4")
class ForgetsOffsetsAfterUnsubscribing(ToyQueue):
    def unsubscribe(self, body: dict[str, Any]) -> ToyReply:
        reply = super().unsubscribe(body)
        group, _ = self.named(body)
        for shard in group.shards[body["topic_list"].split(",")[0]]:
            shard.committed = 0 if shard.held is None else shard.committed
        return reply


@breaks("delivery", "POLL-OK-2")
class ReusesMessageIds(ToyQueue):
    def hand_out(self, shard: Shard, consumer: Consumer) -> dict[str, Any]:
        body = super().hand_out(shard, consumer)
        assert shard.held is not None
        body["messageId"] = shard.held.message_id = 1 + shard.committed % 2
        return body


@breaks("delivery", "POLL-START-1")
class StartsNewGroupsAtTheEnd(ToyQueue):
    def subscribe(self, body: dict[str, Any]) -> ToyReply:
        group, _ = self.named(body)
        known = set(group.shards)
        reply = super().subscribe(body)
        for topic in group.shards.keys() - known:
            for shard in group.shards[topic]:
                shard.committed = len(shard.log)
        return reply


@breaks("delivery", "POLL-FAIR-1", "ACK-COMMIT-2", "DELIVER-1", "POLL-START-1", "NACK-AGAIN-1", "DELIVER-2")
class AnswersEveryFifthPollEmpty(ToyQueue):
    polls = 0

    def poll(self, body: dict[str, Any]) -> ToyReply:
        self.polls += 1
        self.named(body)
        return ToyReply(204) if self.polls % 5 == 0 else super().poll(body)


@breaks("delivery", "DELIVER-3")
class DeliversTwice(ToyQueue):
    def hand_out(self, shard: Shard, consumer: Consumer) -> dict[str, Any]:
        body = super().hand_out(shard, consumer)
        if shard.committed % 5 == 4 and self.random.random() < 0.5:
            shard.held = None
        return body


@breaks("delivery", "ACK-COMMIT-1")
class CommitsAnOffsetBack(ToyQueue):
    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        reply = super().acknowledge(body)
        group, consumer = self.named(body)
        for shard in group.shards[consumer.topics[0]]:
            if shard.committed == 3 and shard.held is None and shard.handed == 3:
                shard.committed = 2
        return reply


@breaks("publishing", "PART-KEY-1", "ORDER-1")
class MovesKeysWhenATopicIsAdded(ToyQueue):
    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        key = body.get("key")
        moved = body | {"key": f"{key}{len(self.topics)}"} if key else body
        reply = super().publish(topic, moved)
        if key and reply.status == 200:
            self.topics[topic][reply.body["partition"]][-1]["message"]["key"] = key
        return reply


@breaks("publishing", "PART-RR-1")
class SkipsAPartition(ToyQueue):
    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        if self.keyless.get(topic, 0) % 5 == 3:
            self.keyless[topic] += 1
        return super().publish(topic, body)


@breaks("publishing", "DELIVER-4")
class StoresRefusedRecords(ToyQueue):
    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        if topic in self.topics and isinstance(body.get("message"), str) and "messageID" not in body:
            super().publish(topic, body | {"messageID": 1})
        return super().publish(topic, body)


@breaks(
    "publishing",
    "DELIVER-1",
    "TOPIC-ADD-2",
    "POLL-FAIR-1",
    "ACK-COMMIT-2",
    "PUB-POSITION-1",
    "PART-KEY-1",
    "PART-RR-1",
)
class EmptiesATopicThatIsAddedAgain(ToyQueue):
    def add_topic(self, body: dict[str, Any]) -> ToyReply:
        for log in self.topics.get(body["topicName"], []):
            log.clear()
        return super().add_topic(body)


@breaks("publishing", "PUB-TEXT-1")
class ChangesKeys(ToyQueue):
    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        reply = super().publish(topic, body)
        if reply.status == 200 and body.get("key"):
            message = self.topics[topic][reply.body["partition"]][-1]["message"]
            message["key"] = message["key"].lower()
        return reply


@breaks("publishing", "PUB-POSITION-1")
class SkipsAnOffset(ToyQueue):
    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        reply = super().publish(topic, body)
        if reply.status == 200 and reply.body["offset"] >= 5:
            return ToyReply(200, reply.body | {"offset": reply.body["offset"] + 1})
        return reply


@breaks("membership", "DELIVER-2", "ORDER-1")
class LosesWhatTheEvictedHeld(ToyQueue):
    def leave(self, group: Group, consumer: Consumer) -> None:
        for topic in consumer.topics:
            for shard in group.shards[topic]:
                if shard.held is not None and shard.held.consumer == consumer.name:
                    shard.committed += 1
        super().leave(group, consumer)


@breaks("membership", "LIVE-GONE-3", "DELIVER-2", "ORDER-1")
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


@breaks("membership", "LIVE-KEEP-1", "LIVE-SIGN-1", "ASSIGN-1", "DELIVER-3")
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
    "GROUP-REMOVE-2",
    "MEMBER-REGISTER-1",
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


@breaks(
    "membership",
    "ASSIGN-1",
    "DELIVER-2",
    "REBALANCE-1",
    "POLL-START-1",
    "DELIVER-1",
    "ORDER-1",
    "ACK-COMMIT-2",
)
class ForgetsAPartitionWhenOneLeaves(ToyQueue):
    def leave(self, group: Group, consumer: Consumer) -> None:
        super().leave(group, consumer)
        if len(group.members) >= 1:
            for topic in consumer.topics:
                group.shards[topic][-1].owner = group.shards[topic][-1].target = None


@breaks("membership", "ASSIGN-2", "POLL-FAIR-1")
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


@breaks("membership", "REBALANCE-1", "REBALANCE-5", "ASSIGN-2", "ASSIGN-1")
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


@breaks("membership", "GROUP-REMOVE-2", "MEMBER-REGISTER-1")
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
    "membership", "POLL-NONE-1", "DELIVER-3", "ASSIGN-1", "MEMBER-UNSUBSCRIBE-1", "ASSIGN-2", "REBALANCE-1"
)
class SubscribesToTheKnownOfAList(ToyQueue):
    def subscribe(self, body: dict[str, Any]) -> ToyReply:
        known = [topic for topic in body["topic_list"].split(",") if topic in self.topics]
        if known:
            super().subscribe(body | {"topic_list": ",".join(known)})
        return super().subscribe(body)


@breaks(
    "membership",
    "MEMBER-UNREGISTER-1",
    "ASSIGN-1",
    "REBALANCE-1",
    "DELIVER-2",
    "ASSIGN-2",
    "POLL-START-1",
    "DELIVER-1",
    "ORDER-1",
    "ACK-COMMIT-2",
    "POLL-FAIR-1",
    "MEMBER-UNSUBSCRIBE-4",
)
class KeepsPartitionsOfThoseWhoLeave(ToyQueue):
    def unregister(self, body: dict[str, Any]) -> ToyReply:
        group, consumer = self.named(body)
        del group.members[consumer.name]
        return ToyReply(202)
