"""What most examples begin with: topics, groups and consumers of their own, and the way to a next record.

Everything here asks only for unstarred operations and judges the clauses that it relies on, so that a broken
registration is reported as such and not as a broken poll.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.suite.queue.expectations import expect_status, refused
from conformance.suite.queue.queue_client import KeepAliveClient

if TYPE_CHECKING:
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

#: With one key, all records of a topic lie in one partition.
KEY = "one-key"
#: Polls of a server that has nothing to give, before it counts as having nothing.
EMPTY_POLLS = 2
HIGHEST_ID = 2**63 - 1


def publish_path(topic: str) -> str:
    """The operation that publishes to a topic."""
    return f"/producer/publish/{topic}"


def unused_id(record: DeliveredRecord) -> int:
    """An id that is none of the records near this one, and within what an id can be."""
    far = 1_000_000_007
    return record.message_id - far if record.message_id > HIGHEST_ID - far else record.message_id + far


@dataclass(frozen=True)
class DeliveredRecord:
    """A record as a poll handed it out."""

    message_id: int
    message: str
    key: str | None
    topic: str
    whole: dict[str, Any]


class QueueFixture(KeepAliveClient):
    """Topics, groups and consumers with fresh names, in the binding of the test."""

    # What there is

    def new_topic(self, **extra: Any) -> str:
        """A new topic."""
        name = self.bench.fresh("topic")
        reply = self.call(ADD_TOPIC, {"topicName": name, **extra})
        expect_status(self.bench, reply, 200, "TOPIC-ADD-1", "no topic has this name")
        return name

    def new_group(self) -> str:
        """A new consumer group."""
        name = self.bench.fresh("group")
        reply = self.call(ADD_GROUP, {"consumer_group_name": name})
        expect_status(self.bench, reply, 200, "GROUP-ADD-1", "no group has this name")
        self.members[name] = []
        return name

    def new_consumer(self, group: str, *topics: str) -> str:
        """A new consumer in `group`, subscribed to `topics`."""
        name = self.bench.fresh("consumer")
        reply = self.call(REGISTER, {"consumer_group_name": group, "consumer_name": name})
        expect_status(self.bench, reply, 200, "MEMBER-REGISTER-1", "no consumer has this name")
        self.members.setdefault(group, []).append(name)
        if topics:
            self.subscribe(name, *topics)
        return name

    def subscribe(self, consumer: str, *topics: str) -> None:
        """Subscribe a consumer to topics that exist."""
        reply = self.call(SUBSCRIBE, {"consumer_name": consumer, "topic_list": ",".join(topics)})
        expect_status(self.bench, reply, 200, "MEMBER-SUBSCRIBE-1", "the consumer and the topics exist")

    def unsubscribe(self, consumer: str, *topics: str) -> None:
        """Let a consumer give up topics."""
        reply = self.call(UNSUBSCRIBE, {"consumer_name": consumer, "topic_list": ",".join(topics)})
        expect_status(self.bench, reply, 202, "MEMBER-UNSUBSCRIBE-1", "the consumer and the topics exist")

    def topic_with_consumers(self, consumers: int = 1) -> tuple[str, str, list[str]]:
        """A topic, a group and so many consumers subscribed to the topic: (topic, group, consumers)."""
        topic, group = self.new_topic(), self.new_group()
        return topic, group, [self.new_consumer(group, topic) for _ in range(consumers)]

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
        expect_status(self.bench, reply, 200, "PUB-STORE-1", "the record is valid, and the topic exists")
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

    def poll_until_record(self, consumer: str, clause: str = "POLL-OK-1") -> DeliveredRecord:
        """The next record of a consumer for which there is one.

        Polls on until the rebalance that may still be under way has had its time (REBALANCE-1); judges `clause`
        when nothing came by then.
        """
        for _ in self.retry_until_rebalanced():
            reply = self.poll(consumer)
            if reply.status == 200 or (refused(reply) and refused(self.heartbeat(consumer))):
                break
        expect_status(self.bench, reply, 200, clause, "a record is due to this consumer")
        return self.record_of(reply)

    def poll_record(self, consumer: str, clause: str) -> DeliveredRecord:
        """The record that one poll has to bring, where no rebalance can be under way; judges `clause`."""
        reply = self.poll(consumer)
        expect_status(self.bench, reply, 200, clause, "a record is free for this consumer")
        return self.record_of(reply)

    def confirm_ownership(self, topic: str, consumer: str, key: str | None = KEY) -> None:
        """Show that the consumer owns the partition of a key: from then on its records come at once."""
        self.publish(topic, "warm-up", key=key)
        self.read_and_acknowledge(consumer, 1, "POLL-OK-1")

    def record_of(self, reply: Reply) -> DeliveredRecord:
        """The record in a poll's 200."""
        return self.parse_record(reply.body, reply)

    def parse_record(self, item: Any, observed: object) -> DeliveredRecord:
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
        return DeliveredRecord(message_id, message["message"], key, message["topicName"], whole)

    def expect_no_record(self, consumer: str, clause: str, expected: str) -> None:
        """Judge that some polls of the consumer give no record."""
        for _ in range(EMPTY_POLLS):
            reply = self.poll(consumer)
            if not self.bench.judge(clause, reply.status != 200, expected=expected, observed=reply):
                return

    def poll_all(self, *consumers: str) -> list[tuple[str, DeliveredRecord]]:
        """Poll each consumer until it gets nothing, without acknowledging: who got what."""
        came: list[tuple[str, DeliveredRecord]] = []
        for consumer in consumers:
            ids: set[str] = set()
            while (reply := self.poll(consumer)).status == 200:
                record = self.record_of(reply)
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
        expect_status(self.bench, reply, 202, "ACK-OK-1", "the consumer holds the record")

    def read_and_acknowledge(
        self, consumer: str, count: int, clause: str = "DELIVER-1"
    ) -> list[DeliveredRecord]:
        """The next `count` records, each acknowledged as it comes."""
        records = []
        for _ in range(count):
            record = self.poll_until_record(consumer, clause)
            self.acknowledge(consumer, record.message_id)
            records.append(record)
        return records
