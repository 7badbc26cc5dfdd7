"""Records that are freed, and records that must stay (extension retention): RETENTION-*."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import ACKNOWLEDGE, NEGATIVE_ACKNOWLEDGE, REMOVE_GROUP, QueueFixture
from conformance.suite.queue.freed_records import PressedTopic

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Fill-ups in a row: room has to come back each time.
ROUNDS = 4


@clauses("RETENTION-KEEP-1")
@pytest.mark.parametrize("slow", [0, 1, 2], ids=["the first group", "the second group", "the third group"])
@pytest.mark.parametrize("committed", [0, 2])
def test_what_one_group_has_not_committed_stays(bench: Bench, slow: int, committed: int) -> None:
    """Have three groups read a full topic, two of them everything and one little, and publish on; expect all that the
    slow one has not committed, in order.
    """
    topic = PressedTopic(QueueFixture(bench))
    readers = [topic.reader()[1] for _ in range(3)]
    topic.fill()
    slowest = readers[slow]
    topic.read(slowest, committed, "RETENTION-KEEP-1")
    for reader in readers:
        if reader != slowest:
            topic.read(reader, len(topic.stored), "RETENTION-KEEP-1")
    topic.press()
    _expect_all(topic, slowest, committed)


def _expect_all(topic: PressedTopic, reader: str, after: int) -> None:
    """Judge RETENTION-KEEP-1 by the reader getting every stored record after the first `after`, in order."""
    expected = topic.stored[after:]
    for number in expected:
        (got,) = topic.read(reader, 1, "RETENTION-KEEP-1")
        topic.queue.bench.judge(
            "RETENTION-KEEP-1",
            got == number,
            expected=f"record {number}: the group has committed those before it only",
            observed=f"record {got}",
        )


@clauses("RETENTION-KEEP-1")
@pytest.mark.parametrize("then", ["acknowledged", "given back", "freed"])
def test_a_record_in_flight_stays(bench: Bench, then: str) -> None:
    """Hold the oldest record of a full topic while another group commits everything and another member's
    acknowledgement of it is refused, and publish on; expect that the holder can acknowledge it, or that it comes again
    once it was given back, or its holder has unsubscribed, also behind further publishes.
    """
    if then == "given back" and not bench.declares("negative-acknowledgement"):
        return
    queue = QueueFixture(bench)
    topic = PressedTopic(queue)
    group, holder = topic.reader()
    _, other = topic.reader()
    topic.fill()
    held = queue.poll_until_record(holder)
    stranger = queue.new_consumer(group)
    refusal = queue.call(ACKNOWLEDGE, {"consumer_name": stranger, "message_id": held.message_id})
    expect_refusal(bench, refusal, "ACK-OTHER-1", "another consumer holds the record")
    topic.read(other, len(topic.stored), "RETENTION-KEEP-1")
    topic.press()
    if then == "freed":
        queue.unsubscribe(holder, topic.name)
        topic.press()
        _expect_all(topic, queue.new_consumer(group, topic.name), 0)
        return
    path = ACKNOWLEDGE if then == "acknowledged" else NEGATIVE_ACKNOWLEDGE
    reply = queue.call(path, {"consumer_name": holder, "message_id": held.message_id})
    expect_status(bench, reply, 202, "RETENTION-KEEP-1", "the record is in flight with this consumer")
    topic.press()
    _expect_all(topic, holder, int(then == "acknowledged"))


@clauses("RETENTION-KEEP-1")
def test_a_group_that_nobody_reads_for_counts(bench: Bench) -> None:
    """Have the only member of a group unsubscribe behind its first record, and another group commit everything; expect
    the next member to get all the others.
    """
    queue = QueueFixture(bench)
    topic = PressedTopic(queue)
    group, first = topic.reader()
    _, other = topic.reader()
    topic.fill()
    topic.read(first, 1, "RETENTION-KEEP-1")
    queue.unsubscribe(first, topic.name)
    topic.read(other, len(topic.stored), "RETENTION-KEEP-1")
    topic.press()
    _expect_all(topic, queue.new_consumer(group, topic.name), 1)


@clauses("RETENTION-KEEP-2")
@pytest.mark.parametrize("who", ["nobody", "a group without a subscription", "a group that was removed"])
def test_what_nobody_reads_stays(bench: Bench, who: str) -> None:
    """Fill a topic that no group reads, or none any more, and publish on; expect all of it for the first that comes."""
    queue = QueueFixture(bench)
    topic = PressedTopic(queue)
    if who == "a group without a subscription":
        queue.new_consumer(queue.new_group())
    topic.fill()
    if who == "a group that was removed":
        group, reader = topic.reader()
        queue.poll_until_record(reader)
        expect_status(
            bench,
            queue.call(REMOVE_GROUP, {"consumer_group_name": group}),
            202,
            "GROUP-REMOVE-1",
            "the group exists",
        )
        queue.members.pop(group, None)
    topic.press()
    _, reader = topic.reader()
    got = topic.read(reader, len(topic.stored), "RETENTION-KEEP-2")
    bench.judge(
        "RETENTION-KEEP-2", got == topic.stored, expected=f"records {topic.stored}", observed=f"records {got}"
    )


@clauses("RETENTION-START-1", "RETENTION-FRONT-1", "RETENTION-OLDEST-1")
@pytest.mark.parametrize("left", [0, 1, 3])
def test_a_new_group_starts_at_the_oldest_record_that_is_there(bench: Bench, left: int) -> None:
    """Have a group commit all but some records of a full topic, and publish on; expect a group that comes then to get
    the newest records without a gap, those that the first has not committed among them, and as many as the oldest
    offset tells.
    """
    topic = PressedTopic(QueueFixture(bench))
    _, reader = topic.reader()
    topic.fill()
    committed = len(topic.stored) - left
    topic.read(reader, committed, "RETENTION-KEEP-1")
    topic.press()
    _, late = topic.reader()
    rows = topic.described()
    if not topic.publish():
        # The late group has committed nothing: there may be no room. All is judged by what was stored before.
        bench.step("the topic is full")
    due = topic.stored[committed:]
    if not due:
        return
    first = topic.read(late, 1, "RETENTION-START-1")
    got = first + topic.read_rest(late)
    _expect_all(topic, reader, committed)
    bench.judge(
        "RETENTION-START-1",
        got[-len(due) :] == due,
        expected=f"records {due}, which no group has committed, and perhaps some before them",
        observed=f"records {got}",
    )
    bench.judge(
        "RETENTION-FRONT-1",
        got == topic.stored[-len(got) :],
        expected=f"the last {len(got)} of the records {topic.stored}",
        observed=f"records {got}",
    )
    _judge_oldest(topic, rows, len(topic.stored) - len(got))


def _judge_oldest(topic: PressedTopic, rows: list[dict[str, object]], oldest: int) -> None:
    """Judge RETENTION-OLDEST-1 by the description of a topic with records in one partition."""
    bench = topic.queue.bench
    if bench.binding != "queue-http" or not rows:
        return
    told = [row.get("oldestOffset") for row in rows if row.get("endOffset")]
    bench.judge(
        "RETENTION-OLDEST-1",
        told == [oldest],
        expected=f"oldestOffset {oldest}, of the first record that a new group got",
        observed=rows,
    )


@clauses("RETENTION-OLDEST-1")
def test_the_oldest_offset_of_each_partition_is_told(bench: Bench) -> None:
    """GET a topic without records, and one with an unread record in a partition; expect an oldest offset of 0 in all of
    them.
    """
    queue = QueueFixture(bench)
    topic = PressedTopic(queue)
    for _ in range(2):
        document = bench.http().request("GET", f"/topics/{topic.name}").json()
        bench.judge_schema("INTRO-TOPIC-1", "topic", document)
        wrong = [row for row in document["partitions"] if row.get("oldestOffset") != 0]
        bench.judge(
            "RETENTION-OLDEST-1",
            not wrong,
            expected="oldestOffset 0 in each partition: nothing was freed",
            observed=wrong or document,
        )
        topic.publish()


@clauses("RETENTION-ROOM-1")
@pytest.mark.parametrize("groups", [1, 2])
def test_committed_records_make_room(bench: Bench, groups: int) -> None:
    """Fill a topic, and have every group commit everything, several times in a row; expect the next record to be
    stored each time.
    """
    topic = PressedTopic(QueueFixture(bench))
    readers = [topic.reader()[1] for _ in range(groups)]
    read = 0
    for _ in range(ROUNDS):
        topic.fill()
        for reader in readers:
            topic.read(reader, len(topic.stored) - read, "RETENTION-KEEP-1")
        read = len(topic.stored)
        if not _expect_room(topic, "every group has committed every record"):
            return


@clauses("RETENTION-ROOM-1")
def test_the_end_of_a_slow_group_makes_room(bench: Bench) -> None:
    """Fill a topic, have one of two groups commit everything, and remove the other; expect the next record to be
    stored.
    """
    queue = QueueFixture(bench)
    topic = PressedTopic(queue)
    group, _ = topic.reader()
    _, reader = topic.reader()
    topic.fill()
    topic.read(reader, len(topic.stored), "RETENTION-KEEP-1")
    reply = queue.call(REMOVE_GROUP, {"consumer_group_name": group})
    expect_status(bench, reply, 202, "GROUP-REMOVE-1", "the group exists")
    queue.members.pop(group, None)
    _expect_room(topic, "the only group left has committed every record")


def _expect_room(topic: PressedTopic, because: str) -> bool:
    """Judge RETENTION-ROOM-1 by a record that is stored within the time that any answer may take."""
    bench = topic.queue.bench
    deadline = time.monotonic() + bench.patience
    while not (stored := topic.publish()) and time.monotonic() < deadline:
        topic.queue.keep_alive()
        topic.queue.pass_time(0.05)
    return bench.judge(
        "RETENTION-ROOM-1",
        stored,
        expected=f"200: {because}",
        observed="200" if stored else f"refusals for {bench.patience:g} s",
    )


@clauses("RETENTION-COUNT-1")
def test_offsets_go_on_after_records_were_freed(bench: Bench) -> None:
    """Fill a topic and read it several times over; expect offsets from 0 without a gap, in the replies to publishes and
    in delivered records, and a committed offset that counts all of them.
    """
    queue = QueueFixture(bench)
    topic = PressedTopic(queue)
    group, reader = topic.reader()
    told: list[int] = []
    read = 0
    for _ in range(ROUNDS):
        topic.fill()
        told += [queue.position(reply)[1] for reply in topic.replies[len(told) :]]
        if len(told) == read:
            break  # nothing was freed: the topic is full
        read = len(told)
        got = topic.queue.read_and_acknowledge(reader, 1, "RETENTION-KEEP-1")
        while (polled := queue.poll(reader)).status == 200:
            record = queue.record_of(polled)
            queue.acknowledge(reader, record.message_id)
            got.append(record)
        for record in got:
            number = topic.stored.index(record.message.partition(" ")[0])
            bench.judge(
                "RETENTION-COUNT-1",
                record.whole.get("offset", number) == number,
                expected=f"offset {number}, as its producer was told",
                observed={**record.whole, "message": "…"},
            )
    bench.judge(
        "RETENTION-COUNT-1", told == list(range(len(told))), expected="offsets 0, 1, 2 …", observed=told
    )
    if bench.declares("introspection"):
        document = bench.http().request("GET", f"/consumer-groups/{group}").json()
        bench.judge_schema("INTRO-GROUP-1", "group", document)
        rows = [row for row in document["assignment"] if row["endOffset"]]
        bench.judge(
            "RETENTION-COUNT-1",
            [(row["committed"], row["endOffset"], row["lag"]) for row in rows] == [(len(told), len(told), 0)],
            expected=f"committed {len(told)} of {len(told)}, a lag of 0",
            observed=rows,
        )
