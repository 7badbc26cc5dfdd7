"""Marks of tests: clauses, waits, threads."""

import pytest

from conformance.bench.marks import (
    UnknownClause,
    clauses,
    clauses_of,
    exclusive,
    is_exclusive,
    is_main_thread_only,
    main_thread_only,
    wait_of,
    waits,
)
from conformance.specification.clauses import book
from conformance.targets.target import Target

FIRST, SECOND, THIRD = [clause.id for clause in book()][:3]


def target(**more) -> Target:
    return Target(name="t", url="ws://h/", host="h", port=80, path="/", **more)


def test_a_test_names_its_clauses():
    @clauses(FIRST, SECOND)
    def test() -> None: ...

    assert clauses_of(test) == (FIRST, SECOND)


def test_several_marks_add_up_and_name_each_clause_once():
    @clauses(FIRST, FIRST)
    @clauses(SECOND, FIRST, THIRD)
    def test() -> None: ...

    assert clauses_of(test) == (FIRST, SECOND, THIRD)


def test_an_unknown_clause_is_refused_at_import():
    with pytest.raises(UnknownClause, match="NOWHERE-1, NOWHERE-2"):
        clauses(FIRST, "NOWHERE-1", "NOWHERE-2")


def test_a_mark_without_a_clause_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        clauses()


def test_a_test_without_marks_has_neither_clauses_nor_waits():
    assert clauses_of(len) == ()
    assert wait_of(len) is None


@pytest.mark.parametrize(
    ("clock", "extensions", "seconds"),
    [
        ("queue", frozenset(), 30.0),
        ("queue", frozenset({"virtual-clock"}), 0.0),
        ("wall", frozenset({"virtual-clock"}), 30.0),
    ],
)
def test_a_virtual_clock_spares_waits_for_the_queue_alone(clock, extensions, seconds):
    @waits(lambda it: it.timings.heartbeat_timeout, clock=clock)
    def test() -> None: ...

    wait = wait_of(test)
    assert wait is not None
    assert wait.on(target(extensions=extensions)) == seconds


def test_an_exclusive_test_runs_in_the_main_thread():
    @exclusive
    def lonely() -> None: ...

    @main_thread_only
    def ordinary() -> None: ...

    assert is_exclusive(lonely)
    assert is_main_thread_only(lonely)
    assert is_main_thread_only(ordinary)
    assert not is_exclusive(ordinary)
    assert not is_exclusive(len)
