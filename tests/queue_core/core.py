"""The pure queue as tests use it: operations by path and body, a manual clock, a snapshot of all state."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.operations import Operations
from reference_server.queue.settings import QueueSettings

if TYPE_CHECKING:
    from reference_server.queue.outcomes import Outcome


@dataclass(frozen=True)
class Reply:
    """The outcome of an operation; `body` is decoded JSON, or None."""

    status: int
    body: Any
    outcome: Outcome

    @property
    def cause(self) -> str:
        """The last part of a problem's type."""
        return str(self.body["type"]).rpartition(":")[2]


def read(outcome: Outcome) -> Reply:
    """Decode an outcome."""
    return Reply(outcome.status, json.loads(outcome.body) if outcome.body else None, outcome)


@dataclass
class Core:
    """A broker with its operations; `now` is the queue's time, `wall` that of long polls, both in seconds."""

    settings: QueueSettings = field(default_factory=QueueSettings)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.broker = QueueBroker(self.settings)
        self.wall = 0.0
        self.operations = Operations(self.broker, lambda: self.wall)
        self._labels = 0

    def raw(self, path: str, body: bytes) -> Reply:
        """Perform an operation with exactly this body."""
        outcome = self.operations.perform(path, body, now=self.now)
        assert outcome is not None
        return read(outcome)

    def ask(self, path: str, **members: Any) -> Reply:
        """Perform an operation with a body of these members."""
        return self.raw(path, json.dumps(members).encode())

    def do(self, path: str, **members: Any) -> Any:
        """Perform an operation that must succeed; returns its body."""
        reply = self.ask(path, **members)
        assert 200 <= reply.status < 300, reply
        return reply.body

    def pass_time(self, seconds: float) -> None:
        """Advance the clock and let the timers run."""
        self.now += seconds

    # Shorthands for the steps that most tests need.

    def topic(self, name: str, partitions: int = 1) -> None:
        self.do("/topic/add-topic", topicName=name, partitions=partitions)

    def publish(self, topic: str, message: str = "m", key: str | None = None) -> tuple[int, int]:
        """Publish; returns partition and offset."""
        self._labels += 1
        body = self.do(f"/producer/publish/{topic}", messageID=f"l{self._labels}", message=message, key=key)
        return body["partition"], body["offset"]

    def fill(self, topic: str, partitions: int, each: int) -> None:
        """Publish `each` records to each partition, named P0-0, P1-0, … by place and offset."""
        for offset in range(each):
            for index in range(partitions):
                assert self.publish(topic, f"P{index}-{offset}") == (index, offset)

    def join(self, group: str, name: str, *topics: str) -> None:
        """Add the group, register the consumer and subscribe it."""
        self.do("/consumer-group/add", consumer_group_name=group)
        self.do("/consumer/register-consumer", consumer_group_name=group, consumer_name=name)
        if topics:
            self.subscribe(name, *topics)

    def subscribe(self, name: str, *topics: str) -> None:
        self.do("/consumer/subscribe-topic", consumer_name=name, topic_list=",".join(topics))

    def unsubscribe(self, name: str, *topics: str) -> None:
        self.do("/consumer/unsubscribe-topic", consumer_name=name, topic_list=",".join(topics))

    def poll(self, name: str) -> Any:
        """Poll; returns the record, None if there was none."""
        reply = self.ask("/consumer/poll", consumer_name=name)
        assert reply.status in {200, 204}, reply
        return reply.body

    def drain(self, name: str) -> list[Any]:
        """Poll without acknowledging until a poll is empty."""
        records = []
        while (record := self.poll(name)) is not None:
            records.append(record)
        return records

    def acknowledge(self, name: str, record: Any) -> Reply:
        return self.ask("/consumer/acknowledgement", consumer_name=name, message_id=record["messageId"])

    def give_back(self, name: str, record: Any) -> Reply:
        return self.ask(
            "/consumer/negative-acknowledgement", consumer_name=name, message_id=record["messageId"]
        )

    def beat(self, name: str) -> int:
        return self.ask("/consumer/heartbeat", consumer_name=name).status

    # Inspection of state.

    def group(self, name: str) -> Any:
        """The introspection document of a group."""
        return read(self.operations.read(f"/consumer-groups/{name}", now=self.now)).body

    def owners(self, group: str, topic: str) -> list[str | None]:
        """The owner of each partition of a topic."""
        return [row["consumer_name"] for row in self.group(group)["assignment"] if row["topicName"] == topic]

    def committed(self, group: str) -> list[int]:
        """The committed offsets, by topic and partition."""
        return [row["committed"] for row in self.group(group)["assignment"]]

    def picture(self) -> Any:
        """All state except signs of life, which a refused operation may change."""
        broker = self.broker
        return {
            "topics": {
                topic.name: (
                    topic.partition_bytes,
                    topic.partition_for(None).index,
                    [(p.name, p.broker, list(p.records), list(p.ids), p.octets) for p in topic.partitions],
                )
                for topic in broker.topics.values()
            },
            "groups": {
                group.name: (
                    group.clock_offset,
                    {name: (sorted(m.topics), list(m.held), m.waiting) for name, m in group.members.items()},
                    {
                        topic: [
                            (
                                cursor.committed,
                                cursor.handed,
                                cursor.in_flight,
                                cursor.overdue,
                                cursor.owner and cursor.owner.name,
                                cursor.next_owner and cursor.next_owner.name,
                            )
                            for cursor in cursors
                        ]
                        for topic, cursors in group.cursors.items()
                    },
                )
                for group in broker.groups.values()
            },
            "consumers": {name: consumer.group.name for name, consumer in broker.consumers.items()},
            "counts": (broker.budget.used, broker.room.records, broker._partitions, broker._cursors),
        }


def texts(records: list[Any]) -> list[str]:
    """The messages of records."""
    return [record["message"]["message"] for record in records]
