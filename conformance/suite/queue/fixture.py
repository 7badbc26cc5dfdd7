"""Topics, groups and consumers of one test, and the operations on them.

Every method uses only operations that each server has, and judges the clauses that it relies on: a broken registration
is reported as such, and not as a broken poll.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.suite.queue.expectations import expect_status, refused
from conformance.suite.queue.queue_client import KeepAliveClient
from conformance.wire.failures import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.wire.operations import Reply

ADD_TOPIC = "/topic/add-topic"
REMOVE_TOPIC = "/topic/remove-topic"
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
#: Empty polls in a row that count as having no record for the consumer.
EMPTY_POLLS = 2
HIGHEST_ID = 2**63 - 1


def publish_path(topic: str) -> str:
    """Path of the operation that publishes to a topic."""
    return f"/producer/publish/{topic}"


def unused_id(record: DeliveredRecord) -> int:
    """An id within the allowed range, far from that of `record` and of the records near it."""
    far = 1_000_000_007
    return record.message_id - far if record.message_id > HIGHEST_ID - far else record.message_id + far


@dataclass(frozen=True)
class DeliveredRecord:
    """A record as a poll returned it; `whole` is the decoded JSON."""

    message_id: int
    message: str
    key: str | None
    topic: str
    whole: dict[str, Any]

    @property
    def identity(self) -> tuple[int, str]:
        """Id and text: another record under the id of this one is another mistake than this one once more."""
        return self.message_id, self.message


class QueueFixture(KeepAliveClient):
    """Creates topics, groups and consumers with fresh names, in the binding of the test.

    Methods raise Violation if a MUST that they judge fails, and PeerFailure if no reply arrives.
    """

    # Topics, groups and members

    def new_topic(self, **extra: Any) -> str:
        """Add a topic with a fresh name and return the name; judges TOPIC-ADD-1. `extra` are members of the body."""
        return self.new_topic_like("topic", **extra)

    def new_topic_like(self, stem: str, **extra: Any) -> str:
        """Add a topic with a fresh name that begins with `stem`; otherwise as `new_topic`."""
        name = self.bench.fresh(stem)
        reply = self.call(ADD_TOPIC, {"topicName": name, **extra}, promise="TOPIC-ADD-1")
        expect_status(self.bench, reply, 200, "TOPIC-ADD-1", "no topic has this name")
        return name

    def new_group(self) -> str:
        """Add a consumer group with a fresh name and return the name; judges GROUP-ADD-1."""
        name = self.bench.fresh("group")
        reply = self.call(ADD_GROUP, {"consumer_group_name": name}, promise="GROUP-ADD-1")
        expect_status(self.bench, reply, 200, "GROUP-ADD-1", "no group has this name")
        self.members[name] = []
        return name

    def new_consumer(self, group: str, *topics: str) -> str:
        """Register a consumer with a fresh name in `group`, subscribe it to `topics`, and return the name.

        Judges MEMBER-REGISTER-1 and MEMBER-SUBSCRIBE-1.
        """
        name = self.bench.fresh("consumer")
        reply = self.call(
            REGISTER, {"consumer_group_name": group, "consumer_name": name}, promise="MEMBER-REGISTER-1"
        )
        expect_status(self.bench, reply, 200, "MEMBER-REGISTER-1", "no consumer has this name")
        self.members.setdefault(group, []).append(name)
        if topics:
            self.subscribe(name, *topics)
        return name

    def subscribe(self, consumer: str, *topics: str) -> None:
        """Subscribe a consumer to topics that exist; judges MEMBER-SUBSCRIBE-1."""
        reply = self.call(
            SUBSCRIBE,
            {"consumer_name": consumer, "topic_list": ",".join(topics)},
            promise="MEMBER-SUBSCRIBE-1",
        )
        expect_status(self.bench, reply, 200, "MEMBER-SUBSCRIBE-1", "the consumer and the topics exist")

    def unsubscribe(self, consumer: str, *topics: str) -> None:
        """Unsubscribe a consumer from topics that exist; judges MEMBER-UNSUBSCRIBE-1."""
        reply = self.call(
            UNSUBSCRIBE,
            {"consumer_name": consumer, "topic_list": ",".join(topics)},
            promise="MEMBER-UNSUBSCRIBE-1",
        )
        expect_status(self.bench, reply, 202, "MEMBER-UNSUBSCRIBE-1", "the consumer and the topics exist")

    def topic_with_consumers(self, consumers: int = 1) -> tuple[str, str, list[str]]:
        """Add a topic and a group with `consumers` members subscribed to the topic: (topic, group, consumers)."""
        topic, group = self.new_topic(), self.new_group()
        return topic, group, [self.new_consumer(group, topic) for _ in range(consumers)]

    # Records

    def publish(
        self,
        topic: str,
        message: str,
        key: str | None = KEY,
        label: str | int | None = None,
        *,
        by_alias: bool = False,
    ) -> Reply:
        """Publish one record and return the reply; judges PUB-STORE-1. Without `label` the record gets a fresh one.

        With `by_alias` it goes by the other spelling of the path, where the server has to serve both (PUB-ALIAS-1).
        """
        body: dict[str, Any] = {
            "messageID": self.bench.fresh("id") if label is None else label,
            "message": message,
            "timestamp": 0,
        }
        if key is not None:
            body["key"] = key
        by_alias = by_alias and (self.bench.binding == "queue-stomp" or self.bench.declares("http-publish"))
        path, clause = (
            (f"/publish/{topic}", "PUB-ALIAS-1") if by_alias else (publish_path(topic), "PUB-STORE-1")
        )
        reply = self.call(path, body, promise=clause)
        expect_status(self.bench, reply, 200, clause, "the record is valid, and the topic exists")
        return reply

    def position(self, reply: Reply) -> tuple[int, int]:
        """Partition and offset in the reply to a publish (extension record-position); judges PUB-POSITION-1."""
        body = reply.body if isinstance(reply.body, dict) else {}
        partition, offset = body.get("partition"), body.get("offset")
        numbers = [
            n for n in (partition, offset) if isinstance(n, int) and not isinstance(n, bool) and n >= 0
        ]
        self.bench.judge(
            "PUB-POSITION-1",
            len(numbers) == 2,
            expected="integers from 0 as partition and offset in the reply",
            observed=reply,
        )
        return numbers[0], numbers[1]

    def poll(self, consumer: str, **extra: Any) -> Reply:
        """Send one poll and return the reply, whatever its status."""
        return self.call(POLL, {"consumer_name": consumer, **extra})

    def poll_until_record(self, consumer: str, clause: str = "POLL-OK-1") -> DeliveredRecord:
        """Poll until the consumer gets a record, and return the record.

        Repeats empty polls until a rebalance under way must be settled (REBALANCE-1), and judges `clause` by a record
        within that time.
        """
        for _ in self.retry_until_rebalanced():
            reply = self.poll(consumer)
            if reply.status == 200 or (refused(reply) and refused(self.heartbeat(consumer))):
                break
        return self._record_due(reply, clause, "a record is due to this consumer")

    def poll_record(self, consumer: str, clause: str) -> DeliveredRecord:
        """Send one poll and return its record; judges `clause` by a record in the reply.

        No rebalance may be under way.
        """
        reply = self.poll(consumer)
        return self._record_due(reply, clause, "a record is free for this consumer")

    def _record_due(self, reply: Reply, clause: str, because: str) -> DeliveredRecord:
        """Record in the reply to a poll; judges `clause`, and ends the test if there is none, waived or not."""
        if not expect_status(self.bench, reply, 200, clause, because):
            raise Violation(clause, f"200: {because}", reply)
        return self.record_of(reply)

    def confirm_ownership(self, topic: str, consumer: str, key: str | None = KEY) -> None:
        """Deliver one record with this key to the consumer.

        The consumer owns the partition from then on, and gets later records at once.
        """
        self.publish(topic, "warm-up", key=key)
        self.read_and_acknowledge(consumer, 1, "POLL-OK-1")

    def record_of(self, reply: Reply) -> DeliveredRecord:
        """Record in the reply to a poll with status 200; judges POLL-OK-1 and POLL-OK-2."""
        return self.parse_record(reply.body, reply)

    def parse_record(self, item: Any, observed: object) -> DeliveredRecord:
        """Record in the form that replies to polls have; judges POLL-OK-1 and POLL-OK-2, and reports `observed`."""
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

    def expect_no_record(
        self, consumer: str, clause: str, expected: str, acknowledged: Iterable[DeliveredRecord] = ()
    ) -> None:
        """Judge `clause` by polls of the consumer that return no record; one of `acknowledged` breaks ACK-COMMIT-1."""
        for _ in range(EMPTY_POLLS):
            reply = self.poll(consumer)
            if reply.status == 200 and acknowledged:
                self._expect_first_time(self.record_of(reply), {record.identity for record in acknowledged})
            if not self.bench.judge(clause, reply.status != 200, expected=expected, observed=reply):
                return

    def _expect_first_time(self, record: DeliveredRecord, acknowledged: set[tuple[int, str]]) -> None:
        """Judge ACK-COMMIT-1 by `record` being none of those that the same consumer has acknowledged."""
        self.bench.judge(
            "ACK-COMMIT-1",
            record.identity not in acknowledged,
            expected=f"no record a second time after the acknowledgement of {record.message_id}",
            observed=record.whole,
        )

    def poll_all(self, *consumers: str) -> list[tuple[str, DeliveredRecord]]:
        """Poll each consumer until it gets no record, without acknowledging; returns (consumer, record) in order.

        Judges DELIVER-3 by no record being delivered twice to a consumer.
        """
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
        """Acknowledge a record that the consumer holds; judges ACK-OK-1."""
        reply = self.call(
            ACKNOWLEDGE, {"consumer_name": consumer, "message_id": message_id}, promise="ACK-OK-1"
        )
        expect_status(self.bench, reply, 202, "ACK-OK-1", "the consumer holds the record")

    def read_and_acknowledge(
        self, consumer: str, count: int, clause: str = "DELIVER-1"
    ) -> list[DeliveredRecord]:
        """Poll `count` records, acknowledge each before the next poll, and return them; judges `clause`, and
        ACK-COMMIT-1 by none of them coming again.
        """
        records: list[DeliveredRecord] = []
        acknowledged: set[tuple[int, str]] = set()
        for _ in range(count):
            record = self.poll_until_record(consumer, clause)
            self._expect_first_time(record, acknowledged)
            self.acknowledge(consumer, record.message_id)
            acknowledged.add(record.identity)
            records.append(record)
        return records
