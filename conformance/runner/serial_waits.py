"""Tests that wait for real time at a server with so few connections that their waits can't all overlap.

One after another they would take minutes. The waits of a run are bounded; tests beyond the bound are left out, and
their clauses end inconclusive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from conformance.run.options import Effort

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    T = TypeVar("T", bound=Hashable)

#: Seconds for which a run may wait where a limit of connections keeps waits from overlapping.
SECONDS = {Effort.QUICK: 60.0, Effort.STANDARD: 600.0, Effort.THOROUGH: 3600.0}
#: The same in multiples of the longest wait, if that is more.
LONGEST_WAITS = 3


def beyond_bound(
    waits: Mapping[T, float], groups: Mapping[T, Hashable], at_once: int | None, effort: Effort
) -> set[T]:
    """Tests to leave out, of those whose waits in seconds are `waits`.

    `at_once` tests may wait at the same time, any number of them for None. Tests of one group stay or go together,
    since a clause counts as judged only if all its tests ran; the groups that take least time stay.
    """
    if at_once is None:
        return set()
    room = at_once * max(SECONDS[effort], LONGEST_WAITS * max(waits.values(), default=0.0))
    members: dict[Hashable, list[T]] = {}
    for test in waits:
        members.setdefault(groups[test], []).append(test)
    left_out: set[T] = set()
    for tests in sorted(members.values(), key=lambda tests: sum(waits[test] for test in tests)):
        room -= sum(waits[test] for test in tests)
        if room < 0:
            left_out.update(tests)
    return left_out


def why_left_out(waits: Iterable[float], at_once: int | None) -> str:
    """Reason for which tests are left out, with the next step."""
    number = at_once or 1
    return (
        f"the declared limit lets the run keep {number} connection{'s' if number > 1 else ''} open, so that the tests "
        f"that wait for real time would wait for {sum(waits) / number:.0f} s: let the server accept more connections, "
        "or use a higher --effort"
    )


def total(overlapping: Sequence[float], at_once: int | None) -> float:
    """Seconds that waits take together of which `at_once` can overlap, any number of them for None."""
    longest = max(overlapping, default=0.0)
    return longest if at_once is None else max(longest, sum(overlapping) / at_once)
