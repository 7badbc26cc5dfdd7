"""Faults in the records that polls return."""

from typing import Any

from tests.models.toy_queue import Consumer, Shard, ToyQueue, ToyReply


class ChangesKeys(ToyQueue):
    """Delivered keys are in lower case."""

    def hand_out(self, shard: Shard, consumer: Consumer) -> dict[str, Any]:
        body = super().hand_out(shard, consumer)
        key = body["message"]["key"]
        return body | {"message": body["message"] | {"key": key and key.lower()}}


class RevokesInSilence(ToyQueue):
    """In a settled group, one record of four goes to the next member that polls while another one holds it."""

    def poll(self, body: dict[str, Any]) -> ToyReply:
        reply = super().poll(body)
        group, consumer = self.named(body)
        if reply.status != 200 and "max_messages" not in body:
            for topic in consumer.topics:
                for shard in group.shards[topic]:
                    if shard.held and shard.held.consumer != consumer.name and shard.committed % 4 == 0:
                        return ToyReply(200, self.hand_out(shard, consumer))
        return reply


class HandsOutTheNext(ToyQueue):
    """A poll that would be empty returns the next record of a partition in which the consumer holds one."""

    def poll(self, body: dict[str, Any]) -> ToyReply:
        reply = super().poll(body)
        group, consumer = self.named(body)
        if reply.status != 200 and "max_messages" not in body:
            for topic in consumer.topics:
                for shard in group.shards[topic]:
                    held = shard.held is not None and shard.held.consumer == consumer.name
                    if held and shard.committed + 1 < len(shard.log):
                        record = shard.log[shard.committed + 1]
                        return ToyReply(200, {"messageId": record["id"], "message": record["message"]})
        return reply
