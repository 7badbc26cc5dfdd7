"""Faults in storing records and placing them."""

from typing import Any

from tests.models.broken.registry import UNDELIVERED, breaks
from tests.models.toy_queue import ToyQueue, ToyReply


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


@breaks("publishing", "DELIVER-4", "PUB-POSITION-1")
class StoresRefusedRecords(ToyQueue):
    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        if topic in self.topics and isinstance(body.get("message"), str) and "messageID" not in body:
            super().publish(topic, body | {"messageID": 1})
        return super().publish(topic, body)


@breaks("publishing", "TOPIC-ADD-2", "PUB-POSITION-1", "PART-KEY-1", "PART-RR-1", *UNDELIVERED)
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


@breaks("publishing", "PUB-KEY-1", "PUB-TOPIC-2")
class WantsAKey(ToyQueue):
    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        return super().publish(topic, body) if body.get("key") else ToyReply(400)


@breaks("publishing", "DELIVER-1", "ORDER-1", "PUB-ACK-5", "PUB-POSITION-1", "TOPIC-ADD-2", *UNDELIVERED)
class LosesARecordNowAndThen(ToyQueue):
    """Every ninth record is acknowledged and never stored."""

    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        reply = super().publish(topic, body)
        if reply.status == 200 and self.count % 9 == 0:
            self.topics[topic][reply.body["partition"]].pop()
        return reply
