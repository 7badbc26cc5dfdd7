"""What most examples begin with: topics, groups and consumers of their own, and the way to a next record.

Everything here asks only for unstarred operations and judges the clauses that it relies on, so that a broken
registration is reported as such and not as a broken poll.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.wire.failures import TooSlow

if TYPE_CHECKING:
    from collections.abc import Iterator

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
#: Polls of a server that has nothing to give, before it counts as having nothing.
FRUITLESS_POLLS = 2
#: Just past a deadline, in seconds: at the deadline itself a float may fall on either side.
MARGIN = 0.001
#: What a real clock may be late by, in seconds, on a machine that has nothing else to do.
SLACK = 0.25
HIGHEST_ID = 2**63 - 1
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25
_SHOWN = 300


def publish_path(topic: str) -> str:
    """The operation that publishes to a topic."""
    return f"/producer/publish/{topic}"


def refused(reply: Reply) -> bool:
    """Whether the status is of the class 4xx: what every refusal has in common."""
    return 400 <= reply.status < 500


def failed(reply: Reply) -> bool:
    """Whether a publish was refused: 4xx, or 507 for want of room."""
    return refused(reply) or reply.status == 507


def unused_id(record: Delivered) -> int:
    """An id that is none of the records near this one, and within what an id can be."""
    far = 1_000_000_007
    return record.message_id - far if record.message_id > HIGHEST_ID - far else record.message_id + far


@dataclass(frozen=True)
class Delivered:
    """A record as a poll handed it out."""

    message_id: int
    message: str
    key: str | None
    topic: str
    whole: dict[str, Any]


class Scene:
    """Topics, groups and consumers with fresh names, in the binding of the test."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.queue = bench.queue()
        self.timings = bench.target.timings
        self.members: dict[str, list[str]] = {}
        """The consumers that were registered here, by group."""
        self._silent: set[str] = set()
        self._kept_alive = time.monotonic()
        self._signs: dict[str, float] = {}

    def call(self, path: str, body: object) -> Reply:
        """Perform one operation, whatever comes of it.

        Raises TooSlow where a consumer may have been evicted only because this machine took so long.
        """
        is_late = time.monotonic() > self._kept_alive + self.timings.heartbeat_timeout / 4
        if is_late and not self.bench.clock.is_virtual:
            # A slow machine may take so long for a test that its members would be evicted meanwhile.
            self.keep_alive()
        began = time.monotonic()
        reply = self.queue.call(path, body)
        shown = repr(body)
        self.bench.step(f"{path} {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'} -> {reply}")
        if not self.bench.clock.is_virtual and isinstance(body, dict):
            self._note_sign(body.get("consumer_name"), began, reply)
        return reply

    def _note_sign(self, consumer: object, began: float, reply: Reply) -> None:
        """Keep the times of signs of life: who gave none for too long, unless on purpose, was let down by us."""
        if not isinstance(consumer, str) or consumer in self._silent:
            return
        if not refused(reply):
            self._signs[consumer] = began
            return
        silence = time.monotonic() - self._signs.get(consumer, began)
        if silence >= self.timings.heartbeat_timeout:
            raise TooSlow(
                f"this machine kept a consumer from its heartbeats for {silence:.1f} s, which is too long"
            )

    # What there is

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
        self.members[name] = []
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
        self.members.setdefault(group, []).append(name)
        if topics:
            self.subscribe(name, *topics)
        return name

    def subscribe(self, consumer: str, *topics: str) -> None:
        """Subscribe a consumer to topics that exist."""
        reply = self.call(SUBSCRIBE, {"consumer_name": consumer, "topic_list": ",".join(topics)})
        self.bench.judge(
            "MEMBER-SUBSCRIBE-1", reply.status == 200, expected="200 for topics that exist", observed=reply
        )

    def unsubscribe(self, consumer: str, *topics: str) -> None:
        """Let a consumer give up topics."""
        reply = self.call(UNSUBSCRIBE, {"consumer_name": consumer, "topic_list": ",".join(topics)})
        self.bench.judge(
            "MEMBER-UNSUBSCRIBE-1", reply.status == 202, expected="202 for topics that exist", observed=reply
        )

    def readers(self, consumers: int = 1) -> tuple[str, str, list[str]]:
        """A topic, a group and so many consumers subscribed to the topic: (topic, group, consumers)."""
        topic, group = self.topic(), self.group()
        return topic, group, [self.consumer(group, topic) for _ in range(consumers)]

    # Records

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
        reply = self.call(publish_path(topic), body)
        self.bench.judge(
            "PUB-STORE-1", reply.status == 200, expected="200 for a stored record", observed=reply
        )
        return reply

    def position(self, reply: Reply) -> tuple[int, int]:
        """Partition and offset in the reply to a publish (extension record-position)."""
        body = reply.body if isinstance(reply.body, dict) else {}
        partition, offset = body.get("partition"), body.get("offset")
        told = [n for n in (partition, offset) if isinstance(n, int) and not isinstance(n, bool) and n >= 0]
        self.bench.judge(
            "PUB-POSITION-1",
            len(told) == 2,
            expected="integers from 0 as partition and offset in the reply",
            observed=reply,
        )
        return told[0], told[1]

    def poll(self, consumer: str, **extra: Any) -> Reply:
        """One poll."""
        return self.call(POLL, {"consumer_name": consumer, **extra})

    def record(self, consumer: str, clause: str = "POLL-OK-1") -> Delivered:
        """The next record of a consumer for which there is one.

        Polls on until the rebalance that may still be under way has had its time (REBALANCE-1); judges `clause`
        when nothing came by then.
        """
        for _ in self.attempts():
            reply = self.poll(consumer)
            if reply.status == 200 or (refused(reply) and refused(self.heartbeat(consumer))):
                break
        self.bench.judge(
            clause,
            reply.status == 200,
            expected="200 with a record that the consumer has to get",
            observed=reply,
        )
        return self.delivered(reply)

    def next(self, consumer: str, clause: str) -> Delivered:
        """The record that one poll has to bring, where no rebalance can be under way; judges `clause`."""
        reply = self.poll(consumer)
        self.bench.judge(
            clause, reply.status == 200, expected="200 with the record that is free", observed=reply
        )
        return self.delivered(reply)

    def warm_up(self, topic: str, consumer: str, key: str | None = KEY) -> None:
        """Show that the consumer owns the partition of a key: from then on its records come at once."""
        self.publish(topic, "warm-up", key=key)
        self.drain(consumer, 1, "POLL-OK-1")

    def delivered(self, reply: Reply) -> Delivered:
        """The record in a poll's 200."""
        return self.read(reply.body, reply)

    def read(self, item: Any, observed: object) -> Delivered:
        """A record as polls have it in their replies."""
        whole = item if isinstance(item, dict) else {}
        inner = whole.get("message")
        message = inner if isinstance(inner, dict) else {}
        key = message.get("key")
        self.bench.judge(
            "POLL-OK-1",
            isinstance(message.get("message"), str)
            and isinstance(message.get("topicName"), str)
            and (key is None or isinstance(key, str))
            and "messageId" in whole,
            expected='{"messageId": …, "message": {"message": string, "key": string or null, "topicName": string, …}}',
            observed=observed,
        )
        message_id = whole["messageId"]
        self.bench.judge(
            "POLL-OK-2",
            isinstance(message_id, int)
            and not isinstance(message_id, bool)
            and 0 <= message_id <= HIGHEST_ID,
            expected="an integer from 0 to 2**63 - 1 as messageId",
            observed=observed,
        )
        return Delivered(message_id, message["message"], key, message["topicName"], whole)

    def nothing(self, consumer: str, clause: str, expected: str) -> None:
        """Judge that some polls of the consumer give no record."""
        for _ in range(FRUITLESS_POLLS):
            reply = self.poll(consumer)
            if not self.bench.judge(clause, reply.status != 200, expected=expected, observed=reply):
                return

    def sweep(self, *consumers: str) -> list[tuple[str, Delivered]]:
        """Poll each consumer until it gets nothing, without acknowledging: who got what."""
        came: list[tuple[str, Delivered]] = []
        for consumer in consumers:
            ids: set[str] = set()
            while (reply := self.poll(consumer)).status == 200:
                record = self.delivered(reply)
                self.bench.judge(
                    "DELIVER-3",
                    str(record.message_id) not in ids,
                    expected="no record that this consumer holds already",
                    observed=reply,
                )
                ids.add(str(record.message_id))
                came.append((consumer, record))
        return came

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

    # Time

    def attempts(self, *silent: str) -> Iterator[None]:
        """Attempts at something that a rebalance may still delay: until it must be settled (REBALANCE-1).

        Between them time passes, a little more each time, and all consumers of the scene but the `silent` ones send
        heartbeats.
        """
        bound = self.timings.rebalance_timeout
        if self.bench.clock.is_virtual:
            step = min(bound, self.timings.heartbeat_timeout) / 4
            passed = 0.0
            while True:
                yield
                if passed > bound:
                    return
                self.keep_alive(*silent)
                self.pass_time(step)
                passed += step
        deadline = time.monotonic() + bound + SLACK + self.bench.lateness()
        pause = _FIRST_PAUSE
        while True:
            is_last = time.monotonic() > deadline
            yield
            if is_last:
                return
            self.keep_alive(*silent)
            self.pass_time(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def heartbeat(self, consumer: str) -> Reply:
        """One heartbeat, whatever comes of it."""
        return self.call(HEARTBEAT, {"consumer_name": consumer})

    def keep_alive(self, *but: str) -> None:
        """A heartbeat of every consumer of this scene but those, and those that are to be silent."""
        self._kept_alive = time.monotonic()
        for members in self.members.values():
            for name in members:
                if name not in but and name not in self._silent:
                    self.heartbeat(name)

    def now(self, group: str) -> float:
        """The time of a group, in seconds."""
        return self.bench.clock.now(group)

    def wait_until(self, group: str, instant: float, *silent: str) -> None:
        """Let time pass up to an instant of a group's time; all but the `silent` consumers send heartbeats.

        Those stay silent, but for what a test has them do.
        """
        self._silent.update(silent)
        while True:
            self.keep_alive(*silent)
            left = instant - self.now(group)
            if left <= 0:
                return
            self.pass_time(min(left, self.timings.heartbeat_timeout / 4))

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the groups of this scene."""
        self.bench.pass_time(seconds, groups=list(self.members))
