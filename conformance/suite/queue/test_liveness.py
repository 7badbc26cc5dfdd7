"""Silence and eviction, on both sides of the timeout: LIVE-*. On a real clock these tests wait side by side."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from conformance.marks import clauses, waits
from conformance.suite.queue.scene import (
    ACKNOWLEDGE,
    HEARTBEAT,
    MARGIN,
    NEGATIVE_ACKNOWLEDGE,
    POLL,
    REGISTER,
    SUBSCRIBE,
    UNREGISTER,
    UNSUBSCRIBE,
    Scene,
    refused,
)
from conformance.suite.queue.silence import (
    judge_kept,
    just_below,
    one_silence,
    past_eviction,
    timed,
)
from conformance.wire.operations import HttpOperations, QueueClient, StompOperations

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench import Bench
    from conformance.suite.queue.silence import Deed
    from conformance.wire.operations import Reply


@clauses("LIVE-BEAT-1")
def test_a_heartbeat_is_answered(bench: Bench) -> None:
    """The heartbeat of a registered consumer is answered 202, with and without subscriptions."""
    scene = Scene(bench)
    group = scene.group()
    for consumer in (scene.consumer(group), scene.consumer(group, scene.topic())):
        reply = scene.heartbeat(consumer)
        bench.judge("LIVE-BEAT-1", reply.status == 202, expected="202 for a member", observed=reply)


@clauses("LIVE-BEAT-2", "LIVE-BEAT-3")
def test_the_heartbeat_of_nobody_is_refused(bench: Bench) -> None:
    """A heartbeat registers nobody."""
    scene = Scene(bench)
    name = bench.fresh("nobody")
    for _ in range(2):
        reply = scene.heartbeat(name)
        bench.judge("LIVE-BEAT-2", refused(reply), expected="4xx: no such consumer", observed=reply)
        bench.judge("LIVE-BEAT-3", reply.status == 404, expected="404: no such consumer", observed=reply)


@clauses("LIVE-KEEP-1")
@waits(one_silence)
def test_who_was_silent_for_less_than_the_timeout_has_lost_nothing(bench: Bench) -> None:
    """Just below the timeout a consumer is a member, and holds the record that it held."""
    scene = Scene(bench)
    topic, group, (consumer,) = scene.readers()
    scene.publish(topic, "held")
    record = scene.record(consumer)
    sign = timed(scene, group, lambda: scene.heartbeat(consumer))
    bench.judge("LIVE-BEAT-1", sign.reply.status == 202, expected="202", observed=sign.reply)
    just_below(scene, group, sign, consumer)
    body = {"consumer_name": consumer, "message_id": record.message_id}
    deed = timed(scene, group, lambda: scene.call(ACKNOWLEDGE, body))
    judge_kept(
        scene,
        "LIVE-KEEP-1",
        sign,
        deed,
        expected="202 for the record that it holds",
        ok=deed.reply.status == 202,
    )


@clauses("LIVE-BEAT-1")
@waits(one_silence)
def test_heartbeats_keep_a_consumer_alive(bench: Bench) -> None:
    """With a heartbeat in time, a consumer outlives the timeout that it would not have outlived without."""
    scene = Scene(bench)
    topic, group, (consumer,) = scene.readers()
    scene.publish(topic, "held")
    record = scene.record(consumer)
    registered = scene.now(group)
    timings = scene.timings
    scene.wait_until(group, registered + timings.heartbeat_timeout + timings.eviction_grace + MARGIN)
    reply = scene.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": record.message_id})
    bench.judge(
        "LIVE-BEAT-1",
        reply.status == 202,
        expected="202 for the record that it holds: its heartbeats were signs of life",
        observed=reply,
    )


@clauses("LIVE-KEEP-1")
@waits(one_silence)
def test_a_consumer_outlives_its_connection(bench: Bench) -> None:
    """Who reconnects in time has lost nothing: a consumer is a name, not a connection."""
    scene = Scene(bench)
    topic, group = scene.topic(), scene.group()
    consumer = bench.fresh("consumer")
    for number in range(2):
        scene.publish(topic, f"m{number}")
    first = bench.queue()
    first.register(group, consumer)
    first.subscribe(consumer, topic)
    record = None
    for _ in scene.attempts():
        reply = first.poll(consumer)
        if reply.status == 200:
            record = scene.delivered(reply)
            break
    bench.judge("POLL-OK-1", record is not None, expected="200 with a record", observed=reply)
    assert record is not None
    sign = timed(scene, group, lambda: first.heartbeat(consumer))
    first.close()
    scene.wait_until(group, sign.earliest + scene.timings.heartbeat_timeout / 2)
    body = {"consumer_name": consumer, "message_id": record.message_id}
    deed = timed(scene, group, lambda: scene.call(ACKNOWLEDGE, body))
    judge_kept(
        scene,
        "LIVE-KEEP-1",
        sign,
        deed,
        expected="202 on another connection for the record that it holds",
        ok=deed.reply.status == 202,
    )


@clauses("LIVE-EVICT-1", "LIVE-GONE-1", "LIVE-GONE-2")
@waits(one_silence)
def test_who_was_silent_for_too_long_is_refused_everything(bench: Bench) -> None:
    """After timeout and grace each operation that names the consumer is refused, while others live."""
    scene = Scene(bench)
    topic, group = scene.topic(), scene.group()
    other = scene.consumer(group, topic)
    scene.publish(topic, "held")
    record = scene.record(other)
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
    silent = {path: scene.consumer(group, topic) for path in attempts}
    signs = [timed(scene, group, lambda name=name: scene.heartbeat(name)) for name in silent.values()]  # type: ignore[misc]
    past_eviction(scene, group, signs[-1], *silent.values())
    for path, name in silent.items():
        # The first operation of each tells of its eviction, the second that this is no accident.
        for _ in range(2):
            reply = scene.call(path, {"consumer_name": name, **attempts[path]})
            why = f"{name} was silent for longer than timeout and grace"
            bench.judge("LIVE-EVICT-1", refused(reply), expected=f"4xx: {why}", observed=reply)
            bench.judge("LIVE-GONE-1", refused(reply), expected=f"4xx: {why}", observed=reply)
            bench.judge("LIVE-GONE-2", reply.status == 404, expected=f"404: {why}", observed=reply)
    beat = scene.heartbeat(other)
    bench.judge("LIVE-BEAT-1", beat.status == 202, expected="202: it was never silent", observed=beat)


@clauses("LIVE-EVICT-1")
@waits(one_silence)
def test_who_has_no_subscription_is_evicted_as_well(bench: Bench) -> None:
    """A member that owns nothing and never polls does not live for ever; nor does the only one of its group."""
    scene = Scene(bench)
    group = scene.group()
    consumer = scene.consumer(group)
    sign = timed(scene, group, lambda: scene.heartbeat(consumer))
    past_eviction(scene, group, sign, consumer)
    reply = scene.heartbeat(consumer)
    bench.judge("LIVE-EVICT-1", refused(reply), expected="4xx: silent for too long", observed=reply)


@clauses("LIVE-GONE-4")
@waits(one_silence)
@pytest.mark.parametrize("where", ["same group", "other group"])
def test_the_name_of_who_was_evicted_is_free(bench: Bench, where: str) -> None:
    """It can be registered again at once, and the new consumer begins without subscriptions."""
    scene = Scene(bench)
    topic, group, (consumer,) = scene.readers()
    elsewhere = scene.group()
    scene.publish(topic, "m")
    sign = timed(scene, group, lambda: scene.heartbeat(consumer))
    past_eviction(scene, group, sign, consumer)
    wanted = group if where == "same group" else elsewhere
    reply = scene.call(REGISTER, {"consumer_group_name": wanted, "consumer_name": consumer})
    bench.judge("LIVE-GONE-4", reply.status == 200, expected="200: its holder was evicted", observed=reply)
    scene.nothing(consumer, "LIVE-GONE-4", "no record: the new consumer has no subscription")
    scene.subscribe(consumer, topic)
    record = scene.record(consumer, "LIVE-GONE-4")
    bench.judge("LIVE-GONE-4", record.message == "m", expected="the record", observed=record.whole)


@clauses("LIVE-GONE-3")
@waits(one_silence)
@pytest.mark.parametrize(
    "when", ["while nobody has it", "while another holds it", "under a new registration"]
)
def test_a_late_acknowledgement_commits_nothing(bench: Bench, when: str) -> None:
    """What an evicted consumer says about a record that it held changes nothing: the next owner gets it."""
    scene = Scene(bench)
    topic, group, (consumer,) = scene.readers()
    for number in range(2):
        scene.publish(topic, f"m{number}")
    held = scene.record(consumer)
    late = {"consumer_name": consumer, "message_id": held.message_id}
    sign = timed(scene, group, lambda: scene.heartbeat(consumer))
    past_eviction(scene, group, sign, consumer)
    scene.members[group].remove(consumer)
    if when == "while another holds it":
        heir = scene.consumer(group, topic)
        again = scene.record(heir, "DELIVER-2")
        reply = scene.call(ACKNOWLEDGE, late)
    else:
        if when == "under a new registration":
            scene.call(REGISTER, {"consumer_group_name": group, "consumer_name": consumer})
        reply = scene.call(ACKNOWLEDGE, late)
        heir = scene.consumer(group, topic)
        again = scene.record(heir, "LIVE-GONE-3")
    bench.judge("LIVE-GONE-3", refused(reply), expected="4xx: it holds it no longer", observed=reply)
    bench.judge(
        "LIVE-GONE-3", again.message == "m0", expected="m0, which nobody acknowledged", observed=again.whole
    )
    scene.nothing(heir, "LIVE-GONE-3", "no record: m0 is in flight as before")
    mine = scene.call(ACKNOWLEDGE, {"consumer_name": heir, "message_id": again.message_id})
    bench.judge("LIVE-GONE-3", mine.status == 202, expected="202 for its holder", observed=mine)
    following = scene.next(heir, "LIVE-GONE-3")
    bench.judge("LIVE-GONE-3", following.message == "m1", expected="m1", observed=following.whole)


def _prepare_signs(scene: Scene, topic: str, other: str) -> dict[str, tuple[str, Callable[[], Reply]]]:
    """For each operation that succeeds a consumer in a group of its own, and how it performs it."""
    signs: dict[str, tuple[str, Callable[[], Reply]]] = {}

    def member(what: str, path: str, *topics: str, **more: object) -> None:
        name = scene.consumer(scene.group(), *topics)
        if path in (ACKNOWLEDGE, NEGATIVE_ACKNOWLEDGE):
            more["message_id"] = scene.record(name).message_id
        signs[what] = (name, functools.partial(scene.call, path, {"consumer_name": name, **more}))

    member("a heartbeat", HEARTBEAT)
    member("a poll", POLL, topic)
    member("an empty poll", POLL)
    member("a subscription", SUBSCRIBE, topic_list=other)
    member("a subscription to the same topic", SUBSCRIBE, topic, topic_list=topic)
    member("the end of a subscription", UNSUBSCRIBE, other, topic_list=other)
    member("an acknowledgement", ACKNOWLEDGE, topic)
    if scene.bench.declares("negative-acknowledgement"):
        member("a negative acknowledgement", NEGATIVE_ACKNOWLEDGE, topic)
    return signs


def _cannot_be_told(bench: Bench) -> bool:
    """Skip where a consumer could live through two silences by the grace alone."""
    timings = bench.target.timings
    is_long = timings.eviction_grace > 0.5 * timings.heartbeat_timeout
    if is_long:
        bench.skip(
            "LIVE-SIGN-1", "the eviction grace is so long that no sign of life makes a difference in it"
        )
    return is_long


@clauses("LIVE-SIGN-1")
@waits(one_silence)
def test_every_operation_that_names_a_consumer_keeps_it_alive(bench: Bench) -> None:
    """Two silences that are too long together, and between them one operation: the consumer is a member yet.

    One that did nothing between them is evicted, so that it was the operation that mattered.
    """
    if _cannot_be_told(bench):
        return
    scene = Scene(bench)
    topic, other = scene.topic(), scene.topic()
    scene.publish(topic, "m")
    signs = _prepare_signs(scene, topic, other)
    clock = scene.group()
    _judge_signs(scene, clock, scene.consumer(clock), signs)


@clauses("LIVE-SIGN-1")
@waits(one_silence)
def test_a_sign_of_life_counts_wherever_it_comes_from(bench: Bench) -> None:
    """A heartbeat in the other binding, on another connection, keeps a consumer alive as well."""
    if _cannot_be_told(bench):
        return
    if not (bench.claims("queue-http") and bench.claims("queue-stomp")):
        bench.skip("LIVE-SIGN-1", "the server has one binding only")
        return
    scene = Scene(bench)
    clock = scene.group()
    idle, consumer = scene.consumer(clock), scene.consumer(clock)
    if bench.binding == "queue-http":
        other = QueueClient(StompOperations(bench.stomp()))
    else:
        other = QueueClient(HttpOperations(bench.http()))
    beat = functools.partial(other.heartbeat, consumer)
    _judge_signs(scene, clock, idle, {"a heartbeat in the other binding": (consumer, beat)})


def _judge_signs(
    scene: Scene, clock: str, idle: str, signs: dict[str, tuple[str, Callable[[], Reply]]]
) -> None:
    """Let two silences pass with the operations between them, and none of the one that is idle."""
    judge, silent = scene.bench.judge, (idle, *(name for name, _ in signs.values()))

    def all_beat() -> dict[str, Deed]:
        return {
            what: timed(scene, clock, functools.partial(scene.heartbeat, name))
            for what, (name, _) in signs.items()
        }

    timings = scene.timings
    both = timings.heartbeat_timeout + timings.eviction_grace
    before = all_beat()
    last = timed(scene, clock, lambda: scene.heartbeat(idle))
    # In the middle, so that a slow machine has as much room in the first silence as in the second.
    scene.wait_until(clock, last.latest + both / 2, *silent)
    deeds = {what: timed(scene, clock, operation) for what, (_, operation) in signs.items()}
    scene.wait_until(clock, last.latest + both + MARGIN, *silent)
    after = all_beat()
    past_eviction(scene, clock, last, *silent)
    control = scene.heartbeat(idle)
    judge("LIVE-EVICT-1", refused(control), expected="4xx: it did nothing for too long", observed=control)
    for what, deed in deeds.items():
        judge_kept(scene, "LIVE-SIGN-1", before[what], deed, expected=what, ok=deed.reply.status < 300)
        beat = after[what]
        judge_kept(
            scene, "LIVE-SIGN-1", deed, beat, expected=f"202 after {what}", ok=beat.reply.status == 202
        )


@clauses("LIVE-SIGN-2")
@waits(one_silence)
def test_a_session_that_beats_is_no_sign_of_life(bench: Bench) -> None:
    """A consumer is evicted though the STOMP session on which it registered is open, beats, and sends other frames."""
    scene = Scene(bench)
    group, name = scene.group(), bench.fresh("consumer")
    session = bench.stomp(headers={"heart-beat": "10000,0"})
    operations = StompOperations(session)
    registered = operations.call(REGISTER, {"consumer_group_name": group, "consumer_name": name})
    bench.judge("MEMBER-REGISTER-1", registered.status == 200, expected="200", observed=registered)
    sign = timed(scene, group, lambda: operations.call(HEARTBEAT, {"consumer_name": name}))
    timings = scene.timings
    until = sign.latest + timings.heartbeat_timeout + timings.eviction_grace
    while (left := until - scene.now(group)) > 0:
        session.beat()
        session.unsubscribe(session.subscribe("/user/queue/replies"))
        operations.call(HEARTBEAT, {"consumer_name": bench.fresh("nobody")})
        scene.pass_time(min(left, timings.heartbeat_timeout / 4))
    past_eviction(scene, group, sign)
    reply = scene.heartbeat(name)
    bench.judge("LIVE-SIGN-2", refused(reply), expected="4xx: it said nothing for itself", observed=reply)
