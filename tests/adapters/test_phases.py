"""The phases of a scenario: members come, all stay while records still come, members fail."""

from __future__ import annotations

import itertools
import time
from typing import Any, ClassVar

import pytest

from conformance.adapters.phases import Durations, Phase, Phases, durations, schedule
from conformance.adapters.scenario import DrivePlan, drive
from conformance.adapters.serving import Failed, LocalAdapter, Refused
from conformance.history.events import (
    Acknowledge,
    ConsumerEvent,
    Cut,
    GiveBack,
    History,
    Poll,
    Publish,
    Register,
    Unregister,
)
from tests.adapters.toy import ToyAdapter
from tests.models.toy_queue import Choices, ToyQueue

KAFKA = {"heartbeat_timeout": 6.0, "eviction_grace": 2.0, "rebalance_limit": 6.0, "slack": 2.0}
#: Timings of the queue that is driven here.
TIMINGS = {"rebalance_hold": 0.3, "rebalance_limit": 0.3, "slack": 1.0}
PLAN = DrivePlan(records=60, seconds=25.0)


def of_first_group(events: History) -> History:
    """Operations of the members of the group that comes first, in the order of their beginnings."""
    group = next(event.group for event in events if isinstance(event, Register))
    members = {event.consumer for event in events if isinstance(event, Register) and event.group == group}
    of_group = [event for event in events if isinstance(event, ConsumerEvent) and event.consumer in members]
    return tuple(sorted(of_group, key=lambda event: event.invoked))


class Patient(ToyAdapter):
    """A queue that puts nobody out on a busy machine, and does not tell its timeout, so that nobody falls silent."""

    facts: ClassVar[dict[str, Any]] = {"timings": TIMINGS, "tells": ["positions"]}

    def __init__(self) -> None:
        super().__init__()
        self.queue = ToyQueue(Choices(heartbeat_timeout=6.0, eviction_grace=0.4, rebalance_timeout=0.3))


@pytest.fixture(scope="module")
def history() -> History:
    """A history of a conforming queue."""
    return drive(LocalAdapter(Patient()), PLAN).file.events


def rest_of(history: History) -> tuple[float, float]:
    """Beginning and end, in seconds, of the first long time without a change of members of the first group."""
    changes = [
        event.invoked
        for event in of_first_group(history)
        if isinstance(event, Register | Unregister | Cut) or (isinstance(event, Poll) and event.refused)
    ]
    long = durations(TIMINGS, PLAN.seconds).resting - 0.5
    return next(pair for pair in itertools.pairwise(changes) if pair[1] - pair[0] > long)


def test_all_members_stay_for_longer_than_a_rebalance_while_records_come(history: History) -> None:
    """Records come before the rest, in the part of it in which the rebalance has settled, and after it."""
    settling = TIMINGS["rebalance_limit"] + TIMINGS["slack"]
    began, ended = rest_of(history)
    sent = [event.invoked for event in history if isinstance(event, Publish)]
    assert sum(one < began for one in sent) >= 2
    assert sum(began + settling < one < ended for one in sent) >= 4
    assert sum(one > ended for one in sent) >= 10


def test_a_record_that_is_given_back_early_is_not_acknowledged_before_it_comes_again(
    history: History,
) -> None:
    """An acknowledgement of the same record would commit it after all in engines whose commits are positions."""
    _, ended = rest_of(history)
    given_back: dict[tuple[str, object], GiveBack] = {}
    seen = 0
    for event in of_first_group(history):
        if event.invoked > ended:
            break
        if isinstance(event, Poll):
            for record in event.records:
                given_back.pop((event.consumer, record.message_id), None)
        elif isinstance(event, GiveBack):
            given_back[event.consumer, event.message_id] = event
            seen += 1
        elif isinstance(event, Acknowledge):
            assert (event.consumer, event.message_id) not in given_back
    assert seen >= 3


class Broken(ToyAdapter):
    """An engine whose polls and publishes fail at once."""

    def poll(self, consumer: str, wait: float) -> dict[str, Any]:
        raise Failed("not connected")

    def publish(self, topic: str, text: str, key: str | None) -> dict[str, Any]:
        raise Refused("full")


class Hasty(ToyAdapter):
    """An engine that answers at once that there is nothing."""

    def poll(self, consumer: str, wait: float) -> dict[str, Any]:
        return {"records": []}


@pytest.mark.parametrize(("kind", "most"), [(Broken, 120), (Hasty, 320)])
def test_requests_that_fail_at_once_are_not_repeated_without_a_pause(
    kind: type[ToyAdapter], most: int
) -> None:
    """Each of four clients, and two final readers, ask a few times a second."""
    events = drive(LocalAdapter(kind()), DrivePlan(records=30, seconds=3.0)).file.events
    assert 0 < sum(isinstance(event, Poll) for event in events) < most


class LateComers(ToyAdapter):
    """An engine that refuses records before a group reads them, as an exchange without a queue does."""

    joined = False

    def join(self, consumer: str, group: str, topics: list[str]) -> None:
        super().join(consumer, group, topics)
        self.joined = True

    def publish(self, topic: str, text: str, key: str | None) -> dict[str, Any]:
        if not self.joined:
            raise Refused("unroutable")
        return super().publish(topic, text, key)


def test_producers_wait_for_the_first_member() -> None:
    """No record is refused."""
    events = drive(LocalAdapter(LateComers()), DrivePlan(records=20, seconds=8.0)).file.events
    assert all(event.succeeded for event in events if isinstance(event, Publish))


def test_the_rest_is_longer_than_the_engine_needs() -> None:
    """Settling, then time in which records come; a short limit of the scenario shortens it."""
    lengths = durations(KAFKA, 60.0)
    assert lengths.resting == pytest.approx(12.0)
    assert lengths.failing == pytest.approx(12.0)
    assert durations(KAFKA, 10.0).resting == pytest.approx(4.0)
    assert durations({}, 60.0).resting == pytest.approx(2.0)


@pytest.mark.parametrize("records", [0, 1, 7, 50, 1000])
def test_every_record_has_its_time(records: int) -> None:
    """The times of a phase are within it, and grow."""
    lengths = Durations(coming=15.0, resting=12.0, failing=8.0)
    plan = schedule(records, lengths)
    assert len(plan) == records
    assert plan == sorted(plan)
    assert all(0 <= seconds < 12.0 for _, seconds in plan)


def test_phases_end_though_members_stay_away_or_come_again_and_again() -> None:
    """Neither holds a scenario up: each phase has its longest time."""
    phases = Phases(3, Durations(coming=0.1, resting=0.2, failing=1.0))
    began = time.monotonic()
    phases.wait_for_a_member(lambda: False)
    assert time.monotonic() - began > 0.05
    number = itertools.count()

    def come() -> bool:
        phases.note_join(f"member {next(number)}")
        return False

    phases.wait(Phase.FAILING, 0.0, come)
    assert phases.now is Phase.FAILING
    assert time.monotonic() - began < 5.0
    phases.wait(Phase.RESTING, 100.0, lambda: False)
