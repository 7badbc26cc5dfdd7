"""Acknowledgements and negative acknowledgements: ACK-* and NACK-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import ACKNOWLEDGE, NEGATIVE_ACKNOWLEDGE, QueueFixture, unused_id
from conformance.suite.queue.generators import similar_ids

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.queue.fixture import DeliveredRecord

#: Deliveries of one record, by effort: brokers were seen to set a message aside after 5, 6, 10 or 16.
DELIVERIES = (17, 33, 101)

BAD_IDS = [-1, 2**63, 10**30, 1.5, "abc", "", "1.5", "-1", "0x10", f"{2**63}", True, None, [], {}]


@clauses("ACK-OK-1", "ACK-COMMIT-1", "ACK-COMMIT-2")
def test_an_acknowledged_record_makes_way_for_the_next(bench: Bench) -> None:
    """Poll a record, acknowledge it and poll again; expect 202, then the next record and not the first one again."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "first")
    queue.publish(topic, "second")
    first = queue.poll_until_record(consumer)
    queue.acknowledge(consumer, first.message_id)
    second = queue.poll_record(consumer, "ACK-COMMIT-2")
    bench.judge(
        "ACK-COMMIT-1", second.message != "first", expected="not `first` again", observed=second.whole
    )
    bench.judge("ACK-COMMIT-2", second.message == "second", expected="`second`", observed=second.whole)


@clauses("ACK-COMMIT-1")
def test_an_acknowledged_record_stays_acknowledged_for_the_next_owner(bench: Bench) -> None:
    """Acknowledge two of three records and hand the partition to another consumer; expect it to get the third."""
    queue = QueueFixture(bench)
    topic, group, (first,) = queue.topic_with_consumers()
    for number in range(3):
        queue.publish(topic, f"m{number}")
    queue.read_and_acknowledge(first, 2)
    queue.unsubscribe(first, topic)
    second = queue.new_consumer(group, topic)
    record = queue.poll_until_record(second)
    bench.judge(
        "ACK-COMMIT-1", record.message == "m2", expected="m2, the first not settled", observed=record.whole
    )


@clauses("ACK-OK-2")
@pytest.mark.parametrize("spelling", [int, str], ids=["number", "string"])
def test_the_id_may_be_a_number_or_a_decimal_string(bench: Bench, spelling: type) -> None:
    """Send the id of a record in flight as a number or as a decimal string; expect 202, and then the next record. Give
    the first one back so before; expect 202, and that record again.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "first")
    queue.publish(topic, "second")
    first = queue.poll_until_record(consumer)
    if bench.declares("negative-acknowledgement"):
        body = {"consumer_name": consumer, "message_id": spelling(first.message_id)}
        reply = queue.call(NEGATIVE_ACKNOWLEDGE, body)
        expect_status(bench, reply, 202, "ACK-OK-2", f"the id may be of type {spelling.__name__}")
        first = queue.poll_until_record(consumer, "ACK-OK-2")
        bench.judge("ACK-OK-2", first.message == "first", expected="`first` once more", observed=first.whole)
    reply = queue.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": spelling(first.message_id)})
    expect_status(bench, reply, 202, "ACK-OK-2", f"the id may be of type {spelling.__name__}")
    second = queue.poll_until_record(consumer, "ACK-OK-2")
    bench.judge("ACK-OK-2", second.message == "second", expected="`second` after that", observed=second.whole)


def _never_delivered(record: DeliveredRecord) -> list[int]:
    """Ids that no poll of the consumer returned: one far away, and some that are easily taken for the record's own."""
    return [unused_id(record), *similar_ids(record.message_id)]


@clauses("ACK-UNKNOWN-1", "ACK-UNKNOWN-2")
def test_an_id_that_was_never_delivered_is_refused(bench: Bench) -> None:
    """Send acknowledgements with ids that no poll returned; expect refusals (4xx), the record still in flight."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "first")
    queue.publish(topic, "second")
    first = queue.poll_until_record(consumer)
    for message_id in _never_delivered(first):
        reply = queue.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": message_id})
        expect_refusal(bench, reply, "ACK-UNKNOWN-1", f"{message_id} was never delivered to the consumer")
        expect_status(bench, reply, 409, "ACK-UNKNOWN-2", "not in flight")
    queue.expect_no_record(consumer, "ACK-UNKNOWN-1", "no record: `first` is in flight as before")
    queue.acknowledge(consumer, first.message_id)


@clauses("ACK-UNKNOWN-1", "ACK-UNKNOWN-2")
def test_a_second_acknowledgement_is_refused(bench: Bench) -> None:
    """Send an acknowledgement for a record that was acknowledged before; expect a refusal (4xx), and no other record
    committed.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for number in range(3):
        queue.publish(topic, f"m{number}")
    first = queue.poll_until_record(consumer)
    queue.acknowledge(consumer, first.message_id)
    second = queue.poll_until_record(consumer)
    reply = queue.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": first.message_id})
    expect_refusal(bench, reply, "ACK-UNKNOWN-1", "acknowledged already")
    expect_status(bench, reply, 409, "ACK-UNKNOWN-2", "not in flight")
    queue.expect_no_record(consumer, "ACK-UNKNOWN-1", "no record: m1 is in flight as before")
    queue.acknowledge(consumer, second.message_id)


@clauses("ACK-OTHER-1")
@pytest.mark.parametrize("where", ["same group", "other group"])
def test_another_consumers_record_is_refused_and_stays_with_its_holder(bench: Bench, where: str) -> None:
    """Send an acknowledgement for a record that another consumer holds; expect a refusal (4xx). Its holder can still
    acknowledge it.
    """
    queue = QueueFixture(bench)
    topic, group, (holder,) = queue.topic_with_consumers()
    stranger = queue.new_consumer(group if where == "same group" else queue.new_group())
    queue.publish(topic, "first")
    queue.publish(topic, "second")
    first = queue.poll_until_record(holder)
    reply = queue.call(ACKNOWLEDGE, {"consumer_name": stranger, "message_id": first.message_id})
    expect_refusal(bench, reply, "ACK-OTHER-1", "another consumer holds the record")
    queue.expect_no_record(holder, "ACK-OTHER-1", "no record: `first` is in flight as before")
    held = queue.call(ACKNOWLEDGE, {"consumer_name": holder, "message_id": first.message_id})
    expect_status(bench, held, 202, "ACK-OTHER-1", "the consumer holds the record")


@clauses("ACK-UNKNOWN-1")
@pytest.mark.parametrize("then", ["free", "again in flight"])
def test_what_a_consumer_lost_by_unsubscribing_is_not_its_own(bench: Bench, then: str) -> None:
    """Unsubscribe with a record in flight, and acknowledge that, before or after the consumer is subscribed again and
    another member holds it; expect a refusal (4xx), and the record not settled.
    """
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    for number in range(2):
        queue.publish(topic, f"m{number}")
    lost = queue.poll_until_record(consumer)
    queue.unsubscribe(consumer, topic)
    heir = queue.new_consumer(group)
    if then == "again in flight":
        queue.subscribe(heir, topic)
        queue.poll_until_record(heir, "DELIVER-2")
    late = queue.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": lost.message_id})
    clause = "ACK-UNKNOWN-1" if then == "free" else "ACK-OTHER-1"
    expect_refusal(bench, late, clause, "the consumer unsubscribed from the topic of the record")
    if then == "free":
        queue.subscribe(heir, topic)
        again = queue.poll_until_record(heir, clause)
        bench.judge(clause, again.message == "m0", expected="m0, which was not settled", observed=again.whole)
    queue.expect_no_record(heir, clause, "no record: m0 is in flight")


@clauses("ACK-CONSUMER-1", "ACK-CONSUMER-2")
def test_an_unknown_consumer_cannot_acknowledge(bench: Bench) -> None:
    """Send an acknowledgement from a consumer that was never registered; expect a refusal (4xx), nothing committed."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "first")
    first = queue.poll_until_record(consumer)
    reply = queue.call(ACKNOWLEDGE, {"consumer_name": bench.fresh("nobody"), "message_id": first.message_id})
    expect_refusal(bench, reply, "ACK-CONSUMER-1", "no such consumer")
    expect_status(bench, reply, 404, "ACK-CONSUMER-2", "no such consumer")
    held = queue.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": first.message_id})
    expect_status(bench, held, 202, "ACK-CONSUMER-1", "the consumer holds the record")


@clauses("ACK-BAD-1")
def test_an_invalid_id_is_refused(bench: Bench) -> None:
    """Send negative, huge, fractional and non-numeric ids; expect a refusal (4xx) of each, and nothing acknowledged."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "first")
    queue.publish(topic, "second")
    first = queue.poll_until_record(consumer)
    for message_id in BAD_IDS:
        reply = queue.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": message_id})
        expect_refusal(bench, reply, "ACK-BAD-1", f"{message_id!r} is no message id")
    queue.expect_no_record(consumer, "ACK-BAD-1", "no record: `first` is in flight as before")
    held = queue.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": first.message_id})
    expect_status(bench, held, 202, "ACK-BAD-1", "`first` was still in flight")


def _spoilt(message_id: int) -> list[object]:
    """Values that are no ids, each made of the id of a record in flight."""
    texts = [f"{message_id}.5", f"{message_id}.0", f"{message_id}e0", f"{message_id}abc", f"{message_id} "]
    texts += [f" {message_id}", f"+{message_id}", f"-{message_id}", f"{message_id},0", hex(message_id)]
    texts += [f"{message_id}\u0000", f"{message_id + 2**64}"]
    numbers = [message_id + 0.5, -message_id - 1, message_id + 2**64]
    return [*texts, *numbers, [message_id], {"message_id": message_id}]


@clauses("ACK-BAD-1", "NACK-UNKNOWN-1")
@pytest.mark.parametrize("path", [ACKNOWLEDGE, NEGATIVE_ACKNOWLEDGE], ids=["acknowledge", "give back"])
def test_an_id_is_not_made_of_an_impossible_value(bench: Bench, path: str) -> None:
    """Send the id of the record in flight with a fraction, a sign, a blank or letters beside it, or 2**64 further;
    expect a refusal (4xx) of each, and the record still in flight.
    """
    clause = "ACK-BAD-1" if path == ACKNOWLEDGE else "NACK-UNKNOWN-1"
    if path == NEGATIVE_ACKNOWLEDGE and not bench.declares("negative-acknowledgement"):
        bench.skip(clause, "nothing can be given back (extension negative-acknowledgement)")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "first")
    first = queue.poll_until_record(consumer)
    for message_id in _spoilt(first.message_id):
        reply = queue.call(path, {"consumer_name": consumer, "message_id": message_id})
        expect_refusal(bench, reply, clause, f"{message_id!r} is no message id")
    queue.expect_no_record(consumer, clause, "no record: `first` is in flight as before")
    held = queue.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": first.message_id})
    expect_status(bench, held, 202, clause, "`first` was still in flight")


@clauses("NACK-OK-1", "NACK-AGAIN-1")
def test_a_negatively_acknowledged_record_comes_again_before_later_ones(bench: Bench) -> None:
    """Send a negative acknowledgement many times; expect 202, and the same record from the next poll each time."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for number in range(2):
        queue.publish(topic, f"m{number}")
    again = queue.poll_until_record(consumer)
    for _ in range(bench.examples(*DELIVERIES)):
        body = {"consumer_name": consumer, "message_id": again.message_id}
        reply = queue.call(NEGATIVE_ACKNOWLEDGE, body)
        expect_status(bench, reply, 202, "NACK-OK-1", "the record is in flight")
        again = queue.poll_record(consumer, "NACK-OK-1")
        bench.judge(
            "NACK-AGAIN-1", again.message == "m0", expected="m0 once more, before m1", observed=again.whole
        )
    queue.acknowledge(consumer, again.message_id)
    following = queue.poll_record(consumer, "ACK-COMMIT-2")
    bench.judge("NACK-AGAIN-1", following.message == "m1", expected="m1 after it", observed=following.whole)


@clauses("NACK-OK-1", "NACK-AGAIN-1")
@pytest.mark.parametrize("place", [1, -1], ids=["second", "last"])
def test_one_of_several_records_is_given_back(bench: Bench, place: int) -> None:
    """Hold a record of each of four topics and give one back; expect that one again from the next poll, no other, and
    202 for the acknowledgement of each.
    """
    queue = QueueFixture(bench)
    topics = [queue.new_topic() for _ in range(4)]
    consumer = queue.new_consumer(queue.new_group(), *topics)
    for topic in topics:
        queue.publish(topic, f"of {topic}")
        queue.publish(topic, "later")
    held = [queue.poll_until_record(consumer) for _ in topics]
    given_back = held[place]
    body = {"consumer_name": consumer, "message_id": given_back.message_id}
    reply = queue.call(NEGATIVE_ACKNOWLEDGE, body)
    expect_status(bench, reply, 202, "NACK-OK-1", "the record is in flight")
    again = queue.poll(consumer)
    expected = f"{given_back.message!r} once more: it is the only record that is free"
    if not bench.judge("NACK-AGAIN-1", again.status == 200, expected=expected, observed=again):
        return
    record = queue.record_of(again)
    is_free = record.topic == given_back.topic
    bench.judge("NACK-OK-1", is_free, expected=expected, observed=record.whole)
    bench.judge(
        "NACK-AGAIN-1", record.message == given_back.message, expected=expected, observed=record.whole
    )
    for each in (*(other for other in held if other is not given_back), record):
        queue.acknowledge(consumer, each.message_id)


@clauses("NACK-UNKNOWN-1", "NACK-UNKNOWN-2")
@pytest.mark.parametrize("why", ["never delivered", "acknowledged", "another consumer's"])
def test_a_record_not_in_flight_cannot_be_negatively_acknowledged(bench: Bench, why: str) -> None:
    """Send a negative acknowledgement for a record that the consumer does not hold; expect a refusal (4xx), and the
    record in flight unchanged.
    """
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    for number in range(3):
        queue.publish(topic, f"m{number}")
    record = queue.poll_until_record(consumer)
    expected_next = "m0"
    asking, ids = consumer, [record.message_id]
    if why == "never delivered":
        ids = [unused_id(record), *similar_ids(record.message_id)]
    elif why == "acknowledged":
        queue.acknowledge(consumer, record.message_id)
        record = queue.poll_until_record(consumer)
        expected_next = "m1"
    else:
        asking = queue.new_consumer(group)
    for message_id in ids:
        reply = queue.call(NEGATIVE_ACKNOWLEDGE, {"consumer_name": asking, "message_id": message_id})
        expect_refusal(bench, reply, "NACK-UNKNOWN-1", why)
        expect_status(bench, reply, 409, "NACK-UNKNOWN-2", "not in flight")
    queue.expect_no_record(consumer, "NACK-UNKNOWN-1", f"no record: {expected_next} is in flight as before")


@clauses("NACK-UNKNOWN-1", "NACK-UNKNOWN-2")
def test_an_unknown_consumer_cannot_acknowledge_negatively(bench: Bench) -> None:
    """Send a negative acknowledgement from a consumer that was never registered; expect a refusal (4xx), and no record
    freed.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "first")
    first = queue.poll_until_record(consumer)
    body = {"consumer_name": bench.fresh("nobody"), "message_id": first.message_id}
    reply = queue.call(NEGATIVE_ACKNOWLEDGE, body)
    expect_refusal(bench, reply, "NACK-UNKNOWN-1", "no such consumer")
    expect_status(bench, reply, 404, "NACK-UNKNOWN-2", "no such consumer")
    queue.expect_no_record(consumer, "NACK-UNKNOWN-1", "no record: `first` is in flight as before")
    queue.acknowledge(consumer, first.message_id)


@clauses("NACK-OK-1", "NACK-AGAIN-1")
def test_a_negatively_acknowledged_record_is_no_longer_in_flight(bench: Bench) -> None:
    """Send an acknowledgement after a negative one for the same record; expect a refusal (4xx), and the record again
    from the next poll.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for number in range(2):
        queue.publish(topic, f"m{number}")
    first = queue.poll_until_record(consumer)
    given = {"consumer_name": consumer, "message_id": first.message_id}
    reply = queue.call(NEGATIVE_ACKNOWLEDGE, given)
    expect_status(bench, reply, 202, "NACK-OK-1", "the record is in flight")
    late = queue.call(ACKNOWLEDGE, given)
    expect_refusal(bench, late, "ACK-UNKNOWN-1", "the record was given back")
    again = queue.poll_record(consumer, "NACK-AGAIN-1")
    bench.judge(
        "NACK-AGAIN-1", again.message == "m0", expected="m0, which was not acknowledged", observed=again.whole
    )
