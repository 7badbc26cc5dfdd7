"""Heartbeat timeouts and evictions, on both sides of the timeout: LIVE-*. On a real clock these tests wait together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import (
    ACKNOWLEDGE,
    NEGATIVE_ACKNOWLEDGE,
    POLL,
    REGISTER,
    SUBSCRIBE,
    UNREGISTER,
    UNSUBSCRIBE,
    QueueFixture,
)
from conformance.suite.queue.queue_client import HEARTBEAT, MARGIN
from conformance.suite.queue.timeouts import (
    eviction_seconds,
    expect_kept_alive,
    timed,
    wait_just_below_timeout,
    wait_past_eviction,
)

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


@clauses("LIVE-BEAT-1")
def test_a_heartbeat_is_answered(bench: Bench) -> None:
    """Send the heartbeat of a member, with and without subscriptions; expect 202."""
    queue = QueueFixture(bench)
    group = queue.new_group()
    for consumer in (queue.new_consumer(group), queue.new_consumer(group, queue.new_topic())):
        reply = queue.heartbeat(consumer)
        expect_status(bench, reply, 202, "LIVE-BEAT-1", "the consumer is a member")


@clauses("LIVE-BEAT-2", "LIVE-BEAT-3")
def test_the_heartbeat_of_an_unknown_consumer_is_refused(bench: Bench) -> None:
    """Send the heartbeat of a consumer that was never registered, twice; expect a refusal (4xx) each time."""
    queue = QueueFixture(bench)
    name = bench.fresh("nobody")
    for _ in range(2):
        reply = queue.heartbeat(name)
        expect_refusal(bench, reply, "LIVE-BEAT-2", "no such consumer")
        expect_status(bench, reply, 404, "LIVE-BEAT-3", "no such consumer")


@clauses("LIVE-KEEP-1")
@waits(eviction_seconds)
def test_a_silence_below_the_timeout_evicts_nobody(bench: Bench) -> None:
    """Send nothing for a consumer until just below the timeout, then acknowledge its record; expect 202."""
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "held")
    record = queue.poll_until_record(consumer)
    sign = timed(queue, group, lambda: queue.heartbeat(consumer))
    expect_status(bench, sign.reply, 202, "LIVE-BEAT-1", "the consumer is a member")
    wait_just_below_timeout(queue, group, sign, consumer)
    body = {"consumer_name": consumer, "message_id": record.message_id}
    answer = timed(queue, group, lambda: queue.call(ACKNOWLEDGE, body))
    expect_kept_alive(
        queue,
        "LIVE-KEEP-1",
        sign,
        answer,
        expected="202 for the record that it holds",
        ok=answer.reply.status == 202,
    )


@clauses("LIVE-BEAT-1")
@waits(eviction_seconds)
def test_heartbeats_keep_a_consumer_alive(bench: Bench) -> None:
    """Send heartbeats for longer than timeout and grace, then acknowledge; expect 202."""
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "held")
    record = queue.poll_until_record(consumer)
    registered = queue.now(group)
    timings = queue.timings
    queue.wait_until(group, registered + timings.heartbeat_timeout + timings.eviction_grace + MARGIN)
    reply = queue.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": record.message_id})
    expect_status(
        bench, reply, 202, "LIVE-BEAT-1", "the consumer holds the record: its heartbeats were signs of life"
    )


@clauses("LIVE-KEEP-1")
@waits(eviction_seconds)
def test_a_consumer_outlives_its_connection(bench: Bench) -> None:
    """Close the connection of a consumer and acknowledge over another one in time; expect 202. A consumer is a name,
    not a connection.
    """
    queue = QueueFixture(bench)
    topic, group = queue.new_topic(), queue.new_group()
    consumer = bench.fresh("consumer")
    for number in range(2):
        queue.publish(topic, f"m{number}")
    first = bench.queue()
    first.register(group, consumer)
    first.subscribe(consumer, topic)
    record = None
    for _ in queue.retry_until_rebalanced():
        reply = first.poll(consumer)
        if reply.status == 200:
            record = queue.record_of(reply)
            break
    bench.judge("POLL-OK-1", record is not None, expected="200 with a record", observed=reply)
    assert record is not None
    sign = timed(queue, group, lambda: first.heartbeat(consumer))
    first.close()
    queue.wait_until(group, sign.earliest + queue.timings.heartbeat_timeout / 2)
    body = {"consumer_name": consumer, "message_id": record.message_id}
    answer = timed(queue, group, lambda: queue.call(ACKNOWLEDGE, body))
    expect_kept_alive(
        queue,
        "LIVE-KEEP-1",
        sign,
        answer,
        expected="202 on another connection for the record that it holds",
        ok=answer.reply.status == 202,
    )


@clauses("LIVE-KEEP-1")
@waits(eviction_seconds)
def test_a_registration_begins_a_silence_of_its_own(bench: Bench) -> None:
    """Unregister a consumer in the middle of its timeout and register its name again; expect it to live for a whole
    timeout from then on, or from its next heartbeat, also past the end of the first timeout.
    """
    if not bench.declares("unregister"):
        bench.skip("LIVE-KEEP-1", "no consumer can unregister (extension unregister)")
        return
    queue = QueueFixture(bench)
    group = queue.new_group()
    consumer = queue.new_consumer(group)
    names = {"consumer_group_name": group, "consumer_name": consumer}
    first = timed(queue, group, lambda: queue.heartbeat(consumer))
    queue.wait_until(group, first.earliest + queue.timings.heartbeat_timeout / 2, consumer)
    queue.call(UNREGISTER, {"consumer_name": consumer})
    sign = timed(queue, group, lambda: queue.call(REGISTER, names))
    expect_status(bench, sign.reply, 200, "MEMBER-UNREGISTER-1", "the name is free")
    if bench.clock.is_virtual:  # real time would take half as long again
        queue.wait_until(group, sign.earliest + queue.timings.heartbeat_timeout / 2, consumer)
        sign = timed(queue, group, lambda: queue.heartbeat(consumer))
        expect_status(bench, sign.reply, 202, "LIVE-BEAT-1", "the consumer is a member")
    wait_just_below_timeout(queue, group, sign, consumer)
    beat = timed(queue, group, lambda: queue.heartbeat(consumer))
    expect_kept_alive(
        queue,
        "LIVE-KEEP-1",
        sign,
        beat,
        expected="202 for a consumer that has just registered",
        ok=beat.reply.status == 202,
    )


@clauses("LIVE-EVICT-1", "LIVE-GONE-1", "LIVE-GONE-2")
@waits(eviction_seconds)
def test_an_evicted_consumer_is_refused_everything(bench: Bench) -> None:
    """Send each operation that names a consumer after its timeout and grace; expect refusals (4xx), while a member that
    sent heartbeats stays.
    """
    queue = QueueFixture(bench)
    topic, group = queue.new_topic(), queue.new_group()
    other = queue.new_consumer(group, topic)
    queue.publish(topic, "held")
    record = queue.poll_until_record(other)
    attempts: dict[str, dict[str, object]] = {
        HEARTBEAT: {},
        POLL: {},
        SUBSCRIBE: {"topic_list": topic},
        UNSUBSCRIBE: {"topic_list": topic},
        ACKNOWLEDGE: {"message_id": record.message_id},
    }
    if bench.declares("negative-acknowledgement"):
        attempts[NEGATIVE_ACKNOWLEDGE] = {"message_id": record.message_id}
    if bench.declares("unregister"):
        attempts[UNREGISTER] = {}
    silent = {path: queue.new_consumer(group, topic) for path in attempts}
    signs = [timed(queue, group, lambda name=name: queue.heartbeat(name)) for name in silent.values()]  # type: ignore[misc]
    wait_past_eviction(queue, group, signs[-1], *silent.values())
    for path, name in silent.items():
        # The second refusal shows that the first operation did not bring the consumer back.
        for _ in range(2):
            reply = queue.call(path, {"consumer_name": name, **attempts[path]})
            why = f"{name} was silent for longer than timeout and grace"
            expect_refusal(bench, reply, "LIVE-EVICT-1", why)
            expect_refusal(bench, reply, "LIVE-GONE-1", why)
            expect_status(bench, reply, 404, "LIVE-GONE-2", why)
    beat = queue.heartbeat(other)
    expect_status(bench, beat, 202, "LIVE-BEAT-1", "the consumer was never silent")


@clauses("LIVE-EVICT-1")
@waits(eviction_seconds)
@pytest.mark.parametrize("holding", [False, True], ids=["owning nothing", "holding a record"])
def test_the_only_member_of_a_group_is_evicted_as_well(bench: Bench, holding: bool) -> None:
    """Send nothing for the only member of a group, which may hold a record; expect its heartbeat to be refused (4xx)
    after timeout and grace.
    """
    queue = QueueFixture(bench)
    topic, group = queue.new_topic(), queue.new_group()
    consumer = queue.new_consumer(group, topic) if holding else queue.new_consumer(group)
    if holding:
        queue.publish(topic, "held")
        queue.poll_until_record(consumer)
    sign = timed(queue, group, lambda: queue.heartbeat(consumer))
    wait_past_eviction(queue, group, sign, consumer)
    reply = queue.heartbeat(consumer)
    expect_refusal(bench, reply, "LIVE-EVICT-1", "the consumer was silent for longer than timeout and grace")


@clauses("LIVE-GONE-4")
@waits(eviction_seconds)
@pytest.mark.parametrize("where", ["same group", "other group"])
def test_the_name_of_an_evicted_consumer_is_free(bench: Bench, where: str) -> None:
    """Register the name of an evicted consumer again; expect 200, and a new consumer without subscriptions."""
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    elsewhere = queue.new_group()
    queue.publish(topic, "m")
    sign = timed(queue, group, lambda: queue.heartbeat(consumer))
    wait_past_eviction(queue, group, sign, consumer)
    wanted = group if where == "same group" else elsewhere
    reply = queue.call(REGISTER, {"consumer_group_name": wanted, "consumer_name": consumer})
    expect_status(bench, reply, 200, "LIVE-GONE-4", "its holder was evicted")
    queue.expect_no_record(consumer, "LIVE-GONE-4", "no record: the new consumer has no subscription")
    queue.subscribe(consumer, topic)
    record = queue.poll_until_record(consumer, "LIVE-GONE-4")
    bench.judge("LIVE-GONE-4", record.message == "m", expected="the record", observed=record.whole)


@clauses("LIVE-GONE-3")
@waits(eviction_seconds)
@pytest.mark.parametrize(
    "when", ["while no consumer holds it", "while another holds it", "under a new registration"]
)
def test_a_late_acknowledgement_commits_nothing(bench: Bench, when: str) -> None:
    """Send an acknowledgement for a record that a consumer held before its eviction; expect a refusal (4xx), and the
    same record at the next owner.
    """
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    for number in range(2):
        queue.publish(topic, f"m{number}")
    held = queue.poll_until_record(consumer)
    late = {"consumer_name": consumer, "message_id": held.message_id}
    sign = timed(queue, group, lambda: queue.heartbeat(consumer))
    wait_past_eviction(queue, group, sign, consumer)
    queue.members[group].remove(consumer)
    if when == "while another holds it":
        next_owner = queue.new_consumer(group, topic)
        again = queue.poll_until_record(next_owner, "DELIVER-2")
        reply = queue.call(ACKNOWLEDGE, late)
    else:
        if when == "under a new registration":
            queue.call(REGISTER, {"consumer_group_name": group, "consumer_name": consumer})
        reply = queue.call(ACKNOWLEDGE, late)
        next_owner = queue.new_consumer(group, topic)
        again = queue.poll_until_record(next_owner, "LIVE-GONE-3")
    expect_refusal(bench, reply, "LIVE-GONE-3", "the consumer no longer holds the record")
    bench.judge(
        "LIVE-GONE-3", again.message == "m0", expected="m0, which was not acknowledged", observed=again.whole
    )
    queue.expect_no_record(next_owner, "LIVE-GONE-3", "no record: m0 is in flight as before")
    mine = queue.call(ACKNOWLEDGE, {"consumer_name": next_owner, "message_id": again.message_id})
    expect_status(bench, mine, 202, "LIVE-GONE-3", "the consumer holds the record")
    following = queue.poll_record(next_owner, "LIVE-GONE-3")
    bench.judge("LIVE-GONE-3", following.message == "m1", expected="m1", observed=following.whole)
