"""Who owns which partition, as far as deliveries tell: ASSIGN-1 to -3, REBALANCE-1.

Owners are only fixed once every rebalance must be settled, and while nobody may have been evicted
unnoticed. From then on the first delivery of a partition shows its owner, until the next rebalance.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.models.groups import GroupModel
    from conformance.models.judging import Judge
    from conformance.models.members import TimeInterval
    from conformance.models.record_matching import MatchedRecord


def judge_owner(judge: "Judge", delivery: "MatchedRecord") -> None:
    """A record was delivered: nobody else may own its partition, and its consumer may not own too many."""
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
    """All subscribers came up empty while every partition has a record in flight: each holds its share.

    Where a rebalance had to take a record back from a consumer that kept it (REBALANCE-5), the poll of the new
    owner would have brought it.
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
        judge("ASSIGN-3", True, expected="nothing for those who stand by", observed=shares)


def _is_fixed(group: "GroupModel", topic: str, when: "TimeInterval") -> bool:
    return group.is_settled(when) and group.membership_is_certain(topic)
