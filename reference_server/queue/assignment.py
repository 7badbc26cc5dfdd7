"""Assignment of a topic's partitions: balanced, complete, and with as few moves as that allows."""

from collections.abc import Sequence
from typing import TypeVar

Member = TypeVar("Member")


def assign(owners: Sequence[Member | None], members: Sequence[Member]) -> list[Member | None]:
    """Return the new owner of each partition, from the present owners and the subscribed members.

    Every partition has one owner (ASSIGN-1), the counts differ by at most one (ASSIGN-2), members beyond the
    number of partitions get nothing (ASSIGN-3), and partitions move only if they must (ASSIGN-4). Without members
    no partition has an owner.
    """
    if not members:
        return [None] * len(owners)
    held: dict[Member, list[int]] = {member: [] for member in members}
    free: list[int] = []
    for index, owner in enumerate(owners):
        if owner is not None and owner in held:
            held[owner].append(index)
        else:
            free.append(index)
    fewest, larger = divmod(len(owners), len(members))
    # Members that hold most keep the larger shares: that leaves the fewest partitions to move.
    by_count = sorted(members, key=lambda member: -len(held[member]))
    shares = {member: fewest + (place < larger) for place, member in enumerate(by_count)}
    for member in members:
        free.extend(held[member][shares[member] :])
        del held[member][shares[member] :]
    free.sort()
    after: list[Member | None] = [None] * len(owners)
    for member in members:
        missing = shares[member] - len(held[member])
        held[member].extend(free[:missing])
        del free[:missing]
        for index in held[member]:
            after[index] = member
    return after
