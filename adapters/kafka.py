"""Adapter for Apache Kafka, through confluent-kafka.

--mode subscribe: members of a consumer group; the broker shares out the partitions. Offsets are committed one after the
other, after each record was processed (`enable.auto.commit` false, synchronous commits):
https://kafka.apache.org/documentation/#consumerconfigs, "Manual Offset Control" in the documentation of KafkaConsumer.

--mode assign: manual assignment. Nobody but the adapter shares out the partitions: at each join, leave and cut it gives
them to the members in turn, as a tool for deployments would. Each member starts at the committed offset, and commits
under the group's name. The broker protects no member from another one.

    pip install confluent-kafka
    python -m conformance --adapter "python adapters/kafka.py --bootstrap 127.0.0.1:9092 --mode subscribe"
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

from common import EngineAdapter, parser
from missing import needs

from conformance.adapters.serving import Failed, NoAnswer, Refused, serve

with needs("confluent-kafka"):
    from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition, libversion
    from confluent_kafka.admin import AdminClient, NewTopic

if TYPE_CHECKING:
    import argparse

    from confluent_kafka import Message

ANSWER_SECONDS = 20.0
#: Errors by which a broker refuses the commit of a member that is not in the group, or not in its present generation.
_NOT_A_MEMBER = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        # Errors of the client itself: nothing is assigned, so that nothing is sent.
        KafkaError._NO_OFFSET,
        KafkaError._STATE,
    }
)


class KafkaMember:
    """A consumer of a group."""

    def __init__(self, options: argparse.Namespace, consumer: str, group: str, topics: list[str]) -> None:
        self.options = options
        self.consumer = Consumer(
            {
                "bootstrap.servers": options.bootstrap,
                "client.id": consumer,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "session.timeout.ms": int(options.session_timeout * 1000),
                "heartbeat.interval.ms": int(options.session_timeout * 1000 / 3),
                "max.poll.interval.ms": 60_000,
                "fetch.wait.max.ms": 100,
                "log_level": 0,
            }
        )
        self.topics = topics
        #: Records that the twin was to give back, and keeps.
        self.kept: set[str] = set()
        if options.broken == "two-owners":
            self.assign([[topic, number] for topic in topics for number in range(self._partitions(topic))])
        elif options.mode == "subscribe":
            self.consumer.subscribe(topics)

    def _partitions(self, topic: str) -> int:
        return len(self.consumer.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic].partitions)

    def assign(self, partitions: list[list[Any]]) -> None:
        """Read these pairs of topic and partition from their committed offsets on; what was read before is left."""
        self.consumer.assign([TopicPartition(topic, number) for topic, number in partitions])

    def poll(self, wait: float, most: int) -> dict[str, Any]:
        """One record, or none."""
        message = self.consumer.poll(wait)
        if message is None:
            return {"records": []}
        if message.error() is not None:
            raise Failed(str(message.error()))
        record = _record(message)
        if self.options.broken == "commit-first":
            self._commit(record)
        return {"records": [record]}

    def acknowledge(self, record: dict[str, Any]) -> None:
        """Commit the offset behind the record, and wait for the broker's answer."""
        if record["id"] in self.kept:
            raise Refused("the record was given back")
        if self.options.broken != "commit-first":
            self._commit(record)

    def give_back(self, record: dict[str, Any]) -> None:
        """Seek to the record, so that the next poll of this consumer returns it again."""
        if self.options.broken == "keep-given-back":
            self.kept.add(record["id"])
            return
        place = TopicPartition(record["topic"], record["partition"], record["offset"])
        try:
            self.consumer.seek(place)
        except KafkaException as error:
            raise Refused(f"the partition is not assigned to this consumer: {error}") from error

    def leave(self) -> None:
        """Close the consumer: it leaves its group, which shares its partitions out at once."""
        if self.options.broken != "keep-given-back":
            self.consumer.close()

    def idle(self) -> None:
        """Nothing is needed between requests: threads of the client send heartbeats."""

    def _commit(self, record: dict[str, Any]) -> None:
        place = TopicPartition(record["topic"], record["partition"], record["offset"] + 1)
        try:
            answers = self.consumer.commit(offsets=[place], asynchronous=False)
        except KafkaException as error:
            _raise(error.args[0])
        for answer in answers:
            if answer.error is not None:
                _raise(answer.error)


class Kafka(EngineAdapter):
    """A Kafka broker, topics and consumer groups."""

    name = "Apache Kafka"

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options, KafkaMember)
        self.name = f"Apache Kafka, {options.mode}"
        self.version = f"librdkafka {libversion()[0]}"
        self.admin = AdminClient({"bootstrap.servers": options.bootstrap, "log_level": 0})
        self.producer = Producer(
            {
                "bootstrap.servers": options.bootstrap,
                "enable.idempotence": True,
                "linger.ms": 0,
                "delivery.timeout.ms": 15_000,
                "log_level": 0,
            }
        )
        #: Members in the order of their joins, by group: only for the mode assign.
        self.sharing: dict[str, list[tuple[str, list[str]]]] = {}
        self.lock = threading.Lock()
        self.topics: dict[str, int] = {}
        self.facts = _subscribed(options) if options.mode == "subscribe" else _assigned(options)

    def create_topic(self, topic: str, partitions: int) -> dict[str, Any]:
        """Make the topic, with one replica."""
        made = self.admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])
        made[topic].result(ANSWER_SECONDS)
        self.topics[topic] = partitions
        return {"partitions": partitions}

    def publish(self, topic: str, text: str, key: str | None) -> dict[str, Any]:
        """Send one record with acks=all, and wait for its delivery report."""
        reports: list[tuple[KafkaError | None, Message]] = []
        done = threading.Event()

        def report(error: KafkaError | None, message: Message) -> None:
            reports.append((error, message))
            done.set()

        self.producer.produce(topic, text, key, on_delivery=report)
        self.producer.flush(ANSWER_SECONDS)
        if not done.wait(1.0):
            raise NoAnswer("no delivery report came")
        error, message = reports[0]
        if error is not None:
            raise NoAnswer(f"the record was not delivered: {error}")
        return {"partition": message.partition(), "offset": message.offset()}

    def join(self, consumer: str, group: str, topics: list[str]) -> None:
        """Start a member; in the mode assign the partitions are shared out anew."""
        super().join(consumer, group, topics)
        self._share(group, consumer, topics)

    def leave(self, consumer: str) -> None:
        """Leave the group."""
        super().leave(consumer)
        self._drop(consumer)

    def cut(self, consumer: str) -> None:
        """Kill the process."""
        super().cut(consumer)
        self._drop(consumer)

    def answers(self) -> None:
        """Ask for the brokers and the coordinator of some group."""
        self.admin.list_topics(timeout=2.0)

    def _share(self, group: str, consumer: str, topics: list[str]) -> None:
        """Add a member to the group, and give each its partitions, in turn."""
        if self.options.mode != "assign" or self.options.broken == "two-owners":
            return
        with self.lock:
            members = self.sharing.setdefault(group, [])
            if topics:
                members.append((consumer, topics))
            else:
                members[:] = [one for one in members if one[0] != consumer]
            for number, (member, read) in enumerate(members):
                places = [(topic, n) for topic in read for n in range(self.topics[topic])]
                # A member that is gone is dropped by its own cut, which shares out once more.
                with contextlib.suppress(Refused, Failed, NoAnswer):
                    self._member(member).ask("assign", ANSWER_SECONDS, places[number :: len(members)])

    def _drop(self, consumer: str) -> None:
        for group, members in list(self.sharing.items()):
            if any(one[0] == consumer for one in members):
                self._share(group, consumer, [])


def _subscribed(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "timings": {
            "heartbeat_timeout": options.session_timeout,
            # The coordinator removes a member at its session timeout; the others learn of it by their next heartbeats.
            "eviction_grace": options.session_timeout / 3,
            "rebalance_hold": 0,
            "rebalance_limit": options.session_timeout,
            "slack": options.slack,
        },
        "tells": ["positions"],
        "background_heartbeats": True,
        "promises": [
            "order-within-partition",
            "order-by-key",
            "at-least-once",
            "no-phantom",
            "one-owner-at-a-time",
            "redelivered-before-its-successors",
            "start-at-the-oldest",
            "true-marks",
        ],
    }


def _assigned(options: argparse.Namespace) -> dict[str, Any]:
    return {
        # The partitions are shared out within the request to join or to leave. Nobody is put out for silence.
        "timings": {"rebalance_hold": 0, "rebalance_limit": 0, "slack": options.slack},
        "tells": ["positions"],
        "promises": [
            "order-within-partition",
            "order-by-key",
            "at-least-once",
            "no-phantom",
            # Kafka does not promise this here; the tool that shares the partitions out does.
            "one-owner-at-a-time",
            "redelivered-before-its-successors",
            "start-at-the-oldest",
            "true-marks",
        ],
    }


def _record(message: Message) -> dict[str, Any]:
    key = message.key()
    place = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
    return {
        "id": f"{message.topic()}/{message.partition()}/{message.offset()}",
        "text": (message.value() or b"").decode(),
        "key": None if key is None else key.decode(),
        **place,
    }


def _raise(error: KafkaError) -> None:
    """Raise the outcome of a commit that failed."""
    if error.code() in _NOT_A_MEMBER:
        raise Refused(str(error))
    raise Failed(str(error))


def main() -> int:
    """Serve the adapter on standard input and output; returns the exit status, 2 if there is no broker."""
    made = parser("kafka", __doc__)
    made.add_argument(
        "--bootstrap", default="127.0.0.1:9092", metavar="HOST:PORT", help="a broker (default: %(default)s)"
    )
    made.add_argument(
        "--mode", choices=["subscribe", "assign"], default="subscribe", help="default: %(default)s"
    )
    made.add_argument(
        "--session-timeout",
        type=float,
        default=6.0,
        metavar="SECONDS",
        help="session.timeout.ms; at least group.min.session.timeout.ms of the broker (default: %(default)s)",
    )
    options = made.parse_args()
    try:
        adapter = Kafka(options)
        adapter.admin.list_topics(timeout=ANSWER_SECONDS)
    except KafkaException as error:
        print(
            f"no Kafka at {options.bootstrap}: {error}; start one, or name another by --bootstrap",
            file=sys.stderr,
        )
        return 2
    return serve(adapter)


if __name__ == "__main__":
    sys.exit(main())
