"""Entries of logs, and the thread that reads those of the partitions that a node follows."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from reference_server.events import tell

Place = tuple[str, int]
"""A Kafka topic and the index of one of its partitions."""
Headers = Sequence[tuple[str, bytes]]
_BATCH = 1000
_GONE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}


class Entry(NamedTuple):
    """One entry of a log; `time` is that of Kafka in seconds since 1970 (LogAppendTime)."""

    offset: int
    time: float
    key: bytes
    value: bytes
    headers: Headers = ()


def entry_of(message: Message) -> Entry:
    """Return the entry that a message of the client library is."""
    return Entry(
        message.offset(),
        message.timestamp()[1] / 1000,
        message.key() or b"",
        message.value() or b"",
        message.headers() or (),
    )


class Follower:
    """Reads partitions, and gives their entries on, in a thread of its own."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._followed: dict[Place, Callable[[list[Entry]], None]] = {}
        self._changes: list[tuple[Place, int | None]] = []
        self._lock = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="kafka-follow", daemon=True)

    def start(self) -> None:
        """Read from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._thread.join(timeout=2)

    def follow(self, place: Place, offset: int, deliver: Callable[[list[Entry]], None]) -> None:
        """Give the entries of a partition from an offset on to `deliver`, in their order; none: they are gone."""
        with self._lock:
            self._followed[place] = deliver
            self._changes.append((place, offset))

    def unfollow(self, place: Place) -> None:
        """End that."""
        with self._lock:
            self._followed.pop(place, None)
            self._changes.append((place, None))

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._change()
                first = self._consumer.poll(0.02)
                if first is not None:
                    self._deliver([first, *self._consumer.consume(_BATCH, 0)])
            except Exception as error:  # noqa: BLE001  a node that no longer reads would answer nothing, for ever
                tell(logging.ERROR, "log-reading-failed", error=repr(error)[:300])
        self._consumer.close()

    def _change(self) -> None:
        with self._lock:
            changes, self._changes = self._changes, []
        for place, offset in changes:
            with contextlib.suppress(KafkaException):
                self._consumer.incremental_unassign([TopicPartition(*place)])
            if offset is not None:
                self._consumer.incremental_assign([TopicPartition(*place, offset)])

    def _deliver(self, messages: Iterable[Message]) -> None:
        by_place: dict[Place, list[Entry]] = {}
        for message in messages:
            place = (message.topic(), message.partition())
            if message.error() is None:
                by_place.setdefault(place, []).append(entry_of(message))
            elif message.error().code() in _GONE:
                by_place.setdefault(place, [])
        for place, entries in by_place.items():
            deliver = self._followed.get(place)
            if deliver is not None:
                deliver(entries)
