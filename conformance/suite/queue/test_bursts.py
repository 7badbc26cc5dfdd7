"""Thousands of records through one topic in bursts: faults that show once in several hundred times show here."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.bursts import (
    BURST,
    NO_ROOM,
    ONE_BY_ONE,
    RECORDS,
    Bursts,
    IncompleteBurst,
    Turns,
    room_for_records,
)
from conformance.suite.queue.expectations import expect_status, refused
from conformance.suite.queue.fixture import ACKNOWLEDGE, POLL, DeliveredRecord, QueueFixture
from conformance.suite.queue.ownership_probe import own_every_partition

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Records that are published before they are read.
BACKLOG = 8 * BURST
#: Share of the records that have a key, the first ones. The records of the second test have none.
KEYED = 4 / 5
#: Partitions of the topic, if the server lets the suite choose: as many records can be in flight at once.
PARTITIONS = 32


@clauses(
    "DELIVER-1",
    "DELIVER-3",
    "DELIVER-4",
    "ORDER-1",
    "ORDER-2",
    "ORDER-3",
    "ACK-OK-1",
    "ACK-COMMIT-1",
    "PART-KEY-1",
    "PART-RR-1",
    "PUB-POSITION-1",
    "PUB-STORE-1",
    "QSTOMP-REPLY-1",
)
def test_each_of_thousands_of_records_comes_once(bench: Bench) -> None:
    """Publish records in bursts, with keys and without, and read and acknowledge them in bursts; expect each once, in
    the order of its partition, those of a key in one partition, those without a key in turn, offsets without gaps, and
    an answer to every operation.
    """
    try:
        _BulkRun(bench, one_by_one=False).run(bench.examples(*RECORDS))
    except IncompleteBurst:
        _BulkRun(bench, one_by_one=True).run(bench.examples(*ONE_BY_ONE))


class _BulkRun:
    """A topic of its own with one consumer, the records that were stored in it, and those that were delivered."""

    def __init__(self, bench: Bench, *, one_by_one: bool) -> None:
        self._bench = bench
        self._queue = queue = QueueFixture(bench)
        self._bursts = Bursts(queue, one_by_one=one_by_one)
        chosen = {}
        if bench.declares("topic-partitions"):
            chosen = {"partitions": int(min(PARTITIONS, bench.limit("partitions") or PARTITIONS))}
        self._topic, self._group = queue.new_topic(**chosen), queue.new_group()
        self._consumer = queue.new_consumer(self._group, self._topic)
        self._partitions = chosen.get("partitions") or 0
        self._partitions = own_every_partition(queue, self._topic, self._consumer, self._partitions or None)
        self._batch = 0
        if bench.declares("batch-poll"):
            self._batch = int(min(self._partitions, bench.limit("poll_messages") or self._partitions))
        self._is_placed = bench.declares("record-position")
        self._keys = [bench.fresh("key") for _ in range(BURST)]
        self._stored: dict[str, tuple[int, int] | None] = {}
        self._came: dict[str, DeliveredRecord] = {}
        self._in_order: list[DeliveredRecord] = []
        self._partition_of_key: dict[str, int] = {}
        self._ends: Counter[int] = Counter(dict.fromkeys(range(self._partitions), 1))  # after the warm-up
        self._turns = Turns(bench, self._partitions)
        self._is_full = False

    def run(self, total: int) -> None:
        """Publish and read `total` records, fewer if the server has no room for them."""
        total = min(total, room_for_records(self._bench, self._partitions))
        keyed = int(total * KEYED)
        for begin in range(0, total, BACKLOG):
            end = min(begin + BACKLOG, total)
            for first in range(begin, end, BURST):
                if not self._is_full:
                    self._publish(first, min(first + BURST, end), keyed)
            self._queue.keep_alive()
            self._read()
            if self._is_full:
                break
        self._judge_order()
        self._queue.expect_no_record(
            self._consumer, "DELIVER-3", "no record: each came, and was acknowledged", self._in_order
        )
        self._queue.client.remove_group(self._group)

    # Publishing

    def _publish(self, first: int, end: int, keyed: int) -> None:
        """Publish the records of these numbers in one burst, and judge their positions."""
        texts = [f"m{number}" for number in range(first, end)]
        bodies: list[dict[str, object]] = [
            {
                "messageID": text,
                "message": text,
                **({"key": key} if (key := self._key_of(text, keyed)) else {}),
            }
            for text in texts
        ]
        placed: list[tuple[str, int, int]] = []
        for text, reply in zip(texts, self._bursts.publish(self._topic, bodies), strict=True):
            if reply.status in NO_ROOM:
                self._is_full = True
                continue
            expect_status(self._bench, reply, 200, "PUB-STORE-1", "the record is valid, and the topic exists")
            self._stored[text] = None
            if self._is_placed:
                partition, offset = self._queue.position(reply)
                self._stored[text] = partition, offset
                placed.append((text, partition, offset))
        if placed and not self._is_full:
            self._judge_positions(placed, keyed)

    def _key_of(self, text: str, keyed: int) -> str | None:
        """Key of a record: each key once in a burst, so that its records have an order in any binding."""
        number = int(text[1:])
        return self._keys[number % BURST] if number < keyed else None

    def _judge_positions(self, placed: list[tuple[str, int, int]], keyed: int) -> None:
        """Judge the positions of one burst, to which all replies have come."""
        judge = self._bench.judge
        offsets: defaultdict[int, list[int]] = defaultdict(list)
        keyless: list[int] = []
        for text, partition, offset in placed:
            offsets[partition].append(offset)
            key = self._key_of(text, keyed)
            if key is None:
                keyless.append(partition)
                continue
            known = self._partition_of_key.setdefault(key, partition)
            judge(
                "PART-KEY-1",
                partition == known,
                expected=f"partition {known}, like all records of the key {key!r}",
                observed=f"{text} in partition {partition}",
            )
        self._turns.judge(keyless)
        for partition, found in offsets.items():
            begin = self._ends[partition]
            expected = list(range(begin, begin + len(found)))
            judge(
                "PUB-POSITION-1",
                sorted(found) == expected,
                expected=f"the offsets {begin} to {expected[-1]} of partition {partition} once each",
                observed=found,
            )
            if self._bench.binding != "queue-http":
                judge(
                    "ORDER-3",
                    found == expected,
                    expected="the records of one connection in the order in which it sent them",
                    observed=f"offsets {found} in partition {partition}",
                )
            self._ends[partition] += len(found)

    # Reading

    def _read(self) -> None:
        """Read and acknowledge all records that are stored, in rounds of one record of each partition."""
        rounds = 0
        while len(self._came) < len(self._stored):
            records = self._poll_round(as_batch=bool(self._batch) and rounds % 2 == 0)
            rounds += 1
            if not records:
                records = self._last_chance()
            if not records:
                break
            self._note(records)
            self._acknowledge(records)
        missing = [text for text in self._stored if text not in self._came]
        self._bench.judge(
            "DELIVER-1",
            not missing,
            expected=f"each of {len(self._stored)} records",
            observed=f"never came: {missing[:20]}" if missing else "each came",
        )

    def _poll_round(self, *, as_batch: bool) -> list[DeliveredRecord]:
        """Poll once for a batch, or in one burst as often as there are partitions."""
        body: dict[str, object] = {"consumer_name": self._consumer}
        if as_batch:
            reply = self._queue.poll(self._consumer, max_messages=self._batch)
            items = (
                reply.body.get("records") if reply.status == 200 and isinstance(reply.body, dict) else None
            )
            return (
                [self._queue.parse_record(item, reply) for item in items] if isinstance(items, list) else []
            )
        replies = self._bursts.perform([(POLL, body)] * self._partitions)
        return [self._queue.record_of(reply) for reply in replies if reply.status == 200]

    def _last_chance(self) -> list[DeliveredRecord]:
        """Poll once more, one by one, until a rebalance that may be under way must be settled."""
        for _ in self._queue.retry_until_rebalanced():
            reply = self._queue.poll(self._consumer)
            if reply.status == 200:
                return [self._queue.record_of(reply)]
            if refused(reply) and refused(self._queue.heartbeat(self._consumer)):
                break
        return []

    def _note(self, records: list[DeliveredRecord]) -> None:
        """Judge the records of one round, none of which is acknowledged yet."""
        judge = self._bench.judge
        together: dict[object, DeliveredRecord] = {}
        for record in records:
            text, whole = record.message, record.whole
            judge("DELIVER-4", text in self._stored, expected="a record of this topic", observed=whole)
            before = self._came.get(text)
            judge(
                "ACK-COMMIT-1" if before and before.message_id == record.message_id else "DELIVER-3",
                before is None,
                expected=f"{text} once: it came before, and was acknowledged",
                observed=whole,
            )
            self._came[text] = record
            self._in_order.append(record)
            position = self._stored[text]
            told = whole.get("partition"), whole.get("offset")
            judge(
                "PUB-POSITION-1",
                position is None or told in (position, (None, None)),
                expected=f"partition and offset {position}, as in the reply to the publish, or none",
                observed=whole,
            )
            place = position[0] if position else record.key
            if place is not None:
                beside = together.setdefault(place, record)
                judge(
                    "ORDER-2" if position else "PART-KEY-1",
                    beside is record,
                    expected=f"one record of {'a partition' if position else 'a key'} in flight at a time",
                    observed=f"{whole} beside {beside.whole}",
                )

    def _acknowledge(self, records: list[DeliveredRecord]) -> None:
        bodies = [{"consumer_name": self._consumer, "message_id": record.message_id} for record in records]
        for reply in self._bursts.perform([(ACKNOWLEDGE, body) for body in bodies]):
            expect_status(self._bench, reply, 202, "ACK-OK-1", "the consumer holds the record")

    def _judge_order(self) -> None:
        """Judge the order of each partition by the offsets that were told, else that of each key by its bursts."""
        last: dict[object, tuple[int, DeliveredRecord]] = {}
        for record in self._in_order:
            position = self._stored[record.message]
            place, number = position or (record.key, int(record.message[1:]))
            if place is None:
                continue
            before = last.get(place)
            self._bench.judge(
                "ORDER-1" if position or self._bench.binding == "queue-http" else "ORDER-3",
                before is None or before[0] < number,
                expected=f"the records of {'a partition' if position else 'a key'} in their order",
                observed=f"{record.whole} behind {before[1].whole if before else None}",
            )
            last[place] = number, record
