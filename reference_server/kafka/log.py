"""Partitions of Kafka as logs: append, follow, ends. Nothing of what lies in them is known here."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from reference_server.config import ConfigError
from reference_server.events import tell
from reference_server.kafka.admin import Admin
from reference_server.kafka.contact import Contact
from reference_server.kafka.entries import Follower, Headers, Place
from reference_server.queue.outcomes import Outcome, refused
from reference_server.queue.refusal import Refusal

_UNKNOWN = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}
_OF_PROCESS = ("logger", "error_cb")
"""Settings of the client that are objects of this process."""
_LAST, _FIRST = -1, -2
"""Times that stand for the end and the beginning of a partition, in a request for offsets."""
_SHORTEST = 0.1
"""Seconds of a wait that begins when an operation has waited for as long as it may."""
_PAUSE = 0.2
"""Seconds between two attempts to reach Kafka."""
_FEW = 10
"""Topics that are asked about one by one; of more, all are."""
_LARGEST = 8 << 20
"""Octets of one message; a record is at most as long as the body of a request."""


class Unavailable(Exception):
    """Kafka did not answer in time, and nothing can have happened: the client may try again."""


def unavailable(error: Unavailable) -> Outcome:
    """The outcome of an operation that Kafka did not take; nothing has happened."""
    detail = f"Nothing was done, since the log does not answer: {error}. Try again later."
    return msgspec.structs.replace(refused(Refusal("log-unavailable", detail)), headers="Retry-After: 1\r\n")


class OutcomeUnknown(ConnectionError):
    """Kafka did not answer in time after something was sent: it may or may not be done."""


class Appended(NamedTuple):
    """The end of an append: the entry's offset and time, or the error."""

    offset: int
    time: float
    error: KafkaError | None = None


class _Silent:
    """Takes the lines of the client library; what matters is said by the node."""

    def log(self, level: int, text: str, *arguments: object) -> None:
        tell(logging.DEBUG, "kafka", severity=level, text=(text % arguments if arguments else text)[:300])


class Log:
    """Kafka, as a node uses it. `timeout` bounds every wait for it, in seconds."""

    def __init__(self, servers: str, timeout: float, options: Mapping[str, str] | None = None) -> None:
        """`options` are further settings of the client library. Raises ConfigError if it does not take them."""
        self.timeout = timeout
        self.contact = Contact()
        self._common = {
            **(options or {}),
            "bootstrap.servers": servers,
            "logger": _Silent(),
            "error_cb": self.contact.note,
            "socket.timeout.ms": max(1000, int(timeout * 1000)),
            "socket.nagle.disable": True,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 500,
            "topic.metadata.refresh.fast.interval.ms": 10,
            "topic.metadata.propagation.max.ms": 1000,
            "allow.auto.create.topics": False,
        }
        try:
            self._producer = self._new_producer()
        except KafkaException as error:
            raise ConfigError(
                f"log_option: the client of Kafka does not take {', '.join(options or {})}: {error.args[0].str()}"
            ) from None
        follower = self._follower = Follower(self.new_consumer())
        self.follow, self.unfollow = follower.follow, follower.unfollow
        self._asker = self.new_consumer()
        self.admin = Admin({name: value for name, value in self._common.items() if name not in _OF_PROCESS})
        self._failing: dict[Place, None] = {}
        """Partitions whose last append got no answer; they take no further one before Kafka answers about them."""
        self._changed = threading.Condition()
        self._stopping = False
        self._of_thread = threading.local()
        self._threads = [
            threading.Thread(target=each, name=f"kafka-{each.__name__.strip('_')}", daemon=True)
            for each in (self._produce, self._probe)
        ]

    @contextlib.contextmanager
    def limited(self) -> Iterator[None]:
        """Bound all waits of this thread together by `timeout`, but for what is on its way by then."""
        self._of_thread.deadline = time.monotonic() + self.timeout
        try:
            yield
        finally:
            self._of_thread.deadline = None

    def left(self) -> float:
        """Seconds that this thread may still wait before it sends something."""
        deadline = getattr(self._of_thread, "deadline", None)
        return self.timeout if deadline is None else max(_SHORTEST, deadline - time.monotonic())

    def start(self) -> None:
        """Work from now on, in threads."""
        self._follower.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads; what was not appended is given up."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._follower.stop()
        self.admin.stop()
        for thread in self._threads:
            thread.join(timeout=2)

    def _new_producer(self) -> Producer:
        return Producer(
            {
                **self._common,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 0,
                "retry.backoff.ms": 20,
                "retry.backoff.max.ms": 200,
                "message.timeout.ms": int(self.timeout * 1000),
                "message.max.bytes": _LARGEST,
                "queue.buffering.max.messages": 200_000,
                "queue.buffering.max.kbytes": 64 << 10,
            }
        )

    def new_consumer(self) -> Consumer:
        """Return a reader of assigned partitions, for one thread. It is a member of no group."""
        return Consumer(
            {
                **self._common,
                "group.id": "stompliance-none",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_uncommitted",
                "fetch.wait.max.ms": 20,
                "fetch.error.backoff.ms": 20,
                "fetch.queue.backoff.ms": 20,
                "fetch.message.max.bytes": _LARGEST,
                "fetch.max.bytes": 2 * _LARGEST,
                "queued.min.messages": 2000,
                "queued.max.messages.kbytes": 16 << 10,
                "check.crcs": False,
            }
        )

    # Appending

    def append(
        self,
        place: Place,
        value: bytes,
        done: Callable[[Appended], None],
        *,
        key: bytes | None = None,
        headers: Headers = (),
    ) -> None:
        """Append an entry; `done` gets its offset, or an error after which it may be there or not.

        Raises Unavailable if the partition can't be reached: then the entry is not there.
        """
        self._wait_until_reachable(place)

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._note_failure(place)
            done(Appended(message.offset() or 0, message.timestamp()[1] / 1000, error))

        deadline = time.monotonic() + self.left()
        while True:
            try:
                self._producer.produce(
                    place[0],
                    value,
                    key,
                    place[1],
                    delivered,
                    headers=list(headers),
                )
            except BufferError:
                if time.monotonic() > deadline:
                    raise Unavailable("too many entries wait for Kafka") from None
                with self._changed:
                    self._changed.wait(0.01)
                continue
            except KafkaException as error:
                if error.args[0].code() != KafkaError._FATAL:
                    raise Unavailable(f"Kafka takes no entries: {error.args[0].str()}") from None
                self._replace_producer()
                continue
            return

    def _replace_producer(self) -> None:
        """Begin anew after an error that the producer cannot survive; its entries have ended with that error."""
        with self._changed:
            failed = self._producer
            self._producer = self._new_producer()
        failed.poll(0)

    def _produce(self) -> None:
        while not self._stopping:
            self._producer.poll(0.1)

    def _wait_until_reachable(self, place: Place) -> None:
        if place not in self._failing:
            return
        with self._changed:
            if not self._changed.wait_for(lambda: place not in self._failing or self._stopping, self.left()):
                raise Unavailable(f"Kafka does not answer about {place[0]}")

    def is_failing(self, place: Place) -> bool:
        """Return whether the last append to a partition got no answer."""
        return place in self._failing

    def note_silence(self, place: Place) -> None:
        """Note that a wait for an append was over without an answer."""
        self._note_failure(place)

    def _note_failure(self, place: Place) -> None:
        with self._changed:
            self._failing[place] = None
            self._changed.notify_all()

    def _probe(self) -> None:
        """Ask about partitions that failed until Kafka answers."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._failing)
                if self._stopping:
                    return
                failing = list(self._failing)
            for place in failing:
                with contextlib.suppress(Unavailable):
                    self.ends([place], within=1.0)
                    with self._changed:
                        self._failing.pop(place, None)
                        self._changed.notify_all()
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, _PAUSE if self._failing else 0)

    # Ends

    def ends(
        self,
        places: Sequence[Place],
        within: float | None = None,
        *,
        first: bool = False,
        or_zero: bool = False,
    ) -> list[int]:
        """Ask Kafka for the offset after the last entry of each partition, or for that of the `first` one.

        Raises Unavailable if it does not answer in time, or knows no such partition; `or_zero`: that has the end 0.
        """
        if not places:
            return []
        seconds = self.left() if within is None else within
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._ask(places, max(0.1, deadline - time.monotonic()), first=first, or_zero=or_zero)
            except KafkaException as error:
                if time.monotonic() + _PAUSE > deadline:
                    raise Unavailable(f"Kafka knows no ends: {error.args[0].str()}") from None
                # The client library keeps to an old leader, or to none, unless it is asked.
                self._refresh(places)
                self.wait_a_little()

    def _refresh(self, places: Sequence[Place]) -> None:
        self._asker.poll(0)  # calls `contact`
        with contextlib.suppress(KafkaException):
            topics = {place[0] for place in places}
            for topic in topics if len(topics) <= _FEW else [None]:
                self._asker.list_topics(topic, timeout=1.0)

    def topics(self) -> tuple[set[str], int]:
        """The names of all topics, and the number of brokers. Raises Unavailable after `timeout`."""
        try:
            found = self._asker.list_topics(timeout=self.timeout)
        except KafkaException as error:
            raise Unavailable(error.args[0].str()) from None
        finally:
            self._asker.poll(0)  # calls `contact`
        self.contact.answered()
        return set(found.topics), len(found.brokers)

    def is_known(self, place: Place) -> bool:
        """Return whether the leader of a partition knows it, as far as it says so within a second."""
        try:
            self._ask([place], 1.0, first=False, or_zero=False)
        except KafkaException:
            return False
        return True

    def _ask(self, places: Sequence[Place], seconds: float, *, first: bool, or_zero: bool) -> list[int]:
        """Ask by a consumer, which outlives requests that end late, as an admin client does not."""
        unique = list(dict.fromkeys(places))
        asked = [TopicPartition(*place, _FIRST if first else _LAST) for place in unique]
        try:
            found = self._asker.offsets_for_times(asked, timeout=seconds)
        except KafkaException as error:
            if not or_zero or error.args[0].code() not in _UNKNOWN:
                raise
            if len(unique) == 1:
                return [0] * len(places)
            ends = {place: self._ask([place], seconds, first=first, or_zero=True)[0] for place in unique}
            return [ends[place] for place in places]
        by_place: dict[Place, int] = {}
        for each in found:
            if each.error is not None and not (or_zero and each.error.code() in _UNKNOWN):
                raise KafkaException(each.error)
            by_place[each.topic, each.partition] = 0 if each.error is not None else max(0, each.offset)
        return [by_place[place] for place in places]

    def wait_a_little(self) -> None:
        """Let other threads work, for those who wait for what they do."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, 0.005)
