"""Faults in the removal of topics, and in what is left where records were freed."""

from dataclasses import replace
from typing import Any

from tests.models.broken.registry import UNDELIVERED, breaks
from tests.models.toy_adapters import ToyQueueAdapter
from tests.models.toy_queue import Choices, Group, Refused, ToyQueue, ToyReply


@breaks("delivery", "TOPIC-REMOVE-11", *UNDELIVERED)
class KeepsTheOffsetsOfARemovedTopic(ToyQueue):
    def remove_topic(self, body: dict[str, Any]) -> ToyReply:
        name = body["topicName"]
        left = {group: group.shards.get(name, []) for group in self.groups.values()}
        reply = super().remove_topic(body)
        self.left = getattr(self, "left", {}) | {(group, name): shards for group, shards in left.items()}
        return reply

    def deal(self, group: Group, topic: str) -> None:
        is_new = topic not in group.shards
        super().deal(group, topic)
        if is_new:
            for shard, old in zip(
                group.shards[topic], getattr(self, "left", {}).get((group, topic), ()), strict=False
            ):
                shard.committed = shard.handed = old.committed


@breaks("delivery", "TOPIC-REMOVE-5", "TOPIC-REMOVE-7", "TOPIC-REMOVE-11")
class HandsOutRecordsOfARemovedTopic(ToyQueue):
    def add_topic(self, body: dict[str, Any]) -> ToyReply:
        reply = super().add_topic(body)
        for log, old in zip(
            self.topics[body["topicName"]], getattr(self, "gone", {}).get(body["topicName"], ()), strict=False
        ):
            log += [{**record, "offset": place} for place, record in enumerate(old)]
        return reply

    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        reply = super().publish(topic, body)
        if reply.status == 200 and reply.body:
            reply.body["offset"] -= len(
                getattr(self, "gone", {}).get(topic, [[]] * 9)[reply.body["partition"]]
            )
        return reply

    def remove_topic(self, body: dict[str, Any]) -> ToyReply:
        logs = self.topics.get(body["topicName"], [])
        reply = super().remove_topic(body)
        self.gone = getattr(self, "gone", {}) | {body["topicName"]: [log[:1] for log in logs] + [[]] * 9}
        return reply


@breaks("delivery", "TOPIC-REMOVE-7")
class TakesAcknowledgementsOfVoidRecords(ToyQueue):
    def remove_topic(self, body: dict[str, Any]) -> ToyReply:
        void = {
            str(shard.held.message_id)
            for group in self.groups.values()
            for shard in group.shards.get(body["topicName"], ())
            if shard.held
        }
        reply = super().remove_topic(body)
        self.void = getattr(self, "void", set()) | void
        return reply

    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        try:
            return super().acknowledge(body)
        except Refused:
            if str(body["message_id"]) in getattr(self, "void", ()):
                return ToyReply(202)
            raise


@breaks("delivery", "TOPIC-REMOVE-6", "MEMBER-SUBSCRIBE-4", *UNDELIVERED)
class ARemovalEndsEverySubscription(ToyQueue):
    def remove_topic(self, body: dict[str, Any]) -> ToyReply:
        readers = [
            (group, member)
            for group in self.groups.values()
            for member in group.members.values()
            if body["topicName"] in member.topics
        ]
        reply = super().remove_topic(body)
        for group, member in readers:
            for topic in member.topics:
                self.release(group, topic, member.name)
            member.topics.clear()
        return reply


@breaks("delivery", "TOPIC-REMOVE-3", "TOPIC-REMOVE-4")
class RemovesWhatIsNotThere(ToyQueue):
    def remove_topic(self, body: dict[str, Any]) -> ToyReply:
        try:
            return super().remove_topic(body)
        except Refused:
            return ToyReply(202)


class _StartsLate(ToyQueue):
    def start(self, topic: str, partition: int) -> int:
        oldest = super().start(topic, partition)
        return min(oldest + 1, len(self.topics[topic][partition])) if oldest else 0


@breaks("publishing", "TOPIC-ADD-2", *UNDELIVERED)
class StartsBehindTheOldestRecord(ToyQueueAdapter):
    """A new group starts one record too late if records were freed."""

    def __init__(self, choices: Choices) -> None:
        super().__init__(replace(choices, frees=True))
        self.queue = _StartsLate(replace(choices, frees=True))
