"""What may be published, and what a refused record leaves behind: PUB-*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.bench.marks import clauses, main_thread_only
from conformance.suite.queue.queue_client import refused
from conformance.suite.queue.scene import ADD_TOPIC, KEY, Scene, failed, publish_path

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
    '{"message": "not parsed"}',
    "x" * 10_000,
]


@clauses("PUB-STORE-1")
def test_a_record_is_stored(bench: Bench) -> None:
    """A published record is answered 200, and a consumer gets it."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.publish(topic, "hello")
    record = scene.record(consumer, "PUB-STORE-1")
    bench.judge("PUB-STORE-1", record.message == "hello", expected="the stored record", observed=record.whole)


@clauses("PUB-TOPIC-1", "PUB-TOPIC-2")
@pytest.mark.parametrize("path", ["/producer/publish/{}", "/publish/{}"])
def test_a_topic_that_does_not_exist_is_refused(bench: Bench, path: str) -> None:
    """Publishing to a topic that nobody added is refused, and does not add it."""
    scene = Scene(bench)
    topic = bench.fresh("topic")
    reply = scene.call(path.format(topic), {"messageID": "1", "message": "m"})
    bench.judge("PUB-TOPIC-1", refused(reply), expected="4xx: no such topic", observed=reply)
    bench.judge("PUB-TOPIC-2", reply.status == 404, expected="404: no such topic", observed=reply)
    again = scene.call(path.format(topic), {"messageID": "2", "message": "m"})
    bench.judge("PUB-TOPIC-1", refused(again), expected="4xx again: the topic was not added", observed=again)
    added = scene.queue.add_topic(topic)
    bench.judge("PUB-TOPIC-1", added.status == 200, expected="200: the topic was not there", observed=added)


@clauses("PUB-ALIAS-1")
def test_the_short_spelling_publishes_too(bench: Bench) -> None:
    """Records published under both spellings lie in one partition, in their order."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.publish(topic, "long")
    reply = scene.call(f"/publish/{topic}", {"messageID": "2", "message": "short", "key": "one-key"})
    bench.judge("PUB-ALIAS-1", reply.status == 200, expected="200 for a stored record", observed=reply)
    delivered = [record.message for record in scene.drain(consumer, 2, "PUB-ALIAS-1")]
    bench.judge(
        "PUB-ALIAS-1", delivered == ["long", "short"], expected="long, then short", observed=delivered
    )


@clauses("PUB-BODY-1", "PUB-BODY-2")
def test_a_body_without_what_is_required_is_refused_and_nothing_is_stored(bench: Bench) -> None:
    """A record without a label or a text, or with a wrongly typed one, is refused and never delivered."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    for body in BAD_BODIES.values():
        reply = scene.call(publish_path(topic), body)
        bench.judge("PUB-BODY-1", refused(reply), expected=f"4xx for the body {body}", observed=reply)
        bench.judge("REFUSE-6", reply.status == 400, expected=f"400 for the body {body}", observed=reply)
    scene.warm_up(topic, consumer)
    others = scene.sweep(consumer)
    bench.judge(
        "PUB-BODY-2",
        not others,
        expected="only the record that was stored",
        observed=[record.whole for _, record in others],
    )


@clauses("PUB-KEY-1")
@pytest.mark.parametrize("key", ["absent", None, ""], ids=["absent", "null", "empty"])
def test_a_record_without_a_key_is_stored(bench: Bench, key: str | None) -> None:
    """No key, null and the empty key are all allowed."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    body: dict[str, Any] = {"messageID": "1", "message": "keyless"}
    if key != "absent":
        body["key"] = key
    reply = scene.call(publish_path(topic), body)
    bench.judge("PUB-KEY-1", reply.status == 200, expected="200 for a record without a key", observed=reply)
    record = scene.record(consumer, "PUB-KEY-1")
    bench.judge("PUB-KEY-1", record.message == "keyless", expected="the stored record", observed=record.whole)


@clauses("PUB-LABEL-1")
@pytest.mark.parametrize("label", ["same", 1_700_000_000], ids=["string", "integer"])
def test_records_that_share_a_label_are_distinct(bench: Bench, label: str | int) -> None:
    """The producer's label may repeat: three records of one label are three records."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    texts = ["one", "two", "three"]
    for text in texts:
        scene.publish(topic, text, label=label)
    delivered = scene.drain(consumer, 3, "PUB-LABEL-1")
    observed = [record.message for record in delivered]
    bench.judge("PUB-LABEL-1", observed == texts, expected="all three, in order", observed=observed)
    ids = {str(record.message_id) for record in delivered}
    bench.judge(
        "PUB-LABEL-1", len(ids) == 3, expected="a messageId of its own for each", observed=sorted(ids)
    )


@clauses("PUB-TEXT-1")
def test_awkward_texts_arrive_as_they_were_sent(bench: Bench) -> None:
    """Messages and keys of any Unicode text, also the empty message, come out as they went in."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    room = min(bench.limit("body_bytes") or 2e4, bench.limit("frame_bytes") or 2e4) / 2
    for text in TEXTS:
        if len(text) > room:
            continue
        key = text[:64] or "key"
        scene.publish(topic, text, key=key)
        record = scene.record(consumer, "PUB-TEXT-1")
        same = record.message == text and record.key == key
        bench.judge(
            "PUB-TEXT-1", same, expected=f"message {text[:80]!r} with key {key[:80]!r}", observed=record.whole
        )
        scene.acknowledge(consumer, record.message_id)


@clauses("PUB-TEXT-1")
@main_thread_only
def test_any_text_arrives_as_it_was_sent(bench: Bench) -> None:
    """Any generated message and key come out as they went in."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)

    @bench.hypothesis(examples=bench.examples(quick=5, standard=25, thorough=200))
    @given(message=text, key=text.filter(bool))
    def round_trip(message: str, key: str) -> None:
        scene.publish(topic, message, key=key)
        record = scene.record(consumer, "PUB-TEXT-1")
        # A run that fails is shrunk on the same topic: what it left unacknowledged is settled first.
        scene.acknowledge(consumer, record.message_id)
        same = (record.message, record.key) == (message, key)
        bench.judge(
            "PUB-TEXT-1", same, expected=f"message {message!r} with key {key!r}", observed=record.whole
        )

    round_trip()


@clauses("PUB-FULL-1", "PUB-FULL-2")
def test_a_full_partition_refuses_and_keeps_what_it_has(bench: Bench) -> None:
    """Past the topic's bound a record is refused; what was stored before is still delivered."""
    scene = Scene(bench)
    topic, group = scene.topic(partition_bytes=1000), scene.group()
    consumer = scene.consumer(group, topic)
    stored = 0
    for number in range(5):
        text = f"{number:02}".ljust(200, "é")
        reply = scene.call(publish_path(topic), {"messageID": number, "message": text, "key": "k"})
        if reply.status != 200:
            break
        stored += 1
    bench.judge(
        "PUB-FULL-1",
        failed(reply) and stored <= 2,
        expected="a refusal of the third record of 399 octets in a partition of 1,000",
        observed=f"{reply} after {stored} records",
    )
    bench.judge("PUB-FULL-2", reply.status == 507, expected="507: the partition is full", observed=reply)
    texts = [record.message[:2] for record in scene.drain(consumer, stored, "PUB-FULL-1")]
    bench.judge(
        "PUB-FULL-1",
        texts == [f"{number:02}" for number in range(stored)],
        expected=f"the {stored} records that were stored",
        observed=texts,
    )


@clauses("PUB-FULL-1")
def test_acknowledging_makes_no_room(bench: Bench) -> None:
    """Records stay when they are acknowledged: a full partition stays full, for groups to come."""
    scene = Scene(bench)
    topic, _group, (consumer,) = _full_topic(scene)
    full = scene.call(publish_path(topic), {"messageID": "1", "message": "x" * 12_000, "key": "k"})
    bench.judge("PUB-FULL-1", failed(full), expected="a refusal: the partition is full", observed=full)
    scene.drain(consumer, 1, "PUB-FULL-1")
    still = scene.call(publish_path(topic), {"messageID": "1", "message": "x" * 12_000, "key": "k"})
    bench.judge("PUB-FULL-1", failed(still), expected="a refusal as before", observed=still)


def _full_topic(scene: Scene) -> tuple[str, str, list[str]]:
    """A topic whose bound one record has more than half used up; the bound leaves a server room for its own needs."""
    topic, group = scene.topic(partition_bytes=20_000), scene.group()
    consumer = scene.consumer(group, topic)
    scene.publish(topic, "x" * 12_000, key="k")
    return topic, group, [consumer]


@clauses("PUB-FULL-3")
def test_a_bound_that_is_no_positive_integer_is_refused(bench: Bench) -> None:
    """Zero, negatives, fractions, strings, booleans, null, lists and more than the limit bound no topic."""
    scene = Scene(bench)
    name = bench.fresh("topic")
    most = bench.limit("partition_bytes")
    bounds: list[object] = [0, -1, 2.5, "1000", True, None, [], *([int(most) + 1] if most else [])]
    for bound in bounds:
        reply = scene.call(ADD_TOPIC, {"topicName": name, "partition_bytes": bound})
        bench.judge("PUB-FULL-3", refused(reply), expected=f"4xx for {bound!r} octets", observed=reply)
    valid = scene.call(ADD_TOPIC, {"topicName": name})
    bench.judge(
        "PUB-FULL-3", valid.status == 200, expected="200: no refused request added it", observed=valid
    )


@clauses("PUB-TIME-1")
def test_a_timestamp_is_delivered_as_it_was_published(bench: Bench) -> None:
    """Numbers are equal as numbers, strings as strings."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    for stamp in (0, 1_700_000_000_123, 1_700_000_000_123.5, -1, "2024-02-29T12:00:00Z", ""):
        body = {"messageID": "1", "message": "m", "key": KEY, "timestamp": stamp}
        reply = scene.call(publish_path(topic), body)
        bench.judge("PUB-STORE-1", reply.status == 200, expected="200 for a stored record", observed=reply)
        record = scene.record(consumer)
        delivered = record.whole["message"].get("timestamp")
        bench.judge(
            "PUB-TIME-1",
            delivered == stamp and isinstance(delivered, str) == isinstance(stamp, str),
            expected=f"the timestamp {stamp!r}",
            observed=record.whole,
        )
        scene.acknowledge(consumer, record.message_id)


@clauses("PUB-STORE-1")
@pytest.mark.parametrize("more", [{}, {"timestamp": None}], ids=["no timestamp", "timestamp null"])
def test_a_record_needs_no_timestamp(bench: Bench, more: dict[str, Any]) -> None:
    """A record without a timestamp is stored."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    reply = scene.call(publish_path(topic), {"messageID": "1", "message": "m", **more})
    bench.judge("PUB-STORE-1", reply.status == 200, expected="200 for a stored record", observed=reply)
    record = scene.record(consumer, "PUB-STORE-1")
    bench.judge("PUB-STORE-1", record.message == "m", expected="the stored record", observed=record.whole)
