"""When the consumers of the concurrent scenario come to an end."""

from conformance.history.server_parameters import Facts
from conformance.history.workload.workload_state import FRUITLESS, MOST_EXTRA_TIMES, MOST_TIMES, Plan, Stage

RECORD = ("orders", "0.0")


def stage(*, rested: bool = True, producing: int = 0) -> Stage:
    """One record is stored, and nobody has read it yet."""
    made = Stage(
        plan=Plan(),
        facts=Facts(heartbeat_timeout=30.0, eviction_grace=1.0, rebalance_timeout=2.0),
        extensions=frozenset(),
        fresh=lambda stem: stem,
        topics=["orders"],
        groups=["audit"],
        virtual=True,
        now=lambda _group: 0.0,
        expired=lambda: False,
        producing=producing,
        rested=rested,
    )
    made.stored.add(RECORD)
    return made


def empty_polls(shared: Stage, count: int) -> None:
    """So many polls of the group give nothing."""
    for _ in range(count):
        shared.note_empty("audit")


def test_what_is_read_by_all_ends_it() -> None:
    """Everything was sent, handed out and acknowledged."""
    shared = stage()
    assert not shared.over
    shared.note_handed_out("audit", 1, *RECORD)
    assert not shared.over
    shared.note_acknowledged("audit", 1)
    assert shared.over


def test_what_a_rested_group_does_not_get_is_not_waited_for() -> None:
    """Nobody is left whose end would free the record: the last reader shows whether it is lost."""
    shared = stage()
    empty_polls(shared, FRUITLESS - 1)
    assert not shared.over
    empty_polls(shared, 1)
    assert shared.over


def test_each_record_begins_the_count_anew() -> None:
    """A group that still gets something may get the rest too."""
    shared = stage()
    empty_polls(shared, FRUITLESS - 1)
    shared.note_handed_out("audit", 1, "orders", "another")
    empty_polls(shared, FRUITLESS - 1)
    assert not shared.over


def test_before_it_is_rested_a_group_is_waited_for() -> None:
    """What the gone hold comes back with their eviction; what is not sent yet comes later."""
    for shared in (stage(rested=False), stage(producing=1)):
        empty_polls(shared, 3 * FRUITLESS)
        assert not shared.over


def test_records_that_come_again_for_ever_end_it() -> None:
    """Whatever is acknowledged: a fast server gives one record thousands of times before time is up."""
    shared = stage(producing=1)
    for _ in range(MOST_TIMES * shared.plan.records + MOST_EXTRA_TIMES):
        shared.note_handed_out("audit", 1, *RECORD)
    assert not shared.cut_short
    assert not shared.over
    shared.note_handed_out("audit", 1, *RECORD)
    assert shared.cut_short
    assert shared.over
