"""Publishing, and the effects of refused records: PUB-*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.bench.marks import clauses, main_thread_only
from conformance.suite.generators import NUMBER_LIKE
from conformance.suite.queue.bursts import Bursts
from conformance.suite.queue.expectations import (
    expect_publish_refusal,
    expect_refusal,
    expect_status,
    publish_refused,
)
from conformance.suite.queue.fixture import ADD_TOPIC, KEY, QueueFixture, publish_path
from conformance.suite.queue.generators import LITERALS, beyond, room_for_text

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

BAD_BODIES: dict[str, dict[str, Any]] = {
    "no messageID": {"message": "m"},
    "no message": {"messageID": "1"},
    "messageID null": {"messageID": None, "message": "m"},
    "messageID list": {"messageID": [1], "message": "m"},
    "messageID object": {"messageID": {}, "message": "m"},
    "message null": {"messageID": "1", "message": None},
    "message number": {"messageID": "1", "message": 7},
    "message object": {"messageID": "1", "message": {"text": "m"}},
    "key number": {"messageID": "1", "message": "m", "key": 7},
    "key list": {"messageID": "1", "message": "m", "key": ["k"]},
}
TEXTS = [
    "",
    " ",
    "plain",
    "\u0000",
    "line\nline\r\nline",
    "colon:backslash\\c",
    "näïve",
    "日本語",
    "\U0001f600 astral",
    "\u2028\ufeff",
    "\ufeffbehind a byte order mark",
    '<a href="x?y&amp;z">&lt;</a>',
    "%41 %2F a+b",
    "&#65; \\u0041 \\n",
    "\u212b e\u0301 \ufb01 \u2460",
    '{"message": "not parsed"}',
    # Characters that a decoder writes where it fails, that mean nothing, or that lie at the ends of a range.
    "\ufffd genuine",
    "\ufffe\uffff\ufdd0\ue000\ud7ff\U00010000\U0010ffff",
    "\u200b\u200d\u200e\u202e\u00ad\u2029",
    # Beyond 65,535 and 65,536 octets.
    "x" * 70_000,
    # A text per control character would take long: one that ends or cuts the text shows here too.
    "".join(map(chr, range(1, 32))) + "behind",
    "".join(map(chr, range(127, 160))) + "behind",
    *LITERALS,
    *NUMBER_LIKE,
]


@clauses("PUB-STORE-1")
def test_a_record_is_stored(bench: Bench) -> None:
    """Publish a record; expect 200, and the record from a poll."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "hello")
    record = queue.poll_until_record(consumer, "PUB-STORE-1")
    bench.judge("PUB-STORE-1", record.message == "hello", expected="the stored record", observed=record.whole)


@clauses("PUB-TOPIC-1", "PUB-TOPIC-2")
@pytest.mark.parametrize("path", ["/producer/publish/{}", "/publish/{}"])
def test_a_topic_that_does_not_exist_is_refused(bench: Bench, path: str) -> None:
    """Publish to a topic that was never added; expect a refusal (4xx), and no topic added by it."""
    queue = QueueFixture(bench)
    topic = bench.fresh("topic")
    reply = queue.call(path.format(topic), {"messageID": "1", "message": "m"})
    expect_refusal(bench, reply, "PUB-TOPIC-1", "no such topic")
    expect_status(bench, reply, 404, "PUB-TOPIC-2", "no such topic")
    again = queue.call(path.format(topic), {"messageID": "2", "message": "m"})
    expect_refusal(bench, again, "PUB-TOPIC-1", "a refused publish adds no topic")
    added = queue.client.add_topic(topic)
    expect_status(bench, added, 200, "PUB-TOPIC-1", "the topic was not there")


@clauses("PUB-ALIAS-1")
def test_the_short_spelling_publishes_too(bench: Bench) -> None:
    """Publish under both spellings of the path; expect both records in one partition, in their order."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "long")
    reply = queue.call(f"/publish/{topic}", {"messageID": "2", "message": "short", "key": "one-key"})
    expect_status(bench, reply, 200, "PUB-ALIAS-1", "the record is valid, and the topic exists")
    delivered = [record.message for record in queue.read_and_acknowledge(consumer, 2, "PUB-ALIAS-1")]
    bench.judge(
        "PUB-ALIAS-1", delivered == ["long", "short"], expected="long, then short", observed=delivered
    )


@clauses("ORDER-3")
def test_both_spellings_keep_the_order_of_a_connection(bench: Bench) -> None:
    """Send a burst of records under both spellings of the path in turn; expect them in their order."""
    if bench.binding != "queue-stomp":
        bench.skip("ORDER-3", "one spelling of the path is enough here")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    paths = (publish_path(topic), f"/publish/{topic}")
    texts = [f"m{number}" for number in range(30)]
    bodies = [{"messageID": text, "message": text, "key": KEY} for text in texts]
    Bursts(queue).perform([(paths[number % 2], body) for number, body in enumerate(bodies)])
    came = [record.message for record in queue.read_and_acknowledge(consumer, len(texts))]
    bench.judge("ORDER-3", came == texts, expected="m0 to m29 in their order", observed=came)


@clauses("PUB-BODY-1", "PUB-BODY-2")
def test_a_body_without_what_is_required_is_refused_and_nothing_is_stored(bench: Bench) -> None:
    """Publish without a label or a message, or with a wrong type for them; expect a refusal (4xx), and no such record
    delivered.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for body in BAD_BODIES.values():
        reply = queue.call(publish_path(topic), body)
        expect_refusal(bench, reply, "PUB-BODY-1", f"the body is {body}")
        expect_status(bench, reply, 400, "REFUSE-6", f"the body is {body}")
    queue.confirm_ownership(topic, consumer)
    others = queue.poll_all(consumer)
    bench.judge(
        "PUB-BODY-2",
        not others,
        expected="only the record that was stored",
        observed=[record.whole for _, record in others],
    )


@clauses("PUB-KEY-1")
@pytest.mark.parametrize("key", ["absent", None, ""], ids=["absent", "null", "empty"])
def test_a_record_without_a_key_is_stored(bench: Bench, key: str | None) -> None:
    """Publish with no key, null or the empty key; expect 200, and the record from a poll."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    body: dict[str, Any] = {"messageID": "1", "message": "keyless"}
    if key != "absent":
        body["key"] = key
    reply = queue.call(publish_path(topic), body)
    expect_status(bench, reply, 200, "PUB-KEY-1", "a record needs no key")
    record = queue.poll_until_record(consumer, "PUB-KEY-1")
    bench.judge("PUB-KEY-1", record.message == "keyless", expected="the stored record", observed=record.whole)


@clauses("PUB-LABEL-1")
@pytest.mark.parametrize("label", ["same", 1_700_000_000], ids=["string", "integer"])
def test_records_that_share_a_label_are_distinct(bench: Bench, label: str | int) -> None:
    """Publish three records with one label; expect all three, each with a messageId of its own."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    texts = ["one", "two", "three"]
    for text in texts:
        queue.publish(topic, text, label=label)
    delivered = queue.read_and_acknowledge(consumer, 3, "PUB-LABEL-1")
    observed = [record.message for record in delivered]
    bench.judge("PUB-LABEL-1", observed == texts, expected="all three, in order", observed=observed)
    ids = {str(record.message_id) for record in delivered}
    bench.judge(
        "PUB-LABEL-1", len(ids) == 3, expected="a messageId of its own for each", observed=sorted(ids)
    )


@clauses("PUB-LABEL-1")
def test_equal_records_are_distinct(bench: Bench) -> None:
    """Publish one body three times, with a timestamp and without; expect three records of each."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for more in ({"timestamp": 1_700_000_000_000}, {}):
        body = {"messageID": "same", "message": "same", "key": KEY, **more}
        for _ in range(3):
            reply = queue.call(publish_path(topic), body)
            expect_status(bench, reply, 200, "PUB-STORE-1", "the record is valid, and the topic exists")
        queue.read_and_acknowledge(consumer, 3, "PUB-LABEL-1")


@clauses("PUB-TEXT-1")
def test_awkward_texts_arrive_as_they_were_sent(bench: Bench) -> None:
    """Publish messages and keys of awkward Unicode text, also empty ones; expect them back unchanged."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    room = room_for_text(bench)
    for text in TEXTS:
        if len(text) > room:
            continue
        key = text[:64] or "key"
        queue.publish(topic, text, key=key)
        record = queue.poll_until_record(consumer, "PUB-TEXT-1")
        same = record.message == text and record.key == key
        bench.judge(
            "PUB-TEXT-1", same, expected=f"message {text[:80]!r} with key {key[:80]!r}", observed=record.whole
        )
        queue.acknowledge(consumer, record.message_id)


@clauses("PUB-TEXT-1")
@main_thread_only
def test_any_text_arrives_as_it_was_sent(bench: Bench) -> None:
    """Publish generated messages and keys; expect them back unchanged."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)

    @bench.hypothesis(examples=bench.examples(quick=5, standard=25, thorough=200))
    @given(message=text, key=text.filter(bool))
    def round_trip(message: str, key: str) -> None:
        queue.publish(topic, message, key=key)
        record = queue.poll_until_record(consumer, "PUB-TEXT-1")
        # A failing example is shrunk on the same topic: its records have to be acknowledged first.
        queue.acknowledge(consumer, record.message_id)
        same = (record.message, record.key) == (message, key)
        bench.judge(
            "PUB-TEXT-1", same, expected=f"message {message!r} with key {key!r}", observed=record.whole
        )

    round_trip()


@clauses("PUB-FULL-1", "PUB-FULL-2")
def test_a_full_partition_refuses_and_keeps_what_it_has(bench: Bench) -> None:
    """Publish beyond the bound of a partition; expect a refusal, and the records before it to be delivered."""
    queue = QueueFixture(bench)
    topic, group = queue.new_topic(partition_bytes=1000), queue.new_group()
    consumer = queue.new_consumer(group, topic)
    stored = 0
    for number in range(5):
        text = f"{number:02}".ljust(200, "é")
        reply = queue.call(publish_path(topic), {"messageID": number, "message": text, "key": "k"})
        if reply.status != 200:
            break
        stored += 1
    bench.judge(
        "PUB-FULL-1",
        publish_refused(reply) and stored <= 2,
        expected="a refusal of the third record of 399 octets in a partition of 1,000",
        observed=f"{reply} after {stored} records",
    )
    expect_status(bench, reply, 507, "PUB-FULL-2", "the partition is full")
    texts = [record.message[:2] for record in queue.read_and_acknowledge(consumer, stored, "PUB-FULL-1")]
    bench.judge(
        "PUB-FULL-1",
        texts == [f"{number:02}" for number in range(stored)],
        expected=f"the {stored} records that were stored",
        observed=texts,
    )


@clauses("REFUSE-1", "PUB-POSITION-1")
def test_a_record_without_room_takes_none(bench: Bench) -> None:
    """Fill half of a partition, publish a record that is too large for the rest, and then one that a second topic takes
    at this point without the refused one; expect 200 for it, and the offset behind that of the first.
    """
    if not bench.declares("topic-limits"):
        bench.skip("REFUSE-1", "no topic can be filled (extension topic-limits)")
        return
    queue = QueueFixture(bench)
    replies = []
    for is_refused_before in (False, True):
        topic = queue.new_topic(partition_bytes=20_000)
        queue.publish(topic, "x" * 10_000)
        if is_refused_before:
            refused = queue.call(publish_path(topic), {"messageID": "2", "message": "x" * 15_000, "key": KEY})
            expect_publish_refusal(bench, refused, "PUB-FULL-1", "the partition has no room for it")
        replies.append(queue.call(publish_path(topic), {"messageID": "3", "message": "x" * 6000, "key": KEY}))
    first, second = replies
    bench.judge(
        "REFUSE-1",
        first.status == second.status,
        expected=f"{first.status}, as without the record that was refused before",
        observed=second,
    )
    if second.status == 200 and bench.declares("record-position"):
        bench.judge(
            "PUB-POSITION-1",
            queue.position(second) == queue.position(first),
            expected=f"{first.body}, as without the record that was refused before: offsets have no gap",
            observed=second,
        )


@clauses("PUB-FULL-1")
@pytest.mark.parametrize("what", ["key", "message", "both"])
def test_keys_and_messages_count_in_octets(bench: Bench, what: str) -> None:
    """Publish a record whose key, message or both together have more octets than a partition may hold, though fewer
    characters; expect a refusal.
    """
    queue = QueueFixture(bench)
    topic = queue.new_topic(partition_bytes=100)
    body = {
        "messageID": "1",
        "key": {"key": "é" * 60, "message": "k", "both": "é" * 26}[what],
        "message": {"key": "m", "message": "é" * 60, "both": "é" * 26}[what],
    }
    reply = queue.call(publish_path(topic), body)
    expect_publish_refusal(bench, reply, "PUB-FULL-1", "key and message have more than 100 octets of UTF-8")


@clauses("PUB-FULL-1")
def test_acknowledging_makes_no_room(bench: Bench) -> None:
    """Acknowledge a record of a full partition and publish again; expect a refusal as before. Records stay for groups
    that come later.
    """
    if bench.declares("retention"):
        bench.skip("PUB-FULL-1", "acknowledged records make room here (extension retention)")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = _full_topic(queue)
    full = queue.call(publish_path(topic), {"messageID": "1", "message": "x" * 12_000, "key": "k"})
    expect_publish_refusal(bench, full, "PUB-FULL-1", "the partition is full")
    queue.read_and_acknowledge(consumer, 1, "PUB-FULL-1")
    still = queue.call(publish_path(topic), {"messageID": "1", "message": "x" * 12_000, "key": "k"})
    expect_publish_refusal(bench, still, "PUB-FULL-1", "the partition is still full")


def _full_topic(queue: QueueFixture) -> tuple[str, str, list[str]]:
    """Add a topic of which one record uses more than half of the bound. The bound leaves room for the server's
    overhead.
    """
    topic, group = queue.new_topic(partition_bytes=20_000), queue.new_group()
    consumer = queue.new_consumer(group, topic)
    queue.publish(topic, "x" * 12_000, key="k")
    return topic, group, [consumer]


@clauses("PUB-FULL-3")
def test_a_bound_that_is_no_positive_integer_is_refused(bench: Bench) -> None:
    """Add topics with invalid `partition_bytes`: zero, negatives, fractions, strings, booleans, null, lists and numbers
    over the limit; expect a refusal (4xx) of each, and no topic added.
    """
    queue = QueueFixture(bench)
    name = bench.fresh("topic")
    most = bench.limit("partition_bytes")
    bounds: list[object] = [0, -1, 2.5, "1000", True, None, [], *beyond(most)]
    for bound in bounds:
        reply = queue.call(ADD_TOPIC, {"topicName": name, "partition_bytes": bound})
        expect_refusal(bench, reply, "PUB-FULL-3", f"partition_bytes is {bound!r}")
    valid = queue.call(ADD_TOPIC, {"topicName": name})
    expect_status(bench, valid, 200, "PUB-FULL-3", "no refused request added it")


def _is_same_timestamp(delivered: object, stamp: str | float) -> bool:
    """True for the same text, or the same number as far as a double of IEEE 754 holds it."""
    if isinstance(stamp, str) or isinstance(delivered, bool) or not isinstance(delivered, int | float):
        return delivered == stamp
    return float(delivered) == float(stamp)


@clauses("PUB-TIME-1")
def test_a_timestamp_is_delivered_as_it_was_published(bench: Bench) -> None:
    """Publish timestamps that are numbers and strings; expect equal ones of the same kind from the polls."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for stamp in (
        0,
        1_700_000_000_123,
        1_700_000_000_123.5,
        1_700_000_000_123_456_789,
        -1,
        "2024-02-29T12:00:00Z",
        "1700000000123",
        "-1",
        "null",
        "",
    ):
        body = {"messageID": "1", "message": "m", "key": KEY, "timestamp": stamp}
        reply = queue.call(publish_path(topic), body)
        expect_status(bench, reply, 200, "PUB-STORE-1", "the record is valid, and the topic exists")
        record = queue.poll_until_record(consumer)
        delivered = record.whole["message"].get("timestamp")
        bench.judge(
            "PUB-TIME-1",
            _is_same_timestamp(delivered, stamp),
            expected=f"the timestamp {stamp!r}",
            observed=record.whole,
        )
        queue.acknowledge(consumer, record.message_id)


@clauses("PUB-STORE-1")
@pytest.mark.parametrize("more", [{}, {"timestamp": None}], ids=["no timestamp", "timestamp null"])
def test_a_record_needs_no_timestamp(bench: Bench, more: dict[str, Any]) -> None:
    """Publish without a timestamp, or with null; expect 200, and the record from a poll."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    reply = queue.call(publish_path(topic), {"messageID": "1", "message": "m", **more})
    expect_status(bench, reply, 200, "PUB-STORE-1", "the record is valid, and the topic exists")
    record = queue.poll_until_record(consumer, "PUB-STORE-1")
    bench.judge("PUB-STORE-1", record.message == "m", expected="the stored record", observed=record.whole)
