"""Records as they lie in Kafka, and those that a node keeps in memory, to hand them out."""

import contextlib
import threading
import time
from collections import OrderedDict
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from reference_server.kafka.entries import Headers, Place
from reference_server.kafka.log import Log, OutcomeUnknown
from reference_server.kafka.replica import NODE
from reference_server.queue.topic import Record

LABEL, TIMESTAMP, STORED_BY = "messageID", "timestamp", "node"
"""Headers of a record in Kafka: JSON of both members of the request, and the node that stored it."""
_OVERHEAD = 300
"""Octets that a record takes besides its texts."""
_AHEAD = 500
"""Records that are read ahead of one that is asked for."""
_IDLE = 10.0
"""Seconds after which a partition is no longer read."""
_encode = msgspec.json.encode


def headers_of(record: Record) -> Headers:
    """Return the headers of a record in Kafka."""
    return [
        (LABEL, _encode(record.label)),
        (TIMESTAMP, _encode(record.timestamp)),
        (STORED_BY, NODE),
    ]


def record_of(message: Message) -> tuple[Record, bytes]:
    """Return the record that a message of Kafka is, and the node that stored it; any program may have written it."""
    headers = dict(message.headers() or ())
    key, value = message.key(), message.value()
    label = _json(headers.get(LABEL), str | int, "")
    timestamp = _json(headers.get(TIMESTAMP), float | int | str, message.timestamp()[1])
    record = Record(
        label,
        (value or b"").decode(errors="replace"),
        None if key is None else key.decode(errors="replace"),
        timestamp,
    )
    return record, headers.get(STORED_BY) or b""


def _json(octets: bytes | None, kind: Any, default: Any) -> Any:
    if octets is None:
        return default
    try:
        return msgspec.json.decode(octets, type=kind)
    except msgspec.MsgspecError:
        return default


class Cache:
    """The records that were stored or read last, up to a bound of octets. Any thread may use it."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._held = 0
        self._records: OrderedDict[tuple[str, int, int], tuple[Record, int]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, place: Place, offset: int, record: Record) -> None:
        """Keep a record."""
        octets = _OVERHEAD + 2 * len(record.message) + 2 * len(record.key or "")
        key = (*place, offset)
        with self._lock:
            if key in self._records:
                return
            self._records[key] = record, octets
            self._held += octets
            while self._held > self._bound:
                self._held -= self._records.popitem(last=False)[1][1]

    def get(self, place: Place, offset: int) -> Record | None:
        """Return a record if it is kept."""
        with self._lock:
            found = self._records.get((*place, offset))
        return found[0] if found else None


class _Wish:
    """A record that so many threads wait for."""

    __slots__ = ("record", "waiting")

    def __init__(self) -> None:
        self.record: Record | None = None
        self.waiting = 0


class _Reading:
    """A partition that is read: the next offset to come, and that before which reading pauses."""

    __slots__ = ("limit", "next", "paused", "used")

    def __init__(self, offset: int) -> None:
        self.next = offset
        self.limit = offset + _AHEAD
        self.paused = False
        self.used = time.monotonic()


class RecordReader:
    """Reads records by offset, in a thread of its own, some ahead of those that are asked for."""

    def __init__(self, log: Log, cache: Cache) -> None:
        self.cache = cache
        self._log = log
        self._wanted: dict[Place, dict[int, _Wish]] = {}
        """Records that are waited for, by offset."""
        self._readings: dict[Place, _Reading] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="kafka-records", daemon=True)

    def start(self) -> None:
        """Read from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout=2)

    def read(self, place: Place, offset: int) -> Record:
        """Return a record. Raises OutcomeUnknown if Kafka does not give it in time: it is in flight by now."""
        found = self.cache.get(place, offset)
        if found is not None:
            return found
        with self._changed:
            wish = self._wanted.setdefault(place, {}).setdefault(offset, _Wish())
            wish.waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: wish.record is not None, self._log.timeout)
            wish.waiting -= 1
            if not wish.waiting:
                del self._wanted[place][offset]
                if not self._wanted[place]:
                    del self._wanted[place]
        if wish.record is None:
            raise OutcomeUnknown(f"Kafka did not give record {offset} of {place[0]} in time")
        return wish.record

    def _run(self) -> None:
        consumer = self._log.new_consumer()
        while True:
            with self._changed:
                if not self._readings:
                    self._changed.wait_for(lambda: self._stopping or self._wanted)
                if self._stopping:
                    break
                least = {place: min(offsets) for place, offsets in self._wanted.items() if offsets}
            with contextlib.suppress(KafkaException):
                self._assign(consumer, least)
            first = consumer.poll(0.005 if least else 0.05)
            if first is not None:
                self._take([first, *consumer.consume(1000, 0)])
        consumer.close()

    def _assign(self, consumer: Consumer, least: dict[Place, int]) -> None:
        now = time.monotonic()
        for place, offset in least.items():
            reading = self._readings.get(place)
            if reading is not None:
                reading.used = now
            if reading is not None and offset <= reading.next + _AHEAD and offset >= reading.next:
                reading.limit = max(reading.limit, offset + _AHEAD)
                if reading.paused:
                    consumer.resume([TopicPartition(*place)])
                    reading.paused = False
                continue
            cached = self.cache.get(place, offset)
            if cached is not None:
                self._answer(place, offset, cached)
                continue
            if reading is not None:
                consumer.incremental_unassign([TopicPartition(*place)])
            consumer.incremental_assign([TopicPartition(*place, offset)])
            self._readings[place] = _Reading(offset)
        for place, reading in list(self._readings.items()):
            if place in least:
                continue
            if now - reading.used > _IDLE:
                consumer.incremental_unassign([TopicPartition(*place)])
                del self._readings[place]
            elif reading.next >= reading.limit and not reading.paused:
                consumer.pause([TopicPartition(*place)])
                reading.paused = True

    def _take(self, messages: list[Message]) -> None:
        for message in messages:
            if message.error() is not None:
                continue
            place, offset = (message.topic(), message.partition()), message.offset()
            reading = self._readings.get(place)
            if reading is None:
                continue
            reading.next = offset + 1
            record, _ = record_of(message)
            self.cache.put(place, offset, record)
            self._answer(place, offset, record)

    def _answer(self, place: Place, offset: int, record: Record) -> None:
        with self._changed:
            wish = self._wanted.get(place, {}).get(offset)
            if wish is not None:
                wish.record = record
                self._changed.notify_all()
