"""Signs of life of a consumer: LIVE-SIGN-*. On a real clock these tests wait concurrently."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.expectations import expect_refusal, expect_status, refused
from conformance.suite.queue.fixture import (
    ACKNOWLEDGE,
    NEGATIVE_ACKNOWLEDGE,
    POLL,
    REGISTER,
    SUBSCRIBE,
    UNSUBSCRIBE,
    QueueFixture,
)
from conformance.suite.queue.queue_client import HEARTBEAT, MARGIN
from conformance.suite.queue.timeouts import (
    eviction_seconds,
    expect_kept_alive,
    timed,
    wait_past_eviction,
)
from conformance.wire.acknowledged_publishing import WORDS
from conformance.wire.operations import HttpOperations, QueueClient, StompOperations

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench
    from conformance.suite.queue.timeouts import TimedReply
    from conformance.wire.operations import Reply


def _prepare_signs(queue: QueueFixture, topic: str, other: str) -> dict[str, tuple[str, Callable[[], Reply]]]:
    """Prepare, for each operation that succeeds, a consumer in a group of its own and the call that performs it."""
    signs: dict[str, tuple[str, Callable[[], Reply]]] = {}

    def member(what: str, path: str, *topics: str, **more: object) -> None:
        name = queue.new_consumer(queue.new_group(), *topics)
        if path in (ACKNOWLEDGE, NEGATIVE_ACKNOWLEDGE):
            more["message_id"] = queue.poll_until_record(name).message_id
        signs[what] = (name, functools.partial(queue.call, path, {"consumer_name": name, **more}))

    member("a heartbeat", HEARTBEAT)
    member("a poll", POLL, topic)
    member("an empty poll", POLL)
    member("a subscription", SUBSCRIBE, topic_list=other)
    member("a subscription to the same topic", SUBSCRIBE, topic, topic_list=topic)
    member("the end of a subscription", UNSUBSCRIBE, other, topic_list=other)
    member("an acknowledgement", ACKNOWLEDGE, topic)
    if queue.bench.declares("negative-acknowledgement"):
        member("a negative acknowledgement", NEGATIVE_ACKNOWLEDGE, topic)
    return signs


def _cannot_be_told(bench: Bench) -> bool:
    """True if a consumer could live through two silences by the grace alone; LIVE-SIGN-1 is skipped then."""
    timings = bench.target.timings
    is_long = timings.eviction_grace > 0.5 * timings.heartbeat_timeout
    if is_long:
        bench.skip(
            "LIVE-SIGN-1", "the eviction grace is so long that no sign of life makes a difference in it"
        )
    return is_long


@clauses("LIVE-SIGN-1")
@waits(eviction_seconds)
def test_every_operation_that_names_a_consumer_keeps_it_alive(bench: Bench) -> None:
    """Send one operation between two silences that together exceed timeout and grace; expect 202 for its consumer.

    A consumer without such an operation is evicted: so it was the operation that kept the others alive.
    """
    if _cannot_be_told(bench):
        return
    queue = QueueFixture(bench)
    topic, other = queue.new_topic(), queue.new_topic()
    queue.publish(topic, "m")
    signs = _prepare_signs(queue, topic, other)
    clock = queue.new_group()
    _judge_signs(queue, clock, queue.new_consumer(clock), signs)


@clauses("LIVE-SIGN-1")
@waits(eviction_seconds)
def test_a_sign_of_life_counts_wherever_it_comes_from(bench: Bench) -> None:
    """Send a heartbeat in the other binding, on another connection; expect it to keep the consumer alive."""
    if _cannot_be_told(bench):
        return
    if not (bench.claims("queue-http") and bench.claims("queue-stomp")):
        bench.skip("LIVE-SIGN-1", "the server has one binding only")
        return
    queue = QueueFixture(bench)
    clock = queue.new_group()
    idle, consumer = queue.new_consumer(clock), queue.new_consumer(clock)
    if bench.binding == "queue-http":
        other = QueueClient(StompOperations(bench.stomp()))
    else:
        other = QueueClient(HttpOperations(bench.http()))
    beat = functools.partial(other.heartbeat, consumer)
    _judge_signs(queue, clock, idle, {"a heartbeat in the other binding": (consumer, beat)})


def _judge_signs(
    queue: QueueFixture, clock: str, idle: str, signs: dict[str, tuple[str, Callable[[], Reply]]]
) -> None:
    """Let two silences pass with the operations between them, and none for the `idle` consumer."""
    silent = (idle, *(name for name, _ in signs.values()))

    def all_beat() -> dict[str, TimedReply]:
        return {
            what: timed(queue, clock, functools.partial(queue.heartbeat, name))
            for what, (name, _) in signs.items()
        }

    timings = queue.timings
    both = timings.heartbeat_timeout + timings.eviction_grace
    before = all_beat()
    last = timed(queue, clock, lambda: queue.heartbeat(idle))
    # In the middle, so that a slow machine has as much room in the first silence as in the second.
    queue.wait_until(clock, last.latest + both / 2, *silent)
    answers = {what: timed(queue, clock, operation) for what, (_, operation) in signs.items()}
    queue.wait_until(clock, last.latest + both + MARGIN, *silent)
    after = all_beat()
    wait_past_eviction(queue, clock, last, *silent)
    control = queue.heartbeat(idle)
    expect_refusal(
        queue.bench, control, "LIVE-EVICT-1", "the consumer was silent for longer than timeout and grace"
    )
    for what, answer in answers.items():
        expect_kept_alive(
            queue, "LIVE-SIGN-1", before[what], answer, expected=what, ok=not refused(answer.reply)
        )
        beat = after[what]
        expect_kept_alive(
            queue, "LIVE-SIGN-1", answer, beat, expected=f"202 after {what}", ok=beat.reply.status == 202
        )


@clauses("LIVE-SIGN-2")
@waits(eviction_seconds)
def test_stomp_heart_beats_are_no_sign_of_life(bench: Bench) -> None:
    """Send STOMP heart-beats and frames that do not name the consumer over its session; expect the consumer to be
    evicted.
    """
    queue = QueueFixture(bench)
    group, name = queue.new_group(), bench.fresh("consumer")
    acknowledgements = f"{WORDS[0]}{queue.new_topic()}"  # a second subscription to replies may be refused
    session = bench.stomp(headers={"heart-beat": "10000,0"})
    operations = StompOperations(session)
    registered = operations.call(REGISTER, {"consumer_group_name": group, "consumer_name": name})
    expect_status(bench, registered, 200, "MEMBER-REGISTER-1", "no consumer has this name")
    sign = timed(queue, group, lambda: operations.call(HEARTBEAT, {"consumer_name": name}))
    timings = queue.timings
    until = sign.latest + timings.heartbeat_timeout + timings.eviction_grace
    queue.check_steps(until - queue.now(group), timings.heartbeat_timeout / 4)
    while (left := until - queue.now(group)) > 0:
        session.beat()
        session.unsubscribe(session.subscribe(acknowledgements))
        operations.call(HEARTBEAT, {"consumer_name": bench.fresh("nobody")})
        queue.pass_time(min(left, timings.heartbeat_timeout / 4))
    wait_past_eviction(queue, group, sign)
    reply = queue.heartbeat(name)
    expect_refusal(
        bench, reply, "LIVE-SIGN-2", "no operation named the consumer for longer than timeout and grace"
    )
