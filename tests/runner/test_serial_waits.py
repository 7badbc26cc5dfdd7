"""Waits for real time at a server with few connections: their sum is bounded."""

from __future__ import annotations

from conformance.run.options import Effort
from conformance.runner.serial_waits import LONGEST_WAITS, SECONDS, beyond_bound, total, why_left_out

WAITS = {f"{clause}{part}": 3.5 for clause in "abcdefghijkl" for part in "123"}
BY_CLAUSE = {test: test[0] for test in WAITS}


def test_without_a_limit_nothing_is_left_out():
    assert beyond_bound(WAITS, BY_CLAUSE, None, Effort.QUICK) == set()


def test_waits_that_overlap_enough_are_all_kept():
    assert beyond_bound(WAITS, BY_CLAUSE, 9, Effort.QUICK) == set()


def test_the_waits_that_are_kept_stay_below_the_bound():
    left_out = beyond_bound(WAITS, BY_CLAUSE, 1, Effort.QUICK)
    kept = sum(wait for test, wait in WAITS.items() if test not in left_out)
    assert 0 < kept <= SECONDS[Effort.QUICK]
    assert not beyond_bound(WAITS, BY_CLAUSE, 1, Effort.STANDARD)


def test_tests_of_one_group_stay_or_go_together():
    left_out = beyond_bound(WAITS, BY_CLAUSE, 1, Effort.QUICK)
    for group in set(BY_CLAUSE.values()):
        members = {test for test in WAITS if BY_CLAUSE[test] == group}
        assert members <= left_out or not members & left_out


def test_a_few_long_waits_are_kept_whatever_the_effort():
    long = dict.fromkeys(["one", "two", "three"], 10 * SECONDS[Effort.QUICK])
    assert len(long) == LONGEST_WAITS
    assert not beyond_bound(long, {test: test for test in long}, 1, Effort.QUICK)


def test_waits_of_which_few_overlap_take_as_long_as_they_do_in_turn():
    assert total([3.0, 2.0, 4.0], None) == 4.0
    assert total([3.0, 2.0, 4.0], 1) == 9.0
    assert total([3.0, 2.0, 4.0], 100) == 4.0


def test_the_reason_names_the_limit_and_the_next_step():
    reason = why_left_out([30.0, 40.0], 1)
    assert "1 connection open" in reason
    assert "70 s" in reason
    assert "more connections" in reason
