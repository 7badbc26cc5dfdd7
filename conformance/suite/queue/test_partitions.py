"""Partitions of records, and the order within them: PART-*, PUB-POSITION-*, ORDER-*."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from conformance.bench.marks import clauses
from conformance.specification.clauses import spec_file
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import ADD_TOPIC, KEY, QueueFixture, publish_path
from conformance.suite.queue.generators import KEYS, beyond, room_for_text
from conformance.suite.queue.ownership_probe import partition_count
from conformance.wire.encoding import encode
from conformance.wire.failures import PeerFailure
from conformance.wire.operations import StompOperations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.bench.bench import Bench

#: Lengths of the long records of a burst, by their place among seven: a server may handle them in other ways.
LONG = {3: 2000, 5: 10_000}


@clauses("PART-KEY-1")
def test_records_of_one_key_keep_their_order_among_others(bench: Bench) -> None:
    """Publish records of several keys in turn; expect those of each key in order, from one partition."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    keys = ["a", "b", "c", "Schlüssel"]
    places: dict[str, set[int]] = {key: set() for key in keys}
    for number in range(6):
        for key in keys:
            reply = queue.publish(topic, f"{key}{number}", key=key)
            if bench.declares("record-position"):
                places[key].add(queue.position(reply)[0])
        queue.publish(topic, f"other{number}", key=f"k{number}")
        if number == 2:
            _add_other_topics(queue)
    messages = [record.message for record in queue.read_and_acknowledge(consumer, 6 * len(keys) + 6)]
    for key in keys:
        ours = [message for message in messages if message.startswith(key)]
        bench.judge(
            "PART-KEY-1",
            ours == [f"{key}{number}" for number in range(6)] and len(places[key]) <= 1,
            expected=f"the six records of the key {key!r}, in order, from one partition",
            observed=f"{ours} from the partitions {sorted(places[key])}",
        )


def _add_other_topics(queue: QueueFixture) -> None:
    """Add topics with other numbers of partitions, if the server allows them."""
    queue.new_topic()
    most = queue.bench.limit("partitions") or 7
    for count in (1, 7) if queue.bench.declares("topic-partitions") else ():
        if count <= most:
            queue.new_topic(partitions=count)


@clauses("PART-KEY-1")
def test_one_key_has_at_most_one_record_in_flight(bench: Bench) -> None:
    """Publish records of one key and poll without acknowledging; expect only the first. They share a partition."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for number in range(6):
        queue.publish(topic, f"m{number}")
    first = queue.poll_until_record(consumer)
    bench.judge("PART-KEY-1", first.message == "m0", expected="the oldest record", observed=first.whole)
    queue.expect_no_record(consumer, "PART-KEY-1", "no second record of the key while the first is in flight")


def _number(key: str) -> int:
    digest = hashlib.md5(key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "little")


@clauses("PART-KEY-2")
def test_keys_map_to_partitions_by_the_first_four_octets_of_their_digest(bench: Bench) -> None:
    """Publish with the keys of the test vectors, and with others that are easily taken for one another; expect each
    record in the partition that its digest names.
    """
    queue = QueueFixture(bench)
    vectors = json.loads(spec_file("vectors/partitioner.json").read_text("utf-8"))["vectors"]
    vectors += [{"key": key, "number": _number(key)} for key in KEYS]
    most = int(bench.limit("partitions") or 7)
    asked = (
        [count for count in (1, 3, 5, 7) if count <= most] if bench.declares("topic-partitions") else [None]
    )
    for count in asked:
        topic = queue.new_topic() if count is None else queue.new_topic(partitions=count)
        partitions = count or partition_count(queue, topic)
        placed = {
            vector["key"]: queue.position(queue.publish(topic, "m", key=vector["key"]))[0]
            for vector in vectors
        }
        expected = {vector["key"]: vector["number"] % partitions for vector in vectors}
        wrong = {key[:40]: (placed[key], expected[key]) for key in placed if placed[key] != expected[key]}
        bench.judge(
            "PART-KEY-2",
            not wrong,
            expected=f"uint32_le(MD5(key)[0:4]) mod {partitions} for each key",
            observed=f"(partition, expected) of the keys that differ: {wrong}"
            if wrong
            else "all as expected",
        )


@clauses("PART-RR-1")
@pytest.mark.parametrize("key", [None, ""], ids=["no-key", "empty-key"])
def test_keyless_records_spread_over_all_partitions(bench: Bench, key: str | None) -> None:
    """Publish N records without a key to N partitions; expect all of them in flight at once."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    partitions = partition_count(queue, topic)
    for number in range(partitions):
        queue.publish(topic, f"m{number}", key=key)
    in_flight = {queue.poll_until_record(consumer, "PART-RR-1").message for _ in range(partitions)}
    bench.judge(
        "PART-RR-1",
        len(in_flight) == partitions,
        expected=f"{partitions} records in flight at once, one in each partition",
        observed=sorted(in_flight),
    )


@clauses("PART-RR-2")
def test_keyless_records_go_round_from_the_first_partition(bench: Bench) -> None:
    """Publish records without a key; expect any N in a row in N partitions, in turn from partition 0."""
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    partitions = partition_count(queue, topic)
    placed = [queue.position(queue.publish(topic, f"m{n}", key=None))[0] for n in range(3 * partitions)]
    rounds = [sorted(placed[start : start + partitions]) for start in range(2 * partitions + 1)]
    bench.judge(
        "PART-RR-1",
        all(turn == list(range(partitions)) for turn in rounds),
        expected=f"any {partitions} keyless records in a row in {partitions} partitions",
        observed=placed,
    )
    in_turn = [number % partitions for number in range(3 * partitions)]
    bench.judge("PART-RR-2", placed == in_turn, expected=f"partitions {in_turn}", observed=placed)


@clauses("PART-RR-3")
def test_a_record_with_a_key_takes_no_turn(bench: Bench) -> None:
    """Publish a record with a key, and a refused one, between records without a key; expect the turn of the latter to
    stay as it was.
    """
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    partitions = partition_count(queue, topic)
    placed = []
    for number in range(2 * partitions):
        placed.append(queue.position(queue.publish(topic, f"m{number}", key=None))[0])
        if number == 0:
            queue.publish(topic, "keyed", key="k")
        elif number == partitions:
            queue.call(publish_path(topic), {"messageID": "1"})
    bench.judge(
        "PART-RR-3",
        placed[:partitions] == placed[partitions:] and len(set(placed)) == partitions,
        expected="the same round twice, as if the record with a key and the refused one were not there",
        observed=placed,
    )


@clauses("PART-COUNT-1")
@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_topic_has_as_many_partitions_as_asked_for(bench: Bench, count: int) -> None:
    """Add a topic with `partitions`, and publish without a key; expect exactly so many records in flight at once."""
    if count > (bench.limit("partitions") or count):
        bench.skip("PART-COUNT-1", f"the server's limit is less than {count} partitions")
        return
    queue = QueueFixture(bench)
    topic, group = queue.new_topic(partitions=count), queue.new_group()
    consumer = queue.new_consumer(group, topic)
    for number in range(2 * count):
        queue.publish(topic, f"m{number}", key=None)
    in_flight = {queue.poll_until_record(consumer, "PART-COUNT-1").message for _ in range(count)}
    bench.judge(
        "PART-COUNT-1",
        len(in_flight) == count,
        expected=f"{count} in flight at once",
        observed=sorted(in_flight),
    )
    queue.expect_no_record(consumer, "PART-COUNT-1", f"no more than {count} records in flight")


@clauses("PART-COUNT-2")
def test_a_count_that_is_no_positive_integer_is_refused(bench: Bench) -> None:
    """Add topics with invalid `partitions`: zero, negatives, fractions, strings, booleans, null and numbers over the
    limit; expect a refusal (4xx) of each, and no topic added.
    """
    queue = QueueFixture(bench)
    name = bench.fresh("topic")
    most = bench.limit("partitions")
    for count in [0, -1, 2.5, "3", True, None, [3], 10**12, *beyond(most, 10**12)]:
        reply = queue.call(ADD_TOPIC, {"topicName": name, "partitions": count})
        expect_refusal(bench, reply, "PART-COUNT-2", f"partitions is {count!r}")
    valid = queue.call(ADD_TOPIC, {"topicName": name})
    expect_status(bench, valid, 200, "PART-COUNT-2", "no refused request added it")


@clauses("PUB-POSITION-1")
def test_offsets_of_a_partition_count_from_zero(bench: Bench) -> None:
    """Publish records; expect the offsets 0, 1, 2 … of each partition in the replies, without a gap."""
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    seen: Counter[int] = Counter()
    for number in range(20):
        reply = queue.publish(topic, f"m{number}", key=f"k{number}" if number % 2 else None)
        partition, offset = queue.position(reply)
        bench.judge_schema("PUB-POSITION-1", "publish-reply", reply.body)
        bench.judge(
            "PUB-POSITION-1",
            offset == seen[partition],
            expected=f"offset {seen[partition]} in partition {partition}",
            observed=reply,
        )
        seen[partition] += 1


@clauses("PUB-POSITION-1")
def test_a_delivered_record_has_the_position_of_its_publish_reply(bench: Bench) -> None:
    """Publish and poll; expect the `partition` and `offset` of the publish's reply in the record, if it has any."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    told = {f"m{n}": queue.position(queue.publish(topic, f"m{n}", key=f"k{n % 3}")) for n in range(9)}
    for record in queue.read_and_acknowledge(consumer, len(told)):
        position = record.whole.get("partition"), record.whole.get("offset")
        bench.judge(
            "PUB-POSITION-1",
            position in {told.get(record.message), (None, None)},
            expected=f"partition and offset {told.get(record.message)}, or none",
            observed=record.whole,
        )


@clauses("PUB-POSITION-1", "PUB-TEXT-1", "PUB-TIME-1")
def test_a_record_that_comes_again_is_the_same(bench: Bench) -> None:
    """Poll records of several keys, give them up and subscribe again; expect them with the same message, key, timestamp
    and position.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    for number in range(5):
        body = {"messageID": f"{number}", "message": f"m{number}", "key": f"k{number}", "timestamp": number}
        reply = queue.call(publish_path(topic), body)
        expect_status(bench, reply, 200, "PUB-STORE-1", "the record is valid, and the topic exists")
    before = {record.message: record.whole for _, record in queue.poll_all(consumer)}
    queue.unsubscribe(consumer, topic)
    queue.subscribe(consumer, topic)
    for record in queue.read_and_acknowledge(consumer, len(before), "DELIVER-2"):
        if (first := before.get(record.message)) is None:
            continue  # the record behind one that came again
        for clause, again, once in (
            ("PUB-TEXT-1", record.key, first["message"]["key"]),
            ("PUB-TIME-1", record.whole["message"].get("timestamp"), first["message"].get("timestamp")),
            ("PUB-POSITION-1", _place(record.whole), _place(first)),
        ):
            bench.judge(clause, again == once, expected=f"{once}, as before", observed=record.whole)


def _place(record: dict[str, Any]) -> tuple[Any, Any]:
    """Partition and offset that a delivered record tells; None for what it does not tell."""
    return record.get("partition"), record.get("offset")


@clauses("ORDER-1")
def test_a_partition_is_delivered_in_order_without_gaps(bench: Bench) -> None:
    """Publish records of one key; expect all of them, oldest first."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    texts = [f"m{number}" for number in range(20)]
    for text in texts:
        queue.publish(topic, text, key=KEY)
    records = queue.read_and_acknowledge(consumer, len(texts), "ORDER-1")
    delivered = [record.message for record in records]
    bench.judge("ORDER-1", delivered == texts, expected="m0 to m19 in order", observed=delivered)
    queue.expect_no_record(consumer, "ORDER-1", "no record after the last one", records)


@clauses("ORDER-2")
def test_the_next_record_waits_for_the_acknowledgement(bench: Bench) -> None:
    """Poll while a record is in flight; expect the next one of its partition only after the acknowledgement."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "first")
    queue.publish(topic, "second")
    first = queue.poll_until_record(consumer)
    queue.expect_no_record(consumer, "ORDER-2", "no record while `first` is in flight")
    queue.acknowledge(consumer, first.message_id)
    second = queue.poll_until_record(consumer, "ORDER-2")
    bench.judge("ORDER-2", second.message == "second", expected="`second` after that", observed=second.whole)


def _publish_burst(queue: QueueFixture, topic: str, texts: Sequence[str]) -> None:
    """Publish records of one key without waiting in between; judges PUB-STORE-1 by each answer."""
    path = publish_path(topic)
    bodies = [{"messageID": text, "message": text, "key": KEY} for text in texts]
    pending = [queue.client.start(path, body) for body in bodies]
    for answer in pending:
        expect_status(
            queue.bench, answer.reply(), 200, "PUB-STORE-1", "the record is valid, and the topic exists"
        )


def _send_burst(queue: QueueFixture, topic: str, texts: Sequence[str]) -> None:
    """SEND records of one key that ask for no answer, all but the last; judges PUB-STORE-1 by the answer to that."""
    producer = StompOperations(queue.bench.stomp())
    for text in texts[:-1]:
        body = json.dumps({"messageID": text, "message": text, "key": KEY})
        producer.client.send(publish_path(topic), body.encode(), content_type="application/json")
    last = producer.call(publish_path(topic), {"messageID": "last", "message": texts[-1], "key": KEY})
    expect_status(queue.bench, last, 200, "PUB-STORE-1", "the record is valid, and the topic exists")


def _send_in_threes(queue: QueueFixture, topic: str, texts: Sequence[str]) -> bool:
    """SEND records of one key, three in each WebSocket message or TCP segment.

    False if not all of them are answered: STOMP-WS-003, which asks that, is a SHOULD.
    """
    client = StompOperations(queue.bench.stomp()).client
    frames = []
    for text in texts:
        body = json.dumps({"messageID": text, "message": text, "key": KEY}).encode()
        headers = [
            *(("destination", publish_path(topic)), ("correlation-id", text[:8])),
            *(("content-type", "application/json"), ("content-length", str(len(body)))),
        ]
        frames.append(encode("SEND", headers, body, client.version))
    for first in range(0, len(frames), 3):
        client.send_octets(b"".join(frames[first : first + 3]))
    try:
        for text in texts:
            client.expect("MESSAGE", correlation_id=text[:8])
    except PeerFailure:
        return False
    return True


@clauses("ORDER-3")
@pytest.mark.parametrize("how", ["answered", "unanswered", "several in a message"])
def test_sends_of_one_connection_are_stored_in_their_order(bench: Bench, how: str) -> None:
    """Send short and long records over one connection without waiting, each with a correlation-id or none but the last,
    each in a message of its own or not; expect them in the partition in that order.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    room = room_for_text(bench)
    texts = [
        f"m{number}" + (int(min(LONG[number % 7], room)) * "x" if number % 7 in LONG else "")
        for number in range(bench.examples(100, 400, 1000))
    ]
    if how == "answered" or bench.binding == "stomp-publish":
        _publish_burst(queue, topic, texts)
    elif how == "several in a message":
        del texts[60:]
        if not _send_in_threes(queue, topic, texts):
            bench.skip(
                "ORDER-3", "the server doesn't carry out all frames of a WebSocket message (STOMP-WS-003)"
            )
            return
    else:
        _send_burst(queue, topic, texts)
    delivered = [record.message for record in queue.read_and_acknowledge(consumer, len(texts), "ORDER-3")]
    bench.judge(
        "ORDER-3", delivered == texts, expected="the order in which they were sent", observed=delivered
    )


@clauses("PART-KEY-1")
def test_records_of_one_key_in_a_burst_share_a_partition(bench: Bench) -> None:
    """Send several hundred records of one key over one connection without waiting for answers, and poll without
    acknowledging; expect one record only.
    """
    if bench.binding == "queue-http" and bench.declares("http-publish"):
        bench.skip("PART-KEY-1", "records come over STOMP in a burst; over HTTP each waits for its reply")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    _publish_burst(queue, topic, [f"m{number}" for number in range(bench.examples(100, 400, 1000))])
    queue.poll_until_record(consumer)
    queue.expect_no_record(consumer, "PART-KEY-1", "no second record of the key while one is in flight")
