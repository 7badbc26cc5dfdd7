"""Long polls: POLL-WAIT-* (extension long-poll)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.expectations import expect_refusal, expect_status, refused
from conformance.suite.queue.fixture import NEGATIVE_ACKNOWLEDGE, POLL, QueueFixture
from conformance.suite.queue.queue_client import HEARTBEAT, SLACK
from conformance.suite.queue.timeouts import expect_kept_alive, timed, wait_just_below_timeout
from conformance.suite.queue.waiting_poll import LONGEST_WAIT, ROUND_TRIPS, WaitingPoll
from conformance.wire.operations import StompOperations

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.queue.timeouts import TimedReply
    from conformance.targets.target import Target
    from conformance.wire.operations import Reply

#: Seconds that a poll waits for a record that does not arrive.
SHORT = 0.3
#: Seconds of a poll that waits in vain beside other tests, by effort: some servers end every wait early.
LONGER = (4, 11, 31)


@clauses("POLL-WAIT-1")
def test_a_long_poll_is_answered_when_a_record_is_published(bench: Bench) -> None:
    """Send a long poll and publish while it waits; expect 200 with the record, long before the time is over."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    waiting = WaitingPoll(queue, consumer)
    queue.publish(topic, "awaited")
    waiting.expect_record("POLL-WAIT-1", "awaited")


@clauses("POLL-WAIT-1")
def test_a_record_that_comes_while_a_poll_begins_to_wait_is_not_missed(bench: Bench) -> None:
    """Send a long poll, for a batch in turn, and publish at about the same instant by either spelling of the path, many
    times; expect 200 with the record each time. A server that looks for a record before it starts to wait can miss the
    one that comes in between.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    for number in range(bench.examples(quick=12, standard=80, thorough=400)):
        waiting = WaitingPoll(queue, consumer, round_trips=number % 4, is_batch=number % 3 == 1)
        queue.publish(topic, f"m{number}", by_alias=number % 2 == 1)
        waiting.expect_record("POLL-WAIT-1", f"m{number}", acknowledge=consumer)


@clauses("POLL-WAIT-1")
def test_a_long_poll_finds_what_is_there_already(bench: Bench) -> None:
    """Send a long poll while a record is free; expect 200 with the record at once."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    queue.publish(topic, "there")
    WaitingPoll(queue, consumer).expect_record("POLL-WAIT-1", "there")


@clauses("POLL-WAIT-1")
@pytest.mark.parametrize("how", ["acknowledged", "given back"])
@pytest.mark.parametrize("is_batch", [False, True], ids=["record", "batch"])
def test_a_long_poll_is_answered_when_a_record_is_settled(bench: Bench, how: str, is_batch: bool) -> None:
    """Send a long poll, for a record or a batch, while a record is in flight, and settle that record; expect the next
    record after an acknowledgement, and the same one after a negative acknowledgement.
    """
    if how == "given back" and not bench.declares("negative-acknowledgement"):
        bench.skip("POLL-WAIT-1", "nothing can be given back (extension negative-acknowledgement)")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for message in ("first", "second"):
        queue.publish(topic, message)
    first = queue.poll_until_record(consumer)
    waiting = WaitingPoll(queue, consumer, is_batch=is_batch)
    if how == "acknowledged":
        queue.acknowledge(consumer, first.message_id)
        waiting.expect_record("POLL-WAIT-1", "second")
    else:
        queue.call(NEGATIVE_ACKNOWLEDGE, {"consumer_name": consumer, "message_id": first.message_id})
        waiting.expect_record("POLL-WAIT-1", "first")


@clauses("POLL-WAIT-1")
def test_a_long_poll_is_answered_when_a_partition_comes(bench: Bench) -> None:
    """Send a long poll for a member that owns nothing, and let the owner leave; expect the record of its partition when
    the rebalance is over.
    """
    if not bench.clock.is_virtual:
        bench.skip("POLL-WAIT-1", "without a virtual clock the rebalance may outlast the poll")
        return
    queue = QueueFixture(bench)
    topic, group, (owner,) = queue.topic_with_consumers()
    waiter = queue.new_consumer(group)
    queue.publish(topic, "awaited")
    waiting = WaitingPoll(queue, waiter)
    queue.subscribe(waiter, topic)
    queue.unsubscribe(owner, topic)
    # The rebalance takes virtual time only, so the poll's real seconds hardly pass.
    for _ in queue.retry_until_rebalanced():
        pass
    waiting.expect_record("POLL-WAIT-1", "awaited")


@clauses("POLL-WAIT-1")
@pytest.mark.parametrize("how", ["by the removal of its group", "by itself"])
def test_a_long_poll_is_refused_when_its_consumers_registration_ends(bench: Bench, how: str) -> None:
    """Send a long poll and remove the consumer's group, or unregister the consumer; expect a refusal (4xx), long before
    the time is over.
    """
    if how == "by itself" and not bench.declares("unregister"):
        bench.skip("POLL-WAIT-1", "no consumer can unregister (extension unregister)")
        return
    queue = QueueFixture(bench)
    _topic, group, (consumer,) = queue.topic_with_consumers()
    waiting = WaitingPoll(queue, consumer)
    if how == "by itself":
        queue.client.unregister(consumer)
    else:
        queue.client.remove_group(group)
    reply, took = waiting.answer()
    bench.judge(
        "POLL-WAIT-1",
        refused(reply) and waiting.is_before_timeout(took),
        expected=f"4xx before the {waiting.seconds:g} s are over",
        observed=f"{reply} after {took:.3f} s",
    )


@clauses("POLL-WAIT-2")
def test_a_long_poll_ends_empty_when_its_time_is_over(bench: Bench) -> None:
    """Send a long poll while no record comes; expect the status of an empty poll, and not before the time is over."""
    _expect_a_wait_in_vain(bench, SHORT)


@clauses("POLL-WAIT-2")
@waits(lambda _target: LONGER[0], clock="wall")
def test_a_long_poll_may_wait_for_several_seconds(bench: Bench) -> None:
    """Send a long poll of some seconds while no record comes; expect the same."""
    _expect_a_wait_in_vain(bench, bench.examples(*LONGER))


def _expect_a_wait_in_vain(bench: Bench, wish: float) -> None:
    queue = QueueFixture(bench)
    _topic, _group, (consumer,) = queue.topic_with_consumers()
    empty = queue.poll(consumer)
    wait = min(bench.limit("wait_seconds") or wish, wish)
    began = time.monotonic()
    reply = queue.poll(consumer, wait_seconds=wait)
    took = time.monotonic() - began
    bench.judge(
        "POLL-WAIT-2",
        reply.status == empty.status != 200 and took >= 0.9 * wait,
        expected=f"{empty.status}, as for any empty poll, after {wait:g} s",
        observed=f"{reply} after {took:.3f} s",
    )


@clauses("POLL-WAIT-2")
@pytest.mark.parametrize("wait", [0, 0.0], ids=repr)
def test_a_poll_that_waits_for_no_time_is_answered_at_once(bench: Bench, wait: float) -> None:
    """Poll with a `wait_seconds` of 0; expect the reply of an ordinary poll."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    reply = queue.poll(consumer, wait_seconds=wait)
    bench.judge(
        "POLL-WAIT-2",
        reply.status != 200 and reply.status == queue.poll(consumer).status,
        expected="the status of any empty poll",
        observed=reply,
    )
    queue.publish(topic, "there")
    record = queue.poll(consumer, wait_seconds=wait)
    expect_status(bench, record, 200, "POLL-WAIT-2", "there is a record")


@clauses("POLL-WAIT-3")
def test_a_long_poll_holds_up_nothing_else_of_its_session(bench: Bench) -> None:
    """Send a long poll and then a heartbeat in one STOMP session; expect the reply to the heartbeat first, and the
    record when it is published.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    session = StompOperations(bench.stomp())
    wait = min(bench.limit("wait_seconds") or LONGEST_WAIT, LONGEST_WAIT)
    waiting = session.start(POLL, {"consumer_name": consumer, "wait_seconds": wait})
    quick = session.start(HEARTBEAT, {"consumer_name": consumer})
    reply = session.client.expect("MESSAGE", within=wait + bench.patience)
    bench.judge(
        "POLL-WAIT-3", reply.get("status") == "202", expected="the heartbeat's reply first", observed=reply
    )
    session.client.inbox.append(reply)
    expect_status(bench, quick.reply(), 202, "POLL-WAIT-3", "the consumer is a member")
    queue.publish(topic, "awaited")
    came = waiting.reply()
    expect_status(bench, came, 200, "POLL-WAIT-3", "a record is free for this consumer")


@clauses("POLL-WAIT-4")
def test_a_bad_waiting_time_is_refused(bench: Bench) -> None:
    """Poll with a `wait_seconds` that is no number from 0 to the limit; expect a refusal (4xx), and the record still
    free.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    queue.publish(topic, "m0")
    most = bench.limit("wait_seconds")
    times: list[object] = [-1, -0.001, "5", True, None, [], *([most + 1, 1e300] if most else [])]
    for wait in times:
        # A server that accepts the value finds the record at once.
        reply = queue.client.call(
            POLL, {"consumer_name": consumer, "wait_seconds": wait}, within=bench.patience
        )
        expect_refusal(bench, reply, "POLL-WAIT-4", f"wait_seconds is {wait!r}")
    record = queue.poll_record(consumer, "POLL-WAIT-4")
    bench.judge("POLL-WAIT-4", record.message == "m0", expected="m0 is still free", observed=record.whole)


def _past_the_timeout(target: Target) -> float:
    timings = target.timings
    return timings.heartbeat_timeout + timings.eviction_grace + 4 * SLACK


def _poll_through(bench: Bench, seconds: float) -> tuple[QueueFixture, str, str, TimedReply] | None:
    """A long poll that a record answers after `seconds`: its fixture, group, consumer and reply.

    None if no poll may wait so long, and POLL-WAIT-5 is skipped then. Time must not pass before the poll waits, and no
    reply says when it does: on a virtual clock a refused poll is repeated with more time to reach the server.
    """
    is_virtual = bench.clock.is_virtual
    wish = LONGEST_WAIT if is_virtual else seconds + bench.patience
    if not is_virtual and (bench.limit("wait_seconds") or wish) <= seconds:
        bench.skip("POLL-WAIT-5", f"no poll may wait for {seconds:.1f} s on this server")
        return None
    for round_trips in (ROUND_TRIPS, 10 * ROUND_TRIPS, 100 * ROUND_TRIPS):
        queue = QueueFixture(bench)
        topic, group, (consumer,) = queue.topic_with_consumers()
        queue.confirm_ownership(topic, consumer)
        waiting = WaitingPoll(queue, consumer, wish, round_trips=round_trips)
        queue.stop_heartbeats(consumer)
        queue.pass_time(seconds)

        def answer(queue: QueueFixture = queue, topic: str = topic, waiting: WaitingPoll = waiting) -> Reply:
            queue.publish(topic, "awaited")
            return waiting.answer()[0]

        answered = timed(queue, group, answer)
        if answered.reply.status == 200 or not is_virtual:
            break
    return queue, group, consumer, answered


@clauses("POLL-WAIT-5")
@waits(_past_the_timeout)
def test_a_consumer_whose_long_poll_waits_is_alive(bench: Bench) -> None:
    """Send a long poll that waits for longer than timeout and grace; expect the record, and 202 for a heartbeat."""
    polled = _poll_through(bench, _past_the_timeout(bench.target))
    if polled is None:
        return
    queue, _group, consumer, answered = polled
    expect_status(
        bench,
        answered.reply,
        200,
        "POLL-WAIT-5",
        "a waiting consumer stays a member, and gets its record",
    )
    beat = queue.heartbeat(consumer)
    expect_status(bench, beat, 202, "POLL-WAIT-5", "the consumer is still a member")


@clauses("POLL-WAIT-5")
@waits(_past_the_timeout)
def test_silence_begins_when_a_long_poll_is_answered(bench: Bench) -> None:
    """Send a long poll, and nothing for just less than the timeout after its reply; expect the consumer to be a member
    still, though poll and silence together are longer than timeout and grace.
    """
    timings = bench.target.timings
    waited = timings.eviction_grace + 4 * SLACK + 2 * bench.scheduling_delay()
    if bench.clock.is_virtual:
        waited = timings.heartbeat_timeout * 0.75 + timings.eviction_grace
    polled = _poll_through(bench, waited)
    if polled is None:
        return
    queue, group, consumer, answered = polled
    expect_status(bench, answered.reply, 200, "POLL-WAIT-5", "a record is free for this consumer")
    wait_just_below_timeout(queue, group, answered, consumer)
    beat = timed(queue, group, lambda: queue.heartbeat(consumer))
    expect_kept_alive(
        queue, "POLL-WAIT-5", answered, beat, expected="202 after the poll", ok=beat.reply.status == 202
    )
