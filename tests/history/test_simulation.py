"""Simulated runs: the checkers find nothing in legal histories, and every fault in others."""

from itertools import pairwise

import pytest

from conformance.history.checkers import CHECKERS, judge_history
from conformance.history.events import Acknowledge, ClockAdvanced, History, Poll, Publish, Unsubscribe
from conformance.history.server_parameters import Anomaly
from tests.history.broken import SHOWN_BY, broken_history
from tests.history.legal import some_history

#: Legal histories in each run of the tests; `python -m tests.history.legal 100000` judges more.
LEGAL = 80
#: Runs in which a fault must show.
SEEDS = 8


@pytest.mark.parametrize("tens", range(LEGAL // 10))
def test_a_legal_history_is_left_alone(tens: int) -> None:
    """No checker finds anything in histories with overlaps, losses, evictions and rebalances."""
    for seed in range(10 * tens, 10 * tens + 10):
        history, parameters = some_history(seed)
        assert judge_history(history, parameters) == [], f"seed {seed}"


def test_legal_histories_have_all_that_can_mislead_a_checker() -> None:
    """The histories have overlaps, unknown outcomes, evictions and redeliveries, in real and in virtual time."""
    histories = [some_history(seed)[0] for seed in range(30)]
    events = [event for history in histories for event in history]
    for kind in (Publish, Poll, Acknowledge):
        assert any(isinstance(event, kind) and event.status is None for event in events), kind
    assert any(isinstance(event, Poll) and event.status == 404 for event in events)
    assert any(isinstance(event, Unsubscribe) and event.succeeded for event in events)
    assert any(redeliveries(history) for history in histories)
    assert any(overlaps(history) for history in histories)
    moved = [any(isinstance(event, ClockAdvanced) for event in history) for history in histories]
    assert any(moved)
    assert not all(moved)


def redeliveries(history: History) -> bool:
    """True if a record was delivered twice to one consumer."""
    came = [
        (event.consumer, got.topic, got.text)
        for event in history
        if isinstance(event, Poll)
        for got in event.records
    ]
    return len(came) > len(set(came))


def overlaps(history: History) -> bool:
    """True if two polls of different consumers overlap."""
    polls = [event for event in history if isinstance(event, Poll) and event.succeeded]
    return any(
        one.consumer != other.consumer and one.invoked < other.invoked < one.completed
        for one, other in pairwise(polls)
    )


def find(anomaly: str) -> Anomaly | None:
    """The anomaly in the first run that shows it; None if there is none."""
    for seed in range(SEEDS):
        for found in judge_history(*broken_history(anomaly, seed)):
            if found.name == anomaly:
                return found
    return None


@pytest.mark.parametrize("anomaly", CHECKERS)
def test_a_queue_with_the_fault_shows_the_anomaly(anomaly: str) -> None:
    """The checker finds its anomaly in a random run, not only in its story."""
    found = find(anomaly)
    assert found is not None, SHOWN_BY[anomaly].__name__
    assert found.events
