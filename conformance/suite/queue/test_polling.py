"""Polling: POLL-*, with the batch and the long poll."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from conformance.marks import clauses
from conformance.suite.queue.scene import HEARTBEAT, POLL, Scene, refused

if TYPE_CHECKING:
    from conformance.bench import Bench


@clauses("POLL-OK-1", "POLL-OK-2")
def test_a_poll_hands_out_one_record_in_the_given_shape(bench: Bench) -> None:
    """The reply is 200 with an id and the record's message, key and topic."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.publish(topic, "hello", key="k")
    record = scene.record(consumer)
    same = (record.message, record.key, record.topic) == ("hello", "k", topic)
    bench.judge("POLL-OK-1", same, expected=f"message hello, key k, topicName {topic}", observed=record.whole)
    bench.judge_schema("POLL-OK-1", "poll-reply", record.whole)
    is_integer = isinstance(record.message_id, int) and not isinstance(record.message_id, bool)
    bench.judge("POLL-OK-2", is_integer, expected="an integer as messageId", observed=record.whole)


@clauses("POLL-OK-2")
def test_ids_in_flight_are_unique(bench: Bench) -> None:
    """Records in flight at once, also of other groups and topics, have ids that differ."""
    scene = Scene(bench)
    topics = [scene.topic(), scene.topic()]
    consumers = [scene.consumer(scene.group(), *topics) for _ in range(2)]
    for topic in topics:
        scene.publish(topic, "m", label=1)
    ids = [scene.record(consumer).message_id for consumer in consumers for _ in topics]
    bench.judge("POLL-OK-2", len(set(map(str, ids))) == 4, expected="four different ids", observed=ids)


@clauses("POLL-EMPTY-1", "POLL-EMPTY-2")
@pytest.mark.parametrize("why", ["no subscription", "empty topic", "all acknowledged", "all in flight"])
def test_a_poll_with_nothing_to_give_is_no_success(bench: Bench, why: str) -> None:
    """Without a record to hand out the answer is never 200, and 204 is expected."""
    scene = Scene(bench)
    topic, group = scene.topic(), scene.group()
    consumer = scene.consumer(group)
    if why != "no subscription":
        scene.subscribe(consumer, topic)
    if why.startswith("all"):
        scene.publish(topic, "only")
        record = scene.record(consumer)
        if why == "all acknowledged":
            scene.acknowledge(consumer, record.message_id)
    reply = scene.poll(consumer)
    bench.judge("POLL-EMPTY-1", reply.status != 200, expected="anything but 200", observed=reply)
    bench.judge("POLL-EMPTY-2", reply.status == 204, expected="204", observed=reply)


@clauses("POLL-FAIR-1")
def test_polls_without_acknowledging_return_one_of_each_partition(bench: Bench) -> None:
    """With k partitions that hold a record, k polls hand out one of each."""
    scene = Scene(bench)
    topics = [scene.topic() for _ in range(4)]
    consumer = scene.consumer(scene.group(), *topics)
    for topic in topics:
        for number in range(3):
            scene.publish(topic, f"m{number}")
    records = [scene.record(consumer, "POLL-FAIR-1") for _ in topics]
    observed = sorted((record.topic, record.message) for record in records)
    expected = sorted((topic, "m0") for topic in topics)
    bench.judge("POLL-FAIR-1", observed == expected, expected=f"{expected}", observed=observed)


@clauses("POLL-FAIR-1")
def test_no_partition_starves_while_another_is_consumed(bench: Bench) -> None:
    """k polls in a row, none acknowledged, reach every partition also after one of them was read for long."""
    scene = Scene(bench)
    busy, quiet = scene.topic(), scene.topic()
    consumer = scene.consumer(scene.group(), busy, quiet)
    for number in range(8):
        scene.publish(busy, f"busy{number}")
    for record in scene.drain(consumer, 5):
        bench.judge("POLL-FAIR-1", record.topic == busy, expected="the busy topic's", observed=record.whole)
    scene.publish(quiet, "quiet")
    pair = {scene.record(consumer, "POLL-FAIR-1").message for _ in range(2)}
    bench.judge(
        "POLL-FAIR-1",
        pair == {"busy5", "quiet"},
        expected="one record of each of the two",
        observed=sorted(pair),
    )


@clauses("POLL-START-1")
def test_a_new_group_starts_at_the_oldest_record(bench: Bench) -> None:
    """A group that comes later gets what was stored before it, also what others have acknowledged."""
    scene = Scene(bench)
    topic, _group, (early,) = scene.readers()
    texts = [f"m{number}" for number in range(4)]
    for text in texts:
        scene.publish(topic, text)
    scene.drain(early, 4)
    late = scene.consumer(scene.group(), topic)
    observed = [record.message for record in scene.drain(late, 4, "POLL-START-1")]
    bench.judge("POLL-START-1", observed == texts, expected="m0 to m3", observed=observed)


@clauses("POLL-UNKNOWN-1", "POLL-UNKNOWN-2")
def test_an_unknown_consumer_is_refused(bench: Bench) -> None:
    """A poll that names nobody is refused."""
    reply = Scene(bench).poll(bench.fresh("nobody"))
    bench.judge("POLL-UNKNOWN-1", refused(reply), expected="4xx: no such consumer", observed=reply)
    bench.judge("POLL-UNKNOWN-2", reply.status == 404, expected="404: no such consumer", observed=reply)


@clauses("POLL-NONE-1")
def test_other_topics_are_not_delivered(bench: Bench) -> None:
    """A consumer gets the records of the topics it subscribed to, and no others."""
    scene = Scene(bench)
    wanted, other = scene.topic(), scene.topic()
    group = scene.group()
    consumer = scene.consumer(group, wanted)
    scene.consumer(group, other)
    scene.publish(other, "other")
    scene.nothing(consumer, "POLL-NONE-1", "no record of a topic without a subscription")
    scene.publish(wanted, "wanted")
    record = scene.record(consumer)
    bench.judge("POLL-NONE-1", record.topic == wanted, expected="the subscribed topic", observed=record.whole)


@clauses("POLL-REDELIVERED-1")
def test_redelivered_tells_what_was_handed_out_before(bench: Bench) -> None:
    """Where the reply has `redelivered`, it is false at first and true after the holder has left the topic."""
    scene = Scene(bench)
    topic, group, (first,) = scene.readers()
    scene.publish(topic, "m0")
    before = scene.record(first)
    if "redelivered" not in before.whole:
        bench.skip("POLL-REDELIVERED-1", "the server's records have no `redelivered`")
        return
    bench.judge(
        "POLL-REDELIVERED-1",
        before.whole["redelivered"] is False,
        expected="false at first",
        observed=before.whole,
    )
    scene.call("/consumer/unsubscribe-topic", {"consumer_name": first, "topic_list": topic})
    second = scene.consumer(group, topic)
    after = scene.record(second)
    bench.judge(
        "POLL-REDELIVERED-1",
        after.whole.get("redelivered") is True,
        expected="true again",
        observed=after.whole,
    )


@clauses("POLL-BATCH-1")
def test_a_batch_holds_at_most_one_record_of_a_partition(bench: Bench) -> None:
    """`max_messages` asks for a list; its length is bounded by it and by the partitions with a free record."""
    scene = Scene(bench)
    topics = [scene.topic() for _ in range(3)]
    consumer = scene.consumer(scene.group(), *topics)
    for topic in topics:
        scene.publish(topic, "m0")
        scene.publish(topic, "m1")
    first = scene.record(consumer)
    scene.acknowledge(consumer, first.message_id)
    two = _batch(scene, consumer, 2)
    bench.judge("POLL-BATCH-1", 1 <= len(two) <= 2, expected="one or two records", observed=two)
    rest: list[tuple[str, str]] = []
    while len(two) + len(rest) < 3:
        more = _batch(scene, consumer, 10)
        bench.judge("POLL-BATCH-1", bool(more), expected="the partitions not yet in flight", observed=more)
        rest += more
    topics_seen = sorted(topic for topic, _ in two + rest)
    bench.judge("POLL-BATCH-1", topics_seen == sorted(topics), expected="one of each", observed=two + rest)
    empty = scene.poll(consumer, max_messages=10)
    bench.judge("POLL-BATCH-1", empty.status != 200, expected="204: all are in flight", observed=empty)


def _batch(scene: Scene, consumer: str, count: int) -> list[tuple[str, str]]:
    reply = scene.poll(consumer, max_messages=count)
    records = reply.body.get("records") if isinstance(reply.body, dict) else None
    scene.bench.judge(
        "POLL-BATCH-1",
        reply.status == 200 and isinstance(records, list),
        expected='200 with {"records": […]}',
        observed=reply,
    )
    return [(record["message"]["topicName"], record["message"]["message"]) for record in records]


@clauses("POLL-BATCH-2")
@pytest.mark.parametrize("count", [0, -1, 1.5, "2", True, None, []], ids=repr)
def test_a_batch_of_a_bad_size_is_refused(bench: Bench, count: object) -> None:
    """`max_messages` is an integer from 1; anything else is refused and hands out nothing."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.publish(topic, "m0")
    reply = scene.poll(consumer, max_messages=count)
    bench.judge("POLL-BATCH-2", refused(reply), expected=f"4xx for max_messages {count!r}", observed=reply)
    record = scene.record(consumer)
    bench.judge("POLL-BATCH-2", record.message == "m0", expected="m0 is still free", observed=record.whole)


@clauses("POLL-WAIT-1")
def test_a_long_poll_is_answered_when_a_record_comes(bench: Bench) -> None:
    """A poll that waits is answered by the record that is published meanwhile, long before its time is up."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.publish(topic, "settle")
    scene.drain(consumer, 1)
    wait = min(bench.limit("wait_seconds") or 10.0, 10.0)
    waiting = _Waiting(bench, consumer, wait)
    waiting.started()
    scene.publish(topic, "awaited")
    reply, took = waiting.answer(wait + bench.patience)
    bench.judge(
        "POLL-WAIT-1",
        reply.status == 200 and took < wait,
        expected=f"200 with the record, before the {wait:g} s are over",
        observed=f"{reply} after {took:.3f} s",
    )


@clauses("POLL-WAIT-2")
def test_a_long_poll_ends_empty_when_its_time_is_over(bench: Bench) -> None:
    """Without a record the poll is answered as empty, after the time that it asked for and not before."""
    scene = Scene(bench)
    _topic, _group, (consumer,) = scene.readers()
    wait = 0.3
    began = time.monotonic()
    reply = scene.poll(consumer, wait_seconds=wait)
    took = time.monotonic() - began
    bench.judge(
        "POLL-WAIT-2",
        reply.status != 200 and not refused(reply) and took >= 0.9 * wait,
        expected=f"204 after {wait:g} s",
        observed=f"{reply} after {took:.3f} s",
    )


@clauses("POLL-WAIT-3")
def test_a_long_poll_holds_up_nothing_else_of_its_session(bench: Bench) -> None:
    """Other operations of the same session are answered while a poll waits."""
    scene = Scene(bench)
    _topic, _group, (consumer,) = scene.readers()
    session = bench.stomp()
    session.subscribe("/user/queue/replies", id="replies")
    _send(session, POLL, {"consumer_name": consumer, "wait_seconds": 5}, "waiting")
    _send(session, HEARTBEAT, {"consumer_name": consumer}, "quick")
    reply = session.expect("MESSAGE")
    bench.judge(
        "POLL-WAIT-3",
        reply.get("correlation-id") == "quick",
        expected="the heartbeat's reply first",
        observed=reply,
    )


@clauses("POLL-WAIT-4")
@pytest.mark.parametrize("wait", [-1, -0.001, "5", True, None, [], 1e300], ids=repr)
def test_a_bad_waiting_time_is_refused(bench: Bench, wait: object) -> None:
    """`wait_seconds` is a number from 0 to the declared limit."""
    scene = Scene(bench)
    _topic, _group, (consumer,) = scene.readers()
    if wait == 1e300 and bench.limit("wait_seconds") is None:
        return
    reply = scene.poll(consumer, wait_seconds=wait)
    bench.judge("POLL-WAIT-4", refused(reply), expected=f"4xx for wait_seconds {wait!r}", observed=reply)


@clauses("POLL-WAIT-5")
def test_a_consumer_whose_long_poll_waits_is_alive(bench: Bench) -> None:
    """Time past the heartbeat's timeout evicts nobody who has an unanswered poll."""
    if not bench.declares("virtual-clock"):
        bench.skip(
            "POLL-WAIT-5", "without a virtual clock the poll would have to outlast the heartbeat's timeout"
        )
        return
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    waiting = _Waiting(bench, consumer, min(bench.limit("wait_seconds") or 10.0, 10.0))
    waiting.started()
    timings = bench.target.timings
    scene.pass_time(timings.heartbeat_timeout + timings.eviction_grace + 1)
    scene.publish(topic, "awaited")
    reply, _took = waiting.answer(10.0 + bench.patience)
    bench.judge(
        "POLL-WAIT-5", reply.status == 200, expected="200: the consumer is a member yet", observed=reply
    )


class _Waiting:
    """A long poll in a thread and a session of its own."""

    def __init__(self, bench: Bench, consumer: str, seconds: float) -> None:
        self._queue = bench.queue()
        self._body: dict[str, Any] = {"consumer_name": consumer, "wait_seconds": seconds}
        self._result: list[Any] = []
        self._probe = bench.queue()
        self._consumer = consumer
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        began = time.monotonic()
        try:
            self._result.append((self._queue.call(POLL, self._body), time.monotonic() - began))
        except BaseException as error:  # noqa: BLE001  handed on to the thread that waits
            self._result.append(error)

    def started(self) -> None:
        """Return once the request is very likely to be with the server: a few answered round trips later.

        Nothing is judged by it: a poll that is slower finds the record at once, which is right as well.
        """
        for _ in range(5):
            self._probe.call(HEARTBEAT, {"consumer_name": self._consumer})

    def answer(self, within: float) -> tuple[Any, float]:
        """The reply and how long it took, in seconds; the reader's failure is raised here."""
        self._thread.join(within)
        if not self._result:
            raise AssertionError(f"the poll was not answered within {within:g} s")
        if isinstance(self._result[0], BaseException):
            raise self._result[0]
        return self._result[0]


def _send(session: Any, path: str, body: dict[str, Any], correlation: str) -> None:
    import json

    session.send(path, json.dumps(body).encode(), **{"correlation-id": correlation})
