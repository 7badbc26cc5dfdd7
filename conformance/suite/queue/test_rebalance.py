"""How ownership changes hands: REBALANCE-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.ownership_probe import Rounds
from conformance.suite.queue.queue_client import MARGIN, refused
from conformance.suite.queue.rebalance_in_progress import handover_of
from conformance.suite.queue.scene import ACKNOWLEDGE, UNREGISTER, Scene
from conformance.suite.queue.timeouts import (
    BELOW,
    ROUND_TRIPS,
    one_rebalance,
    one_silence,
    pass_deadline,
    past_eviction,
    timed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench


@clauses("REBALANCE-2")
def test_a_record_in_flight_keeps_its_partition_from_moving(bench: Bench) -> None:
    """The newcomer gets nothing while the owner holds a record of each partition; the owner can still acknowledge."""
    if (handover := handover_of(bench, "REBALANCE-2")) is None:
        return
    scene = handover.scene
    scene.nothing(handover.newcomer, "REBALANCE-2", "no record: one of each partition is in flight")
    scene.nothing(handover.owner, "ORDER-2", "no record: one of each partition is in flight")
    for record in handover.held.values():
        scene.acknowledge(handover.owner, record.message_id)
    came = scene.sweep(handover.newcomer)
    for _ in scene.attempts():
        if came:
            break
        came = scene.sweep(handover.newcomer)
    later = [record for _, record in came]
    again = {record.message for record in handover.held.values()}
    bench.judge(
        "REBALANCE-2",
        bool(later) and not again & {record.message for record in later},
        expected="records that come after the acknowledged ones",
        observed=[record.whole for record in later],
    )


@clauses("REBALANCE-3", "REBALANCE-4")
def test_the_owner_goes_on_with_what_stays_and_gets_no_more_of_what_moves(bench: Bench) -> None:
    """Once it acknowledges, the partitions that stay give it their next records at once, and those that move none."""
    if (handover := handover_of(bench, "REBALANCE-3", "REBALANCE-4")) is None:
        return
    came = handover.settle_all()
    if handover.is_over():
        bench.skip("REBALANCE-3", "the rebalance ran into its timeout before the owner had acknowledged")
        bench.skip("REBALANCE-4", "the rebalance ran into its timeout before the owner had acknowledged")
        return
    stayed = sum(record is not None for record in came.values())
    partitions = handover.rounds.partitions
    seen = f"{stayed} of {partitions} partitions go on for their old owner"
    bench.judge(
        "REBALANCE-3",
        stayed <= partitions - handover.least,
        expected=f"nothing more of the {handover.least} partitions that have to move",
        observed=seen,
    )
    bench.judge(
        "REBALANCE-4",
        stayed >= handover.least,
        expected=f"the next records of the {handover.least} partitions that stay at least",
        observed=seen,
    )


@clauses("REBALANCE-1")
def test_what_moves_is_the_newcomers_once_it_is_settled(bench: Bench) -> None:
    """After the owner has acknowledged, the next records of the partitions that move come to the newcomer."""
    if (handover := handover_of(bench, "REBALANCE-1")) is None:
        return
    scene, rounds = handover.scene, handover.rounds
    came = handover.settle_all()
    moved = {place for place, record in came.items() if record is None}
    found: set[int] = set()
    for _ in scene.attempts():
        found |= {rounds.place(record) for _, record in scene.sweep(handover.newcomer)}
        if found >= moved:
            break
    bench.judge(
        "REBALANCE-1",
        found >= moved,
        expected=f"records of the partitions {sorted(moved)} for the new owner",
        observed=f"records of {sorted(found)}",
    )


def _unsubscribe(scene: Scene, topic: str, consumer: str) -> None:
    scene.unsubscribe(consumer, topic)


def _unregister(scene: Scene, topic: str, consumer: str) -> None:
    del topic
    reply = scene.call(UNREGISTER, {"consumer_name": consumer})
    scene.bench.judge("MEMBER-UNREGISTER-1", reply.status == 202, expected="202", observed=reply)


@clauses("REBALANCE-1")
@pytest.mark.parametrize("leave", [_unsubscribe, _unregister], ids=["unsubscribed", "unregistered"])
def test_those_who_stay_take_over_from_those_who_leave(
    bench: Bench, leave: Callable[[Scene, str, str], None]
) -> None:
    """One after another leaves, until the last one owns everything; at the end one comes back."""
    if leave is _unregister and not bench.declares("unregister"):
        bench.skip("REBALANCE-1", "nobody can leave (extension unregister)")
        return
    scene = Scene(bench)
    rounds, group = Rounds(scene), scene.group()
    names = [scene.consumer(group, rounds.topic) for _ in range(3)]
    rounds.settled(names)
    while len(names) > 1:
        leave(scene, rounds.topic, names.pop(0))
        rounds.settled(names)
    names.append(scene.consumer(group, rounds.topic))
    rounds.settled(names)


@clauses("REBALANCE-1")
@waits(one_silence)
def test_those_who_stay_take_over_from_who_was_evicted(bench: Bench) -> None:
    """After an eviction the partitions belong to those who are left."""
    scene = Scene(bench)
    rounds, group = Rounds(scene), scene.group()
    names = [scene.consumer(group, rounds.topic) for _ in range(3)]
    rounds.settled(names)
    silent = names.pop(0)
    sign = timed(scene, group, lambda: scene.heartbeat(silent))
    scene.members[group].remove(silent)
    past_eviction(scene, group, sign)
    rounds.settled(names)


@clauses("REBALANCE-2")
@waits(one_rebalance)
def test_what_is_held_is_not_taken_back_before_the_end_of_a_rebalance(bench: Bench) -> None:
    """Just below the timeout the newcomer gets nothing yet, and the owner can acknowledge what it holds."""
    if (handover := handover_of(bench, "REBALANCE-2")) is None:
        return
    scene = handover.scene
    timeout, margin = scene.timings.rebalance_timeout, MARGIN
    if not bench.clock.is_virtual:
        margin = min(
            timeout / 2, BELOW + 2 * bench.scheduling_delay() + ROUND_TRIPS * bench.target.round_trip
        )
    scene.wait_until(handover.group, handover.started[0] + timeout - margin)
    early = scene.poll(handover.newcomer)
    record = next(iter(handover.held.values()))
    body = {"consumer_name": handover.owner, "message_id": record.message_id}
    reply = scene.call(ACKNOWLEDGE, body)
    if handover.is_over():
        bench.skip("REBALANCE-2", "this machine was too slow to look just below the timeout")
        return
    bench.judge(
        "REBALANCE-2",
        early.status != 200,
        expected="no record: one of each partition is in flight",
        observed=early,
    )
    bench.judge(
        "REBALANCE-2", reply.status == 202, expected="202 for the record that it still holds", observed=reply
    )


@clauses("REBALANCE-5")
@waits(one_rebalance)
def test_what_is_held_beyond_the_end_of_a_rebalance_is_taken_back(bench: Bench) -> None:
    """The new owners get the records of the partitions that move; their former holder stays a member, and its late
    acknowledgement is refused and commits nothing.
    """
    if (handover := handover_of(bench, "REBALANCE-5")) is None:
        return
    scene, rounds = handover.scene, handover.rounds
    deadline = handover.started[1] + scene.timings.rebalance_timeout
    pass_deadline(scene, handover.group, deadline)
    taken = {rounds.place(record): record for _, record in scene.sweep(handover.newcomer)}
    bench.judge(
        "REBALANCE-5",
        len(taken) >= handover.least,
        expected=f"the records of {handover.least} partitions that have to move, at least",
        observed=[record.whole for record in taken.values()],
    )
    for place, record in taken.items():
        before = handover.held[place]
        bench.judge(
            "REBALANCE-5",
            record.message == before.message,
            expected=f"the record {before.message} that was not acknowledged",
            observed=record.whole,
        )
        late = scene.call(ACKNOWLEDGE, {"consumer_name": handover.owner, "message_id": before.message_id})
        bench.judge("REBALANCE-5", refused(late), expected="4xx: it was taken back", observed=late)
    scene.nothing(handover.newcomer, "REBALANCE-5", "no record: the late acknowledgements committed nothing")
    beat = scene.heartbeat(handover.owner)
    bench.judge("REBALANCE-5", beat.status == 202, expected="202: it stays a member", observed=beat)
    for record in taken.values():
        mine = scene.call(ACKNOWLEDGE, {"consumer_name": handover.newcomer, "message_id": record.message_id})
        bench.judge("REBALANCE-5", mine.status == 202, expected="202 for the new holder", observed=mine)
