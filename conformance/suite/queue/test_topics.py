"""Topics and names: TOPIC-* and NAME-*."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import (
    expect_publish_refusal,
    expect_refusal,
    expect_status,
    publish_refused,
    refused,
)
from conformance.suite.queue.fixture import (
    ADD_GROUP,
    ADD_TOPIC,
    REGISTER,
    QueueFixture,
    publish_path,
)
from conformance.suite.queue.generators import FREE_NAMES

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.operations import Reply

#: Names that every server has to refuse for topics, groups and consumers.
FORBIDDEN_NAMES = [
    "",
    ".",
    "..",
    "a/b",
    "../a",
    "/",
    "a,b",
    ",",
    "a\nb",
    "a\tb",
    "a\u0000b",
    "a\u001fb",
    "a\u007fb",
]

#: Tries to register a name that other tests use too.
TRIES = 5


@clauses("TOPIC-ADD-1")
def test_a_topic_of_a_new_name_is_added(bench: Bench) -> None:
    """Add a topic; expect 200, and 200 for a record that is published to it."""
    queue = QueueFixture(bench)
    queue.publish(queue.new_topic(), "first")


@clauses("TOPIC-ADD-2", "TOPIC-ADD-3")
def test_a_topic_that_exists_is_refused_and_stays_as_it_was(bench: Bench) -> None:
    """Add a topic that exists; expect a refusal (4xx), and the records of the topic still there."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "before")
    again = queue.call(ADD_TOPIC, {"topicName": topic})
    expect_refusal(bench, again, "TOPIC-ADD-2", "the topic exists")
    expect_status(bench, again, 409, "TOPIC-ADD-3", "the topic exists")
    queue.publish(topic, "after")
    delivered = [record.message for record in queue.read_and_acknowledge(consumer, 2, "TOPIC-ADD-2")]
    bench.judge(
        "TOPIC-ADD-2", delivered == ["before", "after"], expected="both records, in order", observed=delivered
    )


@clauses("TOPIC-ADD-2")
def test_a_topic_that_exists_keeps_its_partitions(bench: Bench) -> None:
    """Add a topic that exists with another number of partitions; expect a refusal (4xx), and its readers to get every
    later record.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for count in (1, 7):
        again = queue.call(ADD_TOPIC, {"topicName": topic, "partitions": count})
        expect_refusal(bench, again, "TOPIC-ADD-2", "the topic exists")
    texts = [f"m{number}" for number in range(10)]
    for text in texts:
        queue.publish(topic, text, key=None)
    delivered = sorted(
        record.message for record in queue.read_and_acknowledge(consumer, len(texts), "TOPIC-ADD-2")
    )
    bench.judge("TOPIC-ADD-2", delivered == sorted(texts), expected="all ten records", observed=delivered)


@clauses("TOPIC-ADD-2")
@pytest.mark.parametrize("bounds", [(100, 100_000), (100_000, 100)], ids=["small", "large"])
def test_a_topic_that_exists_keeps_its_bound(bench: Bench, bounds: tuple[int, int]) -> None:
    """Add a topic that exists with another `partition_bytes`, and publish a record between both bounds; expect the
    answer that the first bound gives.
    """
    if not bench.declares("topic-limits"):
        bench.skip("TOPIC-ADD-2", "topics have no bounds (extension topic-limits)")
        return
    queue = QueueFixture(bench)
    first, second = bounds
    topic = queue.new_topic(partition_bytes=first)
    again = queue.call(ADD_TOPIC, {"topicName": topic, "partition_bytes": second})
    expect_refusal(bench, again, "TOPIC-ADD-2", "the topic exists")
    reply = queue.call(publish_path(topic), {"messageID": "1", "message": "x" * 2000})
    if first < second:
        expect_publish_refusal(bench, reply, "TOPIC-ADD-2", f"a partition holds {first} octets, as before")
    else:
        expect_status(bench, reply, 200, "TOPIC-ADD-2", f"a partition holds {first} octets, as before")


@clauses("TOPIC-ADD-1", "PUB-STORE-1")
def test_a_new_topic_takes_records_at_once(bench: Bench) -> None:
    """Add topics one after another, and publish to each right after its reply, on another connection where the binding
    has one for producers; expect 200 each time.
    """
    queue = QueueFixture(bench)
    for number in range(bench.examples(20, 40, 200)):
        queue.publish(queue.new_topic(), f"m{number}")


@clauses("TOPIC-ALIAS-1")
def test_the_short_spelling_adds_a_topic_too(bench: Bench) -> None:
    """Add a topic by `/addTopic`; expect 200, and a refusal (4xx) of the same name by `/topic/add-topic`. Add others
    with a number of partitions, and with a bound; expect them to hold.
    """
    queue = QueueFixture(bench)
    name = bench.fresh("topic")
    reply = queue.call("/addTopic", {"topicName": name})
    expect_status(bench, reply, 200, "TOPIC-ALIAS-1", "no topic has this name")
    again = queue.call(ADD_TOPIC, {"topicName": name})
    expect_refusal(bench, again, "TOPIC-ALIAS-1", "/addTopic has added this name already")
    queue.publish(name, "stored")
    if bench.declares("topic-partitions"):
        name, consumer = bench.fresh("topic"), queue.new_consumer(queue.new_group())
        reply = queue.call("/addTopic", {"topicName": name, "partitions": 1})
        expect_status(bench, reply, 200, "TOPIC-ALIAS-1", "no topic has this name")
        queue.subscribe(consumer, name)
        for number in range(2):
            queue.publish(name, f"m{number}", key=None)
        queue.poll_until_record(consumer)
        queue.expect_no_record(consumer, "TOPIC-ALIAS-1", "no record: the topic has one partition")
    if bench.declares("topic-limits"):
        name = bench.fresh("topic")
        reply = queue.call("/addTopic", {"topicName": name, "partition_bytes": 100})
        expect_status(bench, reply, 200, "TOPIC-ALIAS-1", "no topic has this name")
        body = {"messageID": "1", "message": "m" * 200}
        reply = queue.call(publish_path(name), body)
        bench.judge(
            "TOPIC-ALIAS-1",
            publish_refused(reply),
            expected="a refusal: a partition of the topic may hold 100 octets",
            observed=reply,
        )


@clauses("NAME-1")
@pytest.mark.parametrize("kind", ["topic", "group", "consumer"])
def test_every_valid_name_is_taken(bench: Bench, kind: str) -> None:
    """Add a topic, a group and a consumer with valid names of up to 128 characters; expect 200."""
    queue = QueueFixture(bench)
    fresh = bench.fresh("n")
    for name in (f"aZ0._-{fresh}", fresh.ljust(128, "x")[:128], f"...{fresh}.."):
        reply = _add(queue, kind, name)
        expect_status(bench, reply, 200, "NAME-1", f"{name!r} is a valid name")


@clauses("NAME-1")
def test_one_character_is_a_name(bench: Bench) -> None:
    """Register consumers with names of one character; expect 200. On a server in use such a name may be taken, which is
    no refusal of the name.
    """
    queue = QueueFixture(bench)
    for name in ("Z", "0", "_", "-"):
        # Another test may hold the name when it is asked for, and give it up before the heartbeat: then it is free.
        for _ in range(TRIES):
            reply = _add(queue, "consumer", name)
            is_there = reply.status == 200 or queue.heartbeat(name).status == 202
            if is_there:
                break
        bench.judge("NAME-1", is_there, expected=f"200: {name!r} is a valid name", observed=reply)


@clauses("NAME-1")
def test_kinds_do_not_share_a_space_of_names(bench: Bench) -> None:
    """Add a topic, a group and a consumer of one name; expect 200."""
    queue = QueueFixture(bench)
    name = bench.fresh("Name")
    for kind in ("topic", "group", "consumer"):
        reply = _add(queue, kind, name)
        expect_status(bench, reply, 200, "NAME-1", f"no {kind} is named {name!r} yet")


@clauses("NAME-2", "NAME-4")
@pytest.mark.parametrize("kind", ["topic", "group", "consumer"])
def test_a_forbidden_name_is_refused(bench: Bench, kind: str) -> None:
    """Add the empty name, `.`, `..`, and names with `/`, `,` or control characters; expect a refusal (4xx) of each."""
    queue = QueueFixture(bench)
    group = queue.new_group()
    for name in FORBIDDEN_NAMES:
        reply = _add(queue, kind, name, group)
        expect_refusal(bench, reply, "NAME-2", f"{name!r} is no name")
        expect_status(bench, reply, 400, "NAME-4", f"{name!r} is no name")


def _is_taken(queue: QueueFixture, kind: str, name: str, group: str) -> bool:
    """Add a name that a server may accept or refuse; True if the server accepted it."""
    reply = _add(queue, kind, name, group)
    queue.bench.judge(
        "NAME-3",
        reply.status == 200 or refused(reply),
        expected=f"200, or 4xx where the server refuses {name[:40]!r} as a name",
        observed=reply,
    )
    if refused(reply):
        expect_status(queue.bench, reply, 400, "NAME-4", "the name is refused")
    return reply.status == 200


@clauses("NAME-3")
def test_any_other_name_of_a_consumer_is_refused_or_served_as_it_is(bench: Bench) -> None:
    """Register a name that is neither valid nor forbidden; expect a refusal (4xx), or a consumer under exactly this
    name.
    """
    queue = QueueFixture(bench)
    group = queue.new_group()
    for name in FREE_NAMES:
        unique = name.format(bench.fresh("n"))
        if _is_taken(queue, "consumer", unique, group):
            beat = queue.heartbeat(unique)
            expect_status(bench, beat, 202, "NAME-3", f"the consumer {unique!r} is registered")
            for other in _mistakable(unique):
                reply = queue.heartbeat(other)
                expect_refusal(bench, reply, "NAME-3", f"no consumer {other!r}")


@clauses("NAME-3")
def test_any_other_name_of_a_topic_is_refused_or_served_as_it_is(bench: Bench) -> None:
    """Add a name that is neither valid nor forbidden; expect a refusal (4xx), or a topic under exactly this name."""
    queue = QueueFixture(bench)
    # STOMP 1.0 leaves open what becomes of blanks around the value of a header, here a destination.
    can_send_blanks = bench.declares("http-publish") or bench.claims("queue-stomp")
    for name in FREE_NAMES:
        unique = name.format(bench.fresh("n"))
        if unique.strip() != unique and not can_send_blanks:
            continue
        if _is_taken(queue, "topic", unique, ""):
            stored = queue.call(publish_path(unique), {"messageID": "1", "message": "m"})
            expect_status(bench, stored, 200, "NAME-3", "the topic has this name")
            for other in _mistakable(unique):
                if "/" not in other:
                    reply = queue.call(publish_path(other), {"messageID": "1", "message": "m"})
                    expect_publish_refusal(bench, reply, "NAME-3", f"no topic {other!r}")


@clauses("NAME-3")
def test_any_other_name_of_a_group_is_refused_or_served_as_it_is(bench: Bench) -> None:
    """Add a name that is neither valid nor forbidden; expect a refusal (4xx), or a group under exactly this name."""
    queue = QueueFixture(bench)
    for name in FREE_NAMES:
        unique = name.format(bench.fresh("n"))
        if _is_taken(queue, "group", unique, ""):
            consumer = bench.fresh("consumer")
            there = queue.call(REGISTER, {"consumer_group_name": unique, "consumer_name": consumer})
            expect_status(bench, there, 200, "NAME-3", "the group has this name")
            for other in _mistakable(unique):
                body = {"consumer_group_name": other, "consumer_name": bench.fresh("consumer")}
                reply = queue.call(REGISTER, body)
                expect_refusal(bench, reply, "NAME-3", f"no group {other!r}")


def _mistakable(name: str) -> list[str]:
    """Names that a server could make of a name that it does not take unaltered."""
    spellings = [
        name[:128],
        name[:-1],
        unquote(name),
        unicodedata.normalize("NFD", name),
        unicodedata.normalize("NFC", name),
        name.strip(),
        name.strip("\u00a0\ufeff "),
        name.partition("?")[0],
        name.replace(" ", ""),
    ]
    return sorted({spelling for spelling in spellings if spelling != name})


def _add(queue: QueueFixture, kind: str, name: str, group: str = "") -> Reply:
    if kind == "topic":
        return queue.call(ADD_TOPIC, {"topicName": name})
    if kind == "group":
        return queue.call(ADD_GROUP, {"consumer_group_name": name})
    return queue.call(REGISTER, {"consumer_group_name": group or queue.new_group(), "consumer_name": name})
