"""Faults in consumer acknowledgements: which are accepted, and which records they commit."""

from typing import Any

from tests.models.toy_queue import Choices, Group, Refused, Shard, ToyQueue, ToyReply


class TakesAnyAcknowledgement(ToyQueue):
    """The acknowledgement of an id that the consumer does not hold is accepted, and has no effect."""

    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        self.named(body)
        try:
            return super().acknowledge(body)
        except Refused:
            return ToyReply(202)


class RepliesTwice(ToyQueue):
    """A consumer may acknowledge its latest record again."""

    def __init__(self, choices: Choices) -> None:
        super().__init__(choices)
        self.latest: dict[str, str] = {}

    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        name, message_id = body["consumer_name"], str(body["message_id"])
        self.named(body)
        if self.latest.get(name) == message_id:
            return ToyReply(202)
        reply = super().acknowledge(body)
        self.latest[name] = message_id
        return reply


class AcceptsWhatWasGivenBack(ToyQueue):
    """An acknowledgement of a returned record is accepted, and commits nothing."""

    def __init__(self, choices: Choices) -> None:
        super().__init__(choices)
        self.returned: set[tuple[str, str]] = set()

    def give_back(self, body: dict[str, Any]) -> ToyReply:
        reply = super().give_back(body)
        self.returned.add((body["consumer_name"], str(body["message_id"])))
        return reply

    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        try:
            return super().acknowledge(body)
        except Refused:
            if (body["consumer_name"], str(body["message_id"])) in self.returned:
                return ToyReply(202)
            raise


class RefusesAHolder(ToyQueue):
    """Every seventh acknowledgement is refused, though the record is in flight."""

    count_of_acknowledgements = 0

    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        self.count_of_acknowledgements += 1
        if self.count_of_acknowledgements % 7 == 0:
            self.named(body)
            raise Refused(409)
        return super().acknowledge(body)


class CommitsForTheEvicted(ToyQueue):
    """The first acknowledgement after an eviction is refused, and commits."""

    def __init__(self, choices: Choices) -> None:
        super().__init__(choices)
        self.lost: dict[str, list[Shard]] = {}

    def release(self, group: Group, topic: str, name: str) -> None:
        held = [shard for shard in group.shards[topic] if shard.held and shard.held.consumer == name]
        self.lost.setdefault(name, []).extend(held)
        super().release(group, topic, name)

    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        if self.find(body["consumer_name"]) is None:
            for shard in self.lost.pop(body["consumer_name"], []):
                shard.committed += shard.held is None and shard.committed < shard.handed
        return super().acknowledge(body)


class CommitsWhatItRefuses(ToyQueue):
    """The acknowledgement of a record that was given back is refused, and commits."""

    def __init__(self, choices: Choices) -> None:
        super().__init__(choices)
        self.returned: dict[str, Shard] = {}

    def give_back(self, body: dict[str, Any]) -> ToyReply:
        shard = self.settle(body)
        self.returned[str(body["message_id"])] = shard
        return ToyReply(202)

    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        try:
            return super().acknowledge(body)
        except Refused:
            shard = self.returned.pop(str(body["message_id"]), None)
            if shard is not None and shard.held is None:
                shard.committed += 1
            raise


class CommitsFarBack(ToyQueue):
    """The fifth acknowledgement of a partition moves the committed offset back to the first record."""

    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        reply = super().acknowledge(body)
        group, consumer = self.named(body)
        for topic in consumer.topics:
            for shard in group.shards[topic]:
                if shard.committed == 5 and shard.held is None and shard.handed == 5:
                    shard.committed = 0
        return reply
