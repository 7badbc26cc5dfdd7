"""Faults in the records that are stored, their partitions and their offsets."""

from typing import Any

from tests.models.toy_queue import Choices, ToyQueue, ToyReply


class StoresWhatItRefuses(ToyQueue):
    """A record whose key has a wrong type is refused, and stored without the key."""

    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        if not isinstance(body.get("key"), str | None):
            super().publish(topic, body | {"key": None})
        return super().publish(topic, body)


class MovesAKey(ToyQueue):
    """Some keys have another partition after ten records."""

    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        reply = super().publish(topic, body | {"key": f"{body['key']}'"} if self.moves(topic, body) else body)
        if reply.status == 200:
            self.topics[topic][reply.body["partition"]][-1]["message"]["key"] = body.get("key")
        return reply

    def moves(self, topic: str, body: dict[str, Any]) -> bool:
        return isinstance(body.get("key"), str) and sum(map(len, self.topics.get(topic, []))) >= 10


class StoresInFront(ToyQueue):
    """Every sixth record is put behind the next one of its partition."""

    def __init__(self, choices: Choices) -> None:
        super().__init__(choices)
        self.behind: dict[int, dict[str, Any]] = {}

    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        reply = super().publish(topic, body)
        if reply.status != 200:
            return reply
        log = self.topics[topic][reply.body["partition"]]
        if (waiting := self.behind.pop(id(log), None)) is not None:
            log.append(waiting)
        elif self.count % 6 == 0:
            self.behind[id(log)] = log.pop()
            self.behind[id(log)]["offset"] += 1
            return ToyReply(200, reply.body | {"offset": reply.body["offset"] + 1})
        return reply


class StoresTwice(ToyQueue):
    """Every eighth record is stored twice."""

    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        reply = super().publish(topic, body)
        if reply.status == 200 and self.count % 8 == 0:
            log = self.topics[topic][reply.body["partition"]]
            self.count += 1
            log.append(log[-1] | {"id": self.count, "offset": len(log)})
        return reply


class TellsOneOffsetTwice(ToyQueue):
    """The reply to every eighth publish gives the offset of the record before it."""

    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        reply = super().publish(topic, body)
        if reply.status == 200 and self.count % 8 == 0 and reply.body["offset"] > 0:
            return ToyReply(200, reply.body | {"offset": reply.body["offset"] - 1})
        return reply


class LeavesAnOffsetOut(ToyQueue):
    """Offsets jump by one after the fifth record of a partition."""

    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        reply = super().publish(topic, body)
        if reply.status == 200 and reply.body["offset"] >= 3:
            record = self.topics[topic][reply.body["partition"]][-1]
            record["offset"] = reply.body["offset"] + 1
            return ToyReply(200, reply.body | {"offset": record["offset"]})
        return reply
