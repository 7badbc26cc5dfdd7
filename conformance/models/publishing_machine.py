"""State machine of publishing: order in each partition, the partitioner, and producers' acknowledgements."""

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from conformance.models.machines import ModelMachine, counted_rule
from conformance.models.producers import SPELLINGS, ProducerAcknowledgements
from conformance.models.request_forms import FORM_SEEDS

if TYPE_CHECKING:
    from conformance.models.topics import Record

KEYS = ("a", "b", "c", "key four", "Schlüssel", "0", None, "")
BAD_BODIES = (
    {"key": "a", "message": "no label", "timestamp": 0},
    {"messageID": "no message", "key": "a", "timestamp": 0},
    {"messageID": "wrong", "message": 7, "timestamp": 0},
    {"messageID": ["wrong"], "message": "label", "timestamp": 0},
)
_MOST_TOPICS = 4
_GREATEST_LAG = 24
_BIT = st.integers(0, 7)


class PublishingMachine(ModelMachine):
    """Up to four topics with producers; one group whose only consumer reads all of them."""

    STATES = ("empty", "waiting", "in flight")

    @initialize(partitions=st.integers(1, 5), forms=FORM_SEEDS)
    def start(self, partitions: int, forms: int) -> None:
        """Two topics, watched under both spellings; a group whose only consumer reads them."""
        self.driver.take_forms(forms)
        self.guarded(PublishingMachine._start, partitions=partitions)

    def _start(self, partitions: int) -> None:
        driver, system = self.driver, self.system
        self.topics: list[str] = []
        self.watched: dict[str, list[ProducerAcknowledgements]] = {}
        self.group, self.reader = system.fresh("group"), system.fresh("reader")
        driver.add_group(self.group)
        driver.register(self.group, self.reader)
        self._add_topic(partitions)
        self._add_topic(None)
        driver.settle(self.group)
        self.ready = True

    def _add_topic(self, partitions: int | None) -> None:
        topic = self.system.fresh("topic")
        self.driver.add_topic(topic, partitions)
        self.topics.append(topic)
        self.watched[topic] = []
        for spelling in SPELLINGS:
            watch = self.system.watch(f"/topic/{spelling}/{topic}")
            if watch is not None:
                over_http = self.system.publishes_over_http
                self.watched[topic].append(
                    ProducerAcknowledgements(self.system.judge, watch, topic, spelling, over_http=over_http)
                )
        self.driver.subscribe(self.reader, topic)

    def state(self) -> str:
        """Class of state by the records that the group has not acknowledged."""
        group = self.driver.model.groups[self.group]
        if any(cursor.in_flight for cursor in group.cursors.values()):
            return "in flight"
        return "waiting" if any(cursor.uncommitted for cursor in group.cursors.values()) else "empty"

    def _topic(self, index: int) -> str:
        return self.topics[index % len(self.topics)]

    def _publish(self, topic: str, key: str | None, number: int) -> "Record | None":
        label = f"{topic}/{number % 3}"
        record = self.driver.publish(topic, key, label)
        for watch in self.watched[topic]:
            watch.expect_ack(label)
        return record

    def _expect_nothing_elsewhere(self, topic: str) -> None:
        for other in self.topics:
            if other != topic:
                for watch in self.watched[other]:
                    watch.expect_nothing()

    @counted_rule(topic=_BIT, key=st.sampled_from(KEYS), number=_BIT)
    def publish(self, topic: int, key: str | None, number: int) -> None:
        """Publish one record; labels recur on purpose."""
        self._publish(self._topic(topic), key, number)
        self._expect_nothing_elsewhere(self._topic(topic))

    @counted_rule(topic=_BIT, keys=st.lists(st.sampled_from(KEYS), min_size=2, max_size=8))
    def publish_several(self, topic: int, keys: list[str | None]) -> None:
        """Publish several records, after reading everything if many are uncommitted."""
        if self.driver.lag(self.group, self._topic(topic)) > _GREATEST_LAG:
            self._read_everything()
        for number, key in enumerate(keys):
            self._publish(self._topic(topic), key, number)

    @counted_rule(topic=_BIT, body=st.sampled_from(BAD_BODIES))
    def publish_badly(self, topic: int, body: dict[str, object]) -> None:
        """A refused publish: producers receive FAILED, and nothing is stored."""
        self.driver.publish_badly(self._topic(topic), body)
        for watch in self.watched[self._topic(topic)]:
            watch.expect_failed()

    @counted_rule(key=st.sampled_from(KEYS))
    def publish_nowhere(self, key: str | None) -> None:
        """A publish to an unknown topic brings no acknowledgement to other topics."""
        self.driver.publish(self.system.fresh("nowhere"), key)
        self._expect_nothing_elsewhere("")

    @counted_rule(topic=_BIT)
    def add_topic_again(self, topic: int) -> None:
        """Adding an existing topic with another number of partitions is refused and changes nothing."""
        self.driver.add_topic(self._topic(topic), 7)

    @counted_rule(lambda self: len(self.topics) < _MOST_TOPICS, partitions=st.integers(1, 6))
    def add_another_topic(self, partitions: int) -> None:
        """A new topic leaves the keys of other topics in their partitions."""
        self._publish(self.topics[0], "a", 0)
        self._add_topic(partitions)
        self._publish(self.topics[0], "a", 1)
        self.driver.settle(self.group)

    @counted_rule()
    def poll(self) -> None:
        """Poll once."""
        self.driver.poll(self.reader)

    @counted_rule()
    def acknowledge_oldest(self) -> None:
        """The reader acknowledges its oldest record in flight, after a poll if it has none."""
        in_flight = self.driver.in_flight_with(self.reader) or self.driver.poll(self.reader)
        if in_flight:
            self.driver.acknowledge(self.reader, in_flight[0].message_id)

    @counted_rule()
    def read_everything(self) -> None:
        """The reader reads and acknowledges all records, each partition in its order."""
        self._read_everything()

    @counted_rule(topic=_BIT)
    def acknowledged_means_there(self, topic: int) -> None:
        """PUB-ACK-5: a poll after the producer's acknowledgement returns the record."""
        self._read_everything()
        record = self._publish(self._topic(topic), None, 0)
        cursor = self.driver.model.groups[self.group].cursors.get(self._topic(topic))
        if self.watched[self._topic(topic)] and record is not None and cursor is not None:
            cursor.suspects[record.number] = "PUB-ACK-5"
        self.driver.poll(self.reader)

    @counted_rule(topic=_BIT)
    def spread(self, topic: int) -> None:
        """PART-RR-1: as many keyless records as there are partitions can all be in flight at once."""
        partitions = self.driver.model.topics[self._topic(topic)].partition_classes.partitions
        if partitions is None:
            return
        self._read_everything()
        for number in range(partitions):
            self._publish(self._topic(topic), None, number)
        came = 0
        while came < partitions:
            settled = self.driver.is_settled(self.group)
            if fresh := self.driver.poll(self.reader):
                came += len(fresh)
            elif settled:
                break
            else:
                self.driver.wait_for_rebalance(self.group)
        self.system.judge(
            "PART-RR-1",
            came == partitions or not self._reader_is_there(),
            expected=f"{partitions} keyless records in a row in {partitions} partitions: all in flight",
            observed=f"{came} polls brought a record, the next none",
        )

    @counted_rule()
    def late_group(self) -> None:
        """A new group reads everything from the oldest record on (POLL-START-1), and is removed."""
        group, reader = self.system.fresh("group"), self.system.fresh("reader")
        self.driver.add_group(group)
        self.driver.register(group, reader)
        self.driver.subscribe(reader, *self.topics)
        self.driver.settle(group)
        self.driver.poll_all(group, acknowledge=True)
        self.driver.remove_group(group)

    def _reader_is_there(self) -> bool:
        """True if the reader cannot have been evicted; on a slow network it may have been."""
        return self.reader in self.driver.alive_members(self.group)

    def _read_everything(self) -> None:
        if not self._reader_is_there():
            self.driver.register(self.group, self.reader)
            self.driver.subscribe(self.reader, *self.topics)
        for flight in self.driver.in_flight_with(self.reader):
            self.driver.acknowledge(self.reader, flight.message_id)
        self.driver.poll_all(self.group, acknowledge=True)

    def finish(self) -> None:
        """The reader reads everything; no further acknowledgement arrives."""
        self._read_everything()
        self._expect_nothing_elsewhere("")
        self.driver.remove_group(self.group)
