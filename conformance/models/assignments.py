"""Owners of partitions, and how many each consumer owns: ASSIGN-1 to ASSIGN-3, REBALANCE-1, REBALANCE-5.

Condition, for a group and a topic with P partitions and S ≥ 2 subscribers, between two rebalances: every partition
delivers to one consumer only, and each consumer owns between ⌊P/S⌋ and ⌈P/S⌉ partitions.

No false alarm: the condition is judged only while every rebalance must be settled, whenever within the request's
interval the server acted, and while no subscriber may have been evicted; each rebalance discards all known owners.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.models.groups import GroupModel
    from conformance.models.judging import Judge
    from conformance.models.members import TimeInterval
    from conformance.models.record_matching import MatchedRecord


def judge_owner(judge: "Judge", delivery: "MatchedRecord") -> None:
    """Judge the owner of a delivered record's partition (ASSIGN-1), and its number of partitions (ASSIGN-2)."""
    group, cursor, record, name = delivery.group, delivery.cursor, delivery.record, delivery.member.name
    subscribers = len(group.subscribers(record.topic))
    if subscribers < 2 or not _is_fixed(group, record.topic, delivery.when):
        return
    owner = cursor.owner(record)
    judge(
        "ASSIGN-1",
        owner is None or owner == name,
        expected=f"records of this partition only to its owner {owner}, until the next rebalance",
        observed=f"{name} got {delivery.item}",
    )
    cursor.owners[record.node] = name
    partitions = cursor.topic.partition_classes.partitions
    if partitions is None:
        return
    most = -(-partitions // subscribers)
    owned_partitions = cursor.owned_partitions(name)
    judge(
        "ASSIGN-2",
        owned_partitions <= most,
        expected=f"at most {most} of {partitions} partitions for each of {subscribers} consumers",
        observed=f"{name} got records of {owned_partitions} partitions, the last {delivery.item}",
    )


def judge_share_sizes(judge: "Judge", group: "GroupModel", topic: str, when: "TimeInterval") -> None:
    """Judge shares after every subscriber polled in vain while each partition has a record in flight (ASSIGN-2).

    A partition whose owner since the rebalance is not known holds a record that was in flight before. REBALANCE-5 is
    named then: the server had to take that record back, and the new owner's poll would have returned it.
    """
    cursor, subscribers = group.cursors[topic], group.subscribers(topic)
    partitions = cursor.topic.partition_classes.partitions
    if (
        partitions is None
        or len(subscribers) < 2
        or len(cursor.in_flight) != partitions
        or not _is_fixed(group, topic, when)
    ):
        return
    shares = {member.name: len(cursor.held_by(member.name)) for member in subscribers}
    if sum(shares.values()) != partitions:
        return
    least = partitions // len(subscribers)
    kept = any(flight.record.node not in cursor.owners for flight in cursor.in_flight.values())
    judge(
        "REBALANCE-5" if kept else "ASSIGN-2",
        min(shares.values()) >= least,
        expected=f"at least {least} of {partitions} partitions for each of {len(subscribers)} consumers, "
        "and each partition's record in flight with its owner",
        observed=shares,
    )
    judge("REBALANCE-1", True, expected="every partition owned", observed=shares)
    if len(subscribers) > partitions:
        judge("ASSIGN-3", True, expected="no records for consumers without a partition", observed=shares)


def _is_fixed(group: "GroupModel", topic: str, when: "TimeInterval") -> bool:
    """True if no rebalance can be under way and no subscriber can have been evicted."""
    return group.is_settled(when) and group.membership_is_certain(topic)
