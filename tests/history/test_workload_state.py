"""When the consumers of the concurrent scenario come to an end."""

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
    """One record is stored, and nobody has read it yet."""
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
    """So many polls of the group give nothing."""
    for _ in range(count):
        shared.note_empty("audit")


def test_what_is_read_by_all_ends_it() -> None:
    """Everything was sent, handed out and acknowledged."""
    shared = state()
    assert not shared.finished
    shared.note_delivery("audit", 1, *RECORD)
    assert not shared.finished
    shared.note_acknowledged("audit", 1)
    assert shared.finished


def test_what_a_rested_group_does_not_get_is_not_waited_for() -> None:
    """Nobody is left whose end would free the record: the last reader shows whether it is lost."""
    shared = state()
    empty_polls(shared, MAX_EMPTY_POLLS - 1)
    assert not shared.finished
    empty_polls(shared, 1)
    assert shared.finished


def test_each_record_begins_the_count_anew() -> None:
    """A group that still gets something may get the rest too."""
    shared = state()
    empty_polls(shared, MAX_EMPTY_POLLS - 1)
    shared.note_delivery("audit", 1, "orders", "another")
    empty_polls(shared, MAX_EMPTY_POLLS - 1)
    assert not shared.finished


def test_before_it_is_rested_a_group_is_waited_for() -> None:
    """What the gone hold comes back with their eviction; what is not sent yet comes later."""
    for shared in (state(settled=False), state(producing=1)):
        empty_polls(shared, 3 * MAX_EMPTY_POLLS)
        assert not shared.finished


def test_records_that_come_again_for_ever_end_it() -> None:
    """Whatever is acknowledged: a fast server gives one record thousands of times before time is up."""
    shared = state(producing=1)
    for _ in range(MAX_DELIVERIES_PER_RECORD * shared.plan.records + EXTRA_DELIVERIES):
        shared.note_delivery("audit", 1, *RECORD)
    assert not shared.aborted
    assert not shared.finished
    shared.note_delivery("audit", 1, *RECORD)
    assert shared.aborted
    assert shared.finished
