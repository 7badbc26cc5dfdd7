"""Descriptions of topics and groups (extension introspection): INTRO-*, PART-NAME-1, PART-PLACE-1."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_publish_refusal, expect_refusal, expect_status
from conformance.suite.queue.fixture import NEGATIVE_ACKNOWLEDGE, QueueFixture, publish_path
from conformance.suite.queue.freed_records import keep_everything
from conformance.suite.queue.generators import count_up_to
from conformance.suite.queue.ownership_probe import OwnershipProbe
from conformance.suite.queue.topic_list import read_topic_list

if TYPE_CHECKING:
    from collections.abc import Collection

    from conformance.bench.bench import Bench

#: Topics that are added: more than fit on a page of a list that is cut.
MANY_TOPICS = 25
#: Topics of others whose form is judged; a server in use may have a hundred thousand.
OTHERS_JUDGED = 200


def _read(bench: Bench, path: str, clause: str) -> Any:
    reply = bench.http().request("GET", path)
    expect_status(bench, reply, 200, clause, f"GET {path} names what exists")
    return reply.json()


def _get(bench: Bench, path: str, clause: str, schema: str) -> Any:
    document = _read(bench, path, clause)
    bench.judge_schema(clause, schema, document)
    return document


def _all_topics(bench: Bench, ours: Collection[str]) -> dict[str, Any] | None:
    """Listed topics by name; None if the list is too long to be read, and the clause is skipped.

    The form is judged for our topics and for some of those that others added.
    """
    reply = read_topic_list(bench, "INTRO-TOPICS-1")
    if reply is None:
        return None
    expect_status(bench, reply, 200, "INTRO-TOPICS-1", "it lists the topics that exist")
    document = reply.json()
    topics = document.get("topics") if isinstance(document, dict) else None
    if isinstance(topics, list):
        others = (topic for topic in topics if not _is_one_of(topic, ours))
        document["topics"] = [
            *(topic for topic in topics if _is_one_of(topic, ours)),
            *itertools.islice(others, OTHERS_JUDGED),
        ]
    bench.judge_schema("INTRO-TOPICS-1", "topics", document)
    return {topic["topicName"]: topic for topic in document["topics"]}


def _is_one_of(topic: object, names: Collection[str]) -> bool:
    return isinstance(topic, dict) and topic.get("topicName") in names


def _topic(bench: Bench, topic: str) -> dict[str, Any]:
    document: dict[str, Any] = _get(bench, f"/topics/{topic}", "INTRO-TOPIC-1", "topic")
    bench.judge(
        "INTRO-TOPIC-1", document.get("topicName") == topic, expected=f"topicName {topic}", observed=document
    )
    indexes = sorted(partition.get("partition", -1) for partition in document["partitions"])
    bench.judge(
        "INTRO-TOPIC-1",
        indexes == list(range(len(indexes))),
        expected="each partition once, with indexes from 0",
        observed=document,
    )
    return document


@clauses("INTRO-TOPIC-1", "PART-NAME-1")
def test_a_topic_is_described_by_its_partitions(bench: Bench) -> None:
    """Publish ten records and GET the topic; expect each partition once, with its name, and end offsets that add up to
    ten.
    """
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    for number in range(10):
        queue.publish(topic, f"m{number}", key=f"k{number % 3}" if number % 2 else None)
    document = _topic(bench, topic)
    ends = [partition["endOffset"] for partition in document["partitions"]]
    bench.judge("INTRO-TOPIC-1", sum(ends) == 10, expected="end offsets of ten records", observed=document)
    for partition in document["partitions"]:
        name = f"{topic}-P{partition['partition']}"
        bench.judge("PART-NAME-1", partition.get("name") == name, expected=name, observed=partition)


@clauses("INTRO-TOPIC-1")
def test_end_offsets_are_those_of_the_partitions(bench: Bench) -> None:
    """Publish to several partitions and GET the topic; expect each end offset one past the last offset of its
    partition.
    """
    if not bench.declares("record-position"):
        bench.skip("INTRO-TOPIC-1", "the server does not tell positions (extension record-position)")
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic(**({"partition_bytes": 15_000} if bench.declares("topic-limits") else {}))
    ends: dict[int, int] = {}
    for number in range(10):
        partition, offset = queue.position(queue.publish(topic, "m", key=f"k{number % 4}"))
        ends[partition] = offset + 1
    # Records that are refused, for their body or for want of room, count nowhere.
    queue.call(publish_path(topic), {"messageID": "refused", "message": 7, "key": "k0"})
    if bench.declares("topic-limits"):
        full = queue.call(publish_path(topic), {"messageID": "2", "message": "x" * 20_000, "key": "k0"})
        expect_publish_refusal(bench, full, "PUB-FULL-1", "the message alone is larger than the partition")
    document = _topic(bench, topic)
    told = {partition["partition"]: partition["endOffset"] for partition in document["partitions"]}
    expected = {index: ends.get(index, 0) for index in told}
    bench.judge("INTRO-TOPIC-1", told == expected, expected=f"end offsets {expected}", observed=document)


@clauses("PART-PLACE-1", "INTRO-TOPIC-1")
@pytest.mark.parametrize("asked", [None, 7, 129], ids=["default", "seven", "many"])
def test_partitions_are_placed_over_the_brokers_in_turn(bench: Bench, asked: int | None) -> None:
    """GET a topic; expect two partitions on the same broker exactly if their indexes differ by a multiple of the number
    of brokers.
    """
    brokers = bench.target.brokers
    if brokers is None:
        bench.skip("PART-PLACE-1", "the server does not tell how many brokers there are")
        return
    if asked is not None and (
        not bench.declares("topic-partitions") or asked > (bench.limit("partitions") or asked)
    ):
        bench.skip("PART-PLACE-1", f"no topic can ask for {asked} partitions here")
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic() if asked is None else queue.new_topic(partitions=asked)
    placed = {partition["partition"]: partition["broker"] for partition in _topic(bench, topic)["partitions"]}
    bench.judge(
        "INTRO-TOPIC-1",
        asked in (None, len(placed)),
        expected=f"each of {asked} partitions",
        observed=f"{len(placed)} partitions",
    )
    wrong = [
        (one, other)
        for one in placed
        for other in placed
        if (placed[one] == placed[other]) != (one % brokers == other % brokers)
    ]
    bench.judge(
        "PART-PLACE-1",
        not wrong,
        expected=f"partitions in turn over {brokers} brokers",
        observed=f"{placed}; {wrong}" if wrong else placed,
    )


@clauses("INTRO-TOPICS-1")
def test_all_topics_are_listed(bench: Bench) -> None:
    """Add many topics and GET the list; expect each of them, in the same form as by itself. The list has no pages."""
    queue = QueueFixture(bench)
    names = [queue.new_topic() for _ in range(MANY_TOPICS)]
    queue.publish(names[0], "m")
    listed = _all_topics(bench, names)
    if listed is None:
        return
    missing = [name for name in names if name not in listed]
    bench.judge("INTRO-TOPICS-1", not missing, expected="every topic", observed=f"without {missing}")
    for name in (names[0], names[-1]):
        alone = bench.http().request("GET", f"/topics/{name}").json()
        bench.judge(
            "INTRO-TOPICS-1", listed.get(name) == alone, expected=f"{alone}", observed=listed.get(name)
        )
    queue.publish(names[-1], "m")
    alone = bench.http().request("GET", f"/topics/{names[-1]}").json()
    if (later := _all_topics(bench, names)) is not None:
        bench.judge(
            "INTRO-TOPICS-1",
            later.get(names[-1]) == alone,
            expected=f"{alone}, also in a second list",
            observed=later.get(names[-1]),
        )


def _group(bench: Bench, group: str) -> dict[str, Any]:
    document: dict[str, Any] = _get(bench, f"/consumer-groups/{group}", "INTRO-GROUP-1", "group")
    bench.judge(
        "INTRO-GROUP-1",
        document.get("consumer_group_name") == group,
        expected=f"consumer_group_name {group}",
        observed=document,
    )
    return document


@clauses("INTRO-GROUP-1")
def test_a_group_is_described_by_its_members_and_its_assignment(bench: Bench) -> None:
    """GET a group with many members, most of them without a topic; expect the topics of each, also of one that stands
    by, the owners that records go to, and right lags.
    """
    queue = QueueFixture(bench)
    probe, group = OwnershipProbe(queue), queue.new_group()
    names = [queue.new_consumer(group, probe.topic) for _ in range(2)]
    idle = [queue.new_consumer(group) for _ in range(count_up_to(bench, None, 33, 65, 257))]
    owners = probe.settled_owners(names)
    read = [probe.topic]
    if bench.declares("topic-partitions"):
        read.append(queue.new_topic(partitions=1))  # of which one of them owns nothing
        for name in names:
            queue.subscribe(name, read[-1])
    # During the rebalance some partitions may have got records that no poll returned.
    while came := queue.poll_all(*names):
        for name, record in came:
            queue.acknowledge(name, record.message_id)
    for lag in (0, 1):
        document = _group(bench, group)
        topics = {member["consumer_name"]: sorted(member["topics"]) for member in document["members"]}
        expected = {**dict.fromkeys(names, sorted(read)), **{name: [] for name in idle}}
        bench.judge("INTRO-GROUP-1", topics == expected, expected=f"members {expected}", observed=document)
        rows = [row for row in document["assignment"] if row["topicName"] == probe.topic]
        indexes = sorted(row["partition"] for row in rows)
        bench.judge(
            "INTRO-GROUP-1",
            indexes == list(range(probe.partitions)),
            expected=f"each of {probe.partitions} partitions once",
            observed=document,
        )
        told = sorted(str(row["consumer_name"]) for row in rows)
        bench.judge(
            "INTRO-GROUP-1",
            told == sorted(owners.values()),
            expected=f"the owners that records went to: {sorted(owners.values())}",
            observed=document,
        )
        for row in rows:
            right = row["lag"] == row["endOffset"] - row["committed"] == lag
            bench.judge(
                "INTRO-GROUP-1", right, expected=f"a lag of {lag}, endOffset less committed", observed=row
            )
        probe.publish_round()


@clauses("INTRO-GROUP-1")
def test_the_committed_offset_counts_acknowledged_records(bench: Bench) -> None:
    """Acknowledge one of three records, hold the next, and GET the group; expect one committed, and a lag of two."""
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    for number in range(3):
        queue.publish(topic, f"m{number}")
    queue.read_and_acknowledge(consumer, 1)
    held = queue.poll_until_record(consumer)
    rows = [row for row in _group(bench, group)["assignment"] if row["endOffset"]]
    told = [(row["consumer_name"], row["committed"], row["lag"]) for row in rows]
    bench.judge(
        "INTRO-GROUP-1",
        told == [(consumer, 1, 2)],
        expected=f"one committed record of three, a lag of two, owned by {consumer}",
        observed=rows,
    )
    for row in rows:
        if row.get("inFlight") is not None:
            bench.judge(
                "INTRO-GROUP-1",
                row["inFlight"] == held.message_id,
                expected=f"inFlight {held.message_id}",
                observed=row,
            )


@clauses("INTRO-GROUP-1")
def test_what_is_no_longer_in_flight_is_not_told(bench: Bench) -> None:
    """Acknowledge a record, give one back, unsubscribe with one; expect `inFlight` of null where it is there."""
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    for number in range(3):
        queue.publish(topic, f"m{number}")
    queue.read_and_acknowledge(consumer, 1)
    ends = ["acknowledged", *(["given back"] if bench.declares("negative-acknowledgement") else []), "lost"]
    for end in ends:
        if end != "acknowledged":
            held = queue.poll_until_record(consumer)
        if end == "given back":
            queue.call(NEGATIVE_ACKNOWLEDGE, {"consumer_name": consumer, "message_id": held.message_id})
        elif end == "lost":
            queue.unsubscribe(consumer, topic)
        rows = _group(bench, group)["assignment"]
        told = [row["inFlight"] for row in rows if row.get("inFlight") is not None]
        bench.judge("INTRO-GROUP-1", not told, expected=f"nothing in flight: it was {end}", observed=rows)


@clauses("INTRO-GROUP-1")
def test_each_group_is_described_by_what_it_did_itself(bench: Bench) -> None:
    """Let two groups commit different numbers of records of one topic, and members leave a topic or their group; expect
    the offset of each group, and nothing of what its members have given up.
    """
    queue = QueueFixture(bench)
    topic, other = queue.new_topic(), queue.new_topic()
    keep_everything(queue, topic)
    for number in range(3):
        queue.publish(topic, f"m{number}")
    committed: dict[str, int] = {}
    for count in (2, 1, 3):
        group = queue.new_group()
        committed[group] = count
        queue.read_and_acknowledge(queue.new_consumer(group, topic), count)
    for group, count in committed.items():
        told = [
            (row["committed"], row["lag"]) for row in _group(bench, group)["assignment"] if row["endOffset"]
        ]
        bench.judge(
            "INTRO-GROUP-1",
            told == [(count, 3 - count)],
            expected=f"{count} of three records committed in {group}",
            observed=told,
        )
    group = queue.new_group()
    stays, leaves = queue.new_consumer(group, topic, other), queue.new_consumer(group, topic)
    queue.unsubscribe(stays, topic)
    expected = {stays: [other], leaves: [topic]}
    if bench.declares("unregister"):
        queue.client.unregister(leaves)
        del expected[leaves]
    document = _group(bench, group)
    topics = {member["consumer_name"]: sorted(member["topics"]) for member in document["members"]}
    bench.judge("INTRO-GROUP-1", topics == expected, expected=f"members {expected}", observed=document)


@clauses("INTRO-UNKNOWN-1")
@pytest.mark.parametrize("path", ["/topics/{}", "/consumer-groups/{}"])
def test_an_unknown_topic_or_group_is_refused(bench: Bench, path: str) -> None:
    """GET topics or groups that were never added, also such as are nearly named like one; expect refusals (4xx)."""
    queue = QueueFixture(bench)
    there = queue.new_topic() if path.startswith("/topics") else queue.new_group()
    for name in (bench.fresh("nowhere"), there.rpartition("-")[0], f"{there}-0", there.swapcase()):
        reply = bench.http().request("GET", path.format(name))
        expect_refusal(bench, reply, "INTRO-UNKNOWN-1", f"there is {there!r}, and no {name!r}")
