"""Polls that wait for a record: POLL-WAIT-* (extension long-poll)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.queue_client import HEARTBEAT, SLACK, refused
from conformance.suite.queue.scene import NEGATIVE_ACKNOWLEDGE, POLL, Scene
from conformance.suite.queue.timeouts import judge_kept, just_below, timed
from conformance.wire.operations import StompOperations

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.queue.timeouts import Deed
    from conformance.targets.target import Target
    from conformance.wire.operations import Pending, Reply

#: How long a poll waits, in seconds, for what comes long before; and for what does not come.
LONG, SHORT = 10.0, 0.3
#: Answered requests after which a request that was sent before them is very likely to be with the server.
_ROUND_TRIPS = 5


class Waiting:
    """A poll that waits, on a connection of its own where the binding needs that."""

    def __init__(
        self, scene: Scene, consumer: str, wish: float = LONG, *, round_trips: int = _ROUND_TRIPS
    ) -> None:
        """`wish`: how many seconds, if the server's limit allows it. `round_trips`: how long to give it to arrive."""
        self._scene = scene
        self.seconds = min(scene.bench.limit("wait_seconds") or wish, wish)
        probe = scene.bench.queue()
        self._began = time.monotonic()
        body = {"consumer_name": consumer, "wait_seconds": self.seconds}
        scene.bench.step(f"{POLL} {body} begins")
        self._pending: Pending = scene.queue.start(POLL, body)
        # Nothing is judged by it: a poll that comes later finds the record at once, which is right as well.
        for _ in range(round_trips):
            probe.heartbeat(consumer)

    def answer(self) -> tuple[Reply, float]:
        """The reply, and how many seconds after the request it was there."""
        reply = self._pending.reply(self.seconds + self._scene.bench.patience)
        took = time.monotonic() - self._began
        self._scene.bench.step(f"the poll that waited -> {reply} after {took:.3f} s")
        return reply, took

    def is_early(self, took: float) -> bool:
        """Whether an answer came clearly before the poll's time was over."""
        return took < 0.9 * self.seconds

    def judge_early(self, clause: str, message: str, acknowledge: str = "") -> None:
        """Judge that the answer is a record, clearly before the time is over; a consumer may `acknowledge` it."""
        reply, took = self.answer()
        self._scene.bench.judge(
            clause,
            reply.status == 200 and self.is_early(took),
            expected=f"200 with the record, before the {self.seconds:g} s are over",
            observed=f"{reply} after {took:.3f} s",
        )
        record = self._scene.delivered(reply)
        self._scene.bench.judge(
            clause, record.message == message, expected=f"the record {message!r}", observed=reply
        )
        if acknowledge:
            self._scene.acknowledge(acknowledge, record.message_id)


@clauses("POLL-WAIT-1")
def test_a_long_poll_is_answered_when_a_record_is_published(bench: Bench) -> None:
    """It is answered by the record that comes while it waits, long before its time is up."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.warm_up(topic, consumer)
    waiting = Waiting(scene, consumer)
    scene.publish(topic, "awaited")
    waiting.judge_early("POLL-WAIT-1", "awaited")


@clauses("POLL-WAIT-1")
def test_a_record_that_comes_while_a_poll_begins_to_wait_is_not_missed(bench: Bench) -> None:
    """The record is published when the poll is just on its way, at another instant each time: no wake-up gets lost."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.warm_up(topic, consumer)
    for number in range(bench.examples(quick=12, standard=80, thorough=400)):
        waiting = Waiting(scene, consumer, round_trips=number % 4)
        scene.publish(topic, f"m{number}")
        waiting.judge_early("POLL-WAIT-1", f"m{number}", acknowledge=consumer)


@clauses("POLL-WAIT-1")
def test_a_long_poll_finds_what_is_there_already(bench: Bench) -> None:
    """It does not wait where there is a record."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.warm_up(topic, consumer)
    scene.publish(topic, "there")
    Waiting(scene, consumer).judge_early("POLL-WAIT-1", "there")


@clauses("POLL-WAIT-1")
@pytest.mark.parametrize("how", ["acknowledged", "given back"])
def test_a_long_poll_is_answered_when_a_record_is_settled(bench: Bench, how: str) -> None:
    """The next record of the partition comes when the one before is acknowledged, the same one if it is given back."""
    if how == "given back" and not bench.declares("negative-acknowledgement"):
        bench.skip("POLL-WAIT-1", "nothing can be given back (extension negative-acknowledgement)")
        return
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    for message in ("first", "second"):
        scene.publish(topic, message)
    first = scene.record(consumer)
    waiting = Waiting(scene, consumer)
    if how == "acknowledged":
        scene.acknowledge(consumer, first.message_id)
        waiting.judge_early("POLL-WAIT-1", "second")
    else:
        scene.call(NEGATIVE_ACKNOWLEDGE, {"consumer_name": consumer, "message_id": first.message_id})
        waiting.judge_early("POLL-WAIT-1", "first")


@clauses("POLL-WAIT-1")
def test_a_long_poll_is_answered_when_a_partition_comes(bench: Bench) -> None:
    """Who stands by gets the record of a partition whose owner has left, when the rebalance is settled."""
    if not bench.clock.is_virtual:
        bench.skip("POLL-WAIT-1", "without a virtual clock the rebalance may outlast the poll")
        return
    scene = Scene(bench)
    topic, group, (owner,) = scene.readers()
    waiter = scene.consumer(group)
    scene.publish(topic, "awaited")
    waiting = Waiting(scene, waiter)
    scene.subscribe(waiter, topic)
    scene.unsubscribe(owner, topic)
    # In a virtual instant the clients' time stands still, and so does the waiting.
    for _ in scene.attempts():
        pass
    waiting.judge_early("POLL-WAIT-1", "awaited")


@clauses("POLL-WAIT-1")
def test_a_long_poll_is_refused_when_its_consumers_registration_ends(bench: Bench) -> None:
    """When the group is removed, the poll of a member does not wait on."""
    scene = Scene(bench)
    _topic, group, (consumer,) = scene.readers()
    waiting = Waiting(scene, consumer)
    scene.queue.remove_group(group)
    reply, took = waiting.answer()
    bench.judge(
        "POLL-WAIT-1",
        refused(reply) and waiting.is_early(took),
        expected=f"4xx before the {waiting.seconds:g} s are over",
        observed=f"{reply} after {took:.3f} s",
    )


@clauses("POLL-WAIT-2")
def test_a_long_poll_ends_empty_when_its_time_is_over(bench: Bench) -> None:
    """Without a record the poll is answered as an empty one, after the time that it asked for and not before."""
    scene = Scene(bench)
    _topic, _group, (consumer,) = scene.readers()
    empty = scene.poll(consumer)
    wait = min(bench.limit("wait_seconds") or SHORT, SHORT)
    began = time.monotonic()
    reply = scene.poll(consumer, wait_seconds=wait)
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
    """`wait_seconds` of 0 is allowed, and does not wait."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.warm_up(topic, consumer)
    reply = scene.poll(consumer, wait_seconds=wait)
    bench.judge(
        "POLL-WAIT-2",
        reply.status != 200 and reply.status == scene.poll(consumer).status,
        expected="the status of any empty poll",
        observed=reply,
    )
    scene.publish(topic, "there")
    record = scene.poll(consumer, wait_seconds=wait)
    bench.judge("POLL-WAIT-2", record.status == 200, expected="200: there is a record", observed=record)


@clauses("POLL-WAIT-3")
def test_a_long_poll_holds_up_nothing_else_of_its_session(bench: Bench) -> None:
    """Other operations of the same session are answered while a poll waits, and its own reply comes when it is due."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.warm_up(topic, consumer)
    session = StompOperations(bench.stomp())
    wait = min(bench.limit("wait_seconds") or LONG, LONG)
    waiting = session.start(POLL, {"consumer_name": consumer, "wait_seconds": wait})
    quick = session.start(HEARTBEAT, {"consumer_name": consumer})
    reply = session.client.expect("MESSAGE", within=wait + bench.patience)
    bench.judge(
        "POLL-WAIT-3", reply.get("status") == "202", expected="the heartbeat's reply first", observed=reply
    )
    session.client.inbox.append(reply)
    bench.judge("POLL-WAIT-3", quick.reply().status == 202, expected="202 for the heartbeat", observed=reply)
    scene.publish(topic, "awaited")
    came = waiting.reply()
    bench.judge("POLL-WAIT-3", came.status == 200, expected="200 with the record", observed=came)


@clauses("POLL-WAIT-4")
def test_a_bad_waiting_time_is_refused(bench: Bench) -> None:
    """`wait_seconds` is a number from 0 to the limit; a poll that is refused hands out nothing."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.warm_up(topic, consumer)
    scene.publish(topic, "m0")
    most = bench.limit("wait_seconds")
    times: list[object] = [-1, -0.001, "5", True, None, [], *([most + 1, 1e300] if most else [])]
    for wait in times:
        # A server that takes the time for a good one finds the record at once.
        reply = scene.queue.call(
            POLL, {"consumer_name": consumer, "wait_seconds": wait}, within=bench.patience
        )
        bench.judge("POLL-WAIT-4", refused(reply), expected=f"4xx for wait_seconds {wait!r}", observed=reply)
    record = scene.next(consumer, "POLL-WAIT-4")
    bench.judge("POLL-WAIT-4", record.message == "m0", expected="m0 is still free", observed=record.whole)


def _past_the_timeout(target: Target) -> float:
    timings = target.timings
    return timings.heartbeat_timeout + timings.eviction_grace + 4 * SLACK


def _poll_through(bench: Bench, seconds: float) -> tuple[Scene, str, str, Deed] | None:
    """A poll that a record answers after so long: its scene, group and consumer, and the answer.

    None, and POLL-WAIT-5 is skipped, where no poll may wait so long. Time must not pass before the poll waits, which
    nothing tells: on a virtual clock one that was refused is tried again, with more time for it to come to the server.
    """
    is_virtual = bench.clock.is_virtual
    wish = LONG if is_virtual else seconds + bench.patience
    if not is_virtual and (bench.limit("wait_seconds") or wish) <= seconds:
        bench.skip("POLL-WAIT-5", f"no poll may wait for {seconds:.1f} s on this server")
        return None
    for round_trips in (_ROUND_TRIPS, 10 * _ROUND_TRIPS, 100 * _ROUND_TRIPS):
        scene = Scene(bench)
        topic, group, (consumer,) = scene.readers()
        scene.warm_up(topic, consumer)
        waiting = Waiting(scene, consumer, wish, round_trips=round_trips)
        scene.silence(consumer)
        scene.pass_time(seconds)

        def answer(scene: Scene = scene, topic: str = topic, waiting: Waiting = waiting) -> Reply:
            scene.publish(topic, "awaited")
            return waiting.answer()[0]

        answered = timed(scene, group, answer)
        if answered.reply.status == 200 or not is_virtual:
            break
    return scene, group, consumer, answered


@clauses("POLL-WAIT-5")
@waits(_past_the_timeout)
def test_a_consumer_whose_long_poll_waits_is_alive(bench: Bench) -> None:
    """Time past the heartbeat's timeout evicts nobody who has an unanswered poll."""
    polled = _poll_through(bench, _past_the_timeout(bench.target))
    if polled is None:
        return
    scene, _group, consumer, answered = polled
    bench.judge(
        "POLL-WAIT-5",
        answered.reply.status == 200,
        expected="200 with the record: the consumer is a member yet",
        observed=answered.reply,
    )
    beat = scene.heartbeat(consumer)
    bench.judge("POLL-WAIT-5", beat.status == 202, expected="202: it is a member yet", observed=beat)


@clauses("POLL-WAIT-5")
@waits(_past_the_timeout)
def test_silence_begins_when_a_long_poll_is_answered(bench: Bench) -> None:
    """A poll that waited and a silence below the timeout behind it evict nobody, though they are too long together."""
    timings = bench.target.timings
    waited = timings.eviction_grace + 4 * SLACK + 2 * bench.scheduling_delay()
    if bench.clock.is_virtual:
        waited = timings.heartbeat_timeout * 0.75 + timings.eviction_grace
    polled = _poll_through(bench, waited)
    if polled is None:
        return
    scene, group, consumer, answered = polled
    bench.judge(
        "POLL-WAIT-5", answered.reply.status == 200, expected="200 with the record", observed=answered.reply
    )
    just_below(scene, group, answered, consumer)
    beat = timed(scene, group, lambda: scene.heartbeat(consumer))
    judge_kept(
        scene, "POLL-WAIT-5", answered, beat, expected="202 behind the poll", ok=beat.reply.status == 202
    )
