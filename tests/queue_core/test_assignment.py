"""Properties of the assignment function (ASSIGN-1 to ASSIGN-4)."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from reference_server.queue.assignment import assign

MEMBERS = [f"m{number}" for number in range(9)]
owners_before = st.lists(st.sampled_from([None, *MEMBERS]), min_size=1, max_size=24)
subscribed = st.lists(st.sampled_from(MEMBERS), unique=True, max_size=9)


def fewest_moves(owners: list[str | None], members: list[str]) -> int:
    """Least number of partitions that change owner: all but those that a fair share lets their owners keep."""
    smaller, larger = divmod(len(owners), len(members))
    held = Counter(owner for owner in owners if owner in members)
    kept = sum(min(held[member], smaller) for member in members)
    one_more = sum(held[member] > smaller for member in members)
    return len(owners) - kept - min(one_more, larger)


@given(owners_before, subscribed)
def test_complete_balanced_sticky(owners: list[str | None], members: list[str]) -> None:
    """Every partition has one owner, counts differ by at most one, and no partition moves without need."""
    after = assign(owners, members)
    assert len(after) == len(owners)
    if not members:
        assert after == [None] * len(owners)
        return
    counts = Counter(after)
    assert set(counts) <= set(members)
    shares = [counts[member] for member in members]
    assert max(shares) - min(shares) <= 1
    moved = sum(old != new for old, new in zip(owners, after, strict=True))
    assert moved == fewest_moves(owners, members)


@given(owners_before, subscribed)
def test_again_changes_nothing(owners: list[str | None], members: list[str]) -> None:
    """A second assignment changes nothing, and equal inputs give equal results."""
    after = assign(owners, members)
    assert assign(owners, members) == after
    assert assign(after, members) == after


@given(st.integers(1, 24), st.lists(st.booleans(), max_size=30))
def test_joins_and_leaves(partitions: int, steps: list[bool]) -> None:
    """In any history a join takes a fair share, and a leave moves only the leaver's partitions."""
    members: list[str] = []
    owners: list[str | None] = [None] * partitions
    for number, joins in enumerate(steps):
        before = list(owners)
        if joins or not members:
            members.append(f"j{number}")
            owners = assign(owners, members)
            changed = [new for old, new in zip(before, owners, strict=True) if old != new]
            assert set(changed) <= {members[-1]}
        else:
            gone = members.pop(number % len(members))
            owners = assign([None if owner == gone else owner for owner in owners], members)
            stayed = [(old, new) for old, new in zip(before, owners, strict=True) if old != gone]
            # The shares of the others only grow, so none of their partitions moves.
            assert not members or all(old == new for old, new in stayed)


def test_standing_by() -> None:
    """Members beyond the number of partitions get none (ASSIGN-3)."""
    assert sorted(filter(None, assign([None, None], MEMBERS))) == MEMBERS[:2]
