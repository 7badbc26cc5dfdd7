"""The state of a workload ends a run: when its consumers are finished, and when it is aborted."""

from conformance.history.server_parameters import ServerParameters
from conformance.history.workload.workload_state import (
    EXTRA_DELIVERIES,
    MAX_DELIVERIES_PER_RECORD,
    MAX_EMPTY_POLLS,
    WorkloadPlan,
    WorkloadState,
)

RECORD = ("orders", "0.0")


def state(*, settled: bool = True, producing: int = 0) -> WorkloadState:
    """A state in which one record is stored and unread."""
    made = WorkloadState(
        plan=WorkloadPlan(),
        parameters=ServerParameters(heartbeat_timeout=30.0, eviction_grace=1.0, rebalance_timeout=2.0),
        extensions=frozenset(),
        fresh=lambda stem: stem,
        topics=["orders"],
        groups=["audit"],
        virtual=True,
        now=lambda _group: 0.0,
        expired=lambda: False,
        producing=producing,
        settled=settled,
    )
    made.stored.add(RECORD)
    return made


def empty_polls(shared: WorkloadState, count: int) -> None:
    """Note so many empty polls of the group."""
    for _ in range(count):
        shared.note_empty("audit")


def test_what_is_read_by_all_ends_it() -> None:
    """A run is finished when every record is acknowledged."""
    shared = state()
    assert not shared.finished
    shared.note_delivery("audit", 1, *RECORD)
    assert not shared.finished
    shared.note_acknowledged("audit", 1)
    assert shared.finished


def test_missing_records_of_a_settled_group_are_not_waited_for() -> None:
    """A settled group has no pending eviction; the final reader shows if the record is lost."""
    shared = state()
    empty_polls(shared, MAX_EMPTY_POLLS - 1)
    assert not shared.finished
    empty_polls(shared, 1)
    assert shared.finished


def test_each_record_begins_the_count_anew() -> None:
    """A group that still gets records may get the rest too."""
    shared = state()
    empty_polls(shared, MAX_EMPTY_POLLS - 1)
    shared.note_delivery("audit", 1, "orders", "another")
    empty_polls(shared, MAX_EMPTY_POLLS - 1)
    assert not shared.finished


def test_before_it_is_settled_a_group_is_waited_for() -> None:
    """Before that, evictions may release records, and producers may send more."""
    for shared in (state(settled=False), state(producing=1)):
        empty_polls(shared, 3 * MAX_EMPTY_POLLS)
        assert not shared.finished


def test_records_that_come_again_for_ever_end_it() -> None:
    """The bound on deliveries aborts a run on a server that redelivers one record in a loop."""
    shared = state(producing=1)
    for _ in range(MAX_DELIVERIES_PER_RECORD * shared.plan.records + EXTRA_DELIVERIES):
        shared.note_delivery("audit", 1, *RECORD)
    assert not shared.aborted
    assert not shared.finished
    shared.note_delivery("audit", 1, *RECORD)
    assert shared.aborted
    assert shared.finished
