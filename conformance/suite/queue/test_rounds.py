"""Records without a key go round, whoever sends them and whatever is refused in between: PART-RR-1, TOPIC-ADD-2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_publish_refusal, expect_refusal, expect_status
from conformance.suite.queue.fixture import ADD_TOPIC, QueueFixture, publish_path
from conformance.suite.queue.keyless_round import KeylessRound
from conformance.suite.queue.onlookers import look_around
from conformance.suite.queue.ownership_probe import own_every_partition
from conformance.wire.operations import HttpOperations, QueueClient, StompOperations

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: The ways to publish a record without a key; `...` leaves the member out.
KEYLESS: dict[str, tuple[Any, ...]] = {
    "null": (None,),
    "empty": ("",),
    "each in turn": (..., None, ""),
}


def _record(message: str, key: Any = ...) -> dict[str, Any]:
    body = {"messageID": message, "message": message}
    return body if key is ... else {**body, "key": key}


@clauses("PART-RR-1")
@pytest.mark.parametrize("keys", KEYLESS.values(), ids=KEYLESS.keys())
def test_a_record_without_a_key_takes_its_turn_however_it_is_written(
    bench: Bench, keys: tuple[Any, ...]
) -> None:
    """Publish 2 N records whose `key` is null, empty or missing; expect record j + N behind record j."""
    queue = QueueFixture(bench)
    turns = KeylessRound(queue)
    for number in range(2 * turns.partitions):
        body = _record(f"m{number}", keys[number % len(keys)])
        reply = queue.call(publish_path(turns.topic), body, promise="PUB-KEY-1")
        expect_status(bench, reply, 200, "PUB-KEY-1", "a record needs no key")
    turns.expect_turns("PART-RR-1", "none of the records has a key")


@clauses("PART-RR-1")
@pytest.mark.parametrize("how", ["two in turn", "one for each record", "both bindings in turn"])
def test_the_round_is_that_of_the_topic_and_not_of_a_connection(bench: Bench, how: str) -> None:
    """Publish 2 N records without a key over several connections; expect record j + N behind record j."""
    queue = QueueFixture(bench)
    turns = KeylessRound(queue)
    count = 2 * turns.partitions
    if how == "two in turn":
        clients = [bench.queue(), bench.queue()]
    elif how == "one for each record":
        clients = [bench.queue() for _ in range(count)]
    elif bench.claims("queue-stomp") and bench.claims("queue-http") and bench.declares("http-publish"):
        clients = [
            QueueClient(HttpOperations(bench.http())),
            QueueClient(StompOperations(bench.stomp())),
        ]
    else:
        bench.skip("PART-RR-1", "records can be published in one binding only")
        return
    for number in range(count):
        # The label is unique: an acknowledgement of another client's record must not be taken for this one's.
        reply = clients[number % len(clients)].publish(turns.topic, bench.fresh("id"), f"m{number}")
        expect_status(bench, reply, 200, "PUB-STORE-1", "the record is valid, and the topic exists")
    turns.expect_turns("PART-RR-1", "the connection of a producer makes no difference")


@clauses("PART-RR-1")
def test_both_spellings_of_the_path_share_the_round(bench: Bench) -> None:
    """Publish 2 N records without a key under `/producer/publish/` and `/publish/` in turn; expect record j + N behind
    record j.
    """
    queue = QueueFixture(bench)
    turns = KeylessRound(queue)
    for number in range(2 * turns.partitions):
        if number % 2 == 0:
            turns.publish(number)
            continue
        reply = queue.call(f"/publish/{turns.topic}", _record(f"m{number}"), promise="PUB-ALIAS-1")
        expect_status(bench, reply, 200, "PUB-ALIAS-1", "the record is valid, and the topic exists")
    turns.expect_turns("PART-RR-1", "the spelling of the path makes no difference")


@clauses("PART-RR-1")
def test_readers_leave_the_turn_of_records_alone(bench: Bench) -> None:
    """Have other groups subscribe to a topic, read it, look at it and leave between 2 N records without a key; expect
    record j + N behind record j.
    """
    queue = QueueFixture(bench)
    turns = KeylessRound(queue)
    for number in range(2 * turns.partitions):
        turns.publish(number)
        group = queue.new_group()
        reader = queue.new_consumer(group, turns.topic)
        if bench.declares("introspection"):
            look_around(queue, turns.topic, group)
        if number % 3 == 0:
            queue.read_and_acknowledge(reader, 1)
        elif number % 3 == 1:
            queue.unsubscribe(reader, turns.topic)
    turns.expect_turns("PART-RR-1", "what readers do makes no difference")


@clauses("PART-RR-1")
def test_the_round_goes_on_after_many_records(bench: Bench) -> None:
    """Publish more records without a key than an octet can count, to a topic whose number of partitions is no power of
    two; expect each three in a row to lie in different partitions.
    """
    wish = 3
    if not bench.declares("topic-partitions") or (bench.limit("partitions") or wish) < wish:
        bench.skip("PART-RR-1", f"no topic can have {wish} partitions here (extension topic-partitions)")
        return
    queue = QueueFixture(bench)
    rounds = bench.examples(quick=15, standard=87, thorough=342)
    topic = queue.new_topic(partitions=wish)
    consumer = queue.new_consumer(queue.new_group(), topic)
    own_every_partition(queue, topic, consumer, wish)
    for number in range(rounds * wish):
        queue.publish(topic, f"m{number}", key=None)
    for first in range(0, rounds * wish, wish):
        came = [record for _, record in queue.poll_all(consumer)]
        bench.judge(
            "PART-RR-1",
            {record.message for record in came} == {f"m{first + further}" for further in range(wish)},
            expected=f"m{first} and the next {wish - 1} in flight at once, one in each partition",
            observed=[record.whole for record in came],
        )
        for record in came:
            queue.acknowledge(consumer, record.message_id)


@clauses("PART-RR-1")
def test_refused_records_take_no_turn(bench: Bench) -> None:
    """Publish records that must be refused between 2 N records without a key; expect record j + N behind record
    j.
    """
    queue = QueueFixture(bench)
    limited = bench.declares("topic-limits")
    turns = KeylessRound(queue, **({"partition_bytes": 20_000} if limited else {}))
    path = publish_path(turns.topic)
    refused: list[dict[str, Any]] = [
        {"messageID": "1"},
        {"message": "no label"},
        {"messageID": "1", "message": "m", "key": 7},
        {"messageID": "1", "message": None, "key": None},
    ]
    for number in range(2 * turns.partitions):
        turns.publish(number)
        if number % 2 == 0:
            body = refused[number // 2 % len(refused)]
            reply = queue.call(path, body)
            expect_refusal(bench, reply, "PUB-BODY-1", f"the body is {body}")
            if limited:
                full = queue.call(path, _record("x" * 20_001))
                expect_publish_refusal(bench, full, "PUB-FULL-1", "the record has more than 20,000 octets")
    turns.expect_turns("PART-RR-1", "refused records take no turn")


@clauses("TOPIC-ADD-2")
def test_adding_a_topic_again_leaves_the_turn_of_its_records(bench: Bench) -> None:
    """Add a topic again after each of 2 N records without a key; expect a refusal (4xx), and record j + N behind
    record j.
    """
    queue = QueueFixture(bench)
    turns = KeylessRound(queue)
    for number in range(2 * turns.partitions):
        turns.publish(number)
        if (
            number == 0 or number % turns.partitions
        ):  # not where a round that begins anew would look as if it went on
            again = queue.call(ADD_TOPIC, {"topicName": turns.topic})
            expect_refusal(bench, again, "TOPIC-ADD-2", "the topic exists")
    turns.expect_turns("TOPIC-ADD-2", "the topic stays as it was")
