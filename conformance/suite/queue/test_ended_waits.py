"""Traces that long polls leave behind when they end in vain, with a record, or with their connection: POLL-WAIT-*."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.clock_control import eviction_comes
from conformance.suite.queue.expectations import expect_refusal, expect_status, refused
from conformance.suite.queue.fixture import QueueFixture
from conformance.suite.queue.queue_client import SLACK
from conformance.suite.queue.timeouts import timed, wait_past_deadline, wait_past_eviction
from conformance.suite.queue.waiting_poll import (
    ENDINGS,
    LONGEST_WAIT,
    ROUND_TRIPS,
    WaitingPoll,
    wait_and_leave,
)
from conformance.wire.failures import TooSlow

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.targets.target import Target

#: Seconds that a poll waits in vain.
SHORT = 0.2
#: Seconds after which the end of a connection must have been noticed (POLL-WAIT-6), and a little more.
NOTICED = 1.2


def _past_the_timeout(target: Target) -> float:
    timings = target.timings
    waited = 0.0 if target.has_virtual_clock else timings.heartbeat_timeout + timings.eviction_grace
    return waited + 2 * NOTICED + 4 * SLACK


def _let_it_be_noticed(queue: QueueFixture, seconds: float) -> None:
    """Return after so many seconds of real time, spent in polls of another group's consumer that wait in vain."""
    bystander = queue.new_consumer(queue.new_group())
    deadline = time.monotonic() + seconds
    longest = queue.timings.heartbeat_timeout / 4
    while (left := deadline - time.monotonic()) > 0:
        WaitingPoll(queue, bystander, min(left, longest), round_trips=0).answer()
        queue.keep_alive()


@clauses("POLL-WAIT-6")
@waits(lambda target: 3 * NOTICED, clock="wall")
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_wait_whose_connection_is_gone_takes_no_record_along(bench: Bench, ending: str) -> None:
    """Send a long poll, end its connection, publish a record, and poll on another connection; expect the record."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    for tries in range(3):
        # On an idle machine the last try is as strict as the one before.
        pause = (0.0, NOTICED, NOTICED + 10 * bench.scheduling_delay())[tries]
        if not wait_and_leave(queue, consumer, ending):
            return
        if pause:
            _let_it_be_noticed(queue, pause)
        else:
            queue.heartbeat(consumer)
        queue.publish(topic, f"after {pause:g} s")
        reply = queue.poll(consumer)
        if reply.status == 200:
            break
        # The server may not have noticed yet, and hold a record that was lost under way: a group of its own begins.
        topic, _group, (consumer,) = queue.topic_with_consumers()
        queue.confirm_ownership(topic, consumer)
    expect_status(bench, reply, 200, "POLL-WAIT-6", "no poll waits for the record but this one")


@clauses("POLL-WAIT-5")
@waits(_past_the_timeout, clock="wall")
@pytest.mark.parametrize("ending", ["in vain", "with a record", "without a topic", *ENDINGS])
def test_silence_begins_when_a_wait_is_over(bench: Bench, ending: str) -> None:
    """Send a long poll that ends in vain, with a record, behind an unsubscription, or with its connection, and nothing
    for longer than timeout and grace; expect a refusal (4xx) of the consumer's heartbeat.
    """
    for pause in (0.0, NOTICED):
        queue = QueueFixture(bench)
        topic, group, (consumer,) = queue.topic_with_consumers()
        queue.confirm_ownership(topic, consumer)
        if ending == "in vain":
            queue.poll(consumer, wait_seconds=min(bench.limit("wait_seconds") or SHORT, SHORT))
        elif ending == "with a record":
            waiting = WaitingPoll(queue, consumer)
            queue.publish(topic, "awaited")
            waiting.expect_record("POLL-WAIT-1", "awaited")
        elif ending == "without a topic":
            waiting = WaitingPoll(queue, consumer, SHORT)
            queue.unsubscribe(consumer, topic)
            waiting.answer()
        elif not wait_and_leave(queue, consumer, ending):
            return
        if pause:
            _let_it_be_noticed(queue, pause)
        sign = timed(queue, group, lambda queue=queue, consumer=consumer: queue.heartbeat(consumer))  # type: ignore[misc]
        expect_status(bench, sign.reply, 202, "LIVE-BEAT-1", "the consumer is a member")
        wait_past_eviction(queue, group, sign, consumer)
        reply = queue.heartbeat(consumer)
        if refused(reply):
            break
    why = f"its poll ended {ending}, and it was silent for longer than timeout and grace since"
    is_evicted = refused(reply) or eviction_comes(bench, _reach)
    expect_refusal(bench, reply, "POLL-WAIT-5" if is_evicted else "LIVE-EVICT-1", why)


def _reach(queue: QueueFixture, group: str, instant: float, silent: tuple[str, ...]) -> None:
    wait_past_deadline(queue, group, instant, *silent)


@clauses("POLL-WAIT-5")
@waits(_past_the_timeout, clock="wall")
@pytest.mark.parametrize("ending", ["in vain", "closed"])
def test_a_consumer_lives_as_long_as_one_of_its_polls_waits(bench: Bench, ending: str) -> None:
    """Send two long polls of one consumer, of which one ends in vain or with its connection, and nothing for longer
    than timeout and grace; expect the consumer to be a member still, and the other poll to bring the next record.
    """
    timings = bench.target.timings
    seconds = timings.heartbeat_timeout + timings.eviction_grace + 4 * SLACK
    longest = bench.limit("wait_seconds") or LONGEST_WAIT + seconds
    wish = LONGEST_WAIT if bench.clock.is_virtual else seconds + SHORT + bench.patience
    if not bench.clock.is_virtual and longest <= seconds + SHORT:
        bench.skip("POLL-WAIT-5", f"no poll may wait for {seconds:.1f} s on this server")
        return
    # No reply says when a poll begins to wait: on a virtual clock a refused one gets more time to reach the server.
    for round_trips in (ROUND_TRIPS, 10 * ROUND_TRIPS, 100 * ROUND_TRIPS):
        queue = QueueFixture(bench)
        topic, group, (consumer,) = queue.topic_with_consumers()
        queue.confirm_ownership(topic, consumer)
        long = WaitingPoll(queue, consumer, wish, round_trips=round_trips)
        if ending == "in vain":
            short = WaitingPoll(queue, consumer, SHORT)
            queue.stop_heartbeats(consumer)
            ended, _ = short.answer()
            bench.judge("POLL-WAIT-2", ended.status != 200, expected="an empty poll", observed=ended)
        else:
            wait_and_leave(queue, consumer, ending)
            queue.stop_heartbeats(consumer)
            _let_it_be_noticed(queue, NOTICED)
        queue.wait_until(group, queue.now(group) + seconds, consumer)
        beat = queue.heartbeat(consumer)
        is_evicted = refused(beat) and long.is_under_way()
        if is_evicted:
            if bench.clock.is_virtual:
                continue
            break
        queue.publish(topic, "awaited")
        reply, took = long.answer()
        long.expect_no_early_end(reply, took)
        if reply.status == 200 or not bench.clock.is_virtual:
            break
        if not refused(reply) and not long.is_before_timeout(took):
            raise TooSlow(
                f"this machine needed {took:.1f} s for what a poll of {long.seconds:g} s has to outlast"
            )
    if is_evicted:
        expect_status(bench, beat, 202, "POLL-WAIT-5", "one of its polls is waiting all the time")
        return
    expect_status(
        bench, reply, 200, "POLL-WAIT-5", "the poll has waited all the time, and its consumer stays"
    )
    beat = queue.heartbeat(consumer)
    expect_status(bench, beat, 202, "POLL-WAIT-5", "one of its polls was waiting all the time")


@clauses("POLL-OK-1")
def test_a_wait_in_vain_takes_no_record_along(bench: Bench) -> None:
    """Let a poll wait in vain, then publish a record and poll; expect the record, several times."""
    if not bench.declares("long-poll"):
        bench.skip("POLL-OK-1", "no poll waits (extension long-poll)")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    for number in range(bench.examples(2, 3, 10)):
        queue.poll(consumer, wait_seconds=min(bench.limit("wait_seconds") or SHORT, SHORT / 4))
        queue.publish(topic, f"m{number}")
        record = queue.poll_record(consumer, "POLL-OK-1")
        bench.judge("POLL-OK-1", record.message == f"m{number}", expected=f"m{number}", observed=record.whole)
        queue.acknowledge(consumer, record.message_id)


@clauses("POLL-BATCH-1")
def test_a_batch_that_had_to_wait_keeps_its_bound(bench: Bench) -> None:
    """Let a member wait for a batch of one record while another one holds records of several topics, and let that one
    give up all of them at once; expect a batch of one record.
    """
    if not bench.declares("long-poll"):
        bench.skip("POLL-BATCH-1", "no poll waits (extension long-poll)")
        return
    queue = QueueFixture(bench)
    topics, group = [queue.new_topic() for _ in range(3)], queue.new_group()
    holder = queue.new_consumer(group, *topics)
    for topic in topics:
        queue.publish(topic, "held")
    for _ in topics:
        queue.poll_until_record(holder)
    heir = queue.new_consumer(group, *topics)
    waiting = WaitingPoll(queue, heir, max_messages=1)
    queue.unsubscribe(holder, *topics)
    if bench.clock.is_virtual:
        for _ in queue.retry_until_rebalanced():
            pass
    reply, _ = waiting.answer()
    records = reply.body.get("records") if isinstance(reply.body, dict) else None
    if reply.status == 200:  # else POLL-WAIT-1 is broken, which other tests judge
        bench.judge(
            "POLL-BATCH-1",
            isinstance(records, list) and len(records) == 1,
            expected="a list of one record: max_messages is 1",
            observed=reply,
        )


@clauses("POLL-BATCH-1")
def test_a_batch_that_had_to_wait_is_a_batch(bench: Bench) -> None:
    """Send a long poll for a batch, and publish while it waits; expect an object with a list of records."""
    if not bench.declares("long-poll"):
        bench.skip("POLL-BATCH-1", "no poll waits (extension long-poll)")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    waiting = WaitingPoll(queue, consumer, max_messages=int(min(bench.limit("poll_messages") or 3, 3)))
    queue.publish(topic, "awaited")
    reply, _ = waiting.answer()
    expect_status(bench, reply, 200, "POLL-WAIT-1", "a record is free for this consumer")
    bench.judge_schema("POLL-BATCH-1", "batch-poll-reply", reply.body)
    records = reply.body.get("records") if isinstance(reply.body, dict) else None
    bench.judge(
        "POLL-BATCH-1",
        isinstance(records, list) and len(records) == 1,
        expected='{"records": […]} with one record, also where the poll had to wait',
        observed=reply,
    )
    for item in records or ():
        record = queue.parse_record(item, reply)
        bench.judge("POLL-BATCH-1", record.message == "awaited", expected="`awaited`", observed=reply)
