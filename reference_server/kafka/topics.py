"""The operations of the queue on topics: adding, removing, publishing, describing."""

import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from reference_server.kafka.cluster import SHARDS, Cluster
from reference_server.kafka.commands import AddTopic, Forget, RemoveTopic, TakeTurns, TopicRef, encode
from reference_server.kafka.directory import unknown_topic
from reference_server.kafka.log import Appended, OutcomeUnknown, Unavailable
from reference_server.kafka.records import headers_of
from reference_server.queue import requests
from reference_server.queue.bounds import check_range
from reference_server.queue.names import check_name
from reference_server.queue.outcomes import Outcome, refused_record, stored
from reference_server.queue.partitioner import partition_of
from reference_server.queue.refusal import Refusal
from reference_server.queue.topic import Record


class Publication(NamedTuple):
    """A request to publish: the topic of its path, and its body."""

    topic: str
    body: bytes


class _Storing:
    """Records on their way to Kafka."""

    def __init__(self, count: int) -> None:
        self.appended: list[Appended | None] = [None] * count
        self._left = count
        self._ended = threading.Condition()

    def done(self, index: int, appended: Appended) -> None:
        """Take the end of one."""
        with self._ended:
            self.appended[index] = appended
            self._left -= 1
            if not self._left:
                self._ended.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until all have ended, or for so long."""
        with self._ended:
            self._ended.wait_for(lambda: not self._left, seconds)


class TopicOperations:
    """Topics of a cluster. Methods raise Refusal, Unavailable and OutcomeUnknown."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def find(self, name: str, member: str | None = None) -> TopicRef:
        """Return a topic."""
        topic = self._cluster.topic(name)
        if topic is None:
            raise unknown_topic(name, member)
        return topic

    def add(self, name: str, partitions: int) -> TopicRef:
        """Add a topic, with its Kafka topic (TOPIC-ADD-1); 0 partitions: the default."""
        cluster, settings = self._cluster, self._cluster.settings
        check_name(name, "topicName", settings.name_length)
        check_range("partitions", partitions, settings.topic_partitions)
        count = partitions or settings.partitions
        exists = Refusal("topic-exists", f"topic {name!r} exists and stays as it was", "topicName")
        if cluster.topic(name) is not None:
            raise exists
        store = cluster.create_store(name, count)
        try:
            added: TopicRef = cluster.topics_log.run(AddTopic(name, count, store))
        except Refusal:
            cluster.stores.delete([store])
            raise
        return added

    def remove(self, name: str) -> None:
        """Remove a topic: for new requests, then for all groups, then its records (TOPIC-REMOVE-1)."""
        cluster = self._cluster
        removed: TopicRef = cluster.topics_log.run(RemoveTopic(name))
        told = _Storing(SHARDS)
        value = encode(Forget(removed.serial))
        for index in range(SHARDS):

            def done(appended: Appended, index: int = index) -> None:
                told.done(index, appended)

            try:
                cluster.log.append((f"{cluster.name}.groups", index), value, done)
            except Unavailable as error:
                raise OutcomeUnknown(str(error)) from None
        told.wait(cluster.log.timeout + 1)
        if any(each is None or each.error for each in told.appended):
            raise OutcomeUnknown("not all groups were told of the removal")
        cluster.stores.delete([removed.store])
        cluster.forget_ends(removed)

    def describe(self, name: str) -> bytes:
        """Introspection of a topic, or of all of them for "" (INTRO-TOPIC-1, INTRO-TOPICS-1)."""
        cluster = self._cluster
        cluster.topics_log.catch_up()
        with cluster.topics_log.lock:
            topics = list(cluster.topics.by_name.values()) if not name else [self.find(name)]
        cluster.ask_ends((ref, index) for ref in topics for index in range(ref.partitions))
        documents = [self.document(ref) for ref in topics]
        return msgspec.json.encode(documents[0] if name else {"topics": documents})

    def document(self, ref: TopicRef) -> dict[str, Any]:
        """The description of a topic, by the ends that this node knows."""
        ends, brokers = self._cluster.ends, self._cluster.settings.brokers
        return {
            "topicName": ref.name,
            "partitions": [
                {
                    "partition": index,
                    "name": f"{ref.name}-P{index}",
                    "broker": f"broker{index % brokers}",
                    "oldestOffset": 0,
                    "endOffset": ends.get((ref.serial, index), 0),
                }
                for index in range(ref.partitions)
            ],
        }

    # Publishing

    def publish(
        self, publications: Sequence[Publication], now: float, ends: Sequence[bool] = ()
    ) -> list[Outcome | Exception]:
        """Store records, in this order in each partition (PUB-STORE-1); one outcome for each, or its exception.

        `now` is the time in seconds of records that have none. Those after a refused one of the `ends` are left out.
        """
        outcomes: list[Outcome | Exception | None] = [None] * len(publications)
        ready: dict[int, tuple[TopicRef, Record]] = {}
        for index, (name, body) in enumerate(publications):
            try:
                record = requests.published_record(body, now)
                ready[index] = self.find(name), record
            except Refusal as refusal:
                outcomes[index] = self._failed(name, requests.label_of(body), refusal)
                if ends and ends[index]:
                    del outcomes[index + 1 :]
                    break
            except Unavailable as error:
                outcomes[index] = error
        partitions = self._choose(ready, outcomes)
        storing = _Storing(len(partitions))
        for place, (index, partition) in enumerate(partitions.items()):
            outcomes[index] = self._store(*ready[index], partition, place, storing)
        storing.wait(self._cluster.log.timeout + 1)
        for (index, partition), appended in zip(partitions.items(), storing.appended, strict=True):
            if outcomes[index] is None:
                outcomes[index] = self._outcome(publications[index], ready[index], partition, appended)
        return [each if each is not None else OutcomeUnknown("no outcome") for each in outcomes]

    def _choose(
        self, ready: dict[int, tuple[TopicRef, Record]], outcomes: list[Outcome | Exception | None]
    ) -> dict[int, int]:
        """Return the partition of each record; records without a key take turns, on all nodes together (PART-RR-1)."""
        turns: dict[int, list[int]] = {}
        chosen: dict[int, int] = {}
        for index, (topic, record) in ready.items():
            if record.key:
                chosen[index] = partition_of(record.key, topic.partitions)
            elif topic.partitions == 1:
                chosen[index] = 0
            else:
                turns.setdefault(topic.serial, []).append(index)
        for serial, indexes in turns.items():
            count = ready[indexes[0]][0].partitions
            try:
                first = self._cluster.topics_log.run(TakeTurns(serial, len(indexes)))
            except (Refusal, Unavailable, OutcomeUnknown) as error:
                for index in indexes:
                    # Nothing was stored: a turn that was lost is no harm.
                    outcomes[index] = (
                        self._failed(ready[index][0].name, ready[index][1].label, error)
                        if isinstance(error, Refusal)
                        else Unavailable(str(error))
                    )
                continue
            chosen |= {index: (first + step) % count for step, index in enumerate(indexes)}
        return dict(sorted(chosen.items()))

    def _store(
        self, topic: TopicRef, record: Record, partition: int, number: int, storing: _Storing
    ) -> Exception | None:
        cluster = self._cluster
        place = topic.store, partition

        def done(appended: Appended) -> None:
            if appended.error is None:
                cluster.reader.cache.put(place, appended.offset, record)
                cluster.note_end(topic.serial, partition, appended.offset + 1)
            storing.done(number, appended)

        key = None if record.key is None else record.key.encode()
        try:
            cluster.log.append(place, record.message.encode(), done, key=key, headers=headers_of(record))
        except Unavailable as error:
            storing.done(number, Appended(0, 0.0))
            return error
        return None

    def _outcome(
        self,
        publication: Publication,
        ready: tuple[TopicRef, Record],
        partition: int,
        appended: Appended | None,
    ) -> Outcome | Exception:
        topic, record = ready
        if appended is None:
            self._cluster.log.note_silence((topic.store, partition))
            return OutcomeUnknown("Kafka did not say whether it has the record")
        if appended.error is not None:
            try:
                self._cluster.topics_log.catch_up()
            except Unavailable:
                return OutcomeUnknown(appended.error.str())
            if topic.serial not in self._cluster.topics.by_serial:
                if topic.name in self._cluster.topics.by_name:  # another one was added since
                    return self.publish([publication], time.time())[0]
                return self._failed(topic.name, record.label, unknown_topic(topic.name))
            return OutcomeUnknown(appended.error.str())
        return stored(topic.name, partition, appended.offset, record)

    def _failed(self, name: str, label: str | int | None, refusal: Refusal) -> Outcome:
        outcome = refused_record(name, label, refusal)
        assert outcome.acknowledgement is not None
        self._cluster.tell_refusal(name, outcome.acknowledgement.body)
        return outcome
