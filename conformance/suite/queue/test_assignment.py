"""Who owns which partition: ASSIGN-*. Concluded from what is delivered, so that it works on any server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.ownership_probe import Rounds, fewest_moves, shares
from conformance.suite.queue.scene import Scene

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Members that are registered at most, to have more of them than a topic has partitions.
MOST_MEMBERS = 17


@clauses("ASSIGN-1", "ASSIGN-2", "REBALANCE-1")
@pytest.mark.parametrize("members", [1, 2, 3])
def test_every_partition_has_one_owner_and_shares_are_even(bench: Bench, members: int) -> None:
    """Each partition's records go to one member as long as nobody comes or goes; nobody has two more than another."""
    scene = Scene(bench)
    rounds, group = Rounds(scene), scene.group()
    names = [scene.consumer(group, rounds.topic) for _ in range(members)]
    rounds.settled(names)


@clauses("ASSIGN-1")
def test_who_is_not_subscribed_owns_nothing(bench: Bench) -> None:
    """Members without a subscription to the topic get none of its partitions, and no share is kept for them."""
    scene = Scene(bench)
    rounds, group = Rounds(scene), scene.group()
    elsewhere = scene.consumer(group, scene.topic())
    idle = scene.consumer(group)
    reader = scene.consumer(group, rounds.topic)
    owners = rounds.settled([reader, elsewhere, idle], fair=False)
    bench.judge(
        "ASSIGN-1",
        set(owners.values()) == {reader},
        expected=f"everything for {reader}, the only one that is subscribed",
        observed=shares(owners, [reader, elsewhere, idle]),
    )


@clauses("ASSIGN-2")
def test_each_topic_is_dealt_out_by_itself(bench: Bench) -> None:
    """A topic that both read is shared evenly, whatever else one of them owns."""
    scene = Scene(bench)
    alone, common, group = Rounds(scene), Rounds(scene), scene.group()
    first = scene.consumer(group, alone.topic, common.topic)
    second = scene.consumer(group, common.topic)
    alone.settled([first])
    common.settled([first, second])


@clauses("ASSIGN-3")
def test_members_beyond_the_number_of_partitions_stand_by(bench: Bench) -> None:
    """They own nothing, are members all the same, and take over when others go."""
    scene = Scene(bench)
    rounds = Rounds(scene, 2 if bench.declares("topic-partitions") else None)
    if rounds.partitions >= MOST_MEMBERS:
        bench.skip(
            "ASSIGN-3", f"a topic has {rounds.partitions} partitions here: too many members are needed"
        )
        return
    group = scene.group()
    names = [scene.consumer(group, rounds.topic) for _ in range(rounds.partitions + 1)]
    owners = rounds.settled(names)
    idle = [name for name in names if name not in owners.values()]
    bench.judge(
        "ASSIGN-3", len(idle) == 1, expected="one member that gets nothing", observed=shares(owners, names)
    )
    beat = scene.heartbeat(idle[0])
    bench.judge("ASSIGN-3", beat.status == 202, expected="202: a member all the same", observed=beat)
    leaver = next(name for name in names if name not in idle)
    scene.unsubscribe(leaver, rounds.topic)
    rest = [name for name in names if name != leaver]
    after = rounds.settled(rest)
    bench.judge(
        "ASSIGN-3",
        idle[0] in after.values(),
        expected=f"a partition for {idle[0]}, which stood by",
        observed=shares(after, rest),
    )


@clauses("ASSIGN-4")
@pytest.mark.parametrize("event", ["join", "leave"])
def test_partitions_that_need_not_move_stay(bench: Bench, event: str) -> None:
    """When a member comes or goes, no more partitions change owners than even shares take."""
    scene = Scene(bench)
    rounds = Rounds(scene, 8 if bench.declares("topic-partitions") and _allows(bench, 8) else None)
    group = scene.group()
    names = [scene.consumer(group, rounds.topic) for _ in range(3)]
    before = rounds.settled(names)
    if event == "join":
        names.append(scene.consumer(group, rounds.topic))
    else:
        scene.unsubscribe(names.pop(), rounds.topic)
    after = rounds.settled(names)
    moved = sorted(place for place in before if before[place] != after[place])
    fewest = fewest_moves(before, names)
    bench.judge(
        "ASSIGN-4",
        len(moved) <= fewest,
        expected=f"{fewest} of {rounds.partitions} partitions with a new owner",
        observed=f"{len(moved)} moved: {before} became {after}",
    )


def _allows(bench: Bench, partitions: int) -> bool:
    return partitions <= (bench.limit("partitions") or partitions)
