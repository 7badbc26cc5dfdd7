"""What most examples begin with: topics, groups and consumers of their own, and the way to a next record.

Everything here asks only for unstarred operations and judges the clauses that it relies on, so that a broken
registration is reported as such and not as a broken poll.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conformance.bench import Bench

    from conformance.wire.operations import Reply

ADD_TOPIC = "/topic/add-topic"
ADD_GROUP = "/consumer-group/add"
REMOVE_GROUP = "/consumer-group/remove"
REGISTER = "/consumer/register-consumer"
UNREGISTER = "/consumer/unregister-consumer"
SUBSCRIBE = "/consumer/subscribe-topic"
UNSUBSCRIBE = "/consumer/unsubscribe-topic"
POLL = "/consumer/poll"
ACKNOWLEDGE = "/consumer/acknowledgement"
NEGATIVE_ACKNOWLEDGE = "/consumer/negative-acknowledgement"
HEARTBEAT = "/consumer/heartbeat"

#: With one key, all records of a topic lie in one partition.
KEY = "one-key"
#: Polls of a server that has nothing to give, before it counts as having nothing: it may begin at any partition.
FRUITLESS_POLLS = 3


def publish_path(topic: str) -> str:
    """The operation that publishes to a topic."""
    return f"/producer/publish/{topic}"


def refused(reply: Reply) -> bool:
    """Whether the status is of the class 4xx: what every refusal has in common."""
    return 400 <= reply.status < 500


@dataclass(frozen=True)
class Delivered:
    """A record as a poll handed it out."""

    message_id: Any
    message: str
    key: str | None
    topic: str
    whole: dict[str, Any]


class Scene:
    """Topics, groups and consumers with fresh names, in the binding of the test."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.queue = bench.queue()
        self._members: dict[str, list[str]] = {}

    def call(self, path: str, body: object) -> Reply:
        """Perform one operation, whatever comes of it."""
        return self.queue.call(path, body)

    def topic(self, **extra: Any) -> str:
        """A new topic."""
        name = self.bench.fresh("topic")
        reply = self.call(ADD_TOPIC, {"topicName": name, **extra})
        self.bench.judge(
            "TOPIC-ADD-1", reply.status == 200, expected="200 for a topic of a new name", observed=reply
        )
        return name

    def group(self) -> str:
        """A new consumer group."""
        name = self.bench.fresh("group")
        reply = self.call(ADD_GROUP, {"consumer_group_name": name})
        self.bench.judge("GROUP-ADD-1", reply.status == 200, expected="200 for a new group", observed=reply)
        self._members[name] = []
        return name

    def consumer(self, group: str, *topics: str) -> str:
        """A new consumer in `group`, subscribed to `topics`."""
        name = self.bench.fresh("consumer")
        reply = self.call(REGISTER, {"consumer_group_name": group, "consumer_name": name})
        self.bench.judge(
            "MEMBER-REGISTER-1",
            reply.status == 200,
            expected="200 for a consumer of a new name",
            observed=reply,
        )
        self._members[group].append(name)
        if topics:
            self.subscribe(name, *topics)
        return name

    def subscribe(self, consumer: str, *topics: str) -> None:
        """Subscribe a consumer to topics that exist."""
        reply = self.call(SUBSCRIBE, {"consumer_name": consumer, "topic_list": ",".join(topics)})
        self.bench.judge(
            "MEMBER-SUBSCRIBE-1", reply.status == 200, expected="200 for topics that exist", observed=reply
        )

    def readers(self, consumers: int = 1) -> tuple[str, str, list[str]]:
        """A topic, a group and so many consumers subscribed to the topic: (topic, group, consumers)."""
        topic, group = self.topic(), self.group()
        return topic, group, [self.consumer(group, topic) for _ in range(consumers)]

    def publish(
        self, topic: str, message: str, key: str | None = KEY, label: str | int | None = None
    ) -> Reply:
        """Store one record."""
        body: dict[str, Any] = {
            "messageID": self.bench.fresh("id") if label is None else label,
            "message": message,
            "timestamp": 0,
        }
        if key is not None:
            body["key"] = key
        reply = self.queue.call(publish_path(topic), body)
        self.bench.judge(
            "PUB-STORE-1", reply.status == 200, expected="200 for a stored record", observed=reply
        )
        return reply

    def poll(self, consumer: str, **extra: Any) -> Reply:
        """One poll."""
        return self.call(POLL, {"consumer_name": consumer, **extra})

    def record(self, consumer: str, clause: str = "POLL-OK-1") -> Delivered:
        """The next record of a consumer for which there is one.

        Polls on until the rebalance that may still be under way has had its time (REBALANCE-1); judges `clause`
        when nothing came by then.
        """
        bound = self.bench.target.timings.rebalance_timeout
        step = min(bound, self.bench.target.timings.heartbeat_timeout) / 4
        deadline = time.monotonic() + bound + self.bench.patience
        passed = 0.0
        while True:
            reply = self.poll(consumer)
            if reply.status == 200 or refused(reply):
                break
            if passed > bound or time.monotonic() > deadline:
                break
            if self.bench.declares("virtual-clock"):
                self.keep_alive()
                self.pass_time(step)
                passed += step
        self.bench.judge(
            clause,
            reply.status == 200,
            expected="200 with a record that the consumer has to get",
            observed=reply,
        )
        return self.delivered(reply)

    def delivered(self, reply: Reply) -> Delivered:
        """The record in a poll's 200."""
        body = reply.body if isinstance(reply.body, dict) else {}
        inner = body.get("message")
        shaped = (
            isinstance(inner, dict)
            and isinstance(inner.get("message"), str)
            and isinstance(inner.get("topicName"), str)
            and (inner.get("key") is None or isinstance(inner.get("key"), str))
            and "messageId" in body
        )
        self.bench.judge(
            "POLL-OK-1",
            shaped,
            expected='{"messageId": …, "message": {"message": string, "key": string or null, "topicName": string, …}}',
            observed=reply,
        )
        return Delivered(body["messageId"], inner["message"], inner.get("key"), inner["topicName"], body)

    def nothing(self, consumer: str, clause: str, expected: str) -> None:
        """Judge that some polls of the consumer give no record."""
        for _ in range(FRUITLESS_POLLS):
            reply = self.poll(consumer)
            if not self.bench.judge(clause, reply.status != 200, expected=expected, observed=reply):
                return

    def acknowledge(self, consumer: str, message_id: object) -> None:
        """Acknowledge a record that the consumer holds."""
        reply = self.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": message_id})
        self.bench.judge(
            "ACK-OK-1",
            reply.status == 202,
            expected="202 for the record that the consumer holds",
            observed=reply,
        )

    def drain(self, consumer: str, count: int, clause: str = "DELIVER-1") -> list[Delivered]:
        """The next `count` records, each acknowledged as it comes."""
        records = []
        for _ in range(count):
            record = self.record(consumer, clause)
            self.acknowledge(consumer, record.message_id)
            records.append(record)
        return records

    def heartbeat(self, consumer: str) -> Reply:
        """One heartbeat, whatever comes of it."""
        return self.call(HEARTBEAT, {"consumer_name": consumer})

    def keep_alive(self, *but: str) -> None:
        """A heartbeat of every consumer of this scene but those."""
        for members in self._members.values():
            for name in members:
                if name not in but:
                    self.heartbeat(name)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the groups of this scene."""
        self.bench.pass_time(seconds, groups=list(self._members))
