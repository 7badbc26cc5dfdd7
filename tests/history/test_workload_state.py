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


def empty_polls(at: Stage, count: int) -> None:
    """So many polls of the group give nothing."""
    for _ in range(count):
        at.note_empty("audit")


def test_what_is_read_by_all_ends_it() -> None:
    """Everything was sent, handed out and acknowledged."""
    at = stage()
    assert not at.over
    at.note_handed_out("audit", 1, *RECORD)
    assert not at.over
    at.note_acknowledged("audit", 1)
    assert at.over


def test_what_a_rested_group_does_not_get_is_not_waited_for() -> None:
    """Nobody is left whose end would free the record: the last reader shows whether it is lost."""
    at = stage()
    empty_polls(at, FRUITLESS - 1)
    assert not at.over
    empty_polls(at, 1)
    assert at.over


def test_each_record_begins_the_count_anew() -> None:
    """A group that still gets something may get the rest too."""
    at = stage()
    empty_polls(at, FRUITLESS - 1)
    at.note_handed_out("audit", 1, "orders", "another")
    empty_polls(at, FRUITLESS - 1)
    assert not at.over


def test_before_it_is_rested_a_group_is_waited_for() -> None:
    """What the gone hold comes back with their eviction; what is not sent yet comes later."""
    for at in (stage(rested=False), stage(producing=1)):
        empty_polls(at, 3 * FRUITLESS)
        assert not at.over


def test_records_that_come_again_for_ever_end_it() -> None:
    """Whatever is acknowledged: a fast server gives one record thousands of times before time is up."""
    at = stage(producing=1)
    for _ in range(MOST_TIMES * at.plan.records + MOST_EXTRA_TIMES):
        at.note_handed_out("audit", 1, *RECORD)
    assert not at.cut_short
    assert not at.over
    at.note_handed_out("audit", 1, *RECORD)
    assert at.cut_short
    assert at.over
