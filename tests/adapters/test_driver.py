"""The events that requests to an adapter leave: outcomes, heartbeats in the background, cuts and restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.adapters.driver import Driver
from conformance.adapters.protocol import OPTIONAL, REQUIRED, AdapterGone, Announcement
from conformance.history.events import Acknowledge, Cut, Heartbeat, Poll, Publish, Restart, Unregister
from conformance.history.files import with_restarts
from conformance.history.system_facts import SystemFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORD = {"id": 7, "topic": "t", "text": "a", "lease": "x"}


class Scripted:
    """An adapter that gives one answer to each request, by its name; ok without one, None for no answer."""

    def __init__(self, **answers: Mapping[str, Any] | None) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def ask(self, op: str, wait: float = 0.0, **members: Any) -> Mapping[str, Any] | None:
        self.asked.append((op, members))
        return self.answers.get(op.replace("-", "_"), {"outcome": "ok"})

    def close(self) -> None:
        """Nothing is open."""


def driver_of(adapter: Scripted, *, background: bool = False) -> Driver:
    """A driver of an adapter that can do everything."""
    return Driver(adapter, Announcement(frozenset([*REQUIRED, *OPTIONAL]), SystemFacts(), background))


def test_each_outcome_is_recorded() -> None:
    """No answer and an unknown outcome are one; a failure tells nothing; positions of the answer are kept."""
    for answer, status in (
        ({"outcome": "ok", "partition": 1, "offset": 5}, 200),
        ({"outcome": "refused"}, 409),
        ({"outcome": "failed", "reason": "busy"}, 500),
        ({"outcome": "unknown"}, None),
        (None, None),
    ):
        driver = driver_of(Scripted(publish=answer))
        driver.publish("p", "t", "a", "k")
        (event,) = driver.events
        assert isinstance(event, Publish)
        assert event.status == status
        assert event.offset == (5 if status == 200 else None)


def test_a_settlement_gives_the_adapter_its_record_back() -> None:
    """Members of its own, such as a lease, come back."""
    adapter = Scripted(poll={"outcome": "ok", "records": [RECORD]})
    driver = driver_of(adapter)
    _, (record,) = driver.poll("c", "ann", 0.5)
    driver.settle("c", "acknowledge", "ann", record)
    assert adapter.asked[-1] == ("acknowledge", {"client": "c", "consumer": "ann", "record": RECORD})


def test_heartbeats_in_the_background_are_signs_of_life_up_to_the_silence() -> None:
    """Between two requests, and up to the silence, the member may have been heard; later it may not."""
    driver = driver_of(Scripted(poll={"outcome": "ok", "records": []}), background=True)
    for _ in range(2):
        driver.poll("c", "ann", 0.0)
    assert driver.silence("c", "ann")
    beats = [event for event in driver.events if isinstance(event, Heartbeat)]
    polls = [event for event in driver.events if isinstance(event, Poll)]
    assert [event.status for event in beats] == [500, 500]
    assert beats[0].invoked == polls[0].invoked
    assert beats[0].completed == polls[1].invoked
    driver.poll("c", "ann", 0.0)
    assert sum(isinstance(event, Heartbeat) for event in driver.events) == 2


def test_a_cut_is_recorded_once_and_a_restart_ends_every_connection() -> None:
    """A restart is one event of the file, and a cut of each consumer for the checkers."""
    driver = driver_of(Scripted())
    driver.join("c", "ann", "g", "t")
    driver.join("d", "bob", "g", "t")
    driver.cut("c", "ann")
    driver.restart()
    assert sum(isinstance(event, Cut) for event in driver.events) == 1
    (restart,) = (event for event in driver.events if isinstance(event, Restart))
    assert restart.completed >= restart.invoked
    cuts = [event for event in with_restarts(list(driver.events)) if isinstance(event, Unregister)]
    assert sorted(event.consumer for event in cuts if isinstance(event, Cut)) == ["ann", "ann", "bob"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"outcome": "ok"}, '"records" is missing from a poll'),
        ({"outcome": "ok", "records": None}, '"records": expected a list'),
        ({"outcome": "ok", "records": [{"id": 1, "topic": "t"}]}, '"text" is missing'),
        (
            {"outcome": "ok", "records": [{**RECORD, "offset": -1}]},
            '"offset": expected a whole number from 0',
        ),
        ({"outcome": "unsupported"}, "answers unsupported"),
    ],
)
def test_a_malformed_answer_ends_the_adapter(answer: dict[str, Any], message: str) -> None:
    """The message names what was expected."""
    driver = driver_of(Scripted(poll=answer))
    with pytest.raises(AdapterGone, match=message):
        driver.poll("c", "ann", 0.0)


def test_a_consumer_whose_connection_the_engine_closed_is_cut() -> None:
    """The engine may have closed it as soon as the request came; a member that no request names is not cut."""
    adapter = Scripted(
        acknowledge={"outcome": "refused", "closed": True}, publish={"outcome": "ok", "closed": True}
    )
    driver = driver_of(adapter, background=True)
    driver.join("c", "ann", "g", "t")
    driver.settle("c", "acknowledge", "ann", RECORD)
    driver.publish("p", "t", "a", None)
    (cut,) = (event for event in driver.events if isinstance(event, Cut))
    (refused,) = (event for event in driver.events if isinstance(event, Acknowledge))
    assert (cut.consumer, cut.invoked) == ("ann", refused.invoked)
    assert refused.refused
