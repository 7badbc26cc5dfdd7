"""Queues that break what only clients at the same time, or a long history, show; and the anomaly that each shows.

Most faults are those that also prove the models (`tests.models.broken`); here are the ones that only producers'
acknowledgements, races or several groups bring out.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.history.events import History
from conformance.history.facts import Facts
from conformance.history.stage import Plan
from tests.history.legal import facts_of
from tests.history.simulation import Simulation
from tests.models.broken import delivery, membership, publishing
from tests.models.toy_queue import Choices, Consumer, Group, Refused, Shard, ToyQueue, ToyReply


class TakesAnyAcknowledgement(ToyQueue):
    """An id that the consumer does not hold is accepted, and nothing comes of it."""

    def acknowledge(self, body: dict[str, Any]) -> ToyReply:
        self.named(body)
        try:
            return super().acknowledge(body)
        except Refused:
            return ToyReply(202)


class RepliesTwice(ToyQueue):
    """What a consumer acknowledged last it may acknowledge again."""

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
    """An acknowledgement after the return is accepted, though it commits nothing."""

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


class ForgetsWhoWasEvicted(ToyQueue):
    """An evicted consumer hears of it once, and then is served as if nothing had been."""

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
    """Heartbeats of those who unregistered are taken."""

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
    """Heartbeats of consumers that nobody registered are taken."""

    def heartbeat(self, body: dict[str, Any]) -> ToyReply:
        if body["consumer_name"].startswith("stranger"):
            return ToyReply(202)
        return super().heartbeat(body)


class StoresWhatItRefuses(ToyQueue):
    """A record with a key of a wrong type is refused, and stored without it."""

    def publish(self, topic: str, body: dict[str, Any]) -> ToyReply:
        if not isinstance(body.get("key"), str | None):
            super().publish(topic, body | {"key": None})
        return super().publish(topic, body)


class MovesAKey(ToyQueue):
    """After ten records, some keys have another partition."""

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
    """Every eighth publish is told the offset of the one before it in the partition."""

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


class ChangesKeys(ToyQueue):
    """Keys come in lower case."""

    def hand_out(self, shard: Shard, consumer: Consumer) -> dict[str, Any]:
        body = super().hand_out(shard, consumer)
        key = body["message"]["key"]
        return body | {"message": body["message"] | {"key": key and key.lower()}}


class LetsTwoOwn(ToyQueue):
    """Any member that comes up empty gets what another one owns, if nobody holds it."""

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
    """The last partition of a topic belongs to nobody as soon as two are subscribed."""

    def poll(self, body: dict[str, Any]) -> ToyReply:
        group, consumer = self.named(body)
        for topic in consumer.topics:
            last = group.shards[topic][-1]
            if last.owner is not None and sum(topic in m.topics for m in group.members.values()) > 1:
                last.owner = last.target = None
        return super().poll(body)


class GivesAllToOne(ToyQueue):
    """The first of the subscribers owns everything."""

    def deal(self, group: Group, topic: str) -> None:
        super().deal(group, topic)
        subscribers = sorted(name for name, member in group.members.items() if topic in member.topics)
        for shard in group.shards[topic] if subscribers else []:
            shard.target = subscribers[0]
        self.move(group)


class MovesUnderTheHolder(ToyQueue):
    """The next record of a partition that is to move goes to its heir while its owner holds one."""

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


class RevokesInSilence(ToyQueue):
    """One record of four is given to the next member that asks while it is held, in a group at rest."""

    def poll(self, body: dict[str, Any]) -> ToyReply:
        reply = super().poll(body)
        group, consumer = self.named(body)
        if reply.status != 200 and "max_messages" not in body:
            for topic in consumer.topics:
                for shard in group.shards[topic]:
                    if shard.held and shard.held.consumer != consumer.name and shard.committed % 4 == 0:
                        return ToyReply(200, self.hand_out(shard, consumer))
        return reply


class Misinforms(Simulation):
    """A queue that does everything right but tell its producers; `outcomes` says what each publish brings."""

    def outcomes(self, stored: bool) -> list[str]:
        return ["ACK" if stored else "FAILED"]

    def heard_by(self, topic: str) -> list[str]:
        return [listener for listener in self.listeners if listener.endswith(f"/{topic}")]

    def tell(self, topic: str, body: dict[str, Any], reply: ToyReply) -> None:
        for listener in self.heard_by(topic):
            for outcome in self.outcomes(reply.status == 200):
                self.at(self.delay(), self.hearing(listener, body["messageID"], outcome))

    def hearing(self, listener: str, label: str | int, outcome: str) -> Callable[[], None]:
        return lambda: self.hear(listener, label, outcome)


class TellsTwice(Misinforms):
    def outcomes(self, stored: bool) -> list[str]:
        return super().outcomes(stored) * 2


class TellsBoth(Misinforms):
    def outcomes(self, stored: bool) -> list[str]:
        return ["ACK", "FAILED"]


class TellsTheOpposite(Misinforms):
    def outcomes(self, stored: bool) -> list[str]:
        return super().outcomes(not stored)


class TellsOthers(Misinforms):
    def heard_by(self, topic: str) -> list[str]:
        return self.listeners


class TellsOneSpelling(Misinforms):
    def heard_by(self, topic: str) -> list[str]:
        return super().heard_by(topic)[:1]


class HandsOutTheNext(ToyQueue):
    """A poll that comes up empty brings the next record of a partition in which the consumer holds one."""

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


Broken = type[ToyQueue] | type[Simulation]

#: What shows each anomaly.
SHOWN_BY: dict[str, Broken] = {
    "lost": delivery.LosesARecord,
    "unseen": delivery.StartsNewGroupsAtTheEnd,
    "stale": delivery.AnswersEveryFifthPollEmpty,
    "phantom": StoresWhatItRefuses,
    "changed": ChangesKeys,
    "duplicate": RevokesInSilence,
    "redelivery after acknowledgement": delivery.CommitsAnOffsetBack,
    "stored twice": StoresTwice,
    "mismarked redelivery": delivery.CallsNothingRedelivered,
    "id in use": delivery.ReusesMessageIds,
    "not delivered again": delivery.LosesWhatUnsubscribersHeld,
    "given back and skipped": delivery.DropsWhatIsGivenBack,
    "poll-skip": delivery.SwapsTwoRecords,
    "key order broken": delivery.SwapsTwoRecords,
    "more than one in flight": HandsOutTheNext,
    "nonmonotonic poll": delivery.ForgetsOffsetsAfterUnsubscribing,
    "nonmonotonic send": StoresInFront,
    "inconsistent offsets": TellsOneOffsetTwice,
    "offset gap": LeavesAnOffsetOut,
    "key moved to another partition": MovesAKey,
    "uneven spread": publishing.SkipsAPartition,
    "two owners at once": LetsTwoOwn,
    "owned by none": LeavesAPartitionAlone,
    "unfair assignment": GivesAllToOne,
    "delivery without subscription": membership.DeliversAllTopics,
    "moved under its holder": MovesUnderTheHolder,
    "evicted early": membership.TakesOnlyHeartbeatsForLife,
    "evicted late": membership.EvictsNobody,
    "delivery to an evicted consumer": ForgetsWhoWasEvicted,
    "served after eviction": ForgetsWhoWasEvicted,
    "served after leaving": ServesWhoHasLeft,
    "stranger served": ServesStrangers,
    "name taken twice": membership.RegistersATakenName,
    "accepted from a non-owner": delivery.AcceptsAnothersAcknowledgement,
    "accepted for nothing": TakesAnyAcknowledgement,
    "accepted twice": RepliesTwice,
    "accepted late": AcceptsWhatWasGivenBack,
    "holder refused": RefusesAHolder,
    "committed by a zombie": CommitsForTheEvicted,
    "committed though refused": CommitsWhatItRefuses,
    "acknowledged twice": TellsTwice,
    "acknowledged and refused": TellsBoth,
    "acknowledged wrongly": TellsTheOpposite,
    "acknowledged to others": TellsOthers,
    "never acknowledged": TellsOneSpelling,
}

#: Without positions, where order and loss must be concluded from keys.
BLIND = frozenset({"key order broken"})


def broken_history(anomaly: str, seed: int) -> tuple[History, Facts]:
    """A larger scenario with much trouble on a queue that has the fault."""
    broken = SHOWN_BY[anomaly]
    choices = Choices(
        seed=seed,
        partitions=4,
        rebalance_timeout=20.0,
        tells_positions=anomaly not in BLIND,
        evict="anywhere",
    )
    plan = Plan(seed=seed, records=80, consumers=5, keys=4, chance_of_trouble=0.25, chance_of_leaving=0.05)
    if anomaly == "uneven spread":
        plan = replace(plan, producers=1, keys=0)
    if anomaly in ("stale", "unseen"):
        plan = replace(plan, consumers=1)
    facts = replace(facts_of(choices), positions=choices.tells_positions)
    if issubclass(broken, Simulation):
        return broken(ToyQueue(choices), plan, facts, virtual=True, longest=3.0).run(), facts
    return Simulation(broken(choices), plan, facts, virtual=True, longest=3.0).run(), facts
