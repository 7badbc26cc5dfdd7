"""Faults in polling, acknowledging, and keeping groups apart."""

from typing import Any

from tests.models.broken.registry import UNDELIVERED, breaks
from tests.models.toy_queue import Consumer, Group, Refused, Shard, ToyQueue, ToyReply


@breaks("delivery", "ORDER-2", "POLL-BATCH-1", "MEMBER-UNSUBSCRIBE-4")
class HandsOutTheNextBeforeTheAcknowledgement(ToyQueue):
    def poll(self, body: dict[str, Any]) -> ToyReply:
        reply = super().poll(body)
        if reply.status == 204:
            group, consumer = self.named(body)
            for topic in consumer.topics:
                for shard in group.shards[topic]:
                    if shard.owner == consumer.name and shard.held and shard.committed + 1 < len(shard.log):
                        record = shard.log[shard.committed + 1]
                        item = {"messageId": record["id"], "message": record["message"]}
                        return ToyReply(200, {"records": [item]} if "max_messages" in body else item)
        return reply


@breaks("delivery", "ORDER-1", "MEMBER-UNSUBSCRIBE-4", "GROUP-ADD-2")
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


@breaks("delivery", "ACK-OTHER-1", "ACK-CONSUMER-1", "NACK-UNKNOWN-1")
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


@breaks("delivery", "ACK-OTHER-1", "DELIVER-2", "ORDER-2", "REBALANCE-5")
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


@breaks(
    "delivery", "ISOLATE-1", "ORDER-1", "ACK-UNKNOWN-1", "ACK-OK-1", "DELIVER-2", "DELIVER-3", "NACK-AGAIN-1"
)
class SharesOffsetsAmongGroups(ToyQueue):
    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        shard = self.settle(body)
        for group in self.groups.values():
            for shards in group.shards.values():
                for other in shards:
                    if other.log is shard.log:
                        other.committed = max(other.committed, shard.committed + 1)
        return ToyReply(202)


@breaks("delivery", "GROUP-ADD-2", "ACK-COMMIT-1", "MEMBER-UNSUBSCRIBE-4")
class ResetsAGroupThatIsAddedAgain(ToyQueue):
    def add_group(self, body: dict[str, Any]) -> ToyReply:
        group = self.groups.get(body["consumer_group_name"])
        for shards in group.shards.values() if group else []:
            for shard in shards:
                shard.committed = 0 if shard.held is None else shard.committed
        return super().add_group(body)


@breaks("delivery", "MEMBER-UNSUBSCRIBE-4", "GROUP-ADD-2", "ACK-COMMIT-1")
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


@breaks("delivery", "POLL-FAIR-1", *UNDELIVERED)
class AnswersEveryFifthPollEmpty(ToyQueue):
    polls = 0

    def poll(self, body: dict[str, Any]) -> ToyReply:
        self.polls += 1
        self.named(body)
        return ToyReply(204) if self.polls % 5 == 0 else super().poll(body)


@breaks("delivery", "ACK-OK-1", "DELIVER-3")
class ForgetsWhatIsInFlight(ToyQueue):
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


@breaks("delivery", "POLL-OK-1")
class LeavesOutTheTopic(ToyQueue):
    def hand_out(self, shard: Shard, consumer: Consumer) -> dict[str, Any]:
        body = super().hand_out(shard, consumer)
        return body | {"message": {k: v for k, v in body["message"].items() if k != "topicName"}}


@breaks("delivery", "POLL-OK-2")
class NumbersRecordsByText(ToyQueue):
    def hand_out(self, shard: Shard, consumer: Consumer) -> dict[str, Any]:
        body = super().hand_out(shard, consumer)
        return body | {"messageId": str(body["messageId"])}


@breaks("delivery", "POLL-BATCH-1")
class GivesMoreThanWasAskedFor(ToyQueue):
    def poll(self, body: dict[str, Any]) -> ToyReply:
        return super().poll(
            body | {"max_messages": body["max_messages"] + 2} if "max_messages" in body else body
        )


@breaks("delivery", "POLL-BATCH-1")
class IgnoresTheWishForABatch(ToyQueue):
    def poll(self, body: dict[str, Any]) -> ToyReply:
        return super().poll({"consumer_name": body["consumer_name"]})


@breaks("delivery", "POLL-REDELIVERED-1")
class CallsNothingRedelivered(ToyQueue):
    def hand_out(self, shard: Shard, consumer: Consumer) -> dict[str, Any]:
        return super().hand_out(shard, consumer) | {"redelivered": False}


@breaks("delivery", "DELIVER-3")
class HandsOutWhatIsInFlight(ToyQueue):
    """An empty poll becomes the delivery of a record that another member of the group holds."""

    def poll(self, body: dict[str, Any]) -> ToyReply:
        reply = super().poll(body)
        group, consumer = self.named(body)
        if reply.status == 204 and "max_messages" not in body:
            for shard in (shard for topic in consumer.topics for shard in group.shards[topic]):
                if shard.held is not None and shard.held.consumer != consumer.name:
                    record = shard.log[shard.committed]
                    return ToyReply(200, {"messageId": shard.held.message_id, "message": record["message"]})
        return reply


@breaks("delivery", "DELIVER-2")
class LosesWhatUnsubscribersHeld(ToyQueue):
    def release(self, group: Group, topic: str, name: str) -> None:
        for shard in group.shards[topic]:
            if shard.held is not None and shard.held.consumer == name:
                shard.committed += 1
        super().release(group, topic, name)


@breaks("delivery", "POLL-FAIR-1", *UNDELIVERED)
class ServesOnePartitionAtATime(ToyQueue):
    """A consumer that holds a record gets no other."""

    def poll(self, body: dict[str, Any]) -> ToyReply:
        group, consumer = self.named(body)
        held = [
            s for t in consumer.topics for s in group.shards[t] if s.held and s.held.consumer == consumer.name
        ]
        return ToyReply(204) if held else super().poll(body)
